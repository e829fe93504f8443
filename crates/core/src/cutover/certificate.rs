//! Certificate of a cutover: a JSON document with a digest of everything in it.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::CutoverRoute;
use crate::names::{BucketName, Region};

/// Schema of certificates.
pub const CERTIFICATE_SCHEMA: &str = "s3ferry-cutover-certificate-1";

/// Field of the digest.
const DIGEST: &str = "sha256";

/// A certificate whose digest is correct.
#[derive(Debug, Clone, PartialEq)]
pub struct CutoverCertificate {
    document: Map<String, Value>,
    digest: String,
}

/// What a certificate certifies as equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertifiedBuckets {
    /// Buckets and prefix.
    pub route: CutoverRoute,
    /// Region of the source.
    pub source_region: Region,
    /// Region of the destination.
    pub destination_region: Region,
}

/// A document that is not a valid certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The document is not a certificate.
    #[error("not a certificate of a cutover: {0}")]
    Unreadable(String),
    /// The document has another schema.
    #[error("the certificate has the schema `{0}`, and this version of s3ferry reads `{CERTIFICATE_SCHEMA}`")]
    OtherSchema(String),
    /// The document was changed after it was written.
    #[error("the content has the digest {computed}, and the certificate names {named}: the content was changed")]
    Changed {
        /// Digest of the content.
        computed: String,
        /// Digest that the certificate names.
        named: String,
    },
    /// A field appears twice, so that readers may see different content.
    #[error("a field appears more than once, or a text has needless escapes: the content was changed")]
    Ambiguous,
}

impl CutoverCertificate {
    /// Creates a certificate of fields, to which schema and digest are added.
    #[must_use]
    pub fn new(mut document: Map<String, Value>) -> Self {
        document.insert("schema".to_owned(), json!(CERTIFICATE_SCHEMA));
        document.remove(DIGEST);
        let digest = digest_of(&document);
        document.insert(DIGEST.to_owned(), json!(digest));
        Self { document, digest }
    }

    /// Reads a certificate and recomputes its digest.
    pub fn read(text: &str) -> Result<Self, CertificateError> {
        let unreadable = |what: &str| CertificateError::Unreadable(what.to_owned());
        let value: Value = serde_json::from_str(text).map_err(|error| unreadable(&error.to_string()))?;
        let Value::Object(document) = value else {
            return Err(unreadable("it is not a JSON object"));
        };
        match document.get("schema").and_then(Value::as_str) {
            Some(CERTIFICATE_SCHEMA) => {}
            Some(other) => return Err(CertificateError::OtherSchema(other.to_owned())),
            None => return Err(unreadable("it has no schema")),
        }
        let mut content = document.clone();
        let Some(Value::String(named)) = content.remove(DIGEST) else {
            return Err(unreadable("it has no digest"));
        };
        let computed = digest_of(&content);
        if computed != named {
            return Err(CertificateError::Changed { computed, named });
        }
        if without_spaces(text).len() != canonical(&Value::Object(document.clone())).len() {
            return Err(CertificateError::Ambiguous);
        }
        Ok(Self {
            document,
            digest: named,
        })
    }

    /// Returns the digest.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Returns the fields.
    #[must_use]
    pub fn document(&self) -> &Map<String, Value> {
        &self.document
    }

    /// Returns the text of the certificate.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{:#}\n", Value::Object(self.document.clone()))
    }

    /// Returns what the certificate certifies as equal.
    pub fn buckets(&self) -> Result<CertifiedBuckets, CertificateError> {
        let text = |side: &str, field: &str| {
            let found = self
                .document
                .get(side)
                .and_then(|side| side.get(field))
                .and_then(Value::as_str);
            found.ok_or_else(|| CertificateError::Unreadable(format!("it has no {side}.{field}")))
        };
        let invalid = |error: crate::names::NameError| CertificateError::Unreadable(error.to_string());
        Ok(CertifiedBuckets {
            route: CutoverRoute {
                source: BucketName::new(text("source", "bucket")?).map_err(invalid)?,
                destination: BucketName::new(text("destination", "bucket")?).map_err(invalid)?,
                prefix: text("source", "prefix")?.to_owned(),
            },
            source_region: Region::new(text("source", "region")?).map_err(invalid)?,
            destination_region: Region::new(text("destination", "region")?).map_err(invalid)?,
        })
    }
}

/// Returns the id of a difference: it accepts this difference of this key only.
#[must_use]
pub fn exception_id(difference: &Value) -> String {
    hex::encode(Sha256::digest(canonical(difference)))
        .chars()
        .take(12)
        .collect()
}

fn digest_of(document: &Map<String, Value>) -> String {
    hex::encode(Sha256::digest(canonical(&Value::Object(document.clone()))))
}

/// Returns the one text of a value: fields sorted by name, without white space.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| name.as_str());
            let fields = fields
                .into_iter()
                .map(|(name, field)| format!("{}:{}", json!(name), canonical(field)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// Returns a JSON text without the white space between its parts.
fn without_spaces(text: &str) -> String {
    let (mut is_text, mut is_escaped) = (false, false);
    let mut kept = String::with_capacity(text.len());
    for letter in text.chars() {
        if !is_text && letter.is_ascii_whitespace() {
            continue;
        }
        is_text ^= letter == '"' && !is_escaped;
        is_escaped = is_text && letter == '\\' && !is_escaped;
        kept.push(letter);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> CutoverCertificate {
        let document = json!({
            "source": {"bucket": "source-bucket", "region": "us-east-1", "prefix": "a \\\"b/"},
            "destination": {"bucket": "destination-bucket", "region": "eu-central-1"},
            "steps": [{"step": "ready", "objects": 12}],
        });
        CutoverCertificate::new(document.as_object().cloned().unwrap())
    }

    #[test]
    fn certificate_is_read_back_in_any_layout() {
        let certificate = certificate();
        let text = certificate.to_text();
        assert_eq!(CutoverCertificate::read(&text), Ok(certificate.clone()));
        assert_eq!(
            CutoverCertificate::read(&text.replace('\n', "\n\t ")),
            Ok(certificate.clone())
        );
        let buckets = certificate.buckets().unwrap();
        assert_eq!(buckets.route.destination.as_str(), "destination-bucket");
        assert_eq!(buckets.route.prefix, "a \\\"b/");
    }

    #[test]
    fn every_change_of_the_content_is_found() {
        let text = certificate().to_text();
        for (from, to) in [
            ("12", "13"),
            ("us-east-1", "us-east-2"),
            ("\"steps\"", "\"step\""),
            ("\"ready\"", "\"ready \""),
            ("[", "[1,"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            let error = CutoverCertificate::read(&changed).unwrap_err();
            assert!(matches!(error, CertificateError::Changed { .. }), "{from}: {error}");
        }
        let twice = text.replacen('{', "{\"steps\": [],", 1);
        assert_eq!(CutoverCertificate::read(&twice), Err(CertificateError::Ambiguous));
        let newer = text.replacen(CERTIFICATE_SCHEMA, "s3ferry-cutover-certificate-2", 1);
        assert!(matches!(
            CutoverCertificate::read(&newer),
            Err(CertificateError::OtherSchema(_))
        ));
        for other in ["", "[]", "{}", "{\"schema\":\"s3ferry-cutover-certificate-1\"}"] {
            assert!(CutoverCertificate::read(other).is_err(), "{other}");
        }
    }
}
