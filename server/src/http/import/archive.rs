//! A ZIP archive as a provider sends it: the files of conversations in it, in whatever folder they are.
//!
//! Nothing is unpacked onto the disk, and no path of the archive is used but to choose. Files are read one
//! after the other as they are inflated, within a bound on all of them together. Where the end of the
//! archive is missing, its files are found by their beginnings, and read as far as they go.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::rc::Rc;

use app::protocol::saved::Skipped;
use flate2::bufread::DeflateDecoder;
use memchr::memmem;
use rawzip::{
    CompressionMethod, Crc32, FileReader, ZipArchive, ZipArchiveEntryWayfinder, ZipVerification,
};

use super::file::{self, ImportStep, MAX_ITEM, NO_SUCH_FILE, Unreadable};

/// The most bytes that are inflated of one archive: as many as a file may have that comes as it is.
const MAX_INFLATED: u64 = 2 * 1024 * 1024 * 1024;
/// How many files of an archive are read.
const MAX_MEMBERS: usize = 10_000;
/// The longest name that is looked at, in bytes.
const MAX_NAME: usize = 1024;
const BUFFER: usize = 64 * 1024;
/// How a file begins in an archive, and how long its head is without the name.
const LOCAL: &[u8; 4] = b"PK\x03\x04";
const LOCAL_HEAD: usize = 30;

const NOTHING_IN_IT: &str = "There is no conversations.json in this ZIP file, and no other JSON. Choose the \
    ZIP file that ChatGPT, Claude or another program gave as its export, or the JSON file itself.";

/// Whether a file that begins so is an archive.
pub(super) fn is_archive(head: &[u8]) -> bool {
    // The second is one without files.
    head.starts_with(LOCAL) || head.starts_with(b"PK\x05\x06")
}

/// Reads the files of conversations in an archive and gives each step as it is found, as long as it is
/// taken. `on_read` is told how many bytes of the archive were read.
pub(super) fn read(
    archive: &File,
    on_read: &dyn Fn(u64),
    out: &mut dyn FnMut(ImportStep) -> bool,
) -> Result<(), Unreadable> {
    read_within(MAX_INFLATED, archive, on_read, out)
}

/// The same with another bound on all that is inflated.
fn read_within(
    most: u64,
    archive: &File,
    on_read: &dyn Fn(u64),
    out: &mut dyn FnMut(ImportStep) -> bool,
) -> Result<(), Unreadable> {
    let mut buffer = vec![0; BUFFER];
    let clone = archive.try_clone().map_err(Unreadable::Disk)?;
    let mut reading = ArchiveReader {
        left: Rc::new(Cell::new(most)),
        on_read,
        out,
        is_any_read: false,
        failed: Vec::new(),
    };
    let listed = ZipArchive::from_file(clone, &mut buffer);
    let listed = listed.ok().and_then(|listed| {
        let members = Members::listed(&listed, &mut buffer)?;
        Some((listed, members))
    });
    match listed {
        Some((listed, members)) => {
            for (name, place) in members.chosen() {
                reading.listed(&listed, &name, place)?;
            }
        }
        None => {
            let members = Members::found(archive).map_err(Unreadable::Disk)?;
            for (name, place) in members.chosen() {
                reading.found(archive, &name, place)?;
            }
            if reading.is_any_read {
                let why = "Its end is missing, so some of its files may be, too.";
                reading.skip("The ZIP file", why.to_owned())?;
            }
        }
    }
    reading.end()
}

/// The files of an archive that may be wanted, with what is needed to read each.
struct Members<P> {
    /// Those that are called so.
    conversations: Vec<(String, P)>,
    /// All other JSON.
    others: Vec<(String, P)>,
}

impl<P> Members<P> {
    fn new() -> Self {
        Self {
            conversations: Vec::new(),
            others: Vec::new(),
        }
    }

    fn add(&mut self, path: &[u8], place: P) {
        let path = String::from_utf8_lossy(path).replace('\\', "/");
        let is_of_a_system = path
            .split('/')
            .any(|part| part.starts_with('.') || part == "__MACOSX");
        let name = path
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        if is_of_a_system || !name.ends_with(".json") {
            return;
        }
        let list = if name.starts_with("conversations") {
            &mut self.conversations
        } else {
            &mut self.others
        };
        if list.len() < MAX_MEMBERS {
            list.push((path, place));
        }
    }

    /// Those that are called conversations, or where there are none all that could be.
    fn chosen(self) -> Vec<(String, P)> {
        let mut chosen = if self.conversations.is_empty() {
            self.others
        } else {
            self.conversations
        };
        chosen.sort_by(|one, other| one.0.cmp(&other.0));
        chosen
    }
}

