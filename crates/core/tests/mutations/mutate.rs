//! Mutations of JSON by structure, of texts by known problematic pieces, and of bytes.

use serde_json::{Value, json};

use super::random::Random;

/// Texts with a meaning for some parser, or nearly so.
const TEXTS: &[&str] = &[
    "",
    " ",
    "+",
    "%",
    "%2",
    "%zz",
    "%2B",
    "%FF%FE",
    "%00",
    "a+b",
    "a b",
    "null",
    "true",
    "{}",
    "[]",
    "{\"Records\":[]}",
    "{\"Records\":[{}]}",
    "aws:sqs",
    "aws:sns",
    "aws:s3",
    "aws.s3",
    "s3:TestEvent",
    "Notification",
    "1.0",
    "2.0",
    "2.",
    "3.1",
    "arn:aws:s3:::",
    "arn:aws:s3:::example-source",
    "example-source",
    "\u{0}",
    "\u{FEFF}a",
    "🚢ü日",
    "..",
];

/// Names of fields that parsers read.
const NAMES: &[&str] = &[
    "Records",
    "messageId",
    "body",
    "eventSource",
    "EventSource",
    "Sns",
    "Message",
    "Type",
    "detail-type",
    "detail",
    "s3ferry",
    "Event",
    "s3",
    "key",
    "invocationSchemaVersion",
    "tasks",
    "job",
    "Items",
    "BatchInput",
    "userArguments",
    "Key",
    "Bucket",
    "row",
    "run",
    "execution",
    "attempt",
    "finalSync",
    "s3Key",
    "s3VersionId",
];

/// Changes one random value inside.
pub(crate) fn json(root: &mut Value, random: &mut Random) {
    let chosen = random.below(size(root));
    let mut left = chosen;
    if let Some(node) = node(root, &mut left) {
        change(node, random);
    }
}

fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum::<usize>(),
        Value::Object(fields) => fields.values().map(size).sum(),
        _ => 0,
    }
}

/// Returns the node after `left` others, counted from the outside.
fn node<'a>(value: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| descend(item, left)),
        Value::Object(fields) => fields.values_mut().find_map(|field| descend(field, left)),
        _ => None,
    }
}

/// Descends into a value only if the wanted node is inside, so that no borrow outlives its use.
fn descend<'a>(value: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    let inside = size(value);
    if *left < inside {
        return node(value, left);
    }
    *left -= inside;
    None
}

fn change(node: &mut Value, random: &mut Random) {
    match random.below(8) {
        0 => *node = replacement(random),
        1 => *node = json!([node.take()]),
        2 => {
            let name = random.pick(NAMES).copied().unwrap_or_default();
            *node = json!({ name: node.take() });
        }
        _ => inside(node, random),
    }
}

/// Returns a value of any type, sometimes large or deeply nested.
fn replacement(random: &mut Random) -> Value {
    match random.below(12) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(u64::MAX),
        4 => json!(0.5),
        5 => json!([]),
        6 => json!({}),
        7 => json!("x".repeat(1 << random.below(15))),
        8 => (0..random.below(100)).fold(json!({}), |inner, _| json!([inner])),
        _ => json!(random.pick(TEXTS)),
    }
}

/// Changes a value without changing its type.
fn inside(node: &mut Value, random: &mut Random) {
    match node {
        Value::Array(items) if !items.is_empty() => {
            let index = random.below(items.len());
            let again = items.get(index).cloned().unwrap_or_default();
            match random.below(3) {
                0 => items.push(again),
                1 => drop(items.remove(index)),
                _ => items.insert(0, again),
            }
        }
        Value::Object(fields) if !fields.is_empty() => {
            let index = random.below(fields.len());
            let name = fields.keys().nth(index).cloned().unwrap_or_default();
            let field = fields.remove(&name).unwrap_or_default();
            match random.below(3) {
                0 => {}
                1 => drop(fields.insert(random.pick(NAMES).copied().unwrap_or_default().to_owned(), field)),
                _ => drop(fields.insert(name.to_uppercase(), field)),
            }
        }
        Value::String(text) => *text = changed_text(text, random),
        other => *other = replacement(random),
    }
}

/// Changes a text; if the text is JSON, like the body of a message, possibly a value inside it.
fn changed_text(text: &str, random: &mut Random) -> String {
    if let Ok(mut inner @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text)
        && random.below(4) > 0
    {
        json(&mut inner, random);
        return inner.to_string();
    }
    let piece = random.pick(TEXTS).copied().unwrap_or_default();
    let letters: Vec<char> = text.chars().collect();
    let (before, after) = letters.split_at(random.below(letters.len() + 1));
    let (before, after): (String, String) = (before.iter().collect(), after.iter().collect());
    match random.below(4) {
        0 => before,
        1 => after
            .chars()
            .skip(1)
            .fold(before, |text, letter| text + &letter.to_string()),
        2 => piece.to_owned(),
        _ => before + piece + &after,
    }
}

/// Changes bytes at one position.
#[allow(dead_code, reason = "not every test changes bytes")]
pub(crate) fn bytes(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let until = (at + random.below(40)).min(bytes.len());
    match random.below(6) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..until)),
        2 => bytes.insert(at, u8::try_from(random.below(256)).unwrap_or_default()),
        3 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        4 => {
            let again: Vec<u8> = bytes.get(at..until).unwrap_or_default().to_vec();
            drop(bytes.splice(at..at, again));
        }
        _ => {
            let from = random.below(other.len());
            let piece = other
                .get(from..(from + 60).min(other.len()))
                .unwrap_or_default()
                .to_vec();
            drop(bytes.splice(at..at, piece));
        }
    }
}
