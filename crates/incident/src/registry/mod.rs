//! Charters, policies, people and lineage as they hold for a subject at an
//! instant, and the checks of meaning that spelling cannot show.
//!
//! For one subject the most specific document wins field by field: the one
//! with its exact name, then those whose pattern has the longest literal
//! prefix. A document is in force from its `effective_from`; of several about
//! the same subject the latest in force replaces the others.

mod index;
mod lineage;
mod lint;
mod merge;
mod pattern;
pub(crate) use pattern::matches as matches_pattern;
pub mod publications;
pub mod upkeep;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use watchkeep_model::charter::{Charter, CharterDocument, CharterFields, WindowSpec};
use watchkeep_model::directory::{AbsenceOf, Directory, OverrideOf};
use watchkeep_model::document::{Diagnostic, Documents, Located};
use watchkeep_model::identifier::sha256;
use watchkeep_model::incident::data::PolicyRevision;
use watchkeep_model::json;
use watchkeep_model::lineage::{Edge, RunEvent};
use watchkeep_model::policy::Policy;
use watchkeep_model::subject::{has_type, typed};
use watchkeep_model::time::{TimeSpan, Timestamp};

pub use lint::{Captured, Checks, DeadLinks, History, PLAYBOOK_RULES, RULES, explain, links};
pub use lint::{shown_by_runs, shown_cycle};

use crate::context::{Context, Declared};
use crate::lineage::{Base, Lineage, Node};
use index::{Index, NEVER};

/// Subjects whose charter is remembered. At the limit all are forgotten and
/// worked out anew when asked for: slower, never different.
const CACHED_SUBJECTS_MAX: usize = 200_000;

/// What a charter folder comes to.
#[derive(Debug, Default)]
pub struct Registry {
    index: Arc<Index>,
    policies: BTreeMap<String, Policy>,
    /// Policies in every version that is known, for what opened under it.
    revisions: Arc<BTreeMap<PolicyRevision, Policy>>,
    /// Subjects and patterns of the documents that say `deduplicate`.
    deduplicating: BTreeSet<String>,
    directory: Directory,
    /// What the directory was from an instant on, ascending; empty where it
    /// was always as it is.
    directories: Arc<[(Timestamp, Directory)]>,
    edges: Arc<[Edge]>,
    /// What every lineage of it has, whatever runs show.
    base: Arc<Base>,
    lineage: Lineage,
    cache: Mutex<BTreeMap<String, Vec<Answer>>>,
    /// Worked out when it is asked for first.
    calendar: Arc<OnceLock<Arc<upkeep::Calendar>>>,
}

/// What the checks need besides the registry.
struct Parts {
    places: Vec<Located<()>>,
    directories: Vec<Located<Directory>>,
    lineage: Vec<Located<Vec<Edge>>>,
    policies: Vec<Located<Policy>>,
    ends: lineage::Ends,
}

/// The charter of a subject between two instants, `[from, until)`.
#[derive(Clone, Debug)]
struct Answer {
    from: Timestamp,
    until: Timestamp,
    charter: Option<Arc<Charter>>,
}

impl Registry {
    /// Takes the documents of a folder and checks what they mean together.
    /// `pane` is the deployment's pane, of which windows must be multiples.
    /// The findings are ordered by file, line and column; with an error among
    /// them the folder is to be refused as a whole.
    pub fn new(documents: Documents, pane: TimeSpan) -> (Self, Vec<Diagnostic>) {
        Self::checked(documents, &Checks::of_pane(pane))
    }

    /// The same with checks that need more than the folder: reviews that are
    /// overdue, and what the windows of the past had.
    pub fn checked(documents: Documents, checks: &Checks) -> (Self, Vec<Diagnostic>) {
        let (registry, parts) = Self::assemble(documents);
        let Parts { places, directories, lineage, policies, ends } = parts;
        let checked = lint::Folder {
            registry: &registry,
            charters: &places,
            directories: &directories,
            lineage: &lineage,
            policies: &policies,
            ends: &ends,
            paths: OnceCell::new(),
            checks,
        };
        let found = lint::lint(&checked);
        (registry, found)
    }

