//! What is exported is read back as it was, for what the format can carry; what
//! it cannot carry is in the notes. `carried` says for each format which is which.

mod catalogs;

use proptest::prelude::*;
use watchkeep_interop::{Catalog, Converted, Format, NoteKind, Options, Source, export, import};
use watchkeep_model::charter::{CharterDocument, CharterFields};
use watchkeep_model::directory::Directory;
use watchkeep_model::document::Located;
use watchkeep_wire::yaml;

/// The catalog that files of a charter folder hold.
fn catalog(files: &[(String, String)]) -> Catalog {
    let (documents, found) = yaml::read(files);
    assert_eq!(yaml::render(&found, files, yaml::Format::Text), "");
    let charters = documents.charters.into_iter().map(|Located { value, .. }| value);
    let mut directory = Directory::default();
    for Located { value, .. } in documents.directories {
        directory.users.extend(value.users);
        directory.groups.extend(value.groups);
        directory.schedules.extend(value.schedules);
        directory.systems.extend(value.systems);
        directory.domains.extend(value.domains);
        directory.governance = directory.governance.or(value.governance);
    }
    let edges = documents.lineage.into_iter().flat_map(|Located { value, .. }| value);
    Catalog::new(charters, directory, edges)
}

fn back(format: Format, exported: &Converted, options: &Options) -> Converted {
    let sources: Vec<Source> = exported
        .files
        .iter()
        .map(|file| Source { name: file.name.clone(), bytes: file.text.clone().into_bytes() })
        .collect();
    import(format, &sources, options).unwrap_or_else(|found| {
        let texts: Vec<(String, String)> =
            exported.files.iter().map(|file| (file.name.clone(), file.text.clone())).collect();
        panic!("{}\n{texts:#?}", yaml::render(&found, &texts, yaml::Format::Text))
    })
}

fn texts(converted: &Converted) -> Vec<(String, String)> {
    converted.files.iter().map(|file| (file.name.clone(), file.text.clone())).collect()
}

fn yaml_of(catalog: &Catalog) -> String {
    let mut documents = vec![yaml::write::directory(&catalog.directory)];
    documents.push(yaml::write::lineage(&catalog.edges));
    documents.extend(catalog.charters.iter().map(yaml::write::charter));
    yaml::write::text(&documents, &yaml::write::KEY_ORDER)
}

/// Exports and imports; the result is the same but for what `carried` takes away.
fn check(format: Format, before: &Catalog, carried: impl Fn(Catalog) -> Catalog) {
    check_with(format, before, &Options::default(), carried);
}

fn check_with(
    format: Format,
    before: &Catalog,
    options: &Options,
    carried: impl Fn(Catalog) -> Catalog,
) {
    let exported = export(format, before, options);
    let imported = back(format, &exported, options);
    let mut after = catalog(&texts(&imported));
    let expected = carried(before.clone());
    // A format without a directory has names of people alone, which are defined empty.
    if expected.directory == Directory::default() {
        after.directory = Directory::default();
    }
    assert_eq!(yaml_of(&after), yaml_of(&expected), "{}", show(&exported));
    assert_eq!(after, expected);
    // What our own export wrote has a home in every part.
    let lost: Vec<_> =
        imported.notes.iter().filter(|note| note.kind == NoteKind::NotCarried).collect();
    assert!(lost.is_empty(), "{lost:#?}\n{}", show(&exported));
    // A second time round nothing is lost any more.
    let again = export(format, &after, options);
    let mut second = catalog(&texts(&back(format, &again, options)));
    if expected.directory == Directory::default() {
        second.directory = Directory::default();
    }
    assert_eq!(second, after, "{}", show(&again));
    if expected == *before {
        assert_eq!(exported.notes, [], "nothing is lost, so nothing is noted");
    } else {
        assert!(!exported.notes.is_empty(), "what is lost is noted");
    }
}

fn show(converted: &Converted) -> String {
    let files = converted.files.iter().map(|file| format!("== {}\n{}", file.name, file.text));
    files.collect::<Vec<_>>().join("\n")
}

/// The example folder, with what its patterns give to single subjects.
fn flights() -> Catalog {
    let text = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let files = [
        text("directory", include_str!("../../../../examples/charters/directory.yaml")),
        text("flights", include_str!("../../../../examples/charters/flights.yaml")),
    ];
    let mut all = catalog(&files);
    let is_pattern = |document: &CharterDocument| document.subject.contains('*');
    let general = all.charters.iter().find(|d| is_pattern(d)).cloned().expect("a pattern");
    all.charters.retain(|document| !is_pattern(document));
    all.edges.retain(|edge| !edge.from.contains('*') && !edge.to.contains('*'));
    for document in &mut all.charters {
        if document.subject.starts_with("feature:") {
            let fields = &mut document.fields;
            fields.owners.primary = general.fields.owners.primary.clone();
            fields.owners.backup = general.fields.owners.backup.clone();
            fields.view = general.fields.view.clone();
            fields.group = general.fields.group.clone();
            fields.system = general.fields.system.clone();
            fields.lifecycle = general.fields.lifecycle;
            fields.policy = general.fields.policy.clone();
        }
    }
    all
}

fn backstage(mut catalog: Catalog) -> Catalog {
    catalog.directory.schedules.clear();
    catalog.directory.governance = None;
    catalog.edges.iter_mut().for_each(|edge| edge.last_seen = None);
    catalog
}

