//! `watchkeep lineage show`: what a node is made from, and what is made from it.

use anyhow::bail;
use serde::Serialize;
use watchkeep_incident::context::Context;
use watchkeep_incident::lineage::EdgeState;
use watchkeep_incident::lineage::reach::{Direction, Reached, reach};
use watchkeep_incident::registry::Registry;
use watchkeep_model::policy::AttributionLimits;
use watchkeep_model::subject::typed;
use watchkeep_model::time::{TimeSpan, Timestamp};

use crate::cli::{Lineage, LineageFormat, LineageShow};
use crate::config::Config;
use crate::output::{Output, Table, complain};
use crate::{Outcome, charters, service};

#[derive(Serialize)]
struct Answer<'a> {
    node: &'a str,
    at: Timestamp,
    direction: &'static str,
    edges: Vec<Shown<'a>>,
    /// What runs showed to be wrong with the nodes of the answer.
    trouble: Vec<Trouble>,
}

#[derive(Serialize)]
struct Shown<'a> {
    distance: u32,
    from: &'a str,
    to: &'a str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_seen: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<Timestamp>,
}

#[derive(Serialize)]
struct Trouble {
    node: String,
    since: Timestamp,
    what: String,
}

/// # Errors
/// Charters or run events that cannot be used.
pub(super) fn run(command: &Lineage) -> anyhow::Result<Outcome> {
    match command {
        Lineage::Show(arguments) => show(arguments),
    }
}

fn show(arguments: &LineageShow) -> anyhow::Result<Outcome> {
    let config = match &arguments.configured.file {
        Some(file) => Config::load(Some(file))?,
        None => Config::without_file()?,
    };
    let folder = arguments.charters.as_deref().or(config.charters.as_deref());
    if folder.is_none() && arguments.lineage.is_empty() {
        bail!(
            "no lineage: name a charter folder with --charters DIR, or run events with --lineage FILE"
        );
    }
    let rules = charters::rules_with_runs(folder, &arguments.lineage, config.time.pane)?;
    let registry = rules.registry();
    let registry = registry.as_ref();
    let at = arguments.at.unwrap_or_else(service::clock::now);
    let node = typed(&arguments.node);
    let max_age = max_age(registry, &node, at);
    let direction = if arguments.down { Direction::Down } else { Direction::Up };
    let reached = reach(registry, &node, direction, arguments.depth, at, max_age);
    let answer = Answer {
        node: &node,
        at,
        direction: if arguments.down { "down" } else { "up" },
        edges: reached.iter().map(shown).collect(),
        trouble: trouble(registry, &node, &reached, at, max_age),
    };
    let mut output = Output::new();
    match arguments.format {
        LineageFormat::Json => output.json(&answer)?,
        LineageFormat::Table => table(&answer, &mut output)?,
        LineageFormat::Dot => dot(&answer, &mut output)?,
    }
    output.finish()?;
    if reached.is_empty() {
        complain(&format!("nothing is known {} from {node} at {at}", answer.direction));
        return Ok(Outcome::Found);
    }
    Ok(Outcome::Fine)
}

/// What the policy of the node's charter says, else the default.
fn max_age(registry: &Registry, node: &str, at: Timestamp) -> TimeSpan {
    let charter = registry.charter(node, at);
    let policy = charter.as_ref().and_then(|charter| charter.fields.policy.as_deref());
    let policy = policy.and_then(|name| registry.policy(name));
    let default = AttributionLimits::default();
    policy.map_or(default.edge_max_age, |policy| policy.attribution.edge_max_age)
}

fn shown(edge: &Reached) -> Shown<'_> {
    Shown {
        distance: edge.distance,
        from: &edge.from,
        to: &edge.to,
        state: state(edge.state),
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

fn table(answer: &Answer<'_>, output: &mut Output) -> anyhow::Result<()> {
    let towards = if answer.direction == "up" { "is made from" } else { "is used by" };
    output.line(format_args!("{} at {} {towards}", answer.node, answer.at))?;
    let mut table = Table::new(["edges", "from", "to", "known", "first seen", "last seen"]);
    for edge in &answer.edges {
        let instant = |at: Option<Timestamp>| at.map_or_else(|| "-".into(), |at| at.to_string());
        table.row([
            edge.distance.to_string(),
            edge.from.to_owned(),
            edge.to.to_owned(),
            edge.state.to_owned(),
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

fn dot(answer: &Answer<'_>, output: &mut Output) -> anyhow::Result<()> {
    output.line("digraph lineage {")?;
    output.line("  rankdir=LR;")?;
    output.line(format_args!("  {} [style=bold];", quoted(answer.node)))?;
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
        output.line(format_args!("  {} -> {}{style};", quoted(edge.from), quoted(edge.to)))?;
    }
    output.line("}")
}

/// A name as Graphviz takes it.
fn quoted(name: &str) -> String {
    let escaped = name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}
