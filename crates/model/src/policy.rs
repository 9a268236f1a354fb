//! How a breach climbs until somebody answers: steps, deadlines, working
//! hours, gates. One document of kind `policy`.
//!
//! Spans are [`TimeSpan`]s, shares 0 to 1. Every field but the name may be
//! absent; the defaults are those of [`Policy::default`] and its parts.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::charter::{ExpectationKind, Severity};
use crate::time::{TimeSpan, Timestamp};

/// Steps in one policy. A longer ladder is a mistake, so loading it fails
/// instead of cutting it.
pub const STEPS_MAX: usize = 16;

/// Climbs through the steps. Loading a policy with more fails: each climb
/// pages everybody anew.
pub const LOOPS_MAX: u32 = 10;

/// A policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// The name that charters give.
    pub name: String,
    /// Counts up with each change.
    pub version: u32,
    /// Tiers of charters that follow it without naming any policy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<u8>,
    /// Which breaches make one incident.
    pub grouping: Grouping,
    /// How far the lineage is asked for the root.
    pub attribution: AttributionLimits,
    /// What keeps an incident from coming and going.
    pub damping: Damping,
    /// What keeps people from being flooded.
    pub limits: Limits,
    /// Working hours; absent is always.
    pub hours: Option<Hours>,
    /// The ladder, at most [`STEPS_MAX`] steps.
    pub steps: Vec<Step>,
    /// Climbs through the steps before the incident is exhausted, 1 to
    /// [`LOOPS_MAX`]; 0 (the default) counts as 1.
    pub loops: u32,
    /// How long an acknowledgement holds without a remediation; absent is for good.
    pub ack_timeout: Option<TimeSpan>,
    /// Whom to tell when the steps have run out.
    pub on_exhausted: OnExhausted,
    /// Who must agree before what.
    pub sign_offs: Vec<SignOff>,
    /// How a remediation is checked; absent is not at all.
    pub verification: Option<Verification>,
    /// Who may not verify or approve, by the charter's independence class.
    pub independence: BTreeMap<String, Independence>,
    /// Which incidents need a review.
    pub review: Option<Review>,
    /// How often the ladder is tried out.
    pub drill: Option<Drill>,
    /// Times in which nothing may be changed.
    pub freeze: Vec<Freeze>,
}

/// Which breaches make one incident, and how often it speaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Grouping {
    /// Breaches that are alike in all of these belong together.
    pub by: Vec<GroupKey>,
    /// How long a first breach is held for others to join, from its `detected_at`.
    pub group_wait: TimeSpan,
    /// Shortest time between two messages about more breaches.
    pub group_interval: TimeSpan,
    /// How often an exhausted incident repeats itself.
    pub repeat_interval: TimeSpan,
    /// Affected features that a message lists; the rest are counted.
    pub max_listed: u32,
}

impl Default for Grouping {
    fn default() -> Self {
        Self {
            by: vec![GroupKey::Root, GroupKey::Kind],
            group_wait: TimeSpan::MINUTE,
            group_interval: TimeSpan::MINUTE.times(5),
            repeat_interval: TimeSpan::HOUR.times(4),
            max_listed: 50,
        }
    }
}

/// What breaches of one incident have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupKey {
    /// The root that the lineage names.
    Root,
    /// The kind of the expectation.
    Kind,
    /// The feature itself.
    Feature,
    /// The expectation's name.
    Expectation,
    /// The severity.
    Severity,
    /// The charter's domain.
    Domain,
    /// The charter's system.
    System,
    /// The charter's group.
    Group,
}

/// How far the lineage is asked for the root.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AttributionLimits {
    /// Edges between a feature and its root.
    pub max_depth: u32,
    /// Breaching descendants that a node without evidence of its own needs.
    pub min_features: u32,
    /// Share of its watched descendants that must breach.
    pub min_coverage: f64,
    /// An edge not seen for longer is stale.
    pub edge_max_age: TimeSpan,
}

impl Default for AttributionLimits {
    fn default() -> Self {
        Self { max_depth: 5, min_features: 3, min_coverage: 0.6, edge_max_age: TimeSpan::WEEK }
    }
}

