//! Every write of the store, for the tests that let writes fail, with the rows that it needs and the rows that
//! another connection sees afterwards.

use std::time::Duration;

use app::protocol::Preset;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, query, query_scalar};

use super::{finished, piece, question, reply, settings, to_import};
use crate::store::people::{
    AuditRecord, NewInvitation, NewPerson, NewSession, PeopleChange, ProviderPerson,
};
use crate::store::{
    ImportCursor, ImportPart, LOCAL_OWNER, NewPiece, NewReply, Result, Store, TitledBy, Turn,
    new_id, open,
};

/// Every method of the store that writes, with the ways to call it. All other methods are in
/// `READS`.
pub(super) const WRITES: [(&str, &[Write]); 22] = [
    (
        "begin",
        &[
            Write::BeginConversation,
            Write::Begin,
            Write::Regenerate,
            Write::Continue,
        ],
    ),
    ("append", &[Write::Append]),
    ("finish", &[Write::Finish]),
    ("interrupt_all", &[Write::InterruptAll]),
    ("rename", &[Write::Rename]),
    ("pin", &[Write::Pin]),
    ("delete", &[Write::Delete]),
    ("restore", &[Write::Restore, Write::RestoreCut]),
    ("edit_reply", &[Write::EditReply]),
    ("fork", &[Write::Fork]),
    ("cut", &[Write::Cut, Write::CutAll]),
    ("save_preset", &[Write::SavePreset]),
    ("delete_preset", &[Write::DeletePreset]),
    ("show", &[Write::Show]),
    ("mark_read", &[Write::Read]),
    ("purge", &[Write::Purge]),
    ("expire", &[Write::Expire]),
    ("import", &[Write::Import]),
    ("finish_import", &[Write::FinishImport]),
    ("abandon_import", &[Write::AbandonImport]),
    (
        "change_people",
        &[
            Write::Invite,
            Write::Join,
            Write::Meet,
            Write::SignIn,
            Write::Disable,
            Write::DeletePerson,
            Write::Adopt,
        ],
    ),
    ("note_uses", &[Write::NoteUses]),
];

/// All ways to write.
pub(super) fn all() -> impl Iterator<Item = Write> {
    WRITES.iter().flat_map(|(_, writes)| *writes).copied()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    BeginConversation,
    Begin,
    Regenerate,
    Continue,
    Append,
    Finish,
    InterruptAll,
    Rename,
    Pin,
    Delete,
    Restore,
    RestoreCut,
    EditReply,
    Fork,
    Cut,
    CutAll,
    SavePreset,
    DeletePreset,
    Show,
    Read,
    Purge,
    Expire,
    Import,
    FinishImport,
    AbandonImport,
    Invite,
    Join,
    Meet,
    SignIn,
    Disable,
    DeletePerson,
    Adopt,
    NoteUses,
}

/// A new database of a PostgreSQL server.
pub(super) struct PostgresDatabase {
    admin: AnyConnection,
    name: String,
    pub(super) url: String,
}

impl PostgresDatabase {
    /// `None` if the variable `RILL_TEST_POSTGRES` names no server.
    pub(super) async fn create() -> Option<Self> {
        Self::create_with("").await
    }

    /// The same, with these options of `create database`.
    pub(super) async fn create_with(options: &str) -> Option<Self> {
        let server = std::env::var("RILL_TEST_POSTGRES").ok()?;
        sqlx::any::install_default_drivers();
        let mut admin = AnyConnection::connect(&server).await.expect("PostgreSQL");
        let name = format!("rill_{}", new_id().replace('-', ""));
        run(&mut admin, format!("create database {name} {options}")).await;
        Some(Self {
            admin,
            url: server.replacen("/postgres", &format!("/{name}"), 1),
            name,
        })
    }

    /// A store in this database, reached by this URL.
    pub(super) async fn open(&self, url: &str) -> Store {
        let opened = open(&settings(None, Some(url))).await;
        in_one_slice(opened.expect("a store").store)
    }

