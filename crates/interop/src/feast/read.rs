//! A registry to charters and lineage.

use std::collections::BTreeMap;

use serde_json::Value;
use watchkeep_model::charter::CharterFields;
use watchkeep_model::directory::{Contact, User};
use watchkeep_model::time::TimeSpan;

use super::{TYPES, VIEWS, tag};
use crate::catalog::split;
use crate::expectation;
use crate::extension::Ours;
use crate::gather::{Gathering, is_name, subject};
use crate::item::{At, Item, Sink};
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
        let at = At::root(&item, &sink);
        Reader { file: &source.name, known: BTreeMap::new(), gathered }.registry(&at);
        at.leftovers();
        gathered.absorb(sink);
    }
}

struct Reader<'a> {
    file: &'a str,
    /// Subjects of data sources and views by the name in Feast, `source NAME`
    /// and `view NAME`, and of features, `feature VIEW NAME`.
    known: BTreeMap<String, String>,
    gathered: &'a mut Gathering,
}

/// The part of an object that describes it: most have it under `spec`.
fn spec<'a>(at: &At<'a>) -> At<'a> {
    at.get("spec").filter(At::expect_map).unwrap_or_else(|| at.clone())
}

fn spec_item(item: &Item) -> &Item {
    item.peek("spec").unwrap_or(item)
}

/// The subject that a tag says.
fn tagged(item: &Item) -> Option<&str> {
    item.peek("tags")?.peek_text(&tag("subject"))
}

