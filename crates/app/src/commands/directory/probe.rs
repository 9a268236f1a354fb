//! `watchkeep directory probe`: whether those who stand in for others can be
//! reached, before an incident asks for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::bail;
use serde::Serialize;
use watchkeep_incident::registry::Registry;
use watchkeep_incident::registry::publications::gate::people_behind;
use watchkeep_model::charter::{Owners, Severity};
use watchkeep_model::directory::User;
use watchkeep_model::escalation::{Audience, Escalation, EventAction};
use watchkeep_model::identifier::derived;
use watchkeep_model::time::Timestamp;
use watchkeep_runtime::stage::deliver::route::claiming;
use watchkeep_runtime::stage::deliver::{Alert, Request, Sink, Tool};

use crate::charters::{self, Wanted};
use crate::cli::Probe;
use crate::config::Config;
use crate::config::sinks::SinkConfig;
use crate::output::{Format, Output, Table, complain, grouped};
use crate::{Outcome, service, sinks};

/// A person and what became of them.
#[derive(Debug, Serialize)]
struct Person {
    /// `user:…`.
    person: String,
    /// Subjects and patterns for which they hold a role that was asked for.
    charters: u64,
    /// True where at least one contact reaches them.
    reachable: bool,
    /// Why not, where that is no contact's fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    contacts: Vec<Contact>,
}

/// One way to a person.
#[derive(Debug, Serialize)]
struct Contact {
    /// `tool:address`.
    contact: String,
    /// The sinks that take it.
    sinks: Vec<String>,
    outcome: String,
    #[serde(skip)]
    is_way: bool,
}

/// # Errors
/// The charters or the configuration cannot be read.
pub(super) fn run(arguments: &Probe) -> anyhow::Result<Outcome> {
    for role in &arguments.role {
        if !Owners::ROLES.contains(&role.as_str()) {
            bail!("--role {role}: write one of {}", Owners::ROLES.join(", "));
        }
    }
    let config = match &arguments.charters {
        Some(_) => Config::load(arguments.configured.file.as_deref())?,
        None => Config::load_required(arguments.configured.file.as_deref())?,
    };
    let wanted = arguments.charters.as_deref().map_or(Wanted::OfLog, Wanted::Folder);
    let rules = charters::wanted(&config, &wanted)?;
    let now = service::clock::now();
    let registry = rules.registry();
    if config.sinks.is_empty() {
        complain("the configuration has no sinks: whoever reads the topic tells people");
    }
    let people: Vec<Person> = holders(&registry, &arguments.role, now)
        .into_iter()
        .map(|(person, charters)| {
            let user = registry.directory().user(&person);
            probe(person, charters, user, &config.sinks, arguments.send.then_some(now))
        })
        .collect();
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(&people)?,
        Format::Table => table(&people).print(&mut output)?,
    }
    output.finish()?;
    let is_fine = people.iter().all(|person| person.reachable);
    Ok(if is_fine { Outcome::Fine } else { Outcome::Found })
}

/// Everybody who holds one of the roles, with how many charters say so.
fn holders(registry: &Registry, roles: &[String], at: Timestamp) -> BTreeMap<String, u64> {
    let mut people: BTreeMap<String, u64> = BTreeMap::new();
    for subject in registry.subjects() {
        let Some(charter) = registry.charter(subject, at) else { continue };
        let held = roles.iter().filter_map(|role| charter.fields.owners.get(role));
        let behind: BTreeSet<String> =
            held.flat_map(|holder| people_behind(registry.directory(), holder)).collect();
        for person in behind {
            *people.entry(person).or_default() += 1;
        }
    }
    people
}

/// Looks at the ways to a person; with an instant each gets a message of then.
fn probe(
    person: String,
    charters: u64,
    user: Option<&User>,
    sinks: &[SinkConfig],
    send: Option<Timestamp>,
) -> Person {
    let why = match user {
        None => Some("no directory document has this user"),
        Some(user) if !user.active => Some("they have left"),
        Some(user) if user.contacts.is_empty() => Some("no contact is known"),
        Some(_) => None,
    };
    let known = user.filter(|_| why.is_none());
    let contacts: Vec<Contact> = known
        .iter()
        .flat_map(|user| &user.contacts)
        .map(|contact| way(&person, (&contact.tool, &contact.to), sinks, send))
        .collect();
    let reachable = contacts.iter().any(|contact| contact.is_way);
    Person { person, charters, reachable, why: why.map(str::to_owned), contacts }
}

