//! Manifests, freshness results and properties files to charters and lineage.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use watchkeep_model::charter::CharterFields;
use watchkeep_model::directory::{Contact, Group, User};

use super::freshness;
use crate::catalog::split;
use crate::extension::{NAMESPACE, Ours};
use crate::gather::{Gathering, is_name, subject};
use crate::item::{At, Item, Sink};
use crate::source::Source;

/// Versions of the manifest that are read.
const MANIFESTS: std::ops::RangeInclusive<u32> = 10..=12;

/// Resource types that are datasets.
const DATASETS: [&str; 3] = ["model", "seed", "snapshot"];

/// Types of exposures by the type of subject; the first is written.
pub(super) const EXPOSURES: [(&str, &[&str]); 3] = [
    ("dashboard", &["dashboard"]),
    ("model", &["ml"]),
    ("service", &["application", "notebook", "analysis"]),
];

/// Subjects by `unique_id`, or in properties files by `ref('…')` and `source('…', '…')`.
type Known = BTreeMap<String, String>;

pub(crate) fn read(sources: &[&Source], gathered: &mut Gathering) {
    for source in sources {
        let documents = match source.documents() {
            Ok(documents) => documents,
            Err(found) => {
                gathered.refuse(found);
                continue;
            }
        };
        let sink = Sink::new(&source.name);
        for document in &documents {
            let at = At::root(document, &sink);
            let (known, through) = (Known::new(), BTreeMap::new());
            Reader { file: &source.name, known, through, gathered }.document(&at);
            at.leftovers();
        }
        gathered.absorb(sink);
    }
}

struct Reader<'a> {
    file: &'a str,
    known: Known,
    /// What metrics and the like are made of, which are no subjects themselves.
    through: BTreeMap<String, Vec<String>>,
    gathered: &'a mut Gathering,
}