impl Members<ListedMember> {
    /// Those in the list at the end of the archive; nothing if that is broken.
    fn listed(archive: &ZipArchive<FileReader>, buffer: &mut [u8]) -> Option<Self> {
        let mut members = Self::new();
        let mut entries = archive.entries(buffer);
        while let Some(entry) = entries.next_entry().ok()? {
            let path = entry.file_path();
            let path = path.as_bytes();
            if path.len() <= MAX_NAME {
                let listed = ListedMember {
                    way: entry.wayfinder(),
                    method: entry.compression_method(),
                    is_encrypted: entry.flags().is_encrypted(),
                };
                members.add(path, listed);
            }
        }
        Some(members)
    }
}

/// Where a file is, by the list of the archive.
struct ListedMember {
    way: ZipArchiveEntryWayfinder,
    method: CompressionMethod,
    is_encrypted: bool,
}

/// Where a file is, by its beginning.
struct FoundMember {
    data: u64,
    /// Its size in the archive, where it is told and needed.
    size: Option<u64>,
    method: u16,
    is_encrypted: bool,
}

impl Members<FoundMember> {
    /// Those whose beginnings are in the archive.
    fn found(mut archive: &File) -> std::io::Result<Self> {
        let mut members = Self::new();
        archive.seek(SeekFrom::Start(0))?;
        let finder = memmem::Finder::new(LOCAL);
        // A beginning with its name fits into what is left of a window for the next.
        let overlap = LOCAL_HEAD + MAX_NAME;
        let mut window = Vec::new();
        let mut at = 0;
        loop {
            let read = archive.take((BUFFER * 4) as u64).read_to_end(&mut window)?;
            let is_last = read == 0;
            let whole = match is_last {
                true => window.len(),
                false => window.len().saturating_sub(overlap),
            };
            for begin in finder.find_iter(&window) {
                if begin >= whole {
                    break;
                }
                if let Some((path, place)) = FoundMember::of(&window[begin..], at + begin as u64) {
                    members.add(path, place);
                }
            }
            if is_last {
                return Ok(members);
            }
            window.drain(..whole);
            at += whole as u64;
        }
    }
}

impl FoundMember {
    /// Reads the head of a file at this place of the archive, and its path.
    fn of(head: &[u8], at: u64) -> Option<(&[u8], Self)> {
        let (fixed, rest) = head.split_at_checked(LOCAL_HEAD)?;
        let short = |from: usize| u16::from_le_bytes([fixed[from], fixed[from + 1]]);
        let size = u32::from_le_bytes([fixed[18], fixed[19], fixed[20], fixed[21]]);
        let (flags, method) = (short(6), short(8));
        let (path_length, more_length) = (usize::from(short(26)), usize::from(short(28)));
        let path = rest.get(..path_length)?;
        let is_told = flags & 0x8 == 0 && size != u32::MAX;
        let place = Self {
            data: at + (LOCAL_HEAD + path_length + more_length) as u64,
            size: is_told.then_some(u64::from(size)),
            method,
            is_encrypted: flags & 0x1 != 0,
        };
        (path_length <= MAX_NAME).then_some((path, place))
    }
}

/// The reading of one archive.
struct ArchiveReader<'a> {
    /// How much may still be inflated.
    left: Rc<Cell<u64>>,
    on_read: &'a dyn Fn(u64),
    out: &'a mut dyn FnMut(ImportStep) -> bool,
    is_any_read: bool,
    /// The files that could not be read, and why.
    failed: Vec<(String, String)>,
}

