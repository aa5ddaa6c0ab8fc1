//! What a mapper learns of the end of an answer: why it ended, what it cost, whether more will come.

use app::protocol::{Finish, Usage};

/// The end of an answer, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// Why the answer ended, in the provider's word for it.
    pub(super) finish: Option<Finish>,
    /// The token counts that came last: some servers send them with every event.
    pub(super) usage: Option<Usage>,
    /// The model said that it refuses, whatever the provider calls the end.
    pub(super) refused: bool,
    /// Nothing more will come.
    pub(super) done: bool,
}

impl Ending {
    /// Why the answer ended, once that is known: with it the reply is complete, whatever happens to
    /// the connection.
    pub(super) fn finish(&self) -> Option<Finish> {
        match self.finish.or(self.done.then_some(Finish::Stop)) {
            Some(Finish::Stop) if self.refused => Some(Finish::Refusal),
            finish => finish,
        }
    }
}
