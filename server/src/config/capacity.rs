//! The configured limits of streams and replies.

use clap::Args;

/// The limits of streams and replies. The default of each follows from the number of descriptors that the
/// process may have open.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Capacity {
    /// The most running replies, each of which is a request to a provider. Further requests are refused with
    /// 503 [default: 1024, or what the limit of open files allows].
    #[arg(long, env = "RILL_MAX_REPLIES", value_name = "COUNT", value_parser = count())]
    pub max_replies: Option<usize>,

    /// The most running replies for one client, by its address. Behind a proxy all clients have the same
    /// address. Further requests are refused with 429 [default: three quarters of all].
    #[arg(long, env = "RILL_MAX_REPLIES_PER_CLIENT", value_name = "COUNT", value_parser = count())]
    pub max_replies_per_client: Option<usize>,

    /// The most open streams of events [default: 4096, or what the limit of open files allows].
    #[arg(long, env = "RILL_MAX_STREAMS", value_name = "COUNT", value_parser = count())]
    pub max_streams: Option<usize>,

    /// The most open streams of one client [default: three quarters of all].
    #[arg(long, env = "RILL_MAX_STREAMS_PER_CLIENT", value_name = "COUNT", value_parser = count())]
    pub max_streams_per_client: Option<usize>,
}

impl Capacity {
    /// These settings, completed by those of the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            max_replies: self.max_replies.or(other.max_replies),
            max_replies_per_client: self.max_replies_per_client.or(other.max_replies_per_client),
            max_streams: self.max_streams.or(other.max_streams),
            max_streams_per_client: self.max_streams_per_client.or(other.max_streams_per_client),
        }
    }
}

fn count() -> clap::builder::ValueParser {
    clap::builder::ValueParser::new(|text: &str| match text.parse::<usize>() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err("write a whole number of at least 1"),
    })
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use clap::Parser;

    #[test]
    fn a_count_is_a_number_of_at_least_one() {
        let parse = |count: &str| Config::try_parse_from(["rill", "--max-replies", count]);
        let config = parse("7").expect("valid");
        assert_eq!(config.capacity.max_replies, Some(7));
        for wrong in ["0", "-1", "many", "1.5", ""] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let config = Config::try_parse_from(["rill", "--max-replies", "7"]).expect("valid");
        let text = "max_replies = 3\nmax_streams_per_client = 5\n";
        let config = config
            .with_file("rill.toml".as_ref(), text, &|_| None)
            .expect("valid");
        assert_eq!(config.capacity.max_replies, Some(7));
        assert_eq!(config.capacity.max_streams_per_client, Some(5));
        assert_eq!(config.capacity.max_streams, None);
        let wrong = Config::try_parse_from(["rill"])
            .expect("valid")
            .with_file("rill.toml".as_ref(), "max_streams = 0\n", &|_| None)
            .expect_err("none at all");
        assert!(wrong.starts_with("rill.toml:1:"), "{wrong}");
    }
}
