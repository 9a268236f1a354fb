//! What a command must say, whoever it comes from: the part of the rules that
//! needs no incident. The command line and HTTP ask it before anything is
//! written, the aggregate asks it again, for the topic is open to others.

use std::fmt;

use watchkeep_model::response::{Command, Response};
use watchkeep_model::time::{TimeSpan, Timestamp};

/// Text of one field, in characters. A longer one belongs into a document
/// that the text links to.
pub const TEXT_MAX: usize = 16_384;

/// Actions of one review; more are a project.
pub const ACTIONS_MAX: usize = 100;

/// Messages of one exercise for sinks.
pub const MESSAGES_MAX: usize = 200;

/// How far `at` may be from when a command is given. One that is sent again
/// keeps its instant, and so its identifier; one of another day belongs into a
/// replay.
pub const AT_APART_MAX: TimeSpan = TimeSpan::MINUTE.times(5);

/// What is wrong with a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field that is wrong or missing.
    pub field: String,
    /// The rule, one sentence.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Fault {}

fn fault(field: &str, what: impl Into<String>) -> Fault {
    Fault { field: field.to_owned(), what: what.into() }
}

/// Fields that every command may have.
const SHARED: [&str; 6] = ["at", "by", "command", "incident", "subject", "rationale"];

/// The fields that a command has beside those that every command may have.
pub const fn fields_of(command: Command) -> &'static [&'static str] {
    match command {
        Command::Remediate => &["action"],
        Command::SignOff => &["gate", "approve"],
        Command::Reassign => &["to"],
        Command::Merge => &["into"],
        Command::Escalate => &["decision"],
        Command::Silence => &["matchers", "from", "until"],
        Command::Unsilence => &["silence"],
        Command::Review => &["root_cause", "actions"],
        Command::Feedback => &["feedback"],
        Command::Complete => &["what"],
        Command::ReportDelivery => &["delivery"],
        Command::ReportDrill => &["drill", "messages"],
        Command::Propose => &["documents", "change_ticket", "effective_from"],
        Command::Approve | Command::Reject => &["proposal"],
        Command::Comment => &["proposal", "charter"],
        Command::Acknowledge | Command::Verify | Command::Resolve | Command::Close => &[],
    }
}

/// True where a command is about no single incident.
pub const fn is_about_many(command: Command) -> bool {
    matches!(
        command,
        Command::Silence | Command::Unsilence | Command::ReportDelivery | Command::ReportDrill
    )
}

/// True where a command is about charters, which no incident decides.
pub fn is_about_charters(response: &Response) -> bool {
    match response.command {
        Command::Propose | Command::Approve | Command::Reject => true,
        Command::Comment => response.proposal.is_some() || response.charter.is_some(),
        _ => false,
    }
}

/// Checks what a command says of itself.
///
/// # Errors
/// The first field that is missing, too much or of no use.
pub fn check(response: &Response) -> Result<(), Fault> {
    known(response)?;
    if response.by.trim().is_empty() {
        return Err(fault("by", "a command says who gives it: `by` is empty"));
    }
    if is_about_charters(response) {
        about_charters(response)?;
        return short(response);
    }
    let is_addressed = response.incident.is_some() || response.subject.is_some();
    if !is_addressed && !is_about_many(response.command) {
        return Err(fault("incident", "the command names neither an incident nor a subject"));
    }
    // A silence may be about both together.
    let is_twofold = response.incident.is_some() && response.subject.is_some();
    if is_twofold && !is_about_many(response.command) {
        let what = "the command names an incident and a subject: which one is it about?";
        return Err(fault("subject", what));
    }
    if response.incident.as_deref().is_some_and(|id| id.trim().is_empty()) {
        return Err(fault("incident", "`incident` is empty"));
    }
    needed(response)?;
    short(response)
}

/// Checks that a command takes effect about when it was given.
///
/// # Errors
/// `at` is further from that than [`AT_APART_MAX`].
pub fn check_at(response: &Response, given_at: Timestamp) -> Result<(), Fault> {
    let (at, most) = (response.at, AT_APART_MAX);
    if at.since(given_at) <= most && given_at.since(at) <= most {
        return Ok(());
    }
    let what = format!(
        "`at` is {at}, more than {most} from {given_at}, when the command was given: leave it out, \
         a command takes effect when it is given"
    );
    Err(fault("at", what))
}