impl ArchiveReader<'_> {
    fn listed(
        &mut self,
        archive: &ZipArchive<FileReader>,
        name: &str,
        listed: ListedMember,
    ) -> Result<(), Unreadable> {
        if !self.is_readable(name, listed.method, listed.is_encrypted) {
            return Ok(());
        }
        let Ok(entry) = archive.get_entry(listed.way) else {
            self.fail(name, "Its place in the ZIP file is wrong.");
            return Ok(());
        };
        let packed = CountedReader {
            file: entry.reader(),
            on_read: self.on_read,
        };
        let packed = BufReader::with_capacity(BUFFER, packed);
        let expected = Some(entry.reader().claim_verifier());
        if listed.method == CompressionMethod::STORE {
            self.read(name, packed, expected)
        } else {
            self.read(name, DeflateDecoder::new(packed), expected)
        }
    }

    fn found(
        &mut self,
        mut archive: &File,
        name: &str,
        place: FoundMember,
    ) -> Result<(), Unreadable> {
        let method = CompressionMethod::from(place.method);
        if !self.is_readable(name, method, place.is_encrypted) {
            return Ok(());
        }
        archive
            .seek(SeekFrom::Start(place.data))
            .map_err(Unreadable::Disk)?;
        let packed = CountedReader {
            file: archive,
            on_read: self.on_read,
        };
        let packed = BufReader::with_capacity(BUFFER, packed);
        if method == CompressionMethod::STORE {
            self.read(name, packed.take(place.size.unwrap_or(u64::MAX)), None)
        } else {
            self.read(name, DeflateDecoder::new(packed), None)
        }
    }

    fn is_readable(&mut self, name: &str, method: CompressionMethod, is_encrypted: bool) -> bool {
        let is_known = method == CompressionMethod::STORE || method == CompressionMethod::DEFLATE;
        if is_encrypted {
            self.fail(
                name,
                "It is encrypted: unpack the ZIP file and import the JSON files.",
            );
        } else if !is_known {
            self.fail(
                name,
                "It is compressed in a way that is not read: unpack the ZIP file and import the JSON files.",
            );
        }
        is_known && !is_encrypted
    }

    fn fail(&mut self, name: &str, why: &str) {
        self.failed.push((name.to_owned(), why.to_owned()));
    }

    fn skip(&mut self, what: &str, why: String) -> Result<(), Unreadable> {
        let what = what.to_owned();
        match (self.out)(ImportStep::Skipped(Skipped { what, why })) {
            true => Ok(()),
            false => Err(Unreadable::NotTaken),
        }
    }

    fn read(
        &mut self,
        name: &str,
        inflated: impl Read,
        expected: Option<ZipVerification>,
    ) -> Result<(), Unreadable> {
        let is_damaged = Rc::new(Cell::new(false));
        let bounded = CheckedReader {
            file: inflated,
            left: Rc::clone(&self.left),
            crc: Crc32::new(),
            size: 0,
            expected,
            is_damaged: Rc::clone(&is_damaged),
        };
        let done = file::read(MAX_ITEM, name, bounded, self.out);
        if self.left.get() == 0 {
            return Err(Unreadable::TooLarge);
        }
        match done {
            Ok(()) => self.is_any_read = true,
            Err(Unreadable::Sentence(why)) => self.fail(name, &why),
            Err(other) => return Err(other),
        }
        if is_damaged.get() {
            let why = "It is damaged in the ZIP file. What could be read of it was imported.";
            self.skip(name, why.to_owned())?;
        }
        Ok(())
    }

    /// Tells of the files that could not be read; when there was nothing else, that is all there is to say.
    fn end(mut self) -> Result<(), Unreadable> {
        let failed = std::mem::take(&mut self.failed);
        if !self.is_any_read {
            return Err(Unreadable::Sentence(match failed.into_iter().next() {
                None => NOTHING_IN_IT.to_owned(),
                Some((_, why)) if why == NO_SUCH_FILE => why,
                Some((name, why)) => format!("{name} in the ZIP file: {why}"),
            }));
        }
        for (name, why) in failed {
            self.skip(&name, why)?;
        }
        Ok(())
    }
}

/// Tells how much was read.
struct CountedReader<'a, R> {
    file: R,
    on_read: &'a dyn Fn(u64),
}

impl<R: Read> Read for CountedReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        (self.on_read)(read as u64);
        Ok(read)
    }
}

/// A file as it is inflated. It ends where the bound is reached and where it is damaged.
struct CheckedReader<R> {
    file: R,
    left: Rc<Cell<u64>>,
    crc: Crc32,
    size: u64,
    /// What the archive says of all of it.
    expected: Option<ZipVerification>,
    is_damaged: Rc<Cell<bool>>,
}

impl<R: Read> Read for CheckedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.is_damaged.get() {
            return Ok(0);
        }
        let left = self.left.get();
        let room = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        match self.file.read(&mut buffer[..room]) {
            Ok(0) => {
                let seen = ZipVerification {
                    crc: self.crc.checksum(),
                    uncompressed_size: self.size,
                };
                let expected = self.expected.take();
                let is_as_expected = expected.is_none_or(|expected| expected.valid(seen).is_ok());
                self.is_damaged.set(!is_as_expected && left > 0);
                Ok(0)
            }
            Ok(read) => {
                self.crc.update(&buffer[..read]);
                self.size += read as u64;
                self.left.set(left - read as u64);
                Ok(read)
            }
            // What the system says is about the disk; everything else about what is in the file.
            Err(error) if error.raw_os_error().is_some() => Err(error),
            Err(_) => {
                self.is_damaged.set(true);
                Ok(0)
            }
        }
    }
}

#[cfg(test)]
mod tests;
