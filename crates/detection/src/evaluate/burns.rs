//! Counts for the objectives of one subject.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_model::batch::Delta;
use watchkeep_model::charter::{Expectation, Good, Rule, WindowSpec};
use watchkeep_model::time::{TimeSpan, Timestamp};

use crate::evaluate::grid::Shape;
use crate::evaluate::subject::Moment;
use crate::settings::TimeSettings;
use crate::slo::{self, History, Tallies, Tally};

/// An objective of a charter as far as counting goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Objective {
    window: WindowSpec,
    good: Good,
    period: TimeSpan,
}

impl Objective {
    /// `None` for other expectations.
    pub(super) fn of(expectation: &Expectation) -> Option<Self> {
        let Rule::Slo { good, period, .. } = &expectation.rule else { return None };
        Some(Self { window: expectation.window, good: good.clone(), period: *period })
    }
}

/// Counts by window, meaning of good and version. A charter that changes what
/// is good begins a new history: what was counted cannot be counted anew.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Burns(BTreeMap<(WindowSpec, Good, Arc<str>), Kept>);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    history: History,
    /// The longest period that was asked for.
    period: TimeSpan,
}

impl Burns {
    /// Takes a delta for those of `objectives` of which a window of its time
    /// still takes events.
    pub(super) fn take(&mut self, objectives: &[Objective], delta: &Delta, moment: &Moment<'_>) {
        for Objective { window, good, period } in objectives {
            let Some(shape) = Shape::of(*window) else { continue };
            if !shape.takes(delta.pane_start, moment) {
                continue;
            }
            let key = (*window, good.clone(), delta.feature_version.clone());
            let kept = self.0.entry(key).or_default();
            kept.period = kept.period.max(*period);
            let slot = slo::slot(*window, moment.settings.pane);
            kept.history.add(delta.pane_start, slot, Tally::of(good, &delta.summary));
        }
    }

    /// What the expectation is judged by in a window that ends at `end`;
    /// `None` where it is no objective.
    pub(super) fn tallies(
        &self,
        expectation: &Expectation,
        version: &Arc<str>,
        end: Timestamp,
        settings: &TimeSettings,
    ) -> Option<Tallies> {
        let Objective { window, good, period } = Objective::of(expectation)?;
        Shape::of(window)?;
        let slot = slo::slot(window, settings.pane);
        let kept = self.0.get(&(window, good, version.clone()));
        Some(kept.map_or_else(Tallies::default, |kept| kept.history.tallies(end, slot, period)))
    }

    /// Every window of this kind that is still judged ends at `end` or later.
    pub(super) fn settle(&mut self, window: WindowSpec, end: Timestamp, settings: &TimeSettings) {
        let slot = slo::slot(window, settings.pane);
        for ((of_window, ..), kept) in &mut self.0 {
            if *of_window == window {
                kept.history.settle(end, slot, kept.period);
            }
        }
    }
}
