//! The commands of TeX by the arguments that they take.

/// Whether a command has one argument that is parsed.
pub(super) fn takes_argument(name: &str) -> bool {
    // Fonts.
    if let Some(font) = name
        .strip_prefix("math")
        .or_else(|| name.strip_prefix("sym"))
        && matches!(
            font,
            "bf" | "bfup"
                | "cal"
                | "it"
                | "rm"
                | "up"
                | "sf"
                | "sfup"
                | "tt"
                | "bb"
                | "bbit"
                | "frak"
                | "bfcal"
                | "sfit"
                | "bfit"
                | "bffrak"
                | "bfsfup"
                | "bfsfit"
                | "normal"
        )
    {
        return true;
    }
    matches!(
        name,
        "boldsymbol" | "mathord" | "mathbin" | "mathrel" | "mathopen" | "mathclose" | "mathpunct"
            | "mathinner" | "pmod" | "not" | "cancel"
            // Delimiters.
            | "big" | "bigl" | "bigr" | "bigm" | "Big" | "Bigl" | "Bigr" | "Bigm" | "bigg"
            | "biggl" | "biggr" | "biggm" | "Bigg" | "Biggl" | "Biggr" | "Biggm" | "middle"
            // What is above or below.
            | "acute" | "bar" | "overline" | "underbar" | "underline" | "breve" | "check" | "dot"
            | "ddot" | "grave" | "hat" | "tilde" | "vec" | "mathring" | "overleftarrow"
            | "underleftarrow" | "overrightarrow" | "Overrightarrow" | "underrightarrow"
            | "overleftrightarrow" | "underleftrightarrow" | "overleftharpoon"
            | "overrightharpoon" | "widecheck" | "widehat" | "widetilde" | "wideparen"
            | "overparen" | "overgroup" | "undergroup" | "overbrace" | "underbrace"
            | "underparen" | "overbracket" | "underbracket"
    )
}
