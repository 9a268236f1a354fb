//! Events to lineage, and to charters of what they say an owner of.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use watchkeep_model::charter::CharterFields;
use watchkeep_model::document::Place;
use watchkeep_model::lineage::Ownership;
use watchkeep_model::time::Timestamp;

use super::{FACET, bare};
use crate::catalog::split;
use crate::extension::Ours;
use crate::gather::{Gathering, is_name, subject};
use crate::item::{At, Item, Sink};
use crate::json;
use crate::source::Source;

const TYPES: [&str; 6] = ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"];

/// Facets that say the same of every event and nothing of the contract.
const FACET_PARTS: [&str; 3] = ["_producer", "_schemaURL", "_deleted"];

pub(crate) fn read(sources: &[&Source], gathered: &mut Gathering) {
    for source in sources {
        let text = match source.text() {
            Ok(text) => text,
            Err(found) => {
                gathered.refuse(found);
                continue;
            }
        };
        let sink = Sink::new(&source.name);
        let items = match events(text) {
            Ok(items) => items,
            Err((place, rule, message)) => {
                let hint = Some("write one event a line, or a list of events");
                gathered.refuse([source.finding(place, rule, message, hint)]);
                continue;
            }
        };
        let mut reader = Reader { file: &source.name, latest: BTreeMap::new(), gathered };
        for item in &items {
            let at = At::root(item, &sink);
            reader.event(&at);
            at.leftovers();
        }
        reader.charters();
        gathered.absorb(sink);
    }
}

/// Events of a file: one a line, or the whole file as one event or a list.
fn events(text: &str) -> Result<Vec<Item>, (Place, &'static str, String)> {
    let lines = || text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let number = |line: usize| u32::try_from(line + 1).unwrap_or(u32::MAX);
    if lines().take(2).all(|(_, line)| json::is_json(line)) {
        return lines().map(|(line, text)| json::read(text, number(line))).collect();
    }
    let item = json::read(text, 1)?;
    Ok(match item.value {
        crate::item::Value::List(items) => items,
        _ => vec![item],
    })
}

/// A field with the time of the event that said it.
type Said<T> = Option<(Timestamp, T)>;

/// What the latest event that has anything to say of a subject tells.
struct Latest<'a> {
    /// Where a charter would come from; absent while there is nothing for one.
    part: Said<At<'a>>,
    description: Said<String>,
    primary: Said<String>,
    ours: Said<Map<String, Value>>,
}

/// Takes what a later event says; of two at one time the later line holds.
fn say<T>(known: &mut Said<T>, time: Timestamp, said: Option<T>) {
    if let Some(said) = said
        && known.as_ref().is_none_or(|(at, _)| *at <= time)
    {
        *known = Some((time, said));
    }
}

struct Reader<'r, 'a> {
    file: &'r str,
    latest: BTreeMap<String, Latest<'a>>,
    gathered: &'r mut Gathering,
}

