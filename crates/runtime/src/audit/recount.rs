//! Counts every tumbling and hopping window anew, from the summaries.
//!
//! For a window that takes no more events, the count of its last revision and
//! the late summaries told of it must come to the events of its panes, no more
//! and no fewer. Sessions, and features whose repeats are dropped, are left
//! out: what they hold does not follow from panes alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watchkeep_detection::settings::TimeSettings;
use watchkeep_detection::standing::Standing;
use watchkeep_detection::watermark::Watermark;
use watchkeep_model::batch::{Delta, SummaryBatch};
use watchkeep_model::reject::Reject;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::Window;

use super::{FaultKind, Finding};

/// Feature and version.
type Name = (Arc<str>, Arc<str>);

/// What the facts say of windows, and what the summaries come to.
#[derive(Debug, Default)]
pub struct Recount {
    features: BTreeMap<Name, Feature>,
    deduplicated: BTreeSet<Arc<str>>,
    skipped_sessions: u64,
    findings: Vec<Finding>,
}

/// The windows of one feature and version.
#[derive(Clone, Debug, Default)]
struct Feature {
    shapes: BTreeSet<Shape>,
    windows: BTreeMap<(Shape, Timestamp), Counted>,
}

impl Feature {
    fn window(&mut self, shape: Shape, start: Timestamp) -> &mut Counted {
        self.shapes.insert(shape);
        self.windows.entry((shape, start)).or_default()
    }
}

/// Size and hop of a window. `1m` and `1m/1m` hold the same and are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape {
    pub(super) size: TimeSpan,
    pub(super) hop: TimeSpan,
    is_hopping: bool,
}

#[derive(Clone, Debug, Default)]
struct Counted {
    /// The last revision and its count.
    revision: Option<u32>,
    count: u64,
    late: u64,
    is_partial: bool,
    /// Events of its panes that have surely been told of.
    events: u64,
    /// Those that may still gather.
    recent: u64,
}

impl Recount {
    /// Takes a window's line.
    pub fn window(&mut self, window: &Window) {
        let Some(shape) = Shape::of(&window.window) else {
            self.skipped_sessions += 1;
            return;
        };
        let name = (window.feature.as_str().into(), window.feature_version.as_str().into());
        let counted = self.features.entry(name).or_default().window(shape, window.window_start);
        let follows = match counted.revision {
            None => window.revision == 0,
            Some(last) => window.revision == last + 1,
        };
        if !follows {
            let detail = format!(
                "{} {} from {}: revision {} after {}",
                window.feature,
                window.window,
                window.window_start,
                window.revision,
                counted.revision.map_or("none".to_owned(), |last| last.to_string()),
            );
            self.findings.push(Finding { fault: FaultKind::Fact, at: None, detail });
        }
        counted.revision = counted.revision.max(Some(window.revision));
        counted.count = window.count;
        counted.is_partial = window.partial;
    }

    /// Takes a late summary; other rejects are passed over.
    pub fn late(&mut self, reject: &Reject) {
        let (Some(feature), Some(window), Some(start), Some(count)) =
            (&reject.feature, &reject.window, reject.window_start, reject.count)
        else {
            return;
        };
        let Some(shape) = Shape::of(window) else { return };
        let version = reject.feature_version.as_deref().unwrap_or_default().into();
        let feature = self.features.entry((feature.as_str().into(), version)).or_default();
        feature.window(shape, start).late += count;
    }

    /// How many events there are at the least: an event is in one window of a
    /// tumbling shape, or too late for it.
    pub fn events_at_least(&self) -> u64 {
        let of = |feature: &Feature| {
            let mut shapes: BTreeMap<Shape, u64> = BTreeMap::new();
            for ((shape, _), counted) in &feature.windows {
                if shape.size == shape.hop {
                    *shapes.entry(*shape).or_default() += counted.count + counted.late;
                }
            }
            shapes.into_values().max().unwrap_or(0)
        };
        self.features.values().map(of).sum()
    }

