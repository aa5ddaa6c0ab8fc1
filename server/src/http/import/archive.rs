//! A ZIP archive: the files of conversations in it, in any folder.
//!
//! Nothing is unpacked to the disk, and paths are used only to choose files. Files are inflated one after the
//! other, with a limit on their total size. If the central directory is missing, files are found by their local
//! headers and read as far as possible.

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

use super::file::{self, ImportStep, MAX_ITEM, NO_SUCH_FILE, Pass, Unreadable};

/// The largest total size of the inflated files, in bytes: the same limit as for a file that is not compressed.
const MAX_INFLATED: u64 = 2 * 1024 * 1024 * 1024;
/// The most files that are read from an archive.
const MAX_MEMBERS: usize = 10_000;
/// The longest path, in bytes.
const MAX_NAME: usize = 1024;
const BUFFER: usize = 64 * 1024;
/// The signature of a local header, and its length without the path.
const LOCAL: &[u8; 4] = b"PK\x03\x04";
const LOCAL_HEAD: usize = 30;

const NOTHING_IN_IT: &str = "There is no conversations.json in this ZIP file, and no other JSON. Choose the \
    ZIP file that ChatGPT, Claude or another program gave as its export, or the JSON file itself.";

/// Whether a file with this beginning is an archive.
pub(super) fn is_archive(head: &[u8]) -> bool {
    // The second signature is that of an empty archive.
    head.starts_with(LOCAL) || head.starts_with(b"PK\x05\x06")
}

/// Reads the files of conversations in an archive and passes each step to `out` until that returns `false`.
/// `on_read` gets the number of bytes that were read from the archive.
pub(super) fn read(
    archive: &File,
    on_read: &dyn Fn(u64),
    out: &mut dyn FnMut(ImportStep) -> bool,
) -> Result<(), Unreadable> {
    read_within(MAX_INFLATED, archive, on_read, out)
}

/// The same with another limit on the inflated size.
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

/// The candidate files of an archive, with their places.
struct Members<P> {
    /// Files that are named `conversations….json`.
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

    /// The files that are named `conversations…`, or all JSON files if there are none.
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
    /// The files in the central directory. `None` if it is damaged.
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

/// The place of a file according to the central directory.
struct ListedMember {
    way: ZipArchiveEntryWayfinder,
    method: CompressionMethod,
    is_encrypted: bool,
}

/// The place of a file according to its local header.
struct FoundMember {
    data: u64,
    /// Its compressed size, if the header has it and it is needed.
    size: Option<u64>,
    method: u16,
    is_encrypted: bool,
}

impl Members<FoundMember> {
    /// The files with a local header in the archive.
    fn found(mut archive: &File) -> std::io::Result<Self> {
        let mut members = Self::new();
        archive.seek(SeekFrom::Start(0))?;
        let finder = memmem::Finder::new(LOCAL);
        // A local header with its path fits into the overlap of two windows.
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
    /// Parses a local header at this offset of the archive, and returns its path.
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

/// The state of reading one archive.
struct ArchiveReader<'a> {
    /// The bytes that may still be inflated.
    left: Rc<Cell<u64>>,
    on_read: &'a dyn Fn(u64),
    out: &'a mut dyn FnMut(ImportStep) -> bool,
    is_any_read: bool,
    /// The files that could not be read, with the reasons.
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
        let on_read = self.on_read;
        let open = |pass| {
            let packed = CountedReader {
                file: entry.reader(),
                on_read,
                pass,
            };
            Ok(BufReader::with_capacity(BUFFER, packed))
        };
        let expected = Some(entry.reader().claim_verifier());
        if listed.method == CompressionMethod::STORE {
            self.read(name, open, expected)
        } else {
            self.read(name, |pass| open(pass).map(DeflateDecoder::new), expected)
        }
    }

    fn found(&mut self, archive: &File, name: &str, place: FoundMember) -> Result<(), Unreadable> {
        let method = CompressionMethod::from(place.method);
        if !self.is_readable(name, method, place.is_encrypted) {
            return Ok(());
        }
        let on_read = self.on_read;
        let open = |pass| {
            let mut file = archive;
            file.seek(SeekFrom::Start(place.data))?;
            let packed = CountedReader {
                file,
                on_read,
                pass,
            };
            Ok(BufReader::with_capacity(BUFFER, packed))
        };
        if method == CompressionMethod::STORE {
            let size = place.size.unwrap_or(u64::MAX);
            self.read(name, |pass| Ok(open(pass)?.take(size)), None)
        } else {
            self.read(name, |pass| open(pass).map(DeflateDecoder::new), None)
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

    fn read<R: Read>(
        &mut self,
        name: &str,
        mut inflated: impl FnMut(Pass) -> std::io::Result<R>,
        expected: Option<ZipVerification>,
    ) -> Result<(), Unreadable> {
        let is_damaged = Rc::new(Cell::new(false));
        let mut expected = Some(expected);
        let bounded = |pass| {
            let file = inflated(pass)?;
            // Only what is inflated for the conversations counts.
            let (left, expected, is_damaged) = match pass {
                Pass::Damage => (Rc::new(Cell::new(self.left.get())), None, Rc::default()),
                Pass::Conversations => {
                    let expected = expected.take().flatten();
                    (Rc::clone(&self.left), expected, Rc::clone(&is_damaged))
                }
            };
            Ok(CheckedReader {
                file,
                left,
                crc: Crc32::new(),
                size: 0,
                expected,
                is_damaged,
            })
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

    /// Reports the files that could not be read. If no file could be read, that is the error of the import.
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

/// Reports the number of bytes that are read.
struct CountedReader<'a, R> {
    file: R,
    on_read: &'a dyn Fn(u64),
    pass: Pass,
}

impl<R: Read> Read for CountedReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        if self.pass == Pass::Conversations {
            (self.on_read)(read as u64);
        }
        Ok(read)
    }
}

/// A file that is being inflated. It ends at the limit, or where it is damaged.
struct CheckedReader<R> {
    file: R,
    left: Rc<Cell<u64>>,
    crc: Crc32,
    size: u64,
    /// The checksum and size according to the archive.
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
            // An error of the system is about the disk. Any other error is about the content.
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
