//! Entities to charters, directory and lineage.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use watchkeep_model::charter::{CharterFields, Lifecycle, Owners};
use watchkeep_model::directory::{Contact, Domain, Group, System, User};

use super::entity::{
    CHARTER, NAME, NOBODY, OWNER, PREFIX, Reference, SUBJECT, is_entity_name, subject_type,
};
use crate::extension;
use crate::gather::{Gathering, is_name, subject};
use crate::item::{At, Item, Sink};
use crate::source::Source;

/// Kinds that are read.
const KINDS: [&str; 7] = ["component", "resource", "api", "system", "domain", "group", "user"];

/// Names here of the entities of all files.
type Known = BTreeMap<(String, String, String), String>;

pub(crate) fn read(sources: &[&Source], gathered: &mut Gathering) {
    let mut files: Vec<(&Source, Vec<Item>)> = Vec::new();
    for source in sources {
        match source.documents() {
            Ok(documents) => files.push((source, documents)),
            Err(found) => gathered.refuse(found),
        }
    }
    // References may point at entities of other files, so names come first.
    let mut known = Known::new();
    for (_, documents) in &files {
        for document in documents {
            if let Some((reference, name)) = name_of(document) {
                known.insert(reference.key(), name);
            }
        }
    }
    for (source, documents) in &files {
        let sink = Sink::new(&source.name);
        for document in documents {
            let at = At::root(document, &sink);
            let label = name_of(document).map(|(reference, _)| reference.to_string());
            let at = at.about(&label.unwrap_or_default());
            Reader { file: &source.name, known: &known, gathered }.entity(&at);
            at.leftovers();
        }
        gathered.absorb(sink);
    }
}

/// The reference and the name here of an entity, without findings.
fn name_of(entity: &Item) -> Option<(Reference, String)> {
    let kind = entity.peek_text("kind")?.to_ascii_lowercase();
    let metadata = entity.peek("metadata")?;
    let name = metadata.peek_text("name")?;
    let reference =
        Reference::new(&kind, metadata.peek_text("namespace").unwrap_or("default"), name);
    let annotation = |key: &str| metadata.peek("annotations")?.peek_text(key);
    let bare = annotation(NAME).map_or_else(|| reference.bare(), str::to_owned);
    let name = match kind.as_str() {
        "component" | "resource" | "api" => match annotation(SUBJECT) {
            Some(subject) => subject.to_owned(),
            None => {
                let spec_type = entity.peek("spec").and_then(|spec| spec.peek_text("type"));
                format!("{}:{bare}", subject_type(&kind, spec_type.unwrap_or_default()).0)
            }
        },
        "user" | "group" => format!("{kind}:{bare}"),
        _ => bare,
    };
    Some((reference, name))
}

struct Reader<'a> {
    file: &'a str,
    known: &'a Known,
    gathered: &'a mut Gathering,
}

/// Annotations of ours and what all entities have.
struct Metadata {
    name: String,
    description: Option<String>,
    runbook: Option<String>,
    ours: Map<String, Value>,
    has_charter: bool,
    owner_is_derived: bool,
}

