//! Markdown as people and models write it: each text is shown as what it means to a reader, at once and streamed
//! character by character.

use super::fake_dom::{FakeDom, FakeNode};
use super::node::Tag;
use super::proof::{self, whole};
use super::stream::Stream;
use super::tests::check_streams;

#[track_caller]
fn check(text: &str, expect: &str) {
    assert_eq!(whole(text), expect, "{text:?}");
    check_streams(text);
}

/// A paragraph.
fn p(inner: &str) -> String {
    format!("<p dir=\"auto\">{inner}</p>")
}

fn b(inner: &str) -> String {
    format!("<strong>{inner}</strong>")
}

/// A link by itself.
fn a(address: &str) -> String {
    format!("<a href=\"{address}\" rel=\"noopener noreferrer\" target=\"_blank\">{address}</a>")
}

fn display(tex: &str) -> String {
    let tex = tex.replace('&', "&amp;").replace('>', "&gt;");
    format!("<span class=\"math display\">{tex}</span>")
}

fn table(head: &str, rows: &[&[&str]]) -> String {
    let cells = |tag: &str, cells: &[&str]| {
        let cell = |cell: &&str| format!("<{tag} dir=\"auto\">{cell}</{tag}>");
        format!("<tr>{}</tr>", cells.iter().map(cell).collect::<String>())
    };
    let head: Vec<_> = head.split(' ').collect();
    let rows: String = rows.iter().map(|row| cells("td", row)).collect();
    format!(
        "<div class=\"table\" tabindex=\"0\" role=\"group\" aria-label=\"Table\"><table><thead>{}</thead><tbody>{rows}</tbody></table></div>",
        cells("th", &head)
    )
}

#[test]
fn prices_and_variables_stay_text_and_marks_around_them_count() {
    check(
        "- **Basic**: **$5**\n- **Pro**: from **$10** to **$15**",
        &format!(
            "<ul><li>{}</li><li>{}</li></ul>",
            p(&format!("{}: {}", b("Basic"), b("$5"))),
            p(&format!("{}: from {} to {}", b("Pro"), b("$10"), b("$15")))
        ),
    );
    check(
        "It is $5 with `--fast` and **$6** without.",
        &p("It is $5 with <code>--fast</code> and <strong>$6</strong> without."),
    );
    check(
        "Pay $5 https://e.x/a or *$6* there.",
        &p(&format!(
            "Pay $5 {} or <em>$6</em> there.",
            a("https://e.x/a")
        )),
    );
    check(
        "Plans (**$9**/mo, **$19**/mo, ~~$29~~).",
        &p("Plans (<strong>$9</strong>/mo, <strong>$19</strong>/mo, <del>$29</del>)."),
    );
    check(
        "| Plan | Price |\n|---|---|\n| A | **$5**–**$7** |\n| B | $8 |",
        &table(
            "Plan Price",
            &[
                &["A", "<strong>$5</strong>–<strong>$7</strong>"],
                &["B", "$8"],
            ],
        ),
    );
    for text in [
        "The share is $VERIFIED_COUNT/$TOTAL_COUNT, and set PATH=$HOME/bin:$PATH first.",
        "Use ${HOME}/x and ${PATH}, or $OMNI_KEY.",
        "It went from $5K to $10K and then $1.5M/$2M.",
        "HIP requested $3,500 in 2022. A year later it asked for $5,000, an increase.",
        "Between US$50 and 100$ or NT$30 (about $1).",
        "大约 3~5 天，价格 100~200 元；age(1~3), hight(80~100)",
        "Between ~1.34 and ~5.4, (~2) or (~3), ~10%~20%.",
        "喵呜~这就来~好的",
    ] {
        check(text, &p(text));
    }
    check(
        "`$a` and [x $5](https://b.c/$d$e) for $6",
        &p(
            "<code>$a</code> and <a href=\"https://b.c/$d$e\" rel=\"noopener noreferrer\" target=\"_blank\">x $5</a> for $6",
        ),
    );
    check("```sh\necho $A $B$\n```", &whole("```sh\necho $A $B$\n```"));
}

#[test]
fn emphasis_stands_beside_punctuation_of_scripts_without_spaces() {
    check(
        "含**「重点」**内容，**注意：**正文，**历经10年发展，**年。",
        &p(&format!(
            "含{}内容，{}正文，{}年。",
            b("「重点」"),
            b("注意："),
            b("历经10年发展，")
        )),
    );
    check(
        "很**大**(big)和**(1)**与**(2)**的",
        &p(&format!("很{}(big)和{}与{}的", b("大"), b("(1)"), b("(2)"))),
    );
    check(
        "**https://example.com/p/28031**。后",
        &p(&format!("{}。后", b(&a("https://example.com/p/28031")))),
    );
}

