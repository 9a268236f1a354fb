//! What holds the pages of an incident back, that deadlines rest meanwhile, and
//! that nothing which was held back is lost.

use std::collections::BTreeSet;

use watchkeep_model::incident::data::{Entry, NotificationSkipped, Resumption};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::case::{Case, Kind};
use super::wrong;
use crate::simulation::Violation;

/// Reasons of a page that is held back by a quiet.
pub(super) const QUIET: [&str; 3] = ["silenced", "inhibited", "flapping"];

/// Reasons for paging that flapping damps.
const DAMPED: [&str; 2] = ["reopened", "verification_failed"];

const TELLS: &str = "what ends a quiet tells how the incident goes on";

/// What holds pages back.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    pub(super) silences: BTreeSet<String>,
    pub(super) inhibited_by: Option<String>,
    flaps: bool,
    /// A page of the present step was held back and is still due.
    pub(super) owes: bool,
    /// The same, due or not.
    pub(super) held: bool,
    /// Since when deadlines rest.
    since: Option<Timestamp>,
    /// Pages go out now, by a fact that is still to come.
    pub(super) must_tell: bool,
}

impl Quiet {
    /// What is over is under no quiet any more. That it comes and goes stays so.
    pub(super) fn over(&mut self) {
        let flaps = self.flaps;
        *self = Self { flaps, ..Self::default() };
    }

    fn is_muted(&self) -> bool {
        !self.silences.is_empty() || self.inhibited_by.is_some()
    }
}

impl Case {
    /// True where no page whatever goes out.
    pub(super) fn is_muted(&self) -> bool {
        self.quiet.is_muted()
    }

    /// True where deadlines rest because nobody is told.
    pub(super) fn rests(&self) -> bool {
        self.quiet.is_muted() || self.quiet.held && self.holds(self.entry_reason).is_some()
    }

    /// Notes since when deadlines rest, after a fact.
    pub(super) fn rest_from(&mut self, at: Timestamp) {
        self.quiet.since = match self.rests() && !self.is_resolved {
            true => self.quiet.since.or(Some(at)),
            false => None,
        };
    }

    /// What holds a page for this reason back.
    pub(super) fn holds(&self, reason: &str) -> Option<String> {
        let Quiet { silences, inhibited_by, flaps, .. } = &self.quiet;
        let silence = silences.first().map(|silence| format!("silence {silence}"));
        let other = inhibited_by.as_ref().map(|by| format!("incident {by}"));
        let flaps = (*flaps && DAMPED.contains(&reason)).then(|| "it flaps".to_owned());
        silence.or(other).or(flaps)
    }

    /// A page was held back; it must be so for a reason.
    pub(super) fn hold(
        &mut self,
        data: &NotificationSkipped,
        fact: &Fact,
    ) -> Result<(), Violation> {
        if !QUIET.contains(&data.reason.as_str()) {
            return Ok(());
        }
        if self.holds(self.entry_reason).is_none() {
            return Err(wrong("pages are held back for a reason", "nothing is quiet", fact));
        }
        // Who is handed an incident waits by themself.
        let is_of_step = self.stands_on(&data.step, data.climb) && !data.handoff;
        self.quiet.owes |= is_of_step;
        self.quiet.held |= is_of_step;
        Ok(())
    }

    /// True where the incident asks by this step in this climb now.
    pub(super) fn stands_on(&self, step: &str, climb: u32) -> bool {
        let own = if self.is_exhausted { "on_exhausted" } else { &self.entry.step };
        step == own && climb == self.entry.climb
    }

    /// A quiet begins or ends.
    pub(super) fn hush(&mut self, fact: &Fact) -> Result<(), Violation> {
        let quiet = &mut self.quiet;
        let (was_so, resumes) = match &fact.data {
            FactData::Silenced(data) => {
                return match quiet.silences.insert(data.silence.clone()) {
                    true => Ok(()),
                    false => Err(wrong("a quiet begins once", "it was silenced by it", fact)),
                };
            }
            FactData::Inhibited(data) => {
                return match quiet.inhibited_by.replace(data.by.clone()) {
                    Some(before) if before == data.by => {
                        Err(wrong("a quiet begins once", "it was inhibited by it", fact))
                    }
                    _ => Ok(()),
                };
            }
            FactData::FlappingStarted(data) => {
                return match std::mem::replace(&mut quiet.flaps, true) {
                    true => Err(wrong("a quiet begins once", "it flaps already", fact)),
                    false => self.flap(data.ends_at, fact),
                };
            }
            FactData::Unsilenced(data) => (quiet.silences.remove(&data.silence), &data.resumes),
            FactData::Uninhibited(data) => {
                let by = quiet.inhibited_by.take();
                (by.as_ref() == Some(&data.by), &data.resumes)
            }
            FactData::FlappingEnded(data) => {
                let was_so = std::mem::take(&mut quiet.flaps);
                self.flap(None, fact)?;
                (was_so, &data.resumes)
            }
            _ => return Ok(()),
        };
        if !was_so {
            return Err(wrong("only what has begun ends", "it was not quiet for that", fact));
        }
        self.resume(resumes.as_ref(), fact)
    }