fn known(response: &Response) -> Result<(), Fault> {
    let own = fields_of(response.command);
    let name = response.command.name();
    let listed = || SHARED.iter().chain(own).copied().collect::<Vec<_>>().join(", ");
    if let Some(field) = response.rest.keys().next() {
        let what = format!("`{field}` is no field of a command; {name} has {}", listed());
        return Err(fault(field, what));
    }
    let given = [
        ("action", response.action.is_some()),
        ("gate", response.gate.is_some()),
        ("approve", response.approve.is_some()),
        ("to", response.to.is_some()),
        ("into", response.into.is_some()),
        ("matchers", !response.matchers.is_empty()),
        ("from", response.from.is_some()),
        ("until", response.until.is_some()),
        ("silence", response.silence.is_some()),
        ("root_cause", response.root_cause.is_some()),
        ("actions", !response.actions.is_empty()),
        ("what", response.what.is_some()),
        ("decision", response.decision.is_some()),
        ("feedback", response.feedback.is_some()),
        ("delivery", response.delivery.is_some()),
        ("drill", response.drill.is_some()),
        ("messages", !response.messages.is_empty()),
        ("documents", response.documents.is_some()),
        ("change_ticket", response.change_ticket.is_some()),
        ("effective_from", response.effective_from.is_some()),
        ("proposal", response.proposal.is_some()),
        ("charter", response.charter.is_some()),
    ];
    match given.iter().find(|(field, is_given)| *is_given && !own.contains(field)) {
        Some((field, _)) => {
            Err(fault(field, format!("{name} has no field `{field}`; it has {}", listed())))
        }
        None => Ok(()),
    }
}

fn said(text: Option<&String>) -> bool {
    text.is_some_and(|text| !text.trim().is_empty())
}

fn about_charters(response: &Response) -> Result<(), Fault> {
    if response.incident.is_some() {
        return Err(fault("incident", "the command is about charters and names an `incident`"));
    }
    let why = |what: &str| match said(response.rationale.as_ref()) {
        true => Ok(()),
        false => Err(fault("rationale", what)),
    };
    if response.command == Command::Propose {
        why("a proposal needs a rationale: why the charters should change")?;
        return match &response.documents {
            None => {
                let what =
                    "a proposal has `documents`: the charters as they shall be, as YAML text";
                Err(fault("documents", what))
            }
            Some(_) => Ok(()),
        };
    }
    let names = [&response.proposal, &response.charter, &response.subject];
    match names.into_iter().flatten().collect::<Vec<_>>()[..] {
        [name] if name.trim().is_empty() => {
            return Err(fault(
                "proposal",
                "the command does not say what it is about: it is empty",
            ));
        }
        [_] => {}
        [] => {
            let name = response.command.name();
            let what = format!("{name} names a `proposal`, or the `subject` that one changes");
            return Err(fault("proposal", what));
        }
        _ => {
            let what = "the command is about one thing: a `proposal`, a `charter` or a `subject`";
            return Err(fault("proposal", what));
        }
    }
    match response.command {
        Command::Reject => why("a rejection needs a rationale"),
        Command::Comment => why("a comment needs a rationale: its text"),
        _ => Ok(()),
    }
}

