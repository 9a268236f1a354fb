//! What a fact makes of an incident.

use super::{DELIVERY_FAILED, FLAPPING_GOES_ON, State, Story, addressee};
use crate::deadline::Entry;
use crate::line::Line;

/// The action that somebody who refused may not sign any more.
const REFUSAL_LAPSED: &str = "refusal_lapsed";

impl Story {
    pub(super) fn enter(&mut self, line: &Line<'_>) {
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
            // Whoever is handed the incident waits by themself.
            "silenced" | "inhibited" | "flapping" => {
                let handoff = line.data.get("handoff").and_then(serde_json::Value::as_bool);
                self.held |= stands_on && handoff != Some(true);
            }
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

    pub(super) fn take(&mut self, line: &Line<'_>) {
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
}