    /// Begins to count the batches of a summaries partition, once all windows
    /// and late summaries are taken.
    pub fn partition(&mut self, settings: TimeSettings) -> PartitionRecount<'_> {
        PartitionRecount {
            watermark: Watermark::with_lease(settings.idle_after.times(2)),
            recount: self,
            settings,
            standing: Standing::default(),
            recent: Vec::new(),
        }
    }

    /// What is wrong, and how many windows were counted, once every partition is.
    pub fn finish(mut self, watermark: Option<Timestamp>, settings: TimeSettings) -> Recounted {
        let mut recounted = Recounted {
            sessions: self.skipped_sessions,
            findings: std::mem::take(&mut self.findings),
            ..Recounted::default()
        };
        for ((feature, version), Feature { windows, .. }) in &self.features {
            if self.deduplicated.contains(feature) {
                recounted.deduplicated += windows.len() as u64;
                continue;
            }
            for ((shape, start), counted) in windows {
                let settled = *start + shape.size + settings.allowed_lateness;
                let is_settled = watermark.is_some_and(|at| settled <= at) && !counted.is_partial;
                if !is_settled {
                    recounted.open += 1;
                    continue;
                }
                recounted.windows += 1;
                let told = counted.count + counted.late;
                // What came last may still be told of as late.
                if told < counted.events || told > counted.events + counted.recent {
                    let (what, by) = if told < counted.events {
                        ("lost", counted.events - told)
                    } else {
                        ("doubled", told - counted.events - counted.recent)
                    };
                    let detail = format!(
                        "{feature}{} {shape} from {start}: its summaries hold {} events, the \
                         window {} and the late summaries {}: {by} {what}",
                        if version.is_empty() { String::new() } else { format!(" ({version})") },
                        counted.events + counted.recent,
                        counted.count,
                        counted.late,
                    );
                    recounted.findings.push(Finding { fault: FaultKind::Window, at: None, detail });
                }
            }
        }
        recounted
    }
}

/// What came of a recount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recounted {
    /// Windows that were counted anew.
    pub windows: u64,
    /// Windows that may still be revised and were left out.
    pub open: u64,
    /// Lines of session windows, which are left out.
    pub sessions: u64,
    /// Windows of features whose repeats are dropped, which are left out.
    pub deduplicated: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// The recount while it reads one summaries partition.
#[derive(Debug)]
pub struct PartitionRecount<'a> {
    recount: &'a mut Recount,
    settings: TimeSettings,
    watermark: Watermark,
    standing: Standing,
    /// Windows with events since the watermark last crossed a `revise_every`,
    /// or stood for `idle_after`, until when late ones are gathered.
    recent: Vec<(Name, (Shape, Timestamp))>,
}

impl PartitionRecount<'_> {
    /// Takes a batch that evaluation has used.
    pub fn batch(&mut self, batch: &SummaryBatch, appended_at: Timestamp) {
        self.watermark.topics(&batch.source_topics);
        self.watermark.appended(appended_at);
        for step in &batch.steps {
            let at = self.watermark.current();
            for delta in &step.deltas {
                self.delta(delta);
            }
            step.sources.iter().for_each(|progress| self.watermark.progress(progress));
            let slice = |at: Timestamp| at.floor(self.settings.revise_every);
            if self.watermark.advance().map(slice) != at.map(slice) {
                self.settle();
            }
            // Of the events it is not known which were late: they have surely
            // been told of when none came for so long.
            if !step.deltas.is_empty() || self.watermark.current() != at {
                self.standing.moved();
            }
        }
        if self.standing.stands_for(appended_at) >= self.settings.idle_after {
            self.settle();
        }
    }

    /// The watermark after all batches.
    pub fn finish(self) -> Option<Timestamp> {
        self.watermark.current()
    }

    fn delta(&mut self, delta: &Delta) {
        if delta.event_id.is_some() {
            self.recount.deduplicated.insert(delta.feature.clone());
        }
        let name = (delta.feature.clone(), delta.feature_version.clone());
        let Some(feature) = self.recount.features.get_mut(&name) else { return };
        let Feature { shapes, windows } = feature;
        for &shape in &*shapes {
            let mut start = delta.pane_start.floor(shape.hop);
            while start + shape.size > delta.pane_start {
                if let Some(counted) = windows.get_mut(&(shape, start)) {
                    if counted.recent == 0 {
                        self.recent.push((name.clone(), (shape, start)));
                    }
                    counted.recent += delta.summary.count;
                }
                start = start - shape.hop;
            }
        }
    }

    fn settle(&mut self) {
        for (name, key) in self.recent.drain(..) {
            let feature = self.recount.features.get_mut(&name);
            if let Some(counted) = feature.and_then(|feature| feature.windows.get_mut(&key)) {
                counted.events += std::mem::take(&mut counted.recent);
            }
        }
    }
}

impl Shape {
    /// `1h` and `1h/5m`; `None` for a session.
    pub(super) fn of(window: &str) -> Option<Self> {
        let is_hopping = window.contains('/');
        let (size, hop) = window.split_once('/').unwrap_or((window, window));
        Some(Self { size: size.parse().ok()?, hop: hop.parse().ok()?, is_hopping })
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.is_hopping {
            true => write!(f, "{}/{}", self.size, self.hop),
            false => write!(f, "{}", self.size),
        }
    }
}