    /// Takes in what runs have shown, in any order: edges with the times at
    /// which they were seen, what went wrong, and who owns what. It replaces
    /// what was taken in before. A node of which no charter names a primary
    /// owner has the one that runs name.
    #[must_use]
    pub fn with_runs(mut self, runs: &[RunEvent]) -> Self {
        self.see(runs, &|name| name);
        self
    }

    /// The same registry with what runs have shown, and the names that their
    /// nodes have in it. Charters and edges are shared with this one.
    #[must_use]
    pub fn seeing<'a>(&self, runs: &'a [RunEvent], named: &dyn Fn(&'a str) -> &'a str) -> Self {
        let mut other = Self {
            index: self.index.clone(),
            policies: self.policies.clone(),
            revisions: self.revisions.clone(),
            deduplicating: self.deduplicating.clone(),
            directory: self.directory.clone(),
            directories: self.directories.clone(),
            edges: self.edges.clone(),
            base: self.base.clone(),
            calendar: self.calendar.clone(),
            ..Self::default()
        };
        other.see(runs, named);
        other
    }

    fn see<'a>(&mut self, runs: &'a [RunEvent], named: &dyn Fn(&'a str) -> &'a str) {
        self.lineage = lineage::graph(&self.index, &self.base, runs, named);
        self.cache.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Takes documents that were checked before, such as those of the charters topic.
    pub fn of_checked(documents: Documents) -> Self {
        Self::assemble(documents).0
    }

    fn assemble(documents: Documents) -> (Self, Parts) {
        let Documents {
            charters,
            directories,
            lineage,
            policies,
            earlier_policies,
            withdrawn,
            edges: of_all_time,
            directories_since,
        } = documents;
        let (places, values): (Vec<Located<()>>, Vec<CharterDocument>) =
            charters.into_iter().map(split).unzip();
        let deduplicating = values
            .iter()
            .filter(|document| document.fields.deduplicate.is_some())
            .map(|document| document.subject.clone())
            .collect();
        let mut registry = Self {
            deduplicating,
            index: Arc::new(Index::new(values, &withdrawn)),
            policies: newest(&policies),
            revisions: Arc::new(revisions(&policies, earlier_policies)),
            directory: joined(&directories),
            directories: directories_since.into(),
            ..Self::default()
        };
        let drawn = lineage::drawn(&registry.index, &lineage, &of_all_time);
        registry.edges = drawn.edges.into();
        registry.base = Arc::new(drawn.base);
        registry.see(&[], &|name| name);
        (registry, Parts { places, directories, lineage, policies, ends: drawn.ends })
    }

    /// The charter of a subject at an instant; `None` where no document in
    /// force matches. A name without a type is a feature's.
    pub fn charter(&self, subject: &str, at: Timestamp) -> Option<Arc<Charter>> {
        let subject: Cow<'_, str> =
            if has_type(subject) { subject.into() } else { typed(subject).into() };
        // Whoever panicked while holding the lock left whole answers behind.
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let known = cache.get(&*subject).and_then(|answers| {
            let holds = |answer: &&Answer| {
                answer.from <= at && (at < answer.until || answer.until == NEVER)
            };
            answers.iter().find(holds)
        });
        if let Some(answer) = known {
            return answer.charter.clone();
        }
        let (documents, mut from, mut until) = self.index.matching_around(&subject, at);
        let node = self.lineage.node(&subject);
        let charter = self.resolve(&subject, &documents, node, at).map(Arc::new);
        if let Some(view) = charter.as_ref().and_then(|charter| charter.fields.view.as_ref()) {
            let (since, before) = self.index.constant_around(view, at);
            (from, until) = (from.max(since), until.min(before));
        }
        if let Some(node) = node {
            let (_, since, before) = self.lineage.owners(node, at);
            (from, until) = (from.max(since), until.min(before));
        }
        if cache.len() >= CACHED_SUBJECTS_MAX {
            cache.clear();
        }
        let answer = Answer { from, until, charter: charter.clone() };
        cache.entry(subject.into_owned()).or_default().push(answer);
        charter
    }

    /// SHA-256 over every charter document, in order. Where it is the same,
    /// [`Registry::charter`] answers the same.
    pub fn charters_hash(&self) -> [u8; 32] {
        let mut lines: Vec<String> = self.index.documents.iter().map(json::to_line).collect();
        // Which budget a test comes out of follows from these.
        let Directory { domains, systems, .. } = &self.directory;
        if domains.values().any(|domain| domain.alert_budget.is_some()) {
            lines.extend([json::to_line(domains), json::to_line(systems)]);
        }
        // And which policy a charter follows that names none.
        let tiers = self.policies.values().filter(|policy| !policy.tiers.is_empty());
        lines.extend(tiers.map(|policy| json::to_line(&(&policy.name, &policy.tiers))));
        sha256(lines.join("\n").as_bytes())
    }

    /// A policy by its name; of several versions the highest.
    pub fn policy(&self, name: &str) -> Option<&Policy> {
        self.policies.get(name)
    }

    /// Everybody and everything that may be named.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Everybody and everything that could be named at an instant.
    pub fn directory_at(&self, at: Timestamp) -> &Directory {
        let next = self.directories.partition_point(|(from, _)| *from <= at);
        let place = next.saturating_sub(1);
        self.directories.get(place).map_or(&self.directory, |(_, directory)| directory)
    }

    /// What is made from what: the edges of lineage documents and those that
    /// `upstream` and `consumers` add, by `from`, then `to`, each once. The
    /// latter hold for every subject that a charter or a lineage document
    /// names; a subject that only a pattern matches is not known beforehand
    /// and has those of its charter.
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// Subjects, then patterns that documents are about, ascending each.
    pub fn subjects(&self) -> impl Iterator<Item = &str> {
        self.index.named().chain(self.index.patterns().map(|(pattern, _)| pattern))
    }

    /// True where a document in force at an instant for just this subject or
    /// pattern sets something, and not one that it inherits from.
    pub fn sets(
        &self,
        subject: &str,
        at: Timestamp,
        is_set: impl Fn(&CharterFields) -> bool,
    ) -> bool {
        let documents = self.index.matching(subject, at).into_iter();
        let mut own = documents
            .map(|number| &self.index.documents[number])
            .take_while(|document| document.subject == subject);
        own.any(|document| is_set(&document.fields))
    }

    /// Of each field of a subject's charter at an instant, by its path
    /// (`tier`, `owners.backup`), the document that it comes from.
    pub fn origins(&self, subject: &str, at: Timestamp) -> BTreeMap<String, String> {
        let mut origins = BTreeMap::new();
        let Some(charter) = self.charter(subject, at) else { return origins };
        let documents = |subject: &str| {
            let numbers = self.index.matching(subject, at).into_iter();
            numbers.map(|number| &self.index.documents[number])
        };
        for document in documents(&charter.subject) {
            for path in merge::set(&document.fields) {
                origins.entry(path).or_insert_with(|| document.subject.clone());
            }
        }
        let view = charter.fields.view.as_deref().filter(|view| *view != charter.subject);
        for document in view.into_iter().flat_map(documents) {
            let paths = merge::set(&document.fields).into_iter();
            for path in paths.filter(|path| merge::INHERITED.contains(&path.as_str())) {
                origins.entry(path).or_insert_with(|| document.subject.clone());
            }
        }
        if let Some(policy) = &charter.fields.policy
            && !origins.contains_key("policy")
        {
            origins.insert("policy".to_owned(), format!("tiers of policy:{policy}"));
        }
        if charter.from.iter().any(|from| from == SHOWN_BY_RUNS) {
            origins.insert("owners.primary".to_owned(), SHOWN_BY_RUNS.to_owned());
        }
        origins
    }

    /// The instants up to `until` from which a subject or pattern has other
    /// documents than before, ascending.
    pub fn changes(&self, subject: &str, until: Timestamp) -> Vec<Timestamp> {
        let mut instants = Vec::new();
        let (_, mut next) = self.index.constant_around(subject, index::ALWAYS);
        while next <= until && next != NEVER {
            instants.push(next);
            (_, next) = self.index.constant_around(subject, next);
        }
        instants
    }

    /// Subjects that a document names exactly, ascending, with their types.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        self.index.named()
    }

