//! What may happen to an incident, as an auditor reads the formats: a second
//! opinion on the rules, in tables and short conditions.

use std::collections::{BTreeMap, BTreeSet};

use crate::Rule;
use crate::deadline::{Entry, wrong_lateness};
use crate::line::Line;
use crate::pending::{Asks, Pending};

/// Who acts where nobody does.
const SYSTEM: &str = "watchkeep";

/// What only people do.
const OF_PEOPLE: [&str; 4] = ["acknowledged", "remediated", "signed_off", "reviewed"];

/// What Watchkeep alone does.
const OF_THE_SYSTEM: [&str; 11] = [
    "opened",
    "breach_attached",
    "breach_cleared",
    "severity_changed",
    "notified",
    "notification_skipped",
    "acknowledgement_expired",
    "verification_failed",
    "reopened",
    "flapping_started",
    "flapping_ended",
];

/// What nobody may do without saying why.
const REASONED: [&str; 2] = ["remediated", "merged"];

/// The action that tells that it goes on to flap.
const FLAPPING_GOES_ON: &str = "flapping_goes_on";

/// Reason of a page to somebody whom another contact has not reached.
const DELIVERY_FAILED: &str = "delivery_failed";

/// The action that somebody who refused may not sign any more.
const REFUSAL_LAPSED: &str = "refusal_lapsed";

/// Reasons by which an incident resolves without anybody saying so.
const BY_ITSELF: [&str; 2] = ["cleared", "verified"];

/// Where an incident stands, in the order of its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    #[default]
    Triggered,
    Acknowledged,
    Remediated,
    Verified,
    Resolved,
    Reviewed,
    Closed,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Triggered => "triggered",
            Self::Acknowledged => "acknowledged",
            Self::Remediated => "remediated",
            Self::Verified => "verified",
            Self::Resolved => "resolved",
            Self::Reviewed => "reviewed",
            Self::Closed => "closed",
        }
    }
}

/// One incident as its facts tell it.
#[derive(Clone, Debug, Default)]
pub struct Story {
    began: bool,
    /// True for facts that belong to no incident, such as refused commands.
    is_desk: bool,
    state: State,
    severity: String,
    entry: Entry,
    entered: bool,
    resting: bool,
    /// True after a failed verification until the step that it enters.
    fails: bool,
    /// When the last breach cleared, as it was written.
    cleared_at: String,
    /// When a breach was written down that came back after the last one had
    /// cleared, or after a remediation: it fails the verification, so that no
    /// deadline of the step before runs again.
    returned_at: Option<String>,
    exhausted: bool,
    acknowledged_until: Option<Option<String>>,
    /// When it was written down until when the acknowledgement lasts: one that
    /// came in late may have run out by then.
    acknowledged_at: String,
    decided: bool,
    accepted: bool,
    open: BTreeSet<String>,
    /// The latest word of each person at each gate.
    signatures: BTreeMap<(String, String), bool>,
    /// Signatures that are needed at this severity, as facts told.
    needed: BTreeMap<String, i64>,
    silences: BTreeSet<String>,
    /// The incident that speaks for this one; another one takes its place.
    inhibitor: Option<String>,
    /// Whether it flaps, and until when at least.
    flapping: Option<Option<String>>,
    /// True where a page of the present step was held back and the incident
    /// has not gone on since.
    held: bool,
    /// True where a quiet ended without a word of how the incident goes on:
    /// nothing was asked of anybody then.
    lapsed: bool,
    /// Pages that wait for a digest: whose, of which step and climb.
    limited: BTreeSet<(String, String, i64)>,
    /// What each person was paged for last: a step and climb.
    paged: BTreeMap<String, (String, i64)>,
    merged: bool,
    /// What is due besides the deadlines of the step.
    pending: Pending,
}

type Found = Vec<(Rule, String)>;

