//! Measures how the renderer's work grows with hostile text.
//!
//! Each kind of text is rendered at sizes from 1 KiB to 1 MiB, once as a whole (as the server does) and once
//! streamed in pieces of 80 bytes (as the page does). The report has one line a kind and way: the time at each
//! size in milliseconds, the longest single step of the largest stream, and the exponent with which the time
//! grows. An exponent above 1.2 is a defect.
//!
//! Long measurements count the time that the thread was on a processor, short ones the best of some runs, so a
//! busy machine does not spoil them. Freed memory should stay with the process; else large sizes pay for page faults
//! that small ones do not have:
//!
//!     MALLOC_TRIM_THRESHOLD_=4000000000 MALLOC_MMAP_THRESHOLD_=4000000000 \
//!         cargo bench -p app --bench hostile [-- PART_OF_A_NAME...]

#[path = "hostile/kinds.rs"]
mod kinds;

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Write as _;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use app::markdown::html::html;
use app::markdown::node::Kind;
use app::markdown::parse::parse_whole;
use app::markdown::patch::Dom;
use app::markdown::stream::Stream;
use kinds::{KINDS, Make};

/// The sizes of a text, in bytes.
const SIZES: [usize; 6] = [1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20];
/// A stream grows by this many bytes at a time.
const PIECE: usize = 80;
/// A size that is expected to take longer than this is not measured.
const PATIENCE: Duration = Duration::from_secs(8);
/// From this size on, time has to grow as the text does. A shorter stream reads its end again for each piece, up to
/// a bound, so its time may grow faster; and a paragraph beyond 16 KiB is read in parts, which once costs a factor.
const STEADY: usize = 1 << 16;
/// Shorter times say nothing about growth.
const NOISE: Duration = Duration::from_micros(100);
/// How exact the time on a processor is.
const TICK: Duration = Duration::from_millis(4);
/// Times up to this are measured by the clock.
const SHORT: Duration = Duration::from_millis(40);
/// The largest exponent that counts as linear.
const LINEAR: f64 = 1.2;

/// A document that does nothing.
#[derive(Default)]
struct NoDom(usize);

impl NoDom {
    fn next(&mut self) -> usize {
        self.0 += 1;
        self.0
    }
}

impl Dom for NoDom {
    type Node = usize;

    fn create(&mut self, _: &Kind) -> (usize, usize) {
        (self.next(), self.next())
    }

    fn create_text(&mut self, _: &str) -> usize {
        self.next()
    }

    fn insert(&mut self, _: &usize, _: &usize, _: Option<&usize>) {}

    fn remove(&mut self, _: &usize) {}

    fn replace_text(&mut self, _: &usize, _: u32, _: u32, _: &str) {}

    fn split_text(&mut self, _: &usize, _: u32) -> usize {
        self.next()
    }

    fn shaping_break(&mut self, _: &usize) {}

    fn remove_shaping_breaks(&mut self, _: &usize) {}

    fn set_attributes(&mut self, _: &usize, _: &Kind) {}

    fn next(&self, _: &usize) -> Option<usize> {
        None
    }

    fn joined_children(&mut self, _: &usize) -> Vec<usize> {
        Vec::new()
    }

    fn text_of(&self, _: &usize) -> Option<String> {
        None
    }

    fn inner_of(&self, _: &usize, _: &Kind) -> Option<usize> {
        None
    }
}

/// What measuring one kind in one way gave.
struct Measured {
    times: Vec<Option<Duration>>,
    longest: Duration,
}

impl Measured {
    /// Measures at each size, as long as patience lasts.
    fn of(make: &Make, run: impl Fn(&str) -> Duration) -> Self {
        let mut times = Vec::new();
        let mut longest = Duration::ZERO;
        let mut last: Option<(usize, Duration)> = None;
        for size in SIZES {
            // What grows with the square takes sixteen times as long with each size.
            if last.is_some_and(|(_, time)| time * 8 > PATIENCE) {
                times.push(None);
                continue;
            }
            let text = make.text(size);
            let mut best = Duration::MAX;
            for _ in 0..5 {
                let (began, began_on_cpu) = (Instant::now(), time_on_cpu());
                longest = run(&text);
                best = best.min(began.elapsed());
                if best > SHORT {
                    best = best.min((time_on_cpu() - began_on_cpu).max(TICK));
                    break;
                }
            }
            last = Some((size, best));
            times.push(Some(best));
        }
        Self { times, longest }
    }

