//! What each fact makes of an incident.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::incident::data::{
    BreachAttached, DeliveryOutcome, DeliveryReported, Entry, NotificationSkipped, Notified,
    Reopened,
};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::time::Timestamp;

use super::people::{HANDOFF, action};
use super::quiet::{self, Update, step_of};
use super::{
    Acknowledgement, Attached, BreachKey, DELIVERY_FAILED, Incident, JOINED_TOLD, Paged, Remedy,
    State, UPDATE_SENT, key_of,
};
use crate::message::page_id;

impl Incident {
    pub(super) fn take(&mut self, fact: &Fact) {
        match &fact.data {
            FactData::BreachAttached(data) => self.attach(data),
            FactData::BreachCleared(data) => {
                let key = key_of(&data.feature, &data.feature_version, &data.expectation);
                self.close(&key, &data.breach_id);
                if self.attached.get(&key).is_some_and(|attached| attached.open.is_empty()) {
                    self.quiet.change(key, data.window_end, None);
                }
                if self.open_features.is_empty() {
                    self.resting = true;
                    self.cleared_at = Some(fact.occurred_at);
                    self.settles_at = data.settles_at;
                    if self.remediated.is_none() {
                        self.counting_from = Some(data.window_end);
                    }
                }
            }
            FactData::SeverityChanged(data) => {
                self.severity = data.to;
                if let Some(entry) = &data.entry {
                    self.entry = entry.clone();
                }
            }
            FactData::OwnerResolved(data) => {
                self.owner.clone_from(&data.owner);
                self.unowned = data.unowned;
            }
            FactData::Notified(data) => {
                self.page(data, fact);
                // Who is handed an incident that waits does not end its waiting,
                // nor does what tells of a step that was entered before.
                let waits = fact.occurred_at < self.entry.enters_at;
                let is_entry = ![quiet::DIGEST, DELIVERY_FAILED].contains(&data.reason.as_str());
                self.entered |= is_entry && (data.reason != HANDOFF || !waits);
                if self.owner.as_ref() == Some(&data.target) {
                    self.people.handed_over |= self.people.assigned.is_some();
                }
                (self.update.told_at, self.update.due_at) = (Some(fact.occurred_at), None);
                self.repeat(data.repeat_at, fact.recorded_at);
            }
            FactData::NotificationSkipped(data) => {
                self.entered |= fact.occurred_at >= self.entry.enters_at;
                // It was on its way, perhaps, and did not get there.
                if self.owner == data.target && (data.handoff || self.is_not_told(data)) {
                    self.people.handed_over = false;
                }
                self.repeat(data.repeat_at, fact.recorded_at);
            }
            FactData::Acknowledged(data) => {
                self.state = State::Acknowledged;
                self.leave(Some(&fact.actor));
                // Whoever answers knows that it is theirs.
                if self.owner.as_ref() == Some(&fact.actor) {
                    self.people.handed_over |= self.people.assigned.is_some();
                }
                self.acknowledged = Some(Acknowledgement {
                    by: fact.actor.clone(),
                    expires_at: data.expires_at,
                    recorded_at: fact.recorded_at,
                });
            }
            FactData::AcknowledgementExpired(data) => {
                self.state = State::Triggered;
                self.acknowledged = None;
                if let Some(entry) = &data.entry {
                    self.enter(entry, "ack_timeout");
                }
            }
            FactData::Escalated(data) => {
                self.fired.insert((data.from_step.clone(), data.trigger.clone()));
                let failed = data.trigger == "verification_failed";
                self.enter(&data.entry, if failed { "verification_failed" } else { "escalated" });
            }
            FactData::SignedOff(data) => {
                self.decided |= !data.undecided;
                self.signatures.insert((data.gate.clone(), fact.actor.clone()), data.approve);
            }
            FactData::Remediated(data) => {
                self.state = State::Remediated;
                self.remediated = Some(Remedy { by: fact.actor.clone(), action: data.action });
                self.resting = true;
                self.decided = true;
                // Windows lag behind: one that ended before shows nothing of it.
                self.counting_from = data.windows_seen_to.max(Some(fact.occurred_at));
            }
            FactData::Verified(_) => {
                self.state = State::Verified;
                self.resting = true;
            }
            FactData::VerificationFailed(data) => {
                self.begin_anew();
                self.counting_from = Some(data.window_end);
            }
            FactData::Resolved(data) => {
                self.state = State::Resolved;
                self.resting = true;
                self.repeat_at = None;
                self.update = Update { told_at: self.update.told_at, ..Update::default() };
                self.reopens_until = Some(data.reopens_until);
            }
            FactData::DeliveryReported(data) => {
                self.delivered(data);
            }
            FactData::Reopened(data) => self.reopen(data),
            FactData::Exhausted(_) => {
                self.exhausted = true;
                // What waits for a digest or was held back was asked for by the
                // steps before.
                self.quiet.held = false;
                self.quiet.page_anew();
            }
            FactData::Reviewed(_) => self.state = State::Reviewed,
            FactData::Closed(_) => {
                self.state = State::Closed;
                self.reopens_until = None;
            }
            FactData::Merged(_) => {
                self.state = State::Closed;
                self.resting = true;
                self.repeat_at = None;
            }
            FactData::ActionRecorded(data) if data.action == action::REFUSAL_LAPSED => {
                for one in &data.informed {
                    self.signatures.remove(&(one.role.clone(), one.target.clone()));
                }
            }
            FactData::ActionRecorded(data) if data.action == JOINED_TOLD => {
                self.update.owed.clear();
            }
            FactData::ActionRecorded(data) if data.action == UPDATE_SENT => {
                self.update = Update { told_at: Some(fact.occurred_at), ..Update::default() };
            }
            FactData::Opened(_)
            | FactData::ActionRecorded(_)
            | FactData::CommandRejected(_)
            | FactData::FlappingStarted(_)
            | FactData::FlappingEnded(_)
            | FactData::Silenced(_)
            | FactData::Unsilenced(_)
            | FactData::Inhibited(_)
            | FactData::Uninhibited(_) => {}
        }
    }

