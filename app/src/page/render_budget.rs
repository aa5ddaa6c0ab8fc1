//! The budget for rendering Markdown on the server. Text beyond the budget is in the page as plain text, and the browser
//! renders it after hydration.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use leptos::prelude::use_context;

use crate::markdown::html::{escaped, html_until};
use crate::markdown::parse::parse_whole;

/// The limits of one page.
#[derive(Debug, Clone, Copy)]
pub struct RenderLimits {
    /// The longest text that is rendered, in bytes of Markdown. Parsing a text cannot be interrupted.
    pub text: usize,
    /// The total of all texts, in bytes of Markdown.
    pub texts: usize,
    /// The total of the rendered HTML, in bytes.
    pub html: usize,
    /// The total time. A text that is being parsed is parsed to its end.
    pub time: Duration,
}

impl Default for RenderLimits {
    fn default() -> Self {
        Self {
            text: 256 * 1024,
            texts: 1024 * 1024,
            html: 8 * 1024 * 1024,
            time: Duration::from_secs(1),
        }
    }
}

/// The remaining budget of a page. Clones share it. The server provides it as a context.
#[derive(Debug, Clone)]
pub struct RenderBudget(Arc<Mutex<Left>>);

#[derive(Debug)]
struct Left {
    limits: RenderLimits,
    /// Set when the first text is rendered, so that time in the queue for a thread does not count.
    deadline: Option<Instant>,
}

impl RenderBudget {
    /// A budget with these limits.
    #[must_use]
    pub fn new(limits: RenderLimits) -> Self {
        Self(Arc::new(Mutex::new(Left {
            limits,
            deadline: None,
        })))
    }

    /// The budget of the page that is being rendered.
    #[must_use]
    pub(crate) fn of_page() -> Self {
        use_context().unwrap_or_else(|| Self::new(RenderLimits::default()))
    }

    /// A text as HTML: as elements while the budget lasts, and as escaped plain text without elements after that.
    #[must_use]
    pub fn html_of(&self, text: &str) -> String {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        left.rendered(text).unwrap_or_else(|| escaped(text))
    }
}

impl Left {
    fn rendered(&mut self, text: &str) -> Option<String> {
        let deadline = *self
            .deadline
            .get_or_insert_with(|| Instant::now() + self.limits.time);
        if text.len() > self.limits.text || Instant::now() > deadline {
            return None;
        }
        self.limits.texts = self.limits.texts.checked_sub(text.len())?;
        let html = html_until(&parse_whole(text), deadline)?;
        self.limits.html = self.limits.html.checked_sub(html.len())?;
        Some(html)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLENTY: RenderLimits = RenderLimits {
        text: 1000,
        texts: 1000,
        html: 1000,
        time: Duration::from_secs(1000),
    };

    #[track_caller]
    fn check(limits: RenderLimits, texts: &[&str], expect: &[&str]) {
        let budget = RenderBudget::new(limits);
        let html: Vec<_> = texts.iter().map(|text| budget.html_of(text)).collect();
        assert_eq!(html, expect, "{limits:?}");
    }

    const A: &str = "<p dir=\"auto\">a&lt;</p>";

    #[test]
    fn texts_are_rendered_while_the_budget_lasts() {
        check(PLENTY, &["a<", "a<"], &[A, A]);
        check(
            RenderLimits { text: 2, ..PLENTY },
            &["a<", "a<b", "a<"],
            &[A, "a&lt;b", A],
        );
        check(
            RenderLimits { texts: 3, ..PLENTY },
            &["a<", "a<"],
            &[A, "a&lt;"],
        );
        check(
            RenderLimits {
                html: A.len() + 1,
                ..PLENTY
            },
            &["a<", "a<"],
            &[A, "a&lt;"],
        );
        check(
            RenderLimits {
                time: Duration::ZERO,
                ..PLENTY
            },
            &["a<"],
            &["a&lt;"],
        );
    }
}
