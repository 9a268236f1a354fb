//! Contracts to charters, people and lineage.

use serde_json::{Map, Value};
use watchkeep_model::charter::{CharterFields, Lifecycle, ValueType};

use super::{OF_THE_CONTRACT, property, quality, team};
use crate::extension::Ours;
use crate::gather::{Gathering, is_name, subject};
use crate::item::{At, Sink};
use crate::source::Source;

/// The version of a contract that was never changed.
pub(super) const FIRST_VERSION: &str = "1.0.0";

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
            let name = document.peek_text("id").unwrap_or_default();
            let at = At::root(document, &sink).about(name);
            Reader { file: &source.name, gathered }.contract(&at);
            at.leftovers();
        }
        gathered.absorb(sink);
    }
}

struct Reader<'a> {
    file: &'a str,
    gathered: &'a mut Gathering,
}

/// What the objects of a contract have in common.
struct Contract {
    /// The fields of [`OF_THE_CONTRACT`] as values.
    fields: Map<String, Value>,
    description: Option<String>,
    limitations: Option<String>,
}

impl Reader<'_> {
    fn contract(&mut self, at: &At<'_>) {
        if !at.expect_map() {
            return;
        }
        if at.required("kind").is_none_or(|kind| kind != "DataContract") {
            if at.item.peek_text("kind").is_some() {
                let hint = "leave the file out, or write `kind: DataContract`".to_owned();
                at.report("wrong_value", "the document is no DataContract", Some(hint));
            }
            return;
        }
        let Some(version) = at.required("apiVersion") else { return };
        let number = version.trim_start_matches('v');
        if !(number.starts_with("3.0") || number.starts_with("3.1")) {
            let message = format!("version `{version}` of the standard is not read");
            at.report("wrong_version", message, Some("write the contract in v3.0 or v3.1".into()));
            return;
        }
        at.required("id");
        at.pass("name");
        // The first version says nothing; the history of a folder has the others.
        if at.item.peek_text("version") == Some(FIRST_VERSION) {
            at.pass("version");
        }
        let contract = self.common(at);
        let ours = ours(at);
        if !ours.fields.is_empty() {
            at.report("wrong_place", "our custom properties stand at objects and properties", None);
        }
        let objects = at.list("schema");
        let levels = at.list("slaProperties");
        let default_element = at.text("slaDefaultElement");
        let names: Vec<String> =
            objects.iter().filter_map(|at| at.item.peek_text("name").map(str::to_owned)).collect();
        let levels = levels.into_iter().map(|level| {
            let element = level.text("element").or_else(|| default_element.clone());
            let elements: Vec<String> = match element {
                Some(list) => list.split(',').map(|name| name.trim().to_owned()).collect(),
                None => names.clone(),
            };
            (level, elements)
        });
        let mut levels: Vec<(At<'_>, Vec<String>, bool)> =
            levels.map(|(level, elements)| (level, elements, false)).collect();
        for object in &objects {
            self.object(object, &contract, &mut levels);
        }
        // It speaks for the objects that say nothing themselves.
        let is_said = |at: &At<'_>| at.item.peek_text("description").is_some();
        if objects.iter().all(is_said)
            && let Some(description) = at.get("description")
        {
            description.lose("purpose", "every object has a description of its own");
        }
        for (level, _, was_used) in levels {
            if !was_used {
                level.lost("its element is no object and no property of the schema");
            }
        }
    }

    fn common(&mut self, at: &At<'_>) -> Contract {
        let mut fields = Map::new();
        if let Some(status) = at.text("status") {
            let lifecycle = match status.to_ascii_lowercase().as_str() {
                "proposed" | "draft" => Some("draft"),
                "active" => Some("production"),
                "deprecated" => Some("deprecated"),
                "retired" => Some("retired"),
                "unknown" => None,
                _ => {
                    at.lose("status", "a charter is draft, production, deprecated or retired");
                    None
                }
            };
            fields.extend(lifecycle.map(|lifecycle| ("lifecycle".to_owned(), lifecycle.into())));
        }
        for (field, name) in [("domain", at.text("domain")), ("system", at.text("dataProduct"))] {
            if let Some(name) = name.filter(|name| is_name(at, name)) {
                fields.insert(field.to_owned(), name.into());
            }
        }
        let team = team::read(self.file, at, self.gathered);
        fields.extend(team.group.map(|group| ("group".to_owned(), group.into())));
        if !team.owners.is_empty() {
            fields.insert("owners".into(), team.owners.into());
        }
        let description = at.get("description");
        let text = |key: &str| description.as_ref()?.text(key);
        Contract { fields, description: text("purpose"), limitations: text("limitations") }
    }

    fn object(
        &mut self,
        at: &At<'_>,
        contract: &Contract,
        levels: &mut [(At<'_>, Vec<String>, bool)],
    ) {
        if !at.expect_map() {
            return;
        }
        let Some(name) = at.required("name") else { return };
        let ours = ours(at);
        let written = ours.subject.clone();
        let Some(dataset) = written.or_else(|| subject(at, "dataset", &name)) else { return };
        let at = at.about(&dataset);
        at.pass("logicalType");
        if at.item.peek_text("physicalName") == Some(&name) {
            at.pass("physicalName");
        }
        let mut expectations = quality::read(&at);
        expectations.extend(service_levels(&name, levels, &expectations));
        for part in at.list("properties") {
            self.property(&part, contract, (&name, &dataset), levels);
        }
        let fields = CharterFields {
            description: at.text("description").or_else(|| contract.description.clone()),
            limitations: contract.limitations.clone().map(|text| vec![text]),
            ..CharterFields::default()
        };
        self.charter(&at, &dataset, fields, contract, (ours, expectations, None));
    }

    fn property(
        &mut self,
        at: &At<'_>,
        contract: &Contract,
        (object, dataset): (&str, &str),
        levels: &mut [(At<'_>, Vec<String>, bool)],
    ) {
        if !at.expect_map() {
            return;
        }
        let Some(name) = at.required("name") else { return };
        let ours = ours(at);
        let written = ours.subject.clone();
        let full = format!("{object}.{name}");
        let Some(feature) = written.or_else(|| subject(at, "feature", &full)) else { return };
        let at = at.about(&feature);
        for (key, default) in [
            ("required", false),
            ("unique", false),
            ("primaryKey", false),
            ("partitioned", false),
            ("criticalDataElement", false),
        ] {
            if at.item.peek(key).is_some_and(|item| item.to_json() == Value::Bool(default)) {
                at.pass(key);
            }
        }
        let value_type = at.text("logicalType").and_then(|text| value_type(&at, &text));
        let mut expectations = quality::read(&at);
        let has_kind = |list: &[Value], kind: &str| list.iter().any(|e| e["kind"] == kind);
        if at.item.peek("required").is_some_and(|item| item.to_json() == Value::Bool(true)) {
            at.pass("required");
            if !has_kind(&expectations, "null_rate") {
                at.assumed("expectations required", "required means that no value may be null");
                expectations.push(quality::required());
            }
        }
        if matches!(value_type, Some(ValueType::Double | ValueType::Long))
            && let Some(options) = at.map("logicalTypeOptions")
        {
            let (min, max) = (options.number("minimum"), options.number("maximum"));
            if (min.is_some() || max.is_some()) && !has_kind(&expectations, "range") {
                at.assumed("expectations range", "in windows of 1h no value may be outside");
                expectations.push(quality::range(min, max));
            }
        }
        expectations.extend(service_levels(&full, levels, &expectations));
        for source in at.texts("transformSourceObjects") {
            if let Some(source) = subject(&at, "dataset", &source) {
                self.gathered.edge(self.file, &source, &feature, None);
            }
        }
        let fields = CharterFields {
            description: at.text("description"),
            r#type: value_type,
            ..CharterFields::default()
        };
        self.charter(&at, &feature, fields, contract, (ours, expectations, Some(dataset)));
    }

    fn charter(
        &mut self,
        at: &At<'_>,
        subject: &str,
        fields: CharterFields,
        contract: &Contract,
        (mut ours, expectations, implied): (Ours, Vec<Value>, Option<&str>),
    ) {
        for (field, value) in &contract.fields {
            ours.fields.entry(field.clone()).or_insert_with(|| value.clone());
        }
        if !expectations.is_empty() {
            ours.fields.insert("expectations".into(), expectations.into());
        }
        self.gathered.part(self.file, at, subject, fields, ours, implied);
    }
}

/// Expectations of the service levels about an element.
fn service_levels(
    element: &str,
    levels: &mut [(At<'_>, Vec<String>, bool)],
    taken: &[Value],
) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    for (level, elements, was_used) in levels {
        if elements.iter().any(|name| name == element) {
            *was_used = true;
            let all: Vec<Value> = taken.iter().chain(&found).cloned().collect();
            found.extend(quality::service_level(level, &all));
        }
    }
    found
}

fn value_type(at: &At<'_>, text: &str) -> Option<ValueType> {
    Some(match text {
        "number" => ValueType::Double,
        "integer" => ValueType::Long,
        "boolean" => ValueType::Boolean,
        "string" => ValueType::String,
        _ => {
            at.lose("logicalType", "a feature is double, long, boolean or string");
            return None;
        }
    })
}

fn ours(at: &At<'_>) -> Ours {
    let mut ours = Ours::default();
    for custom in at.list("customProperties") {
        let Some(name) = custom.required("property") else { continue };
        let Some(field) = name.strip_prefix(&property("")) else {
            custom.lost("charters have no custom properties");
            continue;
        };
        // Absent and null are not the same: null takes away what the contract says.
        let value = custom.get("value").map(|at| at.whole()).unwrap_or_default();
        custom.pass("value");
        ours.set(&custom, field, value);
    }
    ours
}

/// The fields of a contract as values.
pub(super) fn of_the_contract(fields: &Map<String, Value>) -> Map<String, Value> {
    let own = fields.iter().filter(|(field, _)| OF_THE_CONTRACT.contains(&field.as_str()));
    own.map(|(field, value)| (field.clone(), value.clone())).collect()
}

/// The word of the standard for a lifecycle.
pub(super) const fn status(lifecycle: Option<Lifecycle>) -> &'static str {
    match lifecycle {
        Some(Lifecycle::Draft) => "draft",
        Some(Lifecycle::Production) => "active",
        Some(Lifecycle::Deprecated) => "deprecated",
        Some(Lifecycle::Retired) => "retired",
        None => "unknown",
    }
}
