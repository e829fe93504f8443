//! MD5 checksums of files in a manifest.

use std::fmt;

use md5::{Digest, Md5};

/// MD5 checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Md5Sum([u8; 16]);

impl Md5Sum {
    /// Computes the checksum of `content`.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(Md5::digest(content).into())
    }

    /// Returns the checksum of a hasher's input.
    pub(crate) fn finish(hasher: Md5) -> Self {
        Self(hasher.finalize().into())
    }

    /// Parses 32 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let number = u128::from_str_radix(text, 16).ok()?;
        // `from_str_radix` also accepts a sign.
        let is_plain = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_plain.then_some(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for Md5Sum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", u128::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_parsed_and_formatted() {
        let empty = "d41d8cd98f00b204e9800998ecf8427e";
        assert_eq!(Md5Sum::of(b"").to_string(), empty);
        assert_eq!(Md5Sum::parse(&empty.to_uppercase()), Some(Md5Sum::of(b"")));
        for text in ["", "d41d", &empty.replace('d', "x"), &empty.replacen('d', "+", 1)] {
            assert_eq!(Md5Sum::parse(text), None, "{text}");
        }
    }
}
