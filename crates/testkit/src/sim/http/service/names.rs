//! Encoding of keys in listings (`encoding-type=url`).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto;

use crate::sim::http::call::SimRequest;
use crate::sim::model::error::{SimError, SimErrorCode, SimResult};

/// Characters to escape with `encoding-type=url`.
const URL: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'*')
    .remove(b'/')
    .remove(b' ');

/// Encoding of keys in a listing.
#[derive(Clone, Copy)]
pub(super) struct NameEncoding {
    encodes: bool,
}

impl NameEncoding {
    pub(super) fn of(call: &SimRequest) -> SimResult<Self> {
        match call.query("encoding-type") {
            None => Ok(Self { encodes: false }),
            Some("url") => Ok(Self { encodes: true }),
            Some(_) => Err(SimError::because(
                SimErrorCode::InvalidArgument,
                "Invalid Encoding Method specified in Request",
            )),
        }
    }

    pub(super) fn write(self, name: &str) -> Option<String> {
        if self.encodes {
            return Some(utf8_percent_encode(name, URL).to_string().replace(' ', "+"));
        }
        Some(name.to_owned())
    }

    pub(super) fn prefixes(self, prefixes: Vec<String>) -> Option<Vec<dto::CommonPrefix>> {
        let entry = |prefix: String| dto::CommonPrefix {
            prefix: self.write(&prefix),
        };
        Some(prefixes.into_iter().map(entry).collect())
    }

    pub(super) fn encoding(self) -> Option<dto::EncodingType> {
        self.encodes.then(|| "url".to_owned().into())
    }
}
