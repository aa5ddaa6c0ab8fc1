//! A file of conversations, read one message at a time: a list, an object with the list in it, one
//! conversation, or any of them one after the other. Which form each conversation has is seen at the
//! conversation itself.
//!
//! Nothing is held as a whole but one message, so the memory does not depend on the file. What is wrong
//! with a conversation costs that conversation, and what is wrong with a message that message.

use std::io::Read;

use app::protocol::saved::Skipped;

use super::fields::{ConversationFields, MAX_FIELD};
use super::json::{FieldUse, Json, PartialObject, ValueKind};
use super::message::{self, NESTED};
use super::reading::{ConversationReader, MessagesKey, counted};
use super::tree::TreeLayout;
use crate::store::{ConversationHead, ImportPart};

/// Of what was no file of conversations at all.
pub(super) const NO_SUCH_FILE: &str = "This is no file of conversations that Rill reads. Choose an export of \
    Rill, the conversations.json of ChatGPT or Claude, an export of LibreChat or Open WebUI as JSON in UTF-8 \
    or UTF-16, or the ZIP file in which one of them comes.";
const EMPTY: &str = "The file is empty.";
const NOTHING_WHOLE: &str =
    "The file is cut off, and nothing in it is whole. Download it once more, then import it again.";

/// The largest message, in bytes of JSON.
pub(super) const MAX_ITEM: u64 = 16 * 1024 * 1024;
/// How deep lists of conversations may stand in lists.
const MAX_LISTS: u32 = 3;
/// How deep messages may hang below messages.
const MAX_NESTED: usize = 4000;

/// What is found in a file.
#[derive(Debug, PartialEq)]
pub(super) enum ImportStep {
    /// Something to be written.
    Part(ImportPart),
    /// A conversation is complete; what of it was left out.
    End(ConversationHead, Option<String>),
    /// A conversation is left out as a whole. What there was of it is dropped by a part before.
    Skipped(Skipped),
}

/// Why a file as a whole cannot be read.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// A sentence for a person.
    Sentence(String),
    /// It has more in it than is read.
    TooLarge,
    /// Nobody takes what is output.
    NotTaken,
    /// What it holds could not be put aside.
    Disk(std::io::Error),
}

/// Why no more is read.
#[derive(Debug)]
pub(super) enum ReadStop {
    /// Nobody takes what is output.
    NotTaken,
    /// What was found could not be put aside.
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

/// Reads a file that people call `name` and gives each step as it is output, as long as it is taken. `limit`
/// is the largest message, in bytes.
pub(super) fn read(
    limit: u64,
    name: &str,
    file: impl Read,
    out: &mut dyn FnMut(ImportStep) -> bool,
) -> Result<(), Unreadable> {
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
        told: 0,
    };
    match file.json.first().map_err(Unreadable::Disk)? {
        None => return Err(Unreadable::Sentence(EMPTY.to_owned())),
        Some(b'[' | b'{') => {}
        Some(_) => return Err(Unreadable::Sentence(NO_SUCH_FILE.to_owned())),
    }
    while file.json.next_document().map_err(Unreadable::Disk)? {
        file.document(&mut output)?;
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
    let odd = file.json.odd() - file.told;
    if odd > 0 {
        let odd = counted(odd, "character was", "characters were");
        say(format!("{odd} passed over between its conversations."))?;
    }
    Ok(())
}

/// What has been found so far, and where it goes.
pub(super) struct ImportOutput<'a> {
    /// How many conversations there were.
    pub(super) count: u64,
    /// Whether one of them had a form that is read.
    is_any_recognised: bool,
    has_list: bool,
    /// The largest message, in bytes.
    pub(super) limit: u64,
    out: &'a mut dyn FnMut(ImportStep) -> bool,
    /// What has no form that is read, as long as nothing has.
    foreign: Vec<Skipped>,
}

/// How many are held that have no form that is read.
const MAX_FOREIGN: usize = 1000;

impl ImportOutput<'_> {
    /// Something that is no conversation is left out. In a file in which nothing is one, that is all there
    /// is to say, so it is said when there is one.
    pub(super) fn skip_foreign(&mut self, skipped: Skipped) -> Result<(), ReadStop> {
        if self.is_any_recognised || self.foreign.len() >= MAX_FOREIGN {
            return self.give(ImportStep::Skipped(skipped));
        }
        self.foreign.push(skipped);
        Ok(())
    }

    /// A conversation is recognised.
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

/// A file that is read.
struct ImportFile<R> {
    json: Json<R>,
    /// How many odd characters and values have been told of.
    told: u64,
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
                    ConversationReader::default().end(self.json.is_cut(), 0, output)?;
                }
            }
        }
        Ok(())
    }

    /// A conversation, or at the top perhaps an object with a list of them.
    fn conversation(
        &mut self,
        is_top: bool,
        output: &mut ImportOutput<'_>,
    ) -> Result<(), ReadStop> {
        let (odd_before, told_before) = (self.json.odd(), self.told);
        let mut reading = ConversationReader::default();
        let mut is_wrapper = false;
        self.json.enter()?;
        while let Some(key) = self.json.next_key()? {
            let kind = self.json.kind()?;
            match (key.as_str(), kind) {
                ("conversations" | "chats" | "data" | "history", ValueKind::List) if is_top => {
                    is_wrapper = true;
                    self.conversations(0, output)?;
                }
                ("chat", ValueKind::Object) => {
                    self.json.enter()?;
                    while let Some(key) = self.json.next_key()? {
                        let kind = self.json.kind()?;
                        self.field(&key, kind, true, &mut reading, output)?;
                    }
                }
                _ => self.field(&key, kind, false, &mut reading, output)?,
            }
        }
        if is_wrapper && !reading.is_recognised() {
            return Ok(());
        }
        // Conversations within this object have told of their own.
        let odd = self.json.odd() - odd_before - (self.told - told_before);
        self.told += odd;
        reading.end(self.json.is_cut(), odd, output)
    }

    /// A field of a conversation, or of the object within it.
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

    /// Keeps a field that is used.
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
        // Half a text is another text.
        if !self.json.is_cut() {
            reading.fields.set(key, is_inner, copied.json);
        }
        Ok(())
    }

    /// Messages by their names.
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

    /// Messages in their order, of which each may have others below it.
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
                // The rest of the message whose list this was.
                match within.pop() {
                    Some(part) => part,
                    None => return Ok(()),
                }
            };
            self.message(part, &mut within, reading, output)?;
        }
    }

    /// Reads a message, or what is left of it, up to its end or to a list of others below it.
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
        // Half a message is another message, unless its end is known by what hangs below it.
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

/// A message within which we are.
struct OpenMessage {
    /// Its place in the tree, once others hang below it.
    place: Option<u32>,
    /// What of it was read.
    part: PartialObject,
}

#[cfg(test)]
mod any_form;
#[cfg(test)]
mod tests;
