//! Pages of conversations: every text can be rendered, and rendering a long one delays no other request.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::conversations::{exported, import};
use crate::support::http::Request;
use crate::support::rill::Rill;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::{scripts, soon};

async fn rill() -> (ScriptedUpstream, Rill) {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let rill = Rill::before(&upstream).await;
    (upstream, rill)
}

/// Imports a conversation with these replies; gives its id.
async fn imported(rill: &Rill, replies: &[String]) -> String {
    let id = server::store::new_id();
    let texts = std::iter::once("Why?".to_owned()).chain(replies.iter().cloned());
    let file = json!([exported(&id, "Nested", texts)]);
    let (_, report) = import(rill, file.to_string()).await;
    assert_eq!(report["conversations"], 1, "{report}");
    id
}

async fn page(rill: &Rill, conversation: &str) -> String {
    let answer = soon(rill.send(&Request::get(&format!("/c/{conversation}")))).await;
    assert_eq!(answer.status, 200);
    String::from_utf8(soon(answer.body()).await.expect("a page")).expect("text")
}

#[tokio::test]
async fn an_imported_text_that_nests_without_end_is_a_page() {
    let (_upstream, rill) = rill().await;
    let nested = |open: &str, close: &str, levels: usize| {
        format!("{}innermost{}", open.repeat(levels), close.repeat(levels))
    };
    let formula = |open: &str, close: &str, levels: usize| {
        format!("so $${}$$ it is", nested(open, close, levels))
    };
    let texts = [
        nested("> ", "", 100_000),
        nested("- ", "", 100_000),
        nested("1. ", "", 80_000),
        nested("> - ", "", 60_000),
        nested("*", "*", 100_000),
        nested("**a ", " a**", 30_000),
        nested("*a _b ~~c ", " c~~ b_ a*", 12_000),
        nested("![", "](https://a.b)", 15_000),
        formula("\\hat{", "}", 1_600),
        formula("\\hat ", "", 1_950),
        formula("\\frac", "", 1_980),
        formula("\\frac a", "", 1_400),
        formula("\\sqrt{", "}", 1_200),
        formula("{", "}", 4_900),
        formula("{", "", 9_000),
        formula("\\left(", "\\right)", 700),
        formula("\\begin{matrix}", "\\end{matrix}", 350),
    ];
    for text in texts {
        let conversation = imported(&rill, std::slice::from_ref(&text)).await;
        let page = page(&rill, &conversation).await;
        let (_, shown) = page.split_once("data-text").expect("a reply is shown");
        assert!(shown.contains("innermost"), "{text:.40}: text was lost");
    }
}

#[tokio::test]
async fn what_is_too_much_to_render_is_left_to_the_browser() {
    let (_upstream, rill) = rill().await;
    let replies = [
        format!("**first** {}", "word ".repeat(60_000)),
        "Go on.".to_owned(),
        "**second**".to_owned(),
    ];
    let conversation = imported(&rill, &replies).await;
    let page = page(&rill, &conversation).await;
    assert!(page.contains("**first** word word"), "it is there as text");
    assert!(!page.contains("<strong>first</strong>"));
    assert!(page.contains("<strong>second</strong>"));
}

/// This test has one worker, which the page must leave to others.
#[tokio::test]
async fn a_page_that_takes_long_holds_nobody_up() {
    let (_upstream, rill) = rill().await;
    let long = format!("{} $x^2$\n\n", "*a* `b` [c](https://d.e) ".repeat(20)).repeat(300);
    assert!(long.len() < 256 * 1024);
    let replies = [
        long.clone(),
        "Go on.".to_owned(),
        long.clone(),
        "More.".to_owned(),
        long,
    ];
    let conversation = imported(&rill, &replies).await;
    let address = rill.address;
    let target = format!("/c/{conversation}");
    let page = tokio::spawn(async move {
        let request = Request::get(&target);
        crate::support::http::send(address, &request)
            .await
            .expect("an answer")
            .status
    });
    let began = Instant::now();
    let mut longest = Duration::ZERO;
    while !page.is_finished() {
        let asked = Instant::now();
        let answer = soon(rill.send(&Request::get("/healthz"))).await;
        assert_eq!(answer.status, 200);
        longest = longest.max(asked.elapsed());
    }
    let whole = began.elapsed();
    assert!(
        longest < whole / 2,
        "{longest:?} of the {whole:?} that the page took"
    );
    assert_eq!(soon(page).await.expect("an answer"), 200);
}
