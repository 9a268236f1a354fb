//! The contract of a subject: what it means, who answers for it, what is
//! expected of it and which policy a breach follows.
//!
//! A [`CharterDocument`] is one document of a charter folder, about a subject
//! or a pattern. A [`Charter`] is what the documents that match one subject
//! come to, field by field.

mod forms;
mod learned;
mod slo;
mod volume;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::learned::{COUNT_UNLEARNED, Learned, Side, Sustained, Threshold};
pub use self::slo::{BURN_PAIRS, BurnPair, Good, SLO_PERIOD_DEFAULT};
pub use self::volume::{FIXED_WINDOWS_MAX, UsualVolume};
use crate::time::{TimeSpan, Timestamp};

/// One charter document as it was written; every field but the subject may be absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CharterDocument {
    /// Typed name or pattern with `*`.
    pub subject: String,
    /// Fields that the document sets.
    #[serde(flatten)]
    pub fields: CharterFields,
}

/// The fields of a charter, each of which a less specific document may supply.
/// A list that is present replaces the less specific one as a whole; `owners`
/// and `rollback` are filled up member by member.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CharterFields {
    /// What the feature means.
    pub description: Option<String>,
    /// The type of its values.
    pub r#type: Option<ValueType>,
    /// Unit of its values.
    pub unit: Option<String>,
    /// 1 (most important) to 4.
    pub tier: Option<u8>,
    /// Where it stands in its life.
    pub lifecycle: Option<Lifecycle>,
    /// The feature view it belongs to.
    pub view: Option<String>,
    /// The owning group, `group:…`.
    pub group: Option<String>,
    /// The system it belongs to, a name of the directory.
    pub system: Option<String>,
    /// The domain it belongs to, a name of the directory.
    pub domain: Option<String>,
    /// Who answers for it.
    pub owners: Owners,
    /// Informed, never paged.
    pub subscribers: Option<Vec<String>>,
    /// Models, dashboards and services that use it.
    pub consumers: Option<Vec<String>>,
    /// What it is made from.
    pub upstream: Option<Vec<String>>,
    /// Parties outside the organisation that it depends on.
    pub external_dependencies: Option<Vec<String>>,
    /// What it is good for, in the business's words.
    pub business_outcomes: Option<Vec<String>>,
    /// What the owner does.
    pub duties: Option<Vec<String>>,
    /// What the owner does not do.
    pub limitations: Option<Vec<String>>,
    /// What the owner may decide.
    pub decision_rights: Option<Vec<String>>,
    /// Independence class of the policy.
    pub independence: Option<String>,
    /// Name of the policy that breaches follow.
    pub policy: Option<String>,
    /// Link to the runbook.
    pub runbook: Option<String>,
    /// When somebody last followed the runbook and found it right.
    pub runbook_reviewed_at: Option<Timestamp>,
    /// How to go back.
    pub rollback: Rollback,
    /// How often the charter is reviewed.
    pub review_every: Option<TimeSpan>,
    /// When it was reviewed last.
    pub reviewed_at: Option<Timestamp>,
    /// The change ticket of this revision.
    pub change_ticket: Option<String>,
    /// Who approved this revision.
    pub approvals: Option<Vec<Approval>>,
    /// From when this revision is in force; absent is always.
    pub effective_from: Option<Timestamp>,
    /// What drives the charter, for example `regulatory`.
    pub driver: Option<String>,
    /// Drop repeats of an `event_id` within this span of event time.
    pub deduplicate: Option<TimeSpan>,
    /// What windows are judged by.
    pub expectations: Option<Vec<Expectation>>,
}

/// Who answers for a subject: `user:`, `group:` or `schedule:` names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Owners {
    /// The one accountable.
    pub primary: Option<String>,
    /// Answers while the primary is away.
    pub backup: Option<String>,
    /// Answers for quality.
    pub data_steward: Option<String>,
    /// Decides on architecture.
    pub architect: Option<String>,
    /// Speaks for the business.
    pub business_owner: Option<String>,
    /// Reviews changes.
    pub reviewer: Option<String>,
    /// Last person of the ladder.
    pub executive: Option<String>,
}