/// What keeps an incident from coming and going.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Damping {
    /// How long an incident stays open after its last breach cleared.
    pub keep_firing_for: TimeSpan,
    /// Within this after the resolution a new breach reopens the incident.
    pub reopen_within: TimeSpan,
    /// When coming and going is flapping; absent is never.
    pub flap: Option<Flap>,
}

impl Default for Damping {
    fn default() -> Self {
        Self { keep_firing_for: TimeSpan::ZERO, reopen_within: TimeSpan::HOUR.times(2), flap: None }
    }
}

/// `changes` changes of state among the last `look_back` windows are flapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flap {
    /// Windows looked at.
    pub look_back: u32,
    /// Changes needed.
    pub changes: u32,
}

/// What keeps people from being flooded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Pages to one owner; absent is any number.
    pub per_owner: Option<Rate>,
    /// Share of all watched features beyond which the platform is taken to be the cause.
    pub platform_incident_share: Option<f64>,
}

/// At most `burst` in any span of `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How many.
    pub burst: u32,
    /// In which time.
    pub per: TimeSpan,
}

/// Working hours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hours {
    /// IANA name of the zone whose wall clock counts.
    pub zone: String,
    /// The hours of each day; they may overlap.
    #[serde(default)]
    pub working: Vec<Working>,
    /// Days without working hours.
    #[serde(default)]
    pub holidays: Vec<Day>,
    /// What happens outside of working hours; a severity that is not named pages.
    #[serde(default)]
    pub outside: BTreeMap<Severity, Outside>,
}

/// Hours of some days of the week, `[from, to)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Working {
    /// Which days.
    pub days: Vec<Weekday>,
    /// Start; of two such instants at a change of the clock, the first.
    pub from: TimeOfDay,
    /// End, after `from`; of two such instants, the last.
    pub to: TimeOfDay,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// What happens outside of working hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outside {
    /// The step is entered at once.
    Page,
    /// The step waits for the next start of working hours.
    Defer,
}

/// One step of the ladder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// Unique in the policy.
    pub name: String,
    /// Kinds of breaches that enter here.
    pub kinds: Vec<ExpectationKind>,
    /// Decisions that are taken here.
    pub decisions: Vec<String>,
    /// Who is notified.
    pub notify: Vec<Notify>,
    /// Over what; none is the contacts of each person.
    pub channels: Vec<Channel>,
    /// Time to acknowledge, from the step's entry.
    pub acknowledge_within: Option<TimeSpan>,
    /// Time to remediate, from the step's entry.
    pub remediate_within: Option<TimeSpan>,
    /// Time to decide, from the step's entry.
    pub decide_within: Option<TimeSpan>,
    /// What moves the incident on to the next step.
    pub escalate_if: Vec<Trigger>,
}

/// One addressee of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    /// Who: exactly one of `role`, `user`, `group`, `schedule`.
    #[serde(flatten)]
    pub target: NotifyTarget,
    /// Only for these severities; none is for all.
    #[serde(default)]
    pub severities: Vec<Severity>,
}

/// Who is notified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotifyTarget {
    /// The holder of a role of the charter; `primary` goes down the owner chain.
    Role(String),
    /// A person, `user:…`.
    User(String),
    /// A group, `group:…`.
    Group(String),
    /// A rota, `schedule:…`.
    Schedule(String),
}

/// A way to reach people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// What carries the message.
    pub tool: String,
    /// The address in that tool; absent is the person's own contact for the tool.
    #[serde(default)]
    pub to: Option<String>,
    /// What the channel is for, in the policy's own words; each page by it says so.
    #[serde(default)]
    pub scope: Option<String>,
}

/// What moves an incident on: a bare name or a map of one key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Nobody acknowledged within `acknowledge_within`.
    NotAcknowledged,
    /// Nobody remediated within `remediate_within`.
    NotRemediated,
    /// Nobody decided within `decide_within`.
    NotDecided,
    /// A remediation did not hold.
    VerificationFailed,
    /// At least so many features are affected.
    AffectedFeatures(u32),
    /// The same group had so many incidents in so much time, this one included.
    Recurrence {
        /// Incidents.
        count: u32,
        /// Time back from this one's opening.
        within: TimeSpan,
    },
    /// The severity is this or worse.
    Severity(Severity),
    /// Somebody asked for it.
    Requested,
}

