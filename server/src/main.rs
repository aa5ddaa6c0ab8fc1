//! The binary `rill`: configuration, log, state, server, shutdown. It is the table of contents of the program
//! and the only place that reads the environment.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches};
use sd_notify::NotifyState;
use server::access::command::{AccountCommand, ServerAddress, UserCommand};
use server::access::{self, Mode};
use server::config::{Command, Config, FILE, LogFormat};
use server::doctor;
use server::http::state::AppState;
use server::http::tls::Tls;
use server::http::workers::Workers;
use server::http::{descriptors, export_to_file, listen, metrics, router};
use server::store;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (variables, flags, config) = match read_config() {
        Ok(read) => read,
        Err(error) => error.exit(),
    };
    start_log(config.observing.log_format);
    let done = match &config.command {
        None => run(variables, flags, config).await,
        Some(Command::Backup { file }) => say(store::backup(&config.saving.store(), file).await),
        Some(Command::Check) => say(store::check(&config.saving.store()).await),
        Some(Command::Retention { dry_run }) => say(count_unused(&config, *dry_run).await),
        Some(Command::Reload) => say(signal_reload(&config)),
        Some(Command::Health) => say(doctor::health(&config).await),
        Some(Command::Doctor) => say(examine(&config).await),
        Some(Command::User(command)) => {
            say(account(&config, AccountCommand::User(command.clone())).await)
        }
        Some(Command::Session(command)) => {
            say(account(&config, AccountCommand::Session(command.clone())).await)
        }
        Some(Command::Key(command)) => {
            say(account(&config, AccountCommand::Key(command.clone())).await)
        }
        Some(Command::Audit { since }) => {
            say(account(&config, AccountCommand::Audit(*since)).await)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            tracing::error!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

/// Begins to log to standard error. There are colours only on a terminal, and not where `NO_COLOR` forbids them.
fn start_log(format: Option<LogFormat>) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        Some(LogFormat::Json) => log.json().flatten_event(true).init(),
        Some(LogFormat::Text) | None => {
            let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            let has_color = std::io::stderr().is_terminal() && !no_color;
            log.with_ansi(has_color).init();
        }
    }
}

/// Counts what the configured retention would delete.
async fn count_unused(config: &Config, is_dry_run: bool) -> Result<String, String> {
    let Some(kept) = config.retention.conversations else {
        return Err("conversations are kept for ever: set --retention".to_owned());
    };
    if !is_dry_run {
        return Err(
            "the running server deletes, once an hour: see with --dry-run what it would be"
                .to_owned(),
        );
    }
    let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
    store::count_unused(&config.saving.store(), store::now().saturating_sub(kept)).await
}

/// The findings of `rill doctor`, a line each. An error if something is wrong.
async fn examine(config: &Config) -> Result<String, String> {
    let findings = doctor::examine(config).await;
    let lines: Vec<String> = findings.iter().map(doctor::Finding::line).collect();
    let lines = lines.join("\n");
    let wrong = findings
        .iter()
        .filter(|finding| finding.grade == doctor::Grade::Wrong);
    match wrong.count() {
        0 => Ok(lines),
        count => {
            say(Ok(lines))?;
            Err(format!("{count} of {} findings are wrong", findings.len()))
        }
    }
}

/// Runs a command for accounts on the database, also while a server uses it.
async fn account(config: &Config, command: AccountCommand) -> Result<String, String> {
    let store = Arc::new(store::open_beside(&config.saving.store()).await?);
    if let AccountCommand::User(UserCommand::Delete {
        email,
        export: Some(file),
    }) = &command
    {
        export_to_file(&store, email, file).await?;
    }
    let address = ServerAddress {
        address: config.address(),
        is_named: config.public_url.is_some(),
    };
    let done = access::command::run(command, &store, &address).await;
    store.close().await;
    done
}

/// Writes the result of a command to standard output.
#[expect(clippy::print_stdout, reason = "it is what the command is for")]
fn say(done: Result<String, String>) -> Result<(), String> {
    println!("{}", done?);
    Ok(())
}

/// The variables of the environment and those of `.env`, which is read again for a reload.
struct Variables {
    /// The names that the environment had before `.env` was read.
    own: HashSet<OsString>,
}

impl Variables {
    /// Reads `.env` into the environment, for flags that have a variable.
    fn load() -> Result<Self, String> {
        let own = std::env::vars_os().map(|(name, _)| name).collect();
        match dotenvy::dotenv() {
            Err(error) if !error.not_found() => Err(format!(".env cannot be read: {error}")),
            _ => Ok(Self { own }),
        }
    }

