//! The one way for people's commands: the command line, HTTP and the topic
//! itself all put a [`Response`] to the responses topic and learn from the
//! incident log what came of it. What a command must say is checked here, so
//! that nobody waits for a typing error; what it may do, only the escalate
//! stage decides, which keeps refusals as facts.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use watchkeep_incident::command;
use watchkeep_incident::registry::publications::Taken;
use watchkeep_incident::registry::publications::decide::{Desk, cause_of};
use watchkeep_incident::registry::publications::view::ProposalView;
use watchkeep_incident::schedule::typed_user;
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::json;
use watchkeep_model::response::{Command, Response};
use watchkeep_model::time::Timestamp;
use watchkeep_runtime::log::{CONTENT_TYPE, Outgoing};
use watchkeep_wire::content_type;
use watchkeep_wire::fact::decode_response;

/// What is told where somebody else decided about charters at the same moment.
pub(crate) const OUTRUN: &str =
    "somebody else published or decided meanwhile, and nothing was changed: try again";

/// Why a command is not passed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Fault {
    /// The field that is wrong or missing; empty where it is the whole.
    pub(crate) field: String,
    /// What is wrong and what to do.
    pub(crate) what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => f.write_str(&self.what),
            field => write!(f, "{field}: {}", self.what),
        }
    }
}

impl std::error::Error for Fault {}

fn fault(field: &str, what: impl Into<String>) -> Fault {
    Fault { field: field.to_owned(), what: what.into() }
}

/// Reads a command from JSON; one without `at` takes effect now.
///
/// # Errors
/// What is wrong, with the field.
pub(crate) fn read(bytes: &[u8], now: Timestamp) -> Result<Response, Fault> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| fault("", format!("not a JSON object: {error}")))?;
    let Value::Object(mut map) = value else {
        return Err(fault("", "not a JSON object: send one command"));
    };
    let known: Vec<&str> = Command::ALL.iter().map(|(_, name)| *name).collect();
    match map.get("command").and_then(Value::as_str) {
        None => return Err(fault("command", format!("is one of {}", of_people()))),
        Some(name) if !known.contains(&name) => {
            let what = format!("`{name}` is none of {}", of_people());
            return Err(fault("command", what));
        }
        Some(_) => {}
    }
    if !map.get("by").is_some_and(Value::is_string) {
        return Err(fault("by", "says who gives the command, such as user:ada"));
    }
    map.entry("at").or_insert_with(|| now.to_string().into());
    let fields: Vec<String> = map.keys().cloned().collect();
    let response: Response = serde_json::from_value(Value::Object(map.clone()))
        .map_err(|error| fault(&culprit(&map, &fields), error.to_string()))?;
    // Of two fields with one name the map knows the last; whoever reads the
    // request might go by the first.
    decode_response(bytes, now).map_err(|error| fault("", error.to_string()))?;
    checked(response, now)
}

/// The commands that people give, by name.
fn of_people() -> String {
    let all = Command::ALL.iter();
    let own = all.filter(|(one, _)| !matches!(one, Command::ReportDelivery | Command::ReportDrill));
    own.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

/// The field that cannot be read: the one without which it can.
fn culprit(map: &serde_json::Map<String, Value>, fields: &[String]) -> String {
    let can = |without: &String| {
        let mut rest = map.clone();
        rest.remove(without);
        serde_json::from_value::<Response>(Value::Object(rest)).is_ok()
    };
    fields.iter().find(|field| can(field)).cloned().unwrap_or_default()
}

/// Checks a command and spells out who gives it.
///
/// # Errors
/// What is wrong, with the field.
pub(crate) fn checked(mut response: Response, now: Timestamp) -> Result<Response, Fault> {
    if response.command == Command::ReportDelivery {
        return Err(fault("command", "report_delivery is the deliver stage's own"));
    }
    command::check(&response).map_err(|wrong| fault(&wrong.field, wrong.what))?;
    if !response.by.contains(':') {
        response.by = typed_user(&response.by);
    }
    command::check_at(&response, now).map_err(|wrong| fault(&wrong.field, wrong.what))?;
    Ok(response)
}

/// The record of a command, keyed by what it is about.
pub(crate) fn record(topic: &str, response: &Response) -> Outgoing {
    let about = [&response.incident, &response.subject, &response.proposal, &response.charter];
    let about = about.into_iter().flatten().next();
    Outgoing {
        topic: topic.into(),
        partition: None,
        key: about.map(|about| about.as_bytes().to_vec()),
        value: json::to_line(response).into_bytes(),
        headers: vec![(CONTENT_TYPE.to_owned(), content_type::JSON.as_bytes().to_vec())],
    }
}

/// The command that led to a fact, by its identifier.
pub(crate) fn answered_by(fact: &Fact) -> Option<&str> {
    fact.cause.as_deref().and_then(|cause| cause.strip_prefix("response "))
}

/// What came of a command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// The command's identifier.
    pub(crate) response: String,
    /// `done`, `refused` or `pending`.
    pub(crate) outcome: String,
    /// The rule that forbids it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<String>,
    /// What was recorded, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) facts: Vec<Fact>,
    /// The proposal that it is about, as it stands now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proposal: Option<ProposalView>,
}

