//! The steps as a graph, for Mermaid and for Graphviz.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use watchkeep_model::charter::ExpectationKind;
use watchkeep_model::policy::{Policy, Step, Trigger};

use super::{at_once, deadlines, list, notified, severities};
use crate::decide::entry_step;

/// What a node looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Round,
    Box,
    Diamond,
}

#[derive(Debug, Default)]
struct Graph {
    /// Identifier, label, shape.
    nodes: Vec<(String, String, Shape)>,
    /// From, to, label.
    edges: Vec<(String, String, String)>,
}

impl Graph {
    fn node(&mut self, id: &str, label: impl Into<String>, shape: Shape) {
        self.nodes.push((id.to_owned(), label.into(), shape));
    }

    fn edge(&mut self, from: impl Into<String>, to: impl Into<String>, label: impl Into<String>) {
        self.edges.push((from.into(), to.into(), label.into()));
    }
}

/// A flowchart for Mermaid.
pub fn mermaid(policy: &Policy) -> String {
    let graph = graph(policy);
    let mut text = String::from("flowchart TD\n");
    let label = |text: &str| text.replace('"', "#quot;").replace('\n', "<br/>");
    for (id, name, shape) in &graph.nodes {
        let (open, close) = match shape {
            Shape::Round => ("([", "])"),
            Shape::Box => ("[", "]"),
            Shape::Diamond => ("{", "}"),
        };
        let _ = writeln!(text, "  {id}{open}\"{}\"{close}", label(name));
    }
    for (from, to, name) in &graph.edges {
        let _ = match name.is_empty() {
            true => writeln!(text, "  {from} --> {to}"),
            false => writeln!(text, "  {from} -->|\"{}\"| {to}", label(name)),
        };
    }
    text
}

/// The same for Graphviz: `dot -Tsvg` draws it.
pub fn dot(policy: &Policy) -> String {
    let graph = graph(policy);
    let label = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let mut text = format!("digraph \"{}\" {{\n  rankdir=TB;\n", label(&policy.name));
    for (id, name, shape) in &graph.nodes {
        let shape = match shape {
            Shape::Round => "ellipse",
            Shape::Box => "box",
            Shape::Diamond => "diamond",
        };
        let _ = writeln!(text, "  {id} [shape={shape}, label=\"{}\"];", label(name));
    }
    for (from, to, name) in &graph.edges {
        let _ = writeln!(text, "  {from} -> {to} [label=\"{}\"];", label(name));
    }
    text.push_str("}\n");
    text
}

fn graph(policy: &Policy) -> Graph {
    let mut graph = Graph::default();
    let id = |number: usize| format!("step{}", number + 1);
    graph.node("breach", format!("breach,\nheld for {}", policy.grouping.group_wait), Shape::Round);
    let mut kinds: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (kind, name) in ExpectationKind::ALL {
        kinds.entry(entry_step(policy, kind)).or_default().push(name.to_owned());
    }
    for (number, step) in policy.steps.iter().enumerate() {
        graph.node(&id(number), format!("{}\n{}", step.name, notified(step)), Shape::Box);
        if let Some(kinds) = kinds.get(&number) {
            graph.edge("breach", id(number), kinds.join(", "));
        }
    }
    let last = policy.steps.len().saturating_sub(1);
    for (number, step) in policy.steps.iter().enumerate() {
        let why = leaves(step);
        if number < last {
            graph.edge(id(number), id(number + 1), why);
            continue;
        }
        let loops = policy.loops.max(1);
        if loops > 1 {
            for entry in kinds.keys() {
                graph.edge(id(number), id(*entry), format!("{why}\nto where it entered"));
            }
        }
        let told = match policy.on_exhausted.notify.is_empty() {
            true => "exhausted".to_owned(),
            false => format!("exhausted\n{}", list(&policy.on_exhausted.notify, "and")),
        };
        graph.node("exhausted", told, Shape::Round);
        let after = if loops > 1 { format!("{why}\nin loop {loops}") } else { why };
        graph.edge(id(number), "exhausted", after);
    }
    end(policy, &mut graph);
    graph
}

/// From the clearing to the resolution.
fn end(policy: &Policy, graph: &mut Graph) {
    graph.node("over", "remediated,\nor the last breach cleared", Shape::Round);
    for number in 1..=policy.steps.len() {
        graph.edge(format!("step{number}"), "over", "");
    }
    let mut from = "over";
    if let Some(verification) = &policy.verification {
        let of = severities(&verification.severities);
        let windows = verification.good_windows.max(1);
        graph.node("verify", format!("{windows} good windows\n({of})"), Shape::Diamond);
        graph.edge(from, "verify", "");
        let named = verification.on_failure.as_ref();
        let back = named.and_then(|name| policy.steps.iter().position(|s| s.name == *name));
        let entered = ExpectationKind::ALL.iter().map(|(kind, _)| entry_step(policy, *kind));
        let entered: BTreeSet<usize> = entered.collect();
        // Without a step of its own a failure leads to where the kind enters.
        for to in back.map_or(entered, |back| BTreeSet::from([back])) {
            graph.edge("verify", format!("step{}", to + 1), "a bad window");
        }
        let steps = policy.steps.iter().enumerate().filter(|_| back.is_none());
        for (number, step) in steps.take(policy.steps.len().saturating_sub(1)) {
            if step.escalate_if.contains(&Trigger::VerificationFailed) {
                let label = format!("a bad window,\nfrom {}", step.name);
                graph.edge("verify", format!("step{}", number + 2), label);
            }
        }
        from = "verify";
    }
    if let Some(gate) = policy.sign_offs.iter().find(|gate| gate.gate == "resolve") {
        let of = severities(&gate.severities);
        let label =
            format!("resolve signed by {}\n{} ({of})", gate.minimum.max(1), gate.roles.join(", "));
        graph.node("gate", label, Shape::Diamond);
        graph.edge(from, "gate", "");
        from = "gate";
    }
    graph.node("resolved", "resolved", Shape::Round);
    graph.edge(from, "resolved", "");
}

/// What moves an incident on, a line each.
fn leaves(step: &Step) -> String {
    let mut why: Vec<String> = Vec::new();
    for (what, span, trigger) in deadlines(step) {
        let moves = step.escalate_if.is_empty() || step.escalate_if.contains(&trigger);
        if let Some(span) = span.filter(|_| moves) {
            why.push(format!("not {}d in {span}", past(what)));
        }
    }
    let others = step.escalate_if.iter().filter(|trigger| **trigger != Trigger::VerificationFailed);
    why.extend(others.filter_map(at_once));
    why.join("\n")
}

/// `Acknowledge` to `acknowledge`, ready for a `d`.
fn past(what: &str) -> String {
    what.to_lowercase()
}