impl Reader<'_> {
    fn document(&mut self, at: &At<'_>) {
        if !at.expect_map() {
            return;
        }
        if let Some(metadata) = at.map("metadata") {
            let schema = metadata.required("dbt_schema_version").unwrap_or_default();
            let version = schema.rsplit("/v").next().and_then(|text| text.strip_suffix(".json"));
            let version: Option<u32> = version.and_then(|text| text.parse().ok());
            match version {
                Some(version) if schema.contains("/manifest/") && MANIFESTS.contains(&version) => {
                    self.manifest(at);
                }
                Some(_) if schema.contains("/sources/") => results(at),
                _ => {
                    let message = format!("`{schema}` is not read");
                    let hint = "manifests of versions 10 to 12 are (dbt 1.6 to 1.11), and results of freshness";
                    metadata.report("wrong_version", message, Some(hint.into()));
                }
            }
        } else if is_of_properties(at.item) {
            at.pass("version");
            self.properties(at);
        } else {
            let hint =
                "give a manifest.json, a sources.json, or a properties file with `version: 2`";
            at.report("wrong_version", "this is no file of dbt that is read", Some(hint.into()));
        }
    }

    fn manifest(&mut self, at: &At<'_>) {
        let nodes: Vec<(&str, At<'_>)> =
            at.entries_of("nodes").into_iter().chain(at.entries_of("sources")).collect();
        let project = at.item.peek("metadata").and_then(|item| item.peek_text("project_name"));
        let is_own = |node: &At<'_>| node.item.peek_text("package_name") == project;
        let own: Vec<String> =
            nodes.iter().filter(|(_, n)| is_own(n)).filter_map(|(_, n)| name_of(n.item)).collect();
        let own: BTreeSet<String> = own.into_iter().collect();
        for (key, node) in &nodes {
            let Some(mut name) = name_of(node.item) else { continue };
            // A package may have a model that is called as one of the project.
            if let Some(package) = node.item.peek_text("package_name")
                && !is_own(node)
                && own.contains(&name)
            {
                let (kind, bare) = split(&name);
                name = format!("{kind}:{package}.{bare}");
            }
            self.known.insert((*key).to_owned(), name);
        }
        for derived in ["metrics", "semantic_models", "saved_queries"] {
            let Some(crate::item::Value::Map(fields)) = at.item.peek(derived).map(|i| &i.value)
            else {
                continue;
            };
            self.through.extend(fields.iter().map(|(key, item)| (key.clone(), made_of(item))));
        }
        for (_, group) in at.entries_of("groups") {
            self.group(&group);
        }
        for (key, node) in at.entries_of("nodes") {
            let node = node.about(key);
            let kind = node.text("resource_type").unwrap_or_default();
            if DATASETS.contains(&kind.as_str()) {
                self.dataset(&node, self.known.get(key).cloned());
            } else {
                node.lost(&format!("a {kind} is nothing that somebody answers for here"));
            }
        }
        for (key, source) in at.entries_of("sources") {
            self.dataset(&source.about(key), self.known.get(key).cloned());
        }
        for (key, exposure) in at.entries_of("exposures") {
            self.exposure(&exposure.about(key));
        }
        // What these hold is in the nodes already, or is code.
        for derived in ["macros", "docs", "parent_map", "child_map", "group_map", "selectors"] {
            at.pass(derived);
        }
    }

    /// A properties file.
    fn properties(&mut self, at: &At<'_>) {
        let models: Vec<At<'_>> =
            ["models", "seeds", "snapshots"].iter().flat_map(|key| at.list(key)).collect();
        for model in &models {
            if let Some(name) = model.item.peek_text("name") {
                let subject = meta_subject(model.item).unwrap_or_else(|| format!("dataset:{name}"));
                self.known.insert(format!("ref('{name}')"), subject);
            }
        }
        for group in at.list("groups") {
            self.group(&group);
        }
        let mut tables = Vec::new();
        for source in at.list("sources") {
            let Some(name) = source.required("name") else { continue };
            source.pass("schema");
            let of_config = || source.get("config")?.get("freshness");
            let default = source.get("freshness").or_else(of_config);
            let default = default.map(|at| freshness::read(&at));
            for table in source.list("tables") {
                let Some(bare) = table.item.peek_text("name") else {
                    table.required("name");
                    continue;
                };
                let subject = meta_subject(table.item).unwrap_or(format!("dataset:{name}.{bare}"));
                self.known.insert(format!("source('{name}', '{bare}')"), subject.clone());
                tables.push((table, subject, default.clone()));
            }
        }
        for model in &models {
            let known = model.required("name").map(|name| format!("dataset:{name}"));
            let name = model.item.peek_text("name").unwrap_or_default().to_owned();
            self.dataset(&model.about(&name), known);
        }
        for (table, subject, default) in tables {
            table.pass("name");
            let at = table.about(&subject);
            self.dataset_with(&at, Some(subject), default.unwrap_or_default());
        }
        for exposure in at.list("exposures") {
            let name = exposure.item.peek_text("name").unwrap_or_default().to_owned();
            self.exposure(&exposure.about(&name));
        }
    }

    fn dataset(&mut self, at: &At<'_>, known: Option<String>) {
        self.dataset_with(at, known, Vec::new());
    }

    /// A model, seed, snapshot or source.
    fn dataset_with(&mut self, at: &At<'_>, known: Option<String>, default: Vec<Value>) {
        if !at.expect_map() {
            return;
        }
        for said in
            ["unique_id", "name", "resource_type", "source_name", "identifier", "package_name"]
        {
            at.pass(said);
        }
        let Some(known) = known else {
            at.required("name");
            return;
        };
        let mut part = self.part(at);
        let (kind, bare) = split(&known);
        let Some(default_name) = subject(at, kind, bare) else { return };
        let name = part.ours.subject.take().unwrap_or(default_name);
        let columns = match at.item.peek("columns").map(|item| &item.value) {
            Some(crate::item::Value::List(_)) => at.list("columns"),
            _ => at.entries_of("columns").into_iter().map(|(_, column)| column).collect(),
        };
        for column in columns {
            self.column(&column, &name, &part);
        }
        let mut expectations = default;
        let config = at.get("config");
        let of_config = || config.as_ref()?.get("freshness");
        let own = at.get("freshness").or_else(of_config);
        // A manifest says it of sources twice.
        if let (Some(own), Some(config)) = (&own, &config) {
            config.pass_same("freshness", own.item);
        }
        if let Some(own) = own.filter(At::expect_map) {
            expectations = freshness::read(&own);
        } else if at.item.peek("freshness").is_some_and(Item::is_null) {
            // Nothing, said aloud, takes the source's default away.
            expectations.clear();
        }
        if !expectations.is_empty() {
            part.ours.fields.entry("expectations").or_insert(expectations.into());
        }
        self.depends_on(at, &name);
        let fields =
            CharterFields { description: at.text("description"), ..CharterFields::default() };
        self.gathered.part(self.file, at, &name, part.fields(fields), part.ours, None);
    }

    /// A column is a feature where `meta.watchkeep` says so.
    fn column(&mut self, at: &At<'_>, dataset: &str, table: &Part) {
        let Some(bare) = at.required("name") else { return };
        let has_ours =
            |item: &Item| item.peek("meta").is_some_and(|meta| meta.peek(NAMESPACE).is_some());
        if !has_ours(at.item) && !at.item.peek("config").is_some_and(has_ours) {
            at.lost("a column is a feature where its meta has `watchkeep`");
            return;
        }
        let Some(default) = subject(at, "feature", &format!("{}.{bare}", split(dataset).1)) else {
            return;
        };
        let at = at.about(&default);
        let mut part = self.part(&at);
        let name = part.ours.subject.take().unwrap_or(default);
        if part.owner.is_none() {
            part.owner.clone_from(&table.owner);
        }
        let fields =
            CharterFields { description: at.text("description"), ..CharterFields::default() };
        self.gathered.part(self.file, &at, &name, part.fields(fields), part.ours, Some(dataset));
    }

    fn exposure(&mut self, at: &At<'_>) {
        let Some(bare) = at.required("name") else { return };
        at.pass("unique_id");
        at.pass("resource_type");
        at.pass("package_name");
        let written = at.required("type").unwrap_or_default();
        let known = EXPOSURES.iter().find(|(_, types)| types.contains(&written.as_str()));
        let Some((kind, types)) = known else {
            let message = format!("`{written}` is no type of an exposure");
            let hint = "write dashboard, notebook, analysis, ml or application".to_owned();
            at.report("wrong_value", message, Some(hint));
            return;
        };
        if types.first() != Some(&&*written) {
            at.lose("type", "a service is what comes nearest");
        }
        let mut part = self.part(at);
        let owner = at.get("owner").filter(At::expect_map);
        let owners = owner.map(|owner| self.owners(&owner)).unwrap_or_default();
        let mut owners = owners.into_iter();
        part.owner = part.owner.or(owners.next());
        let others: Vec<String> = owners.collect();
        if !others.is_empty() {
            at.assumed("owner.email", "the first answers, the others are informed");
        }
        let Some(default) = subject(at, kind, &bare) else { return };
        let name = part.ours.subject.take().unwrap_or(default);
        self.depends_on(at, &name);
        let fields = CharterFields {
            description: at.text("description"),
            subscribers: (!others.is_empty()).then_some(others),
            ..CharterFields::default()
        };
        self.gathered.part(self.file, at, &name, part.fields(fields), part.ours, None);
    }

    /// Edges from what is depended on: `{nodes: […]}` of a manifest, or a list
    /// of `ref` and `source` of a properties file.
    fn depends_on(&mut self, at: &At<'_>, name: &str) {
        let Some(depends) = at.get("depends_on") else { return };
        let is_list = matches!(depends.item.value, crate::item::Value::List(_));
        depends.pass("macros");
        for other in if is_list { depends.items() } else { depends.list("nodes") } {
            let Some(text) = other.as_text() else { continue };
            let key = text.replace('"', "'").replace("','", "', '");
            let found = self.datasets_of(&key);
            if found.is_empty() {
                other.lost("it is no dataset");
            }
            for from in found {
                self.gathered.edge(self.file, &from, name, None);
            }
        }
    }

    /// The datasets that a reference means: one, or those that a metric is made of.
    fn datasets_of(&self, key: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::from([key]);
        let mut next = vec![key];
        while let Some(key) = next.pop() {
            match self.through.get(key) {
                Some(others) => {
                    next.extend(
                        others.iter().map(String::as_str).filter(|other| seen.insert(other)),
                    );
                }
                None => found.extend(self.known.get(key).cloned().or_else(|| unknown(key))),
            }
        }
        found
    }

    fn group(&mut self, at: &At<'_>) {
        let Some(name) = at.required("name") else { return };
        if !is_name(at, &name) {
            return;
        }
        for said in ["unique_id", "resource_type", "package_name"] {
            at.pass(said);
        }
        let owner = at.get("owner").filter(At::expect_map);
        let owners = owner.map(|owner| self.owners(&owner)).unwrap_or_default();
        let mut people = owners.into_iter().filter(|name| name.starts_with("user:"));
        let lead = people.next();
        self.gathered.group(self.file, at, &name, Group { lead, members: people.collect() });
    }

    /// The owners of a group or an exposure: by email, one or several, else by name.
    fn owners(&mut self, at: &At<'_>) -> Vec<String> {
        let name = at.text("name");
        let emails = match at.get("email") {
            Some(email) if email.is_list() => email.items(),
            Some(email) => vec![email],
            None => Vec::new(),
        };
        let emails: Vec<String> = emails.iter().filter_map(At::as_text).collect();
        if emails.is_empty() {
            return name.and_then(|name| person(at, &name)).into_iter().collect();
        }
        // A name of several addresses is that of none of them.
        let display = name.filter(|name| emails[..] != [name.as_str()] && emails.len() == 1);
        let mut found = Vec::new();
        for email in emails.into_iter().filter(|email| is_name(at, email)) {
            let contacts = vec![Contact { tool: "email".into(), to: email.clone() }];
            let user = User { name: display.clone(), contacts, ..User::default() };
            self.gathered.user(self.file, at, &email, user);
            found.push(format!("user:{email}"));
        }
        found
    }

    /// What all parts have: meta, group and fields of ours.
    fn part(&mut self, at: &At<'_>) -> Part {
        let mut part = Part::default();
        let config = at.get("config").filter(At::expect_map);
        let metas = [at.get("meta"), config.as_ref().and_then(|config| config.get("meta"))];
        for meta in metas.into_iter().flatten().filter(At::expect_map) {
            for (field, value) in meta.fields_of(NAMESPACE) {
                part.ours.set(&value, field, value.whole());
            }
            if let Some(owner) = meta.text("owner").and_then(|owner| person(&meta, &owner)) {
                part.owner.get_or_insert(owner);
            }
        }
        // A manifest says some things twice; both are taken.
        let of_config = config.as_ref().and_then(|config| config.text("group"));
        let group = at.text("group").or(of_config);
        part.group = group.filter(|name| is_name(at, name)).map(|name| format!("group:{name}"));
        part
    }
}

