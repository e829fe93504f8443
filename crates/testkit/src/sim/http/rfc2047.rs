//! RFC 2047 encoding of user metadata that is not ASCII.
//!
//! S3 decodes such header values before it stores them, reads other bytes as ISO 8859-1, and encodes values that are
//! not ASCII in responses. <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::percent_decode_str;

/// Decodes a header value.
pub(crate) fn decode(raw: &[u8]) -> String {
    let text: String = raw.iter().copied().map(char::from).collect();
    decode_words(&text).unwrap_or(text)
}

/// Encodes a header value.
pub(crate) fn encode(value: &str) -> String {
    if value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return value.to_owned();
    }
    format!("=?UTF-8?B?{}?=", BASE64.encode(value))
}

/// Decodes all encoded words and removes white space between adjacent ones. Returns `None` if there are none, or if one
/// is malformed.
fn decode_words(text: &str) -> Option<String> {
    let mut decoded = String::new();
    let mut rest = text;
    let mut after_word = false;
    let mut found = false;
    while let Some((before, from)) = rest.split_once("=?") {
        if !(after_word && before.trim().is_empty()) {
            decoded.push_str(before);
        }
        let mut fields = from.splitn(3, '?');
        let (charset, coding, tail) = (fields.next()?, fields.next()?, fields.next()?);
        let (word, behind) = tail.split_once("?=")?;
        decoded.push_str(&decode_word(charset, coding, word)?);
        rest = behind;
        after_word = true;
        found = true;
    }
    decoded.push_str(rest);
    found.then_some(decoded)
}

fn decode_word(charset: &str, coding: &str, word: &str) -> Option<String> {
    let bytes = match coding {
        "B" | "b" => BASE64.decode(word).ok()?,
        "Q" | "q" => {
            // Quoted-printable differs from percent-encoding only in its escape character, and in `_` for a space.
            let percent = word.replace('%', "%25").replace('_', " ").replace('=', "%");
            percent_decode_str(&percent).collect()
        }
        _ => return None,
    };
    match charset.to_ascii_uppercase().as_str() {
        "UTF-8" | "US-ASCII" => String::from_utf8(bytes).ok(),
        "ISO-8859-1" => Some(bytes.into_iter().map(char::from).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_unchanged() {
        assert_eq!(decode(b"AMAZONS3"), "AMAZONS3");
        assert_eq!(encode("AMAZONS3"), "AMAZONS3");
    }

    #[test]
    fn encoded_words_are_decoded_and_joined() {
        assert_eq!(decode(b"=?UTF-8?B?w7xuaQ==?= =?utf-8?q?c=C3=B6de_x?="), "ünicöde x");
        assert_eq!(decode(b"a =?ISO-8859-1?Q?=E9?= b"), "a é b");
    }

    #[test]
    fn decoded_text_is_encoded_again() {
        assert_eq!(decode(encode("日本 ü").as_bytes()), "日本 ü");
    }

    #[test]
    fn raw_bytes_are_read_as_in_the_s3_user_guide() {
        let stored = decode("ÄMÄZÕÑ S3".as_bytes());
        assert_eq!(encode(&stored), "=?UTF-8?B?w4PChE3Dg8KEWsODwpXDg8KRIFMz?=");
    }

    #[test]
    fn malformed_encoded_words_are_unchanged() {
        assert_eq!(decode(b"=?UTF-8?B?broken"), "=?UTF-8?B?broken");
        assert_eq!(decode(b"=?UTF-8?X?a?="), "=?UTF-8?X?a?=");
    }
}
