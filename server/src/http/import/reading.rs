//! Reads one conversation in any format. Its messages are emitted with new ids as they are read. If the
//! conversation is invalid, the emitted part is dropped.

use app::protocol::saved::Skipped;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::fields::{ConversationFields, WrongType};
use super::file::{ImportOutput, ImportStep, ReadStop};
use super::json::Copied;
use super::own::RillMessages;
use super::tree::{Tree, TreeFacts, TreeLayout, TreeNode};
use super::{chatgpt, message};
use crate::store::{ConversationHead, ImportPart, new_id};

pub(super) const NO_FORM: &str = "It has none of the forms that are read: Rill's, ChatGPT's, Claude's, LibreChat's, Open WebUI's.";
pub(super) const TOO_LARGE: &str = "One of its messages is larger than 16 MB.";
pub(super) const TOO_MANY: &str = "It has more than a million messages.";

/// The most messages of a conversation.
pub(super) const MAX_MESSAGES: usize = 1_000_000;

/// The field that holds the messages. If there are several, the later variant counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MessagesKey {
    /// `messages`: our own, LibreChat's and others'.
    Messages,
    /// `chat_messages`: Claude's.
    ChatMessages,
    /// `history`: Open WebUI's.
    History,
    /// `mapping`: ChatGPT's.
    Mapping,
}

/// The state of reading a conversation.
#[derive(Default)]
pub(super) struct ConversationReader {
    pub(super) fields: ConversationFields,
    place: Option<MessagesKey>,
    messages: Messages,
    has_begun: bool,
}

#[derive(Default)]
enum Messages {
    /// No messages yet: the number of values without a known format, and whether one was too large.
    #[default]
    None,
    Unknown {
        foreign: u64,
        is_too_large: bool,
    },
    Own(RillMessages),
    Tree(Box<Tree>),
}

impl ConversationReader {
    /// Begins with the messages in this field. Returns whether they are used.
    pub(super) fn begin(
        &mut self,
        place: MessagesKey,
        form: TreeLayout,
        output: &mut ImportOutput<'_>,
    ) -> Result<bool, ReadStop> {
        if self.place.is_some_and(|before| before >= place) {
            return Ok(false);
        }
        self.place = Some(place);
        self.forget(output)?;
        self.messages = match place {
            // The first message decides the format.
            MessagesKey::Messages => Messages::Unknown {
                foreign: 0,
                is_too_large: false,
            },
            _ => Messages::Tree(Box::new(Tree::new(form, output.limit))),
        };
        Ok(true)
    }

    /// Whether a format was recognised.
    pub(super) fn is_recognised(&self) -> bool {
        match &self.messages {
            Messages::None => false,
            Messages::Unknown {
                foreign,
                is_too_large,
            } => *foreign == 0 || *is_too_large,
            Messages::Own(_) | Messages::Tree(_) => true,
        }
    }

    /// Whether messages may contain messages.
    pub(super) fn nests(&self) -> bool {
        !matches!(self.messages, Messages::Own(_))
    }

    pub(super) fn wants_more(&self) -> bool {
        match &self.messages {
            Messages::None => false,
            Messages::Unknown { .. } => true,
            Messages::Own(own) => own.wants_more(),
            Messages::Tree(tree) => tree.wants_more(),
        }
    }

    /// Reads a node of ChatGPT's map.
    pub(super) fn chatgpt(&mut self, id: &str, copied: &Copied) -> Result<(), ReadStop> {
        if let Messages::Tree(tree) = &mut self.messages {
            let node = read_node(copied, |raw| chatgpt::node(id, raw));
            let name = Some(super::fields::name(id));
            tree.add(TreeNode { name, ..node }, None)?;
        }
        Ok(())
    }

    /// Reserves an index for a message that contains others, which end before it does.
    pub(super) fn reserve(
        &mut self,
        above: Option<u32>,
        output: &ImportOutput<'_>,
    ) -> Result<u32, ReadStop> {
        // Messages of our own format are not nested.
        self.read_as_tree(output)?;
        match &mut self.messages {
            Messages::Tree(tree) => Ok(tree.reserve(above)),
            _ => Ok(0),
        }
    }

    /// Reads the message for a reserved index.
    pub(super) fn fill(&mut self, place: u32, copied: &Copied) -> Result<(), ReadStop> {
        match &mut self.messages {
            Messages::Tree(tree) if tree.wants_more() => {
                tree.fill(place, read_node(copied, |raw| message::node(None, raw)))
            }
            _ => Ok(()),
        }
    }

