//! `watchkeep who`: who answers for a subject, what feeds it, who uses it,
//! what watches it and where a breach goes.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use serde::Serialize;
use watchkeep_incident::context::{DEFAULT_POLICY, default_policy};
use watchkeep_incident::hook::{self, Hook};
use watchkeep_incident::lineage::reach::{Direction, reach};
use watchkeep_incident::registry::Registry;
use watchkeep_model::charter::{Charter, Expectation, Learned, Owners, Rule};
use watchkeep_model::incident::data::Link;
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::policy::{NotifyTarget, Policy};
use watchkeep_model::subject::typed;
use watchkeep_model::time::Timestamp;

use crate::charters::{RunsFrom, Wanted};
use crate::cli::{IncidentSource, Who};
use crate::commands::incidents::{self, Listed};
use crate::config::{CharterSource, Config, LogConfig};
use crate::output::{Format, Output, Table, complain};
use crate::{Outcome, charters, service};

/// Steps through the lineage in one direction; what lies further is not shown.
const DEPTH_MAX: u32 = 8;

#[derive(Serialize)]
struct Answer {
    subject: String,
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    unowned: bool,
    /// When somebody else answers, as far as the directory tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_owner: Option<String>,
    resolution: Vec<Link>,
    /// Absent where no incident log was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    open_incidents: Option<Vec<Listed>>,
    charter: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<u8>,
    places: Vec<(&'static str, String)>,
    people: Vec<Person>,
    upstream: Vec<String>,
    consumers: Vec<String>,
    subscribers: Vec<String>,
    alarms: Vec<Alarm>,
    policy: String,
    steps: Vec<StepShown>,
    on_the_hook: Vec<OnHook>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runbook: Option<String>,
}

#[derive(Serialize)]
struct Person {
    role: &'static str,
    name: String,
    presence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Somebody whom a step of the policy notifies.
#[derive(Serialize)]
struct OnHook {
    step: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct Alarm {
    name: String,
    kind: &'static str,
    window: String,
    severity: &'static str,
    rule: String,
}

#[derive(Serialize)]
struct StepShown {
    step: String,
    notifies: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledge_within: Option<String>,
}

/// # Errors
/// The charter folder cannot be used.
pub(super) fn run(arguments: &Who) -> anyhow::Result<Outcome> {
    let config = Config::load(arguments.configured.file.as_deref())?;
    let wanted = arguments.charters.as_deref().map_or(Wanted::OfLog, Wanted::Folder);
    let is_nowhere = matches!(wanted, Wanted::OfLog)
        && config.charter_source == CharterSource::Unset
        && matches!(&config.log, LogConfig::Embedded { folder } if !folder.exists());
    if is_nowhere {
        bail!("no charters: name their folder with --charters DIR, or set charters.folder");
    }
    // What runs show is worth having, but not worth failing for: a service may
    // hold the log, or no broker answer.
    let seen = match wanted {
        Wanted::Folder(_) => None,
        _ => charters::wanted_with_runs(&config, &wanted, RunsFrom::Topic).ok(),
    };
    let rules = seen.map_or_else(|| charters::wanted(&config, &wanted), Ok)?;
    let at = arguments.at.unwrap_or_else(service::clock::now);
    let subject = typed(&arguments.subject);
    let Some(charter) = rules.registry().charter(&subject, at) else {
        let folder = match (&arguments.charters, config.charter_source) {
            (Some(folder), _) => Some(folder),
            (None, CharterSource::Folder) => config.charters.as_ref(),
            _ => None,
        };
        let place = folder.map_or("the charters topic".to_owned(), |f| f.display().to_string());
        complain(&format!("no charter in {place} matches {subject} at {at}"));
        return Ok(Outcome::Found);
    };
    let facts = facts(arguments, &config, at);
    let answer = answer(&rules.registry(), &charter, at, facts.as_ref());
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(&answer)?,
        Format::Table => print(&answer, &mut output)?,
    }
    output.finish()?;
    Ok(if answer.owner.is_none() || answer.unowned { Outcome::Found } else { Outcome::Fine })
}

/// The incident log up to an instant; `None` where none is named or it cannot
/// be read now, which is told.
fn facts(arguments: &Who, config: &Config, at: Timestamp) -> Option<BTreeMap<String, Vec<Fact>>> {
    let has_log = arguments.configured.file.is_some()
        && !matches!(&config.log, LogConfig::Embedded { folder } if !folder.exists());
    if arguments.from.is_none() && !has_log {
        return None;
    }
    let source =
        IncidentSource { from: arguments.from.clone(), configured: arguments.configured.clone() };
    match incidents::read(&source) {
        Ok(mut incidents) => {
            for facts in incidents.values_mut() {
                facts.retain(|fact| fact.occurred_at <= at);
            }
            Some(incidents)
        }
        Err(error) => {
            complain(&format!("open incidents are left out: {error:#}"));
            None
        }
    }
}

/// Incidents that are open, with all subjects that they affect.
fn open(incidents: &BTreeMap<String, Vec<Fact>>) -> Vec<(Listed, BTreeSet<String>)> {
    let all = incidents.values().filter_map(|facts| {
        let mut affected = BTreeSet::new();
        for fact in facts {
            match &fact.data {
                FactData::Opened(opened) => {
                    affected.insert(opened.root.clone());
                    affected.extend(opened.affected_features.iter().map(|name| typed(name)));
                }
                FactData::BreachAttached(breach) => {
                    affected.insert(typed(&breach.feature));
                }
                _ => {}
            }
        }
        Some((incidents::listed(facts)?, affected))
    });
    all.filter(|(listed, _)| !matches!(listed.state, "resolved" | "reviewed" | "closed")).collect()
}

fn person(role: &'static str, name: &str, hook: Hook) -> Person {
    let presence = match hook.now {
        Some(user) if user == name => "present".to_owned(),
        Some(user) => format!("{user} answers"),
        None => hook.why.unwrap_or_default(),
    };
    Person { role, name: name.to_owned(), presence, until: hook.until, next: hook.next }
}

/// Everybody whom the steps of a policy notify, now and next.
fn on_the_hook(
    policy: &Policy,
    charter: &Charter,
    owner: &Hook,
    registry: &Registry,
    at: Timestamp,
) -> Vec<OnHook> {
    let mut all = Vec::new();
    for step in &policy.steps {
        for notify in &step.notify {
            let (shown, hook) = match &notify.target {
                // The primary is whoever the owner chain leads to.
                NotifyTarget::Role(role) if role == "primary" => {
                    (format!("role {role}"), owner.clone())
                }
                NotifyTarget::Role(role) => match charter.fields.owners.get(role) {
                    Some(name) => (format!("role {role}"), hook::of_name(registry, name, at)),
                    None => continue,
                },
                NotifyTarget::User(name)
                | NotifyTarget::Group(name)
                | NotifyTarget::Schedule(name) => (name.clone(), hook::of_name(registry, name, at)),
            };
            let Hook { now, why, until, next } = hook;
            all.push(OnHook { step: step.name.clone(), name: shown, now, why, until, next });
        }
    }
    all
}

fn answer(
    registry: &Registry,
    charter: &Charter,
    at: Timestamp,
    incidents: Option<&BTreeMap<String, Vec<Fact>>>,
) -> Answer {
    let open = incidents.map(open);
    let load = |user: &str| {
        let owned = open.iter().flatten().filter(|(i, _)| i.owner.as_deref() == Some(user));
        u32::try_from(owned.count()).unwrap_or(u32::MAX)
    };
    let (owner, resolution) = hook::of_charter(charter, registry, at, &load);
    let fields = &charter.fields;
    let people = Owners::ROLES
        .iter()
        .filter_map(|role| Some((*role, fields.owners.get(role)?)))
        .map(|(role, name)| person(role, name, hook::of_name(registry, name, at)))
        .collect();
    let places = [
        ("view", &fields.view),
        ("group", &fields.group),
        ("system", &fields.system),
        ("domain", &fields.domain),
    ];
    let policy_name = fields.policy.clone().unwrap_or_else(|| DEFAULT_POLICY.to_owned());
    let built_in = default_policy();
    let policy = registry.policy(&policy_name).unwrap_or(&built_in);
    Answer {
        subject: charter.subject.clone(),
        at,
        owner: resolution.owner,
        unowned: resolution.unowned,
        until: owner.until,
        next_owner: owner.next.clone(),
        resolution: resolution.links,
        open_incidents: open.map(|open| {
            let mut of_subject: Vec<Listed> = open
                .into_iter()
                .filter(|(_, affected)| affected.contains(&charter.subject))
                .map(|(listed, _)| listed)
                .collect();
            of_subject.sort_by_key(|listed| listed.opened_at);
            of_subject
        }),
        charter: charter.from.clone(),
        description: fields.description.clone(),
        tier: fields.tier,
        places: places.into_iter().filter_map(|(k, v)| Some((k, v.clone()?))).collect(),
        people,
        upstream: reached(registry, &charter.subject, Direction::Up, at, policy),
        consumers: reached(registry, &charter.subject, Direction::Down, at, policy),
        subscribers: fields.subscribers.clone().unwrap_or_default(),
        alarms: charter.expectations().iter().map(alarm).collect(),
        policy: policy.name.clone(),
        steps: steps(policy),
        on_the_hook: on_the_hook(policy, charter, &owner, registry, at),
        runbook: fields.runbook.clone(),
    }
}

/// What can be reached along edges that are known and not stale, nearest
/// first, then by name.
fn reached(
    registry: &Registry,
    subject: &str,
    direction: Direction,
    at: Timestamp,
    policy: &Policy,
) -> Vec<String> {
    let max_age = policy.attribution.edge_max_age;
    let mut seen: BTreeSet<String> = BTreeSet::from([subject.to_owned()]);
    let mut far: Vec<(u32, String)> = Vec::new();
    for edge in reach(registry, subject, direction, DEPTH_MAX, at, max_age) {
        let node = if direction == Direction::Up { edge.from } else { edge.to };
        if edge.state.is_fresh() && seen.insert(node.clone()) {
            far.push((edge.distance, node));
        }
    }
    far.sort();
    far.into_iter().map(|(_, node)| node).collect()
}

fn steps(policy: &Policy) -> Vec<StepShown> {
    policy
        .steps
        .iter()
        .map(|step| StepShown {
            step: step.name.clone(),
            notifies: step
                .notify
                .iter()
                .map(|notify| match &notify.target {
                    NotifyTarget::Role(role) => format!("role {role}"),
                    NotifyTarget::User(name)
                    | NotifyTarget::Group(name)
                    | NotifyTarget::Schedule(name) => name.clone(),
                })
                .collect(),
            acknowledge_within: step.acknowledge_within.map(|span| span.to_string()),
        })
        .collect()
}

fn alarm(expectation: &Expectation) -> Alarm {
    Alarm {
        name: expectation.name.clone(),
        kind: expectation.rule.kind().name(),
        window: expectation.window.to_string(),
        severity: expectation.severity.name(),
        rule: match &expectation.learned {
            None => rule(&expectation.rule),
            Some(learned) => learned_rule(expectation, learned),
        },
    }
}

/// What is learned, in words; the rule itself holds what nothing passes.
fn learned_rule(expectation: &Expectation, learned: &Learned) -> String {
    let names: Vec<&str> = learned.thresholds.iter().map(|threshold| threshold.name()).collect();
    format!(
        "{} {} learned from {} with {} false alarms",
        expectation.rule.kind().name(),
        names.join(" and "),
        learned.from,
        learned.false_alarm_rate
    )
}

/// A rule in words.
fn rule(rule: &Rule) -> String {
    let bounds = |below: Option<String>, above: Option<String>| {
        let below = below.map(|bound| format!("below {bound}"));
        let above = above.map(|bound| format!("above {bound}"));
        below.into_iter().chain(above).collect::<Vec<_>>().join(" or ")
    };
    match rule {
        Rule::Drift { p_below, effect, .. } => match effect {
            Some(effect) => {
                format!("p below {p_below} and {} above {}", effect.statistic.name(), effect.above)
            }
            None => format!("p below {p_below} and the effect above 0.1"),
        },
        Rule::Latency { quantile, above } => {
            format!("{} of the latency above {above}", quantile.name())
        }
        Rule::Freshness { quantile, above } => {
            format!("{} of the age above {above}", quantile.name())
        }
        Rule::Silence { after } => format!("no event for {after}"),
        Rule::NullRate { above, .. } => format!("share of nulls above {above}"),
        Rule::ErrorRate { above, .. } => format!("share of errors above {above}"),
        Rule::Volume { usual: Some(usual), .. } => format!(
            "p below {} and the count more than {} from the usual one",
            usual.p_below, usual.change
        ),
        Rule::Volume { below, above, .. } => {
            let text = bounds(below.map(|n| n.to_string()), above.map(|n| n.to_string()));
            format!("count {text}")
        }
        Rule::Range { min, max, above } => {
            let text = bounds(min.map(|n| n.to_string()), max.map(|n| n.to_string()));
            format!("share of values {text} above {above}")
        }
        Rule::Categories { above, .. } => format!("share of unseen categories above {above}"),
        Rule::Slo { objective, period, .. } => {
            format!("the error budget of {objective} over {period} burning too fast")
        }
    }
}

/// Who is next and from when.
fn next(until: Option<Timestamp>, next: Option<&str>) -> String {
    until.map_or_else(
        || "-".to_owned(),
        |until| format!("{} from {until}", next.unwrap_or("nobody")),
    )
}

fn print_hook(answer: &Answer, output: &mut Output) -> anyhow::Result<()> {
    if !answer.on_the_hook.is_empty() {
        output.line("")?;
        let mut table = Table::new(["on the hook", "step", "now", "next"]);
        for hook in &answer.on_the_hook {
            let now = hook.now.clone().or_else(|| hook.why.clone()).unwrap_or_default();
            let next = next(hook.until, hook.next.as_deref());
            table.row([hook.name.clone(), hook.step.clone(), now, next]);
        }
        table.print(output)?;
    }
    let Some(open) = &answer.open_incidents else { return Ok(()) };
    if open.is_empty() {
        return output.line("\nno open incident");
    }
    output.line("")?;
    let mut table = Table::new(["open incident", "since", "state", "severity", "kind", "owner"]);
    for incident in open {
        table.row([
            incident.incident_id.clone(),
            incident.opened_at.to_string(),
            incident.state.to_owned(),
            incident.severity.clone(),
            incident.kind.clone(),
            incident.owner.clone().unwrap_or_else(|| "nobody".into()),
        ]);
    }
    table.print(output)
}

fn print(answer: &Answer, output: &mut Output) -> anyhow::Result<()> {
    let owner = answer.owner.as_deref().unwrap_or("nobody");
    let unowned = if answer.unowned { " (unowned: the chain went to governance)" } else { "" };
    output.line(format_args!("{} at {}", answer.subject, answer.at))?;
    if let Some(description) = &answer.description {
        output.line(description)?;
    }
    output.line(format_args!("\n{owner} answers{unowned}"))?;
    if let Some(until) = answer.until {
        let next = answer.next_owner.as_deref().unwrap_or("nobody");
        output.line(format_args!("until {until}, then {next}"))?;
    }
    let mut table = Table::new(["  link", "tried", "outcome"]);
    for link in &answer.resolution {
        let tried = link.tried.clone().unwrap_or_else(|| "-".into());
        table.row([format!("  {}", link.link), tried, link.outcome.clone()]);
    }
    table.print(output)?;
    output.line("")?;
    let mut table = Table::new(["role", "who", "now", "next"]);
    for person in &answer.people {
        let next = next(person.until, person.next.as_deref());
        table.row([person.role.to_owned(), person.name.clone(), person.presence.clone(), next]);
    }
    table.print(output)?;
    output.line("")?;
    let mut table = Table::new(["about", ""]);
    for (name, value) in &answer.places {
        table.row([(*name).to_owned(), value.clone()]);
    }
    if let Some(tier) = answer.tier {
        table.row(["tier".into(), tier.to_string()]);
    }
    for (name, list) in [
        ("made from", &answer.upstream),
        ("used by", &answer.consumers),
        ("subscribers", &answer.subscribers),
        ("charter of", &answer.charter),
    ] {
        if !list.is_empty() {
            table.row([name.to_owned(), list.join(", ")]);
        }
    }
    if let Some(runbook) = &answer.runbook {
        table.row(["runbook".into(), runbook.clone()]);
    }
    table.print(output)?;
    output.line("")?;
    let mut table = Table::new(["alarm", "kind", "window", "severity", "bad when"]);
    for alarm in &answer.alarms {
        let Alarm { name, kind, window, severity, rule } = alarm;
        table.row([name.clone(), (*kind).into(), window.clone(), (*severity).into(), rule.clone()]);
    }
    table.print(output)?;
    output.line(format_args!("\npolicy {}", answer.policy))?;
    let mut table = Table::new(["  step", "notifies", "acknowledge within"]);
    for step in &answer.steps {
        let within = step.acknowledge_within.clone().unwrap_or_else(|| "-".into());
        table.row([format!("  {}", step.step), step.notifies.join(", "), within]);
    }
    table.print(output)?;
    print_hook(answer, output)
}
