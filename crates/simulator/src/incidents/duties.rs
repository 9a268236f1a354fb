//! What incidents owe, whatever their policy, told from facts and messages
//! alone: every deadline that a fact sets is answered once, by firing or by
//! what makes it void; nothing fires that was not set or before its time; no
//! page goes out for what is over; no page, breach or command is lost and none
//! doubled; chains are dense.
//!
//! Shares no code with the crate that decides.

mod case;
mod digests;
mod flaps;
mod quiet;
mod reach;
mod silences;
mod speaks;
mod tell;

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::escalation::{Audience, Escalation};
use watchkeep_model::incident::{Fact, FactData, FactName, check_link};
use watchkeep_model::time::{TimeSpan, Timestamp};

use self::case::Case;
use self::digests::Digests;
use self::flaps::Flaps;
use self::reach::Carried;
use self::silences::Silences;
use crate::simulation::Violation;

/// What was counted in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Incidents.
    pub incidents: u64,
    /// Facts.
    pub facts: u64,
    /// Pages.
    pub pages: u64,
    /// Deadlines that a fact has set …
    pub deadlines: u64,
    /// … those that fired …
    pub fired: u64,
    /// … and those that somebody answered or that became void.
    pub answered: u64,
    /// Commands.
    pub commands: u64,
    /// Pages that a silence, another incident or flapping held back.
    pub held_back: u64,
    /// Pages that waited for a digest and went out in one.
    pub in_digests: u64,
    /// Silences that ended.
    pub silences: u64,
    /// Times that another incident began to speak for one.
    pub inhibited: u64,
    /// Times that one was found to flap.
    pub flapping: u64,
    /// Messages that tell of breaches which joined.
    pub updates: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.incidents += other.incidents;
        self.facts += other.facts;
        self.pages += other.pages;
        self.deadlines += other.deadlines;
        self.fired += other.fired;
        self.answered += other.answered;
        self.commands += other.commands;
        self.held_back += other.held_back;
        self.in_digests += other.in_digests;
        self.silences += other.silences;
        self.inhibited += other.inhibited;
        self.flapping += other.flapping;
        self.updates += other.updates;
    }
}

/// What is so in a run beyond what its facts tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// An incident without open breaches waits for nobody.
    pub settles_by_itself: bool,
    /// Everything is marked as an exercise.
    pub is_drill: bool,
    /// How far messages about joined breaches are apart.
    pub group_interval: TimeSpan,
    /// Pages to one person that may go out in a span.
    pub per_owner: Option<(u64, TimeSpan)>,
    /// How many changes among how many windows of a minute are flapping.
    pub flap: Option<(u32, u32)>,
    /// All that a subject is made from, by its typed name.
    pub upstream: BTreeMap<String, Vec<String>>,
}

/// Why somebody is paged who was put in the owner's place.
pub(super) const HANDOFF: &str = "handoff";

/// A page: incident, instant, step, climb, target, channel, deadline.
type Page = (String, Timestamp, String, u32, String, String, Option<Timestamp>);

/// Everything that is owed.
#[derive(Debug)]
pub struct Duties {
    terms: Terms,
    cases: BTreeMap<String, Case>,
    /// The last fact of chains that belong to no incident.
    desks: BTreeMap<String, Fact>,
    silences: Silences,
    digests: Digests,
    carried: Carried,
    flaps: Flaps,
    /// When the latest fact was written.
    now: Timestamp,
    /// Breaches that were told of, and whether the last line says it is open.
    breaches: BTreeMap<String, bool>,
    /// Breaches that were attached, and to which incident.
    attached: BTreeMap<String, String>,
    /// The incident that each merged one is one with.
    merged: BTreeMap<String, String>,
    /// Breaches of the commit that is being read that were attached before, to
    /// that incident.
    moved: Vec<(String, Fact)>,
    commands: BTreeSet<String>,
    /// Commands that a fact answers, by incident and name of the fact.
    answers: BTreeSet<(String, String, FactName)>,
    answered: BTreeSet<String>,
    /// Facts less messages of each page, and of each end.
    pages: BTreeMap<Page, i64>,
    ends: BTreeMap<(String, Timestamp), i64>,
    messages: BTreeSet<String>,
    counts: Counts,
}

impl Duties {
    /// Nothing is owed. Where `settles_by_itself`, incidents without open
    /// breaches wait for nobody.
    pub fn new(settles_by_itself: bool) -> Self {
        Self::under(Terms { settles_by_itself, ..Terms::default() })
    }

