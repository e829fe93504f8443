//! Values of settings that the CLI and the functions share.

/// Parses an endpoint. The SDK ignores one that it cannot parse, and sends its requests to AWS.
pub fn endpoint_url(text: &str) -> Result<String, &'static str> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_host = |rest: &&str| {
        rest.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '[')
            && !rest.contains(char::is_whitespace)
    };
    host.filter(is_host)
        .map(|_| text.to_owned())
        .ok_or("must be a URL such as http://127.0.0.1:9000")
}

/// Parses a log level. Only the documented names are allowed, although [`tracing::Level`] parses more.
pub fn log_level(text: &str) -> Result<tracing::Level, &'static str> {
    let is_name = text.bytes().all(|letter| letter.is_ascii_lowercase());
    let level = text.parse().ok().filter(|_| is_name);
    level.ok_or("allowed: error, warn, info, debug, trace")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_is_a_url_that_the_sdk_can_parse() {
        assert!(endpoint_url("http://127.0.0.1:9000").is_ok());
        assert!(endpoint_url("https://[::1]:9000/").is_ok());
        for text in ["127.0.0.1:9000", "http://", "http://a b", ""] {
            assert!(endpoint_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn log_level_has_a_documented_name() {
        assert_eq!(log_level("debug"), Ok(tracing::Level::DEBUG));
        for text in ["DEBUG", "4", "loud", ""] {
            assert!(log_level(text).is_err(), "{text}");
        }
    }
}
