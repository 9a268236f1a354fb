//! What is known of each subject at the moment: whether it breaches, whether
//! it is watched at all, which incidents are open about it. Kept up with every
//! breach and window, so that attribution need not go through all of them.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::charter::ExpectationKind;
use watchkeep_model::subject::typed;
use watchkeep_model::time::{TimeSpan, Timestamp};

use crate::context::Context;
use crate::lineage::{History, Lineage, Link, Node};

mod below;

use below::{Below, Counted};

/// An open breach of a subject.
#[derive(Clone, Debug)]
pub(crate) struct OpenBreach {
    pub(crate) detected_at: Timestamp,
    pub(crate) kind: ExpectationKind,
    /// Where the window begins that opened it.
    pub(crate) began: Timestamp,
    /// A sentence about it.
    pub(crate) what: String,
    /// The root of the incident that took it in.
    pub(crate) root: Option<String>,
}

/// A subject that was heard of.
#[derive(Clone, Debug)]
struct Subject {
    /// Typed.
    name: Box<str>,
    node: Node,
    /// The end of the last window that was judged.
    judged_at: Option<Timestamp>,
    /// By identifier.
    breaches: BTreeMap<String, OpenBreach>,
    /// Open incidents of which it is the root, by identifier.
    incidents: BTreeMap<String, OpenIncident>,
    /// When it was last shown that an incident is about this root.
    struck_at: Option<Timestamp>,
    /// Roots whose open incidents took in breaches of this subject.
    joined: BTreeSet<u32>,
    counted: Counted,
}

/// An open incident about a subject.
#[derive(Clone, Debug)]
struct OpenIncident {
    kind: ExpectationKind,
    /// False while nothing of it breaches.
    breaches: bool,
    /// Since when nothing of it breaches, whatever single faults it has taken in
    /// again since its root was struck.
    over_since: Option<Timestamp>,
}

/// How long after its last judged window a feature counts as watched.
const WATCHED_FOR: TimeSpan = TimeSpan::WEEK;

/// No node yet.
const NOWHERE: Node = Node::MAX;

/// No subject.
const NOBODY: u32 = u32::MAX;

/// How often something happened by which a share of what a node feeds may have
/// become smaller, edges aside: a breach ended, or a subject was judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calm(u64);

/// All subjects, and where they stand in the lineage.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board {
    calm: Calm,
    subjects: Vec<Subject>,
    /// By the name that telemetry uses and by the typed name.
    numbers: BTreeMap<Box<str>, u32>,
    /// Subjects with open breaches.
    breaching: usize,
    /// Features by when a window of theirs was judged last.
    judged: BTreeSet<(Timestamp, u32)>,
    graph: Graph,
    below: Below,
}

/// The lineage's nodes with the subjects on them, and beyond them the nodes
/// that only telemetry and patterns name.
#[derive(Clone, Debug, Default)]
struct Graph {
    /// Of the lineage that this is about.
    revision: Option<[u8; 32]>,
    /// How many subjects have their place.
    placed: usize,
    /// By node.
    subjects: Vec<u32>,
    /// Nodes in the lineage; further ones are in `names`.
    base: usize,
    names: Vec<Box<str>>,
    numbers: BTreeMap<Box<str>, Node>,
    links: Vec<Link>,
    up: BTreeMap<Node, Vec<u32>>,
    down: BTreeMap<Node, Vec<u32>>,
}

impl Board {
    /// A breach is open.
    pub(crate) fn breach(&mut self, subject: &str, breach_id: &str, breach: OpenBreach) {
        let number = self.number(subject);
        let breaches = &mut self.subjects[number].breaches;
        let is_first = breaches.is_empty();
        breaches.insert(breach_id.to_owned(), breach);
        if is_first {
            self.breaching += 1;
            self.below.wait(number);
        }
    }

    /// A breach is over.
    pub(crate) fn clear(&mut self, subject: &str, breach_id: &str) {
        let Some(number) = self.numbers.get(subject) else { return };
        let subject = &mut self.subjects[*number as usize];
        if subject.breaches.remove(breach_id).is_some() && subject.breaches.is_empty() {
            self.calm.0 += 1;
            self.breaching -= 1;
            self.below.forget(subject);
        }
    }

