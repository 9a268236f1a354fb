//! A catalog as entities.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use watchkeep_model::charter::{CharterFields, Lifecycle};
use watchkeep_wire::yaml::write as yaml;

use super::entity::{
    CHARTER, NAME, NOBODY, OWNER, PREFIX, SUBJECT, entity_type, is_entity_name, subject_type,
};
use crate::catalog::{Catalog, split};
use crate::notes::Note;
use crate::{Converted, Written, extension};

const ORDER: [&str; 9] =
    ["apiVersion", "kind", "metadata", "spec", "name", "title", "description", "type", "owner"];

pub(crate) fn write(catalog: &Catalog) -> Converted {
    let mut writer = Writer { catalog, names: Names::new(catalog), notes: Vec::new() };
    let mut entities = Vec::new();
    for name in catalog.directory.domains.keys() {
        entities.push(writer.domain(name));
    }
    for name in catalog.directory.systems.keys() {
        entities.push(writer.system(name));
    }
    for name in catalog.directory.groups.keys() {
        entities.push(writer.group(name));
    }
    for name in catalog.directory.users.keys() {
        entities.push(writer.user(name));
    }
    for subject in catalog.nodes() {
        entities.push(writer.subject(subject));
    }
    writer.what_backstage_has_not();
    let text = yaml::text(&entities, &ORDER);
    let file = Written { name: "catalog-info.yaml".into(), text };
    Converted { files: vec![file], notes: writer.notes }
}

struct Writer<'a> {
    catalog: &'a Catalog,
    names: Names,
    notes: Vec<Note>,
}

