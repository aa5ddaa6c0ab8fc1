//! The Enter key in the composer. With a keyboard it sends; on a touch screen it inserts a line break, because Shift
//! is hard to reach there and the button is near. A setting overrides this.

/// When Enter sends the message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EnterSends {
    /// Where the main pointer is not a finger.
    #[default]
    Automatic,
    /// Everywhere.
    Always,
    /// Nowhere: the button sends, and so does Ctrl or ⌘ with Enter.
    Never,
}

impl EnterSends {
    /// All choices, in the order of the setting.
    pub const ALL: [Self; 3] = [Self::Automatic, Self::Always, Self::Never];

    /// The name under which the choice is stored; empty for the default.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Automatic => "",
            Self::Always => "always",
            Self::Never => "never",
        }
    }

    /// The choice with this name; the default for an unknown name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let mut all = Self::ALL.into_iter();
        all.find(|choice| choice.name() == name).unwrap_or_default()
    }

    /// Whether Enter alone sends. `is_touch` is whether the main pointer is a finger.
    #[must_use]
    pub fn sends(self, is_touch: bool) -> bool {
        match self {
            Self::Automatic => !is_touch,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enter_sends_where_there_is_a_keyboard_unless_a_setting_says_otherwise() {
        let check = |name: &str, with_keyboard, on_touch| {
            let choice = EnterSends::named(name);
            let got = (choice.sends(false), choice.sends(true));
            assert_eq!(got, (with_keyboard, on_touch), "{name}");
        };
        check("", true, false);
        check("always", true, true);
        check("never", false, false);
        check("unknown", true, false);
        for choice in EnterSends::ALL {
            assert_eq!(EnterSends::named(choice.name()), choice);
        }
    }
}
