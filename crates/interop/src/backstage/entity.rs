//! Names and kinds of entities, and which subject an entity is.

/// Prefix of our annotations.
pub(super) const PREFIX: &str = "watchkeep/";
/// Annotations that are no field of a charter.
pub(super) const SUBJECT: &str = "watchkeep/subject";
pub(super) const NAME: &str = "watchkeep/name";
/// `none` on an entity that stands for an end of an edge alone.
pub(super) const CHARTER: &str = "watchkeep/charter";
/// `derived` where `spec.owner` is there because Backstage wants one.
pub(super) const OWNER: &str = "watchkeep/owner";

/// The owner of an entity that has none; Backstage wants one.
pub(super) const NOBODY: &str = "unknown";

/// Values of `spec.type` by the type of subject they mean; of several the
/// first is written. `(type of subject, kind that is written, spec.type)`.
const TYPES: [(&str, &str, &[&str]); 7] = [
    ("feature", "Resource", &["feature"]),
    ("view", "Resource", &["feature-view", "featureview", "feature-group"]),
    ("dataset", "Resource", &["dataset", "data-set", "table", "topic", "database"]),
    ("pipeline", "Component", &["data-pipeline", "pipeline", "job", "workflow", "dag"]),
    ("model", "Component", &["ml-model", "model", "ai-model"]),
    ("dashboard", "Component", &["dashboard", "report"]),
    ("service", "Component", &["service", "website", "library"]),
];

/// The type of subject that an entity is, and whether it would be written with
/// the same kind and type again.
pub(super) fn subject_type(kind: &str, spec_type: &str) -> (&'static str, bool) {
    let spec_type = spec_type.to_ascii_lowercase();
    let known = TYPES.iter().find(|(_, _, types)| types.contains(&spec_type.as_str()));
    match (kind, known) {
        ("api", _) => ("service", false),
        (_, Some((subject, written, types))) => {
            (subject, kind.eq_ignore_ascii_case(written) && types.first() == Some(&&*spec_type))
        }
        ("resource", None) => ("dataset", false),
        _ => ("service", false),
    }
}

/// Kind and `spec.type` that a type of subject is written with.
pub(super) fn entity_type(subject_type: &str) -> (&'static str, &'static str) {
    TYPES
        .iter()
        .find(|(known, ..)| *known == subject_type)
        .map_or(("Resource", "dataset"), |(_, kind, types)| (kind, types[0]))
}

/// A reference as Backstage compares them: kind, namespace and name in small letters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reference {
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Reference {
    /// Reads `[kind:][namespace/]name`; `None` without a kind, or a name.
    pub(super) fn parse(text: &str, default_kind: Option<&str>) -> Option<Self> {
        let (kind, rest) = match text.split_once(':') {
            Some((kind, rest)) => (kind, rest),
            None => (default_kind?, text),
        };
        let (namespace, name) = rest.split_once('/').unwrap_or(("default", rest));
        let all_there = !kind.is_empty() && !namespace.is_empty() && !name.is_empty();
        all_there.then(|| Self::new(kind, namespace, name))
    }

    pub(super) fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self {
            kind: kind.to_ascii_lowercase(),
            namespace: namespace.to_ascii_lowercase(),
            name: name.to_owned(),
        }
    }

    /// For comparing: Backstage takes names that differ in case for the same.
    pub(super) fn key(&self) -> (String, String, String) {
        (self.kind.clone(), self.namespace.clone(), self.name.to_ascii_lowercase())
    }

    /// The name here: with its namespace where that is not the default.
    pub(super) fn bare(&self) -> String {
        match self.namespace.as_str() {
            "default" => self.name.clone(),
            namespace => format!("{namespace}/{}", self.name),
        }
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}/{}", self.kind, self.namespace, self.name)
    }
}

/// True for what Backstage takes for a name: at most 63 letters, digits and
/// `-_.` between letters or digits.
pub(super) fn is_entity_name(name: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    name.len() <= 63
        && edge(name.chars().next())
        && edge(name.chars().last())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}
