//! What the fields of one record say before they are checked together.

use std::borrow::Cow;

use watchkeep_model::document::nearest;
use watchkeep_model::subject;
use watchkeep_model::telemetry::{Status, Telemetry, Value};
use watchkeep_model::time::Timestamp;

use crate::{Malformed, shown};

/// Values in one batch record. A record with more is rejected as a whole, so
/// that a small record cannot become a great many events.
pub const FEATURES_MAX: usize = 10_000;
/// Bytes of a subject's name. A longer one is rejected.
pub const FEATURE_BYTES_MAX: usize = 512;

/// The fields as they were read; `None` is absent or null.
#[derive(Debug, Default)]
pub(crate) struct Draft<'a> {
    pub(crate) feature: Option<Cow<'a, str>>,
    pub(crate) features: Option<Vec<(Cow<'a, str>, Value<'a>)>>,
    pub(crate) event_time: Option<Timestamp>,
    pub(crate) event_id: Option<Cow<'a, str>>,
    pub(crate) feature_version: Option<Cow<'a, str>>,
    /// `Some(Value::Null)` where the field is there and null.
    pub(crate) value: Option<Value<'a>>,
    pub(crate) materialised_at: Option<Timestamp>,
    pub(crate) latency_us: Option<u64>,
    pub(crate) status: Option<Status>,
    pub(crate) received_at: Option<Timestamp>,
}

impl<'a> Draft<'a> {
    /// Checks the fields together and appends the events; nothing on an error.
    pub(crate) fn finish(&mut self, out: &mut Vec<Telemetry<'a>>) -> Result<(), Malformed> {
        // Producers write an empty text where they have no id: as an id, every
        // event after the first would be its repeat.
        self.event_id = self.event_id.take().filter(|id| !id.is_empty());
        match (&self.feature, &self.features) {
            (None, None) => Err(Malformed::invalid(
                "`feature` is missing: name the subject, or write `features` for a batch",
            )),
            (Some(_), Some(_)) => Err(Malformed::invalid(
                "`feature` and `features` exclude each other: write one subject or a batch",
            )),
            (Some(_), None) => self.finish_one(out),
            (None, Some(_)) => self.finish_batch(out),
        }
    }

    fn finish_one(&mut self, out: &mut Vec<Telemetry<'a>>) -> Result<(), Malformed> {
        let feature = checked_name(self.feature.take().unwrap_or_default())?;
        let event_time = self.event_time.ok_or_else(missing_event_time)?;
        out.push(Telemetry {
            feature,
            event_time,
            event_id: self.event_id.take(),
            feature_version: self.feature_version.take().unwrap_or_default(),
            value: self.value.take().unwrap_or(Value::Null),
            materialised_at: self.materialised_at,
            latency_us: self.latency_us,
            status: self.status.unwrap_or_default(),
        });
        Ok(())
    }

    fn finish_batch(&mut self, out: &mut Vec<Telemetry<'a>>) -> Result<(), Malformed> {
        if self.value.is_some() {
            return Err(Malformed::invalid(
                "`value` belongs to `feature`: a batch has its values in `features`",
            ));
        }
        let event_time = self.event_time.ok_or_else(missing_event_time)?;
        let features = self.features.take().unwrap_or_default();
        if features.is_empty() {
            return Err(Malformed::invalid(
                "`features` is empty: name at least one subject and its value",
            ));
        }
        let feature_version = self.feature_version.take().unwrap_or_default();
        let start = out.len();
        for (name, value) in features {
            let feature = checked_name(name).inspect_err(|_| out.truncate(start))?;
            out.push(Telemetry {
                feature,
                event_time,
                event_id: self.event_id.clone(),
                feature_version: feature_version.clone(),
                value,
                materialised_at: self.materialised_at,
                latency_us: self.latency_us,
                status: self.status.unwrap_or_default(),
            });
        }
        let mut names: Vec<&str> = out[start..].iter().map(|event| &*event.feature).collect();
        names.sort_unstable();
        let twice =
            names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| duplicate_feature(pair[0]));
        match twice {
            Some(malformed) => {
                out.truncate(start);
                Err(malformed)
            }
            None => Ok(()),
        }
    }
}

/// The name without `feature:`, if it can be one.
fn checked_name(name: Cow<'_, str>) -> Result<Cow<'_, str>, Malformed> {
    let name = match name {
        Cow::Borrowed(text) => Cow::Borrowed(subject::untyped(text)),
        Cow::Owned(text) => match text.strip_prefix("feature:") {
            Some(rest) => Cow::Owned(rest.to_owned()),
            None => Cow::Owned(text),
        },
    };
    if name.is_empty() {
        return Err(Malformed::invalid("`feature` is empty: name the subject"));
    }
    if name.len() > FEATURE_BYTES_MAX {
        return Err(Malformed::invalid(format!(
            "`feature` has {} bytes: a name has at most {FEATURE_BYTES_MAX}",
            name.len()
        )));
    }
    // Without an early end, so that the compiler looks at many bytes at once.
    let (controls, all) = name
        .bytes()
        .fold((false, 0), |(controls, all), byte| (controls | byte.is_ascii_control(), all | byte));
    let controlled = controls || (all >= 0x80 && name.chars().any(char::is_control));
    if controlled {
        return Err(Malformed::invalid(format!(
            "`feature` is {}: a name has no control characters",
            shown(&name)
        )));
    }
    Ok(name)
}

fn missing_event_time() -> Malformed {
    Malformed::invalid(
        "`event_time` is missing: write when the value was served, for example 2013-05-06T14:00:00Z",
    )
}

fn duplicate_feature(name: &str) -> Malformed {
    Malformed::invalid(format!(
        "`features` has {} twice: a batch has one value for each subject",
        shown(name)
    ))
}

/// ` at byte n`, where a record has such a place.
fn place(at: Option<usize>) -> String {
    at.map_or(String::new(), |at| format!(" at byte {at}"))
}

pub(crate) fn too_many_features() -> Malformed {
    Malformed::invalid(format!(
        "`features` has more than {FEATURES_MAX} subjects: write several records"
    ))
}

pub(crate) fn bad_instant(field: &str, at: Option<usize>) -> Malformed {
    Malformed::invalid(format!(
        "`{field}`{} is outside of the years 1 to 9999: write RFC 3339, or whole microseconds since 1970",
        place(at)
    ))
}

pub(crate) fn bad_status(text: &str, at: Option<usize>) -> Malformed {
    let names: Vec<&str> = Status::ALL.iter().map(|status| status.name()).collect();
    let hint = nearest(text, names.iter().copied())
        .map_or(String::new(), |name| format!("; did you mean `{name}`?"));
    Malformed::invalid(format!(
        "`status`{} is {}: use {}{hint}",
        place(at),
        shown(text),
        names.join(", ")
    ))
}
