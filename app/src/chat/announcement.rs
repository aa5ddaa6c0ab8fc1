//! Announcements for screen readers while a reply streams and when it has ended.

use crate::reply::transcript::{ReplyEnd, Transcript};

/// An announcement for a screen reader. It never holds the text of a reply, which would be read in fragments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announcement {
    /// Nothing to announce.
    Nothing,
    /// A reply streams.
    Answering,
    /// The connection is lost and is being resumed.
    ConnectionLost,
    /// A reply has ended.
    Ended {
        /// How the reply ended.
        end: ReplyEnd,
        /// The number of words of its text.
        words: usize,
    },
    /// A sentence, such as why a message could not be sent.
    Sentence(String),
}

impl Announcement {
    /// The announcement of a reply that has ended; `None` while it streams.
    #[must_use]
    pub fn ended(reply: &Transcript) -> Option<Self> {
        let end = reply.end.clone()?;
        let words = reply.text.split_whitespace().count();
        Some(Self::Ended { end, words })
    }
}
