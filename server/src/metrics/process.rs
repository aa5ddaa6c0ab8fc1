//! The process itself, read from `/proc` when the metrics are read. Other systems than Linux have only the time
//! of the start.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;

/// Reads the process.
#[derive(Debug)]
pub(super) struct Process {
    /// When it started, in seconds since 1970.
    started: f64,
}

impl Process {
    /// The process, which starts about now.
    pub(super) fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            started: now.map_or(0.0, |time| time.as_secs_f64()),
        }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut gauge = |name: &str, help: &str, value: Option<f64>| {
            let Some(value) = value else {
                return Ok(());
            };
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        gauge(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970",
            Some(self.started),
        )?;
        gauge(
            "process_resident_memory_bytes",
            "Resident memory",
            resident_bytes(),
        )?;
        gauge(
            "process_open_fds",
            "Open file descriptors",
            open_descriptors(),
        )?;
        gauge(
            "process_max_fds",
            "The most open file descriptors",
            most_descriptors(),
        )
    }
}

/// The resident memory, in bytes. The file has it in KiB.
fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

fn open_descriptors() -> Option<f64> {
    // One of them reads the folder.
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count() as f64 - 1.0)
}

fn most_descriptors() -> Option<f64> {
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    Some(most as f64)
}
