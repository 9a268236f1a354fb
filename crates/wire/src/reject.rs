//! What cannot be used becomes a reject: its bytes, the reason and the origin.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use watchkeep_model::position::Position;
use watchkeep_model::reject::Reject;
use watchkeep_model::time::Timestamp;

use crate::Malformed;

/// Bytes of the original that a reject keeps in a log: with base64 and the
/// rest it stays below the 1 MB that brokers accept by default. Of a longer
/// record the beginning is kept, and the detail says so.
pub const KEPT_BYTES_MAX: usize = 512 << 10;

/// The reject of a record. `kept_bytes_max` bounds the bytes that are kept;
/// `None` keeps all of them, for files.
pub fn of_record(
    bytes: &[u8],
    malformed: &Malformed,
    origin: &Position,
    received_at: Option<Timestamp>,
    kept_bytes_max: Option<usize>,
) -> Reject {
    let kept = &bytes[..bytes.len().min(kept_bytes_max.unwrap_or(usize::MAX))];
    let mut detail = malformed.detail.clone();
    if kept.len() < bytes.len() {
        detail.push_str(&format!(" (the first {} of {} bytes are kept)", kept.len(), bytes.len()));
    }
    Reject {
        reason: malformed.reason.to_owned(),
        detail: Some(detail),
        topic: Some(origin.topic.to_string()),
        partition: Some(origin.partition),
        offset: Some(origin.offset),
        bytes: Some(STANDARD.encode(kept)),
        received_at,
        ..Reject::default()
    }
}

/// The bytes that a reject kept.
///
/// # Errors
/// The reject's `bytes` are no base64.
pub fn kept_bytes(reject: &Reject) -> Result<Option<Vec<u8>>, Malformed> {
    let Some(text) = &reject.bytes else { return Ok(None) };
    let bytes = STANDARD.decode(text);
    bytes.map(Some).map_err(|error| Malformed::invalid(format!("`bytes` is no base64: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8], kept_bytes_max: Option<usize>) -> Reject {
        let malformed = Malformed::invalid("wrong");
        let origin = Position { topic: "t".into(), partition: 1, offset: 7 };
        of_record(bytes, &malformed, &origin, None, kept_bytes_max)
    }

    #[test]
    fn a_reject_carries_bytes_reason_and_origin() {
        let line = watchkeep_model::json::to_line(&of(b"\xffab", None));
        let expected = r#"{"reason":"invalid","detail":"wrong","topic":"t","partition":1,"offset":7,"bytes":"/2Fi"}"#;
        assert_eq!(line, expected);
        assert_eq!(kept_bytes(&of(b"\xffab", None)).unwrap().unwrap(), b"\xffab");
    }

    #[test]
    fn of_a_long_record_the_beginning_is_kept_and_it_says_so() {
        let reject = of(b"abcdef", Some(2));
        assert_eq!(kept_bytes(&reject).unwrap().unwrap(), b"ab");
        assert_eq!(reject.detail.unwrap(), "wrong (the first 2 of 6 bytes are kept)");
    }
}
