//! Entities and lineage to charters, people and edges.

use std::collections::BTreeMap;

use watchkeep_model::charter::CharterFields;
use watchkeep_model::directory::{Contact, Domain, Group, User};

use super::{ENTITIES, TYPES, property};
use crate::catalog::split;
use crate::extension::Ours;
use crate::gather::{Gathering, is_name, subject};
use crate::item::{At, Item, Sink, Value};
use crate::source::Source;

pub(crate) fn read(sources: &[&Source], gathered: &mut Gathering) {
    for source in sources {
        let item = match source.json() {
            Ok(item) => item,
            Err(found) => {
                gathered.refuse(found);
                continue;
            }
        };
        let sink = Sink::new(&source.name);
        let root = At::root(&item, &sink);
        Reader { file: &source.name, gathered }.answer(&root);
        root.leftovers();
        gathered.absorb(sink);
    }
}

struct Reader<'a> {
    file: &'a str,
    gathered: &'a mut Gathering,
}

/// The type of an entity: as it says, by its address, or by what it has.
fn entity_type(item: &Item) -> Option<&str> {
    if let Some(said) = item.peek_text("entityType") {
        return Some(said);
    }
    let has = |field: &str| item.peek(field).is_some();
    let by_field = [
        ("columns", "table"),
        ("tasks", "pipeline"),
        ("charts", "dashboard"),
        ("mlFeatures", "mlmodel"),
        ("messageSchema", "topic"),
        ("teamType", "team"),
        ("domainType", "domain"),
        ("email", "user"),
    ];
    let by_address = || {
        let (_, rest) = item.peek_text("href")?.split_once("/v1/")?;
        rest.split('/').next()?.strip_suffix('s')
    };
    by_address().or_else(|| by_field.iter().find(|(field, _)| has(field)).map(|(_, kind)| *kind))
}

