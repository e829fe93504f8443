use s3ferry_core::diff::DifferenceKind;
use s3ferry_core::names::ObjectKey;
use s3ferry_core::verify::{
    BucketTotals, ComparedAttributes, ComparisonMethod, DifferenceExamples, KeyVerification, ObjectTotals, ProofMethod,
    ReportHeader, ReportSides, ReportTool, VerificationDepth, VerificationEnd, VerificationTotals,
};

use super::*;

fn header(by: &str) -> ReportHeader {
    let side = |bucket: &str| BucketTotals {
        bucket: bucket.to_owned(),
        prefix: "images/".to_owned(),
        region: "us-east-1".to_owned(),
        amount: ObjectTotals {
            objects: 1_234,
            bytes: 5_000,
        },
    };
    ReportHeader {
        tool: ReportTool {
            name: "s3ferry",
            version: "0.0.0",
        },
        operator: by.to_owned(),
        started_at: "2026-11-23T00:00:00Z".to_owned(),
        ended_at: "2026-11-23T00:00:01Z".to_owned(),
        sides: ReportSides {
            source: side("one-bucket"),
            destination: side("other-bucket"),
        },
        comparison: ComparisonMethod {
            depth: VerificationDepth::Head,
            attributes: ComparedAttributes {
                compared: vec!["tags".to_owned()],
                not_compared: vec!["older versions".to_owned()],
            },
            sample: None,
            reads_contents: true,
            max_read_bytes: 5 * 1024 * 1024,
            ownership: "exclusive",
        },
        stopped_by: None,
        job_reports: Vec::new(),
        differences_file: None,
        messages: None,
        inconclusive_manifests: Vec::new(),
    }
}

fn page(keys: &[&str], by: &str) -> String {
    let mut tally = VerificationTotals {
        keys: 2,
        ..VerificationTotals::default()
    };
    tally.equal_by(ProofMethod::Etag, ObjectTotals { objects: 2, bytes: 10 });
    let mut examples = DifferenceExamples::default();
    for key in keys {
        let verified_keys = KeyVerification::Different(DifferentKey {
            key: ObjectKey::from_raw(*key).unwrap(),
            differences: vec![DifferenceKind::Metadata, DifferenceKind::Tags],
            source: None,
            destination: None,
            reason: Some("because of <b>".to_owned()),
        });
        tally.keys += 1;
        tally.take(&verified_keys);
        examples.take(verified_keys.key().unwrap(), 2);
    }
    let verdict = tally.verdict(VerificationEnd::Complete, false);
    render(&VerificationReport::new(header(by), &tally, verdict, examples)).unwrap()
}

/// The names of all elements, in their order.
fn elements(page: &str) -> Vec<&str> {
    let opened = page.split('<').skip(1);
    opened.filter_map(|text| text.split([' ', '>', '\n']).next()).collect()
}

#[test]
fn whatever_a_key_holds_is_text() {
    let plain = page(&["key", "key"], "an operator");
    for key in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "</bdi></li><h1>Verified</h1>",
        "'&amp;--><!--",
        "{{ 7 * 7 }}{% raw %}",
    ] {
        let page = page(&[key, "key"], key);
        assert_eq!(elements(&page), elements(&plain), "{key}");
        assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
    }
    assert!(page(&["a&amp;b"], "").contains("a&#38;amp;b"), "escaped once more");
}

#[test]
fn what_cannot_be_seen_is_shown() {
    let page = page(&["a\u{202e}gpj.exe\u{1}\n\u{200b}", "שלום"], "an operator");
    assert!(page.contains(r"a\u{202e}gpj.exe\u{1}\u{a}\u{200b}"), "{page}");
    assert!(page.contains("<bdi>שלום</bdi>"), "{page}");
    let unread_parts = page.chars().filter(|letter| *letter != '\n');
    assert!(!unread_parts.into_iter().any(is_unseen));
}

#[test]
fn page_needs_nothing_beside_it() {
    let page = page(&["a"], "an operator");
    for reference in [
        "src=", "href=", "url(", "@import", "<script", "<link", "http:", "https:",
    ] {
        assert!(!page.contains(reference), "{reference}");
    }
    for part in [
        "default-src 'none'",
        "prefers-color-scheme: dark",
        "width=device-width",
        "@media print",
        "lang=\"en\"",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn every_element_is_closed() {
    let page = page(&["a", "b", "c"], "an operator");
    let mut open = Vec::new();
    for element in elements(&page) {
        match element.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed), "{page}"),
            None if element == "!doctype" || element == "meta" => {}
            None => open.push(element),
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert!(page.contains("And 1 more"), "{page}");
}

#[test]
fn page_names_the_run_and_the_means() {
    let page = page(&[], "an operator");
    for text in [
        "<h1>Verified</h1>",
        "s3://one-bucket/images/",
        "1,234",
        "4.88 KiB (5,000 bytes)",
        "which are the MD5 of the content",
        "2026-11-23T00:00:00Z",
        "an operator",
        "s3ferry 0.0.0",
        "older versions",
        "up to 5.00 MiB (5,242,880 bytes) each",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(!page.contains("Keys that are not equal"));
}

#[test]
fn sizes_are_exact_in_bytes() {
    for (count, text) in [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1_023, "1023 bytes"),
        (1_024, "1.00 KiB (1,024 bytes)"),
        (50 * 1024 * 1024 * 1024 * 1024, "50.00 TiB (54,975,581,388,800 bytes)"),
    ] {
        assert_eq!(bytes(count), text);
    }
}
