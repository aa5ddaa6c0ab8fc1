//! The real program in a process of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::client;
use crate::world::World;

/// How long a start may take. After a kill the store is recovered first.
const START: Duration = Duration::from_secs(30);

/// The program, running or not.
pub(crate) struct Program {
    binary: PathBuf,
    flags: Vec<String>,
    address: SocketAddr,
    data: PathBuf,
    provider: SocketAddr,
    log: PathBuf,
    child: Option<Child>,
}

/// What a process uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) descriptors: usize,
    /// Resident bytes.
    pub(crate) memory: usize,
}

impl Program {
    pub(crate) fn new(data: &Path, provider: SocketAddr) -> Self {
        let binary = std::env::var_os("RILL_BIN")
            .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_rill")), PathBuf::from);
        // The same port after each start, so that readers find it again.
        let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = port.local_addr().expect("it is bound");
        Self {
            flags: flags(&binary),
            binary,
            address,
            data: data.to_owned(),
            provider,
            log: std::env::temp_dir().join(format!("rill-soak-{}.log", std::process::id())),
            child: None,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts it and waits until it answers.
    pub(crate) async fn start(&mut self) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .expect("a log");
        let child = Command::new(&self.binary)
            .env_clear()
            .current_dir(std::env::temp_dir())
            .env("OPENAI_BASE_URL", format!("http://{}/v1", self.provider))
            .env("OPENAI_API_KEY", "sk-soak")
            .env("RILL_DATA_DIR", &self.data)
            .env("RUST_LOG", "error")
            .args(["--listen", &self.address.to_string()])
            .args(["--ollama", "off", "--titles", "off"])
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn();
        self.child = Some(child.expect("the program starts"));
        let begun = Instant::now();
        while client::get(self.address, "/healthz").await.ok() != Some(200) {
            assert!(self.is_running(), "it ended, see {}", self.log.display());
            assert!(begun.elapsed() < START, "it does not answer");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends it without a warning, as a crash does.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("it is ours");
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|child| child.try_wait().is_ok_and(|status| status.is_none()))
    }

    pub(crate) fn usage(&self) -> Usage {
        let id = self.child.as_ref().and_then(Child::id).unwrap_or_default();
        let descriptors = std::fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count);
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next()?.parse::<usize>().ok());
        Usage {
            descriptors,
            memory: kib.unwrap_or_default() * 1024,
        }
    }

    /// A panic is a violation, also where it harmed nobody.
    pub(crate) fn check_log(&self, world: &World) {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let panics = log.lines().filter(|line| line.contains("panicked"));
        for line in panics.take(5) {
            world.violated(format!("a panic: {line}"));
        }
        let _ = std::fs::remove_file(&self.log);
    }
}

/// Limits that this client would meet, which is one where many come, as far as the program has them.
fn flags(binary: &Path) -> Vec<String> {
    let help = std::process::Command::new(binary).arg("--help").output();
    let help = String::from_utf8(help.expect("it runs").stdout).unwrap_or_default();
    [
        "max-replies",
        "max-replies-per-client",
        "max-streams",
        "max-streams-per-client",
    ]
    .into_iter()
    .filter(|name| help.contains(&format!("--{name} ")))
    .map(|name| format!("--{name}=8000"))
    .collect()
}