impl Owners {
    /// Names of the roles, in the order of FORMATS.
    pub const ROLES: [&'static str; 7] = [
        "primary",
        "backup",
        "data_steward",
        "architect",
        "business_owner",
        "reviewer",
        "executive",
    ];

    /// Who holds a role; `None` for an unknown or empty one.
    pub fn get(&self, role: &str) -> Option<&str> {
        self.slot(role)?.as_deref()
    }

    fn slot(&self, role: &str) -> Option<&Option<String>> {
        Some(match role {
            "primary" => &self.primary,
            "backup" => &self.backup,
            "data_steward" => &self.data_steward,
            "architect" => &self.architect,
            "business_owner" => &self.business_owner,
            "reviewer" => &self.reviewer,
            "executive" => &self.executive,
            _ => return None,
        })
    }
}

/// How to go back to an earlier state of the feature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rollback {
    /// Link to the procedure.
    pub procedure: Option<String>,
    /// How fast.
    pub within: Option<TimeSpan>,
    /// Names of the expectations whose breach proposes it.
    pub criteria: Option<Vec<String>>,
}

/// An approval of a charter revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Type of a feature's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueType {
    /// Floating-point number.
    Double,
    /// Whole number.
    Long,
    /// true or false.
    Boolean,
    /// Category.
    String,
}

/// Where a subject stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    /// Breaches are recorded, nobody is paged.
    Draft,
    /// Watched and paged.
    Production,
    /// Watched and paged, on its way out.
    Deprecated,
    /// Measured, never paged.
    Retired,
}

impl Lifecycle {
    /// The name used in charters and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Production => "production",
            Self::Deprecated => "deprecated",
            Self::Retired => "retired",
        }
    }
}

/// How bad a breach is. Ordered from info to critical.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// To know.
    Info,
    /// To look at in working hours.
    Warning,
    /// To act on.
    #[default]
    Error,
    /// To act on now.
    Critical,
}

impl Severity {
    /// The name used in charters and facts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// Kinds of expectations; also the kinds of breaches that policies route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are those of FORMATS 3, described at `Rule`")]
pub enum ExpectationKind {
    Drift,
    Latency,
    Freshness,
    Silence,
    NullRate,
    ErrorRate,
    Volume,
    Range,
    Categories,
    Slo,
    /// Not an expectation of any charter: Watchkeep tells of itself.
    Platform,
}

impl ExpectationKind {
    /// Every kind with its name; all but the last can stand in a charter.
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::Drift, "drift"),
        (Self::Latency, "latency"),
        (Self::Freshness, "freshness"),
        (Self::Silence, "silence"),
        (Self::NullRate, "null_rate"),
        (Self::ErrorRate, "error_rate"),
        (Self::Volume, "volume"),
        (Self::Range, "range"),
        (Self::Categories, "categories"),
        (Self::Slo, "slo"),
        (Self::Platform, "platform"),
    ];

    /// The name used in charters and facts.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }
}

/// A rule that windows are judged by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// Unique in the charter.
    pub name: String,
    /// The windows it judges.
    pub window: WindowSpec,
    /// How bad a breach is.
    pub severity: Severity,
    /// A window with fewer values than this is not judged.
    pub min_samples: u64,
    /// How many of the last judged windows must be bad.
    pub r#for: ForSpec,
    /// Good windows in a row that clear a breach, at least 1.
    pub resolve_after: u32,
    /// The kind and its parameters.
    #[serde(flatten)]
    pub rule: Rule,
    /// The same rule with the easier thresholds of `resolve`, by which an open
    /// breach is judged; absent where the charter sets none.
    pub resolve: Option<Rule>,
    /// Which of the rule's thresholds are learned from the windows before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned: Option<Learned>,
}

impl Expectation {
    /// Default of `min_samples`.
    pub const MIN_SAMPLES_DEFAULT: u64 = 30;
}

