//! `watchkeep lineage show`: what a node is made from, and what is made from it.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use watchkeep_incident::context::Context as _;
use watchkeep_incident::lineage::EdgeState;
use watchkeep_incident::lineage::reach::{Direction, Reached, reach};
use watchkeep_incident::registry::Registry;
use watchkeep_model::document::nearest;
use watchkeep_model::policy::AttributionLimits;
use watchkeep_model::subject::{typed, untyped};
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_runtime::log::LogError;

use crate::charters::{RunsFrom, Wanted};
use crate::cli::{Lineage, LineageFormat, LineageShow};
use crate::commands::produce::{HELD, get};
use crate::config::{CharterSource, Config, LogConfig};
use crate::output::{Output, Table, complain};
use crate::{Outcome, charters, service};

/// Names that an unknown one may have been meant to be.
const NEAR_MAX: usize = 3;

/// Edges away that are looked at where nobody says how many.
pub(crate) const DEPTH_DEFAULT: u32 = 8;

/// Edges away that may be asked for.
pub(crate) const DEPTH_MAX: u32 = 100;

/// What is asked of a lineage.
pub(crate) struct Question {
    /// A typed name.
    pub(crate) node: String,
    pub(crate) direction: Direction,
    pub(crate) depth: u32,
    pub(crate) at: Timestamp,
}

/// What a lineage answers, by the command and by HTTP.
#[derive(Serialize, Deserialize)]
pub(crate) struct Answer {
    node: String,
    at: Timestamp,
    direction: String,
    edges: Vec<Shown>,
    /// What runs showed to be wrong with the nodes of the answer.
    trouble: Vec<Trouble>,
}

#[derive(Serialize, Deserialize)]
struct Shown {
    distance: u32,
    from: String,
    to: String,
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_seen: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_seen: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct Trouble {
    node: String,
    since: Timestamp,
    what: String,
}

/// # Errors
/// Charters or run events that cannot be used, a node that nobody knows.
pub(super) fn run(command: &Lineage) -> anyhow::Result<Outcome> {
    match command {
        Lineage::Show(arguments) => show(arguments),
    }
}

fn show(arguments: &LineageShow) -> anyhow::Result<Outcome> {
    let question = Question {
        node: typed(&arguments.node),
        direction: if arguments.down { Direction::Down } else { Direction::Up },
        depth: arguments.depth,
        at: arguments.at.unwrap_or_else(service::clock::now),
    };
    let answer = ask(arguments, &question)?;
    let mut output = Output::new();
    match arguments.format {
        LineageFormat::Json => output.json(&answer)?,
        LineageFormat::Table => table(&answer, &mut output)?,
        LineageFormat::Dot => dot(&answer, &mut output)?,
    }
    output.finish()?;
    if answer.edges.is_empty() {
        let Answer { node, at, direction, .. } = &answer;
        complain(&format!("nothing is known {direction} from {node} at {at}"));
        return Ok(Outcome::Found);
    }
    Ok(Outcome::Fine)
}

/// Asks the files that are named, else the configured charters and the lineage
/// topic, through the service where it holds the log.
fn ask(arguments: &LineageShow, question: &Question) -> anyhow::Result<Answer> {
    let are_files = arguments.charters.is_some() || !arguments.lineage.is_empty();
    let config = match &arguments.configured.file {
        None if are_files => Config::without_file()?,
        file => Config::load(file.as_deref())?,
    };
    let is_nowhere = match &config.log {
        LogConfig::Embedded { folder } => !folder.exists(),
        LogConfig::Kafka { .. } => false,
    };
    if !are_files && is_nowhere && config.charter_source != CharterSource::Folder {
        bail!(
            "no lineage: name a charter folder with --charters DIR, or run events with --lineage FILE"
        );
    }
    let wanted = match &arguments.charters {
        Some(folder) => Wanted::Folder(folder),
        // Run events of files may stand for themselves.
        None if are_files && arguments.configured.file.is_none() => Wanted::OfFiles,
        None if is_nowhere => Wanted::OfFiles,
        None => Wanted::OfLog,
    };
    let from = match are_files || is_nowhere {
        true => RunsFrom::Files(&arguments.lineage),
        false => RunsFrom::Topic,
    };
    match charters::wanted_with_runs(&config, &wanted, from) {
        Ok(rules) => answer(&rules.registry(), question).map_err(anyhow::Error::msg),
        Err(error) => match (error.downcast_ref(), &config.log) {
            (Some(LogError::Fatal(why)), LogConfig::Embedded { .. }) if why.contains(HELD) => {
                let Question { node, direction, depth, at } = question;
                let node = encoded(node);
                let path = format!(
                    "/v1/lineage?node={node}&direction={}&depth={depth}&at={at}",
                    word(*direction)
                );
                let told = get(config.listen, &path)?;
                serde_json::from_str(&told).context("the service answered something else")
            }
            _ => Err(error),
        },
    }
}

/// A name in the query of a request.
pub(super) fn encoded(name: &str) -> String {
    use std::fmt::Write as _;
    name.bytes().fold(String::new(), |mut all, byte| {
        // Writing to a text cannot fail.
        let _ = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b':' | b'/' => {
                write!(all, "{}", char::from(byte))
            }
            _ => write!(all, "%{byte:02X}"),
        };
        all
    })
}