    /// The variables of `.env` as it is now.
    fn of_file() -> Result<HashMap<String, String>, String> {
        let unreadable = |error| format!(".env cannot be read: {error}");
        match dotenvy::dotenv_iter() {
            Ok(lines) => lines.collect::<Result<_, _>>().map_err(unreadable),
            Err(error) if error.not_found() => Ok(HashMap::new()),
            Err(error) => Err(unreadable(error)),
        }
    }

    /// Adds file and environment to the flags. The environment overrides `.env`.
    fn complete(&self, config: Config) -> Result<Config, String> {
        let in_file = Self::of_file()?;
        let variable = |name: &str| {
            if self.own.contains(OsStr::new(name)) {
                std::env::var(name).ok()
            } else {
                in_file.get(name).cloned()
            }
        };
        let (path, is_named) = match &config.config {
            Some(path) => (path.clone(), true),
            None => (FILE.into(), false),
        };
        let config = match std::fs::read_to_string(&path) {
            Ok(text) => config.with_file(&path, &text, &variable)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_named => config,
            Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
        };
        let config = config.with_environment(&variable)?;
        config.check_access()?;
        Ok(config)
    }
}

/// Reads the configuration: the flags alone, and completed.
fn read_config() -> Result<(Variables, Config, Config), clap::Error> {
    let invalid =
        |message: String| Config::command().error(clap::error::ErrorKind::ValueValidation, message);
    let variables = Variables::load().map_err(invalid)?;
    let flags = Config::from_arg_matches(&Config::command().get_matches())?;
    let config = variables.complete(flags.clone()).map_err(invalid)?;
    Ok((variables, flags, config))
}

/// Reads file and keys again. A mistake changes nothing.
async fn reload(state: &AppState, variables: &Variables, flags: &Config) {
    let config = match variables.complete(flags.clone()) {
        Ok(config) => config,
        Err(sentence) => {
            return tracing::error!("nothing was changed, because of a mistake: {sentence}");
        }
    };
    match state.reload(config).await {
        Ok(needs_restart) => {
            tracing::info!("the configuration was read again");
            tell_upstreams(state);
            for what in needs_restart {
                tracing::warn!("a change of {what} needs a restart");
            }
            state.look_for_ollama().await;
        }
        Err(error) => tracing::error!("nothing was changed, because of a mistake: {error}"),
    }
}

/// Lets the running server read its configuration again. It has no mistake, since it was just read.
fn signal_reload(config: &Config) -> Result<String, String> {
    let process = store::running_process(&config.saving.store())?;
    let pid = rustix::process::Pid::from_raw(process).ok_or("the lock names no process.")?;
    rustix::process::kill_process(pid, rustix::process::Signal::HUP)
        .map_err(|error| format!("the process {process} cannot be signalled: {error}."))?;
    Ok(format!(
        "Rill (process {process}) reads its configuration again. Its log says what it uses now."
    ))
}

async fn run(variables: Variables, flags: Config, config: Config) -> Result<(), String> {
    let mut stop = StopSignals::listen();
    let mut hangup = signal(SignalKind::hangup()).expect("a signal handler can be set");
    let has_terminal = std::io::stderr().is_terminal();
    descriptors::raise();
    choose_temporary_folder(&config);
    let tls = config.tls.files()?.map(|(cert, key)| Tls::load(cert, key));
    let tls = tls.transpose()?.map(Arc::new);
    let (listener, address) = bind(config.listen, "--listen").await?;
    let for_metrics = match config.observing.metrics_listen {
        Some(address) => Some(bind(address, "--metrics-listen").await?),
        None => None,
    };
    let state = AppState::new(config)
        .await
        .map_err(|error| error.to_string())?;
    // The threads also make the replies that nobody reads, and hold connections to the database. So they must outlive
    // the last connection of a client, and the store.
    let workers = Workers::start().map_err(|error| format!("cannot start threads: {error}"))?;
    let workers = Arc::new(workers);
    let server = tokio::spawn(listen::serve_by(
        tls.clone(),
        listener,
        router(state.clone()),
        state.max_connections,
        Arc::clone(&workers),
        state.drain.clone(),
    ));
    tracing::info!("Rill is at {}://{address}", state.config.scheme());
    if let Some(sentence) = state.access.missing_admin().await {
        tracing::warn!("{sentence}");
    }
    tell_settings(&state);
    // Metrics are served to the end, also while replies finish.
    let end = CancellationToken::new();
    let _end = end.clone().drop_guard();
    if let Some((listener, address)) = for_metrics {
        let router = metrics::router(state.clone());
        let most = metrics::MOST_CONNECTIONS;
        let workers = Arc::clone(&workers);
        tokio::spawn(listen::serve(listener, router, most, workers, end));
        tracing::info!("metrics are at http://{address}/metrics");
    }
    tokio::spawn(find_upstreams(state.clone()));
    tokio::spawn(look_at_provider(state.clone()));
    if let Some(tls) = &tls {
        tokio::spawn(Arc::clone(tls).watch(state.drain.clone()));
    }
    tell_systemd(NotifyState::Ready);
    loop {
        tokio::select! {
            () = stop.next() => break,
            _ = hangup.recv() => {}
        }
        // The signal also comes when the terminal is closed.
        if has_terminal && !std::io::stderr().is_terminal() {
            break;
        }
        reload(&state, &variables, &flags).await;
        if let Some(Err(sentence)) = tls.as_ref().map(|tls| tls.reload()) {
            tracing::error!("the certificate before stays in use: {sentence}");
        }
    }
    tokio::select! {
        () = shut_down(&state, server) => {}
        () = stop.next() => tracing::warn!("stopped at once"),
    }
    let _ = timeout(Duration::from_secs(2), state.store.close()).await;
    state.flush_traces().await;
    drop(workers);
    Ok(())
}