impl Writer<'_> {
    fn subject(&mut self, subject: &str) -> Value {
        let (kind, entity, spec_type) = self.names.subject(subject);
        let document = self.catalog.charter(subject);
        let mut annotations = Map::new();
        let default = format!("{}:{entity}", subject_type(&kind.to_ascii_lowercase(), spec_type).0);
        if default != subject {
            annotations.insert(SUBJECT.into(), subject.into());
        }
        let mut metadata = Map::new();
        let mut spec = Map::new();
        spec.insert("type".into(), spec_type.into());
        let mut fields = document.map(|d| d.fields.clone()).unwrap_or_default();
        if let Some(description) = fields.description.take() {
            metadata.insert("description".into(), description.into());
        }
        if let Some(runbook) = fields.runbook.take_if(|link| link.starts_with("http")) {
            let links = json!([{"url": runbook, "title": "Runbook", "type": "runbook"}]);
            metadata.insert("links".into(), links);
        }
        if kind == "Component" {
            let lifecycle = match fields.lifecycle.take() {
                Some(Lifecycle::Draft) => "experimental",
                Some(Lifecycle::Production) => "production",
                Some(Lifecycle::Deprecated) => "deprecated",
                Some(Lifecycle::Retired) => "retired",
                None => NOBODY,
            };
            spec.insert("lifecycle".into(), lifecycle.into());
        }
        spec.insert("owner".into(), self.owner(&mut fields, &mut annotations).into());
        if let Some(system) = fields.system.take() {
            spec.insert("system".into(), self.names.reference("System", &system).into());
        }
        let upstream: Vec<Value> = self
            .catalog
            .edges
            .iter()
            .filter(|edge| edge.to == subject)
            .map(|edge| self.names.subject_reference(&edge.from).into())
            .collect();
        if !upstream.is_empty() {
            spec.insert("dependsOn".into(), upstream.into());
        }
        if document.is_none() {
            annotations.insert(CHARTER.into(), "none".into());
        }
        for (field, value) in extension::of(fields) {
            annotations.insert(format!("{PREFIX}{field}"), extension::to_text(&value).into());
        }
        entity_value(kind, &entity, metadata, annotations, spec)
    }

    /// `spec.owner`, which every entity has: the primary where it is a user or
    /// a group; else, marked as derived, whoever comes next.
    fn owner(&self, fields: &mut CharterFields, annotations: &mut Map<String, Value>) -> String {
        let is_person = |name: &&String| matches!(split(name).0, "user" | "group");
        if let Some(primary) = fields.owners.primary.as_ref().filter(is_person).cloned() {
            fields.owners.primary = None;
            return self.names.person(&primary);
        }
        annotations.insert(OWNER.into(), "derived".into());
        let system = fields.system.as_ref().and_then(|s| self.catalog.directory.systems.get(s));
        let next = fields.group.as_ref().or(system.and_then(|system| system.owner.as_ref()));
        next.filter(is_person).map_or(NOBODY.into(), |name| self.names.person(name))
    }

    fn system(&mut self, name: &str) -> Value {
        let system = &self.catalog.directory.systems[name];
        let mut annotations = Map::new();
        let mut spec = Map::new();
        spec.insert("owner".into(), self.holder(&system.owner, &mut annotations, name));
        if let Some(domain) = &system.domain {
            spec.insert("domain".into(), self.names.reference("Domain", domain).into());
        }
        if let Some(parent) = &system.parent {
            annotations.insert(format!("{PREFIX}parent"), parent.as_str().into());
        }
        self.named("System", name, annotations, spec)
    }

    fn domain(&mut self, name: &str) -> Value {
        let domain = &self.catalog.directory.domains[name];
        let mut annotations = Map::new();
        let mut spec = Map::new();
        spec.insert("owner".into(), self.holder(&domain.owner, &mut annotations, name));
        if let Some(parent) = &domain.parent {
            spec.insert("subdomainOf".into(), self.names.reference("Domain", parent).into());
        }
        self.named("Domain", name, annotations, spec)
    }

    /// The owner of a system or a domain.
    fn holder(
        &mut self,
        owner: &Option<String>,
        annotations: &mut Map<String, Value>,
        name: &str,
    ) -> Value {
        match owner {
            Some(owner) if matches!(split(owner).0, "user" | "group") => {
                self.names.person(owner).into()
            }
            other => {
                if let Some(schedule) = other {
                    let why = format!("Backstage has no rotas, so {schedule} cannot own");
                    self.notes.push(Note::not_carried(name, "owner", &why));
                }
                annotations.insert(OWNER.into(), "derived".into());
                NOBODY.into()
            }
        }
    }

    fn group(&mut self, name: &str) -> Value {
        let group = &self.catalog.directory.groups[name];
        let mut annotations = Map::new();
        if let Some(lead) = &group.lead {
            annotations.insert(format!("{PREFIX}lead"), lead.as_str().into());
        }
        let members: Vec<Value> =
            group.members.iter().map(|member| self.names.person(member).into()).collect();
        let spec = json!({"type": "team", "children": [], "members": members});
        self.named("Group", name, annotations, spec.as_object().cloned().unwrap_or_default())
    }

    fn user(&mut self, name: &str) -> Value {
        let user = &self.catalog.directory.users[name];
        let mut directory = watchkeep_model::directory::Directory::default();
        directory.users.insert(name.to_owned(), user.clone());
        let mut fields = yaml::directory(&directory)["users"][name].take();
        let mut profile = Map::new();
        let mut annotations = Map::new();
        if let Some(fields) = fields.as_object_mut() {
            if let Some(display) = fields.remove("name") {
                profile.insert("displayName".into(), display);
            }
            if let [contact] = &user.contacts[..]
                && contact.tool == "email"
            {
                profile.insert("email".into(), contact.to.as_str().into());
                fields.remove("contacts");
            }
            for (field, value) in fields {
                annotations.insert(format!("{PREFIX}{field}"), extension::to_text(value).into());
            }
        }
        let mut spec = Map::new();
        if !profile.is_empty() {
            spec.insert("profile".into(), Value::Object(profile));
        }
        // Groups name their members in order; Backstage wants the field all the same.
        spec.insert("memberOf".into(), json!([]));
        self.named("User", name, annotations, spec)
    }

    fn named(
        &self,
        kind: &str,
        name: &str,
        mut annotations: Map<String, Value>,
        spec: Map<String, Value>,
    ) -> Value {
        let entity = self.names.entity(kind, name);
        if entity != name {
            annotations.insert(NAME.into(), name.into());
        }
        entity_value(kind, &entity, Map::new(), annotations, spec)
    }

    fn what_backstage_has_not(&mut self) {
        for name in self.catalog.directory.schedules.keys() {
            let subject = format!("schedule:{name}");
            self.notes.push(Note::not_carried(&subject, "", "Backstage has no rotas"));
        }
        if self.catalog.directory.governance.is_some() {
            let why = "Backstage has no last resort";
            self.notes.push(Note::not_carried("directory", "governance", why));
        }
        for edge in self.catalog.edges.iter().filter(|edge| edge.last_seen.is_some()) {
            let subject = format!("{} -> {}", edge.from, edge.to);
            let why = "dependencies of Backstage have no time";
            self.notes.push(Note::not_carried(&subject, "last_seen", why));
        }
    }
}

