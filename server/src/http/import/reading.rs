//! A conversation while it is read, in either of the two forms. Its messages are given on as they come,
//! under new ids; when something is wrong with it, what was given is dropped.

use app::protocol::saved::Skipped;

use super::chatgpt::Tree;
use super::fields::{Fields, Raw, Wrong};
use super::file::{Found, Step, Stop};
use super::own::Own;
use crate::store::{ConversationHead, ImportPart, new_id};

pub(super) const NO_FORM: &str = "It has neither the form of Rill nor that of ChatGPT.";
pub(super) const NO_FORM_OF_CHATGPT: &str =
    "It has not the form in which ChatGPT exports conversations.";
pub(super) const TOO_LARGE: &str = "One of its messages is larger than 16 MB.";
pub(super) const TOO_MANY: &str = "It has more than a million messages.";

/// How many messages a conversation may have.
pub(super) const MAX_MESSAGES: usize = 1_000_000;

/// What is made of a conversation, or the sentence that says why it is left out.
pub(super) type OrLeftOut<T> = Result<T, &'static str>;
/// What was left out of a conversation, if anything.
pub(super) type Note = Option<String>;

/// A conversation that is read.
#[derive(Default)]
pub(super) struct Reading {
    fields: Fields,
    own: Option<Own>,
    tree: Option<Tree>,
    has_begun: bool,
}

impl Reading {
    pub(super) fn has_field(name: &str) -> bool {
        Fields::has(name)
    }

    pub(super) fn set(&mut self, name: &str, raw: &Raw) {
        self.fields.set(name, raw);
    }

    pub(super) fn begin_messages(&mut self) {
        self.own.get_or_insert_default();
    }

    pub(super) fn wants_messages(&self) -> bool {
        // What has nodes is ChatGPT's.
        self.tree.is_none() && self.own.as_ref().is_some_and(Own::wants_more)
    }

    pub(super) fn message(&mut self, raw: &Raw, found: &mut Found<'_>) -> Result<(), Stop> {
        let Some(message) = self.own.as_mut().and_then(|own| own.read(raw)) else {
            return Ok(());
        };
        if !self.has_begun {
            self.has_begun = true;
            let id = self.fields.uuid();
            found.give(Step::Part(ImportPart::Begin(id)))?;
        }
        found.give(Step::Part(ImportPart::Message(Box::new(message))))
    }

    pub(super) fn begin_mapping(&mut self, found: &mut Found<'_>) -> Result<(), Stop> {
        self.tree = Some(Tree::new(found.items.limit()));
        self.forget(found)
    }

    pub(super) fn has_no_mapping(&mut self) {
        if let Some(tree) = &mut self.tree {
            tree.refuse(NO_FORM_OF_CHATGPT);
        }
    }

    pub(super) fn wants_nodes(&self) -> bool {
        self.tree.as_ref().is_some_and(Tree::wants_more)
    }

    pub(super) fn node(&mut self, id: &str, raw: &Raw) -> Result<(), Stop> {
        match &mut self.tree {
            Some(tree) => tree.add(id, raw),
            None => Ok(()),
        }
    }

    pub(super) fn end(mut self, found: &mut Found<'_>) -> Result<(), Stop> {
        let title = self.fields.title(found.count);
        let ended = match self.tree.take() {
            Some(tree) => self.end_of_chatgpt(tree, found)?,
            None => self.end_of_own(),
        };
        match ended {
            Ok((head, note)) => found.give(Step::End(ConversationHead { title, ..head }, note)),
            Err(why) => {
                self.forget(found)?;
                found.give(Step::Skipped(Skipped {
                    what: title,
                    why: why.to_owned(),
                }))
            }
        }
    }

    /// Has what was given dropped.
    fn forget(&mut self, found: &mut Found<'_>) -> Result<(), Stop> {
        if std::mem::take(&mut self.has_begun) {
            found.give(Step::Part(ImportPart::Drop))?;
        }
        Ok(())
    }

    fn end_of_own(&mut self) -> OrLeftOut<(ConversationHead, Note)> {
        let own = self.own.take().ok_or(NO_FORM)?;
        let head = self.head_of_own(&own).map_err(|Wrong| NO_FORM)?;
        own.check()?;
        Ok((head, None))
    }

    fn head_of_own(&self, own: &Own) -> Result<ConversationHead, Wrong> {
        let fields = &self.fields;
        for name in ["id", "title"] {
            fields.text(name)?.ok_or(Wrong)?;
        }
        Ok(ConversationHead {
            id: fields.uuid().unwrap_or_else(new_id),
            title: String::new(),
            created_at: fields.integer("created_at")?,
            updated_at: fields.integer("updated_at")?,
            pinned: fields.flag("pinned")?,
            leaf: fields.text("leaf")?.and_then(|leaf| own.id_of(leaf)),
        })
    }

    /// The order of the nodes is known only at the end.
    fn end_of_chatgpt(
        &mut self,
        tree: Tree,
        found: &mut Found<'_>,
    ) -> Result<OrLeftOut<(ConversationHead, Note)>, Stop> {
        let fields = &self.fields;
        let read = || -> Result<_, Wrong> {
            let began = fields.number("create_time")?;
            fields.text("id")?;
            fields.text("conversation_id")?;
            let updated = fields.number("update_time")?;
            Ok((began, updated, fields.text("current_node")?))
        };
        let Ok((began, updated, current)) = read() else {
            return Ok(Err(NO_FORM_OF_CHATGPT));
        };
        let began = began.map_or(0, milliseconds);
        let id = fields.uuid();
        self.has_begun = true;
        found.give(Step::Part(ImportPart::Begin(id.clone())))?;
        let mut give = |message| found.give(Step::Part(ImportPart::Message(Box::new(message))));
        let told = tree.tell(began, current, &mut give)?;
        Ok(told.map(|(leaf, note)| {
            let head = ConversationHead {
                id: id.unwrap_or_else(new_id),
                title: String::new(),
                created_at: began,
                updated_at: updated.map_or(began, milliseconds),
                pinned: false,
                leaf,
            };
            (head, note)
        }))
    }
}

/// Seconds, as ChatGPT's files have them.
pub(super) fn milliseconds(seconds: f64) -> i64 {
    // What is out of range ends at its end.
    (seconds * 1000.0) as i64
}