    pub(super) async fn connect(&self) -> AnyConnection {
        AnyConnection::connect(&self.url).await.expect("a database")
    }

    pub(super) async fn drop_database(mut self) {
        run(
            &mut self.admin,
            format!("drop database {} with (force)", self.name),
        )
        .await;
    }
}

pub(super) async fn run(connection: &mut AnyConnection, sql: String) {
    let done = query(AssertSqlSafe(sql)).execute(connection).await;
    done.expect("it is right");
}

/// A store that does long work in one slice, on a machine of any speed.
pub(super) fn in_one_slice(store: Store) -> Store {
    Store {
        slice: Duration::from_secs(60),
        write_limit: Duration::from_secs(60),
        ..store
    }
}

/// All rows of the tables, as another connection sees them.
pub(super) async fn rows(other: &mut AnyConnection) -> Vec<String> {
    let mut all = Vec::new();
    for sql in [
        "select id || ' ' || title || ' ' || pinned || ' ' || coalesce(deleted_at, 0) || ' ' || coalesce(leaf, '-')
             || ' ' || coalesce(import, '-') || ' ' || read_at from conversations order by id",
        "select id || ' ' || state || ' ' || coalesce(generation, '-') || ' ' || text from messages order by id",
        "select id from generations order by id",
        "select generation || ' ' || number || ' ' || text from pieces order by generation, number",
        "select email || ' ' || owner || ' ' || role || ' ' || coalesce(disabled_at, 0) || ' ' || coalesce(password, '-')
             from people order by email",
        "select issuer || ' ' || subject || ' ' || person from identities order by issuer, subject",
        "select hash || ' ' || seen_at from sessions order by hash",
        "select hash || ' ' || coalesce(used_at, 0) from invitations order by hash",
        "select what || ' ' || subject from audit order by key",
        "select owner || ' ' || content from presets order by folded",
        "select 'epoch ' || epoch from access_epoch",
    ] {
        let found: Vec<String> = query_scalar(sql).fetch_all(&mut *other).await.expect("rows");
        all.extend(found);
    }
    all
}

