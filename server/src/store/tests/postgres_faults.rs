//! Faults of a PostgreSQL server: no room on its disk, at a statement and at the commit, and statements that take
//! longer than `statement_timeout`. Nothing of the write is kept, and once the fault is over it is.

use std::path::Path;

use sqlx::AnyConnection;

use super::every_statement::next_is_kept;
use super::question;
use super::writes::{self, PostgresDatabase, Write, empty, prepare, rows, run, shape};
use crate::store::{LOCAL_OWNER, Store, StoreError, new_id};

/// Lets the changes of every table fail, at the statement or at the commit, as the table `fault` says.
const TRIGGERS: &str = "
    create table fault (kind text not null);
    insert into fault values ('none');
    create function fault() returns trigger language plpgsql as $$
    begin
        case (select kind from fault)
            when 'full ' || tg_argv[0] then
                raise 'could not extend file' using errcode = '53100';
            when 'slow ' || tg_argv[0] then perform pg_sleep(60);
            else null;
        end case;
        return null;
    end $$;
    do $$
    declare name text;
    begin
        foreach name in array array['conversations', 'messages', 'generations', 'pieces', 'people', 'sessions',
            'api_keys', 'invitations', 'audit', 'presets'] loop
            execute format('create constraint trigger fault_at_statement
                after insert or update or delete on %I
                for each row execute function fault(''at a statement'')', name);
            execute format('create constraint trigger fault_at_commit
                after insert or update or delete on %I deferrable initially deferred
                for each row execute function fault(''at the commit'')', name);
        end loop;
    end $$";

/// Kinds of faults, and the words for them in the log. No `statement_timeout` ends a commit.
const KINDS: [(&str, &str); 3] = [
    ("full at a statement", "the disk is full"),
    ("full at the commit", "the disk is full"),
    ("slow at a statement", "interrupted"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_the_server_leaves_nothing_and_the_write_is_kept_once_it_is_over() {
    let Some(database) = PostgresDatabase::create().await else {
        return;
    };
    let store = database.open(&database.url).await;
    let mut other = database.connect().await;
    let made = sqlx::raw_sql(TRIGGERS).execute(&mut other).await;
    made.expect("triggers");
    for write in writes::all() {
        empty(&mut other).await;
        let there = prepare(&store, write).await;
        write.call(&store, &there).await.expect("saved");
        let expected = shape(&rows(&mut other).await);
        for (kind, words) in KINDS {
            check(&store, &mut other, write, (kind, words), &expected).await;
        }
    }
    store.close().await;
    database.drop_database().await;
}

async fn check(
    store: &Store,
    other: &mut AnyConnection,
    write: Write,
    (kind, words): (&str, &str),
    expected: &[String],
) {
    let case = format!("{write:?}, {kind}");
    empty(other).await;
    let there = prepare(store, write).await;
    let before = rows(other).await;
    run(other, format!("update fault set kind = '{kind}'")).await;
    if kind.starts_with("slow") {
        store.faults.expect_timeouts();
    }
    // Two in a row: the first may leave a state that only the second one shows.
    for _ in 0..2 {
        let failed = write.call(store, &there).await;
        assert_eq!(rows(other).await, before, "{case}: a part was kept");
        let why = failed.expect_err("it cannot be saved").to_string();
        assert!(why.contains(words), "{case}: {why}");
    }
    store.faults.expect(None);
    run(other, "update fault set kind = 'none'".to_owned()).await;
    let saved = write.call(store, &there).await;
    saved.unwrap_or_else(|error| panic!("{case}: then {error}"));
    assert_eq!(shape(&rows(other).await), expected, "{case}");
    next_is_kept(store, other, None, &case).await;
}

/// The variable that names a folder on a small file system, which belongs to the user of the server of
/// `RILL_TEST_POSTGRES`: a tmpfs of 32 MiB, for example.
const SMALL_DISK: &str = "RILL_TEST_POSTGRES_SMALL_DISK";

#[tokio::test(flavor = "multi_thread")]
async fn after_the_tablespace_was_full_every_write_is_kept() {
    let Ok(folder) = std::env::var(SMALL_DISK) else {
        return;
    };
    let server = std::env::var("RILL_TEST_POSTGRES").expect("a server for the small disk");
    sqlx::any::install_default_drivers();
    let mut admin = <AnyConnection as sqlx::Connection>::connect(&server)
        .await
        .expect("PostgreSQL");
    let space = format!("rill_{}", new_id().replace('-', ""));
    run(
        &mut admin,
        format!("create tablespace {space} location '{folder}'"),
    )
    .await;
    let database = PostgresDatabase::create_with(&format!("tablespace {space}")).await;
    let database = database.expect("it was reached before");
    let store = database.open(&database.url).await;
    let mut other = database.connect().await;
    let large = (0..40_000)
        .map(|number| format!("w{number} "))
        .collect::<String>();
    for round in 0..3 {
        let filler = Path::new(&folder).join("filler");
        fill(&filler);
        let before = rows(&mut other).await;
        for _ in 0..3 {
            let new = question(&new_id(), None, &large);
            let failed = store.begin(LOCAL_OWNER, &new).await;
            let is_full =
                matches!(&failed, Err(StoreError::Failed(why)) if why.contains("the disk is full"));
            assert!(is_full, "{round}: {failed:?}");
            assert_eq!(rows(&mut other).await, before, "{round}: a part was kept");
        }
        std::fs::remove_file(&filler).expect("it is there");
        for write in writes::all() {
            empty(&mut other).await;
            let there = prepare(&store, write).await;
            let before = rows(&mut other).await;
            let saved = write.call(&store, &there).await;
            saved.unwrap_or_else(|error| panic!("{round}, {write:?}: {error}"));
            assert_ne!(rows(&mut other).await, before, "{round}, {write:?}");
        }
        let case = format!("after {round}");
        next_is_kept(&store, &mut other, None, &case).await;
    }
    store.close().await;
    drop(other);
    database.drop_database().await;
    run(&mut admin, format!("drop tablespace {space}")).await;
}

/// Writes a file until there is no more room.
fn fill(path: &Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path).expect("a file");
    for piece in [1 << 16, 1] {
        while file.write_all(&vec![0; piece]).is_ok() {}
    }
}
