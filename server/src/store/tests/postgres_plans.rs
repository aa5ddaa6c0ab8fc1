//! PostgreSQL chooses an index by its statistics, which know nothing of what was stored since they were made:
//! of a conversation that was just imported, for example. Whatever they say, following a path reads as many rows as the path has.

use sqlx::{AnyConnection, query_scalar};

use super::reply;
use super::writes::{PostgresDatabase, run};
use crate::store::{LOCAL_OWNER, PathEnd, PathLimit, Turn, new_id};

/// How many messages the conversation has.
const MESSAGES: i64 = 3_000;
/// How many rows may be read for each message of a path: itself, what is beside it, its text.
const ROWS_EACH: i64 = 12;
/// The id of its last message.
const LAST: &str = "b3000";
const PART: i64 = 50;

/// Stores a conversation whose messages have ids that begin with this letter.
async fn fill(other: &mut AnyConnection, conversation: &str, letter: char) {
    for sql in [
        format!(
            "insert into conversations (id, owner, title, titled_by, created_at, updated_at, leaf)
             values ('{conversation}', '{LOCAL_OWNER}', 'Long', 0, 1, 1, '{letter}{MESSAGES}')"
        ),
        format!(
            "insert into messages (conversation, owner, id, parent, role, text, state, finish, created_at)
             select c.key, c.owner, '{letter}' || n, case when n > 1 then '{letter}' || n - 1 end,
                 case when n % 2 = 1 then 'user' else 'assistant' end, repeat('word ', 200),
                 'done', 'stop', 1
             from conversations c, generate_series(1, {MESSAGES}) n
             where c.id = '{conversation}' order by n"
        ),
    ] {
        run(other, sql).await;
    }
}

/// How many rows of messages the server has read in all.
async fn rows_read(other: &mut AnyConnection) -> i64 {
    // A connection that has ended has told what it read.
    loop {
        let left: i64 = query_scalar(
            "select count(*) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()
                 and backend_type = 'client backend'",
        )
        .fetch_one(&mut *other)
        .await
        .expect("a number");
        if left == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    query_scalar(
        "select cast(sum(i.idx_tup_read) + max(t.seq_tup_read) as bigint)
         from pg_stat_user_indexes i join pg_stat_user_tables t on t.relid = i.relid
         where i.relname = 'messages'",
    )
    .fetch_one(other)
    .await
    .expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_followed_by_reading_its_own_rows_whatever_the_statistics_say() {
    let Some(database) = PostgresDatabase::create().await else {
        return;
    };
    database.open(&database.url).await.close().await;
    let mut other = database.connect().await;
    run(
        &mut other,
        "alter table messages set (autovacuum_enabled = false)".to_owned(),
    )
    .await;
    // The statistics know the first conversation only, and take the second one for small.
    fill(&mut other, &new_id(), 'a').await;
    run(&mut other, "vacuum analyze messages".to_owned()).await;
    let id = new_id();
    fill(&mut other, &id, 'b').await;
    let limit = PathLimit {
        messages: PART as u32,
        bytes: 1 << 30,
    };
    let middle = || format!("b{}", MESSAGES / 2);
    // Opening a store reads rows as well.
    let mut to_open = 0;
    for case in [
        "nothing",
        "the end of the conversation",
        "a part before",
        "a link to a message",
        "the path of an export",
        "the history of a question",
        "the history of another reply",
    ] {
        let before = rows_read(&mut other).await;
        let store = database.open(&database.url).await;
        let part = async |end: PathEnd| {
            let part = store.path(LOCAL_OWNER, &id, &end, limit).await;
            part.expect("a part").messages.len()
        };
        let begin = async |turn: Turn| {
            let begun = store.begin(LOCAL_OWNER, &reply(&id, turn)).await;
            begun.expect("begun").history.len()
        };
        let count = match case {
            "nothing" => 0,
            "the end of the conversation" => part(PathEnd::Shown).await,
            "a part before" => part(PathEnd::At(middle())).await,
            // It is shown with all that follows, of which the part is the end.
            "a link to a message" => {
                part(PathEnd::Through(middle(), None)).await + MESSAGES as usize / 2
            }
            "the path of an export" => {
                let key = store.key(LOCAL_OWNER, &id).await.expect("it is there");
                let path = store.shown(LOCAL_OWNER, key).await;
                path.expect("a path").len()
            }
            "the history of a question" => {
                let parent = Some(LAST.to_owned());
                let text = "more".to_owned();
                begin(Turn::Question { parent, text }).await
            }
            _ => begin(Turn::Regenerate(LAST.to_owned())).await,
        } as i64;
        store.close().await;
        let rows = rows_read(&mut other).await - before;
        if case == "nothing" {
            to_open = rows;
            continue;
        }
        assert!(count >= PART, "{case}: {count} messages");
        assert!(
            rows - to_open <= count * ROWS_EACH,
            "{case}: {rows} rows were read for {count} messages, {to_open} of them at the start"
        );
    }
    database.drop_database().await;
}