    /// It goes on to come and go.
    pub(super) fn flaps_on(
        &mut self,
        until: Option<Timestamp>,
        fact: &Fact,
    ) -> Result<(), Violation> {
        match self.quiet.flaps && until.is_some() {
            true => self.flap(until, fact),
            false => Err(wrong("only what has begun goes on", "it does not flap", fact)),
        }
    }

    /// Whether it comes and goes is looked at when that was announced.
    fn flap(&mut self, ends_at: Option<Timestamp>, fact: &Fact) -> Result<(), Violation> {
        if let Some(at) = self.standing.remove(&Kind::Flap) {
            if at > fact.recorded_at || at != fact.occurred_at {
                let why = format!("it was to be looked at again at {at}");
                return Err(wrong("every due_at is answered once", &why, fact));
            }
            self.fired += 1;
        }
        self.set(Kind::Flap, ends_at);
        self.quiet.flaps = ends_at.is_some();
        Ok(())
    }

    fn resume(&mut self, resumes: Option<&Resumption>, fact: &Fact) -> Result<(), Violation> {
        let asks = !self.is_resolved && !self.is_resting && !self.is_remediated;
        let is_held = self.quiet.owes && self.holds(self.entry_reason).is_some();
        let goes_on = asks && !self.quiet.is_muted() && !is_held;
        match (resumes, self.quiet.since.filter(|_| goes_on)) {
            (None, None) => Ok(()),
            (Some(resumes), Some(since)) => self.go_on(resumes, since, fact),
            (resumes, since) => {
                let is = format!("it rests since {since:?}, and that goes on with {resumes:?}");
                Err(wrong(TELLS, &is, fact))
            }
        }
    }

    fn go_on(
        &mut self,
        resumes: &Resumption,
        since: Timestamp,
        fact: &Fact,
    ) -> Result<(), Violation> {
        if resumes.pages != self.quiet.owes {
            let why = format!("pages were held back: {}", self.quiet.owes);
            return Err(wrong("no page that was held back is lost", &why, fact));
        }
        self.later(Kind::Expiry, resumes.expires_at, since, fact)?;
        self.later(Kind::Rollback, resumes.rollback_by, since, fact)?;
        if self.is_exhausted && !resumes.pages {
            return self.later(Kind::Repeat, resumes.repeat_at, since, fact);
        }
        if self.is_exhausted {
            self.answer(&[Kind::Repeat]);
        } else if let Some(entry) = resumes.entry.as_ref().filter(|_| resumes.pages) {
            self.enters_anew(entry, fact)?;
            self.stand_on(entry);
        } else if let Some(entry) = &resumes.entry {
            self.later(Kind::Acknowledge, entry.acknowledge_by, since, fact)?;
            self.later(Kind::Remediate, entry.remediate_by, since, fact)?;
            self.later(Kind::Decide, entry.decide_by, since, fact)?;
        } else if !self.standing.contains_key(&Kind::Enter) {
            return Err(wrong(TELLS, "the step is entered, and none is told", fact));
        }
        self.quiet.must_tell =
            resumes.pages && (self.is_exhausted || self.entry.enters_at <= fact.recorded_at);
        self.quiet.owes = false;
        self.quiet.held = false;
        Ok(())
    }

    /// The same step begins anew, with as much time as at first.
    fn enters_anew(&self, entry: &Entry, fact: &Fact) -> Result<(), Violation> {
        let spans = |entry: &Entry| {
            [entry.acknowledge_by, entry.remediate_by, entry.decide_by]
                .map(|at| at.map(|at| at.since(entry.enters_at)))
        };
        let is_same = entry.step == self.entry.step && entry.climb == self.entry.climb;
        let is_whole = spans(entry) == spans(&self.entry) && entry.enters_at >= fact.recorded_at;
        if is_same && is_whole {
            return Ok(());
        }
        Err(wrong(TELLS, &format!("{:?} is to begin anew", self.entry), fact))
    }

    /// A deadline that stands has moved by the time for which it rested: since
    /// that began, or since it was set where that was later.
    fn later(
        &mut self,
        kind: Kind,
        to: Option<Timestamp>,
        since: Timestamp,
        fact: &Fact,
    ) -> Result<(), Violation> {
        let set_at = match kind {
            Kind::Expiry | Kind::Rollback | Kind::Repeat => self.set_at.get(&kind).copied(),
            _ => Some(self.entry.enters_at),
        };
        let since = since.max(set_at.unwrap_or(since));
        let rested = fact.recorded_at.since(since).max(TimeSpan::ZERO);
        let Some(before) = self.standing.get_mut(&kind) else { return Ok(()) };
        let wanted = *before + rested;
        if to != Some(wanted) {
            let why = format!("{kind:?} was due at {before} and rested for {rested}");
            return Err(wrong("deadlines move by the time for which they rest", &why, fact));
        }
        *before = wanted;
        Ok(())
    }

    /// Nothing is held back that nothing holds.
    ///
    /// # Errors
    /// A page that is.
    pub(super) fn holds_for_a_reason(&self) -> Result<(), Violation> {
        let invariant = "no page that was held back is lost";
        let asks = !self.is_resolved && !self.is_resting && !self.is_remediated;
        if self.quiet.must_tell {
            return Err(wrong(invariant, "nobody is told of the step", &self.last));
        }
        if asks && self.quiet.owes && self.holds(self.entry_reason).is_none() {
            return Err(wrong(invariant, "nothing is quiet any more", &self.last));
        }
        Ok(())
    }
}
