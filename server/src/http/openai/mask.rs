//! Masks our key in bodies that pass through: each byte of the key becomes an asterisk, so that lengths do not
//! change.
//!
//! Each piece of a body is searched once for the beginning of the key. Only a piece that ends within a possible
//! key is held back until the next piece.

use axum::body::Bytes;
use bytes::BytesMut;
use memchr::memmem::Finder;

/// The number of leading bytes of the key that are searched for. A shorter fragment is useless and is not held
/// back.
const HEAD_BYTES: usize = 8;
/// Shorter keys are not masked: people write `none` where a library requires a key.
const LEAST_BYTES: usize = 12;

/// Masks one key in one body.
pub(super) struct Mask {
    key: Box<[u8]>,
    head: Finder<'static>,
    /// The end of the last piece, if it may be the beginning of the key.
    held: Bytes,
    /// The last bytes that were sent, fewer than are searched for: the key may begin in them.
    sent: Vec<u8>,
}

impl Mask {
    /// A mask for a key. `None` if the key is too short.
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        (key.len() >= LEAST_BYTES).then(|| Self {
            key: key.into(),
            head: Finder::new(&key[..HEAD_BYTES]).into_owned(),
            held: Bytes::new(),
            sent: Vec::with_capacity(2 * HEAD_BYTES),
        })
    }

    /// Whether a fragment is held back.
    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// The fragment that is left at the end of the body.
    pub(super) fn finish(&mut self) -> Bytes {
        std::mem::take(&mut self.held)
    }

    /// Masks a piece of the body. The result is empty if all of it is held back.
    pub(super) fn pass(&mut self, piece: Bytes) -> Bytes {
        let mut piece = if self.held.is_empty() {
            piece
        } else {
            let mut joined = BytesMut::from(self.finish());
            joined.extend_from_slice(&piece);
            joined.freeze()
        };
        for sent in (1..HEAD_BYTES).rev() {
            let (start, rest) = self.key.split_at(sent);
            if !self.sent.ends_with(start) {
                continue;
            }
            if piece.starts_with(rest) {
                piece = masked(piece, 0, rest.len());
                break;
            }
            if rest.starts_with(&piece) && sent + piece.len() >= HEAD_BYTES {
                self.held = piece;
                return Bytes::new();
            }
        }
        let mut from = 0;
        while let Some(at) = self.head.find(&piece[from..]).map(|at| from + at) {
            let rest = &piece[at..];
            if rest.starts_with(&self.key) {
                piece = masked(piece, at, self.key.len());
                from = at + self.key.len();
            } else if self.key.starts_with(rest) {
                self.held = piece.split_off(at);
                break;
            } else {
                from = at + 1;
            }
        }
        self.keep_tail(&piece);
        piece
    }

    fn keep_tail(&mut self, piece: &[u8]) {
        let last = &piece[piece.len().saturating_sub(HEAD_BYTES - 1)..];
        self.sent.extend_from_slice(last);
        let surplus = self.sent.len().saturating_sub(HEAD_BYTES - 1);
        self.sent.drain(..surplus);
    }
}

fn masked(piece: Bytes, at: usize, length: usize) -> Bytes {
    let mut piece = BytesMut::from(piece);
    piece[at..at + length].fill(b'*');
    piece.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "sk-proj-aaaa-WXYZ";

    fn through(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut mask = Mask::new(KEY.as_bytes()).expect("a key");
        let mut out: Vec<Vec<u8>> = pieces
            .iter()
            .map(|piece| mask.pass(Bytes::copy_from_slice(piece)).to_vec())
            .collect();
        out.push(mask.finish().to_vec());
        out
    }

    #[test]
    fn what_cannot_be_the_key_goes_on_at_once() {
        let pieces: [&[u8]; 4] = [b"data: sk-", b"pro", b"sk-proj- is no key", b"sk-pro"];
        let out = through(&pieces);
        assert_eq!(out[..4], pieces);
        assert!(out[4].is_empty());
        assert!(Mask::new(b"none").is_none());
    }

    proptest! {
        #[test]
        fn however_a_body_is_cut_the_key_is_not_in_it_and_its_length_stays(
            parts in prop::collection::vec(prop_oneof![
                Just(KEY.to_owned()), Just("sk-proj-".to_owned()), Just("sk-".to_owned()),
                Just(KEY[..KEY.len() - 1].to_owned()), "[a-z ]{0,6}",
            ], 0..8),
            cuts in prop::collection::vec(0.0..1.0_f64, 0..8),
        ) {
            let body = parts.concat();
            let mut places: Vec<usize> =
                cuts.iter().map(|cut| (cut * body.len() as f64) as usize).collect();
            places.sort_unstable();
            places.insert(0, 0);
            places.push(body.len());
            let pieces: Vec<&[u8]> =
                places.windows(2).map(|pair| &body.as_bytes()[pair[0]..pair[1]]).collect();
            let out = through(&pieces).concat();
            prop_assert_eq!(out.len(), body.len());
            let out = String::from_utf8(out).expect("text");
            // Of a key that was cut within its first bytes these may show, and no more.
            prop_assert!(!out.contains(&KEY[HEAD_BYTES - 1..]), "{} of {}", out, body);
            if pieces.len() == 1 {
                prop_assert_eq!(out, body.replace(KEY, &"*".repeat(KEY.len())));
            }
        }
    }
}
