//! What the charters ask to be kept of a subject.

use std::sync::Arc;

use watchkeep_model::charter::{BaselineSpec, Charter, Rule, WindowSpec};
use watchkeep_model::time::{TimeSpan, Timestamp};

use crate::charters::{Charters, windows_of};
use crate::evaluate::baselines::Counted;
use crate::evaluate::burns::Objective;

/// Made from the charters and remembered as long as they are the same; no
/// state, it can be made again at any time.
#[derive(Debug, Default)]
pub(super) struct Plan {
    made_from: Option<[Option<Arc<Charter>>; 2]>,
    pub(super) windows: Vec<WindowSpec>,
    pub(super) fixed: Vec<BaselineSpec>,
    /// Those of `fixed` whose events are counted by windows, too.
    pub(super) counted: Vec<Counted>,
    /// Windows with a baseline of past windows, and how far back it goes.
    pub(super) past: Vec<(WindowSpec, TimeSpan)>,
    /// What events are counted for beside windows.
    pub(super) objectives: Vec<Objective>,
    /// True where silence is judged.
    pub(super) silence: bool,
    /// True where a charter matches: such a subject has windows when silent.
    pub(super) chartered: bool,
    /// True where a charter names the subject and not a pattern only.
    pub(super) named: bool,
}

impl Plan {
    /// Makes the plan anew where the charters of an event at `at` are not
    /// those that it was made from.
    pub(super) fn renew(&mut self, feature: &Arc<str>, at: Timestamp, charters: &dyn Charters) {
        // The charter of the event's time and the last one there is: between
        // them lie the windows that the event may belong to.
        let made_from = [charters.charter(feature, at), charters.charter(feature, Timestamp::MAX)];
        let same = self.made_from.as_ref().is_some_and(|before| {
            before.iter().zip(&made_from).all(|(a, b)| match (a, b) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (None, None) => true,
                _ => false,
            })
        });
        if same {
            return;
        }
        let mut windows: Vec<WindowSpec> =
            made_from.iter().flat_map(|charter| windows_of(charter.as_deref())).collect();
        windows.sort_unstable();
        windows.dedup();
        let (mut fixed, mut past, mut silence) = (Vec::new(), Vec::new(), false);
        let (mut objectives, mut counted) = (Vec::new(), Vec::new());
        for expectation in made_from.iter().flatten().flat_map(|charter| charter.expectations()) {
            silence |= matches!(expectation.rule, Rule::Silence { .. });
            objectives.extend(Objective::of(expectation));
            let Some(spec) = expectation.rule.baseline() else { continue };
            if let BaselineSpec::Fixed { .. } = spec {
                fixed.push(spec.clone());
                if let Rule::Volume { .. } = expectation.rule {
                    counted.push((spec.clone(), expectation.window.size()));
                }
            }
            past.extend(spec.reach(expectation.window).map(|span| (expectation.window, span)));
        }
        fixed.sort_unstable();
        fixed.dedup();
        counted.sort_unstable();
        counted.dedup();
        objectives.sort_unstable();
        objectives.dedup();
        let chartered = made_from.iter().any(Option::is_some);
        let named = made_from.iter().flatten().any(|charter| charter.exact);
        let made_from = Some(made_from);
        *self = Self {
            made_from,
            windows,
            fixed,
            counted,
            past,
            objectives,
            silence,
            chartered,
            named,
        };
    }
}
