//! The telemetry of a case, as lines of NDJSON in order of arrival.

use watchkeep_model::subject::untyped;
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::Case;

/// Windows of a case; the last shows the fault.
const WINDOWS: i64 = 3;

/// The window of every expectation.
const WINDOW: TimeSpan = TimeSpan::MINUTE.times(5);

/// Time between two events of a subject: 30 in a window, the fewest that are judged.
const EVERY: TimeSpan = TimeSpan::SECOND.times(10);

/// When the first event is.
pub(super) const FROM: Timestamp = Timestamp::from_millis(1_700_000_100_000);

/// When the fault begins.
pub(super) const BAD_FROM: Timestamp = Timestamp::from_millis(1_700_000_700_000);

impl Case {
    /// One event a line. The last is of a subject that nobody watches, late
    /// enough for every window to be judged and every breach attributed.
    pub fn telemetry(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let end = FROM + WINDOW.times(WINDOWS);
        let (mut at, mut number) = (FROM, 0_u64);
        while at < end {
            for node in &self.watched {
                let is_null = at >= BAD_FROM && self.bad.contains(node) && number % 5 != 0;
                let value = if is_null { "null" } else { "1.5" };
                lines.push(line(untyped(&self.graph.names[*node]), at, value));
            }
            at = at + EVERY;
            number += 1;
        }
        lines.push(line("clock", end + TimeSpan::MINUTE.times(5), "1"));
        lines
    }
}

/// One event.
pub(super) fn line(feature: &str, at: Timestamp, value: &str) -> String {
    format!(r#"{{"feature":"{feature}","event_time":"{at}","value":{value}}}"#)
}