impl Reader<'_> {
    fn registry(&mut self, at: &At<'_>) {
        if !at.expect_map() {
            return;
        }
        let lists = VIEWS.iter().chain(&["dataSources", "entities", "featureServices"]);
        if lists.clone().all(|list| at.item.peek(list).is_none()) {
            let hint = "give the output of `feast registry-dump`".to_owned();
            at.report("wrong_version", "this is no dump of a registry of Feast", Some(hint));
            return;
        }
        at.pass("project");
        let sources = at.list("dataSources");
        let views: Vec<At<'_>> = VIEWS.iter().flat_map(|list| at.list(list)).collect();
        for source in &sources {
            let item = spec_item(source.item);
            let Some(name) = item.peek_text("name") else { continue };
            let subject = tagged(item).map_or_else(|| format!("dataset:{name}"), str::to_owned);
            self.known.insert(format!("source {name}"), subject);
        }
        for view in &views {
            let item = spec_item(view.item);
            let Some(name) = item.peek_text("name") else { continue };
            let subject = tagged(item).map_or_else(|| format!("view:{name}"), str::to_owned);
            self.known.insert(format!("view {name}"), subject);
        }
        for source in &sources {
            self.source(source);
        }
        for view in &views {
            self.view(view);
        }
        for service in at.list("featureServices") {
            self.service(&service);
        }
    }

    fn source(&mut self, at: &At<'_>) {
        let at = spec(at);
        let Some(name) = at.required("name") else { return };
        let Some(default) = subject(&at, "dataset", &name) else { return };
        let subject = self.known.get(&format!("source {name}")).cloned().unwrap_or(default);
        let at = at.about(&subject);
        for said in ["type", "dataSourceClassType", "project"] {
            at.pass(said);
        }
        let ours = self.tags(&at);
        let fields = self.fields(&at);
        self.gathered.part(self.file, &at, &subject, fields, ours, None);
    }

    fn view(&mut self, at: &At<'_>) {
        let outer = at;
        let at = spec(at);
        let Some(name) = at.required("name") else { return };
        let Some(default) = subject(&at, "view", &name) else { return };
        let view = self.known.get(&format!("view {name}")).cloned().unwrap_or(default);
        outer.about(&view);
        let at = at.about(&view);
        at.pass("project");
        let ours = self.tags(&at);
        let fields = self.fields(&at);
        let implied = ours.upstream.is_none();
        let mut from = Vec::new();
        for key in ["batchSource", "streamSource"] {
            if let Some(source) = at.get(key) {
                from.extend(source.item.peek_text("name").map(|name| format!("source {name}")));
                // The whole of it is among the data sources.
                at.pass(key);
            }
        }
        // A view of other views, which are among the views with all they have.
        for source in at.list("sourceViews") {
            let name = source.item.peek("spec").unwrap_or(source.item).peek_text("name");
            from.extend(name.map(|name| format!("view {name}")));
            let _ = source.whole();
        }
        for (_, source) in at.entries_of("sources") {
            let reference = source.item.peek("featureViewProjection").unwrap_or(source.item);
            let name = reference.peek_text("featureViewName");
            match name {
                Some(name) => from.push(format!("view {name}")),
                None => source.lost("what comes with a request has no owner here"),
            }
            let _ = source.whole();
        }
        for from in from {
            let default = from.replacen("source ", "dataset:", 1).replacen("view ", "view:", 1);
            let from = self.known.get(&from).cloned().unwrap_or(default);
            if implied {
                self.gathered.edge(self.file, &from, &view, None);
            }
        }
        let freshness = at.text("ttl").and_then(|text| ttl(&at, &text));
        for feature in at.list("features") {
            self.feature(&feature, (&name, &view), &fields, freshness.as_ref());
        }
        if ours.has_no_charter {
            at.pass("owner");
        }
        self.gathered.part(self.file, &at, &view, fields, ours, None);
    }

    fn feature(
        &mut self,
        at: &At<'_>,
        (name_of_view, view): (&str, &str),
        of_view: &CharterFields,
        freshness: Option<&Value>,
    ) {
        let Some(name) = at.required("name") else { return };
        let Some(default) = subject(at, "feature", &format!("{name_of_view}.{name}")) else {
            return;
        };
        let mut ours = self.tags(at);
        let feature = ours.subject.take().unwrap_or(default);
        let at = at.about(&feature);
        self.known.insert(format!("feature {name_of_view} {name}"), feature.clone());
        let value_type = at.text("valueType").and_then(|text| {
            let known = TYPES.iter().find(|(_, names)| names.contains(&text.as_str()));
            if known.is_none() {
                at.lose("valueType", "a feature is double, long, boolean or string");
            }
            known.map(|(value_type, _)| *value_type)
        });
        // Features of Feast have no owner of their own; a tag may say more.
        let mut fields = CharterFields {
            description: at.text("description"),
            r#type: value_type,
            ..CharterFields::default()
        };
        if !ours.fields.contains_key("owners") {
            fields.owners.primary.clone_from(&of_view.owners.primary);
        }
        ours.fields.entry("view").or_insert_with(|| view.into());
        if ours.fields.get("view") == Some(&Value::String("none".into())) {
            ours.fields.remove("view");
        }
        if let Some(freshness) = freshness {
            let list =
                ours.fields.entry("expectations").or_insert_with(|| Value::Array(Vec::new()));
            if let Some(list) = list.as_array_mut() {
                at.assumed(
                    "ttl",
                    "a value older than the view's ttl is not served, so that is too old",
                );
                list.push(freshness.clone());
            }
        }
        self.gathered.part(self.file, &at, &feature, fields, ours, Some(view));
    }

    /// A feature service is a model's, or an application's.
    fn service(&mut self, at: &At<'_>) {
        let outer = at;
        let at = spec(at);
        let Some(name) = at.required("name") else { return };
        let Some(default) = subject(&at, "service", &name) else { return };
        let mut ours = self.tags(&at);
        let service = ours.subject.take().unwrap_or(default);
        outer.about(&service);
        let at = at.about(&service);
        at.pass("project");
        let implied = ours.upstream.is_none();
        for projection in at.list("features") {
            let Some(view) = projection.required("featureViewName") else { continue };
            projection.lose("featureViewNameAlias", "lineage has no other names");
            let columns = projection.list("featureColumns");
            for column in &columns {
                let Some(name) = column.required("name") else { continue };
                column.pass("valueType");
                column.pass("description");
                column.pass("tags");
                let default = format!("feature:{view}.{name}");
                let known = self.known.get(&format!("feature {view} {name}"));
                let feature = known.cloned().unwrap_or(default);
                if implied {
                    self.gathered.edge(self.file, &feature, &service, None);
                }
            }
            if columns.is_empty() && implied {
                let known = self.known.get(&format!("view {view}"));
                let view = known.cloned().unwrap_or_else(|| format!("view:{view}"));
                self.gathered.edge(self.file, &view, &service, None);
            }
        }
        let fields = self.fields(&at);
        self.gathered.part(self.file, &at, &service, fields, ours, None);
    }

    /// Description and owner, which all objects but features have.
    fn fields(&mut self, at: &At<'_>) -> CharterFields {
        let mut fields =
            CharterFields { description: at.text("description"), ..CharterFields::default() };
        let owner = at.text("owner").filter(|owner| is_name(at, owner));
        fields.owners.primary = owner.map(|owner| match split(&owner).0 {
            "user" | "group" | "schedule" => owner,
            _ if owner.contains('@') => {
                let contacts = vec![Contact { tool: "email".into(), to: owner.clone() }];
                let user = User { contacts, ..User::default() };
                self.gathered.user(self.file, at, &owner, user);
                format!("user:{owner}")
            }
            _ => {
                at.assumed("owner", "an owner that is no address is taken for a group");
                format!("group:{owner}")
            }
        });
        fields
    }

    fn tags(&self, at: &At<'_>) -> Ours {
        let mut ours = Ours::default();
        for (key, value) in at.fields_of("tags") {
            let prefix = tag("");
            match (key.strip_prefix(&prefix), value.as_text()) {
                (Some(field), Some(text)) => ours.set_text(&value, field, &text),
                (None, _) => value.lost("charters have no tags"),
                _ => {}
            }
        }
        ours
    }
}

/// The time for which a value is served, such as `86400s`; none is `0s`.
fn ttl(at: &At<'_>, text: &str) -> Option<Value> {
    let seconds = text.strip_suffix('s').and_then(|text| text.parse::<f64>().ok());
    let micros = seconds.map(|seconds| seconds * 1e6);
    match micros {
        Some(0.0) => None,
        Some(micros) if (1.0..9.0e15).contains(&micros) => {
            let above = TimeSpan::from_micros(micros as i64);
            Some(expectation::usual("ttl", expectation::SEVERITY, expectation::freshness(above)))
        }
        _ => {
            let message = format!("`{}` is no duration of protobuf", crate::item::shorten(text));
            at.report("wrong_value", message, Some("write it as 3600s".into()));
            None
        }
    }
}