#[test]
fn addresses_in_links_and_definitions_are_as_they_were_written() {
    for address in [
        "http://b.c/~d",
        "http://b.c/$d$e",
        "http://b.c/$d",
        "http://b.c/a%20b~c",
    ] {
        let link = |text: &str| {
            format!(
                "<a href=\"{address}\" rel=\"noopener noreferrer\" target=\"_blank\">{text}</a>"
            )
        };
        check(
            &format!("[a]({address}) ~$5"),
            &p(&format!("{} ~$5", link("a"))),
        );
        check(
            &format!("<{address}> and {address}"),
            &p(&format!("{0} and {0}", link(address))),
        );
        check(
            &format!("[a], [$5 ~%][A]\n\n[a]: {address}"),
            &p(&format!("{}, {}", link("a"), link("$5 ~%"))),
        );
        check(
            &format!("[$a~]: {address}\n\n[$a~] [x][$a~]"),
            &p(&format!("{} {}", link("$a~"), link("x"))),
        );
        let definition = format!("[a]: {address}");
        check(
            &format!("{definition}\n\nb\n\n- c\n\nd [%~][a]"),
            &format!(
                "{}<ul><li>{}</li></ul>{}",
                p("b"),
                p("c"),
                p(&format!("d {}", link("%~")))
            ),
        );
    }
}

#[test]
fn links_end_with_their_address() {
    check(
        "详见 https://example.com/docs。更多见https://example.com/guide，以及 https://example.com/a（说明）好。",
        &p(&format!(
            "详见 {}。更多见{}，以及 {}（说明）好。",
            a("https://example.com/docs"),
            a("https://example.com/guide"),
            a("https://example.com/a")
        )),
    );
    check(
        "See https://example.com/x—it is “https://example.com/y”.",
        &p(&format!(
            "See {}—it is “{}”.",
            a("https://example.com/x"),
            a("https://example.com/y")
        )),
    );
    check(
        "(see https://en.wikipedia.org/wiki/A_(b))",
        &p(&format!(
            "(see {})",
            a("https://en.wikipedia.org/wiki/A_(b)")
        )),
    );
}

#[test]
fn display_formulas_are_blocks_whatever_begins_their_lines() {
    for (text, tex) in [
        ("\\[\nE\n=\na-b\n\\]", "\nE\n=\na-b\n"),
        ("$$\nx = a\n- b\n+ c\n$$", "\nx = a\n- b\n+ c\n"),
        (
            "\\[\n\\begin{aligned}\nx &= a \\\\\n- b &= c\n\\end{aligned}\n\\]",
            "\n\\begin{aligned}\nx &= a \\\\\n- b &= c\n\\end{aligned}\n",
        ),
        ("$$\na = b\n\nc = d\n$$", "\na = b\n\nc = d\n"),
        ("$$\n1. 5 + x\n$$", "\n1. 5 + x\n"),
        ("$$\na\n# b\n$$", "\na\n# b\n"),
        ("$$\na\n> b\n$$", "\na\n> b\n"),
        ("$$ x = 1 $$", " x = 1 "),
    ] {
        let formula = p(&display(tex));
        check(text, &formula);
        check(
            &format!("So\n\n{text}\n\nend"),
            &format!("{}{formula}{}", p("So"), p("end")),
        );
        check(
            &format!("So\n{text}\nend"),
            &format!("{}{formula}{}", p("So"), p("end")),
        );
        check(
            &format!("So\n{text}\n---\nend"),
            &format!("{}{formula}<hr>{}", p("So"), p("end")),
        );
        let quoted: String = text.lines().map(|line| format!("> {line}\n")).collect();
        check(&quoted, &format!("<blockquote>{formula}</blockquote>"));
        let indented = text.replace('\n', "\n  ");
        check(
            &format!("- The rule:\n  {indented}\n- next"),
            &format!(
                "<ul><li>{}{formula}</li><li>{}</li></ul>",
                p("The rule:"),
                p("next")
            ),
        );
        check(
            &format!("- {indented}\n- next"),
            &format!("<ul><li>{formula}</li><li>{}</li></ul>", p("next")),
        );
    }
    check(
        "So $$\n- b\n$$ is",
        &p(&format!("So {} is", display("\n- b\n"))),
    );
    check(
        "Inline \\(a_1 * b_1 * c_1\\) and \\(A_{sf}\\).",
        &p(
            "Inline <span class=\"math\">a_1 * b_1 * c_1</span> and <span class=\"math\">A_{sf}</span>.",
        ),
    );
    check(
        "| $|x|$ | b |\n|---|---|\n| \\(y|z\\) | c |",
        &table(
            "<span·class=\"math\">|x|</span> b",
            &[&["<span class=\"math\">y|z</span>", "c"]],
        )
        .replace('·', " "),
    );
}