impl Reader<'_> {
    fn entity(&mut self, at: &At<'_>) {
        if !at.expect_map() {
            return;
        }
        let version = at.required("apiVersion");
        // Of a plugin, such as a template of the scaffolder.
        if let Some(version) = &version
            && let Some((group, _)) = version.split_once('/')
            && group != "backstage.io"
            && let Some(kind) = at.required("kind")
        {
            at.lost(&format!("a charter folder has no {kind} of {version}"));
            return;
        }
        if let Some(version) = &version
            && !version.starts_with("backstage.io/v1")
        {
            let message = format!("`{version}` is no apiVersion of a Backstage entity");
            let hint = "write backstage.io/v1alpha1, or leave the file out".to_owned();
            at.report("wrong_version", message, Some(hint));
            return;
        }
        let Some(kind) = at.required("kind") else { return };
        let lower = kind.to_ascii_lowercase();
        if !KINDS.contains(&lower.as_str()) {
            at.lost(&format!("a charter folder has no {kind}"));
            return;
        }
        let Some(metadata_at) = at.map("metadata") else {
            at.report("missing_field", "`metadata` is missing", Some("give it a `name`".into()));
            return;
        };
        let Some(name) = metadata_at.required("name") else { return };
        if !is_entity_name(&name) {
            let hint = "write at most 63 letters, digits, `-`, `_` and `.`".to_owned();
            let message = format!("`{}` is no name of an entity", crate::item::shorten(&name));
            metadata_at.report("name", message, Some(hint));
            return;
        }
        let namespace = metadata_at.text("namespace").unwrap_or_else(|| "default".into());
        let reference = Reference::new(&lower, &namespace, &name);
        let known = self.known.get(&reference.key()).cloned().unwrap_or_else(|| reference.bare());
        let metadata = metadata(&metadata_at, known);
        if !is_name(at, &metadata.name) {
            return;
        }
        match lower.as_str() {
            "system" => self.system(at, metadata),
            "domain" => self.domain(at, metadata),
            "group" => self.group(at, metadata),
            "user" => self.user(at, metadata),
            _ => self.subject(at, &lower, metadata),
        }
    }

    /// A Component, Resource or API.
    fn subject(&mut self, at: &At<'_>, kind: &str, metadata: Metadata) {
        let (subject_kind, bare) = crate::catalog::split(&metadata.name);
        let Some(name) = subject(at, subject_kind, bare) else { return };
        let Some(spec) = at.map("spec") else {
            at.report("missing_field", "`spec` is missing", Some("give it type and owner".into()));
            return;
        };
        if let Some(spec_type) = spec.text("type")
            && !subject_type(kind, &spec_type).1
            && !metadata.ours.contains_key("subject")
        {
            let why = format!("a {subject_kind} is what comes nearest");
            spec.lose("type", &why);
        }
        for (field, ours_is_user) in [
            ("dependsOn", false),
            ("dependencyOf", true),
            ("consumesApis", false),
            ("providesApis", true),
        ] {
            let default_kind = field.ends_with("Apis").then_some("api");
            for reference in spec.list(field) {
                let Some(other) = self.reference(&reference, default_kind) else { continue };
                if !other.contains(':') {
                    reference.lost("lineage is between subjects alone");
                } else if ours_is_user {
                    self.gathered.edge(self.file, &name, &other, None);
                } else {
                    self.gathered.edge(self.file, &other, &name, None);
                }
            }
        }
        let owner = spec.get("owner").and_then(|at| self.person(&at));
        let lifecycle = spec.text("lifecycle").and_then(|text| lifecycle(&spec, &text));
        let system = spec.get("system").and_then(|at| self.reference(&at, Some("system")));
        if !metadata.has_charter {
            return;
        }
        let primary = owner.filter(|_| !metadata.owner_is_derived);
        let fields = CharterFields {
            description: metadata.description,
            runbook: metadata.runbook,
            lifecycle,
            system,
            owners: Owners { primary, ..Owners::default() },
            ..CharterFields::default()
        };
        let mut ours = metadata.ours;
        ours.remove("subject");
        self.gathered.charter(self.file, at, &name, fields, ours);
    }

    fn system(&mut self, at: &At<'_>, metadata: Metadata) {
        let name = metadata.name.clone();
        lose_description(at, &metadata);
        let spec = at.get("spec");
        let reference = |reader: &Self, key: &str, kind: &str| {
            reader.reference(&spec.as_ref()?.get(key)?, Some(kind))
        };
        let owner = spec.as_ref().and_then(|spec| self.person(&spec.get("owner")?));
        let system = System {
            owner: owner.filter(|_| !metadata.owner_is_derived),
            domain: reference(self, "domain", "domain"),
            parent: metadata.text("parent"),
        };
        self.gathered.system(self.file, at, &name, system);
    }

    fn domain(&mut self, at: &At<'_>, metadata: Metadata) {
        lose_description(at, &metadata);
        let spec = at.get("spec");
        let reference = |reader: &Self, key: &str, kind: &str| {
            reader.reference(&spec.as_ref()?.get(key)?, Some(kind))
        };
        let owner = spec.as_ref().and_then(|spec| self.person(&spec.get("owner")?));
        let domain = Domain {
            owner: owner.filter(|_| !metadata.owner_is_derived),
            parent: reference(self, "subdomainOf", "domain"),
            alert_budget: None,
        };
        self.gathered.domain(self.file, at, &metadata.name, domain);
    }

    fn group(&mut self, at: &At<'_>, metadata: Metadata) {
        lose_description(at, &metadata);
        let mut group = Group { lead: metadata.text("lead"), members: Vec::new() };
        if let Some(spec) = at.get("spec") {
            if spec.item.peek_text("type") == Some("team") {
                spec.pass("type");
            }
            for member in spec.list("members") {
                group.members.extend(self.reference(&member, Some("user")));
            }
        }
        let bare = crate::catalog::split(&metadata.name).1;
        self.gathered.group(self.file, at, bare, group);
    }

    fn user(&mut self, at: &At<'_>, metadata: Metadata) {
        lose_description(at, &metadata);
        let bare = crate::catalog::split(&metadata.name).1;
        let mut fields = metadata.ours.clone();
        if let Some(spec) = at.get("spec") {
            if let Some(profile) = spec.map("profile") {
                if let Some(name) = profile.text("displayName") {
                    fields.entry("name").or_insert(name.into());
                }
                if let Some(to) = profile.text("email") {
                    let contact = Contact { tool: "email".into(), to };
                    let contacts = serde_json::to_value([contact]).unwrap_or_default();
                    fields.entry("contacts").or_insert(contacts);
                }
            }
            for group in spec.list("memberOf") {
                if let Some(group) = self.reference(&group, Some("group")) {
                    let members = vec![metadata.name.clone()];
                    let name = crate::catalog::split(&group).1;
                    self.gathered.group(self.file, at, name, Group { lead: None, members });
                }
            }
        }
        match serde_json::from_value::<User>(Value::Object(fields)) {
            Ok(user) => self.gathered.user(self.file, at, bare, user),
            Err(error) => {
                at.report("annotation", format!("an annotation {PREFIX}… is wrong: {error}"), None);
            }
        }
    }

    /// An owner: a user or a group.
    fn person(&self, at: &At<'_>) -> Option<String> {
        let name = self.reference(at, Some("group"))?;
        if matches!(crate::catalog::split(&name).0, "user" | "group") {
            return Some(name);
        }
        let message = format!("`{name}` cannot own anything");
        at.report("reference", message, Some("name a user: or a group:".into()));
        None
    }

    /// The name here of what a reference points at.
    fn reference(&self, at: &At<'_>, default_kind: Option<&str>) -> Option<String> {
        let text = at.as_text()?;
        let Some(reference) = Reference::parse(&text, default_kind) else {
            let message = format!("`{}` is no reference to an entity", crate::item::shorten(&text));
            let hint = "write it as kind:namespace/name".to_owned();
            at.report("reference", message, Some(hint));
            return None;
        };
        if default_kind == Some("group") && reference.name == NOBODY {
            return None;
        }
        if let Some(name) = self.known.get(&reference.key()) {
            return Some(name.clone());
        }
        let bare = reference.bare();
        Some(match reference.kind.as_str() {
            kind @ ("user" | "group") => format!("{kind}:{bare}"),
            kind @ ("component" | "resource" | "api") => {
                format!("{}:{bare}", subject_type(kind, "").0)
            }
            _ => bare,
        })
    }
}

