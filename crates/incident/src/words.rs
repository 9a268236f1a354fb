//! Facts and messages in words, a line each: who, what and why.
//!
//! Facts whose data have no sentence here are told by their fields, so that
//! every fact is told.

use serde_json::Value;
use watchkeep_model::escalation::Escalation;
use watchkeep_model::incident::data::{Entry, Link, Notified, Resumption};
use watchkeep_model::incident::{Fact, FactData, SYSTEM_ACTOR};
use watchkeep_model::json;
use watchkeep_model::time::{TimeSpan, Timestamp};

/// The name of a fact as it is written in the log.
pub fn name(fact: &Fact) -> String {
    match serde_json::to_value(fact.fact) {
        Ok(Value::String(name)) => name,
        _ => format!("{:?}", fact.fact),
    }
}

/// `1 page`, `2 pages`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Who acted, where it was a person.
pub fn person(fact: &Fact) -> Option<&str> {
    Some(fact.actor.as_str()).filter(|actor| *actor != SYSTEM_ACTOR)
}

/// What a fact says. `when` writes an instant.
pub fn of_fact(fact: &Fact, when: &dyn Fn(Timestamp) -> String) -> String {
    let by = |at: Option<Timestamp>| {
        at.map_or_else(String::new, |at| format!(", respond by {}", when(at)))
    };
    let text = match &fact.data {
        FactData::Opened(d) => format!(
            "{} {} of {} ({}); {}{}; policy {} version {}; {}",
            d.severity.name(),
            d.kind.name(),
            d.root,
            d.attribution.method,
            owner(d.owner.as_deref(), d.unowned),
            if d.resolution.len() > 1 {
                format!(": {}", tried(&d.resolution))
            } else {
                String::new()
            },
            d.policy.name,
            d.policy.version,
            standing(&d.entry, fact, when),
        ),
        FactData::BreachAttached(d) => {
            format!("{}/{} {}", d.feature, d.expectation, d.severity.name())
        }
        FactData::BreachCleared(d) => {
            format!(
                "{}/{} {}, {} open",
                d.feature,
                d.expectation,
                d.transition.name(),
                d.open_count
            )
        }
        FactData::SeverityChanged(d) => {
            let entry = d.entry.as_ref();
            let entry =
                entry.map_or_else(String::new, |e| format!("; {}", standing(e, fact, when)));
            format!("{} to {}{entry}", d.from.name(), d.to.name())
        }
        FactData::OwnerResolved(d) => {
            format!("{}: {}", owner(d.owner.as_deref(), d.unowned), tried(&d.resolution))
        }
        FactData::Notified(d) => format!("{}{}", notified(d), by(d.respond_by)),
        FactData::NotificationSkipped(d) => format!(
            "{} as {} on {} loop {}: {}",
            d.target.as_deref().unwrap_or("nobody"),
            d.role.as_deref().unwrap_or("nobody"),
            d.step,
            d.climb,
            d.reason
        ),
        FactData::Acknowledged(d) => {
            let until = d.expires_at.map_or_else(
                || "for good".to_owned(),
                |at| format!("until {} without a remediation", when(at)),
            );
            format!("on {} loop {}, {until}", d.step, d.climb)
        }
        FactData::AcknowledgementExpired(d) => {
            let entry = d.entry.as_ref();
            let entry =
                entry.map_or_else(String::new, |e| format!("; {}", standing(e, fact, when)));
            format!("that of {}{entry}", d.by)
        }
        FactData::Escalated(d) => {
            format!("from {} by {}; {}", d.from_step, d.trigger, standing(&d.entry, fact, when))
        }
        FactData::ActionRecorded(d) => format!("{}: {}", d.action, d.detail),
        FactData::SignedOff(d) => format!(
            "{} {} as {}, {} of {}",
            if d.approve { "agrees at" } else { "refuses at" },
            d.gate,
            d.role,
            d.signed,
            d.needed
        ),
        FactData::CommandRejected(d) => format!("{}: {}", d.command, d.rule),
        FactData::VerificationFailed(d) => format!("{}/{} is bad", d.feature, d.expectation),
        FactData::Reopened(d) => {
            format!("{}; {}", d.severity.name(), standing(&d.entry, fact, when))
        }
        FactData::Exhausted(d) => {
            format!("after {} of loop {} by {}", d.from_step, d.loops, d.trigger)
        }
        FactData::Silenced(d) => {
            let matchers: Vec<String> = d.matchers.iter().map(ToString::to_string).collect();
            let (from, until) = (when(d.from), when(d.until));
            let (id, by, what) = (&d.silence, &d.by, matchers.join(" and "));
            format!("silence {id}: by {by} from {from} until {until}, for {what}")
        }
        FactData::Unsilenced(d) => {
            format!(
                "silence {}: {}{}",
                d.silence,
                d.reason,
                resumed(d.resumes.as_ref(), fact, when)
            )
        }
        FactData::Uninhibited(d) => {
            format!("incident {}: {}{}", d.by, d.reason, resumed(d.resumes.as_ref(), fact, when))
        }
        FactData::FlappingStarted(d) | FactData::FlappingEnded(d) => {
            let until = d.ends_at.map_or_else(String::new, |at| format!(", until {}", when(at)));
            format!(
                "{} changes among the last {} windows{until}{}",
                d.changes,
                d.look_back,
                resumed(d.resumes.as_ref(), fact, when)
            )
        }
        FactData::Reviewed(d) => {
            let asks = d.actions.iter();
            let asks =
                asks.map(|one| format!("; {} by {} until {}", one.what, one.by, when(one.due)));
            let closes =
                d.closes_at.map_or_else(String::new, |at| format!("; closes at {}", when(at)));
            let late = d.late_by_us.map_or_else(String::new, |us| {
                format!("; the review is {} late", TimeSpan::from_micros(us))
            });
            format!("{}{}{closes}{late}", d.root_cause, asks.collect::<String>())
        }
        other => by_fields(&json::to_line(other), when),
    };
    let rationale = fact.rationale.as_ref().filter(|why| !text.contains(why.as_str()));
    let why = rationale.map_or_else(String::new, |why| format!(" \"{why}\""));
    let late = fact.recorded_at.since(fact.occurred_at);
    // A running service is always a little late.
    let late = if late >= TimeSpan::SECOND { format!(" (late by {late})") } else { String::new() };
    format!("{text}{why}{late}")
}

