//! What incidents owe, whatever their policy, told from facts and messages
//! alone: every deadline that a fact sets is answered once, by firing or by
//! what makes it void; nothing fires that was not set or before its time; no
//! page goes out for what is over; no page, breach or command is lost and none
//! doubled; chains are dense.
//!
//! Shares no code with the crate that decides.

mod case;

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::escalation::{Audience, Escalation};
use watchkeep_model::incident::{Fact, FactData, FactName, check_link};
use watchkeep_model::time::Timestamp;

use self::case::Case;
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
    }
}

/// A page: incident, instant, step, climb, target, channel, deadline.
type Page = (String, Timestamp, String, u32, String, String, Option<Timestamp>);

/// Everything that is owed.
#[derive(Debug)]
pub struct Duties {
    settles_by_itself: bool,
    cases: BTreeMap<String, Case>,
    /// The last fact of chains that belong to no incident.
    desks: BTreeMap<String, Fact>,
    /// Breaches that were told of, and whether the last line says it is open.
    breaches: BTreeMap<String, bool>,
    /// Breaches that were attached, and to which incident.
    attached: BTreeMap<String, String>,
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
        Self {
            settles_by_itself,
            cases: BTreeMap::new(),
            desks: BTreeMap::new(),
            breaches: BTreeMap::new(),
            attached: BTreeMap::new(),
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
            FactData::BreachAttached(data)
                if self.attached.insert(data.breach_id.clone(), id.clone()).is_some() =>
            {
                let invariant = "a breach belongs to one incident, once";
                return Err(wrong(invariant, "it was attached before", &fact));
            }
            _ => {}
        }
        match self.cases.get_mut(&id) {
            Some(case) => case.follow(fact),
            None if matches!(fact.data, FactData::Opened(_)) => {
                self.cases.insert(id, Case::open(fact)?);
                Ok(())
            }
            // Chains of what belongs to no incident.
            None => {
                self.desks.insert(id, fact);
                Ok(())
            }
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
            FactName::Notified | FactName::NotificationSkipped | FactName::Escalated
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
            Audience::Status if message.reason == "resolved" => {
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

    /// At the end of a run nothing is owed.
    ///
    /// # Errors
    /// What is.
    pub fn end(&self, now: Timestamp) -> Result<(), Violation> {
        for case in self.cases.values() {
            case.end(now, self.settles_by_itself)?;
        }
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