/// Where the system has no folder for temporary files, as in an empty container, they are kept beside the conversations.
/// SQLite then needs none, see `store`.
fn choose_temporary_folder(config: &Config) {
    if let Some(folder) = &config.saving.data_dir
        && !std::env::temp_dir().is_dir()
        && let Err(folder) = tempfile::env::override_temp_dir(folder)
    {
        tracing::warn!("temporary files are in {}", folder.display());
    }
}

/// Tells systemd, if it has started this process and waits for it (`Type=notify`).
fn tell_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd was not told");
    }
}

/// Listens on an address, which this flag chooses.
async fn bind(address: SocketAddr, flag: &str) -> Result<(TcpListener, SocketAddr), String> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        format!("cannot listen on {address}: {error}; choose another with {flag}")
    })?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    Ok((listener, address))
}

/// A line for each thing that was decided.
fn tell_settings(state: &AppState) {
    let mode = match state.config.access_settings().mode {
        Mode::Local => "one person on this machine uses it, without signing in",
        Mode::Accounts => "people sign in with accounts",
        Mode::Proxy => "a proxy signs people in",
    };
    tracing::info!("{mode}");
    if let Some(traces) = &state.config.traces {
        tracing::info!("traces are sent to {}", traces.collector());
    }
    tell_upstreams(state);
}

fn tell_upstreams(state: &AppState) {
    for upstream in state.upstreams.described() {
        tracing::info!("{upstream}");
    }
    tracing::info!("the default model is {}", state.upstreams.default_model());
}

/// Looks for a local Ollama in the background.
async fn find_upstreams(state: AppState) {
    state.look_for_ollama().await;
    if state.upstreams.is_demo() {
        tracing::info!("neither a key nor a base URL nor rill.toml: the built-in demo answers");
    }
}

/// Looks whether people can sign in by OpenID Connect, so that an admin reads early what is wrong.
async fn look_at_provider(state: AppState) {
    let Some(openid) = state.access.openid() else {
        return;
    };
    let name = &openid.settings().name;
    match openid.look().await {
        Ok(()) => tracing::info!("people can sign in by OpenID Connect with {name}"),
        Err(failure) => tracing::warn!("OpenID Connect with {name}: {failure}"),
    }
}

/// Lets running replies finish, then ends them, then waits until their last bytes were sent.
async fn shut_down(state: &AppState, server: tokio::task::JoinHandle<()>) {
    tell_systemd(NotifyState::Stopping);
    state.drain.cancel();
    state.tasks.close();
    let drain = state.config.drain_timeout;
    tracing::info!(replies = state.tasks.len(), "stopping");
    if timeout(drain, state.tasks.wait()).await.is_err() {
        state.shutdown.cancel();
        state.tasks.wait().await;
    }
    let _ = timeout(Duration::from_secs(1), server).await;
}

/// Ctrl-C and SIGTERM. Both handlers are installed once, so that no signal is missed between two waits.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn listen() -> Self {
        let listen = |kind| signal(kind).expect("a signal handler can be set");
        Self {
            terminate: listen(SignalKind::terminate()),
            interrupt: listen(SignalKind::interrupt()),
        }
    }

    /// Waits for the next signal.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