    /// True where a charter document or the lineage names this subject exactly.
    pub fn knows(&self, subject: &str) -> bool {
        self.index.names(subject) || self.lineage.node(subject).is_some()
    }

    /// True where a document has an expectation on session windows, which end
    /// within panes.
    pub fn has_sessions(&self) -> bool {
        let documents = self.index.documents.iter();
        let mut expectations = documents.filter_map(|d| d.fields.expectations.as_ref()).flatten();
        expectations.any(|expectation| matches!(expectation.window, WindowSpec::Session { .. }))
    }

    /// True where a document, of whatever time, says `driver: regulatory`.
    pub fn is_regulated(&self) -> bool {
        let documents = self.index.documents.iter();
        let mut drivers = documents.filter_map(|document| document.fields.driver.as_deref());
        drivers.any(|driver| driver.eq_ignore_ascii_case("regulatory"))
    }

    /// True where a document, of whatever time, says `deduplicate` for the subject.
    pub fn deduplicates(&self, subject: &str) -> bool {
        let subject: Cow<'_, str> =
            if has_type(subject) { subject.into() } else { typed(subject).into() };
        self.deduplicating.iter().any(|known| pattern::matches(known, &subject))
    }

    /// Every policy in every version that is known, by name and version.
    pub fn revisions(&self) -> impl Iterator<Item = &Policy> {
        self.revisions.values()
    }

