//! What may not happen to an incident, fact by fact.

use super::{DELIVERY_FAILED, FLAPPING_GOES_ON, Found, State, Story, addressee};
use crate::Rule;
use crate::deadline::Entry;
use crate::line::Line;

/// What nobody may do without saying why.
const REASONED: [&str; 2] = ["remediated", "merged"];

/// Reasons by which an incident resolves without anybody saying so.
const BY_ITSELF: [&str; 2] = ["cleared", "verified"];

impl Story {
    /// What may not happen now.
    pub(super) fn legal(&self, line: &Line<'_>, found: &mut Found) {
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

    fn may_resolve(&self, line: &Line<'_>, found: &mut Found) {
        let reason = line.text("reason").unwrap_or_default();
        let by_itself = BY_ITSELF.contains(&reason);
        if by_itself && self.severity == "critical" {
            let detail = "a critical incident resolved by itself".to_owned();
            found.push((Rule::Gate, detail));
        }
        if (by_itself || reason == "signed_off") && !self.open.is_empty() {
            let detail = match self.open.len() {
                1 => format!("{reason}, and one breach is open"),
                open => format!("{reason}, and {open} breaches are open"),
            };
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
}