impl Story {
    /// Takes the next fact and tells what is wrong with it. `before` is the
    /// latest instant before this fact's at which anything was written.
    pub fn follow(&mut self, line: &Line<'_>, before: &str, found: &mut Found) {
        if line.occurred_at > line.recorded_at {
            found.push((Rule::Time, "it was written before it happened".to_owned()));
        }
        found.extend(wrong_lateness(line).map(|detail| (Rule::Time, detail)));
        self.actor(line, found);
        if !self.began {
            return self.begin(line, found);
        }
        if self.is_desk {
            if line.fact == "opened" || line.fact == "notified" {
                found.push((Rule::State, "it belongs to an incident that was not opened".into()));
            }
            return;
        }
        found.extend(self.unanswered(before).map(|detail| (Rule::Deadline, detail)));
        if self.fails && line.fact != "escalated" {
            let detail = "a failed verification enters a step, and none was entered".to_owned();
            found.push((Rule::State, detail));
        }
        self.fails = line.fact == "verification_failed";
        self.legal(line, found);
        self.take(line);
    }

    /// True where flapping was to end at the very instant of a fact.
    fn flaps_until(&self, line: &Line<'_>) -> bool {
        let until = self.flapping.as_ref().and_then(Option::as_ref);
        until == Some(&line.occurred_at)
    }

    fn actor(&self, line: &Line<'_>, found: &mut Found) {
        let by_system = line.actor == SYSTEM;
        let fact = line.fact.as_str();
        if by_system && OF_PEOPLE.contains(&fact) {
            found.push((Rule::Actor, format!("{fact} is for people, and nobody did it")));
        }
        if !by_system && OF_THE_SYSTEM.contains(&fact) {
            found.push((Rule::Actor, format!("{fact} is not for people: {} did it", line.actor)));
        }
    }

    fn begin(&mut self, line: &Line<'_>, found: &mut Found) {
        self.began = true;
        match line.fact.as_str() {
            "opened" => self.enter(line),
            "command_rejected" | "silenced" | "unsilenced" | "action_recorded"
            | "delivery_reported" => self.is_desk = true,
            other => {
                let detail = format!("an incident begins with opened, this one with {other}");
                found.push((Rule::State, detail));
            }
        }
        self.severity = line.text("severity").unwrap_or_default().to_owned();
    }

    /// What may not happen now.
    fn legal(&self, line: &Line<'_>, found: &mut Found) {
        let fact = line.fact.as_str();
        let state = self.state;
        let possible = match fact {
            "opened" => false,
            "acknowledged" => state <= State::Acknowledged,
            "acknowledgement_expired" => self.acknowledged_until.is_some(),
            "remediated" => state <= State::Remediated,
            "verified" => state <= State::Remediated,
            "reopened" => state >= State::Resolved,
            "reviewed" => state >= State::Resolved && state != State::Closed,
            "closed" => state == State::Resolved || state == State::Reviewed,
            // Before there was an action for it, it was told again at its end
            // where it goes on.
            "flapping_started" => self.flapping.is_none() || self.flaps_until(line),
            "action_recorded" if line.text("action") == Some(FLAPPING_GOES_ON) => {
                self.flaps_until(line)
            }
            "flapping_ended" => self.flapping.is_some(),
            "breach_attached"
            | "severity_changed"
            | "escalated"
            | "signed_off"
            | "verification_failed"
            | "resolved"
            | "exhausted" => state < State::Resolved,
            _ => true,
        };
        if !possible {
            let detail = format!("{fact} may not follow: the incident is {}", state.name());
            found.push((Rule::State, detail));
        }
        let reason = line.text("reason");
        let by_hand = fact == "resolved" && reason == Some("command");
        if (by_hand || REASONED.contains(&fact)) && !line.has_rationale {
            found.push((Rule::Actor, format!("{fact} needs a rationale, and has none")));
        }
        match fact {
            "closed" if reason == Some("reviewed") && state != State::Reviewed => {
                found.push((Rule::State, "closed as reviewed, and it was not".to_owned()));
            }
            "notified" => self.may_notify(line, found),
            "escalated" | "exhausted" => self.may_climb(line, found),
            "acknowledgement_expired" => {
                let until = self.acknowledged_until.as_ref().and_then(Option::as_deref);
                if until.is_some() && line.text("due_at") != until {
                    let detail = "the acknowledgement was to last until another time".to_owned();
                    found.push((Rule::Deadline, detail));
                }
            }
            "breach_attached" | "breach_cleared" => self.may_count(line, found),
            "signed_off" => self.may_sign(line, found),
            "remediated"
                if line.text("action") == Some("rollback") && self.is_refused("rollback") =>
            {
                found.push((Rule::Gate, "the gate rollback was refused".to_owned()));
            }
            "resolved" => self.may_resolve(line, found),
            "unsilenced" | "uninhibited" => {
                let name = if fact == "unsilenced" { "silence" } else { "by" };
                let of = line.text(name).unwrap_or_default();
                let began = match fact {
                    "unsilenced" => self.silences.contains(of),
                    _ => self.inhibitor.as_deref() == Some(of),
                };
                if !began {
                    found.push((Rule::State, format!("{fact} ends what did not begin: {of}")));
                }
            }
            _ => {}
        }
    }

