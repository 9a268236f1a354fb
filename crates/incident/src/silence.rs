//! Silences: people ask that incidents which match send no page for a time.
//!
//! Each silence is a fact in a chain of its own, whether or not it concerns an
//! incident, so that it survives a restart; each incident that it concerns has
//! one more, so that its own chain tells why nobody was paged.

use std::collections::{BTreeMap, BTreeSet};

use regex_lite::Regex;
use watchkeep_model::charter::Charter;
use watchkeep_model::directory::Directory;
use watchkeep_model::identifier::derived;
use watchkeep_model::incident::data::Silenced;
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::matcher::Matcher;
use watchkeep_model::time::Timestamp;

use crate::owner::domain_of;
use crate::state::Incident;

/// Silences that stand at once, also those that have not begun. Another is
/// refused until one of them has ended.
pub const SILENCES_MAX: usize = 10_000;

/// Matchers of one silence. One with more is refused.
pub const MATCHERS_MAX: usize = 32;

/// What a matcher may ask about.
pub const LABELS: [&str; 13] = [
    "domain", "drill", "feature", "group", "incident", "kind", "owner", "policy", "root",
    "severity", "subject", "system", "unowned",
];

/// A matcher whose value is ready to be compared with.
#[derive(Clone, Debug)]
struct Condition {
    label: String,
    is_equal: bool,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    /// The very text; one with a `*` stands for any text there.
    Text(String),
    /// A regular expression for the whole text.
    Pattern(Box<Regex>),
}

/// One silence.
#[derive(Clone, Debug)]
pub struct Silence {
    /// What its fact says.
    pub data: Silenced,
    conditions: Vec<Condition>,
}

impl Silence {
    /// Reads the matchers of a silence.
    ///
    /// # Errors
    /// The rule that a matcher breaks: an unknown label, an expression that
    /// cannot be read, or too many or no matchers at all.
    pub fn new(data: Silenced) -> Result<Self, String> {
        if data.matchers.is_empty() {
            return Err("a silence needs a matcher, an incident or a subject".into());
        }
        if data.matchers.len() > MATCHERS_MAX {
            return Err(format!("a silence has at most {MATCHERS_MAX} matchers"));
        }
        let conditions: Result<Vec<Condition>, String> =
            data.matchers.iter().map(condition).collect();
        Ok(Self { conditions: conditions?, data })
    }

    /// True where an incident with these labels is meant. As in Alertmanager a
    /// label that an incident does not have is the empty text.
    pub fn matches(&self, labels: &Labels<'_>) -> bool {
        self.conditions.iter().all(|condition| {
            let is = |text: &str| match &condition.value {
                Value::Text(value) if value.contains('*') => {
                    crate::registry::matches_pattern(value, text)
                }
                Value::Text(value) => value == text,
                Value::Pattern(pattern) => pattern.is_match(text),
            };
            labels.any(&condition.label, &is) == condition.is_equal
        })
    }

    /// True from its beginning until its end, the end not included.
    pub fn is_active(&self, at: Timestamp) -> bool {
        self.data.from <= at && at < self.data.until
    }
}

fn condition(matcher: &Matcher) -> Result<Condition, String> {
    if !LABELS.contains(&matcher.name.as_str()) {
        let known = LABELS.join(", ");
        return Err(format!("`{}` is no label of incidents; there are {known}", matcher.name));
    }
    let value = if matcher.is_regex {
        let whole = format!("^(?:{})$", matcher.value);
        let pattern = Regex::new(&whole)
            .map_err(|error| format!("`{}` is not a regular expression: {error}", matcher.value))?;
        Value::Pattern(Box::new(pattern))
    } else {
        Value::Text(matcher.value.clone())
    };
    Ok(Condition { label: matcher.name.clone(), is_equal: matcher.is_equal, value })
}

/// What may be asked of an incident.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    /// The incident.
    pub incident: &'a Incident,
    /// The charter that it follows.
    pub charter: Option<&'a Charter>,
    /// Where systems say which domain they belong to.
    pub directory: &'a Directory,
}

