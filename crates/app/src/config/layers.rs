//! Defaults, file and environment laid over each other, every value with the
//! place it came from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::de::{DeTable, DeValue};
use watchkeep_model::document::nearest;
use watchkeep_model::time::TimeSpan;

use super::ConfigError;
use super::keys::{self, KAFKA, KEYS, Key, Kind, SINKS};
use super::sinks::{self, SINK_KEYS};

/// What an overriding variable begins with.
pub(crate) const VARIABLE_PREFIX: &str = "WATCHKEEP_";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody set it.
    Default,
    /// A line of the file.
    File {
        /// The file's name as it was given.
        name: String,
        /// Counted from 1.
        line: usize,
    },
    /// A variable.
    Environment(String),
}

/// A value and its origin. Lists have several parts, everything else one.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) parts: Vec<String>,
    pub(crate) origin: Origin,
}

/// Every value that is in force, by its path; those of `[log.kafka]` too.
pub(crate) struct Layers {
    settings: BTreeMap<String, Setting>,
    file: Option<String>,
    folder: PathBuf,
}

impl Layers {
    /// Lays the three over each other; what cannot be read is told and left out.
    pub(crate) fn read(
        file: Option<(&Path, &str)>,
        environment: impl IntoIterator<Item = (String, String)>,
        errors: &mut ConfigError,
    ) -> Self {
        let folder =
            file.and_then(|(path, _)| path.parent()).map(Path::to_owned).unwrap_or_default();
        let name = file.map(|(path, _)| path.display().to_string());
        let mut layers = Self { settings: BTreeMap::new(), file: name, folder };
        for key in KEYS {
            if let Some(default) = key.default {
                let setting = Setting { parts: vec![default.to_owned()], origin: Origin::Default };
                layers.settings.insert(key.path.to_owned(), setting);
            }
        }
        if let Some((path, text)) = file {
            FileReader { layers: &mut layers, name: path.display().to_string(), text, errors }
                .read();
        }
        let variables: BTreeMap<String, String> = environment.into_iter().collect();
        for (variable, value) in &variables {
            layers.variable(variable, value, errors);
        }
        layers
    }

    /// Where a value came from, for errors about it.
    pub(crate) fn place(&self, path: &str) -> String {
        match self.settings.get(path) {
            Some(Setting { origin: Origin::Default, .. }) | None => {
                self.file.clone().unwrap_or_else(|| "configuration".to_owned())
            }
            Some(setting) => setting.origin.to_string(),
        }
    }

    /// The value as it was written, where there is one.
    pub(crate) fn get(&self, path: &str) -> Option<&Setting> {
        self.settings.get(path)
    }

    pub(crate) fn is_set(&self, path: &str) -> bool {
        self.settings.contains_key(path)
    }

    /// Whether a value was written, and is not the default.
    pub(crate) fn is_written(&self, path: &str) -> bool {
        self.settings.get(path).is_some_and(|setting| !matches!(setting.origin, Origin::Default))
    }

    pub(crate) fn text(&self, path: &str) -> Option<String> {
        self.settings.get(path)?.parts.first().cloned()
    }

    pub(crate) fn texts(&self, path: &str) -> Vec<String> {
        self.settings.get(path).map(|setting| setting.parts.clone()).unwrap_or_default()
    }

    /// A path, relative ones from the folder of the file where they stand in it.
    /// An empty one is none: a variable that is set to nothing says nothing.
    pub(crate) fn path(&self, path: &str) -> Option<PathBuf> {
        let setting = self.settings.get(path)?;
        let written = Path::new(setting.parts.first().filter(|written| !written.is_empty())?);
        match setting.origin {
            // The default stands as if it were written in the file.
            Origin::File { .. } | Origin::Default => Some(self.folder.join(written)),
            Origin::Environment(_) => Some(written.to_owned()),
        }
    }

    pub(crate) fn span(&self, path: &str, errors: &mut ConfigError) -> TimeSpan {
        self.parsed(path, errors).unwrap_or(TimeSpan::ZERO)
    }

