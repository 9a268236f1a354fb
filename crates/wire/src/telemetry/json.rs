//! Telemetry as JSON: one object a record.

use std::borrow::Cow;

use watchkeep_model::document::nearest;
use watchkeep_model::telemetry::Value;
use watchkeep_model::time::Timestamp;

use crate::json_text::{JsonText, Kind, Syntax};
use crate::telemetry::draft::{Draft, FEATURES_MAX, bad_instant, bad_status, too_many_features};
use crate::{Malformed, shown};

/// Every field of a telemetry record, in the order of the documentation.
pub(crate) const FIELDS: [&str; 15] = [
    "feature",
    "features",
    "event_time",
    "event_id",
    "feature_version",
    "value",
    "materialised_at",
    "latency_us",
    "status",
    "entity",
    "producer",
    "consumer",
    "dataset",
    "tags",
    "received_at",
];

impl From<Syntax> for Malformed {
    fn from(syntax: Syntax) -> Self {
        Self::unreadable(format!("not JSON at byte {}: {}", syntax.at, syntax.what))
    }
}

/// Reads the fields of one object into an empty draft. `received_at` is read
/// in a log as well, where it means nothing: files are often produced as they are.
pub(crate) fn read<'a>(bytes: &'a [u8], draft: &mut Draft<'a>) -> Result<(), Malformed> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Malformed::unreadable(format!(
            "not UTF-8 at byte {}: write JSON as UTF-8",
            error.valid_up_to()
        ))
    })?;
    let mut json = JsonText::new(text);
    if !json.take(b'{') {
        return Err(no_object(&mut json, text));
    }
    let mut seen = 0u32;
    if !json.take(b'}') {
        loop {
            let at = json.position();
            let name = json.string()?;
            json.expect(b':', "a colon")?;
            let number = FIELDS.iter().position(|field| *field == name);
            let Some(number) = number else { return Err(unknown_field(&name, at)) };
            if seen & (1 << number) != 0 {
                return Err(Malformed::invalid(format!(
                    "`{name}` at byte {at} is there twice: write it once"
                )));
            }
            seen |= 1 << number;
            read_field(&mut json, FIELDS[number], draft)?;
            if json.take(b',') {
                continue;
            }
            json.expect(b'}', "a comma or }")?;
            break;
        }
    }
    Ok(json.end()?)
}

fn read_field<'a>(
    json: &mut JsonText<'a>,
    field: &'static str,
    draft: &mut Draft<'a>,
) -> Result<(), Malformed> {
    match field {
        "feature" => draft.feature = text(json, field)?,
        "features" => draft.features = features(json)?,
        "event_time" => draft.event_time = instant(json, field)?,
        "event_id" => draft.event_id = text(json, field)?,
        "feature_version" => draft.feature_version = text(json, field)?,
        "value" => draft.value = Some(value(json, field)?),
        "materialised_at" => draft.materialised_at = instant(json, field)?,
        "latency_us" => draft.latency_us = latency(json)?,
        "status" => {
            let at = json.position();
            draft.status = match text(json, field)? {
                None => None,
                Some(name) => Some(name.parse().map_err(|_| bad_status(&name, Some(at)))?),
            };
        }
        "received_at" => draft.received_at = instant(json, field)?,
        "tags" => tags(json)?,
        // Provenance is checked and not kept.
        _ => drop(text(json, field)?),
    }
    Ok(())
}

fn no_object(json: &mut JsonText<'_>, text: &str) -> Malformed {
    if text.starts_with('\u{feff}') {
        return Malformed::unreadable(
            "not JSON at byte 0: a byte order mark; write UTF-8 without one",
        );
    }
    // The kind is told by the first character alone.
    let whole = serde_json::from_str::<serde::de::IgnoredAny>(text);
    match json.kind() {
        Ok(_) if let Err(error) = &whole => {
            let at = error.column().saturating_sub(1);
            Malformed::unreadable(format!(
                "not JSON at byte {at}: write one object, with the fields of one event"
            ))
        }
        Ok(kind) => Malformed::unreadable(format!(
            "the record is {}: write one object, with the fields of one event",
            kind.name()
        )),
        Err(_) if text.trim().is_empty() => {
            Malformed::unreadable("the record is empty: write one JSON object, or Avro")
        }
        Err(syntax) => syntax.into(),
    }
}

fn unknown_field(name: &str, at: usize) -> Malformed {
    let known = &FIELDS[..FIELDS.len() - 1];
    let hint = match nearest(name, FIELDS) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are {}; anything else goes into `tags`", known.join(", ")),
    };
    Malformed::invalid(format!("unknown field {} at byte {at}: {hint}", shown(name)))
}

fn wrong_type(field: &str, at: usize, kind: Kind, wanted: &str) -> Malformed {
    Malformed::invalid(format!("`{field}` at byte {at} is {}: write {wanted}", kind.name()))
}

