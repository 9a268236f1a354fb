//! Whether a sink works: the circuit that spares one that does not, and the
//! platform breach that names it.

use std::collections::BTreeSet;
use std::sync::Arc;

use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::{ExpectationKind, Severity};
use watchkeep_model::identifier::derived;
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::{Failure, Sink};

/// The subject of platform breaches, as telemetry would name it.
pub const SUBJECT: &str = "service:watchkeep";

/// What the expectation of a sink's breach begins with; its name follows.
pub const EXPECTATION: &str = "sink ";

/// Failures in a row after which a sink is left alone for a while.
pub const CIRCUIT_AFTER: u32 = 5;

/// How long, doubled with each further failure up to the last one.
const PAUSE_FIRST: TimeSpan = TimeSpan::SECOND.times(10);
const PAUSE_LAST: TimeSpan = TimeSpan::MINUTE;

/// The longest that a sink can ask to be left alone. One that asks for more
/// is asked again then.
const BUSY_MAX: TimeSpan = TimeSpan::HOUR;

/// How long a sink that is busy and does not say for how long is left alone.
const BUSY_DEFAULT: TimeSpan = TimeSpan::SECOND.times(5);

/// Addresses that a sink does not take anything for now, with none that it
/// does between them, from which on it is the sink that takes nothing.
pub const ADDRESSES_AFTER: usize = 3;

/// What the attempts have shown of a sink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    failures: u32,
    failing_since: Option<Timestamp>,
    failed_at: Option<Timestamp>,
    /// Addresses that were refused for now since the last success.
    refusing: BTreeSet<Option<Arc<str>>>,
    paused_until: Option<Timestamp>,
    refused: bool,
    dead: bool,
    worked: bool,
    why: String,
}

impl Health {
    /// A sink of which the log says that it was dead.
    pub fn restored(why: String) -> Self {
        // Neither works nor has failed yet: the first attempt shows.
        Self { why, ..Self::default() }
    }

    /// The sink took something.
    pub fn success(&mut self) {
        *self = Self { worked: true, ..Self::default() };
    }

    /// The sink did not take something for an address. What is wrong with a
    /// message, or with one address, says nothing against the sink; where every
    /// address is refused, it is the sink.
    pub fn failure(&mut self, failure: &Failure, to: Option<&Arc<str>>, steady: Timestamp) {
        match failure {
            Failure::Message(_) => {}
            Failure::Address(why) => {
                self.refusing.insert(to.cloned());
                if self.refusing.len() >= ADDRESSES_AFTER {
                    self.failed(why, 1, steady);
                }
            }
            Failure::Busy { why, after } => {
                self.failed(why, 0, steady);
                let after = after.unwrap_or(BUSY_DEFAULT).clamp(TimeSpan::ZERO, BUSY_MAX);
                self.paused_until = Some(steady + after);
            }
            Failure::Passing(why) => self.failed(why, 1, steady),
            Failure::Settings(why) => {
                self.refused = true;
                self.failed(why, CIRCUIT_AFTER, steady);
            }
        }
    }

    fn failed(&mut self, why: &str, count: u32, steady: Timestamp) {
        self.failures = self.failures.saturating_add(count);
        self.failing_since.get_or_insert(steady);
        self.failed_at = Some(steady);
        self.worked = false;
        why.clone_into(&mut self.why);
        if count > 0 && self.failures >= CIRCUIT_AFTER {
            let pause = doubled(PAUSE_FIRST, self.failures - CIRCUIT_AFTER, PAUSE_LAST);
            self.paused_until = Some(steady + pause);
        }
    }

    /// True while the sink is to be left alone.
    pub fn is_paused(&self, steady: Timestamp) -> bool {
        self.paused_until.is_some_and(|until| steady < until)
    }

    /// Looks whether it has failed for so long that it counts as dead.
    pub fn look(&mut self, give_up_after: TimeSpan, steady: Timestamp) {
        let long = self.failing_since.is_some_and(|since| steady.since(since) >= give_up_after);
        self.dead = self.refused || long;
    }

    /// True where it takes nothing, as of the last [`Health::look`].
    pub fn is_dead(&self) -> bool {
        self.dead
    }

    /// True where its last attempt was a success.
    pub fn has_worked(&self) -> bool {
        self.worked
    }

    /// Since when it takes nothing, where it does.
    pub fn failing_since(&self) -> Option<Timestamp> {
        self.failing_since
    }

    /// When it failed last, where it has not worked since.
    pub fn failed_at(&self) -> Option<Timestamp> {
        self.failed_at
    }

    /// The last failure.
    pub fn why(&self) -> &str {
        &self.why
    }
}

/// `first` doubled so many times, at most `last`.
pub(super) fn doubled(first: TimeSpan, times: u32, last: TimeSpan) -> TimeSpan {
    (0..times.min(16)).fold(first, |span, _| span.times(2).min(last)).min(last)
}

/// The platform breach of a sink.
#[derive(Clone, Copy, Debug)]
pub struct SinkBreach<'a> {
    /// Which.
    pub sink: &'a Sink,
    /// The last failure.
    pub why: &'a str,
}

impl SinkBreach<'_> {
    /// The sink is dead.
    pub fn opened(&self, now: Timestamp) -> Breach {
        let Sink { name, tool, .. } = self.sink;
        Breach {
            breach_id: derived(&["platform", "sink", name, &now.to_string()]),
            transition: Transition::Opened,
            feature: SUBJECT.to_owned(),
            feature_version: String::new(),
            expectation: format!("{EXPECTATION}{name}"),
            kind: ExpectationKind::Platform,
            severity: Severity::Critical,
            window: self.sink.give_up_after.to_string(),
            window_start: now - self.sink.give_up_after,
            window_end: now,
            revision: 0,
            detected_at: now,
            observed: None,
            threshold: None,
            p_value: None,
            effect: None,
            baseline: None,
            owner: None,
            policy: None,
            affected_consumers: Vec::new(),
            exemplars: Vec::new(),
            reason: format!(
                "sink {name} ({}) takes no messages: {}; pages that it should carry go to other \
                 contacts where there are any",
                tool.name(),
                self.why
            ),
        }
    }

    /// The breach is over.
    pub fn cleared(open: &Breach, now: Timestamp, why: &str) -> Breach {
        Breach {
            transition: Transition::Cleared,
            window_end: now.max(open.window_end),
            detected_at: now.max(open.detected_at),
            reason: why.to_owned(),
            ..open.clone()
        }
    }
}
