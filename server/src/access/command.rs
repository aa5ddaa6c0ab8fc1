//! The commands for accounts: `rill user`, `rill session`, `rill key` and `rill audit`.
//!
//! They work on the database itself, also while a server uses it: whoever may read and write the database is let in by
//! that, and nothing else listens for commands. The server notices each change within a second (see `super::live`).

use std::time::{Duration, UNIX_EPOCH};

use clap::Subcommand;

use super::accounts::{Actor, Refused, change, create_key, invite, reset};
use super::email::AccountName;
use super::person::{Role, Scope};
use crate::store::people::{PeopleChange, StoredPerson};
use crate::store::{Store, now};

/// A command for people.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum UserCommand {
    /// Print a link by which one person joins, once, within 24 hours
    Invite {
        /// The email of the person.
        email: String,
        /// Make the person an admin, who lets others in.
        #[arg(long)]
        admin: bool,
    },
    /// List the people
    List,
    /// Sign a person out everywhere and keep the person out
    Disable {
        /// The email of the person.
        email: String,
    },
    /// Let a disabled person in again
    Enable {
        /// The email of the person.
        email: String,
    },
    /// Print a link by which a person sets a new password, once, within 24 hours
    Reset {
        /// The email of the person.
        email: String,
    },
    /// Make a person a member or an admin
    Role {
        /// The email of the person.
        email: String,
        /// The role: member or admin.
        role: Role,
    },
    /// Delete a person with all conversations, sessions and keys
    Delete {
        /// The email of the person.
        email: String,
        /// First write the conversations into this new file, which Rill can import.
        #[arg(long, value_name = "FILE")]
        export: Option<std::path::PathBuf>,
    },
    /// Give a person the conversations of the time without accounts
    Adopt {
        /// The email of the person.
        email: String,
    },
}

/// A command for sessions.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum SessionCommand {
    /// List the signed-in devices of a person
    List {
        /// The email of the person.
        email: String,
    },
    /// Sign a person out on all devices, or on one
    Revoke {
        /// The email of the person.
        email: String,
        /// The id of the session.
        id: Option<String>,
    },
}

/// A command for keys of programs.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum KeyCommand {
    /// Make a key and print it; it cannot be shown again
    Create {
        /// The email of the person.
        email: String,
        /// What the key is for.
        name: String,
        /// What it may be used for.
        #[arg(long, value_delimiter = ',', default_value = "chat,models")]
        scope: Vec<Scope>,
        /// For how long it is valid, such as 90d [default: until it is revoked].
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        expires: Option<Duration>,
    },
    /// List the keys of a person
    List {
        /// The email of the person.
        email: String,
    },
    /// Revoke a key
    Revoke {
        /// The email of the person.
        email: String,
        /// The id of the key.
        id: String,
    },
}

/// Any of these commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountCommand {
    /// For people.
    User(UserCommand),
    /// For sessions.
    Session(SessionCommand),
    /// For keys.
    Key(KeyCommand),
    /// Prints the record of this time.
    Audit(Duration),
}

/// The address of the server, as a command knows it.
#[derive(Debug, Clone)]
pub struct ServerAddress {
    /// The address that people open.
    pub address: String,
    /// Whether the configuration names it. Else it is where the server would listen.
    pub is_named: bool,
}

/// Runs a command. `address` is the one that people open. Returns what to print.
///
/// # Errors
/// A sentence.
pub async fn run(
    command: AccountCommand,
    store: &Store,
    address: &ServerAddress,
) -> Result<String, String> {
    let done = match command {
        AccountCommand::User(command) => user(command, store, address).await,
        AccountCommand::Session(command) => session(command, store).await,
        AccountCommand::Key(command) => key(command, store).await,
        AccountCommand::Audit(since) => audit(since, store).await,
    };
    done.map_err(|refused| refused.to_string())
}

/// The person with this email.
async fn person(store: &Store, email: &str) -> Result<StoredPerson, Refused> {
    let name = AccountName::any(email).ok_or(Refused::NotFound)?;
    match store
        .person_by_email(&name.name)
        .await
        .map_err(Refused::from)
    {
        Err(Refused::NotFound) => Err(Refused::Sentence(format!(
            "There is no person with the email {}: see rill user list.",
            name.name
        ))),
        found => found,
    }
}

