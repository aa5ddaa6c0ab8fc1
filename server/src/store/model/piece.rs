//! The content of a reply or of a part of it.

use super::spans::{Cursor, SpanKind, Spans};

/// The content of a reply or of a part of it, as it is stored and read back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Piece {
    /// The text of the answer.
    pub text: String,
    /// The text of the reasoning.
    pub reasoning: String,
    /// The encoded spans of the events, see [`super::spans`].
    pub spans: Vec<u8>,
}

/// A piece of a reply that is being made.
#[derive(Debug, Clone)]
pub struct NewPiece {
    /// The owner of the reply.
    pub owner: String,
    /// The generation that makes it.
    pub generation: String,
    /// The number of the piece, counted from 0 in each generation.
    pub index: i64,
    /// Its content.
    pub piece: Piece,
}

impl NewPiece {
    /// The piece with this number of a generation.
    #[must_use]
    pub fn new(owner: &str, generation: &str, index: i64, piece: &Piece) -> Self {
        Self {
            owner: owner.to_owned(),
            generation: generation.to_owned(),
            index,
            piece: piece.clone(),
        }
    }
}

impl Piece {
    /// Whether the piece has no events.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The seq of the last event, for a piece that begins with the first event of its generation.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        Spans::read(self.spans.clone(), self.text.len(), self.reasoning.len()).count()
    }

    /// The same content as the base of a generation that continues it: the reasoning is one event, and the text
    /// the next.
    #[must_use]
    pub fn joined(self) -> Self {
        let spans = Spans::read(Vec::new(), self.text.len(), self.reasoning.len());
        Self {
            spans: spans.bytes().to_vec(),
            ..self
        }
    }

    /// The same piece with a character replaced in both texts. The events keep their numbers.
    #[must_use]
    pub fn replaced(&self, from: char, to: &str) -> Self {
        if !self.text.contains(from) && !self.reasoning.contains(from) {
            return self.clone();
        }
        let old = Spans::read(self.spans.clone(), self.text.len(), self.reasoning.len());
        let (mut new, mut spans) = (Self::default(), Spans::default());
        let mut cursor = Cursor::default();
        while let Some((kind, length, next)) = old.at(cursor.span) {
            let (all, out, at) = match kind {
                SpanKind::Text => (&self.text, &mut new.text, cursor.text),
                SpanKind::Reasoning => (&self.reasoning, &mut new.reasoning, cursor.reasoning),
                SpanKind::Usage | SpanKind::Notice => {
                    spans.push(kind, length);
                    cursor = cursor.after(kind, length, next);
                    continue;
                }
            };
            let piece = all.get(at..at + length).unwrap_or_default();
            let piece = piece.replace(from, to);
            out.push_str(&piece);
            spans.push(kind, piece.len());
            cursor = cursor.after(kind, length, next);
        }
        new.spans = spans.bytes().to_vec();
        new
    }

    /// The beginning of this piece: this many bytes of text and of reasoning, with these spans. `None` where
    /// that would split a character.
    #[must_use]
    pub fn beginning(mut self, text: usize, reasoning: usize, spans: Vec<u8>) -> Option<Self> {
        let can_be_cut =
            self.text.is_char_boundary(text) && self.reasoning.is_char_boundary(reasoning);
        if !can_be_cut {
            return None;
        }
        self.text.truncate(text);
        self.reasoning.truncate(reasoning);
        Some(Self { spans, ..self })
    }

    /// Appends the piece that follows this one.
    pub fn append(&mut self, next: &Self) {
        self.text.push_str(&next.text);
        self.reasoning.push_str(&next.reasoning);
        self.spans.extend_from_slice(&next.spans);
    }
}
