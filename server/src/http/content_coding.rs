//! Compressed bodies of requests (RFC 9110, section 8.4): several codings, in any case, within the size limit
//! of the body.
//!
//! The decoders are chained readers. Each holds at most one window beside its output, and the output of each is
//! limited.

use std::cell::Cell;
use std::io::{self, BufReader, Cursor, Read};
use std::rc::Rc;

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::body::BodyError;

/// The accepted codings, as the value of `Accept-Encoding`.
pub(crate) const ACCEPTED: &str = "gzip, deflate, br, zstd";
/// The most codings of one body. More than one is almost always a mistake.
const MOST: usize = 3;

/// One coding of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The codings of a body, in the order in which they were applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Codings(Vec<Coding>);

impl Codings {
    /// Reads the codings from the headers.
    ///
    /// # Errors
    /// When a coding is unknown, or there are too many.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, BodyError> {
        let mut codings = Vec::new();
        for value in headers.get_all(CONTENT_ENCODING) {
            let value = value.to_str().map_err(|_| BodyError::UnknownCoding)?;
            for name in value.split(',') {
                codings.extend(match name.trim().to_ascii_lowercase().as_str() {
                    "" | "identity" => None,
                    "gzip" | "x-gzip" => Some(Coding::Gzip),
                    "deflate" => Some(Coding::Deflate),
                    "br" => Some(Coding::Brotli),
                    "zstd" => Some(Coding::Zstd),
                    _ => return Err(BodyError::UnknownCoding),
                });
            }
        }
        if codings.len() > MOST {
            return Err(BodyError::UnknownCoding);
        }
        Ok(Self(codings))
    }

    /// Whether the body has no coding.
    pub(crate) fn is_identity(&self) -> bool {
        self.0.is_empty()
    }

    /// Decodes the body. The result has at most `most` bytes.
    ///
    /// # Errors
    /// When the result is larger, or the body is not valid in its coding.
    pub(crate) async fn decode(self, body: Bytes, most: u64) -> Result<Bytes, BodyError> {
        if self.is_identity() {
            return Ok(body);
        }
        tokio::task::spawn_blocking(move || self.decode_at_once(body, most))
            .await
            .map_err(|_| BodyError::Undecodable)?
    }

    fn decode_at_once(&self, body: Bytes, most: u64) -> Result<Bytes, BodyError> {
        let is_over = Rc::new(Cell::new(false));
        let mut reader: Box<dyn Read> = Box::new(Cursor::new(body));
        let broken = |_| {
            if is_over.get() {
                BodyError::TooLarge
            } else {
                BodyError::Undecodable
            }
        };
        for coding in self.0.iter().rev() {
            let decoded = coding.reader(reader, most, &is_over).map_err(broken)?;
            reader = Box::new(LimitedReader {
                inner: decoded,
                left: most,
                is_over: Rc::clone(&is_over),
            });
        }
        let mut whole = Vec::new();
        reader.read_to_end(&mut whole).map_err(broken)?;
        Ok(whole.into())
    }
}

impl Coding {
    /// A reader that decodes another reader.
    fn reader(
        self,
        mut source: Box<dyn Read>,
        most: u64,
        is_over: &Rc<Cell<bool>>,
    ) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(source)),
            Self::Deflate => {
                // The standard requires a zlib frame around the data, which some clients omit.
                let mut head = Vec::with_capacity(2);
                source.by_ref().take(2).read_to_end(&mut head)?;
                let is_zlib = matches!(*head, [first, second] if first & 0x0f == 8
                    && u16::from_be_bytes([first, second]) % 31 == 0);
                let source = Cursor::new(head).chain(source);
                if is_zlib {
                    Box::new(ZlibDecoder::new(source))
                } else {
                    Box::new(DeflateDecoder::new(source))
                }
            }
            Self::Brotli => Box::new(brotli_decompressor::Decompressor::new(source, 4096)),
            Self::Zstd => Box::new(Zstd {
                source: BufReader::new(source),
                frame: None,
                most,
                is_over: Rc::clone(is_over),
            }),
        })
    }
}

/// A reader with a limit in bytes. Reading past the limit is an error.
struct LimitedReader<R> {
    inner: R,
    left: u64,
    is_over: Rc<Cell<bool>>,
}

