//! A table of the page as text: CSV by RFC 4180, or Markdown.

use wasm_bindgen::JsCast;
use web_sys::{Element, Node};

/// The rows of a table, the head first. Each cell is Markdown for [`markdown`], and plain text for [`csv`].
type Rows = Vec<Vec<String>>;

/// The format in which a table is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    /// Comma-separated values.
    Csv,
    /// A Markdown table.
    Markdown,
}

/// The text of a table element.
#[must_use]
pub fn table_text(table: &Element, format: TableFormat) -> String {
    match format {
        TableFormat::Csv => csv(&rows_of(table, &|cell| {
            cell.text_content().unwrap_or_default()
        })),
        TableFormat::Markdown => markdown(&rows_of(table, &source), &alignment(table)),
    }
}

fn each(list: &web_sys::NodeList) -> impl Iterator<Item = Element> + '_ {
    (0..list.length()).filter_map(|at| list.item(at)?.dyn_into().ok())
}

fn rows_of(table: &Element, cell_text: &dyn Fn(&Element) -> String) -> Rows {
    let Ok(rows) = table.query_selector_all("tr") else {
        return Vec::new();
    };
    let cells = |row: Element| {
        let Ok(cells) = row.query_selector_all("th, td") else {
            return Vec::new();
        };
        each(&cells).map(|cell| cell_text(&cell)).collect()
    };
    each(&rows).map(cells).collect()
}

/// The separators below the head, which say how columns are aligned.
fn alignment(table: &Element) -> Vec<&'static str> {
    let Ok(cells) = table.query_selector_all("tr:first-child > th") else {
        return Vec::new();
    };
    let of = |cell: Element| match cell.class_name().as_str() {
        "left" => ":--",
        "center" => ":-:",
        "right" => "--:",
        _ => "---",
    };
    each(&cells).map(of).collect()
}

/// The Markdown of a cell.
fn source(cell: &Element) -> String {
    let mut out = String::new();
    write_source(cell, &mut out);
    out
}

/// Writes the Markdown of the content of an element. The renderer bounds the depth of marks.
fn write_source(element: &Node, out: &mut String) {
    let mut next = element.first_child();
    while let Some(node) = next {
        next = node.next_sibling();
        let Some(element) = node.dyn_ref::<Element>() else {
            out.push_str(&node.text_content().unwrap_or_default());
            continue;
        };
        let mark = match element.tag_name().as_str() {
            "STRONG" => "**",
            "EM" => "*",
            "DEL" => "~~",
            "CODE" => {
                out.push_str(&code(&element.text_content().unwrap_or_default()));
                continue;
            }
            "BR" => {
                out.push_str("<br>");
                continue;
            }
            "A" => {
                out.push('[');
                write_source(element, out);
                out.push_str("](");
                out.push_str(&element.get_attribute("href").unwrap_or_default());
                out.push(')');
                continue;
            }
            "BUTTON" => continue,
            _ => "",
        };
        out.push_str(mark);
        write_source(element, out);
        out.push_str(mark);
    }
}

/// A code span around a text that may contain backticks.
fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let space = if text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{space}{text}{space}{fence}")
}

/// The rows as CSV. A cell that a spreadsheet would take for a formula begins with an apostrophe, since a model wrote it
/// (<https://owasp.org/www-community/attacks/CSV_Injection>).
fn csv(rows: &[Vec<String>]) -> String {
    let cell = |cell: &String| {
        let text = cell.trim();
        let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r'])
            && text.replace(',', "").parse::<f64>().is_err();
        let text = if is_formula {
            format!("'{text}")
        } else {
            text.to_owned()
        };
        if text.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text
        }
    };
    rows.iter()
        .map(|row| row.iter().map(cell).collect::<Vec<_>>().join(",") + "\r\n")
        .collect()
}

/// The rows as a Markdown table.
fn markdown(rows: &[Vec<String>], alignment: &[&'static str]) -> String {
    let line = |cells: &mut dyn Iterator<Item = String>| {
        let cells: Vec<String> = cells.collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let escaped = |cell: &String| cell.trim().replace('|', "\\|").replace('\n', " ");
    let mut out = String::new();
    for (number, row) in rows.iter().enumerate() {
        out += &line(&mut row.iter().map(escaped));
        if number == 0 {
            let columns = 0..row.len();
            out += &line(&mut columns.map(|at| (*alignment.get(at).unwrap_or(&"---")).to_owned()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(cells: &[&[&str]]) -> Rows {
        let row = |row: &&[&str]| row.iter().map(|cell| (*cell).to_owned()).collect();
        cells.iter().map(row).collect()
    }

    #[test]
    fn cells_are_quoted_as_the_standard_says() {
        let check = |cell: &str, expect: &str| {
            assert_eq!(
                csv(&rows(&[&[cell, "z"]])),
                format!("{expect},z\r\n"),
                "{cell}"
            );
        };
        check("plain", "plain");
        check(" a ", "a");
        check("a,b", "\"a,b\"");
        check("say \"hi\"", "\"say \"\"hi\"\"\"");
        check("two\nlines", "\"two\nlines\"");
        check("", "");
    }

    #[test]
    fn a_cell_is_no_formula_of_a_spreadsheet_but_may_be_a_number() {
        let check = |cell: &str, expect: &str| {
            assert_eq!(csv(&rows(&[&[cell]])), format!("{expect}\r\n"), "{cell}");
        };
        check("=1+1", "'=1+1");
        check("@SUM(A1)", "'@SUM(A1)");
        check("-cmd|' /C calc'!A0", "'-cmd|' /C calc'!A0");
        check("+49 30", "'+49 30");
        check("-5", "-5");
        check("+1.5e3", "+1.5e3");
        check("-1,000", "\"-1,000\"");
    }

    #[test]
    fn a_markdown_table_has_its_alignment_and_escapes_bars() {
        let cells = rows(&[&["Name", "Size"], &["a|b", "1\n2"], &["`x`", ""]]);
        assert_eq!(
            markdown(&cells, &["---", "--:"]),
            "| Name | Size |\n| --- | --: |\n| a\\|b | 1 2 |\n| `x` |  |\n"
        );
        assert_eq!(markdown(&[], &[]), "");
    }

    #[test]
    fn code_with_backticks_keeps_them() {
        assert_eq!(code("a"), "`a`");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`"), "`` ` ``");
    }
}
