//! Fixed baselines of one subject: summaries of a time range of its stream.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_model::batch::Delta;
use watchkeep_model::charter::BaselineSpec;
use watchkeep_model::summary::Summary;
use watchkeep_model::time::Timestamp;

use crate::baseline::{self, Baseline};
use crate::settings::TimeSettings;

/// The fixed baselines of each version.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct FixedBaselines(BTreeMap<(BaselineSpec, Arc<str>), Fixed>);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Fixed {
    summary: Summary,
    /// The summary under its name, made when it is first asked for.
    #[serde(skip)]
    named: Option<Baseline>,
}

impl FixedBaselines {
    /// Takes a delta into those of `specs` whose range holds it.
    pub(super) fn take(
        &mut self,
        specs: &[BaselineSpec],
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
        let Some(Fixed { summary, named }) = self.0.get_mut(&(spec.clone(), version.clone()))
        else {
            return Err(format!("the baseline ({}) holds no event of this version", extent()));
        };
        let named =
            named.get_or_insert_with(|| Baseline::new(spec, Arc::new(summary.clone()), Vec::new()));
        Ok(named.clone())
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

fn takes(to: Timestamp, watermark: Option<Timestamp>, settings: &TimeSettings) -> bool {
    watermark.is_none_or(|watermark| watermark < to + settings.allowed_lateness)
}