impl Metadata {
    /// An annotation of ours that is text.
    fn text(&self, field: &str) -> Option<String> {
        self.ours.get(field).and_then(Value::as_str).map(str::to_owned)
    }
}

fn metadata(at: &At<'_>, name: String) -> Metadata {
    let mut found = Metadata {
        name,
        description: at.text("description"),
        runbook: None,
        ours: Map::new(),
        has_charter: true,
        owner_is_derived: false,
    };
    for (key, value) in at.fields_of("annotations") {
        let Some(field) = key.strip_prefix(PREFIX) else {
            value.lost("charters have no annotations");
            continue;
        };
        let Some(text) = value.as_text() else { continue };
        match key {
            SUBJECT => {
                found.ours.insert("subject".into(), text.into());
            }
            NAME => {}
            CHARTER => found.has_charter = text != "none",
            OWNER => found.owner_is_derived = text == "derived",
            _ => match extension::from_text(field, &text) {
                Ok(value) => {
                    found.ours.insert(field.to_owned(), value);
                }
                Err(message) => value.report("annotation", message, None),
            },
        }
    }
    for link in at.list("links") {
        let is_runbook = ["type", "title", "icon"].iter().any(|key| {
            link.item
                .peek_text(key)
                .is_some_and(|text| text.to_ascii_lowercase().contains("runbook"))
        });
        if is_runbook && found.runbook.is_none() {
            found.runbook = link.text("url");
            for key in ["type", "title", "icon"] {
                link.pass(key);
            }
        } else {
            link.lost("a charter has one link, its runbook");
        }
    }
    found
}

fn lose_description(at: &At<'_>, metadata: &Metadata) {
    if metadata.description.is_some()
        && let Some(at) = at.get("metadata")
    {
        at.lose("description", "the directory has no descriptions");
    }
}

fn lifecycle(spec: &At<'_>, text: &str) -> Option<Lifecycle> {
    Some(match text.to_ascii_lowercase().as_str() {
        "experimental" | "draft" => Lifecycle::Draft,
        "production" => Lifecycle::Production,
        "deprecated" => Lifecycle::Deprecated,
        "retired" => Lifecycle::Retired,
        NOBODY => return None,
        _ => {
            spec.lose("lifecycle", "a charter is draft, production, deprecated or retired");
            return None;
        }
    })
}