/// The scan of the formulas behind a part's begin has to know whether a delimiter opens a formula or closes one.
#[test]
fn a_display_formula_across_the_border_of_two_parts_ends_as_in_the_whole_text() {
    for length in 20..60 {
        let before = "\u{1f469}\u{200d}".repeat(length);
        let text = format!("{before}- $$\n- $$\n- $$\n`{}- $$\n- $$\n", "c".repeat(60));
        proof::check(&text, &[60; 12], 1);
    }
}

#[test]
fn a_formula_does_not_reach_over_the_rows_of_a_table() {
    check(
        "a | b\n--|--\n$y | 1\nz$ | 2\n\n$c$",
        &format!(
            "{}{}",
            table("a b", &[&["$y", "1"], &["z$", "2"]]),
            p("<span class=\"math\">c</span>")
        ),
    );
    for row in [
        "$x^2$$- \n[\n$$\n",
        "$y | 1\nz$ | 2\n",
        "`$$ \n$$`\n",
        "\\( | \n \\)\n",
    ] {
        for text in [
            format!("| a | b |\n|---|:-:|\n{row}"),
            format!("> a | b\n> --|--\n> {}", row.replace('\n', "\n> ")),
        ] {
            check_streams(&text);
            proof::check(&text, &[], 1);
        }
    }
}

#[test]
fn a_line_break_of_html_breaks_the_line_and_other_html_is_text() {
    check(
        "Intro\n\n<br>\n**bold** after",
        &format!("{}{}", p("Intro"), p("<br><strong>bold</strong> after")),
    );
    check("a<br>b<br/>c<BR />d", &p("a<br>b<br>c<br>d"));
    check(
        "- <br />\n  *a*",
        &format!("<ul><li>{}</li></ul>", p("<br><em>a</em>")),
    );
    check(
        "| a | b |\n|---|---|\n| x<br>y | z<br/>w |",
        &table("a b", &[&["x<br>y", "z<br>w"]]),
    );
    check(
        "`<br>` and\n\n```\n<br>\n```",
        &whole("`<br>` and\n\n```\n<br>\n```"),
    );
    assert!(whole("```\n<br>\n```").contains("&lt;br&gt;"));
    check(
        "Use Vec<T> or List<String> here, and a <b>tag</b>.",
        &p("Use Vec&lt;T&gt; or List&lt;String&gt; here, and a &lt;b&gt;tag&lt;/b&gt;."),
    );
    check(
        "<details>\n<summary>More</summary>\n\n**bold**\n\n</details>",
        "<p class=\"raw\" dir=\"ltr\">&lt;details&gt;\n&lt;summary&gt;More&lt;/summary&gt;\n</p><p dir=\"auto\"><strong>bold</strong></p><p class=\"raw\" dir=\"ltr\">&lt;/details&gt;</p>",
    );
}

/// What is shown while a text grows.
#[track_caller]
fn check_begun(text: &str, expect: &str) {
    let root = FakeNode::element(Tag::Div);
    let mut stream = Stream::new(FakeDom::default(), root.clone());
    for (at, c) in text.char_indices() {
        stream.show(&text[..at + c.len_utf8()]);
    }
    assert_eq!(root.html(), expect, "{text:?}");
}

#[test]
fn a_formula_that_is_begun_is_shown_as_one_and_a_price_as_text() {
    for begun in [
        "So\n\n$$\nx\n- b",
        "So\n\n$$\nx\n- b\n",
        "So\n\n$$\nx\n- b\n$",
    ] {
        check_begun(begun, &format!("{}{}", p("So"), p(&display("\nx\n- b"))));
    }
    check_begun(
        "So\n\n\\[\nE\n=\n",
        &format!("{}{}", p("So"), p(&display("\nE\n="))),
    );
    check_begun("So\n\n$$", &p("So"));
    check_begun("- So\n  $$\n", &format!("<ul><li>{}</li></ul>", p("So")));
    check_begun("So $x^2", &p("So <span class=\"math\">x^2</span>"));
    check_begun("So \\(x^2", &p("So <span class=\"math\">x^2</span>"));
    check_begun("It is **$5", &p(&format!("It is {}", b("$5"))));
    check_begun("It is $5 and $HOME/b", &p("It is $5 and $HOME/b"));
    check_begun("含**「重点", &p(&format!("含{}", b("「重点"))));
    check_begun("a <br", &p("a"));
}

