//! How long conversations are kept.

use std::ops::Range;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use toml::Spanned;

/// The shortest time that may be set. A shorter one is more likely a mistake than a wish.
const SHORTEST: Duration = Duration::from_secs(60 * 60);

/// How long conversations are kept.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Retention {
    /// How long a conversation is kept after its last message, such as 90d. Pinned ones are kept. What is deleted
    /// can be restored for a day [default: for ever].
    #[arg(long = "retention", env = "RILL_RETENTION", value_name = "TIME", global = true, value_parser = parse)]
    pub conversations: Option<Duration>,
}

/// The section `[retention]` of the configuration file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetentionSection {
    conversations: Option<Spanned<String>>,
    temporary: Option<Spanned<String>>,
}

impl RetentionSection {
    /// The section with its values read.
    pub(super) fn read(self) -> Result<Retention, (Range<usize>, String)> {
        if let Some(temporary) = &self.temporary
            && temporary.get_ref() != "0"
        {
            let sentence = "temporary chats are never stored: write \"0\", or leave it out";
            return Err((temporary.span(), sentence.to_owned()));
        }
        let conversations = self
            .conversations
            .map(|time| parse(time.get_ref()).map_err(|message| (time.span(), message)));
        Ok(Retention {
            conversations: conversations.transpose()?,
        })
    }
}

impl Retention {
    /// These settings, completed by those of the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            conversations: self.conversations.or(other.conversations),
        }
    }
}

fn parse(text: &str) -> Result<Duration, String> {
    match super::parse_time(text) {
        Ok(time) if time >= SHORTEST => Ok(time),
        _ => Err("write a time of at least an hour, as 12h, 90d or 1y".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use clap::Parser;

    fn with(text: &str, arguments: &[&str]) -> Result<Option<Duration>, String> {
        let arguments = std::iter::once("rill").chain(arguments.iter().copied());
        let config = Config::try_parse_from(arguments).map_err(|error| error.to_string())?;
        let config = config.with_file("rill.toml".as_ref(), text, &|_| None)?;
        Ok(config.retention.conversations)
    }

    #[test]
    fn a_time_is_at_least_an_hour() {
        let day = Duration::from_secs(24 * 60 * 60);
        let section = |value: &str| format!("[retention]\n{value}\n");
        assert_eq!(with("", &[]), Ok(None));
        assert_eq!(
            with(&section("conversations = \"90d\""), &[]),
            Ok(Some(90 * day))
        );
        assert_eq!(
            with(&section("conversations = \"90d\""), &["--retention", "1d"]),
            Ok(Some(day))
        );
        assert_eq!(with(&section("temporary = \"0\""), &[]), Ok(None));
        for (wrong, place) in [
            ("conversations = \"59m\"", "2:17"),
            ("conversations = \"0\"", "2:17"),
            ("conversations = \"soon\"", "2:17"),
            ("conversations = 90", "2:17"),
            ("temporary = \"1d\"", "2:13"),
            ("messages = \"1d\"", "2:1"),
        ] {
            let error = with(&section(wrong), &[]).expect_err(wrong);
            assert!(
                error.starts_with(&format!("rill.toml:{place}: ")),
                "{error}"
            );
        }
        for wrong in ["1m", "0s", "", "many"] {
            assert!(with("", &["--retention", wrong]).is_err(), "{wrong}");
        }
    }
}
