//! A file of conversations, read one message at a time: a list, an object with the list in it, one
//! conversation, or several of these in sequence. The format is detected for each conversation.
//!
//! Only one message is in memory at a time, so the memory does not depend on the size of the file. An error in
//! a conversation costs that conversation, and an error in a message costs that message.

use std::io::Read;

use app::protocol::saved::Skipped;

use super::damage;
use super::fields::{ConversationFields, MAX_FIELD};
use super::json::{FieldUse, Json, PartialObject, ValueKind};
use super::message::{self, NESTED};
use super::reading::{ConversationReader, Ending, MessagesKey, counted};
use super::tree::TreeLayout;
use crate::store::{ConversationHead, ImportPart};

/// The sentence for a file without any conversation.
pub(super) const NO_SUCH_FILE: &str = "This is no file of conversations that Rill reads. Choose an export of \
    Rill, the conversations.json of ChatGPT or Claude, an export of LibreChat or Open WebUI as JSON in UTF-8 \
    or UTF-16, or the ZIP file in which one of them comes.";
const EMPTY: &str = "The file is empty.";
const NOTHING_WHOLE: &str =
    "The file is cut off, and nothing in it is whole. Download it once more, then import it again.";

/// The largest message, in bytes of JSON.
pub(super) const MAX_ITEM: u64 = 16 * 1024 * 1024;
/// The deepest nesting of lists of conversations.
const MAX_LISTS: u32 = 3;
/// The deepest nesting of messages.
const MAX_NESTED: usize = 4000;

/// A step of an import.
#[derive(Debug, PartialEq)]
pub(super) enum ImportStep {
    /// A part for the store.
    Part(ImportPart),
    /// The end of a conversation, with a sentence on what was left out.
    End(ConversationHead, Option<String>),
    /// A conversation is skipped. A part before it drops what was written of it.
    Skipped(Skipped),
}

/// The reason why a file cannot be read.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// A sentence for the person.
    Sentence(String),
    /// The content exceeds the limit.
    TooLarge,
    /// The receiver stopped.
    NotTaken,
    /// A temporary file failed.
    Disk(std::io::Error),
}

/// The reason why reading stops.
#[derive(Debug)]
pub(super) enum ReadStop {
    /// The receiver stopped.
    NotTaken,
    /// A temporary file failed.
    Disk(std::io::Error),
}

impl From<std::io::Error> for ReadStop {
    fn from(error: std::io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<ReadStop> for Unreadable {
    fn from(stop: ReadStop) -> Self {
        match stop {
            ReadStop::NotTaken => Self::NotTaken,
            ReadStop::Disk(error) => Self::Disk(error),
        }
    }
}

/// Which reading of a file this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// The first one, for damage only.
    Damage,
    /// The second one, for the conversations.
    Conversations,
}

/// Reads a file, which `open` opens for each pass, and passes each step to `out` until that returns `false`. `name`
/// is the name of the file in the report, and `limit` is the largest message, in bytes.
pub(super) fn read<R: Read>(
    limit: u64,
    name: &str,
    mut open: impl FnMut(Pass) -> std::io::Result<R>,
    out: &mut dyn FnMut(ImportStep) -> bool,
) -> Result<(), Unreadable> {
    let found = open(Pass::Damage).and_then(damage::conversations);
    let found = found.map_err(Unreadable::Disk)?;
    let file = open(Pass::Conversations).map_err(Unreadable::Disk)?;
    let mut output = ImportOutput {
        count: 0,
        is_any_recognised: false,
        has_list: false,
        limit,
        out,
        foreign: Vec::new(),
    };
    let mut file = ImportFile {
        json: Json::new(file),
        reported: 0,
    };
    match file.json.first().map_err(Unreadable::Disk)? {
        None => return Err(Unreadable::Sentence(EMPTY.to_owned())),
        Some(b'[' | b'{') => {}
        Some(_) => return Err(Unreadable::Sentence(NO_SUCH_FILE.to_owned())),
    }
    if found.is_empty() {
        while file.json.next_document().map_err(Unreadable::Disk)? {
            file.document(&mut output)?;
        }
    } else {
        file.damaged(&found, &mut output)?;
    }
    let is_cut = file.json.is_cut();
    if !output.is_any_recognised && (output.count > 0 || is_cut || !output.has_list) {
        let sentence = if is_cut { NOTHING_WHOLE } else { NO_SUCH_FILE };
        return Err(Unreadable::Sentence(sentence.to_owned()));
    }
    let mut say = |why: String| {
        let what = name.to_owned();
        output.give(ImportStep::Skipped(Skipped { what, why }))
    };
    if is_cut {
        say("It is cut off: its end is missing. What was whole was imported.".to_owned())?;
    }
    let odd = file.json.odd() - file.reported;
    if odd > 0 {
        let odd = counted(odd, "character was", "characters were");
        say(format!("{odd} passed over between its conversations."))?;
    }
    Ok(())
}

/// The output of an import, and what was recognised so far.
pub(super) struct ImportOutput<'a> {
    /// The number of conversations.
    pub(super) count: u64,
    /// Whether a conversation had a known format.
    is_any_recognised: bool,
    has_list: bool,
    /// The largest message, in bytes.
    pub(super) limit: u64,
    out: &'a mut dyn FnMut(ImportStep) -> bool,
    /// The values without a known format, until a conversation is recognised.
    foreign: Vec<Skipped>,
}