    fn may_notify(&self, line: &Line<'_>, found: &mut Found) {
        let why = if self.state >= State::Resolved {
            "resolved"
        } else if self.merged {
            "one with another"
        } else if !self.silences.is_empty() {
            "silenced"
        } else if self.inhibitor.is_some() {
            "inhibited"
        } else {
            ""
        };
        if !why.is_empty() {
            let target = line.text("target").unwrap_or("somebody");
            let detail = format!("{target} is paged, and the incident is {why}");
            found.push((Rule::Notification, detail));
        }
        let step = line.text("step").unwrap_or_default();
        if line.text("reason") == Some("digest") {
            if !self.limited.contains(&addressee(line)) {
                let detail = format!("a digest tells of step {step}, and no such page waited");
                found.push((Rule::Notification, detail));
            }
            return;
        }
        let is_own = step == self.entry.step || step == "on_exhausted" && self.exhausted;
        if !is_own && !self.is_paged_again(line) {
            let detail =
                format!("a page of step {step}, and the incident is on {}", self.entry.step);
            found.push((Rule::Notification, detail));
        }
    }

    /// True for another contact that tells of what a page of that step was to
    /// tell the same person.
    fn is_paged_again(&self, line: &Line<'_>) -> bool {
        let (target, step, climb) = addressee(line);
        line.text("reason") == Some(DELIVERY_FAILED)
            && self.paged.get(&target).is_some_and(|told| *told == (step, climb))
    }

    fn may_climb(&self, line: &Line<'_>, found: &mut Found) {
        if line.text("from_step").is_some_and(|from| from != self.entry.step) {
            let detail = format!("it leaves a step, and the incident is on {}", self.entry.step);
            found.push((Rule::State, detail));
        }
        if line.fact == "exhausted" && self.exhausted {
            found.push((Rule::Deadline, "the steps had run out before".to_owned()));
        }
        let trigger = line.text("trigger").unwrap_or_default();
        if let Some(deadline) = self.entry.deadline(trigger) {
            if deadline.is_none_or(|due| line.text("due_at") != Some(due)) {
                let detail = format!("{trigger}: there is no such deadline at that time");
                found.push((Rule::Deadline, detail));
            } else if self.resting || !self.asks(trigger) {
                let detail = format!("{trigger}: the deadline was answered before");
                found.push((Rule::Deadline, detail));
            }
        }
        let misfit = Entry::of(line).and_then(|entry| entry.misfit(line));
        found.extend(misfit.map(|detail| (Rule::State, detail)));
    }

    fn may_count(&self, line: &Line<'_>, found: &mut Found) {
        let breach = line.text("breach_id").unwrap_or_default();
        let is_open = self.open.contains(breach);
        if line.fact == "breach_attached" {
            if is_open {
                found.push((Rule::State, format!("breach {breach} was attached before")));
            }
            return;
        }
        let left = self.open.len() as i64 - i64::from(is_open);
        if !is_open {
            found.push((Rule::State, format!("breach {breach} clears, and was not open")));
        } else if line.number("open_count") != Some(left) {
            found.push((Rule::State, format!("it counts other open breaches than {left}")));
        }
    }

