//! Proposals and events to charters, people and lineage.

use std::collections::BTreeMap;

use watchkeep_model::charter::{CharterFields, Lifecycle, Owners};
use watchkeep_model::directory::{Contact, Domain, Group, User};

use super::{property, urn};
use crate::catalog::split;
use crate::extension::Ours;
use crate::gather::{Gathering, is_name, subject};
use crate::item::{At, Item, Sink, Value};
use crate::json;
use crate::source::Source;

/// Types of ownership by role; the first is written.
pub(super) const OWNERS: [(&str, &[&str]); 3] = [
    ("primary", &["TECHNICAL_OWNER", "DATAOWNER", "DELEGATE", "DEVELOPER", "PRODUCER"]),
    ("business_owner", &["BUSINESS_OWNER", "STAKEHOLDER"]),
    ("data_steward", &["DATA_STEWARD"]),
];

/// What was found of a subject in all its aspects.
struct Found<'a> {
    at: At<'a>,
    fields: CharterFields,
    ours: Ours,
    is_removed: bool,
}

pub(crate) fn read(sources: &[&Source], gathered: &mut Gathering) {
    for source in sources {
        let item = match source.json() {
            Ok(item) => unfolded(item),
            Err(found) => {
                gathered.refuse(found);
                continue;
            }
        };
        let sink = Sink::new(&source.name);
        let root = At::root(&item, &sink);
        let is_list = matches!(item.value, Value::List(_));
        let events = if is_list { root.items() } else { vec![root.clone()] };
        let mut reader = Reader { file: &source.name, subjects: BTreeMap::new(), gathered };
        for event in &events {
            reader.event(event);
        }
        reader.finish();
        root.leftovers();
        gathered.absorb(sink);
    }
}

/// The same with aspects that are JSON within text, as the API takes them, read.
/// What is in them stands where the text does.
fn unfolded(mut item: Item) -> Item {
    match &mut item.value {
        Value::List(events) => events.iter_mut().for_each(unfold),
        _ => unfold(&mut item),
    }
    item
}

fn unfold(event: &mut Item) {
    let Some(aspect) = event.peek_mut("aspect") else { return };
    let is_json = aspect.peek_text("contentType").is_none_or(|kind| kind == "application/json");
    let Some(text) = aspect.peek_mut("value").filter(|_| is_json) else { return };
    let Value::Text(written) = &text.value else { return };
    let Ok(mut read) = json::read(written, 1) else { return };
    read.stand_at(text.place);
    let Value::Map(fields) = &mut aspect.value else { return };
    fields.retain(|(key, _)| key != "value" && key != "contentType");
    fields.push(("json".to_owned(), read));
}

struct Reader<'r, 'a> {
    file: &'r str,
    subjects: BTreeMap<String, Found<'a>>,
    gathered: &'r mut Gathering,
}

