//! What a text leaves open that would swallow the text behind it.

use super::formulas::state_behind;
use super::parse::Own;
use super::parse::with_line_feeds;

/// The line that closes the block of code at the end of a text, with the prefixes of the quotations and items around
/// it. A block of HTML that only its end tag closes counts, too. `None` if no such block is open.
#[must_use]
pub fn closing_line(text: &str) -> Option<String> {
    let text = with_line_feeds(text);
    state_behind(&text, Own::whole(&text)).closing_line()
}

#[cfg(test)]
mod tests {
    use super::super::proof::whole;
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<&str>) {
        let line = closing_line(text);
        assert_eq!(line.as_deref(), expect, "{text:?}");
        let closed = format!("{text}\n{}\n\n## Next", line.unwrap_or_default());
        assert!(
            whole(&closed).ends_with("<h2 dir=\"auto\">Next</h2>"),
            "{text:?}"
        );
    }

    #[test]
    fn a_block_of_code_that_is_open_is_closed_in_its_containers() {
        check("text", None);
        check("```rust\nlet a;\n```", None);
        check("```rust\nlet a;", Some("```"));
        check("```", Some("```"));
        check("~~~~\n```\n~~~\n", Some("~~~~"));
        check("`````\n```\na\n```", Some("`````"));
        check("- a\n\n  ```\n  code", Some("  ```"));
        check("10. ```\n    code\n", Some("    ```"));
        check("> a\n> ```\n> code", Some("> ```"));
        check("> - ```\n>   code", Some(">   ```"));
        check("- > ```\n  > code\n\nafter", None);
        check("a\r\n```\r\ncode\r\n", Some("```"));
        check("a\r```\rcode", Some("```"));
        check("    ```\n", None);
        check("a ```b\n", None);
        check("<!-- a\n\nb", Some("-->"));
        check("<div>\n```", None);
        check("$$\n- ```", Some("  ```"));
    }
}
