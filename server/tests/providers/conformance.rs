//! Every script of the conformance files, played to the real server: the reply must be what the script
//! expects, and a reader that disconnects frees the upstream.

use crate::support::over_http2::Http2Upstream;
use crate::support::rill::Rill;
use crate::support::script_player::{
    assert_errors_are_our_own_words, each_of, play, play_patiently, profile_of, what_is_wrong,
};
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{
    Content, End, Response, Script, Times, all_scripts, reported_scripts,
};
use crate::support::within_a_second;

#[tokio::test(flavor = "multi_thread")]
async fn every_script_ends_as_a_person_must_see_it() {
    each_of(all_scripts(), play).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reported_script_ends_as_a_person_must_see_it() {
    each_of(reported_scripts(), play_patiently).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http2_every_script_ends_in_the_same_way() {
    let listening = all_scripts()
        .into_iter()
        .filter(|script| script.responses[0].end != End::Refuse);
    each_of(listening.collect(), play_over_http2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_leaves_after_the_first_chunk_frees_the_upstream_of_every_script() {
    let listening = all_scripts()
        .into_iter()
        .filter(|script| script.responses[0].end != End::Refuse);
    each_of(listening.collect(), leave_after_first_chunk).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_leaves_frees_an_upstream_that_would_never_end() {
    let endless = all_scripts()
        .into_iter()
        .filter(|script| script.responses.iter().any(never_ends));
    each_of(endless.collect(), leave_in_the_middle).await;
}

/// Plays a script in HTTP/2, as far as that is another matter.
async fn play_over_http2(script: Script) {
    let upstream = Http2Upstream::playing(script.responses.clone()).await;
    let file = format!(
        "[[upstream]]\nname = \"two\"\nkind = \"{}\"\nbase_url = \"{}\"\nkey_env = \"KEY\"\nhttp2 = true\n",
        script.api,
        upstream.base_url()
    );
    let profile = profile_of(&script);
    let arguments: Vec<&str> = profile.iter().map(String::as_str).collect();
    let rill = Rill::with_file(&file, &arguments).await;
    let reply = rill.ask().await;
    let wrong = what_is_wrong(&script, &reply, upstream.request_count().to_string());
    assert!(wrong.is_empty(), "{}", wrong.join("; "));
    assert_errors_are_our_own_words(&upstream.base_url(), &reply);
}

async fn leave_after_first_chunk(script: Script) {
    let api = script.api();
    let upstream = ScriptedUpstream::pausing_after_first_chunk(script.responses).await;
    let rill = Rill::of_api(api, &upstream, &[]).await;
    let reply = rill.begin().await;
    upstream.has_begun().await;
    drop(reply);
    within_a_second(upstream.is_free()).await;
}

async fn leave_in_the_middle(script: Script) {
    let api = script.api();
    let upstream = ScriptedUpstream::playing(script.responses).await;
    let rill = Rill::of_api(api, &upstream, &[]).await;
    let reply = rill.begin().await;
    upstream.has_begun().await;
    drop(reply);
    within_a_second(upstream.is_free()).await;
}

fn never_ends(response: &Response) -> bool {
    let is_endless = |content: &Content| matches!(content, Content::Repeat(repeat) if matches!(repeat.times, Times::Forever(_)));
    matches!(response.end, End::Hang | End::HangAfterEnd)
        || response
            .chunks
            .iter()
            .any(|chunk| is_endless(&chunk.content))
}