    /// A window of a subject was judged.
    pub(crate) fn judged(&mut self, subject: &str, at: Timestamp) {
        let number = self.number(subject);
        let Subject { judged_at, name, .. } = &mut self.subjects[number];
        if judged_at.is_some_and(|before| before >= at) {
            return;
        }
        let before = judged_at.replace(at);
        self.calm.0 += 1;
        if name.starts_with("feature:") {
            let number = u32::try_from(number).unwrap_or(NOBODY);
            if let Some(before) = before {
                self.judged.remove(&(before, number));
            }
            self.judged.insert((at, number));
        }
    }

    /// The end of the last window of a subject that was judged.
    pub(crate) fn judged_at(&self, subject: &str) -> Option<Timestamp> {
        let number = self.numbers.get(subject)?;
        self.subjects.get(*number as usize)?.judged_at
    }

    /// How many features were judged lately.
    pub(crate) fn watched(&mut self, at: Timestamp) -> u64 {
        while self.judged.first().is_some_and(|(judged, _)| *judged + WATCHED_FOR < at) {
            self.judged.pop_first();
        }
        self.judged.len() as u64
    }

    /// An incident with this root is open, or is not any more.
    pub(crate) fn incident(&mut self, root: &str, id: &str, open: Option<ExpectationKind>) {
        let number = self.number(root);
        let incidents = &mut self.subjects[number].incidents;
        match open {
            Some(kind) => match incidents.get_mut(id) {
                Some(known) => known.kind = kind,
                None => {
                    let new = OpenIncident { kind, breaches: true, over_since: None };
                    _ = incidents.insert(id.to_owned(), new);
                }
            },
            None => _ = incidents.remove(id),
        }
    }

    /// It was shown that the incidents with this root are about it: one opened, or
    /// the root itself breached or ceased to. Those of which nothing breaches are
    /// over all the same, by now.
    pub(crate) fn struck(&mut self, root: &str, at: Timestamp) {
        let number = self.number(root);
        let subject = &mut self.subjects[number];
        subject.struck_at = subject.struck_at.max(Some(at));
        for incident in subject.incidents.values_mut() {
            incident.over_since = incident.over_since.filter(|_| !incident.breaches).map(|_| at);
        }
    }

    /// An open incident has taken in a breach.
    pub(crate) fn breaches_again(&mut self, root: &str, id: &str) {
        let number = self.number(root);
        if let Some(incident) = self.subjects[number].incidents.get_mut(id) {
            incident.breaches = true;
        }
    }

    /// True where incidents with this root are open, and each is over.
    pub(crate) fn is_over(&self, root: &str) -> bool {
        let number = self.numbers.get(root);
        let subject = number.and_then(|number| self.subjects.get(*number as usize));
        subject.is_some_and(|subject| {
            let mut incidents = subject.incidents.values();
            !subject.incidents.is_empty() && incidents.all(|one| one.over_since.is_some())
        })
    }

    /// Nothing of an open incident breaches any more.
    pub(crate) fn over(&mut self, root: &str, id: &str, at: Timestamp) {
        let number = self.number(root);
        if let Some(incident) = self.subjects[number].incidents.get_mut(id) {
            incident.breaches = false;
            incident.over_since.get_or_insert(at);
        }
    }

    /// An incident with this root took in a breach of a subject, or such a one is
    /// resolved, so that the next one knows nothing of it.
    pub(crate) fn join(&mut self, subject: &str, root: &str, has_joined: bool) {
        let root = u32::try_from(self.number(root)).unwrap_or(NOBODY);
        let number = self.number(subject);
        let joined = &mut self.subjects[number].joined;
        _ = if has_joined { joined.insert(root) } else { joined.remove(&root) };
    }

    /// How many subjects breach.
    pub(crate) const fn breaching(&self) -> usize {
        self.breaching
    }