    /// Every policy, by name.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.policies.values()
    }

    /// By when charters and policies are to be looked at again. It is the very
    /// same for as long as documents are.
    pub fn calendar(&self) -> Arc<upkeep::Calendar> {
        self.calendar.get_or_init(|| Arc::new(upkeep::Calendar::of(self))).clone()
    }

    /// The charter of a subject or a pattern as it is written, which is not
    /// remembered.
    fn of_written(&self, subject: &str, at: Timestamp) -> Option<Charter> {
        let documents = self.index.matching(subject, at);
        self.resolve(subject, &documents, self.lineage.node(subject), at)
    }

    fn resolve(
        &self,
        subject: &str,
        documents: &[usize],
        node: Option<Node>,
        at: Timestamp,
    ) -> Option<Charter> {
        let documents: Vec<&CharterDocument> =
            documents.iter().map(|number| &self.index.documents[*number]).collect();
        let shown = node.and_then(|node| self.shown_owner(node, at));
        if documents.is_empty() && shown.is_none() {
            return None;
        }
        let mut from: Vec<String> = documents.iter().map(|d| d.subject.clone()).collect();
        from.dedup();
        let mut fields = merge::merge(&documents);
        if let Some(view) = fields.view.clone().filter(|view| view != subject) {
            let above = self.index.matching(&view, at);
            let above: Vec<&CharterDocument> =
                above.iter().map(|number| &self.index.documents[*number]).collect();
            if !above.is_empty() && merge::inherit(&mut fields, &merge::merge(&above)) {
                from.extend(above.iter().map(|document| document.subject.clone()));
                from.dedup();
            }
        }
        if fields.policy.is_none() {
            fields.policy = self.policy_of_tier(fields.tier).map(|policy| policy.name.clone());
        }
        if fields.owners.primary.is_none() && shown.is_some() {
            fields.owners.primary = shown;
            from.push(SHOWN_BY_RUNS.to_owned());
        }
        Some(Charter {
            subject: subject.to_owned(),
            fields,
            exact: documents.iter().any(|document| document.subject == subject),
            from,
        })
    }
}

impl Registry {
    /// The policy that charters of a tier follow which name none.
    fn policy_of_tier(&self, tier: Option<u8>) -> Option<&Policy> {
        let tier = tier?;
        self.policies.values().find(|policy| policy.tiers.contains(&tier))
    }

    /// The first owner that runs name for a subject and the directory knows;
    /// one that it does not know where there is no other, so that the owner
    /// chain tells of it.
    fn shown_owner(&self, node: Node, at: Timestamp) -> Option<String> {
        let (owners, _, _) = self.lineage.owners(node, at);
        let mut unknown = None;
        for owner in owners {
            let (name, is_known) = known_as(owner, &self.directory);
            if is_known {
                return Some(name);
            }
            unknown.get_or_insert(name);
        }
        unknown
    }
}