    /// Reads a message of a map, with its key, or of a list, with the index of the message that contains it.
    pub(super) fn message(
        &mut self,
        key: Option<&str>,
        above: Option<u32>,
        copied: &Copied,
        output: &mut ImportOutput<'_>,
    ) -> Result<(), ReadStop> {
        if let Messages::Unknown {
            foreign,
            is_too_large,
        } = &mut self.messages
        {
            let raw = raw_of(copied);
            if !raw.get().starts_with('{') {
                *is_too_large |= copied.is_too_large;
                *foreign += 1;
                return Ok(());
            }
            if message::is_own(raw) {
                let mut own = RillMessages::default();
                match (*is_too_large, *foreign) {
                    (true, _) => own.refuse(TOO_LARGE),
                    (_, 1..) => own.refuse(NO_FORM),
                    _ => {}
                }
                self.messages = Messages::Own(own);
            }
        }
        self.read_as_tree(output)?;
        match &mut self.messages {
            Messages::None | Messages::Unknown { .. } => {}
            Messages::Own(own) => {
                if let Some(message) = own.read(copied) {
                    if !std::mem::replace(&mut self.has_begun, true) {
                        output.recognise()?;
                        let id = self.fields.uuid();
                        output.give(ImportStep::Part(ImportPart::Begin(id)))?;
                    }
                    output.give(ImportStep::Part(ImportPart::Message(Box::new(message))))?;
                }
            }
            Messages::Tree(tree) => {
                let node = read_node(copied, |raw| message::node(key, raw));
                let name = key.map(super::fields::name).or(node.name);
                tree.add(TreeNode { name, ..node }, above)?;
            }
        }
        Ok(())
    }

    /// Any format but our own is read as a tree.
    fn read_as_tree(&mut self, output: &ImportOutput<'_>) -> Result<(), ReadStop> {
        if let Messages::Unknown { foreign, .. } = self.messages {
            let mut tree = Tree::new(TreeLayout::List, output.limit);
            if foreign > 0 {
                let node = TreeNode {
                    odd: foreign,
                    ..TreeNode::default()
                };
                tree.add(node, None)?;
            }
            self.messages = Messages::Tree(Box::new(tree));
        }
        Ok(())
    }

    /// Ends the conversation. `odd` is the number of its invalid characters and values.
    pub(super) fn end(
        mut self,
        ending: Ending,
        odd: u64,
        output: &mut ImportOutput<'_>,
    ) -> Result<(), ReadStop> {
        let is_cut = ending != Ending::Whole;
        output.count += 1;
        let title = self.fields.title(output.count);
        if !self.is_recognised() {
            let why = ending.why_nothing().unwrap_or(NO_FORM);
            return output.skip_foreign(Skipped {
                what: title,
                why: why.to_owned(),
            });
        }
        output.recognise()?;
        let ended = match std::mem::take(&mut self.messages) {
            Messages::Tree(tree) => self.end_of_tree(*tree, is_cut, output)?,
            Messages::Own(own) => self.end_of_own(&own, is_cut, output)?,
            Messages::Unknown {
                is_too_large: true, ..
            } => Err(TOO_LARGE),
            Messages::Unknown { .. } => Err("It has no messages."),
            Messages::None => Err(NO_FORM),
        };
        match ended {
            Ok((head, notes)) => {
                let note = notes.sentences(odd, ending);
                output.give(ImportStep::End(ConversationHead { title, ..head }, note))
            }
            Err(why) => {
                self.forget(output)?;
                let why = ending.why_nothing().unwrap_or(why);
                output.give(ImportStep::Skipped(Skipped {
                    what: title,
                    why: why.to_owned(),
                }))
            }
        }
    }

    /// Drops the emitted part.
    fn forget(&mut self, output: &mut ImportOutput<'_>) -> Result<(), ReadStop> {
        if std::mem::take(&mut self.has_begun) {
            output.give(ImportStep::Part(ImportPart::Drop))?;
        }
        Ok(())
    }

    fn end_of_own(
        &mut self,
        own: &RillMessages,
        is_cut: bool,
        output: &mut ImportOutput<'_>,
    ) -> Result<OrLeftOut, ReadStop> {
        let Ok(mut head) = self.head_of_own(own) else {
            return Ok(Err(NO_FORM));
        };
        if let Err(why) = own.check() {
            return Ok(Err(why));
        }
        if is_cut {
            // The complete conversation must not count as a duplicate of this part.
            output.give(ImportStep::Part(ImportPart::ForgetId))?;
            head.id = self.id_of_content(&Sha256::digest(own.last().as_bytes()));
        }
        Ok(Ok((head, Notes::default())))
    }