    fn may_sign(&self, line: &Line<'_>, found: &mut Found) {
        let gate = line.text("gate").unwrap_or_default();
        let approves = line.data.get("approve").and_then(serde_json::Value::as_bool);
        // Whose earlier signature counts no longer (they remediated since, or
        // hold the role no more) only policy and charter know.
        let own = i64::from(approves == Some(true));
        let signed = self.approving(gate).filter(|by| **by != line.actor).count() as i64 + own;
        if line.number("signed").is_none_or(|told| told < own || told > signed) {
            let detail = format!("gate {gate} has {signed} signatures, and it tells of others");
            found.push((Rule::Gate, detail));
        }
        if line.number("needed").is_none_or(|needed| needed < 1) {
            found.push((Rule::Gate, format!("gate {gate} needs nobody")));
        }
    }

    /// Who signed a gate, and has not refused it since.
    fn approving<'a>(&'a self, gate: &'a str) -> impl Iterator<Item = &'a String> {
        let all = self.signatures.iter();
        all.filter(move |((of, _), yes)| of == gate && **yes).map(|((_, by), _)| by)
    }

    fn is_refused(&self, gate: &str) -> bool {
        self.signatures.iter().any(|((of, _), yes)| of == gate && !yes)
    }

    /// Who refused may not sign any more, by roles that policy and charter
    /// know alone: only what was a refusal is taken back by it.
    fn forget_refusals(&mut self, line: &Line<'_>) {
        let informed = line.data.get("informed").and_then(serde_json::Value::as_array);
        for one in informed.into_iter().flatten() {
            let of = |name: &str| one.get(name).and_then(serde_json::Value::as_str);
            let key = (of("role").unwrap_or_default(), of("target").unwrap_or_default());
            self.signatures.retain(|(gate, by), yes| *yes || (gate.as_str(), by.as_str()) != key);
        }
    }

    fn may_resolve(&self, line: &Line<'_>, found: &mut Found) {
        let reason = line.text("reason").unwrap_or_default();
        let by_itself = BY_ITSELF.contains(&reason);
        if by_itself && self.severity == "critical" {
            let detail = "a critical incident resolved by itself".to_owned();
            found.push((Rule::Gate, detail));
        }
        if (by_itself || reason == "signed_off") && !self.open.is_empty() {
            let detail = format!("{reason}, and {} breaches are open", self.open.len());
            found.push((Rule::State, detail));
        }
        if reason == "command" && !self.open.is_empty() && !self.accepted {
            let detail = "resolved by command while breaches are open that nobody accepted";
            found.push((Rule::Gate, detail.to_owned()));
        }
        if reason == "verified" && self.state != State::Verified {
            found.push((Rule::State, "resolved as verified, and it was not".to_owned()));
        }
        let signed = self.approving("resolve").count() as i64;
        let told = self.needed.get("resolve").copied().unwrap_or_default();
        let needed = told.max(i64::from(reason == "signed_off"));
        if self.is_refused("resolve") {
            found.push((Rule::Gate, "the gate resolve was refused".to_owned()));
        } else if signed < needed {
            let detail = format!("the gate resolve has {signed} of {needed} signatures");
            found.push((Rule::Gate, detail));
        }
    }

    fn enter(&mut self, line: &Line<'_>) {
        if let Some(entry) = Entry::of(line) {
            self.entry = entry;
            self.entered = false;
            self.resting = false;
            self.decided = false;
            self.returned_at = None;
            self.held = false;
            self.lapsed = false;
        }
    }