/// `for: {k, of}`: the breach opens at the window that makes k of the last
/// `of` judged windows bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForSpec {
    /// Bad windows needed, 1 to `of`.
    pub k: u32,
    /// Judged windows looked at.
    pub of: u32,
}

impl Default for ForSpec {
    fn default() -> Self {
        Self { k: 1, of: 1 }
    }
}

/// The shape of a window. Ordered by [`WindowSpec::size`], then by kind and hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WindowSpec {
    /// One after the other.
    Tumbling {
        /// Length, a multiple of the pane.
        size: TimeSpan,
    },
    /// Overlapping; a hop of one pane is the sliding window.
    Hopping {
        /// Length, a multiple of the pane.
        size: TimeSpan,
        /// Distance between starts, a multiple of the pane.
        hop: TimeSpan,
    },
    /// From the first event to the last before a gap.
    Session {
        /// The gap that ends it, at least one pane.
        gap: TimeSpan,
    },
}

impl WindowSpec {
    /// The window of features without a charter.
    pub const DEFAULT: Self = Self::Tumbling { size: TimeSpan::HOUR };

    /// The length by which windows that close together are ordered; a session
    /// has no length of its own and goes by its gap.
    pub const fn size(&self) -> TimeSpan {
        match self {
            Self::Tumbling { size } | Self::Hopping { size, .. } => *size,
            Self::Session { gap } => *gap,
        }
    }

    /// Distance between the starts of windows that follow each other without
    /// overlap: the size, of hopping ones rounded up to whole hops.
    pub fn stride(&self) -> TimeSpan {
        match self {
            Self::Hopping { size, hop } => {
                hop.times((size.as_micros() + hop.as_micros() - 1) / hop.as_micros().max(1))
            }
            Self::Tumbling { .. } | Self::Session { .. } => self.size(),
        }
    }

    /// The end of the window before the one that starts at `start`; of sessions,
    /// which leave time between them, that start itself.
    pub fn last_end_before(&self, start: Timestamp) -> Timestamp {
        match self {
            Self::Hopping { size, hop } => start - *hop + *size,
            Self::Tumbling { .. } | Self::Session { .. } => start,
        }
    }

    const fn rank(&self) -> (TimeSpan, u8, TimeSpan) {
        match self {
            Self::Tumbling { size } => (*size, 0, TimeSpan::ZERO),
            Self::Hopping { size, hop } => (*size, 1, *hop),
            Self::Session { gap } => (*gap, 2, TimeSpan::ZERO),
        }
    }
}

impl Ord for WindowSpec {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for WindowSpec {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for WindowSpec {
    /// `1h`, `1h/5m`, `session 5m`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tumbling { size } => write!(f, "{size}"),
            Self::Hopping { size, hop } => write!(f, "{size}/{hop}"),
            Self::Session { gap } => write!(f, "session {gap}"),
        }
    }
}