/// What an owner of another program is called here: `team:x` and `group:x`
/// are groups, a bare name is whoever of that name there is.
fn known_as(owner: &str, directory: &Directory) -> (String, bool) {
    let (kind, name) = owner.split_once(':').unwrap_or(("", owner));
    let user = directory.users.contains_key(name);
    let group = directory.groups.contains_key(name);
    let schedule = directory.schedules.contains_key(name);
    match kind {
        "user" => (owner.to_owned(), user),
        "group" | "team" => (format!("group:{name}"), group),
        "schedule" => (owner.to_owned(), schedule),
        _ if user => (format!("user:{name}"), true),
        _ if group => (format!("group:{name}"), true),
        _ if schedule => (format!("schedule:{name}"), true),
        _ => (format!("user:{name}"), false),
    }
}

/// Among the documents of a charter: its primary owner is the one that runs named.
pub const SHOWN_BY_RUNS: &str = "ownership shown by runs";

impl Context for Registry {
    fn charter(&self, subject: &str, at: Timestamp) -> Option<Arc<Charter>> {
        Self::charter(self, subject, at)
    }

    fn policy(&self, name: &str) -> Option<&Policy> {
        Self::policy(self, name)
    }

    fn policy_of(&self, revision: &PolicyRevision) -> Option<&Policy> {
        self.revisions.get(revision)
    }

    fn directory(&self) -> &Directory {
        Self::directory(self)
    }

    fn directory_at(&self, at: Timestamp) -> &Directory {
        Self::directory_at(self, at)
    }

    fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    fn declared(&self, subject: &str) -> Vec<Declared> {
        lineage::declared_ever(&self.index, subject)
    }

    fn calendar(&self) -> Arc<upkeep::Calendar> {
        Self::calendar(self)
    }
}

/// Takes a document from its places; the places are needed for findings only.
fn split<T>(located: Located<T>) -> (Located<()>, T) {
    let Located { file, place, document, fields, value } = located;
    (Located { file, place, document, fields, value: () }, value)
}

/// Policies by name, each in its highest version; of equal ones the first.
fn newest(policies: &[Located<Policy>]) -> BTreeMap<String, Policy> {
    let mut newest: BTreeMap<String, Policy> = BTreeMap::new();
    for policy in policies {
        match newest.get(&policy.value.name) {
            Some(other) if other.version >= policy.value.version => {}
            _ => {
                newest.insert(policy.value.name.clone(), policy.value.clone());
            }
        }
    }
    newest
}

/// Policies by name and version: those of the past, and over them those that
/// hold; of equal ones the first.
fn revisions(
    policies: &[Located<Policy>],
    earlier: Vec<Policy>,
) -> BTreeMap<PolicyRevision, Policy> {
    let known = policies.iter().rev().map(|policy| policy.value.clone());
    let named = |policy: Policy| {
        (PolicyRevision { name: policy.name.clone(), version: policy.version }, policy)
    };
    earlier.into_iter().chain(known).map(named).collect()
}

/// All directories as one; what two define is taken from the first.
fn joined(directories: &[Located<Directory>]) -> Directory {
    let mut all = Directory::default();
    for Located { value, .. } in directories {
        fn add<T: Clone>(all: &mut BTreeMap<String, T>, more: &BTreeMap<String, T>) {
            for (name, value) in more {
                all.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        add(&mut all.users, &value.users);
        add(&mut all.groups, &value.groups);
        add(&mut all.schedules, &value.schedules);
        add(&mut all.systems, &value.systems);
        add(&mut all.domains, &value.domains);
        all.governance = all.governance.or_else(|| value.governance.clone());
    }
    for Located { value, .. } in directories {
        for AbsenceOf { user, absence } in &value.absences {
            if let Some(user) = all.users.get_mut(user.strip_prefix("user:").unwrap_or(user)) {
                user.absences.push(*absence);
            }
        }
        for OverrideOf { schedule, exception } in &value.overrides {
            let name = schedule.strip_prefix("schedule:").unwrap_or(schedule);
            if let Some(schedule) = all.schedules.get_mut(name) {
                schedule.overrides.push(exception.clone());
            }
        }
    }
    all
}
