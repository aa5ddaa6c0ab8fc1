//! The binary `rill`: configuration, log, state, listen, shut down. The table of contents of the
//! program, and the only place that reads the environment.

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use server::config::Config;
use server::state::AppState;
use server::{listen, router};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let config = match read_config() {
        Ok(config) => config,
        Err(error) => error.exit(),
    };
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")),
        )
        .with_writer(std::io::stderr)
        .init();
    match run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            tracing::error!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

/// Flags win over the environment, and that over `.env`.
fn read_config() -> Result<Config, clap::Error> {
    let invalid =
        |message: String| Config::command().error(clap::error::ErrorKind::ValueValidation, message);
    match dotenvy::dotenv() {
        Err(error) if !error.not_found() => {
            return Err(invalid(format!(".env cannot be read: {error}")));
        }
        _ => {}
    }
    let variable = |name| std::env::var(name).ok();
    Config::from_arg_matches(&Config::command().get_matches())?
        .with_upstream(
            variable("OPENAI_BASE_URL").as_deref(),
            variable("OPENAI_API_KEY").as_deref(),
        )
        .map_err(invalid)
}

async fn run(config: Config) -> Result<(), String> {
    let listener = TcpListener::bind(config.listen).await.map_err(|error| {
        format!(
            "cannot listen on {}: {error}; choose another with --listen",
            config.listen
        )
    })?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let state = AppState::new(config)
        .await
        .map_err(|error| error.to_string())?;
    let server = tokio::spawn(listen::serve(
        listener,
        router(state.clone()),
        state.drain.clone(),
    ));
    tracing::info!("Rill is at http://{address}");
    if state.page.demo {
        tracing::info!("no OPENAI_API_KEY and no OPENAI_BASE_URL: the built-in demo answers");
    }
    stop_signal().await;
    tokio::select! {
        () = shut_down(&state, server) => {}
        () = stop_signal() => tracing::warn!("stopped at once"),
    }
    Ok(())
}

/// Lets the running replies finish, then ends them, then waits for their last bytes to leave.
async fn shut_down(state: &AppState, server: tokio::task::JoinHandle<()>) {
    state.drain.cancel();
    state.replies.close();
    let drain = state.config.drain_timeout;
    tracing::info!(replies = state.replies.len(), "stopping");
    if timeout(drain, state.replies.wait()).await.is_err() {
        state.shutdown.cancel();
        state.replies.wait().await;
    }
    let _ = timeout(std::time::Duration::from_secs(1), server).await;
}

/// Ctrl-C or SIGTERM.
async fn stop_signal() {
    let mut terminate = signal(SignalKind::terminate()).expect("a signal handler can be set");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