/// The most values without a known format that are held back.
const MAX_FOREIGN: usize = 1000;

impl ImportOutput<'_> {
    /// Skips a value that is no conversation. It is reported only if the file has a conversation, because
    /// otherwise the whole file is refused.
    pub(super) fn skip_foreign(&mut self, skipped: Skipped) -> Result<(), ReadStop> {
        if self.is_any_recognised || self.foreign.len() >= MAX_FOREIGN {
            return self.give(ImportStep::Skipped(skipped));
        }
        self.foreign.push(skipped);
        Ok(())
    }

    /// Records that a conversation was recognised.
    pub(super) fn recognise(&mut self) -> Result<(), ReadStop> {
        self.is_any_recognised = true;
        for skipped in std::mem::take(&mut self.foreign) {
            self.give(ImportStep::Skipped(skipped))?;
        }
        Ok(())
    }

    pub(super) fn give(&mut self, step: ImportStep) -> Result<(), ReadStop> {
        if (self.out)(step) {
            Ok(())
        } else {
            Err(ReadStop::NotTaken)
        }
    }
}

/// A file that is being read.
struct ImportFile<R> {
    json: Json<R>,
    /// The number of invalid characters and values that were reported.
    reported: u64,
}

impl<R: Read> ImportFile<R> {
    fn document(&mut self, output: &mut ImportOutput<'_>) -> Result<(), ReadStop> {
        match self.json.kind()? {
            ValueKind::List => self.conversations(0, output),
            _ => self.conversation(true, output),
        }
    }

    /// A list of conversations.
    fn conversations(&mut self, below: u32, output: &mut ImportOutput<'_>) -> Result<(), ReadStop> {
        output.has_list = true;
        self.json.enter()?;
        while self.json.next_item()? {
            match self.json.kind()? {
                ValueKind::Object => self.conversation(false, output)?,
                ValueKind::List if below < MAX_LISTS => self.conversations(below + 1, output)?,
                _ => {
                    self.json.skip()?;
                    let ending = self.ending();
                    ConversationReader::default().end(ending, 0, output)?;
                }
            }
        }
        Ok(())
    }

    /// Reads a conversation, or at the top level an object with a list of conversations.
    fn conversation(
        &mut self,
        is_top: bool,
        output: &mut ImportOutput<'_>,
    ) -> Result<(), ReadStop> {
        let (odd_before, reported_before) = (self.json.odd(), self.reported);
        let mut reading = ConversationReader::default();
        let is_wrapper = self.conversation_fields(is_top, &mut reading, output)?;
        if is_wrapper && !reading.is_recognised() {
            return Ok(());
        }
        // Inner conversations have reported their own invalid characters.
        let odd = self.json.odd() - odd_before - (self.reported - reported_before);
        self.reported += odd;
        reading.end(self.ending(), odd, output)
    }