fn needed(response: &Response) -> Result<(), Fault> {
    let rationale = said(response.rationale.as_ref());
    let why = |what: &str| match rationale {
        true => Ok(()),
        false => Err(fault("rationale", what)),
    };
    match response.command {
        Command::Remediate => why("a remediation needs a rationale"),
        Command::Resolve => why("a resolution needs a rationale"),
        Command::Comment => why("a comment needs a rationale: its text"),
        Command::SignOff if !said(response.gate.as_ref()) => {
            Err(fault("gate", "a sign-off names its gate"))
        }
        Command::Reassign if !said(response.to.as_ref()) => {
            Err(fault("to", "a reassignment says `to` whom"))
        }
        Command::Merge if !said(response.into.as_ref()) => {
            Err(fault("into", "a merger says `into` which incident"))
        }
        Command::Merge => why("a merger needs a rationale: why they are one"),
        Command::Silence => {
            why("a silence needs a rationale: why nobody is to be told")?;
            let is_addressed = response.incident.is_some() || response.subject.is_some();
            if response.matchers.is_empty() && !is_addressed {
                let what = "a silence needs matchers, an incident or a subject, for example \
                            root=dataset:weather";
                return Err(fault("matchers", what));
            }
            let until = response.until.ok_or_else(|| fault("until", "a silence says `until` when"));
            if until? <= response.from.unwrap_or(response.at) {
                return Err(fault("until", "a silence ends after it begins"));
            }
            Ok(())
        }
        Command::Unsilence if !said(response.silence.as_ref()) => {
            Err(fault("silence", "the command says which `silence` ends"))
        }
        Command::Review => reviewed(response),
        Command::Feedback if response.feedback.is_none() => Err(fault(
            "feedback",
            "feedback is one of useful, false_positive, duplicate, not_actionable, wrong_owner, \
             too_late",
        )),
        Command::ReportDelivery if response.delivery.is_none() => {
            Err(fault("delivery", "the command says which `delivery`"))
        }
        Command::ReportDrill => exercised(response),
        _ => Ok(()),
    }
}

/// What an exercise came to, with its messages. None of them may pass for a
/// real one: real sinks go by the mark.
fn exercised(response: &Response) -> Result<(), Fault> {
    let Some(drill) = &response.drill else {
        return Err(fault("drill", "the command says what the `drill` came to"));
    };
    if response.incident.is_some() || response.subject.is_some() {
        return Err(fault("incident", "an exercise is about no real incident: leave it out"));
    }
    let names = drill.policies.iter().chain([&drill.name]).chain(&drill.hash);
    if drill.name.trim().is_empty() || names.into_iter().any(|name| name.len() > TEXT_MAX) {
        return Err(fault("drill", "a `drill` has a name, and none of its texts is a long one"));
    }
    if response.messages.len() > MESSAGES_MAX {
        let what = format!("an exercise sends at most {MESSAGES_MAX} messages");
        return Err(fault("messages", what));
    }
    if response.messages.iter().any(|message| !message.drill) {
        return Err(fault("messages", "a message of an exercise has `drill: true`"));
    }
    Ok(())
}

fn reviewed(response: &Response) -> Result<(), Fault> {
    if !said(response.root_cause.as_ref()) {
        return Err(fault("root_cause", "a review names the root_cause"));
    }
    if response.actions.len() > ACTIONS_MAX {
        let what = format!("a review has at most {ACTIONS_MAX} actions");
        return Err(fault("actions", what));
    }
    let is_empty = |action: &watchkeep_model::response::ReviewAction| {
        action.what.trim().is_empty() || action.by.trim().is_empty()
    };
    if response.actions.iter().any(is_empty) {
        return Err(fault("actions", "each action of a review says what, by whom and when due"));
    }
    if let Some(past) = response.actions.iter().find(|action| action.due <= response.at) {
        let what = format!("`{}` is due at {}, before the review is given", past.what, past.due);
        return Err(fault("actions", what));
    }
    Ok(())
}

fn short(response: &Response) -> Result<(), Fault> {
    let texts = [
        ("rationale", response.rationale.as_deref()),
        ("root_cause", response.root_cause.as_deref()),
        ("what", response.what.as_deref()),
        ("by", Some(response.by.as_str())),
        ("to", response.to.as_deref()),
        ("into", response.into.as_deref()),
        ("incident", response.incident.as_deref()),
        ("subject", response.subject.as_deref()),
        ("change_ticket", response.change_ticket.as_deref()),
        ("proposal", response.proposal.as_deref()),
        ("charter", response.charter.as_deref()),
    ];
    let actions = response.actions.iter().map(|action| ("actions", Some(action.what.as_str())));
    let is_long = |text: Option<&str>| text.is_some_and(|text| text.chars().count() > TEXT_MAX);
    match texts.into_iter().chain(actions).find(|(_, text)| is_long(*text)) {
        Some((field, _)) => {
            Err(fault(field, format!("`{field}` has more than {TEXT_MAX} characters")))
        }
        None => Ok(()),
    }
}