fn notified(d: &Notified) -> String {
    format!(
        "{} as {} by {} on {} loop {}: {}",
        d.target, d.role, d.channel, d.step, d.climb, d.reason
    )
}

/// Every link of the owner chain that was tried.
fn tried(links: &[Link]) -> String {
    let links: Vec<String> =
        links.iter().map(|link| format!("{} {}", link.link, link.outcome)).collect();
    links.join(", ")
}

fn owner(owner: Option<&str>, unowned: bool) -> String {
    let unowned = if unowned { ", unowned" } else { "" };
    format!("owner {}{unowned}", owner.unwrap_or("nobody"))
}

/// The step with what it waits for.
fn standing(entry: &Entry, fact: &Fact, when: &dyn Fn(Timestamp) -> String) -> String {
    let mut text = format!("step {} loop {}", entry.step, entry.climb);
    if entry.enters_at > fact.recorded_at {
        text += &format!(" from {}", when(entry.enters_at));
    }
    let deadlines = [
        ("acknowledge", entry.acknowledge_by),
        ("remediate", entry.remediate_by),
        ("decide", entry.decide_by),
    ];
    for (what, at) in deadlines {
        if let Some(at) = at {
            text += &format!(", {what} by {}", when(at));
        }
    }
    text
}

/// How an incident goes on after a quiet.
fn resumed(
    resumes: Option<&Resumption>,
    fact: &Fact,
    when: &dyn Fn(Timestamp) -> String,
) -> String {
    let Some(resumes) = resumes else { return String::new() };
    let mut text = String::new();
    if let Some(entry) = &resumes.entry {
        let how = if resumes.pages { "its pages go out" } else { "it goes on" };
        text += &format!("; {how}: {}", standing(entry, fact, when));
    } else if resumes.pages {
        text += "; its pages go out";
    }
    let moved = [
        ("acknowledged until", resumes.expires_at),
        ("rollback by", resumes.rollback_by),
        ("repeats at", resumes.repeat_at),
    ];
    for (what, at) in moved {
        text += &at.map_or_else(String::new, |at| format!("; {what} {}", when(at)));
    }
    text
}

/// The fields of a JSON object, in order: `name value, name value`.
fn by_fields(line: &str, when: &dyn Fn(Timestamp) -> String) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(line) else {
        return String::new();
    };
    let told = fields.iter().filter_map(|(name, value)| {
        let value = match value {
            Value::Null => return None,
            Value::String(text) => match text.parse::<Timestamp>() {
                Ok(at) if text.len() > 10 => when(at),
                _ => text.clone(),
            },
            other => other.to_string(),
        };
        Some(format!("{} {value}", name.replace('_', " ")))
    });
    told.collect::<Vec<_>>().join(", ")
}

/// What a message says and to whom.
pub fn of_message(message: &Escalation, when: &dyn Fn(Timestamp) -> String) -> String {
    let to = match (&message.target, &message.role, &message.channel) {
        (None, ..) => String::new(),
        (Some(target), role, channel) => {
            let role = role.as_ref().map_or_else(String::new, |role| format!(" as {role}"));
            let by = channel.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
            format!(" {target}{role}{by}")
        }
    };
    let respond_by = message.respond_by;
    let respond_by = respond_by.map_or_else(String::new, |at| format!(", respond by {}", when(at)));
    format!("{}{to}: {}: {}{respond_by}", message.audience.name(), message.reason, message.summary)
}
