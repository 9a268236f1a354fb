//! State from what was written before, without deciding anything.

use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::window::Window;

use super::Escalate;
use super::commands::desk_id;
use super::place::{is_paged, policy_of};
use crate::context::Context;
use crate::progress::Progress;
use crate::silence::silences_id;
use crate::state::{Incident, key_of};

impl Escalate {
    /// Takes in a fact that was written before, without deciding anything.
    /// Facts of exercises are none of a service's, and the other way round.
    pub fn restore_fact(&mut self, fact: &Fact) {
        if fact.drill != self.settings.drill {
            return;
        }
        self.answered.note(fact);
        self.upkeep.begin_drills(fact);
        if self.upkeep.apply(fact) {
            return;
        }
        if fact.incident_id == desk_id() {
            self.desk = (fact.sequence, Some(fact.hash.clone()));
            return;
        }
        if fact.incident_id == silences_id() {
            self.take_silence(fact);
            return;
        }
        let id = &fact.incident_id;
        if self.incidents.contains(id) {
            self.incidents.get_mut(id).into_iter().for_each(|incident| incident.apply(fact));
        } else if let Some(incident) = Incident::begin(fact) {
            self.incidents.insert(incident);
        }
        let Some(incident) = self.incidents.get(id) else { return };
        let mut progress = self.progress.remove(id).unwrap_or_default();
        progress.check_at = match &fact.data {
            FactData::BreachCleared(data) => data.settles_at,
            _ if incident.is_breaching() || !incident.is_open() => None,
            _ => progress.check_at,
        };
        self.index.take_in(
            std::slice::from_ref(fact),
            incident,
            progress.check_at,
            &mut self.changes,
        );
        if progress != Progress::default() {
            self.progress.insert(id.clone(), progress);
        }
        if let FactData::BreachAttached(data) = &fact.data {
            self.unhold(&data.breach_id);
        }
        self.forget();
        // What the fact meant for others is on record too.
        self.changes.clear();
    }

    /// Holds again what a breach log says, in its order, after the facts have
    /// been restored. Breaches that an incident has taken in are passed over.
    pub fn restore_breach(&mut self, breach: &Breach, context: &dyn Context) {
        match breach.transition {
            Transition::Opened => {
                let known = self.index.was_attached(breach);
                if !known && is_paged(breach, context) {
                    self.index.add_evidence(breach);
                    let wait = policy_of(breach, context).grouping.group_wait;
                    self.hold(breach, breach.detected_at + wait);
                }
            }
            // A bad window, which may have been read before the window itself.
            Transition::Sustained if breach.revision == 0 => {
                if let Some(id) = self.index.incident_of(&breach.breach_id) {
                    let key = key_of(&breach.feature, &breach.feature_version, &breach.expectation);
                    self.progress.entry(id).or_default().count(key, breach.window_end, false);
                }
            }
            Transition::Sustained => {}
            Transition::Cleared | Transition::Retracted => {
                self.unhold(&breach.breach_id);
                if self.index.incident_of(&breach.breach_id).is_none() {
                    self.index.forget_evidence(breach);
                }
            }
        }
    }

    /// Counts again a window that was judged before, after the facts have
    /// been restored.
    pub fn restore_window(&mut self, window: &Window) {
        self.each_judged(window, |stage, id, key, good, _| {
            let progress = stage.progress.entry(id.to_owned()).or_default();
            progress.count(key.clone(), window.window_end, good);
        });
    }
}
