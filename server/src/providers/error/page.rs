//! The visible text of a page that came in place of an answer.

use super::body::MOST_TEXT;

/// The words at the beginning of a text that may be HTML, without tags, styles and scripts.
pub(super) fn visible(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        out.push_str(before);
        out.push(' ');
        let name = tag.trim_start_matches('/').to_ascii_lowercase();
        // The content of these elements is not visible.
        let end = ["style", "script"]
            .iter()
            .find(|unseen| name.starts_with(**unseen) && !tag.starts_with('/'))
            .map_or(">", |unseen| {
                if *unseen == "style" {
                    "</style"
                } else {
                    "</script"
                }
            });
        let Some((_, after)) = tag.split_once(end) else {
            rest = "";
            break;
        };
        rest = after.strip_prefix('>').unwrap_or(after);
        if out.len() >= MOST_TEXT {
            break;
        }
    }
    out.push_str(rest);
    let words: Vec<&str> = out.split_whitespace().collect();
    words.join(" ").chars().take(MOST_TEXT).collect()
}