/// What models, sources, columns and exposures have in common.
#[derive(Default)]
struct Part {
    ours: Ours,
    owner: Option<String>,
    group: Option<String>,
}

impl Part {
    fn fields(&self, mut fields: CharterFields) -> CharterFields {
        fields.owners.primary.clone_from(&self.owner);
        fields.group.clone_from(&self.group);
        fields
    }
}

/// Somebody's name: typed as it is, `@ada` and addresses are users, others groups.
fn person(at: &At<'_>, name: &str) -> Option<String> {
    if !is_name(at, name) {
        return None;
    }
    if matches!(split(name).0, "user" | "group" | "schedule") {
        return Some(name.to_owned());
    }
    let bare = name.strip_prefix('@').unwrap_or(name);
    if name.contains('@') {
        return Some(format!("user:{bare}"));
    }
    at.assumed("owner", "an owner that is no address is taken for a group");
    Some(format!("group:{bare}"))
}

fn meta_subject(item: &Item) -> Option<String> {
    let of =
        |item: &Item| item.peek("meta")?.peek(NAMESPACE)?.peek_text("subject").map(str::to_owned);
    of(item).or_else(|| of(item.peek("config")?))
}

/// What a metric, semantic model or saved query depends on.
fn made_of(item: &Item) -> Vec<String> {
    let nodes = item.peek("depends_on").and_then(|depends| depends.peek("nodes"));
    let Some(crate::item::Value::List(nodes)) = nodes.map(|nodes| &nodes.value) else {
        return Vec::new();
    };
    nodes.iter().filter_map(|node| node.to_json().as_str().map(str::to_owned)).collect()
}

