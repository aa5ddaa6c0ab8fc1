//! HTML that is written by hand. Text is escaped unless it is a literal of this program.

use std::time::{Duration, UNIX_EPOCH};

use app::ui::transcript::welcome::ARCHES;

/// HTML that grows.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds markup. Only literals are markup.
    pub(super) fn raw(mut self, markup: &'static str) -> Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text, also as the value of an attribute in double quotes.
    pub(super) fn text(mut self, text: &str) -> Self {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
        self
    }

    /// Adds other HTML.
    pub(super) fn add(mut self, other: Self) -> Self {
        self.0.push_str(&other.0);
        self
    }

    /// Adds HTML for each of these.
    pub(super) fn each<T>(
        self,
        items: impl IntoIterator<Item = T>,
        html: impl Fn(T) -> Self,
    ) -> Self {
        items
            .into_iter()
            .fold(self, |all, item| all.add(html(item)))
    }

    /// Adds HTML if the condition holds.
    pub(super) fn when(self, condition: bool, html: impl FnOnce() -> Self) -> Self {
        if condition { self.add(html()) } else { self }
    }

    /// The document, with its links below a path. No text is a link by accident, since quotes in it are escaped.
    pub(super) fn below(self, base: &str) -> String {
        if base.is_empty() {
            return self.0;
        }
        [" href=\"/", " action=\"/", " src=\"/"]
            .iter()
            .fold(self.0, |html, link| {
                let link_below = link.replace('/', &format!("{base}/"));
                html.replace(link, &link_below)
            })
    }
}

/// A page within which somebody works who is let in.
pub(super) fn frame(title: &str, body: Html) -> Html {
    document(title, Html::new().raw("<main>").add(body).raw("</main>"))
}

/// A page for those who are outside: the title within the arches of the mark, and a sheet below it.
pub(super) fn door(title: &str, body: Html) -> Html {
    let content = Html::new()
        .raw("<main class=\"door\"><div class=\"greeting\"><span class=\"spring\" aria-hidden=\"true\">")
        .raw(ARCHES)
        .raw("</span><svg class=\"mark\" viewBox=\"0 0 24 24\" aria-hidden=\"true\"><path d=\"M4.5 21v-9a7.5 7.5 0 0 1 15 0v1M10 21v-8.5a2.75 2.75 0 0 1 5.5 0V21\"/></svg><h1>")
        .text(title)
        .raw("</h1></div><div class=\"sheet\">")
        .add(body)
        .raw("</div></main>");
    document(title, content)
}

/// A whole document with this title and content.
fn document(title: &str, content: Html) -> Html {
    Html::new()
        .raw("<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"robots\" content=\"noindex\"><title>")
        .text(title)
        .raw(" – Rill</title><link rel=\"icon\" href=\"/icon.svg\" type=\"image/svg+xml\"><link rel=\"stylesheet\" href=\"/account.css\"></head><body>")
        .add(content)
        .raw("</body></html>")
}

/// A sentence that says what was done, for screen readers too.
pub(super) fn status(sentence: &str) -> Html {
    notice("<p class=\"status\" role=\"status\">", sentence)
}

/// A sentence that says what went wrong.
pub(super) fn alert(sentence: &str) -> Html {
    notice("<p class=\"alert\" role=\"alert\">", sentence)
}

fn notice(start: &'static str, sentence: &str) -> Html {
    Html::new().when(!sentence.is_empty(), || {
        Html::new().raw(start).text(sentence).raw("</p>")
    })
}

/// A time in milliseconds since 1970, to the minute.
pub(super) fn time(at: i64) -> Html {
    let time = UNIX_EPOCH + Duration::from_millis(u64::try_from(at).unwrap_or(0));
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let (day, clock) = text.split_once('T').unwrap_or((&text, ""));
    let minute = clock.get(..5).unwrap_or_default();
    Html::new()
        .raw("<time datetime=\"")
        .text(&text)
        .raw("\">")
        .text(&format!("{day} {minute} UTC"))
        .raw("</time>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_never_becomes_markup() {
        let html = Html::new()
            .raw("<p title=\"")
            .text("\"><script>'&")
            .raw("\">");
        assert_eq!(
            html.below(""),
            "<p title=\"&quot;&gt;&lt;script&gt;&#39;&amp;\">"
        );
    }

    #[test]
    fn links_and_forms_lead_below_the_path_and_nothing_else_changes() {
        let html = Html::new()
            .raw("<a href=\"/account\"></a><form action=\"")
            .text("/people/1")
            .raw("\"><input value=\"")
            .text("/c/1 href=\"/x")
            .raw("\">");
        assert_eq!(
            html.below("/chat"),
            "<a href=\"/chat/account\"></a><form action=\"/chat/people/1\">\
             <input value=\"/c/1 href=&quot;/x\">"
        );
    }

    #[test]
    fn a_time_is_shown_to_the_minute() {
        assert_eq!(
            time(1_764_255_599_000).below(""),
            "<time datetime=\"2025-11-27T14:59:59Z\">2025-11-27 14:59 UTC</time>"
        );
        assert!(time(-5).below("").contains("1970-01-01 00:00 UTC"));
    }
}