impl<R: Read> Read for LimitedReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(out)?;
        match self.left.checked_sub(length as u64) {
            Some(left) => {
                self.left = left;
                Ok(length)
            }
            None => {
                self.is_over.set(true);
                Err(io::ErrorKind::FileTooLarge.into())
            }
        }
    }
}

/// Reads consecutive zstd frames from another reader.
struct Zstd<R> {
    source: R,
    /// The current frame.
    frame: Option<FrameDecoder>,
    most: u64,
    is_over: Rc<Cell<bool>>,
}

impl<R: Read> Zstd<R> {
    /// Begins the next frame, if there is one.
    fn begin(&mut self) -> io::Result<bool> {
        const MAGIC: u32 = 0xfd2f_b528;
        const SKIPPED: u32 = 0x184d_2a50;
        loop {
            let mut magic = Vec::with_capacity(4);
            self.source.by_ref().take(4).read_to_end(&mut magic)?;
            if magic.is_empty() {
                return Ok(false);
            }
            let number: [u8; 4] = magic.as_slice().try_into().map_err(io::Error::other)?;
            match u32::from_le_bytes(number) {
                MAGIC => {
                    let header = self.header(magic)?;
                    let mut frame = FrameDecoder::new();
                    frame.init(header.as_slice()).map_err(io::Error::other)?;
                    self.frame = Some(frame);
                    return Ok(true);
                }
                number if number & !0xf == SKIPPED => {
                    let mut length = [0; 4];
                    self.source.read_exact(&mut length)?;
                    let length = u64::from(u32::from_le_bytes(length));
                    let skipped =
                        io::copy(&mut self.source.by_ref().take(length), &mut io::sink())?;
                    if skipped < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// The header of a frame that begins with these bytes, with the smallest window that the frame needs.
    fn header(&mut self, mut header: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut descriptor = [0];
        self.source.read_exact(&mut descriptor)?;
        header.extend(descriptor);
        let [descriptor] = descriptor;
        let is_single_segment = descriptor & 0x20 != 0;
        let sizes = [usize::from(is_single_segment), 2, 4, 8];
        let size = sizes[usize::from(descriptor >> 6)];
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let rest = usize::from(!is_single_segment) + dictionary + size;
        let begin = header.len();
        header.resize(begin + rest, 0);
        self.source.read_exact(&mut header[begin..])?;
        if is_single_segment {
            // The window is the whole content.
            let mut content = [0; 8];
            content[..size].copy_from_slice(&header[begin + rest - size..]);
            if u64::from_le_bytes(content) > self.most {
                self.is_over.set(true);
                return Err(io::ErrorKind::FileTooLarge.into());
            }
        } else {
            // The window is kept in memory. References never reach further back than the length of the body.
            let needed = self.most.next_power_of_two().trailing_zeros().clamp(10, 41);
            let needed = u8::try_from(needed - 10).expect("it is clamped") << 3;
            header[begin] = header[begin].min(needed);
        }
        Ok(header)
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(frame) = &mut self.frame {
                while frame.can_collect() < out.len() && !frame.is_finished() {
                    let more = BlockDecodingStrategy::UptoBytes(out.len() - frame.can_collect());
                    frame
                        .decode_blocks(&mut self.source, more)
                        .map_err(io::Error::other)?;
                }
                let length = frame.read(out)?;
                if length > 0 {
                    return Ok(length);
                }
                self.frame = None;
            }
            if !self.begin()? {
                return Ok(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    /// A body, and what the reference implementation of zstd makes of it: with all options at their
    /// largest as a file; from a pipe; and from a pipe with a window of 128 MiB.
    fn zstd_samples() -> (String, [Vec<u8>; 3]) {
        let lines: Vec<String> = (0..40)
            .map(|i| format!("line {i} of a small brook, é 東"))
            .collect();
        let text = format!(
            "{{\"model\": \"m\", \"stream\": true, \"messages\": [{{\"role\": \"user\", \"content\": \"{}\"}}]}}",
            lines.join(" ")
        );
        let samples = [
            "KLUv/WRqBC0FAEKJHRyw6wxZehRNSrdt3nLLbMuwuCcZsm1rU7AgzehEVmKtu7u7u3t3d3d3NzMzMzPzYRTEIHizZtemmKZAFKNc9D0FTlXUiRroS9BbdTtJP0mRWQVW/qRW3f6LcitE3c5/lDkfrgJPyUndQuXlNFeBhatu3zcRbhUoqBHw6/9vgDNKDxE0BP/fEOb5ASdh3ySTl6zkJJF8pJGLJHKRUvUy0gFENTHrk9E=",
            "KLUv/QRYTQYAMskeJJBF6f+/vl4r6q4jBYDsjdlk96dVvmUjM6K3/W9NCt4sGTuTA02iuaqqqqpqZmZmZiYiIiIiHgwFwkCgiZ5EAiwB8IEw1hRWKi3n5AZzwKs81I3+lH0KW9znbd1yo69i7QzC6G4dybld99mlPaOvtO25+3zd6GoZbJ0JKCCAM0oPtuAXZ7jAD2dxwQ/OcIEfzuCCH87igh+c4TJ+TeKMSVyWxE9JnCWJC5L4HYkzI3EpEgci4zVMI81pWCOaa1gjvS8dVzwDMeuT0Q==",
            "KLUv/QCILQUAQokdHLDrDFl6FE1Kt23ecstsy7C4JxmybWtTsCDN6ERWYq27u7u7e3d3d3c3MzMzM/NhFMQgeLNm16aYpkAUo1z0PQVOVdSJGuhL0Ft1O0k/SZFZBVb+pFbd/otyK0Tdzn+UOR+uAk/JSd1C5eU0V4GFq27fNxFuFSioEfDr/2+AM0oPETQE/98Q5vkBJ2HfJJOXrOQkkXykkYskcpFS9TLSAUQ1",
        ];
        (
            text,
            samples.map(|sample| BASE64_STANDARD.decode(sample).expect("base64")),
        )
    }

    fn encoded(coding: Coding, body: &[u8]) -> Vec<u8> {
        let done = "memory never fails";
        match coding {
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(body).expect(done);
                encoder.finish().expect(done)
            }
            Coding::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(body).expect(done);
                encoder.finish().expect(done)
            }
            Coding::Brotli => {
                let mut out = Vec::new();
                brotli::CompressorWriter::new(&mut out, 4096, 5, 22)
                    .write_all(body)
                    .expect(done);
                out
            }
            Coding::Zstd => compress_to_vec(body, CompressionLevel::Fastest),
        }
    }

    fn decoded(codings: &[Coding], body: Vec<u8>, most: u64) -> Result<Vec<u8>, BodyError> {
        let body = Codings(codings.to_vec()).decode_at_once(body.into(), most)?;
        Ok(body.to_vec())
    }

    const ALL: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

    #[test]
    fn codings_are_read_in_any_spelling() {
        let check = |values: &[&'static str], expect: Result<&[Coding], BodyError>| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, value.parse().expect("a value"));
            }
            let got = Codings::of(&headers).map(|codings| codings.0);
            assert_eq!(
                got.as_deref(),
                expect.as_ref().map(|list| *list),
                "{values:?}"
            );
        };
        use Coding::{Brotli, Deflate, Gzip, Zstd};
        check(&[], Ok(&[]));
        check(&["identity"], Ok(&[]));
        check(&[" , Identity,"], Ok(&[]));
        check(&["GZip"], Ok(&[Gzip]));
        check(&["x-gzip"], Ok(&[Gzip]));
        check(&["deflate,\tBR , zstd"], Ok(&[Deflate, Brotli, Zstd]));
        check(&["gzip", "zstd"], Ok(&[Gzip, Zstd]));
        for unknown in [
            "compress",
            "aws-chunked",
            "gzip;q=1",
            "*",
            "gz ip",
            "dcb",
            "none",
            "é",
        ] {
            check(&[unknown], Err(BodyError::UnknownCoding));
        }
        check(&["gzip, snappy"], Err(BodyError::UnknownCoding));
        check(&["gzip, gzip, gzip, gzip"], Err(BodyError::UnknownCoding));
    }

    #[test]
    fn what_other_programs_compress_is_read() {
        let (text, samples) = zstd_samples();
        for sample in &samples {
            assert_eq!(
                decoded(&[Coding::Zstd], sample.clone(), 1386).as_deref(),
                Ok(text.as_bytes())
            );
            let over = decoded(&[Coding::Zstd], sample.clone(), 1385);
            assert_eq!(over, Err(BodyError::TooLarge));
        }
        // Several frames, and one that is to be skipped.
        let skipped = [&0x184d_2a5a_u32.to_le_bytes()[..], &[3, 0, 0, 0], b"abc"].concat();
        let several = [&*samples[0], &*skipped, &*samples[1], &*samples[2]].concat();
        let expect = text.repeat(3);
        assert_eq!(
            decoded(&[Coding::Zstd], several, 5000).as_deref(),
            Ok(expect.as_bytes())
        );
        // Deflate without its frame, and gzip in several members.
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::best());
        raw.write_all(text.as_bytes()).expect("memory never fails");
        let raw = raw.finish().expect("memory never fails");
        assert_eq!(
            decoded(&[Coding::Deflate], raw, 5000).as_deref(),
            Ok(text.as_bytes())
        );
        let member = encoded(Coding::Gzip, text.as_bytes());
        assert_eq!(
            decoded(&[Coding::Gzip], [&*member, &*member].concat(), 5000).as_deref(),
            Ok(text.repeat(2).as_bytes())
        );
    }

    #[test]
    fn a_bomb_is_never_held_in_memory() {
        const MOST: u64 = 1024 * 1024;
        // A frame of zstd without end: each four bytes are 128 KiB, all of them 100 GB.
        let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0xf8];
        let block = ((128_u32 * 1024) << 3) | (1 << 1);
        for _ in 0..800_000 {
            bomb.extend(&block.to_le_bytes()[..3]);
            bomb.push(b' ');
        }
        assert_eq!(
            decoded(&[Coding::Zstd], bomb.clone(), MOST),
            Err(BodyError::TooLarge)
        );
        let inner = encoded(Coding::Gzip, &bomb);
        assert_eq!(
            decoded(&[Coding::Zstd, Coding::Gzip], inner, MOST),
            Err(BodyError::TooLarge)
        );
        // What is too large between two codings is no better.
        let mut skipped = 0x184d_2a50_u32.to_le_bytes().to_vec();
        skipped.extend((2_u32 << 20).to_le_bytes());
        skipped.resize(skipped.len() + (2 << 20), 0);
        let sent = encoded(Coding::Gzip, &skipped);
        assert_eq!(
            decoded(&[Coding::Zstd, Coding::Gzip], sent, MOST),
            Err(BodyError::TooLarge)
        );
        let spaces = vec![b' '; 20 * 1024 * 1024];
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli] {
            let bomb = encoded(coding, &spaces);
            assert!(bomb.len() < 100_000);
            assert_eq!(
                decoded(&[coding], bomb, MOST),
                Err(BodyError::TooLarge),
                "{coding:?}"
            );
        }
        // A window of the largest size, of which nothing is needed.
        let claim = [0x28, 0xb5, 0x2f, 0xfd, 0, 0xff, 0x01, 0, 0];
        assert_eq!(
            decoded(&[Coding::Zstd], claim.to_vec(), MOST).as_deref(),
            Ok(&[][..])
        );
        let claim = [
            &[0x28, 0xb5, 0x2f, 0xfd, 0xe0][..],
            &u64::MAX.to_le_bytes(),
            &[1, 0, 0],
        ];
        assert_eq!(
            decoded(&[Coding::Zstd], claim.concat(), MOST),
            Err(BodyError::TooLarge)
        );
    }

    proptest! {
        #[test]
        fn a_body_comes_out_as_it_went_in(
            body in proptest::collection::vec(0..8_u8, 0..5000),
            codings in proptest::collection::vec(proptest::sample::select(&ALL[..]), 0..4),
        ) {
            let mut sent = body.clone();
            for coding in &codings {
                sent = encoded(*coding, &sent);
            }
            prop_assert_eq!(decoded(&codings, sent, 100_000), Ok(body));
        }

        #[test]
        fn what_is_broken_is_refused_or_bounded(
            codings in proptest::collection::vec(proptest::sample::select(&ALL[..]), 1..3),
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
            length in any::<proptest::sample::Index>(),
        ) {
            let mut sent = zstd_samples().0.into_bytes();
            for coding in &codings {
                sent = encoded(*coding, &sent);
            }
            for (at, byte) in &changes {
                *at.get_mut(&mut sent) = *byte;
            }
            sent.truncate(length.index(sent.len() + 1));
            if let Ok(body) = decoded(&codings, sent, 2000) {
                prop_assert!(body.len() <= 2000);
            }
        }
    }
}
