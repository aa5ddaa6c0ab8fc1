//! What stands in the composer: a new message, or a question that is being edited.
//!
//! No word that a person wrote is lost here: the draft waits while a question is edited, and what
//! could not be sent comes back beside what has been written since.

use crate::chat::tree::MessageId;

/// The text in the composer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    text: String,
    /// The question that the text shall replace.
    editing: Option<MessageId>,
    /// The new message that waits while a question is edited.
    waiting: String,
    /// A message that came back, of which the server may still have heard.
    came_back: Option<Outgoing>,
}

/// A message on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// What is asked.
    pub text: String,
    /// The question that it replaces, if it is an edited one.
    pub replaces: Option<MessageId>,
    /// Under which names it was sent before, if it was.
    pub sent: Option<Sent>,
}

/// The names of a message on the wire. Sent again under the same ones, it is the same message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The id of the conversation.
    pub conversation: String,
    /// The id of the request.
    pub request: String,
}

impl Draft {
    /// What is in the composer now.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The question that is being edited.
    #[must_use]
    pub fn editing(&self) -> Option<MessageId> {
        self.editing
    }

    /// Whether a question is being edited.
    #[must_use]
    pub fn is_edit(&self) -> bool {
        self.editing.is_some()
    }

    /// The new message, whether it is in the composer or waits: what a reload must not lose.
    #[must_use]
    pub fn unsent(&self) -> &str {
        if self.editing.is_some() {
            &self.waiting
        } else {
            &self.text
        }
    }

    /// The person wrote.
    pub fn write(&mut self, text: String) {
        self.text = text;
    }

    /// Puts a question in, to be edited; the new message waits meanwhile.
    pub fn edit(&mut self, question: MessageId, text: String) {
        let before = std::mem::replace(&mut self.text, text);
        if self.editing.replace(question).is_none() {
            self.waiting = before;
        }
    }

    /// Leaves the question as it was; the new message is back.
    pub fn cancel_edit(&mut self) {
        if self.editing.take().is_some() {
            self.text = std::mem::take(&mut self.waiting);
        }
    }

    /// Takes the message out to be sent; nothing if there is none.
    pub fn take(&mut self) -> Option<Outgoing> {
        if self.text.trim().is_empty() {
            return None;
        }
        let text = std::mem::take(&mut self.text);
        let replaces = self.editing;
        self.cancel_edit();
        let before = self.came_back.take();
        let sent = before
            .filter(|before| before.text == text && before.replaces == replaces)
            .and_then(|before| before.sent);
        Some(Outgoing {
            text,
            replaces,
            sent,
        })
    }

    /// The message could not be sent: it is back, before what has been written since.
    pub fn give_back(&mut self, outgoing: Outgoing) {
        self.came_back = Some(outgoing.clone());
        match outgoing.replaces {
            Some(question) if self.editing.is_none() => self.edit(question, outgoing.text),
            _ if self.text.trim().is_empty() => self.text = outgoing.text,
            _ => self.text.insert_str(0, &(outgoing.text + "\n\n")),
        }
    }
}

/// What stands in the composer when the page comes to life: what was remembered from the last visit,
/// and what has been typed since the page appeared. A browser may have restored the first by itself.
#[must_use]
pub fn recovered(remembered: String, typed: String) -> String {
    if remembered.is_empty() || typed.starts_with(&remembered) {
        typed
    } else if typed.is_empty() {
        remembered
    } else {
        remembered + "\n" + &typed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::tree::Conversation;

    fn question() -> MessageId {
        Conversation::default().append(None, ())
    }

    fn written(text: &str) -> Draft {
        let mut draft = Draft::default();
        draft.write(text.into());
        draft
    }

    #[test]
    fn neither_an_old_draft_nor_early_typing_is_lost() {
        for (remembered, typed, expect) in [
            ("", "", ""),
            ("old", "", "old"),
            ("", "early", "early"),
            ("old", "early", "old\nearly"),
            ("old", "old and more", "old and more"),
        ] {
            assert_eq!(recovered(remembered.into(), typed.into()), expect);
        }
    }

    #[test]
    fn taking_it_empties_the_composer_and_nothing_is_no_message() {
        let mut draft = written("hello");
        assert_eq!(
            draft.take(),
            Some(Outgoing {
                text: "hello".into(),
                replaces: None,
                sent: None
            })
        );
        assert_eq!(draft, Draft::default());
        assert_eq!(written(" \n").take(), None);
    }

    #[test]
    fn the_new_message_waits_while_a_question_is_edited() {
        let mut draft = written("new");
        draft.edit(question(), "old".into());
        assert_eq!((draft.text(), draft.unsent()), ("old", "new"));
        draft.edit(question(), "another".into());
        draft.cancel_edit();
        assert_eq!(draft, written("new"));
    }

    #[test]
    fn an_edited_question_says_what_it_replaces_and_the_new_message_is_back() {
        let mut draft = written("new");
        draft.edit(question(), "old".into());
        draft.write("better".into());
        assert_eq!(
            draft.take(),
            Some(Outgoing {
                text: "better".into(),
                replaces: Some(question()),
                sent: None
            })
        );
        assert_eq!(draft, written("new"));
    }

    #[track_caller]
    fn check_given_back(mut draft: Draft, expect: &str) {
        draft.give_back(Outgoing {
            text: "unsent".into(),
            replaces: None,
            sent: None,
        });
        assert_eq!(draft.text(), expect);
    }

    #[test]
    fn what_could_not_be_sent_is_back_with_what_was_written_since() {
        check_given_back(Draft::default(), "unsent");
        check_given_back(written("  "), "unsent");
        check_given_back(written("since"), "unsent\n\nsince");
    }

    #[test]
    fn an_edit_that_could_not_be_sent_goes_on_and_the_new_message_still_waits() {
        let mut draft = written("since");
        draft.give_back(Outgoing {
            text: "edited".into(),
            replaces: Some(question()),
            sent: None,
        });
        assert_eq!(
            (draft.text(), draft.unsent(), draft.editing()),
            ("edited", "since", Some(question()))
        );
    }

    #[test]
    fn what_came_back_and_was_not_changed_is_the_same_message() {
        let sent = Sent {
            conversation: "c".into(),
            request: "r".into(),
        };
        let outgoing = Outgoing {
            text: "hello".into(),
            replaces: None,
            sent: Some(sent.clone()),
        };
        let mut draft = Draft::default();
        draft.give_back(outgoing.clone());
        assert_eq!(draft.take(), Some(outgoing.clone()));
        draft.give_back(outgoing);
        draft.write("hello!".into());
        assert_eq!(draft.take().expect("a message").sent, None);
        draft.write("hello".into());
        assert_eq!(draft.take().expect("a message").sent, None);
    }
}