/// The kind of an expectation with its parameters. Shares are 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Rule {
    /// Bad when a test says that the window differs from the baseline and an
    /// effect size says that it matters.
    Drift {
        /// What to compare with.
        baseline: BaselineSpec,
        /// The p-value must be below this.
        p_below: f64,
        /// The effect; absent is `ks_stat` 0.1 for numbers, `js` 0.1 for categories.
        effect: Option<Effect>,
        /// Quantile bins of numbers.
        bins: u32,
        /// A sequential test over windows beside that of each one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sustained: Option<Sustained>,
    },
    /// Bad when a quantile of the latency is above the bound.
    Latency {
        /// Which quantile.
        quantile: Quantile,
        /// The bound.
        above: TimeSpan,
    },
    /// Bad when a quantile of the age is above the bound.
    Freshness {
        /// Which quantile.
        quantile: Quantile,
        /// The bound.
        above: TimeSpan,
    },
    /// Bad when the feature, whatever its version, had no event for so long
    /// before the window's end.
    Silence {
        /// The span from the latest event to the window's end that is bad.
        after: TimeSpan,
    },
    /// Bad when the share's one-sided lower confidence bound (Clopper–Pearson) is above.
    NullRate {
        /// Share.
        above: f64,
        /// Confidence of the bound.
        confidence: f64,
    },
    /// The same for the share of errors.
    ErrorRate {
        /// Share.
        above: f64,
        /// Confidence of the bound.
        confidence: f64,
    },
    /// Bad when the count is below or above, or has changed.
    Volume {
        /// Fewer events than this are bad.
        below: Option<u64>,
        /// More events than this are bad.
        above: Option<u64>,
        /// Or what is usual; then there are no bounds.
        #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
        usual: Option<UsualVolume>,
    },
    /// Bad when the share of values outside `[min, max]` is above.
    Range {
        /// Smallest good value.
        min: Option<f64>,
        /// Largest good value.
        max: Option<f64>,
        /// Share.
        above: f64,
    },
    /// Bad when the share of unseen categories is above.
    Categories {
        /// The categories that are expected.
        allowed: Option<Vec<String>>,
        /// Or the baseline whose categories are.
        baseline: Option<BaselineSpec>,
        /// Share.
        above: f64,
    },
    /// Bad when the error budget burns too fast in both windows of one of
    /// [`BURN_PAIRS`].
    Slo {
        /// The share of events that is to be good.
        objective: f64,
        /// What a good event is.
        good: Good,
        /// The span over which the objective is to be met.
        period: TimeSpan,
    },
}

impl Rule {
    /// The kind.
    pub const fn kind(&self) -> ExpectationKind {
        match self {
            Self::Drift { .. } => ExpectationKind::Drift,
            Self::Latency { .. } => ExpectationKind::Latency,
            Self::Freshness { .. } => ExpectationKind::Freshness,
            Self::Silence { .. } => ExpectationKind::Silence,
            Self::NullRate { .. } => ExpectationKind::NullRate,
            Self::ErrorRate { .. } => ExpectationKind::ErrorRate,
            Self::Volume { .. } => ExpectationKind::Volume,
            Self::Range { .. } => ExpectationKind::Range,
            Self::Categories { .. } => ExpectationKind::Categories,
            Self::Slo { .. } => ExpectationKind::Slo,
        }
    }

    /// True where the rule rests on a p-value, so that an alert budget applies.
    pub const fn is_test(&self) -> bool {
        self.p_below().is_some()
    }

    /// What the p-value has to be below, where the rule rests on one.
    pub const fn p_below(&self) -> Option<f64> {
        match self {
            Self::Drift { p_below, .. } => Some(*p_below),
            Self::Volume { usual: Some(usual), .. } => Some(usual.p_below),
            _ => None,
        }
    }

    /// The baseline that the rule compares with, if it does.
    pub const fn baseline(&self) -> Option<&BaselineSpec> {
        match self {
            Self::Drift { baseline, .. } => Some(baseline),
            Self::Categories { baseline, .. } => baseline.as_ref(),
            Self::Volume { usual: Some(usual), .. } => Some(&usual.baseline),
            _ => None,
        }
    }
}

/// An effect size and its bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// Which statistic.
    pub statistic: Statistic,
    /// The effect matters above this.
    pub above: f64,
}

/// Statistics that can serve as an effect size, named as in the `drift` field of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "described at `window::Drift`")]
pub enum Statistic {
    Psi,
    Js,
    Hellinger,
    Wasserstein,
    WassersteinNorm,
    KsStat,
    UnseenShare,
}

impl Statistic {
    /// Every statistic with its name.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Psi, "psi"),
        (Self::Js, "js"),
        (Self::Hellinger, "hellinger"),
        (Self::Wasserstein, "wasserstein"),
        (Self::WassersteinNorm, "wasserstein_norm"),
        (Self::KsStat, "ks_stat"),
        (Self::UnseenShare, "unseen_share"),
    ];

    /// The name used in charters and facts.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(statistic, _)| *statistic == self).map_or("", |(_, name)| name)
    }
}