    pub(crate) fn count(&self, path: &str, errors: &mut ConfigError) -> i32 {
        let text = self.text(path).unwrap_or_default();
        match text.parse::<i32>() {
            Ok(count) if count >= 1 => count,
            _ => {
                let what = format!("{path} = {text}: write a whole number, at least 1");
                errors.add(self.place(path), what);
                1
            }
        }
    }

    /// Every property of `[log.kafka]`.
    pub(crate) fn kafka(&self) -> BTreeMap<String, String> {
        let prefix = format!("{KAFKA}.");
        let property = |(path, setting): (&String, &Setting)| {
            Some((path.strip_prefix(&prefix)?.to_owned(), setting.parts.first()?.clone()))
        };
        self.settings.iter().filter_map(property).collect()
    }

    /// Paths of `[log.kafka]`, ascending.
    pub(crate) fn kafka_paths(&self) -> impl Iterator<Item = &str> {
        self.settings.keys().map(String::as_str).filter(|path| path.starts_with("log.kafka."))
    }

    /// Paths that begin with a text, ascending.
    pub(crate) fn paths_below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.settings.keys().map(String::as_str).filter(move |path| path.starts_with(prefix))
    }

    fn parsed<T: FromStr<Err: std::fmt::Display>>(
        &self,
        path: &str,
        errors: &mut ConfigError,
    ) -> Option<T> {
        match self.text(path)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                errors.add(self.place(path), format!("{path}: {error}"));
                None
            }
        }
    }

    fn variable(&mut self, variable: &str, value: &str, errors: &mut ConfigError) {
        let Some(rest) = variable.strip_prefix(VARIABLE_PREFIX) else { return };
        // Without a section it is not a setting; other programs may own it.
        if !rest.contains("__") {
            return;
        }
        let lower = rest.to_ascii_lowercase();
        let origin = Origin::Environment(variable.to_owned());
        if let Some(property) = lower.strip_prefix("log__kafka__") {
            // A shell cannot name a variable `sasl.password`.
            let property = property.replace("__", ".").replace('_', ".");
            let setting = Setting { parts: vec![value.to_owned()], origin };
            self.settings.insert(format!("{KAFKA}.{property}"), setting);
            return;
        }
        let path = lower.replace("__", ".");
        if let Some(sink) = path.strip_prefix("sinks.") {
            return self.sink_variable(variable, sink, value, errors);
        }
        let Some(key) = keys::find(&path) else {
            errors.add(variable, unknown(&path, KEYS.iter().map(|key| key.path), variable_of));
            return;
        };
        self.set_variable(variable, path, key, value, errors);
    }

    /// Names of sinks in capitals, with `_` for `-`, which no variable can have.
    fn sink_variable(&mut self, variable: &str, path: &str, value: &str, errors: &mut ConfigError) {
        let Some((sink, name)) = path.split_once('.') else {
            return errors.add(variable, "write WATCHKEEP_SINKS__NAME__KEY");
        };
        let written = sinks::names(self);
        let sink = written
            .iter()
            .find(|known| known.to_ascii_lowercase().replace('-', "_") == sink)
            .map_or(sink, String::as_str)
            .to_owned();
        let Some(key) = SINK_KEYS.iter().find(|key| key.path == name) else {
            let known = SINK_KEYS.iter().map(|key| key.path);
            return errors.add(variable, unknown(name, known, str::to_owned));
        };
        self.set_variable(variable, format!("{SINKS}.{sink}.{name}"), key, value, errors);
        self.sink_defaults(&sink);
    }

    /// What is not set of a sink is as its keys say.
    fn sink_defaults(&mut self, sink: &str) {
        for key in SINK_KEYS {
            if let Some(default) = key.default {
                let path = format!("{SINKS}.{sink}.{}", key.path);
                self.settings.entry(path).or_insert_with(|| Setting {
                    parts: vec![default.to_owned()],
                    origin: Origin::Default,
                });
            }
        }
    }

    fn set_variable(
        &mut self,
        variable: &str,
        path: String,
        key: &Key,
        value: &str,
        errors: &mut ConfigError,
    ) {
        let parts = match key.kind {
            Kind::Texts => value.split(',').map(|part| part.trim().to_owned()).collect(),
            _ => vec![value.to_owned()],
        };
        let names = match key.kind {
            Kind::OneOf(names) => names,
            Kind::Flag => &["false", "true"],
            _ => &[],
        };
        if !names.is_empty() && !names.contains(&value) {
            errors.add(variable, not_one_of(&path, value, names));
            return;
        }
        let origin = Origin::Environment(variable.to_owned());
        self.settings.insert(path, Setting { parts, origin });
    }
}