    fn attach(&mut self, data: &BreachAttached) {
        let key = key_of(&data.feature, &data.feature_version, &data.expectation);
        let attached = self.attached.entry(key).or_insert_with(|| Attached {
            open: BTreeSet::new(),
            kind: data.kind,
            severity: data.severity,
            window: data.window.clone(),
            window_start: data.window_start,
            window_end: data.window_end,
            detected_at: data.detected_at,
            reason: String::new(),
        });
        attached.severity = data.severity;
        attached.window_start = attached.window_start.max(data.window_start);
        attached.window_end = attached.window_end.max(data.window_end);
        attached.detected_at = attached.detected_at.max(data.detected_at);
        attached.reason.clone_from(&data.reason);
        let was_good = attached.open.is_empty();
        if attached.open.insert(data.breach_id.clone()) {
            self.open_count += 1;
            *self.open_features.entry(data.feature.clone()).or_default() += 1;
            if was_good {
                let key = key_of(&data.feature, &data.feature_version, &data.expectation);
                self.quiet.change(key, data.window_end, Some(step_of(data)));
            }
        }
        self.update.due_at = self.update.due_at.or(data.update_at);
        for one in &data.informed_later {
            self.update.owed.entry(one.target.clone()).or_insert_with(|| one.role.clone());
        }
        self.consumers.extend(data.consumers.iter().cloned());
        self.informed.extend(data.informed.iter().map(|informed| informed.target.clone()));
        if self.state < State::Remediated {
            self.resting = false;
        }
    }

