//! What keeps pages back and lets them go: silences, other incidents, flapping.

use watchkeep_model::breach::Breach;
use watchkeep_model::incident::FactData;
use watchkeep_model::incident::data::{
    ActionRecorded, Flapping, Informed, Inhibited, NotificationSkipped, Notified, Resumption,
    Silenced, Uninhibited, Unsilenced,
};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::{Decision, Doing, ON_EXHAUSTED};
use crate::message;
use crate::pages::Waiting;
use crate::silence::Labels;
use crate::state::quiet::{DIGEST, FLAPPING_GOES_ON, Quiet};
use crate::state::{JOINED_TOLD, State, UPDATE_SENT, key_of};

impl Decision<'_> {
    /// Puts the incident under the silences that match it now, and takes it
    /// out of those that match it no longer.
    pub(crate) fn match_silences(&mut self, doing: &Doing) {
        if !self.incident.is_open() {
            return;
        }
        let now = self.world.now;
        let labels = Labels {
            incident: &*self.incident,
            charter: self.world.charter.as_deref(),
            directory: self.world.context.directory_at(now),
        };
        let over = self.world.silences.over(labels, now).map(|silence| silence.data.clone());
        let over: Vec<Silenced> = over.collect();
        let under = &self.incident.quiet.silences;
        let gone: Vec<String> = under
            .keys()
            .filter(|id| {
                let stands = self.world.silences.get(id).is_some_and(|one| one.is_active(now));
                stands && !over.iter().any(|one| one.silence == **id)
            })
            .cloned()
            .collect();
        let new = over.into_iter().filter(|one| !under.contains_key(&one.silence));
        for silence in new.collect::<Vec<_>>() {
            // What is overdue comes under silences that have begun since.
            let (at, cause) = (doing.at.max(silence.from), format!("silence {}", silence.silence));
            let by = Doing { at, cause: Some(cause), ..doing.clone() };
            self.record(&by, FactData::Silenced(silence));
        }
        for id in gone {
            self.unsilence(&id, "no_match", doing);
        }
    }

    /// Takes the incident out of a silence.
    pub(crate) fn unsilence(&mut self, silence: &str, reason: &str, doing: &Doing) {
        if !self.incident.quiet.silences.contains_key(silence) {
            return;
        }
        let resumes = self.resumption(|quiet| {
            quiet.silences.remove(silence);
        });
        let data = Unsilenced {
            silence: silence.to_owned(),
            reason: reason.to_owned(),
            resumes: resumes.clone(),
        };
        self.record(doing, FactData::Unsilenced(data));
        self.go_on(resumes.as_ref(), doing);
        self.tell_owner(doing);
    }

    /// Lets another incident speak for this one.
    pub(crate) fn inhibit(&mut self, by: &str, rule: &str, doing: &Doing) {
        if !self.incident.is_open() || self.incident.quiet.inhibited_by.as_deref() == Some(by) {
            return;
        }
        let data = Inhibited { by: by.to_owned(), rule: rule.to_owned() };
        self.record(doing, FactData::Inhibited(data));
    }

    /// Lets the incident speak for itself again.
    pub(crate) fn uninhibit(&mut self, reason: &str, doing: &Doing) {
        let Some(by) = self.incident.quiet.inhibited_by.clone() else { return };
        let resumes = self.resumption(|quiet| quiet.inhibited_by = None);
        let data = Uninhibited { by, reason: reason.to_owned(), resumes: resumes.clone() };
        self.record(doing, FactData::Uninhibited(data));
        self.go_on(resumes.as_ref(), doing);
        self.tell_owner(doing);
    }

    /// Whether the change that a breach stands for makes it flap.
    pub(crate) fn check_flapping(&mut self, breach: &Breach, doing: &Doing) {
        let Some(flap) = self.world.policy.damping.flap else { return };
        if self.incident.quiet.flaps_until.is_some() {
            return;
        }
        let key = key_of(&breach.feature, &breach.feature_version, &breach.expectation);
        if let Some((changes, ends_at)) = self.incident.quiet.flaps(&key, flap, self.world.now) {
            let (look_back, ends_at) = (flap.look_back, Some(ends_at));
            let data = Flapping { changes, look_back, ends_at, resumes: None };
            self.record(doing, FactData::FlappingStarted(data));
        }
    }

    /// Looks again whether the incident comes and goes.
    pub(super) fn flap_ends(&mut self, doing: &Doing) {
        let now = self.world.now;
        let flap = self.world.policy.damping.flap;
        let quiet = &self.incident.quiet;
        let still = flap.and_then(|flap| {
            let all = quiet.changed().filter_map(|key| quiet.flaps(key, flap, now));
            all.max_by_key(|(changes, ends_at)| (*ends_at, *changes))
        });
        let look_back = flap.map_or(0, |flap| flap.look_back);
        if let Some((changes, ends_at)) = still {
            let detail = format!("it changed {changes} times within {look_back} windows");
            let data = ActionRecorded {
                due_at: Some(ends_at),
                ..ActionRecorded::new(FLAPPING_GOES_ON, detail)
            };
            self.record(doing, FactData::ActionRecorded(data));
            return;
        }
        let changes = flap.map_or(0, |flap| quiet.most_changes(flap, now));
        let resumes = self.resumption(|quiet| quiet.flaps_until = None);
        let data = Flapping { changes, look_back, ends_at: None, resumes: resumes.clone() };
        self.record(doing, FactData::FlappingEnded(data));
        self.go_on(resumes.as_ref(), doing);
    }

    /// Tells those who follow the incident that breaches have joined it.
    pub(super) fn tell_update(&mut self, doing: &Doing) {
        let affected = self.incident.open_features.len();
        let detail: String = match affected {
            1 => "breaches have joined; one subject breaches now".into(),
            n => format!("breaches have joined; {n} subjects breach now"),
        };
        let informed = self.owed();
        let data = ActionRecorded { informed, ..ActionRecorded::new(UPDATE_SENT, detail) };
        self.record(doing, FactData::ActionRecorded(data));
        if let Some(fact) = self.out.facts.last() {
            message::status(self.incident, fact, "update", self.world, &mut self.out.escalations);
        }
    }

    /// A page has told whoever follows the incident of breaches that joined, so
    /// no update comes; those who are informed and not asked are told now.
    pub(crate) fn tell_joined(&mut self) {
        let update = &self.incident.update;
        if update.owed.is_empty() || update.due_at.is_some() || !self.incident.tells() {
            return;
        }
        let informed = self.owed();
        let detail = "breaches have joined, of which a page has told".to_owned();
        let data = ActionRecorded { informed, ..ActionRecorded::new(JOINED_TOLD, detail) };
        self.record(&Doing::system(self.world.now, "page"), FactData::ActionRecorded(data));
    }

    /// Who is to be told of what joined, besides those who follow the incident.
    fn owed(&self) -> Vec<Informed> {
        let owed = self.incident.update.owed.iter();
        owed.map(|(target, role)| Informed { target: target.clone(), role: role.clone() }).collect()
    }

    /// Pages a person in a digest: by the step's channels, or carried by the
    /// message of another incident over its channels. Returns the channels,
    /// none where something holds the page back by now.
    pub(crate) fn notify_digest(
        &mut self,
        doing: &Doing,
        user: &str,
        waiting: &Waiting,
        carrier: Option<(&str, &[String])>,
    ) -> Vec<String> {
        let climb = waiting.climb;
        let repeat_at = self.incident.repeats_at();
        let (target, role) = (user.to_owned(), waiting.role.clone());
        if let Some(why) = self.incident.quiet.holds(&self.incident.entry_reason) {
            // What somebody has answered asks nobody else any more.
            let is_answered = self.incident.acknowledged.is_some();
            let data = NotificationSkipped {
                step: waiting.step.clone(),
                climb,
                target: Some(target),
                role: Some(role),
                reason: why.to_owned(),
                repeat_at,
                digest_at: None,
                handoff: is_answered && self.incident.handoff_owed() == Some(user),
            };
            self.record(doing, FactData::NotificationSkipped(data));
            return Vec::new();
        }
        let step = self.world.policy.steps.iter().find(|step| step.name == waiting.step);
        let channels = match carrier {
            Some((_, channels)) => channels.to_vec(),
            None => self.channels(step.map_or(&[][..], |step| &step.channels), user),
        };
        for channel in &channels {
            let data = Notified {
                step: waiting.step.clone(),
                climb,
                target: target.clone(),
                role: role.clone(),
                channel: channel.clone(),
                respond_by: self.incident.respond_by(),
                reason: DIGEST.into(),
                repeat_at,
                carried_by: carrier.map(|(id, _)| id.to_owned()),
            };
            self.record(doing, FactData::Notified(data));
        }
        channels
    }

    /// Asks those anew whose pages waited for a digest and were given up as
    /// the last breach cleared, where another comes at the same instant.
    pub(super) fn page_limited(&mut self, doing: &Doing) {
        let policy = self.world.policy;
        let incident = &*self.incident;
        let (exhausted, repeat_at) = (incident.exhausted, incident.repeats_at());
        let limited = incident.quiet.limited.clone();
        let step = policy.steps.get(self.step_index()).filter(|_| !exhausted);
        let reason = if exhausted { "exhausted" } else { &incident.entry_reason }.to_owned();
        let name = step.map_or(ON_EXHAUSTED, |step| step.name.as_str());
        let channels = step.map_or(&[][..], |step| &step.channels);
        for (user, role) in limited {
            self.notify(doing, name, channels, &user, &role, &reason, repeat_at);
        }
    }

    /// When a message tells of a breach that joins now; `None` for one that the
    /// incident opens with or that its step will tell of.
    pub(super) fn update_at(&self) -> Option<Timestamp> {
        let incident = &*self.incident;
        if !incident.entered || incident.resting {
            return None;
        }
        let told_at = incident.update.told_at.unwrap_or(incident.opened_at);
        let next = told_at + self.world.policy.grouping.group_interval;
        // One that was due under a quiet goes out when that ends.
        Some(incident.update.due_at.unwrap_or(next).max(self.world.now))
    }

    /// How the incident goes on once a quiet has ended: `None` where another
    /// one goes on or nothing is asked of anybody.
    fn resumption(&self, end: impl FnOnce(&mut Quiet)) -> Option<Resumption> {
        let incident = &*self.incident;
        let mut after = incident.quiet.clone();
        end(&mut after);
        let holds = after.holds(&incident.entry_reason).is_some();
        let still = after.muted().is_some() || after.owes && holds;
        if still || !incident.is_open() || incident.resting || incident.state >= State::Remediated {
            return None;
        }
        let now = self.world.now;
        let since = incident.quiet.since?;
        // A deadline rests from when it was set, at the earliest. A clock may go back.
        let later = |at: Option<Timestamp>, set_at: Timestamp| {
            at.map(|at| at + now.since(since.max(set_at)).max(TimeSpan::ZERO))
        };
        let pages = after.owes;
        let expires_at =
            incident.acknowledged.as_ref().and_then(|ack| later(ack.expires_at, ack.recorded_at));
        let rollback_by = later(incident.people.rollback_by, incident.people.rollback_ordered_at);
        let mut resumes =
            Resumption { pages, entry: None, expires_at, rollback_by, repeat_at: None };
        if incident.exhausted {
            let repeat_at = later(incident.repeat_at, incident.repeat_set_at);
            resumes.repeat_at = repeat_at.filter(|_| !pages);
        } else if pages {
            resumes.entry = Some(self.entry(self.step_index(), incident.entry.climb, now));
        } else if incident.entered {
            let mut entry = incident.entry.clone();
            for due_at in [&mut entry.acknowledge_by, &mut entry.remediate_by, &mut entry.decide_by]
            {
                *due_at = later(*due_at, incident.entry.enters_at);
            }
            resumes.entry = Some(entry);
        }
        Some(resumes)
    }

    fn go_on(&mut self, resumes: Option<&Resumption>, doing: &Doing) {
        let Some(resumes) = resumes else { return };
        let now = doing.at(self.world.now);
        match (resumes.pages, self.incident.exhausted) {
            (true, false) => self.enter_if_due(&now),
            (false, false) => self.check_triggers(&now),
            (true, true) => _ = self.notify_exhausted(&now, "repeat"),
            (false, true) => {}
        }
    }

    /// Tells whom nobody could tell that it is theirs now, whatever else the
    /// incident asks for: with the step where that waits, or with the digest.
    fn tell_owner(&mut self, doing: &Doing) {
        let incident = &*self.incident;
        let Some(user) = incident.handoff_owed() else { return };
        let is_due = incident.quiet.muted().is_none() && (incident.entered || incident.exhausted);
        if is_due && !self.world.pages.waiting_for(&incident.id).iter().any(|one| one == user) {
            let _ = self.hand_over(&doing.at(self.world.now), &[]);
        }
    }
}
