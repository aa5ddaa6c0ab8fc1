//! The real program in a process of its own, with only the environment variables that a test gives.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::thread::JoinHandle;

use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::scripted_upstream::ScriptedUpstream;
use super::{log, panics};

/// A running program. It is killed when it is dropped, and must not have panicked until then.
pub(crate) struct Program {
    pub(crate) address: SocketAddr,
    child: Child,
    /// The lines of its standard error, as a thread reads them.
    lines: UnboundedReceiver<String>,
    reading: Option<JoinHandle<()>>,
    log: String,
    /// Where it keeps conversations.
    pub(crate) data: Arc<TempDir>,
}

/// The exit code, the output and the log of a program that has ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// Its standard output.
    pub(crate) output: String,
    /// Its standard error.
    pub(crate) log: String,
}

impl Program {
    /// Starts it with these flags on a port of its own.
    pub(crate) async fn before(upstream: &ScriptedUpstream, arguments: &[&str]) -> Self {
        Self::over(new_folder(), upstream, arguments).await
    }

    /// Starts the program over the data of an earlier one.
    pub(crate) async fn over(
        data: Arc<TempDir>,
        upstream: &ScriptedUpstream,
        arguments: &[&str],
    ) -> Self {
        Self::start(command().args(arguments), data, upstream).await
    }

    /// Starts it so that no file that it writes can become larger than this, as if the disk were full.
    pub(crate) async fn with_file_limit(upstream: &ScriptedUpstream, kib: u32) -> Self {
        // The shell counts in blocks of 512 bytes.
        let script = format!("trap '' XFSZ; ulimit -S -f {}; exec \"$0\" \"$@\"", kib * 2);
        let mut shell = bare("sh");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_rill")]);
        Self::start(&mut shell, new_folder(), upstream).await
    }

    /// Starts it with these limits of the number of descriptors: the one that counts, and the one up to
    /// which a program may raise that itself.
    pub(crate) async fn with_descriptors(
        upstream: &ScriptedUpstream,
        (soft, hard): (u32, u32),
        arguments: &[&str],
    ) -> Self {
        let script = format!("ulimit -S -n {soft}; ulimit -H -n {hard}; exec \"$0\" \"$@\"");
        let mut shell = bare("sh");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_rill")]);
        Self::start(shell.args(arguments), new_folder(), upstream).await
    }

    /// Starts it with these variables beside the upstream's.
    pub(crate) async fn preloaded(upstream: &ScriptedUpstream, variables: &[(&str, &str)]) -> Self {
        let mut command = command();
        let command = command.envs(variables.iter().copied());
        Self::start(command, new_folder(), upstream).await
    }

    /// Starts the program without a setting for its data, which would be below `home`.
    pub(crate) async fn at_home(home: &Path, upstream: &ScriptedUpstream) -> Self {
        let mut command = command();
        let command = command
            .env("OPENAI_BASE_URL", upstream.base_url())
            .env("HOME", home)
            .env("XDG_DATA_HOME", home.join("data"));
        Self::listen(command, new_folder()).await
    }

    /// Starts the program with the log level `trace`.
    pub(crate) async fn with_trace_log(upstream: &ScriptedUpstream) -> Self {
        Self::start(command().env("RUST_LOG", "trace"), new_folder(), upstream).await
    }

    /// Starts the program with these variables and flags, and only the upstreams that they name.
    pub(crate) async fn with_variables(variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let mut command = command();
        let command = command.args(arguments).envs(variables.iter().copied());
        Self::run_on(command, new_folder()).await
    }

    async fn start(command: &mut Command, data: Arc<TempDir>, upstream: &ScriptedUpstream) -> Self {
        let command = command
            .env("OPENAI_BASE_URL", upstream.base_url())
            .env("OPENAI_API_KEY", log::KEY);
        Self::run_on(command, data).await
    }

    async fn run_on(command: &mut Command, data: Arc<TempDir>) -> Self {
        command.env("RILL_DATA_DIR", data.path());
        Self::listen(command, data).await
    }