    /// Nothing is owed yet under these terms.
    pub fn under(terms: Terms) -> Self {
        Self {
            digests: Digests::under(terms.per_owner),
            carried: Carried::default(),
            flaps: Flaps::under(terms.flap),
            terms,
            cases: BTreeMap::new(),
            desks: BTreeMap::new(),
            silences: Silences::default(),
            now: Timestamp::MIN,
            breaches: BTreeMap::new(),
            attached: BTreeMap::new(),
            merged: BTreeMap::new(),
            moved: Vec::new(),
            commands: BTreeSet::new(),
            answers: BTreeSet::new(),
            answered: BTreeSet::new(),
            pages: BTreeMap::new(),
            ends: BTreeMap::new(),
            messages: BTreeSet::new(),
            counts: Counts::default(),
        }
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        let mut counts = self.counts;
        counts.incidents = self.cases.len() as u64;
        counts.in_digests = self.digests.pages;
        counts.silences = self.silences.ended;
        for case in self.cases.values() {
            counts.deadlines += case.made;
            counts.fired += case.fired;
            counts.answered += case.answered;
        }
        counts
    }

    /// A line of a breach was sent.
    pub fn breach(&mut self, breach: &Breach) {
        let is_open = matches!(breach.transition, Transition::Opened | Transition::Sustained);
        self.breaches.insert(breach.breach_id.clone(), is_open);
    }

    /// What becomes of a page that waits at its sink: `None` where it goes out.
    /// It is dropped once its incident is over or somebody has answered, and,
    /// with true, where a quiet holds pages back by now.
    pub fn drops(&self, incident: &str, hands_over: bool) -> Option<bool> {
        let case = self.cases.get(incident)?;
        let is_real = !case.last.drill;
        match () {
            () if case.is_resolved => Some(false),
            () if is_real && case.is_acknowledged && !hands_over => Some(false),
            () => (is_real && case.is_muted()).then_some(true),
        }
    }

    /// A command was sent.
    pub fn response(&mut self, id: &str) {
        self.counts.commands += 1;
        self.commands.insert(format!("response {id}"));
    }

    /// Takes in the next fact of the log.
    ///
    /// # Errors
    /// What must not be so.
    pub fn fact(&mut self, fact: Fact) -> Result<(), Violation> {
        self.counts.facts += 1;
        let id = fact.incident_id.clone();
        let known = self.cases.get(&id).map(|case| &case.last).or(self.desks.get(&id));
        check_link(known, &fact)
            .map_err(|error| Violation::new("chains are dense", error.to_string()))?;
        self.command(&fact)?;
        self.now = fact.recorded_at;
        if fact.drill != self.terms.is_drill {
            return Err(wrong("exercises are told apart", "it says the other", &fact));
        }
        self.count(&fact);
        self.flaps.follow(&fact)?;
        match &fact.data {
            // What another message carries has none of its own.
            FactData::Notified(data) if data.carried_by.is_none() => {
                self.counts.pages += 1;
                let page = (
                    id.clone(),
                    fact.occurred_at,
                    data.step.clone(),
                    data.climb,
                    data.target.clone(),
                    data.channel.clone(),
                    data.respond_by,
                );
                *self.pages.entry(page).or_default() += 1;
            }
            FactData::Resolved(_) => {
                *self.ends.entry((id.clone(), fact.occurred_at)).or_default() += 1;
            }
            FactData::BreachAttached(data) => {
                let before = self.attached.insert(data.breach_id.clone(), id.clone());
                self.moved.extend(before.map(|before| (before, fact.clone())));
            }
            FactData::Merged(data) => {
                self.merged.insert(id.clone(), data.into.clone());
            }
            _ => {}
        }
        let again = self.carried.follow(&fact);
        if let FactData::DeliveryReported(report) = &fact.data {
            for other in again {
                self.cases.get_mut(&other).into_iter().for_each(|case| case.owes_again(report));
            }
        }
        match self.cases.get_mut(&id) {
            Some(case) => {
                if matches!(fact.data, FactData::Notified(_)) {
                    self.silences.note_page(case, &fact);
                }
                case.follow(fact)?;
                self.digests.follow(case, &case.last)
            }
            None if matches!(fact.data, FactData::Opened(_)) => {
                self.cases.insert(id, Case::open(fact)?);
                Ok(())
            }
            // Chains of what belongs to no incident.
            None => {
                self.silences.follow(&fact)?;
                self.desks.insert(id, fact);
                Ok(())
            }
        }
    }

    fn count(&mut self, fact: &Fact) {
        match &fact.data {
            FactData::NotificationSkipped(data) => {
                let held = ["silenced", "inhibited", "flapping"].contains(&data.reason.as_str());
                self.counts.held_back += u64::from(held);
            }
            FactData::Inhibited(_) => self.counts.inhibited += 1,
            FactData::FlappingStarted(_) => self.counts.flapping += 1,
            FactData::ActionRecorded(data) if data.action == "update_sent" => {
                self.counts.updates += 1;
            }
            _ => {}
        }
    }

