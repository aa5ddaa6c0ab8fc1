//! Reload: the running server reads its configuration again, by SIGHUP or `rill reload`. New replies use the new one,
//! running ones keep theirs, and a mistake changes nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::log;
use crate::support::program::Program;
use crate::support::rill::open_reply;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{self, DONE, STOP, delta};
use crate::support::soon;

/// The streams that a reload must not touch, and the pieces of each.
const STREAMS: usize = 500;
const PIECES: usize = 40;

/// A folder with a configuration file.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("rill.toml")
    }

    /// Writes an upstream with this name, and more.
    fn write(&self, upstream: &ScriptedUpstream, more: &str) {
        let url = upstream.base_url();
        let text = format!(
            "[[upstream]]\nname = \"work\"\nmodels = [\"m\"]\nbase_url = \"{url}\"\n{more}\n"
        );
        std::fs::write(self.file(), text).expect("a file");
    }

    async fn start(&self) -> Program {
        let file = self.file();
        let file = file.to_str().expect("a plain path");
        Program::with_variables(&[("KEY", log::KEY)], &["--config", file, "--ollama=off"]).await
    }
}

fn hang_up(program: &Program) {
    let id = program.id().to_string();
    let sent = std::process::Command::new("sh")
        .args(["-c", "kill -HUP \"$0\"", &id])
        .status();
    assert!(sent.expect("a shell").success());
}

/// An answer that takes a while, so that a reload happens meanwhile.
fn long_answer(pieces: usize) -> scripts::Response {
    let begun = scripts::stream().then(&delta("one "));
    let pause = Duration::from_millis(100);
    let pieces = (0..pieces).fold(begun, |answer, _| answer.after(pause, &delta("and ")));
    pieces.after(pause, &delta("two")).then(STOP).then(DONE)
}

#[tokio::test]
async fn new_replies_use_the_new_upstream_and_running_ones_keep_theirs() {
    let old = ScriptedUpstream::playing(vec![long_answer(PIECES)]).await;
    let new = ScriptedUpstream::playing(vec![scripts::saying("from the new one")]).await;
    let folder = Folder::new();
    folder.write(&old, "");
    let mut program = folder.start().await;
    let mut running = Vec::new();
    for _ in 0..STREAMS {
        running.push(soon(open_reply(program.address)).await);
    }
    for reply in &mut running {
        soon(reply.until(|reply| !reply.transcript.text.is_empty())).await;
    }
    std::fs::write(folder.file(), "[[upstream]]\nname = 5\n").expect("a file");
    hang_up(&program);
    soon(program.logs("nothing was changed")).await;
    folder.write(&new, "key_env = \"KEY\"");
    hang_up(&program);
    soon(program.logs("the configuration was read again")).await;
    let reply = soon(soon(open_reply(program.address)).await.finish()).await;
    assert_eq!(reply.transcript.text, "from the new one");
    let key = format!("Bearer {}", log::KEY);
    assert_eq!(
        new.exchanges()[0].header("authorization"),
        Some(key.as_str())
    );
    let whole = format!("one {}two", "and ".repeat(PIECES));
    for reply in running {
        let reply = soon(reply.finish()).await;
        assert_eq!(
            (reply.outcome(), reply.transcript.text.as_str()),
            ("complete", whole.as_str())
        );
    }
    assert_eq!(old.request_count(), STREAMS);
}

#[tokio::test]
async fn a_mistake_is_told_with_its_place_and_changes_nothing() {
    let upstream =
        ScriptedUpstream::playing(vec![long_answer(5), scripts::saying("still there")]).await;
    let folder = Folder::new();
    folder.write(&upstream, "");
    let mut program = folder.start().await;
    let mut running = soon(open_reply(program.address)).await;
    soon(running.until(|reply| !reply.transcript.text.is_empty())).await;
    let check = async |program: &mut Program, text: &str, words: &str| {
        std::fs::write(folder.file(), text).expect("a file");
        hang_up(program);
        let line = soon(program.logs("nothing was changed")).await;
        assert!(line.contains(words), "{words} in {line}");
    };
    check(&mut program, "[[upstream]]\nname = 5\n", "rill.toml:2:8: ").await;
    check(
        &mut program,
        "[[upstream]]\nname = \"a\"\nkey_env = \"NONE\"\n",
        "NONE is not set",
    )
    .await;
    std::fs::remove_file(folder.file()).expect("it is there");
    hang_up(&program);
    soon(program.logs("cannot be read")).await;
    assert_eq!(soon(running.finish()).await.outcome(), "complete");
    let reply = soon(soon(open_reply(program.address)).await.finish()).await;
    assert_eq!(reply.transcript.text, "still there");
}

#[tokio::test]
async fn a_key_in_a_file_can_be_replaced() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let folder = Folder::new();
    let key = |name: &str| std::fs::write(folder.0.path().join("key"), name).expect("a file");
    key("first-key");
    folder.write(&upstream, "key_file = \"key\"");
    let mut program = folder.start().await;
    soon(soon(open_reply(program.address)).await.finish()).await;
    key("second-key");
    hang_up(&program);
    soon(program.logs("the configuration was read again")).await;
    soon(soon(open_reply(program.address)).await.finish()).await;
    let keys: Vec<_> = upstream
        .exchanges()
        .iter()
        .map(|exchange| exchange.header("authorization").map(str::to_owned))
        .collect();
    let bearer = |key: &str| Some(format!("Bearer {key}"));
    assert_eq!(keys, [bearer("first-key"), bearer("second-key")]);
}

#[tokio::test]
async fn what_cannot_change_while_running_is_named() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let folder = Folder::new();
    folder.write(&upstream, "");
    let mut program = folder.start().await;
    let text = std::fs::read_to_string(folder.file()).expect("a file");
    std::fs::write(folder.file(), format!("max_replies = 3\n{text}")).expect("a file");
    hang_up(&program);
    let line = soon(program.logs("needs a restart")).await;
    assert!(line.contains("limits of streams and replies"), "{line}");
}

#[tokio::test]
async fn rill_reload_finds_the_running_server_and_refuses_a_mistake() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let folder = Folder::new();
    folder.write(&upstream, "");
    let mut program = folder.start().await;
    let file = folder.file().display().to_string();
    let reload = async |data: &Path| {
        let data = data.display().to_string();
        soon(Program::run(
            &["reload", "--config", &file, "--data-dir", &data],
            &[],
        ))
        .await
    };
    let data = program.data.path().to_owned();
    let done = reload(&data).await;
    assert_eq!(done.code, Some(0), "{}", done.log);
    assert!(
        done.output.contains(&format!("process {}", program.id())),
        "{}",
        done.output
    );
    soon(program.logs("the configuration was read again")).await;

    let nobody = TempDir::new().expect("a folder");
    let done = reload(nobody.path()).await;
    assert_eq!(done.code, Some(1));
    assert!(done.log.contains("no Rill uses the folder"), "{}", done.log);

    std::fs::write(folder.file(), "modell = 1\n").expect("a file");
    let done = reload(&data).await;
    assert_eq!(done.code, Some(2));
    assert!(done.log.contains("rill.toml:1:1: "), "{}", done.log);
}