/// The rows without the ids and times that differ between two calls.
pub(super) fn shape(rows: &[String]) -> Vec<String> {
    let is_own = |word: &str| {
        let is_time = word.len() > 10 && word.bytes().all(|byte| byte.is_ascii_digit());
        is_time || uuid::Uuid::try_parse(word).is_ok()
    };
    let shape = |row: &String| {
        let words = row
            .split(' ')
            .map(|word| if is_own(word) { "#" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    let mut shapes: Vec<String> = rows.iter().map(shape).collect();
    shapes.sort();
    shapes
}

pub(super) async fn empty(other: &mut AnyConnection) {
    let tables = [
        "pieces",
        "generations",
        "messages",
        "conversations",
        "identities",
        "sessions",
        "api_keys",
        "invitations",
        "people",
        "audit",
        "presets",
    ];
    let all = tables.map(|table| format!("delete from {table};"));
    let all = all.concat() + "update access_epoch set epoch = 1;";
    let done = sqlx::raw_sql(AssertSqlSafe(all)).execute(other);
    done.await.expect("they are there");
}

/// The rows and requests that a write needs.
pub(super) struct Prepared {
    pub(super) conversation: String,
    question: String,
    /// The answer to the question.
    answer: String,
    /// The id by which deleted messages are restored.
    cut: String,
    running: String,
    pub(super) import: String,
    /// A request that begins another reply.
    reply: NewReply,
    to_import: Vec<ImportPart>,
}

pub(super) async fn prepare(store: &Store, write: Write) -> Prepared {
    store.faults.expect(None);
    let conversation = new_id();
    let new = question(&conversation, None, "question");
    let begun = store.begin(LOCAL_OWNER, &new).await.expect("saved");
    let whole = finished("answer");
    let done = store.finish(LOCAL_OWNER, &begun.generation, &whole);
    done.await.expect("saved");
    let new = question(&new_id(), None, "another");
    let running = store.begin(LOCAL_OWNER, &new).await.expect("saved");
    let one = piece("one");
    let first = [NewPiece::new(LOCAL_OWNER, &running.generation, 0, &one)];
    let first = store.append(|| first.to_vec());
    first.await.expect("saved");
    let import = new_id();
    let to_import = [to_import(), to_import()].concat();
    if matches!(write, Write::FinishImport | Write::AbandonImport) {
        let mut cursor = ImportCursor::default();
        let hidden = store.import(LOCAL_OWNER, &import, &mut cursor, to_import.clone());
        hidden.await.expect("saved");
    }
    if matches!(write, Write::Restore | Write::Purge) {
        let deleted = store.delete(LOCAL_OWNER, &conversation, 7);
        deleted.await.expect("saved");
    }
    let mut cut = String::new();
    if write == Write::RestoreCut {
        let deleted = store.cut(LOCAL_OWNER, &conversation, &begun.message, 7);
        cut = deleted.await.expect("saved").id;
    }
    let old = preset("Old");
    let saved = store.save_preset(LOCAL_OWNER, &old, None).await;
    saved.expect("saved");
    for change in people_before() {
        let added = store.change_people(&change, &record("before")).await;
        added.expect("saved");
    }
    let answer = begun.message;
    let reply = match write {
        Write::BeginConversation => question(&new_id(), None, "more"),
        Write::Regenerate => reply(&conversation, Turn::Regenerate(answer.clone())),
        Write::Continue => reply(&conversation, Turn::Continue(answer.clone())),
        _ => question(&conversation, Some(&answer), "more"),
    };
    Prepared {
        conversation,
        question: begun.user_message.expect("it was asked"),
        answer,
        cut,
        running: running.generation,
        import,
        reply,
        to_import,
    }
}

fn preset(name: &str) -> Preset {
    Preset {
        name: name.to_owned(),
        ..Preset::default()
    }
}

/// What is recorded of a change.
fn record(what: &str) -> AuditRecord {
    AuditRecord {
        at: 100,
        what: what.to_owned(),
        actor: "command line".to_owned(),
        subject: "a@example.com".to_owned(),
        address: String::new(),
    }
}

fn new_person(id: &str, role: &str) -> NewPerson {
    let email = format!("{id}@example.com");
    NewPerson {
        id: id.to_owned(),
        likeness: email.clone(),
        email,
        name: String::new(),
        role: role.to_owned(),
    }
}

fn new_session(hash: &str) -> NewSession {
    NewSession {
        hash: hash.to_owned(),
        id: hash.to_owned(),
        person: "ann".to_owned(),
        expires_at: 1000,
        agent: "a browser".to_owned(),
        replaces: None,
        id_token: None,
    }
}

fn new_invitation(email: &str) -> NewInvitation {
    NewInvitation {
        hash: email.to_owned(),
        email: email.to_owned(),
        likeness: email.to_owned(),
        role: "member".to_owned(),
        person: None,
        expires_at: 1000,
    }
}

/// Two people, one of whom is signed in, and an invitation.
fn people_before() -> Vec<PeopleChange> {
    vec![
        PeopleChange::Add(new_person("ann", "member")),
        PeopleChange::Add(new_person("root", "admin")),
        PeopleChange::SignIn(new_session("used")),
        PeopleChange::Invite(new_invitation("invited@example.com")),
    ]
}

impl Write {
    pub(super) fn is_of_people(self) -> bool {
        let methods = WRITES.iter().filter(|(name, _)| *name == "change_people");
        methods
            .flat_map(|(_, writes)| *writes)
            .any(|write| *write == self)
    }

    fn of_people(self) -> PeopleChange {
        let person = "ann".to_owned();
        match self {
            Self::Invite => PeopleChange::Invite(new_invitation("next@example.com")),
            Self::Join => PeopleChange::Join {
                invitation: "invited@example.com".to_owned(),
                new_id: "invited".to_owned(),
                name: "Invited".to_owned(),
                password: "hash".to_owned(),
            },
            Self::Meet => PeopleChange::Meet(ProviderPerson {
                issuer: "https://login.example.com".to_owned(),
                subject: "1".to_owned(),
                person: new_person("invited", "member"),
                role: Some("admin".to_owned()),
                groups: Some("[\"a\"]".to_owned()),
            }),
            Self::SignIn => PeopleChange::SignIn(NewSession {
                replaces: Some("used".to_owned()),
                ..new_session("next")
            }),
            Self::Disable => PeopleChange::SetDisabled {
                person,
                disabled: true,
            },
            Self::DeletePerson => PeopleChange::Delete { person },
            Self::Adopt => PeopleChange::Adopt { person },
            _ => panic!("{self:?} does not change people"),
        }
    }

    /// Writes, and returns the result without ids.
    pub(super) async fn call(self, store: &Store, there: &Prepared) -> Result<String> {
        let (owner, id) = (LOCAL_OWNER, there.conversation.as_str());
        match self {
            Self::BeginConversation | Self::Begin | Self::Regenerate | Self::Continue => {
                let begun = store.begin(owner, &there.reply).await?;
                assert_eq!(begun.generation, there.reply.generation);
                return Ok(format!(
                    "{} {:?} {:?}",
                    begun.is_first, begun.history, begun.base
                ));
            }
            Self::Append => {
                let more = piece("two");
                let more = NewPiece::new(owner, &there.running, 1, &more);
                store.append(|| vec![more]).await?;
            }
            Self::Finish => {
                let whole = finished("one two");
                store.finish(owner, &there.running, &whole).await?;
            }
            Self::InterruptAll => return Ok(store.interrupt_all().await?.to_string()),
            Self::Rename => store.rename(owner, id, "New", TitledBy::Person).await?,
            Self::Pin => store.pin(owner, id, true).await?,
            Self::Delete => return Ok(format!("{:?}", store.delete(owner, id, 9).await?)),
            Self::Restore => {
                store.restore(owner, id).await?;
            }
            Self::RestoreCut => {
                store.restore(owner, &there.cut).await?;
            }
            Self::EditReply => {
                let edited = store.edit_reply(owner, id, &there.answer, "better", 9);
                edited.await?;
            }
            Self::Fork => {
                let copied = store.fork(owner, id, &there.answer, &there.import, 9);
                copied.await?;
            }
            Self::Cut => {
                store.cut(owner, id, &there.answer, 9).await?;
            }
            Self::SavePreset => {
                store
                    .save_preset(owner, &preset("New"), Some("old"))
                    .await?
            }
            Self::DeletePreset => store.delete_preset(owner, "OLD").await?,
            Self::CutAll => {
                store.cut(owner, id, &there.question, 9).await?;
            }
            Self::Show => store.show(owner, id, &there.question).await?,
            Self::Read => store.mark_read(owner, id, 11).await?,
            Self::Purge => return Ok(store.purge(8).await?.to_string()),
            Self::Expire => {
                let deleted = store.expire(i64::MAX, 12).await?;
                return Ok(deleted.len().to_string());
            }
            Self::Import => {
                let mut cursor = ImportCursor::default();
                let parts = there.to_import.clone();
                let import = store.import(owner, &there.import, &mut cursor, parts);
                return Ok(format!("{:?}", import.await?));
            }
            Self::FinishImport => store.finish_import(owner, &there.import).await?,
            Self::AbandonImport => store.abandon_import(&there.import).await?,
            Self::NoteUses => store.note_uses(&[("used".to_owned(), 99)], 50, 100).await?,
            _ => {
                let change = self.of_people();
                store.change_people(&change, &record("changed")).await?;
            }
        }
        Ok(String::new())
    }
}
