//! The draft in the composer: a new message, or a question that is being edited.
//!
//! No text of the user is lost: the new message is kept while a question is edited, and a message that could not be
//! sent comes back, before the text that was written since.

use crate::chat::tree::MessageId;

/// The text in the composer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    text: String,
    /// The question that is being edited.
    editing: Option<MessageId>,
    /// The new message, kept while a question is edited.
    waiting: String,
    /// A message that could not be sent. The server may have received it nevertheless.
    came_back: Option<Outgoing>,
}

/// A message that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The text of the message.
    pub text: String,
    /// The question that the message replaces, if it is an edit.
    pub replaces: Option<MessageId>,
    /// The ids under which it was sent before, if it was.
    pub sent: Option<Sent>,
}

/// The ids of a message on the wire. Sending again with the same ids is idempotent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The id of the conversation.
    pub conversation: String,
    /// The id of the request.
    pub request: String,
}

impl Draft {
    /// The text in the composer.
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

    /// The new message, whether it is in the composer or an edit hides it. A reload must not lose it.
    #[must_use]
    pub fn unsent(&self) -> &str {
        if self.editing.is_some() {
            &self.waiting
        } else {
            &self.text
        }
    }

    /// Sets the text.
    pub fn write(&mut self, text: String) {
        self.text = text;
    }

    /// Starts to edit a question. The new message is kept meanwhile.
    pub fn edit(&mut self, question: MessageId, text: String) {
        let before = std::mem::replace(&mut self.text, text);
        if self.editing.replace(question).is_none() {
            self.waiting = before;
        }
    }

    /// Cancels editing. The new message is back.
    pub fn cancel_edit(&mut self) {
        if self.editing.take().is_some() {
            self.text = std::mem::take(&mut self.waiting);
        }
    }

    /// Adds a text as a Markdown quotation, with an empty line after it for the answer.
    pub fn quote(&mut self, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let before = self.text.trim_end().len();
        self.text.truncate(before);
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
        }
        for line in text.lines().map(str::trim_end) {
            self.text.push_str(if line.is_empty() { ">" } else { "> " });
            self.text.push_str(line);
            self.text.push('\n');
        }
        self.text.push('\n');
    }

    /// Takes the message out to send it. `None` if the text is blank.
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

    /// Puts a message back that could not be sent, before the text that was written since.
    pub fn give_back(&mut self, outgoing: Outgoing) {
        self.came_back = Some(outgoing.clone());
        match outgoing.replaces {
            Some(question) if self.editing.is_none() => self.edit(question, outgoing.text),
            _ if self.text.trim().is_empty() => self.text = outgoing.text,
            _ => self.text.insert_str(0, &(outgoing.text + "\n\n")),
        }
    }
}

/// The text in the composer after hydration: the draft that was stored on the last visit, and the text that was typed
/// before hydration. A browser may have restored the stored draft by itself.
#[must_use]
pub fn recovered(stored: String, typed: String) -> String {
    if stored.is_empty() || typed.starts_with(&stored) {
        typed
    } else if typed.is_empty() {
        stored
    } else {
        stored + "\n" + &typed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::tree::Conversation;

    #[test]
    fn a_quotation_is_added_below_what_was_written() {
        let check = |before: &str, quoted: &str, expect: &str| {
            let mut draft = Draft::default();
            draft.write(before.to_owned());
            draft.quote(quoted);
            assert_eq!(draft.text(), expect);
        };
        check("", "One.", "> One.\n\n");
        check("Before \n", "a\n\nb ", "Before\n\n> a\n>\n> b\n\n");
        check("Before", " \n ", "Before");
    }

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
        for (stored, typed, expect) in [
            ("", "", ""),
            ("old", "", "old"),
            ("", "early", "early"),
            ("old", "early", "old\nearly"),
            ("old", "old and more", "old and more"),
        ] {
            assert_eq!(recovered(stored.into(), typed.into()), expect);
        }
    }

    #[test]
    fn taking_the_draft_empties_the_composer_and_a_blank_draft_is_not_taken() {
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
    fn the_new_message_is_kept_while_a_question_is_edited() {
        let mut draft = written("new");
        draft.edit(question(), "old".into());
        assert_eq!((draft.text(), draft.unsent()), ("old", "new"));
        draft.edit(question(), "another".into());
        draft.cancel_edit();
        assert_eq!(draft, written("new"));
    }

    #[test]
    fn an_edited_question_names_the_original_and_the_new_message_is_back() {
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
    fn a_message_that_could_not_be_sent_precedes_later_text() {
        check_given_back(Draft::default(), "unsent");
        check_given_back(written("  "), "unsent");
        check_given_back(written("since"), "unsent\n\nsince");
    }

    #[test]
    fn an_edit_that_could_not_be_sent_is_back_and_the_new_message_is_kept() {
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
    fn an_unchanged_message_that_came_back_keeps_its_ids() {
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
