//! Fixed baselines of one subject: summaries of a time range of its stream.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_model::batch::Delta;
use watchkeep_model::charter::{BaselineSpec, FIXED_WINDOWS_MAX};
use watchkeep_model::summary::Summary;
use watchkeep_model::time::{TimeSpan, Timestamp};

use crate::baseline::{self, Baseline, Part};
use crate::settings::TimeSettings;

/// The fixed baselines of each version.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct FixedBaselines(BTreeMap<(BaselineSpec, Arc<str>), Fixed>);

/// A range whose events are counted by windows of a size, too.
pub(super) type Counted = (BaselineSpec, TimeSpan);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Fixed {
    summary: Summary,
    /// Events by windows of a size, from the range's beginning on; at most
    /// [`FIXED_WINDOWS_MAX`], as the charter is refused otherwise.
    counts: BTreeMap<TimeSpan, Vec<u64>>,
    /// The summary under its name, made when it is first asked for.
    #[serde(skip)]
    named: Option<Baseline>,
}

impl FixedBaselines {
    /// Takes a delta into those of `specs` whose range holds it.
    pub(super) fn take(
        &mut self,
        specs: &[BaselineSpec],
        counted: &[Counted],
        delta: &Delta,
        watermark: Option<Timestamp>,
        settings: &TimeSettings,
    ) {
        for spec in specs {
            let BaselineSpec::Fixed { from, to } = *spec else { continue };
            let in_range = from <= delta.pane_start && delta.pane_start < to;
            if in_range && takes(to, watermark, settings) {
                let fixed =
                    self.0.entry((spec.clone(), delta.feature_version.clone())).or_default();
                fixed.summary.merge(&delta.summary);
                for (_, size) in counted.iter().filter(|(of, _)| of == spec) {
                    fixed.count(*size, from, to, delta);
                }
                fixed.named = None;
            }
        }
    }

    /// The baseline for a window that begins at `start`, or why there is none.
    pub(super) fn of(
        &mut self,
        spec: &BaselineSpec,
        start: Timestamp,
        version: &Arc<str>,
    ) -> Result<Baseline, String> {
        let BaselineSpec::Fixed { to, .. } = *spec else { return Err(String::new()) };
        let extent = || baseline::extent(spec);
        if start < to {
            return Err(format!("the baseline ({}) is complete only from {to} on", extent()));
        }
        let Some(Fixed { summary, named, .. }) = self.0.get_mut(&(spec.clone(), version.clone()))
        else {
            return Err(format!("the baseline ({}) holds no event of this version", extent()));
        };
        let named =
            named.get_or_insert_with(|| Baseline::new(spec, Arc::new(summary.clone()), Vec::new()));
        Ok(named.clone())
    }

    /// The same with its events counted by windows of a size. What came before
    /// the first event is not counted as a window without any, what came after is.
    pub(super) fn of_counts(
        &mut self,
        spec: &BaselineSpec,
        start: Timestamp,
        version: &Arc<str>,
        size: TimeSpan,
    ) -> Result<Baseline, String> {
        let mut baseline = self.of(spec, start, version)?;
        let BaselineSpec::Fixed { from, to } = *spec else { return Err(String::new()) };
        let fixed = self.0.get(&(spec.clone(), version.clone()));
        let counts = fixed.and_then(|fixed| fixed.counts.get(&size)).map_or(&[][..], Vec::as_slice);
        let last = windows(from, to, size);
        let numbered = (0..last).map(|i| (i, counts.get(i).copied().unwrap_or_default()));
        let begun = numbered.skip_while(|(_, count)| *count == 0);
        baseline.parts = begun
            .map(|(i, count)| Part {
                start: from + size.times(i as i64),
                count,
                null_count: 0,
                numbers: 0,
                mean: None,
                of_breach: false,
            })
            .collect();
        Ok(baseline)
    }

    /// Every summary that is kept.
    pub(super) fn summaries(&mut self) -> impl Iterator<Item = &mut Summary> {
        self.0.values_mut().map(|fixed| &mut fixed.summary)
    }

    /// The earliest instant of which a baseline still takes events.
    pub(super) fn earliest(
        &self,
        watermark: Option<Timestamp>,
        settings: &TimeSettings,
    ) -> Option<Timestamp> {
        let takers = self.0.keys().filter_map(|(spec, _)| match *spec {
            BaselineSpec::Fixed { from, to } => takes(to, watermark, settings).then_some(from),
            _ => None,
        });
        takers.min()
    }
}

impl Fixed {
    /// Counts the events of a delta in the window that holds it; what follows
    /// the last whole one is not counted.
    fn count(&mut self, size: TimeSpan, from: Timestamp, to: Timestamp, delta: &Delta) {
        let i = delta.pane_start.since(from).as_micros() / size.as_micros().max(1);
        let Some(i) = usize::try_from(i).ok().filter(|i| *i < windows(from, to, size)) else {
            return;
        };
        let counts = self.counts.entry(size).or_default();
        if counts.len() <= i {
            counts.resize(i + 1, 0);
        }
        counts[i] += delta.summary.count;
    }
}

/// How many whole windows of a size a range holds, as far as they are counted.
fn windows(from: Timestamp, to: Timestamp, size: TimeSpan) -> usize {
    let windows = to.since(from).as_micros() / size.as_micros().max(1);
    usize::try_from(windows.min(FIXED_WINDOWS_MAX)).unwrap_or(0)
}

fn takes(to: Timestamp, watermark: Option<Timestamp>, settings: &TimeSettings) -> bool {
    watermark.is_none_or(|watermark| watermark < to + settings.allowed_lateness)
}