/// What a registry answers.
///
/// # Errors
/// A sentence where nobody knows the node, with names that are near.
pub(crate) fn answer(registry: &Registry, question: &Question) -> Result<Answer, String> {
    let Question { node, direction, depth, at } = question;
    if registry.lineage().node(node).is_none() && registry.charter(node, *at).is_none() {
        let near = near(registry, node);
        let hint = match &near[..] {
            [] => "no charter, lineage document or run event names it".to_owned(),
            [one] => format!("did you mean `{one}`?"),
            more => format!("did you mean one of `{}`?", more.join("`, `")),
        };
        return Err(format!("`{node}` is no node of the lineage: {hint}"));
    }
    let max_age = max_age(registry, node, *at);
    let reached = reach(registry, node, *direction, *depth, *at, max_age);
    Ok(Answer {
        node: node.clone(),
        at: *at,
        direction: word(*direction).to_owned(),
        trouble: trouble(registry, node, &reached, *at, max_age),
        edges: reached.into_iter().map(shown).collect(),
    })
}

/// Nodes that an unknown name may have been meant to be: those of the same name
/// and another type, then those that are spelt alike.
pub(super) fn near<'r>(registry: &'r Registry, node: &str) -> Vec<&'r str> {
    let known: BTreeSet<&str> = registry.lineage().names().chain(registry.named()).collect();
    let bare = |name: &'r str| name.split_once(':').map_or(name, |(_, bare)| bare);
    let wanted = node.split_once(':').map_or(node, |(_, bare)| bare);
    let mut near: Vec<&str> =
        known.iter().copied().filter(|name| bare(name) == wanted).take(NEAR_MAX).collect();
    while near.len() < NEAR_MAX {
        let others = || known.iter().copied().filter(|name| !near.contains(name));
        let kind = node.split_once(':').map_or("", |(kind, _)| kind);
        let alike = nearest(node, others().filter(|name| name.starts_with(kind)));
        let alike = alike.or_else(|| {
            let bares = others().map(bare);
            let found = nearest(untyped(wanted), bares)?;
            others().find(|name| bare(name) == found)
        });
        let Some(alike) = alike else { break };
        near.push(alike);
    }
    near
}

const fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "up",
        Direction::Down => "down",
    }
}

/// What the policy of the node's charter says, else the default.
fn max_age(registry: &Registry, node: &str, at: Timestamp) -> TimeSpan {
    let charter = registry.charter(node, at);
    let policy = charter.as_ref().and_then(|charter| charter.fields.policy.as_deref());
    let policy = policy.and_then(|name| registry.policy(name));
    let default = AttributionLimits::default();
    policy.map_or(default.edge_max_age, |policy| policy.attribution.edge_max_age)
}

fn shown(edge: Reached) -> Shown {
    Shown {
        distance: edge.distance,
        from: edge.from,
        to: edge.to,
        state: state(edge.state).to_owned(),
        first_seen: edge.first_seen,
        last_seen: edge.last_seen,
    }
}

const fn state(state: EdgeState) -> &'static str {
    match state {
        EdgeState::Declared => "declared",
        EdgeState::Seen(_) => "seen",
        EdgeState::Stale(_) => "stale",
        EdgeState::Unknown => "unknown",
    }
}

fn trouble(
    registry: &Registry,
    node: &str,
    reached: &[Reached],
    at: Timestamp,
    max_age: TimeSpan,
) -> Vec<Trouble> {
    let lineage = registry.lineage();
    let ends = reached.iter().flat_map(|edge| [edge.from.as_str(), edge.to.as_str()]);
    let mut nodes: Vec<&str> = ends.chain([node]).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let of = |name: &&str| {
        let (since, what) = lineage.trouble(lineage.node(name)?, at, max_age)?;
        Some(Trouble { node: (*name).to_owned(), since, what: what.to_owned() })
    };
    nodes.iter().filter_map(of).collect()
}

fn table(answer: &Answer, output: &mut Output) -> anyhow::Result<()> {
    let towards = if answer.direction == "up" { "is made from" } else { "is used by" };
    output.line(format_args!("{} at {} {towards}", answer.node, answer.at))?;
    let mut table = Table::new(["edges", "from", "to", "known", "first seen", "last seen"]);
    for edge in &answer.edges {
        let instant = |at: Option<Timestamp>| at.map_or_else(|| "-".into(), |at| at.to_string());
        table.row([
            edge.distance.to_string(),
            edge.from.clone(),
            edge.to.clone(),
            edge.state.clone(),
            instant(edge.first_seen),
            instant(edge.last_seen),
        ]);
    }
    table.print(output)?;
    if !answer.trouble.is_empty() {
        output.line("")?;
        let mut table = Table::new(["node", "since", "what runs show"]);
        for one in &answer.trouble {
            table.row([one.node.clone(), one.since.to_string(), one.what.clone()]);
        }
        table.print(output)?;
    }
    Ok(())
}

fn dot(answer: &Answer, output: &mut Output) -> anyhow::Result<()> {
    output.line("digraph lineage {")?;
    output.line("  rankdir=LR;")?;
    output.line(format_args!("  {} [style=bold];", quoted(&answer.node)))?;
    for one in &answer.trouble {
        let label = format!("{}\n{}", one.node, one.what);
        output.line(format_args!(
            "  {} [color=red, label={}];",
            quoted(&one.node),
            quoted(&label)
        ))?;
    }
    for edge in &answer.edges {
        let style = if edge.state == "stale" { " [style=dashed]" } else { "" };
        output.line(format_args!("  {} -> {}{style};", quoted(&edge.from), quoted(&edge.to)))?;
    }
    output.line("}")
}

/// A name as Graphviz takes it.
fn quoted(name: &str) -> String {
    let escaped = name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}