impl<'a> Reader<'_, 'a> {
    fn event(&mut self, at: &At<'a>) {
        if !at.expect_map() {
            return;
        }
        at.pass("producer");
        at.pass("schemaURL");
        let time = at.required("eventTime").and_then(|text| match text.parse::<Timestamp>() {
            Ok(time) => Some(time),
            Err(error) => {
                at.report("wrong_value", error.to_string(), None);
                None
            }
        });
        let Some(time) = time else { return };
        if let Some(kind) = at.text("eventType") {
            if !TYPES.contains(&kind.as_str()) {
                let hint = format!("write one of {}", TYPES.join(", "));
                at.report("wrong_value", format!("`{kind}` is no eventType"), Some(hint));
                return;
            }
            if kind == "FAIL" || kind == "ABORT" {
                at.lose(
                    "eventType",
                    "a failed run is evidence, which the event itself gives beside the charters",
                );
            }
        }
        if let Some(run) = at.get("run") {
            run.required("runId");
        }
        let job = at.map("job").and_then(|job| self.part(&job, "pipeline", time));
        if job.is_none() && at.item.peek("dataset").is_none() {
            if at.item.peek("job").is_none() {
                let hint = "give it a job with namespace and name".to_owned();
                at.report("missing_field", "`job` is missing", Some(hint));
            }
            return;
        }
        if let Some(dataset) = at.map("dataset") {
            self.part(&dataset, "dataset", time);
        }
        let Some(job) = job else { return };
        for input in at.list("inputs") {
            input.lose(
                "inputFacets",
                "what a run measured is evidence, which the event itself gives beside the charters",
            );
            if let Some(from) = self.part(&input, "dataset", time) {
                self.gathered.edge(self.file, &from, &job, Some(time));
            }
        }
        for output in at.list("outputs") {
            output.lose(
                "outputFacets",
                "what a run measured is evidence, which the event itself gives beside the charters",
            );
            if let Some(to) = self.part(&output, "dataset", time) {
                self.gathered.edge(self.file, &job, &to, Some(time));
            }
        }
    }

    /// A job or a dataset; returns its subject.
    fn part(&mut self, at: &At<'a>, kind: &str, time: Timestamp) -> Option<String> {
        if !at.expect_map() {
            return None;
        }
        let (namespace, name) = (at.required("namespace"), at.required("name"));
        let default = subject(at, kind, &bare(&namespace?, &name?))?;
        let facets = at.get("facets").filter(At::expect_map);
        let facet = |name: &str| {
            let facet = facets.as_ref()?.get(name).filter(At::expect_map)?;
            FACET_PARTS.iter().for_each(|part| facet.pass(part));
            Some(facet)
        };
        let mut ours = Ours::default();
        let mut has_ours = false;
        if let Some(facet) = facet(FACET) {
            has_ours = true;
            for (field, value) in facet.fields() {
                if !FACET_PARTS.contains(&field) {
                    ours.set(&value, field, value.whole());
                }
            }
        }
        let name = ours.subject.take().unwrap_or(default);
        let at = at.about(&name);
        let description = facet("documentation").and_then(|facet| facet.text("description"));
        let primary = facet("ownership").and_then(|facet| owner(&facet));
        if let Some(upstream) = &ours.upstream {
            for from in upstream {
                self.gathered.edge(self.file, from, &name, None);
            }
        }
        for to in &ours.consumers {
            self.gathered.edge(self.file, &name, to, None);
        }
        let says = description.is_some() || primary.is_some() || has_ours;
        let known = self.latest.entry(name.clone()).or_insert(Latest {
            part: None,
            description: None,
            primary: None,
            ours: None,
        });
        say(&mut known.part, time, (says && !ours.has_no_charter).then(|| at.clone()));
        say(&mut known.description, time, description);
        say(&mut known.primary, time, primary);
        say(&mut known.ours, time, has_ours.then_some(ours.fields));
        Some(name)
    }

    /// A charter for whatever the events say anything of.
    fn charters(&mut self) {
        for (name, latest) in std::mem::take(&mut self.latest) {
            let Some((_, part)) = latest.part else { continue };
            let mut fields = CharterFields {
                description: latest.description.map(|(_, text)| text),
                ..CharterFields::default()
            };
            fields.owners.primary = latest.primary.map(|(_, name)| name);
            let ours = latest.ours.map(|(_, fields)| fields).unwrap_or_default();
            self.gathered.charter(self.file, &part, &name, fields, ours);
        }
    }
}

/// The owner of a facet: the first that is called one, else the first.
fn owner(facet: &At<'_>) -> Option<String> {
    let owners = facet.list("owners");
    let is_owner = |at: &&At<'_>| {
        let said = at.item.peek_text("type");
        said.is_some_and(|said| said.eq_ignore_ascii_case(Ownership::OWNER))
    };
    let chosen = owners.iter().find(is_owner).or(owners.first())?;
    for owner in &owners {
        if owner.place() != chosen.place() {
            owner.lost("a charter has one primary");
        }
    }
    if is_owner(&chosen) {
        chosen.pass("type");
    }
    let name = chosen.required("name").filter(|name| is_name(chosen, name))?;
    Some(match split(&name) {
        ("user" | "group" | "schedule", _) => name,
        ("team" | "department", bare) => format!("group:{bare}"),
        ("person", bare) => format!("user:{bare}"),
        _ if name.contains('@') => format!("user:{name}"),
        _ => {
            chosen.assumed("name", "an owner that is no address is taken for a group");
            format!("group:{name}")
        }
    })
}