impl Reader<'_> {
    fn answer(&mut self, at: &At<'_>) {
        if matches!(at.item.value, Value::List(_)) {
            at.items().iter().for_each(|at| self.answer(at));
            return;
        }
        if !at.expect_map() {
            return;
        }
        if at.item.peek("data").is_some() {
            at.pass("paging");
            at.list("data").iter().for_each(|at| self.answer(at));
        } else if at.item.peek("upstreamEdges").is_some()
            || at.item.peek("downstreamEdges").is_some()
        {
            self.lineage(at);
        } else if let Some(edge) = at.get("edge") {
            self.edge(&edge, &BTreeMap::new());
        } else {
            self.entity(at);
        }
    }

    fn entity(&mut self, at: &At<'_>) {
        let Some(kind) = entity_type(at.item) else {
            let hint = "give an answer of OpenMetadata: an entity, a list of them, or lineage";
            at.report("wrong_version", "this is no entity of OpenMetadata", Some(hint.into()));
            return;
        };
        let Some(name) = at.text("fullyQualifiedName").or_else(|| at.required("name")) else {
            return;
        };
        let at = at.about(&format!("{kind} {name}"));
        for said in [
            "id",
            "name",
            "entityType",
            "href",
            "version",
            "updatedAt",
            "updatedBy",
            "changeDescription",
        ] {
            at.pass(said);
        }
        if at.item.peek("deleted").is_some_and(|item| item.to_json() == true) {
            at.lost("it is deleted there");
            return;
        }
        at.pass("deleted");
        match kind {
            "user" => self.user(&at, &name),
            "team" => self.team(&at, &name),
            "domain" => self.domain(&at, &name),
            _ => match ENTITIES.iter().find(|(_, kinds)| kinds.contains(&kind)) {
                Some((subject_type, _)) => self.subject(&at, subject_type, &name),
                None => at.lost(&format!("a folder of charters has no {kind}")),
            },
        }
    }

    fn subject(&mut self, at: &At<'_>, kind: &str, name: &str) {
        let Some(default) = subject(at, kind, name) else { return };
        let mut ours = ours(at);
        let said = ours.subject.take().unwrap_or(default);
        let mut fields =
            CharterFields { description: at.text("description"), ..CharterFields::default() };
        let single = at.get("owner").into_iter();
        for (number, owner) in at.list("owners").into_iter().chain(single).enumerate() {
            let Some(person) = person(&owner) else { continue };
            match number {
                0 => fields.owners.primary = Some(person),
                1 => fields.owners.backup = Some(person),
                _ => owner.lost("a charter has a primary and a backup"),
            }
        }
        let single = at.get("domain").into_iter();
        for (number, domain) in at.list("domains").into_iter().chain(single).enumerate() {
            let name = domain.text("fullyQualifiedName").or(domain.text("name"));
            REFERENCE.iter().for_each(|said| domain.pass(said));
            match (number, name) {
                (0, Some(name)) if is_name(&domain, &name) => fields.domain = Some(name),
                (0, _) => {}
                _ => domain.lost("a charter has one domain"),
            }
        }
        for tag in at.list("tags") {
            let tier =
                tag.text("tagFQN").and_then(|name| name.strip_prefix("Tier.Tier")?.parse().ok());
            match tier {
                Some(tier @ 1..=4) => {
                    fields.tier = Some(tier);
                    let _ = tag.whole();
                }
                _ => tag.lost("charters have no tags"),
            }
        }
        for column in at.list("columns") {
            self.column(&column, &said, name, &fields);
        }
        // OpenMetadata draws the lineage of a model from these, too.
        for feature in at.list("mlFeatures") {
            for source in feature.list("featureSources") {
                let Some(data) = source.get("dataSource") else { continue };
                match (referenced(data.item), &ours.upstream) {
                    (None, _) => data.lost("nothing tells which subject it is"),
                    (Some(from), None) => self.gathered.edge(self.file, &from, &said, None),
                    (Some(from), Some(upstream)) if !upstream.contains(&from) => {
                        data.lost("`watchkeep.upstream` says what it is made from");
                    }
                    _ => {}
                }
                let _ = data.whole();
            }
        }
        self.gathered.part(self.file, at, &said, fields, ours, None);
    }

    fn column(&mut self, at: &At<'_>, table: &str, name_of_table: &str, of_table: &CharterFields) {
        let Some(name) = at.required("name") else { return };
        let prefix = property("");
        let has_ours = at.item.peek("extension").is_some_and(|extension| match &extension.value {
            Value::Map(fields) => fields.iter().any(|(key, _)| key.starts_with(&prefix)),
            _ => false,
        });
        if !has_ours {
            at.lost("a column is a feature where its extension has fields of `watchkeep`");
            return;
        }
        at.pass("fullyQualifiedName");
        let Some(default) = subject(at, "feature", &format!("{name_of_table}.{name}")) else {
            return;
        };
        let mut ours = ours(at);
        let feature = ours.subject.take().unwrap_or(default);
        let at = at.about(&feature);
        let written = at.text("dataType");
        let known = written.as_ref().and_then(|text| {
            TYPES.iter().find(|(_, names)| names.contains(&text.to_ascii_uppercase().as_str()))
        });
        if written.is_some() && known.is_none() {
            at.lose("dataType", "a feature is double, long, boolean or string");
        }
        let mut fields = CharterFields {
            description: at.text("description"),
            r#type: known.map(|(value_type, _)| *value_type),
            ..CharterFields::default()
        };
        if !ours.fields.contains_key("owners") {
            fields.owners.primary.clone_from(&of_table.owners.primary);
        }
        self.gathered.part(self.file, &at, &feature, fields, ours, Some(table));
    }

    fn user(&mut self, at: &At<'_>, name: &str) {
        if !is_name(at, name) {
            return;
        }
        let contacts = at.text("email").map(|to| Contact { tool: "email".into(), to });
        let user = User {
            name: at.text("displayName"),
            contacts: contacts.into_iter().collect(),
            ..User::default()
        };
        self.gathered.user(self.file, at, name, user);
    }

    fn team(&mut self, at: &At<'_>, name: &str) {
        if !is_name(at, name) {
            return;
        }
        at.pass("teamType");
        let members: Vec<String> = at.list("users").iter().filter_map(person).collect();
        let lead =
            at.list("owners").iter().filter_map(person).find(|name| name.starts_with("user:"));
        self.gathered.group(self.file, at, name, Group { lead, members });
    }

    fn domain(&mut self, at: &At<'_>, name: &str) {
        if !is_name(at, name) {
            return;
        }
        let owner = at.list("owners").iter().find_map(person);
        let parent = at.get("parent").and_then(|at| {
            REFERENCE.iter().for_each(|said| at.pass(said));
            at.text("fullyQualifiedName").or(at.text("name"))
        });
        self.gathered.domain(self.file, at, name, Domain { owner, parent, ..Domain::default() });
    }

    /// An entity with its nodes and edges, by id or with whole references.
    fn lineage(&mut self, at: &At<'_>) {
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        let nodes = match at.item.peek("nodes").map(|item| &item.value) {
            Some(Value::Map(_)) => at.entries_of("nodes").into_iter().map(|(_, at)| at).collect(),
            _ => at.list("nodes"),
        };
        for node in nodes.into_iter().chain(at.get("entity")) {
            let reference = node.get("entity").unwrap_or(node);
            REFERENCE.iter().for_each(|said| reference.pass(said));
            if let (Some(id), Some(name)) =
                (reference.item.peek_text("id"), referenced(reference.item))
            {
                known.insert(id.to_owned(), name);
            }
        }
        for key in ["upstreamEdges", "downstreamEdges"] {
            let edges: Vec<At<'_>> = match at.item.peek(key).map(|item| &item.value) {
                Some(Value::Map(_)) => at.entries_of(key).into_iter().map(|(_, at)| at).collect(),
                _ => at.list(key),
            };
            for edge in edges {
                self.edge(&edge, &known);
            }
        }
    }

    fn edge(&mut self, at: &At<'_>, known: &BTreeMap<String, String>) {
        let end = |key: &str| -> Option<String> {
            let Some(end) = at.get(key) else {
                at.required(key);
                return None;
            };
            let name = match &end.item.value {
                Value::Text(id) => known.get(id).cloned(),
                _ => {
                    let id = end.item.peek_text("id").and_then(|id| known.get(id).cloned());
                    let _ = end.whole();
                    referenced(end.item).or(id)
                }
            };
            if name.is_none() {
                end.lost("no node tells which subject it is");
            }
            name
        };
        let (from, to) = (end("fromEntity"), end("toEntity"));
        at.lose("lineageDetails", "lineage is between subjects, without queries and columns");
        if let (Some(from), Some(to)) = (from, to) {
            self.gathered.edge(self.file, &from, &to, None);
        }
    }
}