    /// Goes on after a quiet, with deadlines that were moved while they rested.
    fn resume(&mut self, line: &Line<'_>) {
        let Some(resumes) = line.data.get("resumes") else {
            // Flapping alone lets deadlines run, unless a page was held back.
            self.lapsed = line.fact != "flapping_ended" || self.held;
            return;
        };
        self.held = false;
        self.lapsed = false;
        if let Some(entry) = Entry::resumed(line) {
            self.entry = entry;
        }
        let of = |name: &str| resumes.get(name);
        if of("pages").and_then(serde_json::Value::as_bool) == Some(true) {
            self.entered = false;
        }
        if let Some(until) = of("expires_at").and_then(serde_json::Value::as_str) {
            self.acknowledged_until = Some(Some(until.to_owned()));
            line.recorded_at.clone_into(&mut self.acknowledged_at);
        }
    }

    /// A breach that returns at the instant of the clearing lets everything go
    /// on as if there had been none; later it fails what was done.
    fn attach(&mut self, line: &Line<'_>) {
        let after = self.open.is_empty() && *self.cleared_at < *line.recorded_at;
        self.open.insert(line.text("breach_id").unwrap_or_default().to_owned());
        if self.state >= State::Remediated || (self.resting && after) {
            self.returned_at = Some(line.recorded_at.clone());
        } else {
            self.resting = false;
        }
    }

    /// What was asked for is over, whatever kept pages back.
    fn end(&mut self, state: State) {
        self.state = state;
        self.resting = true;
        self.silences.clear();
        self.inhibitor = None;
        self.held = false;
        self.lapsed = false;
        self.limited.clear();
    }

    /// True for a page of the step that the incident stands on.
    fn stands_on(&self, line: &Line<'_>) -> bool {
        let (_, step, climb) = addressee(line);
        match self.exhausted {
            true => step == "on_exhausted",
            false => step == self.entry.step && climb == self.entry.climb(),
        }
    }

    /// Notes a page that was held back: for a digest, or until a quiet ends.
    fn hold(&mut self, line: &Line<'_>) {
        self.entered |= !self.entry.waits(line);
        let stands_on = self.stands_on(line);
        let (target, step, climb) = addressee(line);
        match line.text("reason").unwrap_or_default() {
            reason if reason == "limited" || line.text("digest_at").is_some() => {
                self.limited.insert((target, step, climb));
            }
            "silenced" | "inhibited" | "flapping" => self.held |= stands_on,
            _ => {}
        }
    }

    fn begin_anew(&mut self) {
        self.state = State::Triggered;
        self.acknowledged_until = None;
        self.accepted = false;
        self.exhausted = false;
        self.signatures.clear();
        self.needed.clear();
    }

