//! The settings of the store, and the commands for it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use secrecy::SecretString;

use crate::access::command::{KeyCommand, SessionCommand, UserCommand};
use crate::store;

/// The settings of the store.
#[derive(Debug, Clone, Args)]
pub struct Saving {
    /// The folder for conversations, which are in its file `rill.db` [default: `rill` in the platform's folder
    /// for data].
    #[arg(long, env = "RILL_DATA_DIR", value_name = "FOLDER", global = true)]
    pub data_dir: Option<PathBuf>,

    /// A PostgreSQL database for conversations instead (`postgres://user@host/name`). Set a password in the
    /// environment, since others can read a process's arguments.
    #[arg(long, env = "RILL_DATABASE_URL", value_name = "URL", global = true, hide_env_values = true, value_parser = database_url)]
    pub database_url: Option<SecretString>,

    /// Whether the model writes titles of new conversations. Otherwise their first words are the titles.
    #[arg(
        long,
        env = "RILL_TITLES",
        value_name = "on|off",
        default_value = "on",
        hide_possible_values = true
    )]
    pub titles: Switch,
}

impl Saving {
    /// The settings of the store.
    #[must_use]
    pub fn store(&self) -> store::StoreSettings {
        store::StoreSettings {
            data_dir: self.data_dir.clone(),
            database_url: self.database_url.clone(),
        }
    }
}

/// A switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Enabled.
    On,
    /// Disabled.
    Off,
}

/// A command to run instead of the server.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Write a consistent copy of the database into a new file, also while Rill runs
    Backup {
        /// The file to write. It must not exist.
        file: PathBuf,
    },
    /// Verify the database, also while Rill runs
    Check,
    /// Count the conversations that --retention deletes, also while Rill runs
    Retention {
        /// Only count. The running server deletes, once an hour.
        #[arg(long)]
        dry_run: bool,
    },
    /// Let the running server read rill.toml, .env and keys again
    Reload,
    /// Ask the running server whether it can take and save messages
    Health,
    /// Examine configuration, upstreams, store, proxy and clock, and say what to do
    Doctor,
    /// Invite people, list them, and change their accounts
    #[command(subcommand)]
    User(UserCommand),
    /// List and revoke sessions
    #[command(subcommand)]
    Session(SessionCommand),
    /// Make, list and revoke keys for programs
    #[command(subcommand)]
    Key(KeyCommand),
    /// Print the record of what was done with accounts
    Audit {
        /// How far back.
        #[arg(long, value_name = "TIME", default_value = "30d", value_parser = humantime::parse_duration)]
        since: Duration,
    },
}

fn database_url(text: &str) -> Result<SecretString, String> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        Ok(SecretString::from(text))
    } else {
        Err("write a URL as postgres://user@host/name".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use clap::Parser;

    fn parse(arguments: &[&str]) -> Result<Config, String> {
        Config::try_parse_from(std::iter::once("rill").chain(arguments.iter().copied()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_folder_may_stand_before_or_after_a_command() {
        for arguments in [["--data-dir", "d", "check"], ["check", "--data-dir", "d"]] {
            let config = parse(&arguments).expect("valid");
            assert_eq!(config.saving.data_dir, Some(PathBuf::from("d")));
            assert_eq!(config.command, Some(Command::Check));
        }
    }

    #[test]
    fn a_database_is_named_by_a_url_that_is_never_printed() {
        let config = parse(&["--database-url", "postgres://u:SECRET@h/d"]).expect("valid");
        assert!(!format!("{config:?}").contains("SECRET"));
        assert!(parse(&["--database-url", "mysql://h/d"]).is_err());
    }

    #[test]
    fn titles_can_be_turned_off() {
        assert_eq!(parse(&[]).expect("valid").saving.titles, Switch::On);
        let off = parse(&["--titles", "off"]).expect("valid");
        assert_eq!(off.saving.titles, Switch::Off);
    }
}