impl Trigger {
    /// The name used in policies and facts.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotAcknowledged => "not_acknowledged",
            Self::NotRemediated => "not_remediated",
            Self::NotDecided => "not_decided",
            Self::VerificationFailed => "verification_failed",
            Self::AffectedFeatures(_) => "affected_features",
            Self::Recurrence { .. } => "recurrence",
            Self::Severity(_) => "severity",
            Self::Requested => "requested",
        }
    }
}

/// Whom to tell when the steps have run out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OnExhausted {
    /// Typed names: `user:`, `group:`, `schedule:`.
    pub notify: Vec<String>,
}

/// A gate that people must open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SignOff {
    /// What waits: `resolve`, `rollback`, `threshold_change` or a name of the policy's own.
    pub gate: String,
    /// Only for these severities; none is for all.
    pub severities: Vec<Severity>,
    /// Roles of the charter whose holders may sign.
    pub roles: Vec<String>,
    /// Different people needed; 0 counts as 1.
    pub minimum: u32,
    /// People who may not sign: `remediator` or a role.
    pub distinct_from: Vec<String>,
}

/// How a remediation is checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Verification {
    /// Only for these severities; none is for all.
    pub severities: Vec<Severity>,
    /// Good windows in a row.
    pub good_windows: u32,
    /// A reference to compare with.
    pub reference: Option<String>,
    /// A party outside that must confirm.
    pub third_party: Option<String>,
    /// The step that a failed verification enters; absent is the entry step.
    pub on_failure: Option<String>,
}

impl Default for Verification {
    fn default() -> Self {
        Self {
            severities: Vec::new(),
            good_windows: 1,
            reference: None,
            third_party: None,
            on_failure: None,
        }
    }
}

/// Who may not verify or approve for a class of features.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Independence {
    /// The verifier is in no group with these: `remediator` or a role.
    pub verifier_not_in_team_of: Vec<String>,
    /// The approver is in no group with these.
    pub approver_not_in_team_of: Vec<String>,
    /// Who answers is in no group with these, roles of the charter: a link of
    /// the owner chain that leads to such a person is passed over.
    pub owner_not_in_team_of: Vec<String>,
}

/// Which incidents need a review, and by when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Only for these severities; none is for all.
    #[serde(default)]
    pub severities: Vec<Severity>,
    /// From the resolution.
    pub due_within: TimeSpan,
}

/// How often the ladder is tried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    /// At least once in this time.
    pub every: TimeSpan,
}

/// A time in which nothing may be changed, `[from, to)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// First instant.
    pub from: Timestamp,
    /// End.
    pub to: Timestamp,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A time on the wall clock in whole minutes, `00:00` to `24:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// Minutes since midnight, 0 to 1440.
    pub const fn minutes(self) -> u16 {
        self.0
    }
}

/// A day of the calendar, without a zone: `2013-05-27`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub jiff::civil::Date);

/// Why a text is no time of day or no day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CivilError {
    /// Correct the text.
    #[error("`{0}` is not a time of day: write HH:MM, for example 09:00")]
    TimeOfDay(String),
    /// Correct the text.
    #[error("`{0}` is not a day: write YYYY-MM-DD, for example 2013-05-27")]
    Day(String),
}

impl FromStr for TimeOfDay {
    type Err = CivilError;

    fn from_str(text: &str) -> Result<Self, CivilError> {
        let wrong = || CivilError::TimeOfDay(text.chars().take(40).collect());
        let digits = |part: &str| {
            let is_number = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
            if is_number { part.parse::<u16>().map_err(|_| wrong()) } else { Err(wrong()) }
        };
        let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
        let (hours, minutes) = (digits(hours)?, digits(minutes)?);
        let total = hours * 60 + minutes;
        if minutes > 59 || total > 24 * 60 { Err(wrong()) } else { Ok(Self(total)) }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl FromStr for Day {
    type Err = CivilError;

    fn from_str(text: &str) -> Result<Self, CivilError> {
        let wrong = || CivilError::Day(text.chars().take(40).collect());
        // The calendar's own parser also takes times and other spellings.
        if text.len() != 10 {
            return Err(wrong());
        }
        text.parse().map(Self).map_err(|_| wrong())
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

as_text!(TimeOfDay, Day);

#[cfg(test)]
mod tests;