    fn number(&mut self, name: &str) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number as usize;
        }
        let full = typed(name);
        let next = u32::try_from(self.subjects.len()).unwrap_or(NOBODY);
        let number = *self.numbers.entry(full.as_str().into()).or_insert(next);
        if number == next {
            self.subjects.push(Subject {
                name: full.as_str().into(),
                node: NOWHERE,
                judged_at: None,
                breaches: BTreeMap::new(),
                incidents: BTreeMap::new(),
                struck_at: None,
                joined: BTreeSet::new(),
                counted: Counted::Not,
            });
        }
        if full != name {
            self.numbers.insert(name.into(), number);
        }
        number as usize
    }

    /// Gives every subject its place in the lineage.
    pub(crate) fn settle(&mut self, context: &dyn Context) {
        let lineage = context.lineage();
        if self.graph.revision != Some(lineage.revision()) {
            self.graph = Graph {
                revision: Some(lineage.revision()),
                subjects: vec![NOBODY; lineage.len()],
                base: lineage.len(),
                ..Graph::default()
            };
            self.below.begin(&mut self.subjects);
        }
        let mut is_counted_right = true;
        for number in self.graph.placed..self.subjects.len() {
            let name = self.subjects[number].name.clone();
            let node = match lineage.node(&name) {
                Some(node) => node,
                None => {
                    let node = self.graph.node(&name, lineage);
                    // What ends at the subject first: nothing is below it yet.
                    let mut declared = context.declared(&name);
                    declared.sort_by_key(|edge| edge.to != *name);
                    for edge in declared {
                        let to = self.graph.declare(&edge, lineage);
                        is_counted_right &= !self.counts_above(lineage, to);
                    }
                    node
                }
            };
            self.subjects[number].node = node;
            self.graph.subjects[node as usize] = u32::try_from(number).unwrap_or(NOBODY);
        }
        self.graph.placed = self.subjects.len();
        if !is_counted_right {
            self.below.begin(&mut self.subjects);
        }
        self.count_below(lineage);
    }

    /// While it stays the same, breaches were only added.
    pub(crate) const fn calm(&self) -> Calm {
        self.calm
    }

    /// Changes where edges do. Nodes keep their numbers and their edges while
    /// it stays the same.
    pub(crate) fn version(&self) -> (Option<[u8; 32]>, usize) {
        (self.graph.revision, self.graph.links.len())
    }

    /// The node of a typed name, after [`Board::settle`].
    pub(crate) fn node(&self, lineage: &Lineage, name: &str) -> Option<Node> {
        lineage.node(name).or_else(|| self.graph.numbers.get(name).copied())
    }

    /// How many nodes there are.
    pub(crate) fn nodes(&self) -> usize {
        self.graph.subjects.len()
    }

    /// The typed name of a node.
    pub(crate) fn name<'a>(&'a self, lineage: &'a Lineage, node: Node) -> &'a str {
        match (node as usize).checked_sub(self.graph.base) {
            None => lineage.name(node),
            Some(place) => self.graph.names.get(place).map_or("", AsRef::as_ref),
        }
    }

    /// Edges that end at a node.
    pub(crate) fn up<'a>(
        &'a self,
        lineage: &'a Lineage,
        node: Node,
    ) -> impl Iterator<Item = &'a Link> + 'a {
        lineage.up_links(node).chain(self.graph.beyond(&self.graph.up, node))
    }

    /// Edges that begin at a node.
    pub(crate) fn down<'a>(
        &'a self,
        lineage: &'a Lineage,
        node: Node,
    ) -> impl Iterator<Item = &'a Link> + 'a {
        lineage.down_links(node).iter().chain(self.graph.beyond(&self.graph.down, node))
    }

    fn subject(&self, node: Node) -> Option<&Subject> {
        let number = self.graph.subjects.get(node as usize)?;
        self.subjects.get(*number as usize)
    }

    /// True where the node breaches.
    pub(crate) fn breaches(&self, node: Node) -> bool {
        self.subject(node).is_some_and(|subject| !subject.breaches.is_empty())
    }

    /// True where the node was judged lately, or breaches.
    pub(crate) fn is_watched(&self, node: Node, at: Timestamp, max_age: TimeSpan) -> bool {
        self.subject(node).is_some_and(|subject| {
            !subject.breaches.is_empty()
                || subject.judged_at.is_some_and(|judged| judged + max_age >= at)
        })
    }

    /// The first open breach of a node.
    pub(crate) fn first_breach(&self, node: Node) -> Option<&OpenBreach> {
        let breaches = self.subject(node)?.breaches.iter();
        breaches.min_by_key(|(id, breach)| (breach.detected_at, *id)).map(|(_, breach)| breach)
    }

    /// The root of the incidents that took the node's breaches in; of several
    /// incidents that of the first breach.
    pub(crate) fn attached_root(&self, node: Node) -> Option<&str> {
        let breaches = self.subject(node)?.breaches.iter();
        let attached = breaches.filter(|(_, breach)| breach.root.is_some());
        let first = attached.min_by_key(|(id, breach)| (breach.detected_at, *id))?;
        first.1.root.as_deref()
    }

    /// Open incidents with this root, by identifier.
    pub(crate) fn open_incidents(&self, node: Node) -> impl Iterator<Item = &str> {
        let incidents = self.subject(node).map(|subject| subject.incidents.keys());
        incidents.into_iter().flatten().map(String::as_str)
    }

    /// When it was last shown that the incidents with this root are about it.
    pub(crate) fn struck_at(&self, node: Node) -> Option<Timestamp> {
        self.subject(node)?.struck_at
    }

    /// Since when nothing breaches of any of the open incidents with this root.
    pub(crate) fn over_since(&self, node: Node) -> Option<Timestamp> {
        let mut since = None;
        for incident in self.subject(node)?.incidents.values() {
            since = since.max(Some(incident.over_since?));
        }
        since
    }

    /// Where the first window begins that opened a breach of the node.
    pub(crate) fn began(&self, node: Node) -> Option<Timestamp> {
        self.subject(node)?.breaches.values().map(|breach| breach.began).min()
    }

    /// True where an open incident with this root took in a breach of the node.
    pub(crate) fn has_joined(&self, node: Node, root: Node) -> bool {
        let root = self.graph.subjects.get(root as usize);
        let joined = self.subject(node).map(|subject| &subject.joined);
        root.zip(joined).is_some_and(|(root, joined)| joined.contains(root))
    }

    /// The kind of the first open incident with this root.
    pub(crate) fn open_incident(&self, node: Node) -> Option<(&str, ExpectationKind)> {
        let (id, incident) = self.subject(node)?.incidents.first_key_value()?;
        Some((id, incident.kind))
    }
}

