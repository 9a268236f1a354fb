//! Asking an alert budget whether a window may be called bad.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_model::charter::Charter;
use watchkeep_model::directory::AlertBudget;
use watchkeep_model::time::Timestamp;
use watchkeep_model::window::{Granted, Verdict};

use crate::budget::{Budgets, Test};
use crate::charters::Charters;
use crate::judge::Opinion;

/// The budgets of the stage, and which of them a window's charter falls under.
pub(super) struct Asked<'a> {
    budgets: &'a mut Budgets,
    partitions: i32,
    terms: Option<(Arc<str>, AlertBudget)>,
}

impl<'a> Asked<'a> {
    pub(super) fn new(budgets: &'a mut Budgets, partitions: i32) -> Self {
        Self { budgets, partitions, terms: None }
    }

    /// The windows that are judged next fall under this charter.
    pub(super) fn by(&mut self, charter: Option<&Charter>, charters: &dyn Charters) {
        self.terms = charter.and_then(|charter| charters.alert_budget(charter));
    }
}

impl Asked<'_> {
    /// A breach by a test was retracted.
    pub(super) fn retract(&mut self) {
        if let Some((domain, _)) = &self.terms {
            self.budgets.retract(domain);
        }
    }
}

/// What was granted last to windows that may still be revised.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Levels(BTreeMap<Timestamp, Granted>);

impl Levels {
    /// Has the budget look at a judgement by a test. Where its level is not
    /// reached, a window that the expectation calls bad is not judged.
    ///
    /// A window is tested until it is a discovery. A revision is another look at
    /// its p-value, and the chance that one of several looks is below a level is
    /// more than that level: so each is a test of its own, with what that costs.
    /// What was a discovery was told; later revisions are held to its level and
    /// spend nothing. While a breach is open nothing is tested: whoever looks at it
    /// already knows. A sum over windows has a rate of its own and is no test of
    /// this one.
    pub(super) fn ask(
        &mut self,
        opinion: &mut Opinion,
        p_below: f64,
        start: Timestamp,
        is_open: bool,
        now: Timestamp,
        asked: &mut Asked<'_>,
    ) {
        let Some(p_value) = opinion.judged.p_value else { return };
        let both_keys = opinion.judged.verdict == Verdict::Bad && !opinion.is_by_sum;
        let granted = match (self.0.get(&start), &asked.terms) {
            (Some(last), _) if last.discovery => {
                let discovery = both_keys && p_value <= last.level;
                Granted { discovery, ..last.clone() }
            }
            (_, Some((domain, terms))) if !is_open => {
                let partitions = asked.partitions;
                let test = Test { at: now, p_value, p_below, both_keys, partitions };
                let granted = asked.budgets.test(domain, terms, &test);
                self.0.insert(start, granted.clone());
                granted
            }
            _ => return,
        };
        if both_keys && !granted.discovery {
            let reason = opinion.judged.reason.take().unwrap_or_default();
            opinion.judged.reason = Some(format!(
                "{reason}; but the alert budget of domain {} asks for a p-value of at most {:.3e}",
                granted.domain, granted.level
            ));
            opinion.judged.verdict = Verdict::NotJudged;
            opinion.resolve = Verdict::NotJudged;
        }
        opinion.judged.budget = Some(Box::new(granted));
    }

    /// No window that starts before `start` is judged any more.
    pub(super) fn settle(&mut self, start: Timestamp) {
        self.0 = self.0.split_off(&start);
    }
}