fn entity_value(
    kind: &str,
    name: &str,
    mut metadata: Map<String, Value>,
    annotations: Map<String, Value>,
    spec: Map<String, Value>,
) -> Value {
    metadata.insert("name".into(), name.into());
    if !annotations.is_empty() {
        metadata.insert("annotations".into(), Value::Object(annotations));
    }
    json!({"apiVersion": "backstage.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
}

/// Names of entities by kind and name here. Backstage takes names that differ
/// in case for the same and knows few characters.
struct Names {
    entities: BTreeMap<(String, String), String>,
}

impl Names {
    fn new(catalog: &Catalog) -> Self {
        let mut names = Self { entities: BTreeMap::new() };
        let mut taken = BTreeSet::new();
        let directory = &catalog.directory;
        for (kind, all) in [
            ("Domain", directory.domains.keys().collect::<Vec<_>>()),
            ("System", directory.systems.keys().collect()),
            ("Group", directory.groups.keys().collect()),
            ("User", directory.users.keys().collect()),
        ] {
            for name in all {
                names.add(kind, name, name, &mut taken);
            }
        }
        for subject in catalog.nodes() {
            let (subject_kind, bare) = split(subject);
            names.add(entity_type(subject_kind).0, subject, bare, &mut taken);
        }
        names
    }

    fn add(&mut self, kind: &str, name: &str, bare: &str, taken: &mut BTreeSet<(String, String)>) {
        let clean = if is_entity_name(bare) { bare.to_owned() } else { cleaned(bare) };
        let numbered = (2..).map(|number| format!("{}-{number}", &clean[..clean.len().min(56)]));
        let mut names = std::iter::once(clean.clone()).chain(numbered);
        let unused = |name: &String| {
            is_entity_name(name) && !taken.contains(&(kind.to_owned(), name.to_ascii_lowercase()))
        };
        let entity = names.find(unused).unwrap_or(clean);
        taken.insert((kind.to_owned(), entity.to_ascii_lowercase()));
        self.entities.insert((kind.to_owned(), name.to_owned()), entity);
    }

    fn entity(&self, kind: &str, name: &str) -> String {
        let key = (kind.to_owned(), name.to_owned());
        self.entities.get(&key).cloned().unwrap_or_else(|| cleaned(name))
    }

    /// Kind, name and `spec.type` of a subject's entity.
    fn subject(&self, subject: &str) -> (&'static str, String, &'static str) {
        let (kind, spec_type) = entity_type(split(subject).0);
        (kind, self.entity(kind, subject), spec_type)
    }

    fn subject_reference(&self, subject: &str) -> String {
        let (kind, entity, _) = self.subject(subject);
        format!("{}:{entity}", kind.to_ascii_lowercase())
    }

    fn reference(&self, kind: &str, name: &str) -> String {
        self.entity(kind, name)
    }

    /// A reference to `user:…` or `group:…`.
    fn person(&self, name: &str) -> String {
        match split(name) {
            ("user", bare) => format!("user:{}", self.entity("User", bare)),
            (_, bare) => format!("group:{}", self.entity("Group", bare)),
        }
    }
}

/// A name of the characters that Backstage knows.
fn cleaned(name: &str) -> String {
    let clean: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' })
        .take(60)
        .collect();
    let clean = clean.trim_matches(['-', '_', '.']);
    if clean.is_empty() { "unnamed".to_owned() } else { clean.to_owned() }
}