impl Labels<'_> {
    /// True where `is` holds for the label, or for one of its values: `feature`
    /// has one for each subject that breaches.
    fn any(&self, label: &str, is: &dyn Fn(&str) -> bool) -> bool {
        let incident = self.incident;
        let fields = self.charter.map(|charter| &charter.fields);
        let or_empty = |text: Option<&String>| text.map_or("", String::as_str).to_owned();
        let text = match label {
            "feature" if incident.attached.is_empty() => String::new(),
            "feature" => return incident.attached.keys().any(|key| is(&key.0)),
            "root" | "subject" => incident.root.clone(),
            "incident" => incident.id.clone(),
            "kind" => incident.kind.name().to_owned(),
            "severity" => incident.severity.name().to_owned(),
            "owner" => or_empty(incident.owner.as_ref()),
            "policy" => incident.policy.name.clone(),
            "domain" => {
                let domain = self.charter.and_then(|charter| domain_of(charter, self.directory));
                domain.unwrap_or_default().to_owned()
            }
            "system" => or_empty(fields.and_then(|fields| fields.system.as_ref())),
            "group" => or_empty(fields.and_then(|fields| fields.group.as_ref())),
            "drill" => incident.drill.to_string(),
            "unowned" => incident.unowned.to_string(),
            _ => String::new(),
        };
        is(&text)
    }
}

/// Shortest beginning of an identifier that stands for a silence.
const BEGINNING_MIN: usize = 4;

/// All silences that have not ended, and their chain.
#[derive(Clone, Debug, Default)]
pub struct Silences {
    all: BTreeMap<String, Silence>,
    /// Those that are to begin, in order of time.
    to_begin: BTreeSet<(Timestamp, String)>,
    chain: (u64, Option<String>),
}

impl Silences {
    /// Those that have not ended, by identifier.
    pub fn iter(&self) -> impl Iterator<Item = &Silence> {
        self.all.values()
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Option<&Silence> {
        self.all.get(id)
    }

    /// The identifier of one of them, which may be cut where one alone begins so.
    ///
    /// # Errors
    /// None begins so, or more than one does.
    pub fn named(&self, id: &str) -> Result<String, String> {
        if self.all.contains_key(id) {
            return Ok(id.to_owned());
        }
        let mut found = self.all.range(id.to_owned()..).map(|(known, _)| known);
        let mut next = || found.next().filter(|known| known.starts_with(id));
        let first = next().filter(|_| id.len() >= BEGINNING_MIN);
        match (first, next()) {
            (Some(one), None) => Ok(one.clone()),
            (Some(_), Some(_)) => Err(format!("more than one silence begins with {id}")),
            (None, _) if id.len() < BEGINNING_MIN => {
                Err(format!("a silence is named by {BEGINNING_MIN} characters at least"))
            }
            (None, _) => Err("there is no such silence, or it has ended".into()),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Those that an incident is under at an instant.
    pub fn over<'a>(
        &'a self,
        labels: Labels<'a>,
        at: Timestamp,
    ) -> impl Iterator<Item = &'a Silence> + 'a {
        self.all.values().filter(move |one| one.is_active(at) && one.matches(&labels))
    }

    /// The next silence that begins by `now`, which is not to begin any more.
    pub(crate) fn begin_next(&mut self, now: Timestamp) -> Option<(Timestamp, String)> {
        let first = self.to_begin.first().filter(|(from, _)| *from <= now)?.clone();
        self.to_begin.remove(&first);
        Some(first)
    }

    /// The number of the next fact of the chain, and the hash of the last.
    pub(crate) fn next(&self) -> (u64, Option<String>) {
        (self.chain.0 + 1, self.chain.1.clone())
    }

    /// Takes in a fact of the chain of silences.
    pub(crate) fn apply(&mut self, fact: &Fact) {
        self.chain = (fact.sequence, Some(fact.hash.clone()));
        match &fact.data {
            FactData::Silenced(data) => {
                // One that could be written can be read; another is passed over.
                if let Ok(silence) = Silence::new(data.clone()) {
                    if data.from > fact.recorded_at {
                        self.to_begin.insert((data.from, data.silence.clone()));
                    }
                    self.all.insert(data.silence.clone(), silence);
                }
            }
            FactData::Unsilenced(data) => {
                if let Some(silence) = self.all.remove(&data.silence) {
                    self.to_begin.remove(&(silence.data.from, data.silence.clone()));
                }
            }
            _ => {}
        }
    }
}

/// The identifier under which the silences themselves are on record.
pub fn silences_id() -> String {
    derived(&["incident", "silences"])
}