impl<'a> Reader<'_, 'a> {
    fn event(&mut self, at: &At<'a>) {
        if !at.expect_map() {
            return;
        }
        if at.item.peek("entityUrn").is_some() {
            self.proposal(at);
        } else if let Some(snapshot) = at.get("proposedSnapshot") {
            self.snapshot(&snapshot);
        } else {
            let hint = "give it an entityUrn with aspectName and aspect, or a proposedSnapshot";
            at.report("wrong_version", "this is no change of DataHub", Some(hint.into()));
        }
    }

    fn proposal(&mut self, at: &At<'a>) {
        let Some(urn) = at.required("entityUrn") else { return };
        let at = at.about(&urn);
        at.pass("entityType");
        at.pass("systemMetadata");
        match at.text("changeType").as_deref() {
            Some("DELETE") => return at.lost("what was deleted is not looked for"),
            Some("PATCH") => {
                return at.lost("a patch changes what DataHub has, which is not in the file");
            }
            _ => {}
        }
        let Some(name) = at.required("aspectName") else { return };
        let Some(aspect) = at.map("aspect") else { return };
        // The file sink writes `json`; the bytes of the aspect as text were read
        // before, where they are JSON.
        if let Some(json) = aspect.map("json") {
            self.aspect(&json.about(&urn), &urn, &name);
        } else if aspect.item.peek("value").is_some() {
            aspect.report(
                "unsupported",
                "the text of the aspect is not JSON",
                Some("write it with a file sink of DataHub 0.10 or later".into()),
            );
        } else {
            self.aspect(&aspect, &urn, &name);
        }
    }

    /// `{"com.linkedin….DatasetSnapshot": {urn, aspects: [{"….Ownership": {…}}]}}`.
    fn snapshot(&mut self, at: &At<'a>) {
        for (_, snapshot) in at.fields() {
            let Some(urn) = snapshot.required("urn") else { continue };
            let snapshot = snapshot.about(&urn);
            for part in snapshot.list("aspects") {
                for (class, aspect) in part.fields() {
                    let class = class.rsplit('.').next().unwrap_or_default();
                    let mut name = class.to_owned();
                    if let Some(first) = name.get_mut(..1) {
                        first.make_ascii_lowercase();
                    }
                    // Names of classes in capitals are written so in aspects too.
                    let name = name.replace("mLFeature", "mlFeature").replace("mLModel", "mlModel");
                    self.aspect(&aspect.about(&urn), &urn, &name);
                }
            }
        }
    }

    fn aspect(&mut self, at: &At<'a>, urn: &str, name: &str) {
        match urn::parse(urn) {
            Some(("corpuser", _)) => return self.user(at, urn, name),
            Some(("corpGroup", _)) => return self.group(at, urn, name),
            Some(("domain", parts)) => {
                let domain = parts.join(",");
                if name == "domainProperties" {
                    at.pass("name");
                    let parent = at.text("parentDomain").and_then(|urn| bare(&urn));
                    if is_name(at, &domain) {
                        let value = Domain { parent, ..Domain::default() };
                        self.gathered.domain(self.file, at, &domain, value);
                    }
                } else {
                    at.lost("only names of domains are read");
                }
                return;
            }
            Some(_) => {}
            None => {
                let message = format!("`{}` is no urn", crate::item::shorten(urn));
                at.report("wrong_value", message, Some("write urn:li:dataset:(…)".into()));
                return;
            }
        }
        let Some((subject_name, entity)) = urn::subject(urn) else {
            at.lost("a folder of charters has no such entity");
            return;
        };
        let (kind, bare_name) = split(&subject_name);
        if subject(at, kind, bare_name).is_none() {
            return;
        }
        let found = self.subjects.entry(subject_name).or_insert_with(|| Found {
            at: at.clone(),
            fields: CharterFields::default(),
            ours: Ours::default(),
            is_removed: false,
        });
        let has_properties =
            urn::ENTITIES.iter().any(|(of, _, aspect)| *of == entity && *aspect == name);
        match name {
            "ownership" => {
                // A later one is instead of the one before.
                found.fields.owners = Owners::default();
                owners(at, found);
            }
            "domains" => {
                let domains = at.list("domains");
                found.fields.domain = domains.first().and_then(|at| bare(&at.as_text()?));
                domains.iter().skip(1).for_each(|at| at.lost("a charter has one domain"));
            }
            "deprecation" => {
                if at.item.peek("deprecated").is_some_and(|item| item.to_json() == true) {
                    at.pass("deprecated");
                    found.fields.lifecycle = Some(Lifecycle::Deprecated);
                }
            }
            "editableDatasetProperties" => {
                found.fields.description =
                    at.text("description").or(found.fields.description.take());
            }
            "upstreamLineage" => {
                for upstream in at.list("upstreams") {
                    upstream.pass("type");
                    upstream.pass("auditStamp");
                    let urn = upstream.required("dataset");
                    found.upstream(urn.as_deref(), &upstream);
                }
                at.lose("fineGrainedLineages", "lineage is between subjects, not columns");
            }
            "dataJobInputOutput" => {
                let inputs = ["inputDatasets", "inputDatajobs"];
                for (urn, at) in named(at, &inputs, &["inputDatasetEdges", "inputDatajobEdges"]) {
                    found.upstream(urn.as_deref(), &at);
                }
                for (urn, _) in named(at, &["outputDatasets"], &["outputDatasetEdges"]) {
                    let to = urn.and_then(|urn| urn::subject(&urn));
                    found.ours.consumers.extend(to.map(|(to, _)| to));
                }
            }
            _ if has_properties => properties(at, found),
            "status" if at.item.peek("removed").is_some_and(|item| item.to_json() == true) => {
                at.lost("it is deleted there");
                found.is_removed = true;
            }
            "status" | "dataPlatformInstance" | "browsePaths" | "browsePathsV2" | "subTypes" => {
                at.lost("how DataHub shows it");
            }
            _ => at.lost("a charter has no such aspect"),
        }
    }

    fn user(&mut self, at: &At<'_>, urn: &str, name: &str) {
        let Some(person) = urn::person(urn) else { return };
        let (_, bare) = split(&person);
        if !matches!(name, "corpUserInfo" | "corpUserEditableInfo") || !is_name(at, bare) {
            at.lost("only who a person is is read");
            return;
        }
        let email = at.text("email");
        let display = at.text("displayName").or(at.text("fullName"));
        let contacts = email.map(|to| Contact { tool: "email".into(), to }).into_iter().collect();
        let active = at.item.peek("active").is_none_or(|item| item.to_json() != false);
        at.pass("active");
        let user = User { name: display, contacts, active, ..User::default() };
        self.gathered.user(self.file, at, bare, user);
    }

    fn group(&mut self, at: &At<'_>, urn: &str, name: &str) {
        let Some(person) = urn::person(urn) else { return };
        let (_, bare) = split(&person);
        if name != "corpGroupInfo" || !is_name(at, bare) {
            at.lost("only who is in a group is read");
            return;
        }
        let people = |key: &str| -> Vec<String> {
            at.texts(key).iter().filter_map(|urn| urn::person(urn)).collect()
        };
        let (admins, mut members) = (people("admins"), people("members"));
        let lead = admins.into_iter().next();
        members.retain(|name| name.starts_with("user:"));
        at.pass("groups");
        self.gathered.group(self.file, at, bare, Group { lead, members });
    }

    fn finish(&mut self) {
        for (name, found) in std::mem::take(&mut self.subjects) {
            let Found { at, mut fields, ours, is_removed } = found;
            if is_removed {
                continue;
            }
            let name = ours.subject.clone().unwrap_or(name);
            if fields.description.as_deref().is_some_and(str::is_empty) {
                fields.description = None;
            }
            self.gathered.part(self.file, &at, &name, fields, ours, None);
        }
    }
}

