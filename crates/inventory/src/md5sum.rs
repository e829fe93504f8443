//! The checksums by which a manifest names the content of its files.

use std::fmt;

use md5::{Digest, Md5};

/// An MD5 checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Md5Sum([u8; 16]);

impl Md5Sum {
    /// Computes the checksum of `content`.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(Md5::digest(content).into())
    }

    /// Takes what a hasher was fed.
    pub(crate) fn finish(hasher: Md5) -> Self {
        Self(hasher.finalize().into())
    }

    /// Reads 32 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let number = u128::from_str_radix(text, 16).ok()?;
        // A sign would be taken for a digit.
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
    fn checksums_are_read_and_spelled() {
        let empty = "d41d8cd98f00b204e9800998ecf8427e";
        assert_eq!(Md5Sum::of(b"").to_string(), empty);
        assert_eq!(Md5Sum::parse(&empty.to_uppercase()), Some(Md5Sum::of(b"")));
        for text in ["", "d41d", &empty.replace('d', "x"), &empty.replacen('d', "+", 1)] {
            assert_eq!(Md5Sum::parse(text), None, "{text}");
        }
    }
}