/// The variable that overrides a setting.
pub(crate) fn variable_of(path: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", path.replace('.', "__").to_ascii_uppercase())
}

fn unknown<'k>(
    name: &str,
    known: impl Iterator<Item = &'k str>,
    shown: impl Fn(&str) -> String,
) -> String {
    match nearest(name, known) {
        Some(near) => format!("unknown key `{}`: did you mean `{}`?", name, shown(near)),
        None => format!(
            "unknown key `{name}`: run `watchkeep config check --format table` for those there are"
        ),
    }
}

fn not_one_of(path: &str, value: &str, names: &[&str]) -> String {
    let hint = nearest(value, names.iter().copied())
        .map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default();
    format!("{path} = \"{value}\": must be one of {}{hint}", names.join(", "))
}

/// Walks the tables of a file.
struct FileReader<'a> {
    layers: &'a mut Layers,
    name: String,
    text: &'a str,
    errors: &'a mut ConfigError,
}

impl FileReader<'_> {
    fn read(&mut self) {
        match DeTable::parse(self.text) {
            Ok(table) => self.table("", table.get_ref()),
            Err(error) => {
                let line = error.span().map_or(1, |span| self.line(span.start));
                let what = error.message().trim().replace('\n', ", ");
                self.errors.add(format!("{}:{line}", self.name), format!("not TOML: {what}"));
            }
        }
    }

    fn line(&self, byte: usize) -> usize {
        self.text.as_bytes()[..byte.min(self.text.len())].iter().filter(|b| **b == b'\n').count()
            + 1
    }

    fn table(&mut self, section: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let name = key.get_ref();
            let line = self.line(key.span().start);
            let path =
                if section.is_empty() { name.to_string() } else { format!("{section}.{name}") };
            self.value(&path, line, value.get_ref());
        }
    }

    fn value(&mut self, path: &str, line: usize, value: &DeValue<'_>) {
        let place = format!("{}:{line}", self.name);
        if path == SINKS {
            return self.sinks(value);
        }
        if path == KAFKA || path.starts_with("log.kafka.") {
            return self.kafka(path, line, value);
        }
        if let Some(key) = keys::find(path) {
            match parts(key.kind, value) {
                Ok(parts) => {
                    if let (Kind::OneOf(names), Some(value)) = (key.kind, parts.first())
                        && !names.contains(&value.as_str())
                    {
                        return self.errors.add(place, not_one_of(path, value, names));
                    }
                    let origin = Origin::File { name: self.name.clone(), line };
                    self.layers.settings.insert(path.to_owned(), Setting { parts, origin });
                }
                Err(must) => {
                    let found = value.type_str();
                    self.errors
                        .add(place, format!("{path}: must be {must}, but is of type {found}"));
                }
            }
            return;
        }
        let is_section = sections().contains(path);
        match value {
            DeValue::Table(table) if is_section => self.table(path, table),
            _ if is_section => {
                self.errors.add(place, format!("`{path}` is a section: write `[{path}]`"));
            }
            _ => {
                // Names beside the wrong one, without the section they share.
                let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
                let beside: BTreeSet<&str> = sections()
                    .into_iter()
                    .chain(KEYS.iter().map(|key| key.path))
                    .chain([KAFKA, SINKS])
                    .filter_map(|known| match known.rsplit_once('.') {
                        Some((parent, last)) => (parent == section).then_some(last),
                        None => section.is_empty().then_some(known),
                    })
                    .collect();
                let within =
                    if section.is_empty() { String::new() } else { format!(" in [{section}]") };
                let known = beside.iter().copied().collect::<Vec<_>>().join(", ");
                let what = match nearest(name, beside) {
                    Some(near) => format!("unknown key `{name}`{within}: did you mean `{near}`?"),
                    None => format!("unknown key `{name}`{within}: there are {known}"),
                };
                self.errors.add(place, what);
            }
        }
    }

    /// Properties have dots in their names, which TOML takes for tables.
    fn kafka(&mut self, path: &str, line: usize, value: &DeValue<'_>) {
        let text = match value {
            DeValue::Table(table) => return self.table(path, table),
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
            DeValue::Float(number) => number.as_str().to_owned(),
            DeValue::Boolean(value) => value.to_string(),
            _ => {
                let what = format!("{path}: must be a text, a number or a boolean");
                return self.errors.add(format!("{}:{line}", self.name), what);
            }
        };
        let origin = Origin::File { name: self.name.clone(), line };
        self.layers.settings.insert(path.to_owned(), Setting { parts: vec![text], origin });
    }

    fn sinks(&mut self, value: &DeValue<'_>) {
        let DeValue::Table(sinks) = value else {
            return self.errors.add(&self.name, "`sinks` is a section: write `[sinks.NAME]`");
        };
        for (name, sink) in sinks {
            let line = self.line(name.span().start);
            let Some(sink) = sink.get_ref().as_table() else {
                self.errors.add(
                    format!("{}:{line}", self.name),
                    "write `[sinks.NAME]` with its keys below",
                );
                continue;
            };
            let name = name.get_ref();
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            if name.is_empty() || !name.chars().all(legal) {
                let what = format!("sinks.{name}: use letters, digits, `-` and `_`");
                self.errors.add(format!("{}:{line}", self.name), what);
                continue;
            }
            for (key, value) in sink {
                let line = self.line(key.span().start);
                self.sink_key(name, key.get_ref(), line, value.get_ref());
            }
            // A sink without a tool is told of where it begins.
            let path = format!("{SINKS}.{name}.tool");
            if !self.layers.is_set(&path) {
                let origin = Origin::File { name: self.name.clone(), line };
                self.layers.settings.insert(path, Setting { parts: vec![String::new()], origin });
            }
            self.layers.sink_defaults(name);
        }
    }

    fn sink_key(&mut self, sink: &str, name: &str, line: usize, value: &DeValue<'_>) {
        let place = format!("{}:{line}", self.name);
        let path = format!("{SINKS}.{sink}.{name}");
        let Some(key) = SINK_KEYS.iter().find(|key| key.path == name) else {
            let known = SINK_KEYS.iter().map(|key| key.path);
            return self.errors.add(place, unknown(name, known, str::to_owned));
        };
        match parts(key.kind, value) {
            Ok(parts) => {
                if let (Kind::OneOf(names), Some(value)) = (key.kind, parts.first())
                    && !names.contains(&value.as_str())
                {
                    self.errors.add(place, not_one_of(&path, value, names));
                }
                let origin = Origin::File { name: self.name.clone(), line };
                self.layers.settings.insert(path, Setting { parts, origin });
            }
            Err(must) => {
                let found = value.type_str();
                self.errors.add(place, format!("{path}: must be {must}, but is of type {found}"));
            }
        }
    }
}

fn sections() -> BTreeSet<&'static str> {
    KEYS.iter()
        .flat_map(|key| key.path.match_indices('.').map(|(end, _)| &key.path[..end]))
        .collect()
}

fn parts(kind: Kind, value: &DeValue<'_>) -> Result<Vec<String>, &'static str> {
    match (kind, value) {
        (Kind::Texts, DeValue::Array(values)) => values
            .iter()
            .map(|value| value.get_ref().as_str().map(str::to_owned).ok_or("a list of texts"))
            .collect(),
        (Kind::Texts, _) => Err("a list of texts, for example [\"feature.telemetry\"]"),
        (Kind::Count, DeValue::Integer(number)) if number.radix() == 10 => {
            Ok(vec![number.as_str().to_owned()])
        }
        (Kind::Count, _) => Err("a whole number"),
        (Kind::Flag, DeValue::Boolean(value)) => Ok(vec![value.to_string()]),
        (Kind::Flag, _) => Err("true or false"),
        (_, DeValue::String(text)) => Ok(vec![text.to_string()]),
        (Kind::Span, _) => Err("a duration in quotes, for example \"60s\""),
        _ => Err("a text in quotes"),
    }
}