    fn take(&mut self, line: &Line<'_>) {
        let text = |name: &str| line.text(name).unwrap_or_default().to_owned();
        let stands_on = self.stands_on(line);
        self.pending.take(line, stands_on);
        match line.fact.as_str() {
            "breach_attached" => self.attach(line),
            "breach_cleared" => {
                self.open.remove(&text("breach_id"));
                if self.open.is_empty() {
                    self.resting = true;
                    line.occurred_at.clone_into(&mut self.cleared_at);
                }
            }
            "severity_changed" => {
                self.severity = text("to");
                // Other gates may hold for it, with other numbers.
                self.needed.clear();
                if let Some(entry) = Entry::of(line) {
                    self.entry = entry;
                }
            }
            // Who is handed an incident that waits does not end its waiting.
            // Nor does what tells of a step that was entered before.
            "notified" => {
                let reason = line.text("reason").unwrap_or_default();
                let is_later = ["digest", DELIVERY_FAILED].contains(&reason);
                let waits = reason == "handoff" && self.entry.waits(line);
                self.entered |= !waits && !is_later;
                let (target, step, climb) = addressee(line);
                self.paged.insert(target, (step, climb));
            }
            "notification_skipped" => self.hold(line),
            "acknowledged" => {
                self.state = State::Acknowledged;
                self.acknowledged_until = Some(line.text("expires_at").map(str::to_owned));
                line.recorded_at.clone_into(&mut self.acknowledged_at);
            }
            "acknowledgement_expired" => {
                self.state = State::Triggered;
                self.acknowledged_until = None;
                self.enter(line);
            }
            "escalated" => self.enter(line),
            "exhausted" => (self.exhausted, self.held) = (true, false),
            "signed_off" => {
                self.decided |= line.data.get("undecided").is_none();
                let approves = line.data.get("approve").and_then(serde_json::Value::as_bool);
                let word = approves.unwrap_or_default();
                self.signatures.insert((text("gate"), line.actor.clone()), word);
                self.needed.insert(text("gate"), line.number("needed").unwrap_or_default());
            }
            "remediated" => {
                self.state = State::Remediated;
                self.accepted = line.text("action") == Some("accept");
                self.resting = true;
                self.decided = true;
            }
            "verified" => {
                self.state = State::Verified;
                self.resting = true;
            }
            "verification_failed" => self.begin_anew(),
            "resolved" => self.end(State::Resolved),
            "reopened" => {
                self.begin_anew();
                self.severity = text("severity");
                self.open.clear();
                self.cleared_at.clear();
                self.enter(line);
            }
            "reviewed" => self.state = State::Reviewed,
            "closed" => self.state = State::Closed,
            "merged" => {
                self.merged = true;
                self.end(State::Closed);
            }
            "flapping_started" => {
                self.flapping = Some(line.text("ends_at").map(str::to_owned));
            }
            "action_recorded" if line.text("action") == Some(REFUSAL_LAPSED) => {
                self.forget_refusals(line);
            }
            "action_recorded" if line.text("action") == Some(FLAPPING_GOES_ON) => {
                self.flapping = Some(line.text("due_at").map(str::to_owned));
            }
            "flapping_ended" => {
                self.flapping = None;
                self.resume(line);
            }
            "silenced" => {
                self.silences.insert(text("silence"));
            }
            "unsilenced" => {
                self.silences.remove(&text("silence"));
                self.resume(line);
            }
            "inhibited" => self.inhibitor = Some(text("by")),
            "uninhibited" => {
                self.inhibitor = None;
                self.resume(line);
            }
            _ => {}
        }
    }

    /// True where a deadline still asks for what its trigger misses.
    fn asks(&self, trigger: &str) -> bool {
        match trigger {
            "not_acknowledged" => self.acknowledged_until.is_none(),
            "not_remediated" => self.state < State::Remediated,
            _ => !self.decided,
        }
    }

    /// A deadline that was due before `end` and was neither answered nor moved
    /// the incident on.
    pub fn unanswered(&self, end: &str) -> Option<String> {
        if !self.began || self.is_desk || self.state >= State::Resolved {
            return None;
        }
        if let Some(at) = self.returned_at.as_ref().filter(|at| ***at < *end) {
            return Some(format!("a breach came back at {at}, and no verification failed by it"));
        }
        let unended = self.pending.unended(end);
        let rests = self.returned_at.is_some()
            || self.resting
            || self.fails
            || self.lapsed
            || !self.silences.is_empty()
            || self.inhibitor.is_some()
            || (self.flapping.is_some() && self.held);
        if unended.is_some() || rests {
            return unended;
        }
        let asks = Asks {
            acknowledged: self.acknowledged_until.is_some(),
            climbs: self.entered || self.exhausted,
            exhausted: self.exhausted,
        };
        let overdue = self.pending.overdue(asks, end);
        if overdue.is_some() || self.exhausted {
            return overdue;
        }
        let until = self.acknowledged_until.as_ref().and_then(Option::as_deref);
        let is_over = |until: &&str| *until < end && *self.acknowledged_at < *end;
        if let Some(until) = until.filter(is_over) {
            return Some(format!("nothing ends the acknowledgement that lasts until {until}"));
        }
        self.entry.overdue(self.entered, |trigger| self.asks(trigger), end)
    }
}

/// Whose page a fact is about, of which step and climb.
fn addressee(line: &Line<'_>) -> (String, String, i64) {
    let text = |name: &str| line.text(name).unwrap_or_default().to_owned();
    (text("target"), text("step"), line.number("loop").unwrap_or_default())
}