    fn head_of_own(&self, own: &RillMessages) -> Result<ConversationHead, WrongType> {
        let fields = &self.fields;
        fields.own::<String>("id")?.ok_or(WrongType)?;
        fields.own::<String>("title")?.ok_or(WrongType)?;
        Ok(ConversationHead {
            id: fields.uuid().unwrap_or_else(new_id),
            title: String::new(),
            created_at: fields.own("created_at")?.ok_or(WrongType)?,
            updated_at: fields.own("updated_at")?.ok_or(WrongType)?,
            pinned: fields.own("pinned")?.unwrap_or(false),
            leaf: fields
                .own::<String>("leaf")?
                .and_then(|leaf| own.id_of(&leaf)),
        })
    }

    /// Emits the messages of a tree, whose order is known only at the end.
    fn end_of_tree(
        &mut self,
        tree: Tree,
        is_cut: bool,
        output: &mut ImportOutput<'_>,
    ) -> Result<OrLeftOut, ReadStop> {
        let fields = &self.fields;
        let id = fields.uuid().filter(|_| !is_cut);
        let leaf = fields.leaf();
        let facts = TreeFacts {
            began: fields.created_at(),
            updated: fields.updated_at(),
            leaf: leaf.as_deref(),
            model: fields.model(),
            wants_content: id.is_none(),
        };
        let odd = fields.odd(self.place == Some(MessagesKey::Mapping));
        self.has_begun = true;
        output.give(ImportStep::Part(ImportPart::Begin(id.clone())))?;
        let mut give =
            |message| output.give(ImportStep::Part(ImportPart::Message(Box::new(message))));
        let summary = tree.emit(&facts, &mut give)?;
        Ok(summary.map(|summary| {
            let head = ConversationHead {
                // The same file again gives the same conversation, with or without an id.
                id: id.unwrap_or_else(|| self.id_of_content(&summary.content)),
                title: String::new(),
                created_at: summary.began,
                updated_at: summary.ended,
                pinned: self.fields.is_pinned(),
                leaf: summary.leaf,
            };
            let notes = Notes {
                left_out: summary.left_out,
                odd: summary.odd + odd,
            };
            (head, notes)
        }))
    }

    /// An id that is derived from the content.
    fn id_of_content(&self, content: &[u8]) -> String {
        let mut hash = Sha256::new();
        for field in self.fields.as_written() {
            hash.update(field);
            hash.update([0]);
        }
        let digest = hash.chain_update(content).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        uuid::Builder::from_custom_bytes(bytes)
            .into_uuid()
            .to_string()
    }
}

/// How the text of a conversation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Whole,
    /// The file ends within it.
    CutOff,
    /// The next conversation begins before its end was found, or something is behind its end.
    Damaged,
}

impl Ending {
    /// Why nothing of the conversation was read, if that is the reason.
    fn why_nothing(self) -> Option<&'static str> {
        match self {
            Self::Whole => None,
            Self::CutOff => Some("The file is cut off within it, before a message of it ends."),
            Self::Damaged => Some("The file is damaged within it, before a message of it ends."),
        }
    }

    /// The sentence for a conversation of which something was read.
    fn note(self) -> Option<&'static str> {
        match self {
            Self::Whole => None,
            Self::CutOff => Some("The file is cut off within it: what follows is missing."),
            Self::Damaged => Some(
                "The file is damaged within it or right behind it: what stands there is missing.",
            ),
        }
    }
}

/// The result of a conversation, or the sentence why it is left out.
type OrLeftOut = Result<(ConversationHead, Notes), &'static str>;

/// The differences from the original conversation.
#[derive(Default)]
struct Notes {
    left_out: u64,
    odd: u64,
}

impl Notes {
    /// The sentences for the person, if there are differences.
    fn sentences(&self, odd: u64, ending: Ending) -> Option<String> {
        let mut sentences = Vec::new();
        if self.left_out > 0 {
            let parts = counted(self.left_out, "part was", "parts were");
            sentences.push(format!(
                "{parts} left out: tools, images and files are not imported."
            ));
        }
        if self.odd + odd > 0 {
            let values = counted(
                self.odd + odd,
                "value or character has",
                "values or characters have",
            );
            sentences.push(format!("{values} an unexpected form."));
        }
        sentences.extend(ending.note().map(str::to_owned));
        (!sentences.is_empty()).then(|| sentences.join(" "))
    }
}

/// A number with a singular or plural.
pub(super) fn counted(count: u64, one: &str, more: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{count} {more}"),
    }
}

/// Reads a node. A node that is too large keeps its place without text.
fn read_node(copied: &Copied, read: impl FnOnce(&RawValue) -> TreeNode) -> TreeNode {
    if copied.is_too_large {
        return TreeNode {
            parent: super::tree::Parent::Before,
            left_out: 1,
            ..TreeNode::default()
        };
    }
    read(raw_of(copied))
}

pub(super) fn raw_of(copied: &Copied) -> &RawValue {
    serde_json::from_str(&copied.json).expect("what is copied is JSON")
}
