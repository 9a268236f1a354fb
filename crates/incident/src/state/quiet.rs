//! What keeps an incident's pages back, and what follows from facts about it.

use std::collections::{BTreeMap, VecDeque};

use watchkeep_model::incident::data::{BreachAttached, NotificationSkipped, Resumption};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::policy::Flap;
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::{BreachKey, Incident};
use crate::decide::ON_EXHAUSTED;

/// Changes between good and bad that are remembered of one expectation. Beyond
/// it the oldest is forgotten; a policy that asks for more never sees flapping.
pub(crate) const CHANGES_MAX: usize = 64;

/// Reason of a page that a silence holds back.
pub const SILENCED: &str = "silenced";

/// Reason of a page that another incident makes needless.
pub const INHIBITED: &str = "inhibited";

/// Reason of a page that is held back because the incident comes and goes.
pub const FLAPPING: &str = "flapping";

/// The action of the fact that flapping goes on, and until when at least. It
/// begins once and ends once, however often it is prolonged.
pub const FLAPPING_GOES_ON: &str = "flapping_goes_on";

/// Reason of a page that waits for a digest.
pub const LIMITED: &str = "limited";

/// Reason of a page that waited for a digest.
pub const DIGEST: &str = "digest";

/// Reasons for entering a step that flapping damps: the incident came back.
const DAMPED: [&str; 2] = ["reopened", "verification_failed"];

/// What keeps pages back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quiet {
    /// Silences that the incident is under, and until when.
    pub silences: BTreeMap<String, Timestamp>,
    /// The incident that speaks for it.
    pub inhibited_by: Option<String>,
    /// When flapping is looked at again; `None` where it does not flap.
    pub flaps_until: Option<Timestamp>,
    /// From when on deadlines rest; `None` where they run.
    pub since: Option<Timestamp>,
    /// True where a page of the present step was held back and is still due.
    pub owes: bool,
    /// The same, due or not: whoever answers unasked does not start the clock
    /// of what nobody was asked.
    pub held: bool,
    /// Whose page of the present step waits for a digest, and by which role or
    /// name of the policy they are asked.
    pub limited: BTreeMap<String, String>,
    changes: BTreeMap<BreachKey, Changes>,
}

/// When an expectation turned from good to bad or back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Changes {
    /// From one window's end to the next one's.
    step: TimeSpan,
    /// Ends of windows, ascending.
    at: VecDeque<Timestamp>,
}

impl Quiet {
    /// Why a page for this reason is held back; `None` where it goes out.
    pub fn holds(&self, reason: &str) -> Option<&'static str> {
        let flaps = self.flaps_until.is_some() && DAMPED.contains(&reason);
        self.muted().or(flaps.then_some(FLAPPING))
    }

    /// Why no page whatever goes out.
    pub fn muted(&self) -> Option<&'static str> {
        if !self.silences.is_empty() {
            Some(SILENCED)
        } else {
            self.inhibited_by.is_some().then_some(INHIBITED)
        }
    }

    /// True where deadlines rest: nobody is told, so nobody can answer. An
    /// incident that flaps and has paged is asked about as ever, and so is one
    /// whose step was entered for a reason that flapping does not damp.
    pub fn rests(&self, reason: &str) -> bool {
        self.muted().is_some() || self.held && self.holds(reason).is_some()
    }

    /// Expectations that have changed.
    pub fn changed(&self) -> impl Iterator<Item = &BreachKey> {
        self.changes.keys()
    }

    /// How often an expectation has changed among the windows looked at, and
    /// until when that is flapping without a further change; `None` where it
    /// is not. It ends when fewer than `changes` of them are left, or sooner
    /// when for as many windows as lie between two changes of that frequency
    /// there was none.
    pub fn flaps(&self, key: &BreachKey, flap: Flap, at: Timestamp) -> Option<(u32, Timestamp)> {
        let changes = self.changes.get(key)?;
        let needed = usize::try_from(flap.changes).ok()?.max(2);
        let span = changes.step.times(i64::from(flap.look_back));
        let recent: Vec<Timestamp> = changes.recent(span, at).collect();
        let first = *recent.get(recent.len().checked_sub(needed)?)?;
        let between = i64::from(flap.look_back).div_euclid(i64::try_from(needed).ok()?).max(1);
        let calm = *recent.last()? + changes.step.times(between);
        let ends_at = calm.min(first + span);
        let count = u32::try_from(recent.len()).unwrap_or(u32::MAX);
        (ends_at > at).then_some((count, ends_at))
    }

    /// How often the expectation that changed most has changed among the
    /// windows looked at.
    pub fn most_changes(&self, flap: Flap, at: Timestamp) -> u32 {
        let counts = self.changes.values().map(|changes| {
            changes.recent(changes.step.times(i64::from(flap.look_back)), at).count()
        });
        counts.max().and_then(|most| u32::try_from(most).ok()).unwrap_or(0)
    }

    pub(super) fn change(&mut self, key: BreachKey, at: Timestamp, step: Option<TimeSpan>) {
        let changes = self.changes.entry(key).or_default();
        changes.step = step.unwrap_or(changes.step);
        changes.at.push_back(at);
        if changes.at.len() > CHANGES_MAX {
            changes.at.pop_front();
        }
    }

    fn over(&mut self) {
        self.silences.clear();
        self.inhibited_by = None;
        self.held = false;
        self.page_anew();
    }

    /// Whatever was held back is asked for anew, or not at all.
    pub(super) fn page_anew(&mut self) {
        self.owes = false;
        self.limited.clear();
    }

    fn limit(&mut self, data: &NotificationSkipped) {
        let (Some(target), Some(role)) = (&data.target, &data.role) else { return };
        if data.digest_at.is_some() {
            self.limited.insert(target.clone(), role.clone());
        } else {
            self.limited.remove(target);
        }
    }
}

