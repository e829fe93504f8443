//! Parses a page of annotations whose response contains a key that XML cannot represent.
//!
//! S3 accepts keys with control characters. Unlike listings, `ListObjectAnnotations` has no encoding for the key that
//! its response repeats. The caller knows the key already, so the key is removed and the rest is parsed.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::SdkError;
use aws_smithy_xml::decode::{Document, ScopedDecoder, XmlDecodeError, try_data};
use s3ferry_core::names::ObjectKey;

/// A page of annotations.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct AnnotationPage {
    /// Name and ETag of each annotation.
    pub(crate) entries: Vec<(String, String)>,
    /// Token of the next page.
    pub(crate) next: Option<String>,
}

/// Parses the page of a response that the SDK could not parse because of its key. Returns `None` if the key was not the
/// reason.
pub(crate) fn page_without_key<E>(key: &ObjectKey, error: &SdkError<E, HttpResponse>) -> Option<AnnotationPage> {
    let response = error.raw_response().filter(|response| response.status().is_success())?;
    if key.as_str().chars().all(is_xml) {
        return None;
    }
    let text = std::str::from_utf8(response.body().bytes()?).ok()?;
    let (before, rest) = text.split_once("<Key>")?;
    let (_, after) = rest.split_once("</Key>")?;
    page(&format!("{before}{after}")).ok()
}

/// Returns whether XML 1.0 can represent a character.
///
/// <https://www.w3.org/TR/xml/#charsets>
fn is_xml(letter: char) -> bool {
    !matches!(letter, '\u{0}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

fn page(text: &str) -> Result<AnnotationPage, XmlDecodeError> {
    let mut document = Document::new(text);
    let mut root = document.root_element()?;
    if !root.start_el().matches("ListObjectAnnotationsOutput") {
        return Err(XmlDecodeError::custom("not a page of annotations"));
    }
    let mut page = AnnotationPage::default();
    while let Some(mut tag) = root.next_tag() {
        if tag.start_el().matches("NextContinuationToken") {
            page.next = Some(try_data(&mut tag)?.into_owned());
        } else if tag.start_el().matches("Annotations") {
            while let Some(entry) = tag.next_tag() {
                page.entries.extend(annotation(entry)?);
            }
        }
    }
    Ok(page)
}

fn annotation(mut entry: ScopedDecoder<'_, '_>) -> Result<Option<(String, String)>, XmlDecodeError> {
    let (mut name, mut etag) = (None, String::new());
    while let Some(mut field) = entry.next_tag() {
        if field.start_el().matches("AnnotationName") {
            name = Some(try_data(&mut field)?.into_owned());
        } else if field.start_el().matches("ETag") {
            etag = try_data(&mut field)?.into_owned();
        }
    }
    Ok(name.map(|name| (name, etag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_without_its_key_is_parsed() {
        let text = "<ListObjectAnnotationsOutput><AnnotationCount>2</AnnotationCount><Annotations>\
            <AnnotationEntry><AnnotationName>a&amp;b</AnnotationName><ETag>&quot;aa&quot;</ETag><Size>3</Size></AnnotationEntry>\
            <AnnotationEntry><AnnotationName>c</AnnotationName></AnnotationEntry></Annotations>\
            <NextContinuationToken>t</NextContinuationToken></ListObjectAnnotationsOutput>";
        let read = page(text).unwrap();
        let entry = |name: &str, etag: &str| (name.to_owned(), etag.to_owned());
        assert_eq!(read.entries, [entry("a&b", "\"aa\""), entry("c", "")]);
        assert_eq!(read.next.as_deref(), Some("t"));
        assert!(page("<Error><Code>NoSuchKey</Code></Error>").is_err());
        assert!(page("hello").is_err());
    }

    #[test]
    fn only_control_characters_and_noncharacters_are_not_xml() {
        assert!("a b\t\r\n日\u{10000}<>&".chars().all(is_xml));
        for letter in ['\u{1}', '\u{1f}', '\u{ffff}'] {
            assert!(!is_xml(letter));
        }
    }
}
