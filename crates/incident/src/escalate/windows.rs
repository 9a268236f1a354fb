//! What judged windows show of incidents.

use watchkeep_model::breach::Breach;
use watchkeep_model::time::Timestamp;
use watchkeep_model::window::{Verdict, Window};

use super::{Escalate, Held, Outputs};
use crate::context::Context;
use crate::state::{BreachKey, Incident, key_of};

impl Escalate {
    /// Counts the good windows of incidents that wait for them, and notices
    /// bad ones after a remediation. Revisions and windows that the end of the
    /// input cut off do not count.
    pub fn window(
        &mut self,
        window: &Window,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        self.begin_past_silences(context, now, out);
        self.each_judged(window, |stage, id, key, good, is_own| {
            stage.decide(id, context, now, out, |decision| match is_own {
                true => decision.window(key, window.window_end, good),
                false => decision.progress.count(key.clone(), window.window_end, good),
            });
        });
        self.relate(context, now, out);
    }

    /// True where what breaches now is held or another incident's business:
    /// it tells nothing of what was done about this one.
    fn is_of_another(&self, id: &str, key: &BreachKey) -> bool {
        let is_open = |one: &Incident| one.attached.get(key).is_some_and(|a| !a.open.is_empty());
        let waits = self.incidents.get(id).is_some_and(|one| !is_open(one) && one.is_open());
        let is_held = |held: &Held| {
            let Breach { feature, feature_version, expectation, .. } = &held.breach;
            (feature, feature_version, expectation) == (&key.0, &key.1, &key.2)
        };
        let others = || self.index.watching(&key.0, &key.1);
        waits
            && (others().iter().filter(|other| *other != id).any(|other| {
                self.incidents.get(other).is_some_and(|one| one.is_open() && is_open(one))
            }) || self.held.values().any(is_held))
    }

    pub(super) fn each_judged(
        &mut self,
        window: &Window,
        mut tell: impl FnMut(&mut Self, &str, &BreachKey, bool, bool),
    ) {
        if window.judged.is_empty() || window.revision > 0 || window.partial {
            return;
        }
        if window.judged.iter().any(|judged| judged.verdict != Verdict::NotJudged) {
            self.index.judged(&window.feature, window.window_end);
        }
        for id in self.index.watching(&window.feature, &window.feature_version) {
            for judged in &window.judged {
                let good = match judged.verdict {
                    Verdict::Good => true,
                    Verdict::Bad => false,
                    Verdict::NotJudged => continue,
                };
                let key = key_of(&window.feature, &window.feature_version, &judged.expectation);
                let counts = self.incidents.get(&id).is_some_and(|one| {
                    let shown = !good || one.people.is_shown_against(judged.baseline.as_deref());
                    let reference = one.people.reference_subject() == Some(window.feature.as_str());
                    (one.attached.contains_key(&key) && shown) || reference
                });
                if counts {
                    tell(self, &id, &key, good, good || !self.is_of_another(&id, &key));
                }
            }
        }
    }
}
