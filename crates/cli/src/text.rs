//! Numbers, keys and texts as people read them.

use std::borrow::Cow;

pub use s3ferry_core::numerals::grouped;

/// Returns whether a character is invisible, such as a control character or a bidirectional mark.
#[must_use]
pub fn is_unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Formats a key for a line of text; a key with invisible characters is quoted and escaped.
#[must_use]
pub fn escaped_key(key: &str) -> String {
    if key.chars().any(is_unseen) || key.starts_with(' ') || key.ends_with(' ') {
        format!("{key:?}")
    } else {
        key.to_owned()
    }
}

/// Escapes invisible characters, so that a key in a message cannot change a terminal's output.
#[must_use]
pub fn escaped_text(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unseen) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if is_unseen(letter) {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

/// As [`escaped_text`], for a text of several lines.
#[must_use]
pub fn escaped_lines(text: &str) -> String {
    let lines: Vec<Cow<'_, str>> = text.split('\n').map(escaped_text).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_on_their_line() {
        assert_eq!(escaped_key("a b/ü"), "a b/ü");
        assert_eq!(escaped_key("a\nb"), "\"a\\nb\"");
        assert_eq!(escaped_key("a "), "\"a \"");
        assert_eq!(escaped_key("a\u{202e}b"), "\"a\\u{202e}b\"");
    }

    #[test]
    fn texts_escape_control_and_bidirectional_characters() {
        let hostile = "arn:aws:s3:::b/\u{1b}[31mRED\u{1b}]0;pwn\u{7}\u{202e}\n\ttxt ü日";
        let shown = "arn:aws:s3:::b/\\u{1b}[31mRED\\u{1b}]0;pwn\\u{7}\\u{202e}\\n\\ttxt ü日";
        assert_eq!(escaped_text(hostile), shown);
        assert_eq!(escaped_text("a \"b\" ü"), "a \"b\" ü");
        assert_eq!(escaped_lines("one\u{1b}\ntwo\r\n"), "one\\u{1b}\ntwo\\r\n");
    }
}