    fn close(&mut self, key: &BreachKey, breach_id: &str) {
        let attached = self.attached.get_mut(key);
        if !attached.is_some_and(|attached| attached.open.remove(breach_id)) {
            return;
        }
        self.open_count = self.open_count.saturating_sub(1);
        if let Some(count) = self.open_features.get_mut(&key.0) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.open_features.remove(&key.0);
            }
        }
    }

    /// Who is told in between, as of a handoff, does not end the repetition.
    fn repeat(&mut self, at: Option<Timestamp>, recorded_at: Timestamp) {
        if at.is_some() && self.repeat_at != at {
            (self.repeat_at, self.repeat_set_at) = (at, recorded_at);
        }
    }

    /// What became of a page, as far as it says whom it has not reached.
    fn delivered(&mut self, data: &DeliveryReported) {
        let Some((target, channel)) = data.target.as_ref().zip(data.channel.as_ref()) else {
            return;
        };
        let Some(paged) = self.paged.get_mut(target) else { return };
        if data.unreached {
            paged.failed.insert(channel.clone());
        } else if paged.hands_over && data.outcome == DeliveryOutcome::Delivered {
            let number = paged.channels.get(channel);
            let is_it =
                |number: &u64| page_id(&self.id, *number, target, channel) == data.escalation;
            paged.hands_over = !number.is_some_and(is_it);
        }
    }

    /// True where the page that was to hand the incident over reached nobody.
    fn is_not_told(&self, data: &NotificationSkipped) -> bool {
        let paged = data.target.as_ref().and_then(|target| self.paged.get(target));
        paged.is_some_and(|paged| {
            paged.hands_over && paged.channels.keys().all(|one| paged.failed.contains(one))
        })
    }

    /// Pages ask for nothing any more, by an answer or another step; whose the
    /// incident is stays to be told.
    fn leave(&mut self, answered_by: Option<&str>) {
        self.paged.retain(|user, paged| {
            paged.is_handoff = true;
            paged.hands_over && answered_by != Some(user.as_str())
        });
    }

    /// Each round of pages begins anew; one that failed goes on with the same.
    fn page(&mut self, data: &Notified, fact: &Fact) {
        let at = fact.occurred_at;
        let is_handoff = data.reason == HANDOFF;
        let is_owed = self.handoff_owed() == Some(&data.target);
        let is_answered = self.acknowledged.is_some();
        let begin = || Paged {
            role: data.role.clone(),
            step: data.step.clone(),
            climb: data.climb,
            at,
            channels: BTreeMap::new(),
            failed: BTreeSet::new(),
            is_handoff: is_handoff || is_owed && is_answered,
            hands_over: is_handoff || is_owed,
        };
        let paged = self.paged.entry(data.target.clone()).or_insert_with(begin);
        if data.reason != DELIVERY_FAILED {
            if paged.at != at {
                // Whether the one before got there is not known yet.
                let hands_over = paged.hands_over && self.owner.as_ref() == Some(&data.target);
                *paged = begin();
                paged.hands_over |= hands_over;
            }
            paged.hands_over |= is_handoff || is_owed;
            paged.step.clone_from(&data.step);
            paged.climb = data.climb;
        }
        if data.reason == DELIVERY_FAILED && data.carried_by.is_some() {
            // The report is in the log of the incident that spoke for this one.
            paged.failed = paged.channels.keys().cloned().collect();
        }
        // By the same channel once more: what becomes of that is not known yet.
        paged.failed.remove(&data.channel);
        paged.channels.insert(data.channel.clone(), fact.sequence);
    }

    fn enter(&mut self, entry: &Entry, reason: &str) {
        self.leave(None);
        self.entry = entry.clone();
        self.entry_reason = reason.to_owned();
        self.entered = false;
        self.resting = false;
        self.decided = false;
        // What was held back of the step before is asked for by this one.
        self.quiet.held = false;
        self.quiet.page_anew();
    }

    fn begin_anew(&mut self) {
        self.state = State::Triggered;
        self.acknowledged = None;
        self.remediated = None;
        // The clearing did not hold: deadlines run again, and what breaches
        // from now on joins. In a log the window that fails comes before the
        // breach that it opens, which must not fail it a second time.
        self.cleared_at = None;
        self.fired.clear();
        self.signatures.clear();
        self.exhausted = false;
        self.repeat_at = None;
    }

    fn reopen(&mut self, data: &Reopened) {
        self.begin_anew();
        self.severity = data.severity;
        self.informed_before.append(&mut self.informed);
        self.attached.clear();
        self.open_features.clear();
        self.open_count = 0;
        self.settles_at = None;
        self.counting_from = None;
        self.reopens_until = None;
        self.enter(&data.entry, "reopened");
    }
}