/// The subject of a node of a manifest.
fn name_of(node: &Item) -> Option<String> {
    let name = node.peek_text("name")?;
    if let Some(subject) = meta_subject(node) {
        return Some(subject);
    }
    match node.peek_text("resource_type")? {
        "source" => Some(format!("dataset:{}.{name}", node.peek_text("source_name")?)),
        // The latest version is what `ref` means without one.
        kind if DATASETS.contains(&kind) => Some(match version(node) {
            Some(version) => format!("dataset:{name}.v{version}"),
            None => format!("dataset:{name}"),
        }),
        _ => None,
    }
}

/// The version of a model, where it is not the latest.
fn version(node: &Item) -> Option<String> {
    let of = |key: &str| match &node.peek(key)?.value {
        crate::item::Value::Text(text) | crate::item::Value::Number(text) => Some(text.clone()),
        _ => None,
    };
    let version = of("version")?;
    (of("latest_version").as_ref() != Some(&version)).then_some(version)
}

/// The subject of a reference to something that the file does not describe.
fn unknown(reference: &str) -> Option<String> {
    let quoted: Vec<&str> = reference.split('\'').skip(1).step_by(2).collect();
    if reference.starts_with("ref(") {
        return quoted.last().map(|name| format!("dataset:{name}"));
    }
    if reference.starts_with("source(") {
        return Some(format!("dataset:{}.{}", quoted.first()?, quoted.get(1)?));
    }
    let mut parts = reference.split('.');
    let (kind, _, rest) = (parts.next()?, parts.next()?, parts.collect::<Vec<_>>());
    let is_dataset = kind == "source" || DATASETS.contains(&kind);
    (is_dataset && !rest.is_empty()).then(|| format!("dataset:{}", rest.join(".")))
}

/// True of a file that describes models, sources and the like: by its version,
/// which dbt has not asked for since 1.5, or by what it lists.
fn is_of_properties(item: &Item) -> bool {
    const LISTS: [&str; 6] = ["models", "seeds", "snapshots", "sources", "exposures", "groups"];
    match item.peek("version") {
        Some(version) => version.to_json() == 2,
        None => {
            LISTS.iter().any(|key| item.peek(key).is_some_and(|list| list.to_json().is_array()))
        }
    }
}

/// Results of `dbt source freshness` are measurements.
fn results(at: &At<'_>) {
    for result in at.list("results") {
        let name = result.text("unique_id").unwrap_or_default();
        result.about(&name).lost(
            "a measurement is no contract: send it as telemetry of the dataset, with materialised_at",
        );
    }
    at.pass("elapsed_time");
}