    /// The exponent of the growth over the sizes that take long enough to tell.
    fn exponent(&self) -> Option<f64> {
        let points: Vec<_> = SIZES
            .iter()
            .zip(&self.times)
            .filter_map(|(size, time)| Some((*size as f64, (*time)?)))
            .filter(|(size, time)| *size >= STEADY as f64 && *time >= NOISE)
            .map(|(size, time)| (size.ln(), time.as_secs_f64().ln()))
            .collect();
        // The slope of the line that fits best.
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let covariance: f64 = points
            .iter()
            .map(|point| (point.0 - x) * (point.1 - y))
            .sum();
        let variance: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
        (points.len() > 1).then(|| covariance / variance)
    }

    fn line(&self, kind: &str, way: &str) -> String {
        let mut line = format!("{kind:34} {way:8}");
        for time in &self.times {
            match time {
                Some(time) => write!(line, " {:>10.2}", time.as_secs_f64() * 1000.0),
                None => write!(line, " {:>10}", "-"),
            }
            .expect("a string takes all");
        }
        let exponent = self.exponent();
        let shown = exponent.map_or_else(|| "-".to_owned(), |exponent| format!("{exponent:.2}"));
        let mark = if exponent.is_some_and(|exponent| exponent > LINEAR) {
            "  <-- not linear"
        } else {
            ""
        };
        write!(
            line,
            " {:>10.2} {shown:>6}{mark}",
            self.longest.as_secs_f64() * 1000.0
        )
        .expect("a string takes all");
        line
    }
}

/// How long this thread has run on a processor, to some milliseconds; the time of the clock where that is not told.
fn time_on_cpu() -> Duration {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|told| told.split(' ').next()?.parse().ok())
        .map_or_else(|| BEGAN.elapsed(), Duration::from_nanos)
}

/// Renders a text as a whole, as the server does; gives how long that took.
fn at_once(text: &str) -> Duration {
    let began = Instant::now();
    black_box(html(&parse_whole(black_box(text))));
    began.elapsed()
}

/// Streams a text; gives how long its longest step took.
fn streamed(text: &str) -> Duration {
    let mut longest = Duration::ZERO;
    let mut stream = Stream::new(NoDom::default(), 0);
    let mut end = 0;
    while end < text.len() {
        end = (end + PIECE).min(text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        let began = Instant::now();
        stream.show(&text[..end]);
        longest = longest.max(began.elapsed());
    }
    let began = Instant::now();
    stream.end(text);
    longest.max(began.elapsed())
}

fn main() {
    let wanted: Vec<_> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let mut out = std::io::stdout();
    let mut say = |line: &str| {
        // Who closes the pipe wants no more.
        let _ = writeln!(out, "{line}");
    };
    let mut head = format!("{:34} {:8}", "kind", "way");
    for size in SIZES {
        write!(head, " {:>10}", format!("{} KiB", size >> 10)).expect("a string takes all");
    }
    say(&format!("{head} {:>10} {:>6}", "longest", "exp."));
    for (kind, make) in KINDS {
        if !wanted.is_empty() && !wanted.iter().any(|part| kind.contains(part.as_str())) {
            continue;
        }
        // Deep nesting needs more stack than a main thread has; its bound is not measured here.
        let lines = std::thread::scope(|scope| {
            std::thread::Builder::new()
                .stack_size(1 << 30)
                .spawn_scoped(scope, || {
                    [
                        Measured::of(make, at_once).line(kind, "at once"),
                        Measured::of(make, streamed).line(kind, "streamed"),
                    ]
                })
                .expect("a thread can be started")
                .join()
                .expect("rendering does not panic")
        });
        for line in lines {
            say(&line);
        }
    }
}