    async fn listen(command: &mut Command, data: Arc<TempDir>) -> Self {
        let (errors, its_errors) = std::io::pipe().expect("a pipe");
        let child = command
            .args(["--listen", "127.0.0.1:0"])
            .env("RILL_TITLES", "off")
            .stderr(its_errors)
            .spawn()
            .expect("the program starts");
        // The command keeps its end of the pipe, which would never end then.
        command.stderr(Stdio::null());
        let (sender, lines) = unbounded_channel();
        let reading = std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                panics::watch_line(&line);
                // The receiver may be gone.
                let _ = sender.send(line);
            }
        });
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut program = Self {
            address: unknown,
            child,
            lines,
            reading: Some(reading),
            log: String::new(),
            data,
        };
        let line = program.logs("http://").await;
        let (_, address) = line.split_once("http://").expect("it was looked for");
        let end =
            address.find(|letter: char| !letter.is_ascii_digit() && letter != '.' && letter != ':');
        program.address = address[..end.unwrap_or(address.len())]
            .parse()
            .expect("an address");
        program
    }

    /// Waits for a line of its log that holds these words.
    pub(crate) async fn logs(&mut self, words: &str) -> String {
        while let Some(line) = self.lines.recv().await {
            self.log.push_str(&line);
            self.log.push('\n');
            if line.contains(words) {
                return line;
            }
        }
        panic!("it ended without saying {words}:\n{}", self.log);
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Takes the limit of [`Program::with_file_limit`] away, as if there were room on the disk again.
    pub(crate) fn lift_file_limit(&self) {
        let id = self.id().to_string();
        let lifted = std::process::Command::new("prlimit")
            .args(["--fsize=unlimited:", "--pid", &id])
            .status();
        assert!(lifted.expect("prlimit of util-linux").success());
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let id = self.id().to_string();
        let sent = std::process::Command::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &id])
            .status();
        assert!(sent.expect("a shell").success());
    }

    /// Kills it, as a crash or a lack of memory would.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it runs");
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> Ended {
        while let Some(line) = self.lines.recv().await {
            self.log.push_str(&line);
            self.log.push('\n');
        }
        let mut output = String::new();
        let mut stdout = self.child.stdout.take().expect("it is piped");
        stdout.read_to_string(&mut output).await.expect("text");
        let status = self.child.wait().await.expect("an end");
        Ended {
            code: status.code(),
            output,
            log: std::mem::take(&mut self.log),
        }
    }

    /// Runs it to its end with these flags and these variables.
    pub(crate) async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
        let mut command = command();
        Self::run_to_its_end(command.args(arguments).envs(variables.iter().copied())).await
    }

    /// Runs the program as an unprivileged user, because permissions do not apply to root.
    pub(crate) async fn run_without_rights(arguments: &[&str]) -> Ended {
        if !is_root() {
            return Self::run(arguments, &[]).await;
        }
        // Where it was built may be root's alone.
        let folder = new_folder();
        hand_over(folder.path(), 0o755);
        let copy = folder.path().join("rill");
        // By a program of its own: a file that this one writes cannot be run while a child of another
        // test has it open.
        let copied = Command::new("cp")
            .arg(env!("CARGO_BIN_EXE_rill"))
            .arg(&copy)
            .status()
            .await;
        assert!(copied.expect("cp").success());
        let mut command = bare(copy.to_str().expect("a name in ASCII"));
        command.uid(NOBODY).gid(NOBODY);
        Self::run_to_its_end(command.args(arguments)).await
    }

    async fn run_to_its_end(command: &mut Command) -> Ended {
        let data = new_folder();
        let output = command.env("RILL_DATA_DIR", data.path()).output().await;
        let output = output.expect("the program starts");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        let errors = text(output.stderr);
        errors.lines().for_each(panics::watch_line);
        panics::assert_none();
        Ended {
            code: output.status.code(),
            output: text(output.stdout),
            log: errors,
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.start_kill();
        if let Some(reading) = self.reading.take() {
            let read = reading.join();
            if !std::thread::panicking() {
                read.expect("it only reads");
                panics::assert_none();
            }
        }
    }
}

/// A user without rights, where root runs the tests.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    let own = std::fs::metadata("/proc/self");
    own.is_ok_and(|own| own.uid() == 0)
}

/// Gives a file or a folder to the user of [`Program::run_without_rights`], with these permissions.
pub(crate) fn hand_over(path: &Path, mode: u32) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
    }
    let rights = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(path, rights).expect("it is ours");
}

fn new_folder() -> Arc<TempDir> {
    Arc::new(TempDir::new().expect("a folder"))
}

fn command() -> Command {
    bare(env!("CARGO_BIN_EXE_rill"))
}

fn bare(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        // No setting of whoever runs the tests, from the environment or from a `.env` file.
        .env_clear()
        .current_dir(std::env::temp_dir())
        .env("NO_COLOR", "1")
        .env("RILL_OLLAMA", "off")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}