impl Answer {
    /// What facts say of a command; none are no answer yet. A command about
    /// several incidents is done where one of them took it.
    pub(crate) fn of(response: String, facts: Vec<Fact>) -> Self {
        let refusal = |fact: &Fact| match &fact.data {
            FactData::CommandRejected(data) => Some(data.rule.clone()),
            _ => None,
        };
        let rule = facts.iter().find_map(refusal);
        let is_done = facts.iter().any(|fact| refusal(fact).is_none());
        let outcome = match (is_done, &rule) {
            (true, _) => "done",
            (false, Some(_)) => "refused",
            (false, None) => "pending",
        };
        Self {
            response,
            outcome: outcome.to_owned(),
            rule: rule.filter(|_| !is_done),
            facts,
            proposal: None,
        }
    }

    /// What came of a command about charters; `None` where nothing is known yet.
    pub(crate) fn about_charters(response: &Response, desk: &Desk<'_>) -> Option<Self> {
        let outcome = desk.publications.outcome(&cause_of(response))?;
        let (outcome, rule) = match (outcome, desk.publications.refused(&cause_of(response))) {
            (Taken::Outrun, _) => ("refused", Some(OUTRUN.to_owned())),
            (_, Some(rule)) => ("refused", Some(rule)),
            (..) => ("done", None),
        };
        let about = desk.publications.about(&cause_of(response));
        let proposal = about.and_then(|about| desk.publications.proposals().get(about));
        Some(Self {
            response: response.id(),
            outcome: outcome.to_owned(),
            rule,
            facts: Vec::new(),
            proposal: proposal.map(|proposal| desk.view(proposal)),
        })
    }
}

#[cfg(test)]
mod tests {
    use watchkeep_model::time::TimeSpan;

    use super::*;

    fn wrong(text: &str) -> String {
        read(text.as_bytes(), "2013-05-08T00:00:00Z".parse().unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn a_command_takes_effect_now_and_says_who_gives_it_in_full() {
        let now: Timestamp = "2013-05-08T00:00:00Z".parse().unwrap();
        let text = br#"{"command":"acknowledge","by":"ada","incident":"3f2a"}"#;
        let response = read(text, now).unwrap();
        assert_eq!((response.at, response.by.as_str()), (now, "user:ada"));
        // Sent again with its instant it is the same command.
        let again = read(&record("responses", &response).value, now + TimeSpan::MINUTE).unwrap();
        assert_eq!(again.id(), response.id());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_field() {
        assert!(wrong("[]").starts_with("not a JSON object"));
        assert!(wrong("{").starts_with("not a JSON object"));
        assert!(wrong(r#"{"by":"ada"}"#).starts_with("command: is one of acknowledge, remediate"));
        let text = wrong(r#"{"by":"ada","command":"ack"}"#);
        assert!(text.starts_with("command: `ack` is none of acknowledge"), "{text}");
        assert!(text.contains("reject") && !text.contains("report_"), "{text}");
        let text = wrong(r#"{"command":"verify","incident":"x"}"#);
        assert!(text.starts_with("by: says who"), "{text}");
        let text = wrong(r#"{"command":"remediate","by":"ada","incident":"x","action":"hope"}"#);
        assert!(text.starts_with("action: unknown variant `hope`"), "{text}");
        let text = wrong(r#"{"command":"remediate","by":"ada","incident":"x"}"#);
        assert_eq!(text, "rationale: a remediation needs a rationale");
        let text = wrong(r#"{"command":"verify","by":"ada","incident":"x","whom":"y"}"#);
        assert!(text.starts_with("whom: `whom` is no field of a command"), "{text}");
        let text = wrong(r#"{"command":"verify","by":"ada","by":"bob","incident":"x"}"#);
        assert!(text.contains("duplicate field `by`"), "{text}");
        let text = wrong(r#"{"command":"verify","by":"ada"}"#);
        assert!(text.starts_with("incident: the command names neither"), "{text}");
        let text =
            wrong(r#"{"command":"verify","by":"ada","incident":"x","at":"2013-05-07T00:00:00Z"}"#);
        assert!(text.starts_with("at: `at` is 2013-05-07"), "{text}");
        let text = wrong(r#"{"command":"silence","by":"ada","rationale":"y","matchers":["a"]}"#);
        assert!(text.starts_with("matchers: `a` is not a matcher"), "{text}");
    }
}