    /// A command leads to one fact of a kind in an incident.
    fn command(&mut self, fact: &Fact) -> Result<(), Violation> {
        let Some(cause) = fact.cause.as_ref().filter(|cause| cause.starts_with("response ")) else {
            return Ok(());
        };
        if !self.commands.contains(cause) {
            return Err(wrong("facts follow from commands", "nobody sent it", fact));
        }
        self.answered.insert(cause.clone());
        let may_repeat = matches!(
            fact.fact,
            FactName::Notified
                | FactName::NotificationSkipped
                | FactName::Escalated
                | FactName::OwnerResolved
                | FactName::Unsilenced
        );
        let answer = (fact.incident_id.clone(), cause.clone(), fact.fact);
        if !self.answers.insert(answer) && !may_repeat {
            return Err(wrong("a command is carried out once", "it was before", fact));
        }
        Ok(())
    }

    /// Takes in the next message.
    ///
    /// # Errors
    /// What must not be so.
    pub fn message(&mut self, message: &Escalation) -> Result<(), Violation> {
        if !self.messages.insert(message.id.clone()) {
            return Err(Violation::new("identifiers are unique", format!("{message:?}")));
        }
        let Escalation { incident_id: id, time, .. } = message;
        if message.drill != self.terms.is_drill || message.drill != (message.reason == "drill") {
            return Err(Violation::new("exercises are told apart", format!("{message:?}")));
        }
        let reason = message.custom_details.get("drill_reason").unwrap_or(&message.reason);
        match message.audience {
            Audience::Page => {
                let page = (
                    id.clone(),
                    *time,
                    message.step.clone().unwrap_or_default(),
                    message.climb.unwrap_or_default(),
                    message.target.clone().unwrap_or_default(),
                    message.channel.clone().unwrap_or_default(),
                    message.respond_by,
                );
                *self.pages.entry(page).or_default() -= 1;
            }
            Audience::Status if reason == "resolved" => {
                *self.ends.entry((id.clone(), *time)).or_default() -= 1;
            }
            Audience::Inform | Audience::Status => {}
        }
        Ok(())
    }

    /// Facts and messages are of one transaction: none has one without the other.
    ///
    /// # Errors
    /// A page or an end that only one of them tells of.
    pub fn pages_are_facts(&mut self) -> Result<(), Violation> {
        self.pages.retain(|_, count| *count != 0);
        self.ends.retain(|_, count| *count != 0);
        if self.pages.is_empty() && self.ends.is_empty() {
            return Ok(());
        }
        let detail = format!("facts less messages: {:?} {:?}", self.pages, self.ends);
        Err(Violation::new("every page and every end is a fact and a message", detail))
    }

    /// What holds between any two commits, once all facts of the first are
    /// taken in.
    ///
    /// # Errors
    /// What must not be so.
    pub fn commit(&mut self) -> Result<(), Violation> {
        self.pages_are_facts()?;
        for (from, fact) in std::mem::take(&mut self.moved) {
            if self.merged.get(&from) != Some(&fact.incident_id) {
                let invariant = "a breach belongs to one incident, once";
                return Err(wrong(invariant, &format!("it was attached to {from}"), &fact));
            }
        }
        self.silences.commit()?;
        self.digests.commit(&self.cases, self.now)?;
        self.cases.values_mut().try_for_each(Case::end_reach)?;
        for case in self.cases.values() {
            case.holds_for_a_reason()?;
            case.reaches_otherwise()?;
            case.updates_are_apart(self.terms.group_interval)?;
            let ended = case.quiet.silences.iter().find(|id| !self.silences.stands(id));
            if let Some(silence) = ended {
                let invariant = "what ends a quiet tells how the incident goes on";
                return Err(wrong(invariant, &format!("silence {silence} is over"), &case.last));
            }
        }
        speaks::check(&self.cases, &self.terms.upstream, self.now)
    }

    /// At the end of a run nothing is owed.
    ///
    /// # Errors
    /// What is.
    pub fn end(&self, now: Timestamp) -> Result<(), Violation> {
        for case in self.cases.values() {
            case.end(now, self.terms.settles_by_itself)?;
            case.is_handed_over(|who| self.digests.will_tell(who, &case.last.incident_id))?;
        }
        self.silences.end(now)?;
        self.digests.end(&self.cases, now)?;
        for (id, is_open) in &self.breaches {
            let case = self.attached.get(id).and_then(|incident| self.cases.get(incident));
            let is_held = case.is_some_and(|case| case.open.contains(id));
            // What was accepted stays open in an incident that is over.
            let is_over = case.is_some_and(|case| case.is_resolved);
            if *is_open && case.is_none() || !is_over && is_held != *is_open {
                let detail = format!("{id} is open: {is_open}, in its incident: {is_held}");
                return Err(Violation::new("incidents hold the open breaches", detail));
            }
        }
        match self.commands.difference(&self.answered).next() {
            None => Ok(()),
            Some(lost) => Err(Violation::new("no command is lost", lost.clone())),
        }
    }
}

fn wrong(invariant: &'static str, why: &str, fact: &Fact) -> Violation {
    Violation::new(invariant, format!("{why}: {fact:?}"))
}
