//! A histogram of atomic counters.
//!
//! The histogram of `prometheus-client` takes a lock for each value. This one adds to two atomic counters: that
//! of the bucket, and the sum as a whole number. A reader may see the sum of a value before its bucket, which
//! Prometheus tolerates.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::family::MetricConstructor;
use prometheus_client::metrics::{MetricType, TypedMetric};

/// The upper limits of buckets, ascending, and what they are counted in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Buckets {
    limits: &'static [u64],
    /// How many counted units are one limit.
    units_of_limit: u64,
    /// How many counted units are one of the metric's.
    units: f64,
}

const NANOSECONDS_OF_MILLISECOND: u64 = 1_000_000;

impl Buckets {
    /// Buckets for times, with limits in milliseconds. They are counted in nanoseconds and told in seconds.
    pub(crate) const fn seconds(milliseconds: &'static [u64]) -> Self {
        Self {
            limits: milliseconds,
            units_of_limit: NANOSECONDS_OF_MILLISECOND,
            units: 1e9,
        }
    }

    /// Buckets for numbers.
    pub(crate) const fn counts(limits: &'static [u64]) -> Self {
        Self {
            limits,
            units_of_limit: 1,
            units: 1.0,
        }
    }
}

/// A histogram. Clones count into the same buckets.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    buckets: Buckets,
    /// One for each limit, and one for what is above all of them.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// Makes the histograms of a family.
#[derive(Debug, Clone)]
pub(crate) struct NewHistogram(pub(crate) Buckets);

impl MetricConstructor<Histogram> for NewHistogram {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0)
    }
}

/// A histogram that nobody reads, for times.
impl Default for Histogram {
    fn default() -> Self {
        Self::new(Buckets::seconds(&[]))
    }
}

impl Histogram {
    pub(crate) fn new(buckets: Buckets) -> Self {
        let counts = (0..=buckets.limits.len()).map(|_| AtomicU64::new(0));
        Self(Arc::new(Counts {
            buckets,
            counts: counts.collect(),
            sum: AtomicU64::new(0),
        }))
    }

    /// Counts a time.
    pub fn observe_time(&self, time: Duration) {
        self.observe(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Counts a value, in the counted unit: nanoseconds or a number.
    pub fn observe(&self, value: u64) {
        let Counts {
            buckets,
            counts,
            sum,
        } = &*self.0;
        let at = buckets
            .limits
            .partition_point(|limit| limit * buckets.units_of_limit < value);
        counts[at].fetch_add(1, Ordering::Relaxed);
        sum.fetch_add(value, Ordering::Relaxed);
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Counts {
            buckets,
            counts,
            sum,
        } = &*self.0;
        let told = |value: u64| value as f64 / buckets.units;
        let limits = buckets.limits.iter();
        let limits = limits.map(|limit| told(limit * buckets.units_of_limit));
        let counts: Vec<(f64, u64)> = limits
            .chain([f64::INFINITY])
            .zip(counts.iter().map(|count| count.load(Ordering::Relaxed)))
            .collect();
        let count = counts.iter().map(|(_, count)| count).sum();
        let sum = told(sum.load(Ordering::Relaxed));
        encoder.encode_histogram::<NoLabelSet>(sum, count, &counts, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text;
    use prometheus_client::registry::Registry;
    use proptest::prelude::*;

    const LIMITS: Buckets = Buckets::seconds(&[1, 10, 100]);

    fn written(histogram: &Histogram) -> String {
        let mut registry = Registry::default();
        registry.register("h", "help", histogram.clone());
        let mut text = String::new();
        text::encode(&mut text, &registry).expect("a string");
        text
    }

    #[test]
    fn a_limit_belongs_to_the_bucket_below_it() {
        let check = |time: Duration, limit: &str| {
            let histogram = Histogram::new(LIMITS);
            histogram.observe_time(time);
            let text = written(&histogram);
            let first = text
                .lines()
                .find(|line| line.contains("le=") && line.ends_with(" 1"));
            let expected = format!("h_bucket{{le=\"{limit}\"}} 1");
            assert_eq!(first, Some(expected.as_str()), "{time:?}: {text}");
        };
        check(Duration::ZERO, "0.001");
        check(Duration::from_millis(1), "0.001");
        check(Duration::from_nanos(1_000_001), "0.01");
        check(Duration::from_millis(100), "0.1");
        check(Duration::from_millis(101), "+Inf");
        check(Duration::MAX, "+Inf");
    }

    proptest! {
        #[test]
        fn the_last_bucket_is_the_count_and_none_is_below_the_one_before(
            values in proptest::collection::vec(0_u64..1_000_000_000, 0..50)
        ) {
            let histogram = Histogram::new(LIMITS);
            for value in &values {
                histogram.observe(*value);
            }
            let text = written(&histogram);
            let samples = |name: &str| -> Vec<f64> {
                let lines = text.lines().filter(|line| line.starts_with(name));
                lines.map(|line| line.rsplit(' ').next().expect("a value").parse().expect("a number")).collect()
            };
            let buckets = samples("h_bucket");
            prop_assert!(buckets.is_sorted());
            prop_assert_eq!(buckets.last().copied(), Some(values.len() as f64));
            prop_assert_eq!(samples("h_count"), vec![values.len() as f64]);
            let sum = values.iter().sum::<u64>() as f64 / 1e9;
            prop_assert!((samples("h_sum")[0] - sum).abs() < 1e-9);
        }
    }
}