impl Found<'_> {
    fn upstream(&mut self, urn: Option<&str>, at: &At<'_>) {
        match urn.map(urn::subject) {
            Some(Some((from, _))) => self.ours.upstream.get_or_insert_default().push(from),
            Some(None) => at.lost("a folder of charters has no such entity"),
            None => {}
        }
    }
}

fn owners(at: &At<'_>, found: &mut Found<'_>) {
    at.pass("ownerTypes");
    at.pass("lastModified");
    for owner in at.list("owners") {
        let Some(urn) = owner.required("owner") else { continue };
        owner.pass("source");
        let Some(name) = urn::person(&urn).filter(|name| is_name(&owner, name)) else {
            owner.report("wrong_value", format!("`{urn}` is no user or group"), None);
            continue;
        };
        let written = owner.text("type").unwrap_or_else(|| OWNERS[0].1[0].to_owned());
        let known = OWNERS.iter().find(|(_, types)| types.contains(&written.as_str()));
        let owners = &mut found.fields.owners;
        let slot = match known.map(|(role, _)| *role) {
            Some("primary") if owners.primary.is_some() => &mut owners.backup,
            Some("primary") => &mut owners.primary,
            Some("business_owner") => &mut owners.business_owner,
            Some(_) => &mut owners.data_steward,
            None => {
                owner.lost("a charter has no such role");
                continue;
            }
        };
        if slot.is_some() {
            owner.lost("a charter has one holder of each role");
        } else {
            *slot = Some(name);
        }
    }
}

/// The aspect with description and custom properties.
fn properties(at: &At<'_>, found: &mut Found<'_>) {
    // An edited description is the newer one.
    let description = at.text("description");
    found.fields.description = found.fields.description.take().or(description);
    for said in ["name", "title", "type", "flowUrn"] {
        at.pass(said);
    }
    for (key, value) in at.fields_of("customProperties") {
        let prefix = property("");
        match (key.strip_prefix(&prefix), value.as_text()) {
            (Some(field), Some(text)) => found.ours.set_text(&value, field, &text),
            (None, _) => value.lost("charters have no custom properties"),
            _ => {}
        }
    }
    // Of a chart its inputs, of a dashboard its charts, of a feature its sources.
    let plain = ["sources", "datasets", "inputs", "charts"];
    for (urn, at) in named(at, &plain, &["datasetEdges", "inputEdges", "chartEdges"]) {
        found.upstream(urn.as_deref(), &at);
    }
    for urn in at.list("mlFeatures") {
        // A model uses its features, a table has them.
        let Some((feature, _)) = urn.as_text().and_then(|urn| urn::subject(&urn)) else { continue };
        if at.subject().starts_with("urn:li:mlFeatureTable") {
            found.ours.consumers.push(feature);
        } else {
            found.ours.upstream.get_or_insert_default().push(feature);
        }
    }
}

/// The urns of lists: as text, as text with its type (`{"string": …}`), and of
/// edges, which say more of the same.
fn named<'a>(at: &At<'a>, plain: &[&str], edges: &[&str]) -> Vec<(Option<String>, At<'a>)> {
    let mut found = Vec::new();
    for item in plain.iter().flat_map(|key| at.list(key)) {
        let urn = if item.is_map() { item.text("string") } else { item.as_text() };
        found.push((urn, item));
    }
    for edge in edges.iter().flat_map(|key| at.list(key)) {
        for said in ["sourceUrn", "created", "lastModified"] {
            edge.pass(said);
        }
        found.push((edge.text("destinationUrn"), edge));
    }
    found
}

fn bare(urn: &str) -> Option<String> {
    urn::parse(urn).map(|(_, parts)| parts.join(","))
}
