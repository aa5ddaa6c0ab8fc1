//! The connection to PostgreSQL is cut at every point of every write. What the store then says is true: a
//! write that is said to be saved is saved once, one that failed before its commit has left nothing, and
//! repeating one whose outcome is unknown does not save it twice. The write that comes next is kept.

use futures::future::join_all;
use sqlx::AnyConnection;

use super::every_statement::next_is_kept;
use super::postgres_proxy::{At, Cut, How, Passed, Point, Proxy};
use super::question;
use super::writes::{self, PostgresDatabase, Prepared, Write, empty, prepare, rows, run, shape};
use crate::store::{LOCAL_OWNER, Result, Store, StoreError, new_id};

const POINTS: [Point; 3] = [Point::Request, Point::Sent, Point::Answer];

/// A store behind a proxy, and a connection of another program.
struct Cutting {
    proxy: Proxy,
    store: Store,
    other: AnyConnection,
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_the_connection_is_cut_what_the_store_says_is_true_and_the_next_write_is_kept() {
    let Some(database) = PostgresDatabase::create().await else {
        return;
    };
    let proxy = Proxy::before(&database.url).await;
    let mut cutting = Cutting {
        store: database.open(&proxy.url).await,
        proxy,
        other: database.connect().await,
    };
    for write in writes::all() {
        cutting.check(write).await;
    }
    cutting.proxy.expect(None);
    next_is_kept(&cutting.store, &mut cutting.other, None, "at the end").await;
    cutting.store.close().await;
    database.drop_database().await;
}

impl Cutting {
    /// Cuts at every round trip of a write, in one of the ways, and at its commit in all of them.
    async fn check(&mut self, write: Write) {
        let there = self.prepare(write).await;
        write.call(&self.store, &there).await.expect("saved");
        let expected = shape(&rows(&mut self.other).await);
        let passed = self.proxy.passed();
        assert!(
            passed.round_trips >= 4 && passed.commits >= 1,
            "{write:?}: {passed:?}"
        );
        // A new connection has to prepare its statements: more round trips than now.
        for number in 0.. {
            let cut = Cut {
                at: At::RoundTrip(number),
                point: POINTS[number % 3],
                how: [How::Closed, How::Reset][number % 2],
            };
            // A connection that returns to the pool is tested meanwhile. The cut of that round trip may come when the
            // call has ended.
            let passed = self.check_cut(write, cut, &expected).await;
            if !passed.is_cut && number >= passed.round_trips {
                assert!(number >= 4, "{write:?}: only {number} cuts");
                break;
            }
        }
        for commit in 0..passed.commits {
            for point in POINTS {
                for how in [How::Closed, How::Reset] {
                    let at = At::Commit(commit);
                    let cut = Cut { at, point, how };
                    let passed = self.check_cut(write, cut, &expected).await;
                    assert!(passed.is_cut, "{write:?}: {at:?} was not met");
                }
            }
        }
    }

    /// Returns what had passed when the call ended.
    async fn check_cut(&mut self, write: Write, cut: Cut, expected: &[String]) -> Passed {
        let there = self.prepare(write).await;
        let before = rows(&mut self.other).await;
        self.proxy.expect(Some(cut));
        let result = write.call(&self.store, &there).await;
        let passed = self.proxy.passed();
        let after = rows(&mut self.other).await;
        let case = format!("{write:?}, {cut:?}: {result:?}");
        match result {
            Ok(_) => assert_eq!(shape(&after), expected, "{case}: said to be saved"),
            Err(error) => {
                assert!(matches!(error, StoreError::Failed(_)), "{case}");
                assert!(passed.is_cut, "{case}");
                // Without a commit on its way the outcome is known.
                if passed.commits == 0 || (cut.point == Point::Request && passed.commits == 1) {
                    assert_eq!(after, before, "{case}: a part was kept");
                }
                if write.is_of_people() {
                    // A person is told that it failed, looks, and does it again with another secret.
                    // The server may still be at the commit that it was sent.
                    for sql in [
                        "begin",
                        "lock table people, sessions, invitations, audit in access exclusive mode",
                        "commit",
                    ] {
                        run(&mut self.other, sql.to_owned()).await;
                    }
                    let after = rows(&mut self.other).await;
                    let is_whole = after == before || shape(&after) == expected;
                    assert!(is_whole, "{case}: a part was kept: {after:?}");
                    return passed;
                }
                match self.repeat(write, &there).await {
                    Ok(()) => {}
                    // What is deleted already cannot be deleted once more.
                    Err(StoreError::NotFound)
                        if matches!(
                            write,
                            Write::Delete | Write::Cut | Write::CutAll | Write::RestoreCut
                        ) => {}
                    Err(error) => panic!("{case}: then {error}"),
                }
                let repeated = shape(&rows(&mut self.other).await);
                assert_eq!(repeated, expected, "{case}: repeated");
            }
        }
        passed
    }

    async fn prepare(&mut self, write: Write) -> Prepared {
        self.proxy.expect(None);
        empty(&mut self.other).await;
        let there = prepare(&self.store, write).await;
        self.proxy.expect(None);
        there
    }

    /// Repeats a write as its callers do.
    async fn repeat(&self, write: Write, there: &Prepared) -> Result<()> {
        if write == Write::Import {
            // A file that failed is taken back before it is sent again.
            self.store.abandon_import(&there.import).await?;
        }
        write.call(&self.store, there).await.map(drop)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_all_connections_were_cut_at_once_every_write_is_kept() {
    let Some(database) = PostgresDatabase::create().await else {
        return;
    };
    let proxy = Proxy::before(&database.url).await;
    let store = database.open(&proxy.url).await;
    let mut other = database.connect().await;
    let ask = async |text: &str| {
        let new = question(&new_id(), None, text);
        store
            .begin(LOCAL_OWNER, &new)
            .await
            .map(|begun| begun.message)
    };
    for _ in 0..3 {
        // As many connections as the store opens.
        let asked = join_all((0..20).map(|_| ask("before"))).await;
        for message in asked {
            message.expect("saved");
        }
        proxy.go_away();
        let refused = ask("meanwhile").await;
        assert!(matches!(refused, Err(StoreError::Failed(_))), "{refused:?}");
        proxy.come_back();
        let asked = join_all((0..20).map(|_| ask("after"))).await;
        let seen = rows(&mut other).await;
        for message in asked {
            let message = message.expect("saved");
            assert!(seen.iter().any(|row| row.starts_with(&message)));
        }
        assert!(!seen.iter().any(|row| row.ends_with(" meanwhile")));
    }
    store.close().await;
    database.drop_database().await;
}
