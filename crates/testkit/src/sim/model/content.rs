//! Contents of objects: real bytes, and ranges of synthetic objects whose bytes are generated when they are read.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::random::mix;

/// Content of an object or a part: a rope of real bytes and synthetic ranges.
///
/// Slicing and joining change only the rope, so a copy of 50 TB moves no bytes. Adjacent ranges of one synthetic object
/// merge, so a multipart copy has the same description as its source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SimContent {
    pieces: Arc<Vec<ContentPiece>>,
    size_bytes: u64,
}

/// One piece of a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentPiece {
    /// Bytes that a client sent.
    Real(Bytes),
    /// A range of a synthetic object.
    Synthetic(SyntheticRange),
}

/// A range of a synthetic object. The seed and the position determine its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SyntheticRange {
    /// Seed of the object's bytes.
    pub seed: u64,
    /// Size of the object.
    pub object_bytes: u64,
    /// Offset of the range in the object.
    pub offset: u64,
    /// Size of the range.
    pub size_bytes: u64,
}

impl ContentPiece {
    fn size_bytes(&self) -> u64 {
        match self {
            Self::Real(bytes) => bytes.len() as u64,
            Self::Synthetic(range) => range.size_bytes,
        }
    }

    fn slice(&self, offset: u64, size_bytes: u64) -> Self {
        match self {
            Self::Real(bytes) => {
                let from = to_usize(offset);
                Self::Real(bytes.slice(from..from + to_usize(size_bytes)))
            }
            Self::Synthetic(range) => Self::Synthetic(SyntheticRange {
                offset: range.offset + offset,
                size_bytes,
                ..*range
            }),
        }
    }
}

impl SyntheticRange {
    fn continues(&self, next: &Self) -> bool {
        (self.seed, self.object_bytes) == (next.seed, next.object_bytes) && self.offset + self.size_bytes == next.offset
    }

    /// Generates the bytes of the range.
    fn bytes(&self) -> Bytes {
        let first_word = self.offset / 8;
        let words_end = (self.offset + self.size_bytes).div_ceil(8);
        let key = mix(self.seed);
        let mut made = vec![0; to_usize(words_end - first_word) * 8];
        for (word, chunk) in (first_word..).zip(made.chunks_exact_mut(8)) {
            chunk.copy_from_slice(&mix(key ^ word).to_le_bytes());
        }
        let skipped = to_usize(self.offset - first_word * 8);
        Bytes::from(made).slice(skipped..skipped + to_usize(self.size_bytes))
    }
}

impl<B: Into<Bytes>> From<B> for SimContent {
    fn from(bytes: B) -> Self {
        Self::join([ContentPiece::Real(bytes.into())])
    }
}

impl SimContent {
    /// Creates the content of a synthetic object.
    pub fn synthetic(seed: u64, size_bytes: u64) -> Self {
        Self::join([ContentPiece::Synthetic(SyntheticRange {
            seed,
            object_bytes: size_bytes,
            offset: 0,
            size_bytes,
        })])
    }

    /// Joins contents end to end.
    pub fn concat<'a>(contents: impl IntoIterator<Item = &'a SimContent>) -> Self {
        Self::join(contents.into_iter().flat_map(|content| content.pieces.iter().cloned()))
    }

    fn join(pieces: impl IntoIterator<Item = ContentPiece>) -> Self {
        let mut joined: Vec<ContentPiece> = Vec::new();
        let mut size_bytes = 0;
        for piece in pieces {
            if piece.size_bytes() == 0 {
                continue;
            }
            size_bytes += piece.size_bytes();
            match (joined.last_mut(), &piece) {
                (Some(ContentPiece::Synthetic(last)), ContentPiece::Synthetic(next)) if last.continues(next) => {
                    last.size_bytes += next.size_bytes;
                }
                _ => joined.push(piece),
            }
        }
        Self {
            pieces: Arc::new(joined),
            size_bytes,
        }
    }

    /// Returns the size in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Returns the pieces, in order.
    pub fn pieces(&self) -> &[ContentPiece] {
        &self.pieces
    }

    /// Returns a range of the content, cut at its end.
    #[must_use]
    pub fn slice(&self, offset: u64, size_bytes: u64) -> Self {
        let end = offset.saturating_add(size_bytes).min(self.size_bytes);
        let mut position = 0;
        let mut taken = Vec::new();
        for piece in self.pieces.iter() {
            let piece_end = position + piece.size_bytes();
            let from = offset.max(position);
            let to = end.min(piece_end);
            if from < to {
                taken.push(piece.slice(from - position, to - from));
            }
            position = piece_end;
        }
        Self::join(taken)
    }

    /// Returns the bytes in chunks of a bounded size.
    pub fn chunks(&self) -> impl Iterator<Item = Bytes> + Send + 'static {
        const CHUNK: u64 = 256 * 1024;
        let content = self.clone();
        (0..content.size_bytes.div_ceil(CHUNK)).flat_map(move |index| {
            let chunk = content.slice(index * CHUNK, CHUNK);
            chunk.pieces.iter().map(Self::piece_bytes).collect::<Vec<_>>()
        })
    }

    fn piece_bytes(piece: &ContentPiece) -> Bytes {
        match piece {
            ContentPiece::Real(bytes) => bytes.clone(),
            ContentPiece::Synthetic(range) => range.bytes(),
        }
    }

    /// Returns all bytes at once. Only for small contents.
    pub fn to_bytes(&self) -> Bytes {
        let mut all = BytesMut::new();
        for chunk in self.chunks() {
            all.extend_from_slice(&chunk);
        }
        all.freeze()
    }
}

fn to_usize(size: u64) -> usize {
    usize::try_from(size).expect("size of bytes in memory fits into usize")
}
