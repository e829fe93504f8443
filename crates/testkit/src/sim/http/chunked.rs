//! `aws-chunked` bodies: content with chunk signatures and trailing checksums.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>

use bytes::{Bytes, BytesMut};

/// A decoded body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DecodedBody {
    pub(crate) data: Bytes,
    pub(crate) trailers: Vec<(String, String)>,
}

/// Decodes the chunks. Returns `None` if the body is malformed. Signatures are not verified.
pub(crate) fn decode(body: &Bytes) -> Option<DecodedBody> {
    let mut rest = body.clone();
    let mut data = BytesMut::new();
    loop {
        let header = take_line(&mut rest)?;
        let digits = header.split(';').next()?.trim();
        let size = usize::from_str_radix(digits, 16).ok()?;
        if size == 0 {
            break;
        }
        if rest.len() < size {
            return None;
        }
        data.extend_from_slice(&rest.split_to(size));
        if !take_line(&mut rest)?.is_empty() {
            return None;
        }
    }
    let mut trailers = Vec::new();
    while let Some(line) = take_line(&mut rest) {
        if let Some((name, value)) = line.split_once(':') {
            trailers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    Some(DecodedBody {
        data: data.freeze(),
        trailers,
    })
}

/// Removes and returns the first line. The last line may have no line ending.
fn take_line(rest: &mut Bytes) -> Option<String> {
    if rest.is_empty() {
        return None;
    }
    let end = rest.windows(2).position(|pair| pair == b"\r\n");
    let line = rest.split_to(end.unwrap_or(rest.len()));
    if end.is_some() {
        bytes::Buf::advance(rest, 2);
    }
    String::from_utf8(line.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsigned_chunks_with_trailer_are_decoded() {
        let body = Bytes::from_static(b"4\r\nab\r\n\r\n2\r\ncd\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n");
        let decoded = decode(&body).expect("well-formed body");
        assert_eq!(decoded.data, Bytes::from_static(b"ab\r\ncd"));
        assert_eq!(
            decoded.trailers,
            [("x-amz-checksum-crc32".to_owned(), "AAAA".to_owned())]
        );
    }

    #[test]
    fn chunk_signatures_are_removed() {
        let body = Bytes::from_static(b"1;chunk-signature=ff\r\nx\r\n0;chunk-signature=ee\r\n\r\n");
        assert_eq!(decode(&body).expect("well-formed body").data, Bytes::from_static(b"x"));
    }

    #[test]
    fn truncated_chunk_is_rejected() {
        assert_eq!(decode(&Bytes::from_static(b"5\r\nab")), None);
    }
}