async fn user(command: UserCommand, store: &Store, at: &ServerAddress) -> Result<String, Refused> {
    let actor = Actor::command_line();
    let address = &at.address;
    let hint = match at.is_named {
        true => "",
        false => {
            "\nThe address is that of --listen. If the server has another one, give this command the same --listen or \
             --public-url."
        }
    };
    let link = |secret: String| {
        format!(
            "{address}/invite/{secret}\nThe link works once, for 24 hours. Send it to the person alone.{hint}"
        )
    };
    let (email, what, change, done): (_, _, fn(String) -> PeopleChange, &str) = match &command {
        UserCommand::Invite { email, admin } => {
            let role = if *admin { Role::Admin } else { Role::Member };
            return invite(store, &actor, email, role).await.map(link);
        }
        UserCommand::Reset { email } => {
            let email = person(store, email).await?.email;
            return reset(store, &actor, &email).await.map(link);
        }
        UserCommand::List => return list(store).await,
        UserCommand::Disable { email } => (
            email,
            "disabled",
            |person| PeopleChange::SetDisabled {
                person,
                disabled: true,
            },
            "is signed out everywhere and kept out",
        ),
        UserCommand::Enable { email } => (
            email,
            "enabled",
            |person| PeopleChange::SetDisabled {
                person,
                disabled: false,
            },
            "may sign in again",
        ),
        UserCommand::Role {
            email,
            role: Role::Admin,
        } => (
            email,
            "changed the role",
            |person| PeopleChange::SetRole {
                person,
                role: Role::Admin.as_str().to_owned(),
            },
            "is an admin now and signs in again",
        ),
        UserCommand::Role {
            email,
            role: Role::Member,
        } => (
            email,
            "changed the role",
            |person| PeopleChange::SetRole {
                person,
                role: Role::Member.as_str().to_owned(),
            },
            "is a member now and signs in again",
        ),
        UserCommand::Delete { email, .. } => (
            email,
            "deleted",
            |person| PeopleChange::Delete { person },
            "is deleted. The conversations are removed within an hour while the server runs",
        ),
        UserCommand::Adopt { email } => (
            email,
            "adopted the conversations without accounts",
            |person| PeopleChange::Adopt { person },
            "has the conversations of the time without accounts now",
        ),
    };
    let person = person(store, email).await?;
    self::change(store, what, &actor, &person.email, change(person.id)).await?;
    Ok(format!("{} {done}.", person.email))
}

async fn list(store: &Store) -> Result<String, Refused> {
    let people = store.people().await?;
    if people.is_empty() {
        return Ok("There is nobody yet: rill user invite EMAIL --admin".to_owned());
    }
    let line = |person: &StoredPerson| {
        let state = if person.disabled_at.is_some() {
            "  disabled"
        } else {
            ""
        };
        format!(
            "{}  {}  since {}{state}",
            person.email,
            person.role,
            day(person.created_at)
        )
    };
    Ok(people.iter().map(line).collect::<Vec<_>>().join("\n"))
}

async fn session(command: SessionCommand, store: &Store) -> Result<String, Refused> {
    let (SessionCommand::List { email } | SessionCommand::Revoke { email, .. }) = &command;
    let person = person(store, email).await?;
    let SessionCommand::Revoke { id, .. } = command else {
        let sessions = store.sessions_of(&person.id).await?;
        let lines = sessions.iter().map(|session| {
            let (seen, address) = (time(session.seen_at), &session.address);
            format!(
                "{}  last used {seen} from {address}  {}",
                session.id,
                printable(&session.agent)
            )
        });
        return Ok(lines.collect::<Vec<_>>().join("\n"));
    };
    let ended = match id {
        Some(id) => PeopleChange::EndSession {
            person: person.id,
            id,
        },
        None => PeopleChange::EndSessions {
            person: person.id,
            except: None,
        },
    };
    change(
        store,
        "revoked sessions",
        &Actor::command_line(),
        &person.email,
        ended,
    )
    .await?;
    Ok(format!("{} is signed out.", person.email))
}

async fn key(command: KeyCommand, store: &Store) -> Result<String, Refused> {
    let actor = Actor::command_line();
    let (KeyCommand::Create { email, .. }
    | KeyCommand::List { email }
    | KeyCommand::Revoke { email, .. }) = &command;
    let person = person(store, email).await?;
    match command {
        KeyCommand::Create {
            name,
            scope,
            expires,
            ..
        } => create_key(store, &actor, &person.id, &name, &scope, expires).await,
        KeyCommand::List { .. } => {
            let keys = store.keys_of(&person.id).await?;
            let lines = keys.iter().map(|key| {
                let scopes: Vec<String> = serde_json::from_str(&key.scopes).unwrap_or_default();
                let seen = key.seen_at.map_or("never".to_owned(), time);
                let name = printable(&key.name);
                format!("{}  {name}  {}  last used {seen}", key.id, scopes.join(","))
            });
            Ok(lines.collect::<Vec<_>>().join("\n"))
        }
        KeyCommand::Revoke { id, .. } => {
            let revoked = PeopleChange::RevokeKey {
                person: person.id,
                id,
            };
            change(store, "revoked a key", &actor, &person.email, revoked).await?;
            Ok("The key is revoked.".to_owned())
        }
    }
}

async fn audit(since: Duration, store: &Store) -> Result<String, Refused> {
    let since = now().saturating_sub(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    let mut records = store.audit_since(since, i64::MAX).await?;
    records.reverse();
    let lines = records.iter().map(|record| {
        let from = match record.address.as_str() {
            "" => String::new(),
            address => format!(" from {}", printable(address)),
        };
        let (at, actor, subject) = (
            time(record.at),
            printable(&record.actor),
            printable(&record.subject),
        );
        format!("{at}  {actor}  {}  {subject}{from}", record.what)
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// Text of a person without what a terminal takes for commands.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn time(at: i64) -> String {
    let time = UNIX_EPOCH + Duration::from_millis(u64::try_from(at).unwrap_or(0));
    humantime::format_rfc3339_seconds(time).to_string()
}

fn day(at: i64) -> String {
    time(at).chars().take(10).collect()
}