impl Graph {
    fn node(&mut self, name: &str, lineage: &Lineage) -> Node {
        if let Some(node) = lineage.node(name).or_else(|| self.numbers.get(name).copied()) {
            return node;
        }
        let node = Node::try_from(self.base + self.names.len()).unwrap_or(NOWHERE);
        self.names.push(name.into());
        self.numbers.insert(name.into(), node);
        self.subjects.push(NOBODY);
        node
    }

    /// Adds an edge and tells where it ends.
    fn declare(&mut self, edge: &crate::context::Declared, lineage: &Lineage) -> Node {
        let (from, to) = (self.node(&edge.from, lineage), self.node(&edge.to, lineage));
        let declared = vec![(edge.since, edge.until)];
        let history = History { declared, ..History::default() };
        let place = u32::try_from(self.links.len()).unwrap_or(u32::MAX);
        self.links.push(Link { from, to, history: Some(Box::new(history)) });
        self.up.entry(to).or_default().push(place);
        self.down.entry(from).or_default().push(place);
        to
    }

    fn beyond<'a>(
        &'a self,
        of: &'a BTreeMap<Node, Vec<u32>>,
        node: Node,
    ) -> impl Iterator<Item = &'a Link> + 'a {
        let places = of.get(&node).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter_map(|place| self.links.get(*place as usize))
    }
}