/// A quantile of a latency or an age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Quantile {
    P50,
    P75,
    P90,
    P95,
    P99,
    P999,
    Max,
}

impl Quantile {
    /// Every quantile with its name and level; `max` is level 1.
    pub const ALL: [(Self, &'static str, f64); 7] = [
        (Self::P50, "p50", 0.5),
        (Self::P75, "p75", 0.75),
        (Self::P90, "p90", 0.9),
        (Self::P95, "p95", 0.95),
        (Self::P99, "p99", 0.99),
        (Self::P999, "p999", 0.999),
        (Self::Max, "max", 1.0),
    ];

    /// The level, 0 to 1.
    pub fn level(self) -> f64 {
        Self::ALL.iter().find(|(quantile, ..)| *quantile == self).map_or(1.0, |(.., level)| *level)
    }

    /// The name used in charters.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(quantile, ..)| *quantile == self).map_or("", |(_, name, _)| name)
    }
}

/// What a window is compared with. Rolling and seasonal ones leave out windows
/// that lie in a breach of the feature version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BaselineSpec {
    /// A time range of this stream, `[from, to)`.
    Fixed {
        /// First instant.
        from: Timestamp,
        /// End.
        to: Timestamp,
    },
    /// The last windows before, one after the other without overlap.
    Rolling {
        /// How many windows with events.
        windows: u32,
        /// How many of them are enough; absent is all.
        min_windows: Option<u32>,
    },
    /// The same hour of day or of week over the weeks before.
    Seasonal {
        /// Which windows are alike.
        by: Season,
        /// How many weeks back.
        weeks: u32,
        /// IANA name of the zone whose wall clock tells the hour; absent is UTC.
        zone: Option<Arc<str>>,
        /// How many windows with events are enough; absent is all.
        min_windows: Option<u32>,
    },
    /// A summary that was captured before, from a training set.
    Profile {
        /// The name that it was captured under.
        id: Arc<str>,
    },
}

impl BaselineSpec {
    /// The span of time that a baseline of past windows is meant to hold; `None`
    /// for other baselines.
    pub fn extent(&self, window: WindowSpec) -> Option<TimeSpan> {
        match self {
            Self::Rolling { windows, .. } => Some(window.stride().times(i64::from(*windows))),
            Self::Seasonal { weeks, .. } => Some(TimeSpan::WEEK.times(i64::from(*weeks))),
            Self::Fixed { .. } | Self::Profile { .. } => None,
        }
    }

    /// How far back windows are looked for: from the start of the judged window
    /// to that of the earliest one that it may be compared with. `None` for
    /// baselines that are not made of single windows.
    pub fn reach(&self, window: WindowSpec) -> Option<TimeSpan> {
        match self {
            Self::Rolling { .. } => Some(self.extent(window)?.times(ROLLING_LOOK_BACK)),
            // By the clock of a zone the same hour may be further away.
            Self::Seasonal { zone: Some(_), .. } => Some(self.extent(window)? + TimeSpan::DAY),
            _ => self.extent(window),
        }
    }
}

/// A rolling baseline of k windows is looked for in the last `2 k` places: as
/// many as may have no event or lie in a breach.
pub const ROLLING_LOOK_BACK: i64 = 2;

/// Which windows are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Season {
    /// Those that begin at the same hour of the day.
    HourOfDay,
    /// Those that begin at the same hour of the week.
    HourOfWeek,
}

/// What the documents that match one subject come to at one instant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Charter {
    /// The typed subject.
    pub subject: String,
    /// Every field, inherited field by field.
    pub fields: CharterFields,
    /// Subjects of the documents that contributed, most specific first.
    pub from: Vec<String>,
    /// True where a document names the subject itself, not a pattern.
    pub exact: bool,
}

impl Charter {
    /// The expectations; none where the charter sets none.
    pub fn expectations(&self) -> &[Expectation] {
        self.fields.expectations.as_deref().unwrap_or_default()
    }
}