/// Contracts are about data, name people and say no more of them.
fn odcs(mut catalog: Catalog) -> Catalog {
    let is_data =
        |name: &str| ["feature:", "dataset:", "view:"].iter().any(|t| name.starts_with(t));
    catalog.charters.retain(|document| is_data(&document.subject));
    let has = |catalog: &Catalog, name: &str| catalog.charters.iter().any(|d| d.subject == name);
    let before = catalog.clone();
    catalog.edges.retain(|edge| has(&before, &edge.from) || has(&before, &edge.to));
    catalog.edges.iter_mut().for_each(|edge| edge.last_seen = None);
    catalog.directory = Directory::default();
    catalog
}

#[test]
fn flights_through_odcs() {
    check(Format::Odcs, &flights(), odcs);
}

/// Everything but pipelines; no more of people than their names.
fn dbt(mut catalog: Catalog) -> Catalog {
    catalog.charters.retain(|document| !document.subject.starts_with("pipeline:"));
    let has = |catalog: &Catalog, name: &str| catalog.charters.iter().any(|d| d.subject == name);
    let before = catalog.clone();
    catalog.edges.retain(|edge| has(&before, &edge.from) || has(&before, &edge.to));
    catalog.edges.iter_mut().for_each(|edge| edge.last_seen = None);
    catalog.directory = Directory::default();
    catalog
}

#[test]
fn flights_through_dbt() {
    check(Format::Dbt, &flights(), dbt);
}

/// Owners alone, of subjects and with names that GitHub takes.
fn codeowners(mut catalog: Catalog) -> Catalog {
    let is_handle = |name: &str| match name.split_once(':') {
        Some(("user", bare)) => !bare.contains('.') || bare.contains('@'),
        Some((kind, _)) => kind == "group",
        None => false,
    };
    catalog.charters.retain(|document| {
        let primary = document.fields.owners.primary.as_deref();
        !document.subject.contains('/') && primary.is_some_and(is_handle)
    });
    for document in &mut catalog.charters {
        let mut fields = CharterFields::default();
        fields.owners.primary = document.fields.owners.primary.take();
        fields.owners.backup = document.fields.owners.backup.take().filter(|name| is_handle(name));
        if fields.owners.backup.is_some() {
            let subscribers = document.fields.subscribers.take();
            fields.subscribers = subscribers.filter(|list| list.iter().all(|name| is_handle(name)));
        }
        document.fields = fields;
    }
    catalog.edges.clear();
    catalog.directory = Directory::default();
    catalog
}

fn of_the_shop() -> Options {
    Options { owner: None, org: Some("shop".into()) }
}

#[test]
fn flights_through_codeowners() {
    check_with(Format::Codeowners, &flights(), &of_the_shop(), codeowners);
}

/// Edges between datasets and pipelines have times.
fn openlineage(mut catalog: Catalog) -> Catalog {
    let has = |name: &str, kind: &str| name.starts_with(kind);
    for edge in &mut catalog.edges {
        let read = has(&edge.from, "dataset:") && has(&edge.to, "pipeline:");
        let written = has(&edge.from, "pipeline:") && has(&edge.to, "dataset:");
        edge.last_seen = edge.last_seen.filter(|_| read || written);
    }
    catalog.directory = Directory::default();
    catalog
}

#[test]
fn flights_through_feast() {
    check(Format::Feast, &flights(), dbt);
}

#[test]
fn flights_through_openlineage() {
    check(Format::Openlineage, &flights(), openlineage);
}

/// Edges without time, and no more of people than their names.
fn datahub(mut catalog: Catalog) -> Catalog {
    catalog.edges.iter_mut().for_each(|edge| edge.last_seen = None);
    catalog.directory = Directory::default();
    catalog
}

#[test]
fn flights_through_datahub() {
    check(Format::Datahub, &flights(), datahub);
}

/// What there are entities and columns for.
fn openmetadata(mut catalog: Catalog) -> Catalog {
    let has_none = |name: &str| name.starts_with("view:") || name.starts_with("service:");
    catalog.charters.retain(|document| !has_none(&document.subject));
    let has = |catalog: &Catalog, name: &str| catalog.charters.iter().any(|d| d.subject == name);
    let before = catalog.clone();
    catalog.edges.retain(|edge| has(&before, &edge.from) || has(&before, &edge.to));
    catalog.edges.iter_mut().for_each(|edge| edge.last_seen = None);
    catalog.directory = Directory::default();
    catalog
}

#[test]
fn flights_through_openmetadata() {
    check(Format::Openmetadata, &flights(), openmetadata);
}

#[test]
fn flights_through_backstage() {
    check(Format::Backstage, &flights(), backstage);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_catalog_through_backstage(catalog in catalogs::catalogs()) {
        check(Format::Backstage, &catalog, backstage);
    }

    #[test]
    fn any_catalog_through_odcs(catalog in catalogs::catalogs()) {
        check(Format::Odcs, &catalog, odcs);
    }

    #[test]
    fn any_catalog_through_dbt(catalog in catalogs::catalogs()) {
        check(Format::Dbt, &catalog, dbt);
    }

    #[test]
    fn any_catalog_through_codeowners(catalog in catalogs::catalogs()) {
        check_with(Format::Codeowners, &catalog, &of_the_shop(), codeowners);
    }

    #[test]
    fn any_catalog_through_feast(catalog in catalogs::catalogs()) {
        // What Feast carries is what dbt does.
        check(Format::Feast, &catalog, dbt);
    }

    #[test]
    fn any_catalog_through_openlineage(catalog in catalogs::catalogs()) {
        check(Format::Openlineage, &catalog, openlineage);
    }

    #[test]
    fn any_catalog_through_datahub(catalog in catalogs::catalogs()) {
        check(Format::Datahub, &catalog, datahub);
    }

    #[test]
    fn any_catalog_through_openmetadata(catalog in catalogs::catalogs()) {
        check(Format::Openmetadata, &catalog, openmetadata);
    }
}