fn text<'a>(json: &mut JsonText<'a>, field: &str) -> Result<Option<Cow<'a, str>>, Malformed> {
    match json.kind()? {
        Kind::Text => Ok(Some(json.string()?)),
        Kind::Null => Ok(json.null().map(|()| None)?),
        other => Err(wrong_type(field, json.position(), other, "a string")),
    }
}

fn instant(json: &mut JsonText<'_>, field: &str) -> Result<Option<Timestamp>, Malformed> {
    const WANTED: &str =
        "RFC 3339, for example 2013-05-06T14:00:00Z, or whole microseconds since 1970";
    let at = json.position();
    let instant = match json.kind()? {
        Kind::Null => return Ok(json.null().map(|()| None)?),
        Kind::Text => {
            let text = json.string()?;
            text.parse::<Timestamp>().map_err(|_| {
                Malformed::invalid(format!(
                    "`{field}` at byte {at} is {}: write {WANTED}",
                    shown(&text)
                ))
            })?
        }
        Kind::Number => {
            let number = json.number()?;
            let Ok(micros) = number.parse() else {
                return Err(Malformed::invalid(format!(
                    "`{field}` at byte {at} is {}: write {WANTED}",
                    shown(number)
                )));
            };
            Timestamp::from_micros(micros)
        }
        other => return Err(wrong_type(field, at, other, WANTED)),
    };
    if instant.is_writable() { Ok(Some(instant)) } else { Err(bad_instant(field, Some(at))) }
}

fn latency(json: &mut JsonText<'_>) -> Result<Option<u64>, Malformed> {
    const WANTED: &str = "whole microseconds, 0 or more";
    let at = json.position();
    match json.kind()? {
        Kind::Null => Ok(json.null().map(|()| None)?),
        Kind::Number => {
            let number = json.number()?;
            // Through i64, so that every latency fits the `long` of Avro.
            let latency_us = number.parse::<i64>().ok().and_then(|n| u64::try_from(n).ok());
            latency_us.map(Some).ok_or_else(|| {
                Malformed::invalid(format!(
                    "`latency_us` at byte {at} is {}: write {WANTED}",
                    shown(number)
                ))
            })
        }
        other => Err(wrong_type("latency_us", at, other, WANTED)),
    }
}

fn value<'a>(json: &mut JsonText<'a>, field: &str) -> Result<Value<'a>, Malformed> {
    let at = json.position();
    Ok(match json.kind()? {
        Kind::Null => json.null().map(|()| Value::Null)?,
        Kind::Boolean => Value::Boolean(json.boolean()?),
        Kind::Text => Value::Text(json.string()?),
        Kind::Number => {
            let digits = json.number()?;
            let number: f64 = digits.parse().unwrap_or(f64::INFINITY);
            if !number.is_finite() {
                return Err(Malformed::invalid(format!(
                    "{} at byte {at} is {}, more than a double holds (±1.797e308): write null, or send Avro",
                    shown(field),
                    shown(digits)
                )));
            }
            Value::Number(number)
        }
        other => {
            return Err(Malformed::invalid(format!(
                "{} at byte {at} is {}: a value is null, a number, a boolean or a string",
                shown(field),
                other.name()
            )));
        }
    })
}

type Features<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

fn features<'a>(json: &mut JsonText<'a>) -> Result<Option<Features<'a>>, Malformed> {
    let mut features = Vec::new();
    match json.kind()? {
        Kind::Null => return Ok(json.null().map(|()| None)?),
        Kind::Object => {}
        other => {
            let wanted = "an object with the value of each subject";
            return Err(wrong_type("features", json.position(), other, wanted));
        }
    }
    json.expect(b'{', "an object")?;
    if json.take(b'}') {
        return Ok(Some(features));
    }
    loop {
        if features.len() == FEATURES_MAX {
            return Err(too_many_features());
        }
        let name = json.string()?;
        json.expect(b':', "a colon")?;
        let value = value(json, &name)?;
        features.push((name, value));
        if !json.take(b',') {
            json.expect(b'}', "a comma or }")?;
            return Ok(Some(features));
        }
    }
}

fn tags(json: &mut JsonText<'_>) -> Result<(), Malformed> {
    const WANTED: &str = "an object of strings";
    match json.kind()? {
        Kind::Null => return Ok(json.null()?),
        Kind::Object => {}
        other => return Err(wrong_type("tags", json.position(), other, WANTED)),
    }
    json.expect(b'{', "an object")?;
    if json.take(b'}') {
        return Ok(());
    }
    loop {
        let name = json.string()?;
        json.expect(b':', "a colon")?;
        let at = json.position();
        match json.kind()? {
            Kind::Text => drop(json.string()?),
            other => {
                return Err(Malformed::invalid(format!(
                    "`tags` at byte {at} has {} as {}: write {WANTED}",
                    shown(&name),
                    other.name()
                )));
            }
        }
        if !json.take(b',') {
            return Ok(json.expect(b'}', "a comma or }")?);
        }
    }
}
