//! Retention: the running server deletes what was not used for long, and a command counts it beforehand.

use sqlx::Executor;

use crate::support::conversations::id;
use crate::support::program::Program;
use crate::support::program_data::{ask, call, given, open};
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::{scripts, soon};

#[tokio::test]
async fn old_conversations_are_counted_and_then_deleted() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let program = Program::before(&upstream, &[]).await;
    let data = std::sync::Arc::clone(&program.data);
    let (old, pinned, new) = (id(), id(), id());
    for conversation in [&old, &pinned, &new] {
        assert_eq!(ask(&program, conversation).await.outcome(), "complete");
    }
    let pin = serde_json::json!({ "id": pinned, "pinned": true });
    assert_eq!(call(&program, "/api/conversations/pin", &pin).await, 200);
    program.terminate();
    assert_eq!(soon(program.end()).await.code, Some(0));
    let mut database = open(data.path()).await;
    let aged = format!("update conversations set updated_at = 1000 where id <> '{new}'");
    database
        .execute(sqlx::AssertSqlSafe(aged))
        .await
        .expect("rows");
    drop(database);

    let folder = data.path().to_str().expect("a plain path").to_owned();
    let count = async |arguments: &[&str]| {
        let arguments: Vec<&str> = ["retention"].iter().chain(arguments).copied().collect();
        soon(Program::run(&arguments, &[])).await
    };
    let folder = ["--data-dir", &folder];
    let counted = count(&[&folder[..], &["--retention=90d", "--dry-run"]].concat()).await;
    assert_eq!(
        (counted.code, counted.output.trim()),
        (Some(0), "1 conversations with 2 messages would be deleted"),
        "{}",
        counted.log
    );
    let without = count(&[&folder[..], &["--dry-run"]].concat()).await;
    assert!(without.log.contains("kept for ever"), "{}", without.log);

    let mut program = Program::over(data, &upstream, &["--retention=90d"]).await;
    soon(program.logs("deleted what was not used")).await;
    let list = |conversation: &str| serde_json::json!({ "id": conversation });
    assert_eq!(
        call(&program, "/api/conversations/get", &list(&old)).await,
        404
    );
    for kept in [&pinned, &new] {
        assert_eq!(
            given(&program, kept).await["messages"]
                .as_array()
                .map(Vec::len),
            Some(2)
        );
    }
}