/// Fields of a reference beside its name and type.
const REFERENCE: [&str; 8] =
    ["id", "type", "href", "name", "displayName", "fullyQualifiedName", "description", "deleted"];

/// The subject of a reference.
fn referenced(item: &Item) -> Option<String> {
    let name = item.peek_text("fullyQualifiedName").or(item.peek_text("name"))?;
    let kind = item.peek_text("type").or_else(|| entity_type(item))?;
    let (subject, _) = ENTITIES.iter().find(|(_, kinds)| kinds.contains(&kind))?;
    (!name.contains('*')).then(|| format!("{subject}:{name}"))
}

/// A user or a team of a reference.
fn person(at: &At<'_>) -> Option<String> {
    if !at.expect_map() {
        return None;
    }
    let name = at.required("name")?;
    let kind = at.text("type").unwrap_or_else(|| "user".into());
    REFERENCE.iter().for_each(|said| at.pass(said));
    at.pass("inherited");
    if !is_name(at, &name) {
        return None;
    }
    match kind.as_str() {
        "user" => Some(format!("user:{name}")),
        "team" => Some(format!("group:{name}")),
        other => {
            at.report("wrong_value", format!("a {other} cannot own anything"), None);
            None
        }
    }
}

fn ours(at: &At<'_>) -> Ours {
    let mut ours = Ours::default();
    let prefix = property("");
    for (key, value) in at.fields_of("extension") {
        match (key.strip_prefix(&prefix), value.as_text()) {
            (Some(field), Some(text)) => ours.set_text(&value, field, &text),
            (None, _) => value.lost("charters have no custom properties"),
            _ => {}
        }
    }
    // A subject without a type would be none.
    ours.subject = ours.subject.filter(|name| !split(name).0.is_empty());
    ours
}