    /// Reads a damaged file, of which only the beginnings of the conversations are known. Each is read up to the next.
    fn damaged(&mut self, found: &[u64], output: &mut ImportOutput<'_>) -> Result<(), ReadStop> {
        for (number, place) in found.iter().enumerate() {
            let next = found.get(number + 1).copied();
            self.json.read_within(*place, next.unwrap_or(u64::MAX))?;
            let odd_before = self.json.odd();
            let mut reading = ConversationReader::default();
            self.conversation_fields(false, &mut reading, output)?;
            let is_cut = self.json.is_cut();
            let is_wrong = self.json.is_mismatched() || self.json.has_more()?;
            let odd = self.json.odd() - odd_before;
            self.reported += odd;
            let ending = match next {
                None if is_cut => Ending::CutOff,
                _ if is_cut || is_wrong => Ending::Damaged,
                _ => Ending::Whole,
            };
            reading.end(ending, odd, output)?;
        }
        Ok(())
    }

    fn ending(&self) -> Ending {
        if self.json.is_cut() {
            Ending::CutOff
        } else {
            Ending::Whole
        }
    }

    /// Reads the fields of a conversation; says whether a list of conversations was among them.
    fn conversation_fields(
        &mut self,
        is_top: bool,
        reading: &mut ConversationReader,
        output: &mut ImportOutput<'_>,
    ) -> Result<bool, ReadStop> {
        let mut is_wrapper = false;
        self.json.enter()?;
        while let Some(key) = self.json.next_key()? {
            let kind = self.json.kind()?;
            match (key.as_str(), kind) {
                (key, ValueKind::List) if is_top && damage::LISTS.contains(&key) => {
                    is_wrapper = true;
                    self.conversations(0, output)?;
                }
                ("chat", ValueKind::Object) => {
                    self.json.enter()?;
                    while let Some(key) = self.json.next_key()? {
                        let kind = self.json.kind()?;
                        self.field(&key, kind, true, reading, output)?;
                    }
                }
                _ => self.field(&key, kind, false, reading, output)?,
            }
        }
        Ok(is_wrapper)
    }

    /// Reads a field of a conversation, or of the object in it.
    fn field(
        &mut self,
        key: &str,
        kind: ValueKind,
        is_inner: bool,
        reading: &mut ConversationReader,
        output: &mut ImportOutput<'_>,
    ) -> Result<(), ReadStop> {
        match (key, kind) {
            ("mapping", _) => self.map(MessagesKey::Mapping, TreeLayout::Steps, reading, output),
            ("history", ValueKind::Object) => {
                self.json.enter()?;
                while let Some(key) = self.json.next_key()? {
                    if key == "messages" {
                        self.map(MessagesKey::History, TreeLayout::Map, reading, output)?;
                    } else {
                        self.keep(&key, true, reading)?;
                    }
                }
                Ok(())
            }
            ("chat_messages", _) => self.list(MessagesKey::ChatMessages, reading, output),
            ("messages" | "messagesTree", ValueKind::List) => {
                self.list(MessagesKey::Messages, reading, output)
            }
            _ => Ok(self.keep(key, is_inner, reading)?),
        }
    }

    /// Stores a field that is used.
    fn keep(
        &mut self,
        key: &str,
        is_inner: bool,
        reading: &mut ConversationReader,
    ) -> std::io::Result<()> {
        if !ConversationFields::has(key) {
            return self.json.skip();
        }
        let copied = self.json.copy(MAX_FIELD)?;
        // A truncated text would be a different text.
        if !self.json.is_cut() {
            reading.fields.set(key, is_inner, copied.json);
        }
        Ok(())
    }