#[test]
fn containers_of_right_to_left_text_are_laid_out_from_the_right() {
    let rtl = "مرحبا";
    check(
        &format!("- {rtl}\n- abc"),
        &format!(
            "<ul dir=\"rtl\"><li>{}</li><li>{}</li></ul>",
            p(rtl),
            p("abc")
        ),
    );
    check(
        &format!("1. 12\n2. {rtl} abc"),
        &format!(
            "<ol dir=\"rtl\"><li>{}</li><li>{}</li></ol>",
            p("12"),
            p(&format!("{rtl} abc"))
        ),
    );
    check(
        &format!("> **{rtl}**\n>\n> - abc\n>   - {rtl}"),
        &format!(
            "<blockquote dir=\"rtl\">{}<ul dir=\"ltr\"><li>{}<ul dir=\"rtl\"><li>{}</li></ul></li></ul></blockquote>",
            p(&b(rtl)),
            p("abc"),
            p(rtl)
        ),
    );
    check(
        &format!("- [x] {rtl}"),
        &format!(
            "<ul dir=\"rtl\"><li class=\"task\"><span class=\"box\" role=\"img\" aria-label=\"Done\" data-done=\"true\"></span>{}</li></ul>",
            p(rtl)
        ),
    );
    check(
        &format!("| {rtl} | 1 |\n|---|---|\n| abc | 2 |"),
        &table(&format!("{rtl} 1"), &[&["abc", "2"]]).replace("\"table\"", "\"table\" dir=\"rtl\""),
    );
    // Code and formulas say nothing of the direction.
    check(
        &format!("- \\(x\\) {rtl}\n- b"),
        &format!(
            "<ul dir=\"rtl\"><li>{}</li><li>{}</li></ul>",
            p(&format!("<span class=\"math\">x</span> {rtl}")),
            p("b")
        ),
    );
    let code = format!("- ```\n  abc\n  ```\n  {rtl}");
    assert!(whole(&code).starts_with("<ul dir=\"rtl\">"));
    check_streams(&code);
    check(
        &format!("- abc\n- {rtl}"),
        &format!("<ul><li>{}</li><li>{}</li></ul>", p("abc"), p(rtl)),
    );
    check(
        &format!("> abc\n> - def\n\n{rtl}"),
        &format!(
            "<blockquote>{}<ul dir=\"ltr\"><li>{}</li></ul></blockquote>{}",
            p("abc"),
            p("def"),
            p(rtl)
        ),
    );
    check(
        &format!("- 12\n- 34\n\n  56\n- 78\n- 90\n- {rtl}"),
        &format!(
            "<ul dir=\"rtl\" class=\"loose\"><li>{}</li><li>{}{}</li><li>{}</li><li>{}</li><li>{}</li></ul>",
            p("12"),
            p("34"),
            p("56"),
            p("78"),
            p("90"),
            p(rtl)
        ),
    );
}

#[test]
fn a_formula_ends_where_the_parser_begins_an_item() {
    let item = |start: &str, inner: &str| format!("<ol{start}><li>{}</li></ol>", p(inner));
    let quote = |inner: &str| format!("<blockquote>{}</blockquote>", p(inner));
    // Behind the containers of a paragraph any number begins an item, and within them only the first one does.
    check(
        "> a $$\n2) b $$",
        &format!("{}{}", quote("a $$"), item(" start=\"2\"", "b $$")),
    );
    check(
        "> a $x\n2) y$",
        &format!("{}{}", quote("a $x"), item(" start=\"2\"", "y$")),
    );
    check("a $x\n01) y$", &format!("{}{}", p("a $x"), item("", "y$")));
    check("a $x\n2) y$", &p("a <span class=\"math\">x\n2) y</span>"));
}

#[test]
fn a_line_that_only_goes_on_with_a_paragraph_is_no_row_and_no_underline() {
    let quote = |inner: &str| format!("<blockquote>{}</blockquote>", p(inner));
    check(
        "> a\n| b $$\n- c $$",
        &format!("{}<ul><li>{}</li></ul>", quote("a\n| b $$"), p("c $$")),
    );
    check(
        "> a $$\n===\nb $$",
        &quote(&display("\n===\nb ").replace("<span", "a <span")),
    );
    check(
        "> a\n| b $$\n| c $$",
        &quote(&display("\n| c ").replace("<span", "a\n| b <span")),
    );
}

#[test]
fn an_indented_line_that_would_begin_a_block_ends_a_table() {
    for line in ["  #", "# a", "- a", "> a", "***", "1. a", "```", "<div>"] {
        let text = format!("|a|\n|-|\n|b|\n    {line}\nc \\[x\ny\\] d");
        let html = whole(&text);
        assert!(html.contains("<code>"), "{html}");
        assert!(!html.contains("[x"), "{html}");
        check_streams(&text);
    }
    for line in ["code", "==="] {
        let text = format!("|a|\n|-|\n|b|\n    {line}\nc \\[x\ny\\] d");
        assert!(
            whole(&text).contains("<td dir=\"auto\">c [x</td>"),
            "{line}"
        );
        check_streams(&text);
    }
}
