//! `watchkeep who`: who answers for a subject, what feeds it, who uses it,
//! what watches it and where a breach goes.

mod print;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use watchkeep_incident::context::{Context as _, DEFAULT_POLICY, default_policy};
use watchkeep_incident::hook::{self, Hook};
use watchkeep_incident::lineage::reach::{Direction, reach};
use watchkeep_incident::owner::domain_of;
use watchkeep_incident::registry::Registry;
use watchkeep_model::charter::{Charter, CharterFields, Owners};
use watchkeep_model::incident::data::Link;
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::policy::{NotifyTarget, Policy};
use watchkeep_model::subject::typed;
use watchkeep_model::time::Timestamp;

use crate::charters::{RunsFrom, Wanted};
use crate::cli::{IncidentSource, Who};
use crate::commands::incidents::{self, Listed};
use crate::commands::lineage::encoded;
use crate::commands::produce::{HELD, ask_service};
use crate::config::{CharterSource, Config, LogConfig};
use crate::output::{Format, Output, complain};
use crate::store::Store;
use crate::{Outcome, charters, service};

/// Steps through the lineage in one direction; what lies further is not shown.
const DEPTH_MAX: u32 = 8;

#[derive(Serialize, Deserialize)]
pub(crate) struct Answer {
    subject: String,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    unowned: bool,
    /// When somebody else answers, as far as the directory tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_owner: Option<String>,
    resolution: Vec<Link>,
    /// Absent where no incident log was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open_incidents: Option<Vec<Listed>>,
    charter: Vec<String>,
    /// The subject whose charter says who answers, where it is another's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by_charter_of: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tier: Option<u8>,
    places: Vec<(String, String)>,
    people: Vec<Person>,
    upstream: Vec<String>,
    consumers: Vec<String>,
    subscribers: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    external_dependencies: Vec<String>,
    alarms: Vec<Alarm>,
    policy: String,
    steps: Vec<StepShown>,
    on_the_hook: Vec<OnHook>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    runbook: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Person {
    role: String,
    name: String,
    presence: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Somebody whom a step of the policy notifies.
#[derive(Serialize, Deserialize)]
struct OnHook {
    step: String,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    now: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Alarm {
    name: String,
    kind: String,
    window: String,
    severity: String,
    rule: String,
}

#[derive(Serialize, Deserialize)]
struct StepShown {
    step: String,
    notifies: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acknowledge_within: Option<String>,
}

/// # Errors
/// The charter folder cannot be used.
pub(super) fn run(arguments: &Who) -> anyhow::Result<Outcome> {
    let config = Config::load(arguments.configured.file.as_deref())?;
    let subject = typed(&arguments.subject);
    let at = arguments.at.unwrap_or_else(service::clock::now);
    let Some(answer) = ask(arguments, &config, &subject, at)? else {
        let folder = match (&arguments.charters, config.charter_source) {
            (Some(folder), _) => Some(folder),
            (None, CharterSource::Folder) => config.charters.as_ref(),
            _ => None,
        };
        let place = folder.map_or("the charters topic".to_owned(), |f| f.display().to_string());
        complain(&format!("no charter in {place} matches {subject} at {at}"));
        return Ok(Outcome::Found);
    };
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(&answer)?,
        Format::Table => print::print(&answer, &mut output)?,
    }
    output.finish()?;
    Ok(if answer.owner.is_none() || answer.unowned { Outcome::Found } else { Outcome::Fine })
}

/// Asks the files that are named, else the configured charters and the log,
/// through the service where it holds the log. `None` where no charter is in
/// force.
fn ask(
    arguments: &Who,
    config: &Config,
    subject: &str,
    at: Timestamp,
) -> anyhow::Result<Option<Answer>> {
    let wanted = arguments.charters.as_deref().map_or(Wanted::OfLog, Wanted::Folder);
    let is_nowhere = matches!(wanted, Wanted::OfLog)
        && config.charter_source == CharterSource::Unset
        && matches!(&config.log, LogConfig::Embedded { folder } if !folder.exists());
    if is_nowhere {
        bail!("no charters: name their folder with --charters DIR, or set charters.folder");
    }
    let has_files = !arguments.lineage.is_empty();
    let is_of_log = matches!(wanted, Wanted::OfLog) && arguments.from.is_none();
    if is_of_log && !has_files && is_held(config) {
        let path = format!("/v1/who?subject={}&at={at}", encoded(subject));
        let (status, told) = ask_service(config.listen, &path)?;
        return match status {
            200 => Ok(Some(
                serde_json::from_str(&told).context("the service answered something else")?,
            )),
            404 => Ok(None),
            _ => bail!("{}", told.trim()),
        };
    }
    // What runs show is worth having, but not worth failing for: no broker may
    // answer.
    let seen = match wanted {
        _ if has_files => {
            let files = RunsFrom::Files(&arguments.lineage);
            Some(charters::wanted_with_runs(config, &wanted, files)?)
        }
        Wanted::Folder(_) => None,
        _ => charters::wanted_with_runs(config, &wanted, RunsFrom::Topic).ok(),
    };
    let rules = seen.map_or_else(|| charters::wanted(config, &wanted), Ok)?;
    let registry = rules.registry();
    let facts = facts(arguments, config, at);
    Ok(answer(&registry, subject, at, facts.as_ref()))
}

/// True where a service holds the embedded log.
fn is_held(config: &Config) -> bool {
    matches!(&config.log, LogConfig::Embedded { folder } if folder.exists())
        && matches!(
            Store::open_existing(config),
            Err(error) if error.to_string().contains(HELD)
        )
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
        Ok(incidents) => Some(until(incidents, at)),
        Err(error) => {
            complain(&format!("open incidents are left out: {error:#}"));
            None
        }
    }
}

/// The facts up to an instant.
fn until(mut incidents: BTreeMap<String, Vec<Fact>>, at: Timestamp) -> BTreeMap<String, Vec<Fact>> {
    for facts in incidents.values_mut() {
        facts.retain(|fact| fact.occurred_at <= at);
    }
    incidents
}

/// What a service answers of a subject, with the incidents of its log; `None`
/// where no charter is in force.
pub(crate) fn told(
    registry: &Registry,
    subject: &str,
    at: Timestamp,
    incidents: BTreeMap<String, Vec<Fact>>,
) -> Option<Answer> {
    answer(registry, subject, at, Some(&until(incidents, at)))
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
    all.filter(|(listed, _)| !matches!(&*listed.state, "resolved" | "reviewed" | "closed"))
        .collect()
}

fn person(role: &str, name: &str, hook: Hook) -> Person {
    let presence = match hook.now {
        Some(user) if user == name => "present".to_owned(),
        Some(user) => format!("{user} answers"),
        None => hook.why.unwrap_or_default(),
    };
    Person {
        role: role.to_owned(),
        name: name.to_owned(),
        presence,
        until: hook.until,
        next: hook.next,
    }
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
                    None => (format!("role {role}"), unfilled()),
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

/// A role that the charter gives to nobody: the step passes it over.
fn unfilled() -> Hook {
    let why = Some("nobody: the charter names nobody for the role".to_owned());
    Hook { now: None, why, until: None, next: None }
}

/// For a node that the lineage knows and no charter is about: the charter that
/// an incident about it goes by, which is that of the first feature that
/// breaches; `known` has those that are open. Where none is, that of the nearest
/// subject downstream with a charter. Nothing of it but who answers is the node's.
fn borrowed(
    registry: &Registry,
    subject: &str,
    at: Timestamp,
    known: Option<&BTreeMap<String, Vec<Fact>>>,
) -> Option<(Charter, Option<String>)> {
    registry.lineage().node(subject)?;
    let of_open = known.and_then(|known| breached(known, subject));
    let max_age = default_policy().attribution.edge_max_age;
    let below = || {
        reach(registry, subject, Direction::Down, DEPTH_MAX, at, max_age)
            .into_iter()
            .filter(|edge| edge.state.is_fresh())
            .map(|edge| edge.to)
            .find(|node| registry.charter(node, at).is_some())
    };
    let from = of_open.or_else(below);
    let charter = from.as_ref().and_then(|from| registry.charter(from, at));
    let fields = charter.map(|charter| CharterFields {
        description: None,
        tier: None,
        subscribers: None,
        external_dependencies: None,
        expectations: None,
        runbook: None,
        ..charter.fields.clone()
    });
    let charter = Charter {
        subject: subject.to_owned(),
        fields: fields.unwrap_or_default(),
        ..Charter::default()
    };
    Some((charter, from))
}

/// The feature whose charter an open incident about a node goes by.
fn breached(known: &BTreeMap<String, Vec<Fact>>, root: &str) -> Option<String> {
    known.values().find_map(|facts| {
        let listed = incidents::listed(facts)?;
        if listed.root != root || matches!(&*listed.state, "resolved" | "reviewed" | "closed") {
            return None;
        }
        facts.iter().find_map(|fact| match &fact.data {
            FactData::Opened(opened) => opened.charter.as_ref().map(|of| of.subject.clone()),
            _ => None,
        })
    })
}

fn answer(
    registry: &Registry,
    subject: &str,
    at: Timestamp,
    incidents: Option<&BTreeMap<String, Vec<Fact>>>,
) -> Option<Answer> {
    let subject = &typed(subject);
    let (charter, by_charter_of) = match registry.charter(subject, at) {
        Some(charter) => (charter, None),
        None => {
            let (charter, from) = borrowed(registry, subject, at, incidents)?;
            (Arc::new(charter), from)
        }
    };
    let charter = &*charter;
    let open = incidents.map(open);
    let load = |user: &str| {
        // Its own incidents are not why somebody else would have to answer for it.
        let owned = open.iter().flatten().filter(|(incident, affected)| {
            incident.owner.as_deref() == Some(user) && !affected.contains(&charter.subject)
        });
        u32::try_from(owned.count()).unwrap_or(u32::MAX)
    };
    let (owner, resolution) = hook::of_charter(charter, registry, at, &load);
    let fields = &charter.fields;
    let people = Owners::ROLES
        .iter()
        .filter_map(|role| Some((*role, fields.owners.get(role)?)))
        .map(|(role, name)| person(role, name, hook::of_name(registry, name, at)))
        .collect();
    // A domain that only the system says is where the owner chain asks, too.
    let domain = domain_of(charter, registry.directory_at(at)).map(str::to_owned);
    let places = [
        ("view", &fields.view),
        ("group", &fields.group),
        ("system", &fields.system),
        ("domain", &domain),
    ];
    let policy_name = fields.policy.clone().unwrap_or_else(|| DEFAULT_POLICY.to_owned());
    let built_in = default_policy();
    let policy = registry.policy(&policy_name).unwrap_or(&built_in);
    Some(Answer {
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
        by_charter_of,
        description: fields.description.clone(),
        tier: fields.tier,
        places: places.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v.clone()?))).collect(),
        people,
        upstream: reached(registry, &charter.subject, Direction::Up, at, policy),
        consumers: reached(registry, &charter.subject, Direction::Down, at, policy),
        subscribers: fields.subscribers.clone().unwrap_or_default(),
        external_dependencies: fields.external_dependencies.clone().unwrap_or_default(),
        alarms: charter.expectations().iter().map(words::alarm).collect(),
        policy: policy.name.clone(),
        steps: steps(policy),
        on_the_hook: on_the_hook(policy, charter, &owner, registry, at),
        runbook: fields.runbook.clone(),
    })
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