    /// Reads a map of messages.
    fn map(
        &mut self,
        place: MessagesKey,
        form: TreeLayout,
        reading: &mut ConversationReader,
        output: &mut ImportOutput<'_>,
    ) -> Result<(), ReadStop> {
        let is_wanted = reading.begin(place, form, output)?;
        if self.json.kind()? != ValueKind::Object {
            return Ok(self.json.skip()?);
        }
        let limit = output.limit as usize;
        self.json.enter()?;
        while let Some(id) = self.json.next_key()? {
            if !is_wanted || !reading.wants_more() {
                self.json.skip()?;
            } else if form == TreeLayout::Steps {
                let copied = self.json.copy(limit)?;
                if !self.json.is_cut() {
                    reading.chatgpt(&id, &copied)?;
                }
            } else {
                let copied = match self.json.begin_fields(limit)? {
                    Err(copied) => copied,
                    Ok(mut part) => {
                        self.json.copy_fields(&mut part, |field| match field {
                            NESTED => FieldUse::Skip,
                            field => message::wanted(field),
                        })?;
                        part.finish()
                    }
                };
                if !self.json.is_cut() {
                    reading.message(Some(&id), None, &copied, output)?;
                }
            }
        }
        Ok(())
    }

    /// Reads a list of messages, each of which may contain further messages.
    fn list(
        &mut self,
        place: MessagesKey,
        reading: &mut ConversationReader,
        output: &mut ImportOutput<'_>,
    ) -> Result<(), ReadStop> {
        let is_wanted = reading.begin(place, TreeLayout::List, output)?;
        if !is_wanted || self.json.kind()? != ValueKind::List {
            return Ok(self.json.skip()?);
        }
        let mut within: Vec<OpenMessage> = Vec::new();
        let limit = output.limit as usize;
        self.json.enter()?;
        loop {
            let part = if self.json.next_item()? {
                if !reading.wants_more() {
                    self.json.skip()?;
                    continue;
                }
                match self.json.begin_fields(limit)? {
                    Ok(part) => OpenMessage { place: None, part },
                    Err(copied) => {
                        if !self.json.is_cut() {
                            let above = within.last().and_then(|within| within.place);
                            reading.message(None, above, &copied, output)?;
                        }
                        continue;
                    }
                }
            } else {
                // Continue with the message that contained this list.
                match within.pop() {
                    Some(part) => part,
                    None => return Ok(()),
                }
            };
            self.message(part, &mut within, reading, output)?;
        }
    }

    /// Reads a message, or the rest of it, up to its end or to a nested list of messages.
    fn message(
        &mut self,
        mut here: OpenMessage,
        within: &mut Vec<OpenMessage>,
        reading: &mut ConversationReader,
        output: &mut ImportOutput<'_>,
    ) -> Result<(), ReadStop> {
        let held: usize = within.iter().map(|within| within.part.size()).sum();
        let nests = reading.nests() && within.len() < MAX_NESTED && held < output.limit as usize;
        let is_nested = self.json.copy_fields(&mut here.part, |field| match field {
            NESTED if !nests => FieldUse::Count,
            field => message::wanted(field),
        })?;
        let above = within.last().and_then(|within| within.place);
        if is_nested {
            if here.place.is_none() {
                here.place = Some(reading.reserve(above, output)?);
            }
            self.json.enter()?;
            within.push(here);
            return Ok(());
        }
        // A truncated message is dropped, unless a nested message proves that it was complete.
        if self.json.is_cut() && here.place.is_none() {
            return Ok(());
        }
        let copied = here.part.finish();
        match here.place {
            Some(place) => reading.fill(place, &copied),
            None => reading.message(None, above, &copied, output),
        }
    }
}

/// A message that contains the current one.
struct OpenMessage {
    /// Its index in the tree, once a nested message needs it.
    place: Option<u32>,
    /// The fields that were read.
    part: PartialObject,
}

#[cfg(test)]
mod any_form;
#[cfg(test)]
mod tests;
