//! A catalog as events: a job event for each pipeline with what it reads and
//! writes, and a dataset event for everything else.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use watchkeep_model::lineage::Edge;
use watchkeep_model::time::Timestamp;

use super::{FACET, NAMESPACE};
use crate::catalog::{Catalog, split};
use crate::{Converted, Written, extension};

const PRODUCER: &str = "https://example.com/watchkeep";
const SCHEMA: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json";
const SCHEMA_OF_FACETS: &str = "https://openlineage.io/spec/facets/1-0-1";

pub(crate) fn write(catalog: &Catalog) -> Converted {
    let writer = Writer { catalog };
    let mut lines = Vec::new();
    for subject in catalog.nodes() {
        let declared = writer.declared(subject);
        if subject.starts_with("pipeline:") {
            lines.extend(writer.runs(subject, declared));
        } else {
            let event = json!({"dataset": writer.part(subject, true)});
            lines.push(writer.event(Timestamp::from_micros(0), "Dataset", event));
        }
    }
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let notes = catalog.directory_lost().into_iter().collect();
    let mut converted =
        Converted { files: vec![Written { name: "events.ndjson".into(), text }], notes };
    for edge in catalog.edges.iter().filter(|edge| edge.last_seen.is_some() && !is_of_a_run(edge)) {
        let subject = format!("{} -> {}", edge.from, edge.to);
        let why = "only what a pipeline reads and writes has a time";
        converted.notes.push(crate::Note::not_carried(&subject, "last_seen", why));
    }
    converted
}

/// True for an edge between a dataset and a pipeline, which runs show.
fn is_of_a_run(edge: &Edge) -> bool {
    let is = |name: &str, kind: &str| split(name).0 == kind;
    (is(&edge.from, "dataset") && is(&edge.to, "pipeline"))
        || (is(&edge.from, "pipeline") && is(&edge.to, "dataset"))
}

struct Writer<'a> {
    catalog: &'a Catalog,
}

impl Writer<'_> {
    /// Edges into a subject that no run shows.
    fn declared(&self, subject: &str) -> Vec<&str> {
        let into =
            self.catalog.edges.iter().filter(|edge| {
                edge.to == subject && !(is_of_a_run(edge) && edge.last_seen.is_some())
            });
        into.map(|edge| edge.from.as_str()).collect()
    }

    /// One event for each time at which a run showed edges, and the first with
    /// what is known of the pipeline.
    fn runs(&self, subject: &str, _: Vec<&str>) -> Vec<Value> {
        let of = |edge: &&Edge| (edge.from == subject || edge.to == subject) && is_of_a_run(edge);
        let edges: Vec<&Edge> =
            self.catalog.edges.iter().filter(of).filter(|edge| edge.last_seen.is_some()).collect();
        let times: BTreeSet<Timestamp> = edges.iter().filter_map(|edge| edge.last_seen).collect();
        let first =
            self.event(Timestamp::from_micros(0), "Job", json!({"job": self.part(subject, true)}));
        let mut events = vec![first];
        for time in times {
            let seen = || edges.iter().filter(|edge| edge.last_seen == Some(time));
            let inputs: Vec<Value> = seen()
                .filter(|edge| edge.to == subject)
                .map(|edge| self.part(&edge.from, false))
                .collect();
            let outputs: Vec<Value> = seen()
                .filter(|edge| edge.from == subject)
                .map(|edge| self.part(&edge.to, false))
                .collect();
            let event = json!({
                "job": self.part(subject, false),
                "inputs": inputs,
                "outputs": outputs,
            });
            events.push(self.event(time, "Job", event));
        }
        events
    }

    fn event(&self, time: Timestamp, kind: &str, mut event: Value) -> Value {
        event["eventTime"] = time.to_string().into();
        event["producer"] = PRODUCER.into();
        event["schemaURL"] = format!("{SCHEMA}#/$defs/{kind}Event").into();
        event
    }

    /// A job or a dataset, with facets where it is described.
    fn part(&self, subject: &str, is_described: bool) -> Value {
        let (kind, bare) = split(subject);
        let mut part = json!({"namespace": NAMESPACE, "name": bare});
        let mut facets = Map::new();
        let mut ours = Map::new();
        if !matches!(kind, "dataset" | "pipeline") {
            ours.insert("subject".into(), subject.into());
        }
        if is_described {
            let declared = self.declared(subject);
            if !declared.is_empty() {
                ours.insert("upstream".into(), json!(declared));
            }
            match self.catalog.charter(subject) {
                None => {
                    ours.insert("charter".into(), "none".into());
                }
                Some(document) => {
                    let mut fields = document.fields.clone();
                    if let Some(description) = fields.description.take() {
                        facets.insert(
                            "documentation".into(),
                            facet("Documentation", json!({"description": description})),
                        );
                    }
                    if let Some(primary) = fields.owners.primary.take() {
                        let owners = json!({"owners": [{"name": primary, "type": "OWNER"}]});
                        facets.insert("ownership".into(), facet("Ownership", owners));
                    }
                    ours.extend(extension::of(fields));
                }
            }
        }
        if !ours.is_empty() {
            ours.insert("_producer".into(), PRODUCER.into());
            ours.insert("_schemaURL".into(), format!("{PRODUCER}/charter").into());
            facets.insert(FACET.into(), ours.into());
        }
        if !facets.is_empty() {
            part["facets"] = facets.into();
        }
        part
    }
}

fn facet(name: &str, mut facet: Value) -> Value {
    facet["_producer"] = PRODUCER.into();
    facet["_schemaURL"] = format!("{SCHEMA_OF_FACETS}/{name}Facet.json").into();
    facet
}
