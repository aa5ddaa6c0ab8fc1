//! The dollars of a line, as far as it has come.

/// Counts the runs of exactly two dollars on a line, and so tells whether a `$$` is open. The count can be stopped and
/// continued at any place of the line, so a line that is read in pieces is read as the whole one is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineDollars {
    is_odd: bool,
    /// How many dollars the text ends with; 3 stands for more.
    run: u8,
}

impl LineDollars {
    /// The same with more of the line.
    pub(super) fn with(self, more: &[u8]) -> Self {
        let mut all = self;
        if all.run == 0 && memchr::memchr(b'$', more).is_none() {
            return all;
        }
        for byte in more {
            all = if *byte == b'$' {
                Self {
                    run: (all.run + 1).min(3),
                    ..all
                }
            } else {
                Self {
                    is_odd: all.is_open(),
                    run: 0,
                }
            };
        }
        all
    }

    /// Whether the next `$$` would close one.
    pub(super) fn is_open(self) -> bool {
        self.is_odd ^ (self.run == 2)
    }

    /// The dollars of the line that `at` is on, counted up to there. `self` counts those of the line before `own`,
    /// where the text's own part of `source` begins.
    pub(in crate::markdown) fn on_line(self, source: &str, own: usize, at: usize) -> Self {
        let before = &source.as_bytes()[..at];
        let line = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
        if line <= own {
            self.with(&before[own.min(at)..])
        } else {
            Self::default().with(&before[line..])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_pair_of_dollars_closes_wherever_the_line_is_cut() {
        let check = |line: &str, is_open: bool| {
            for cut in 0..=line.len() {
                let (before, after) = line.as_bytes().split_at(cut);
                let all = LineDollars::default().with(before).with(after);
                assert_eq!(all.is_open(), is_open, "{line:?} at {cut}");
            }
        };
        check("a", false);
        check("a $$", true);
        check("a $$x$$ b", false);
        check("$ $$ $$ $$$$ $5", false);
        check("$$ a $", true);
        check("$$$", false);
    }
}