impl Changes {
    fn recent(&self, span: TimeSpan, at: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        self.at.iter().copied().filter(move |change| *change + span > at)
    }
}

/// From one window's end to the next one's: the hop where the window's name
/// tells one, else its length.
pub(super) fn step_of(data: &BreachAttached) -> TimeSpan {
    let named = data.window.rsplit('/').next().and_then(|text| text.parse().ok());
    named.unwrap_or_else(|| data.window_end.since(data.window_start))
}

/// Joined breaches that no message has told of yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// When a message told of the incident's breaches last.
    pub told_at: Option<Timestamp>,
    /// When the next one is due; `None` where there is nothing to tell.
    pub due_at: Option<Timestamp>,
    /// Who is told besides those who follow the incident, and why them: what
    /// they use or own has joined.
    pub owed: BTreeMap<String, String>,
}

impl Incident {
    /// What a fact changes of the quiet, before the rest of the incident.
    pub(super) fn hush(&mut self, fact: &Fact) {
        match &fact.data {
            FactData::Silenced(data) => {
                self.quiet.silences.insert(data.silence.clone(), data.until);
            }
            FactData::Unsilenced(data) => {
                self.quiet.silences.remove(&data.silence);
                self.resume(data.resumes.as_ref());
            }
            FactData::Inhibited(data) => self.quiet.inhibited_by = Some(data.by.clone()),
            FactData::Uninhibited(data) => {
                self.quiet.inhibited_by = None;
                self.resume(data.resumes.as_ref());
            }
            FactData::FlappingStarted(data) => self.quiet.flaps_until = data.ends_at,
            FactData::ActionRecorded(data) if data.action == FLAPPING_GOES_ON => {
                self.quiet.flaps_until = data.due_at;
            }
            FactData::FlappingEnded(data) => {
                self.quiet.flaps_until = None;
                self.resume(data.resumes.as_ref());
            }
            FactData::NotificationSkipped(data) => {
                let is_held = [SILENCED, INHIBITED, FLAPPING].contains(&data.reason.as_str())
                    && !is_handoff(data);
                if self.stands_on(data) {
                    self.quiet.owes |= is_held;
                    self.quiet.held |= is_held;
                    self.quiet.limit(data);
                }
            }
            FactData::Notified(data) => _ = self.quiet.limited.remove(&data.target),
            FactData::Acknowledged(_) => self.quiet.page_anew(),
            FactData::Resolved(_) | FactData::Merged(_) => self.quiet.over(),
            _ => {}
        }
    }

    /// False for a page of an earlier step that waited for a digest: what it
    /// asked for, the present step asks for.
    fn stands_on(&self, data: &NotificationSkipped) -> bool {
        let step = if self.exhausted { ON_EXHAUSTED } else { &self.entry.step };
        data.step == step && data.climb == self.entry.climb
    }

    /// Whether deadlines rest after a fact, and since when: a command may be
    /// taken long after its `at`, and deadlines ran until then.
    pub(super) fn rest_after(&mut self, fact: &Fact) {
        self.quiet.since = match self.rests() && self.is_open() {
            true => self.quiet.since.or(Some(fact.recorded_at)),
            false => None,
        };
    }

    fn resume(&mut self, resumes: Option<&Resumption>) {
        let Some(resumes) = resumes else { return };
        self.quiet.held = false;
        if let Some(entry) = &resumes.entry {
            self.entry = entry.clone();
            if resumes.pages {
                self.entered = false;
            }
        }
        if let Some(acknowledged) = &mut self.acknowledged {
            acknowledged.expires_at = resumes.expires_at.or(acknowledged.expires_at);
        }
        self.repeat_at = resumes.repeat_at.or(self.repeat_at);
        self.people.rollback_by = resumes.rollback_by.or(self.people.rollback_by);
        if resumes.pages {
            self.quiet.page_anew();
        }
    }
}

/// True for the page of a handoff, which is owed to one person alone and says
/// nothing of the step. Of `on_exhausted`, which names no role, older facts
/// tell by that alone.
fn is_handoff(data: &NotificationSkipped) -> bool {
    data.handoff || (data.step == ON_EXHAUSTED && data.role.as_deref() == Some("primary"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flapping_lets_rest_only_what_it_holds_back() {
        let flaps_until = Some(Timestamp::from_millis(1));
        let quiet = Quiet { flaps_until, held: true, ..Quiet::default() };
        assert!(quiet.rests("reopened"));
        // Another quiet held its page back, and is over: flapping damps only
        // what came back.
        assert!(!quiet.rests("first"));
        assert!(!Quiet { held: false, ..quiet }.rests("reopened"));
    }
}