fn way(
    person: &str,
    (tool, to): (&str, &str),
    configs: &[SinkConfig],
    send: Option<Timestamp>,
) -> Contact {
    let contact = format!("{tool}:{to}");
    let of = |sinks: Vec<String>, is_way, outcome: String| Contact {
        contact: contact.clone(),
        sinks,
        outcome,
        is_way,
    };
    if !Tool::ALL.iter().any(|(_, name)| *name == tool) || configs.is_empty() {
        // Whoever reads the topic may speak it.
        return of(Vec::new(), true, "left to whoever reads the topic".to_owned());
    }
    let known: Vec<&Sink> = configs.iter().map(|config| &config.sink).collect();
    let places = claiming(&contact, &known);
    let names = places.iter().map(|place| configs[*place].sink.name.to_string()).collect();
    if places.is_empty() {
        return of(names, false, "no sink takes it".to_owned());
    }
    let Some(at) = send else { return of(names, true, "a sink takes it".to_owned()) };
    let failures: Vec<String> = places
        .iter()
        .filter_map(|place| sent(&configs[*place], person, &contact, to, at).err())
        .collect();
    match failures.len() < places.len() {
        true => of(names, true, "was told".to_owned()),
        false => of(names, false, failures.join("; ")),
    }
}

/// Sends a test message, and to a tool that holds alerts that it is over.
fn sent(
    config: &SinkConfig,
    person: &str,
    contact: &str,
    to: &str,
    at: Timestamp,
) -> Result<(), String> {
    let holds = config.sink.tool.holds_alerts();
    let actions = [EventAction::Trigger, EventAction::Resolve];
    for action in actions.into_iter().take(if holds { 2 } else { 1 }) {
        let message = Arc::new(message(person, contact, action, at));
        let alert = Alert {
            message,
            to: Some(Arc::from(to)),
            since: at,
            previous: None,
            pages: Vec::new(),
        };
        let request = Request { ticket: 0, sink: 0, alerts: vec![alert], at };
        match sinks::send_once(config, &request) {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => return Err(failure.to_string()),
            Err(error) => return Err(format!("{error:#}")),
        }
    }
    Ok(())
}

fn message(person: &str, contact: &str, event_action: EventAction, at: Timestamp) -> Escalation {
    let id = derived(&["probe", person, contact, &at.to_string()]);
    Escalation {
        id: derived(&[&id, if event_action == EventAction::Resolve { "over" } else { "begins" }]),
        r#type: "watchkeep.escalation.inform".to_owned(),
        source: "/watchkeep/directory/probe".to_owned(),
        subject: person.to_owned(),
        time: at,
        incident_id: id.clone(),
        dedup_key: id,
        event_action,
        severity: Severity::Info,
        summary: format!("Test: pages for {person} arrive here. Nothing has happened"),
        component: person.to_owned(),
        group: None,
        class: "probe".to_owned(),
        audience: Audience::Inform,
        step: None,
        climb: None,
        target: Some(person.to_owned()),
        role: None,
        channel: Some(contact.to_owned()),
        respond_by: None,
        reason: "probe".to_owned(),
        owner: None,
        unowned: false,
        affected_features: Vec::new(),
        affected_count: 0,
        consumers: Vec::new(),
        runbook: None,
        links: Vec::new(),
        drill: true,
        custom_details: BTreeMap::new(),
    }
}

fn table(people: &[Person]) -> Table {
    let mut table = Table::new(["person", "charters", "contact", "sinks", "outcome"]);
    for person in people {
        let (name, count) = (&person.person, grouped(person.charters));
        let cells = |contact: &str, sinks: String, outcome: &str| {
            [name.clone(), count.clone(), contact.to_owned(), sinks, outcome.to_owned()]
        };
        if let Some(why) = &person.why {
            table.row(cells("-", "-".to_owned(), &format!("cannot be reached: {why}")));
        }
        for contact in &person.contacts {
            let sinks = match contact.sinks.is_empty() {
                true => "-".to_owned(),
                false => contact.sinks.join(", "),
            };
            table.row(cells(&contact.contact, sinks, &contact.outcome));
        }
    }
    table
}
