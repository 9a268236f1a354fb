//! Puts a lineage together from what people declared and what runs showed.

use std::sync::Arc;

use super::*;

/// Owners of one node that one event may name; more are a mistake, and the
/// first by name are taken.
const OWNERS_MAX: usize = 10;

/// Edges that many lineages have in common, so that their ends are numbered
/// once, however often runs show something new.
#[derive(Debug, Default)]
pub struct Base {
    /// Those that an edge has, ascending; a node's number is its place here.
    names: Vec<Box<str>>,
    /// Ascending.
    marks: Vec<(Node, Node, Mark)>,
}

impl Base {
    /// An edge that somebody declares from `since` until before `until`. Its
    /// ends are numbered by whoever names them with [`Base::named`].
    pub(crate) fn declare(&mut self, from: Node, to: Node, since: Timestamp, until: Timestamp) {
        self.marks.push((from, to, Mark::Declared(since, until)));
    }

    /// An edge of which a document tells when it was last seen.
    pub(crate) fn note(&mut self, from: Node, to: Node, last_seen: Timestamp) {
        self.marks.push((from, to, Mark::Noted(last_seen)));
    }

    /// Names all nodes, in ascending order; those without an edge are none.
    pub(crate) fn named(mut self, names: &[&str]) -> Self {
        let mut places: Vec<Option<Node>> = vec![None; names.len()];
        for (from, to, _) in &self.marks {
            for node in [from, to] {
                places[*node as usize] = Some(0);
            }
        }
        for (name, place) in names.iter().zip(&mut places).filter(|(_, place)| place.is_some()) {
            *place = Node::try_from(self.names.len()).ok();
            self.names.push((*name).into());
        }
        for (from, to, _) in &mut self.marks {
            *from = places[*from as usize].unwrap_or(Node::MAX);
            *to = places[*to as usize].unwrap_or(Node::MAX);
        }
        self.marks.sort_unstable();
        self.marks.dedup();
        self
    }

    /// True for the end of an edge.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.place(name).is_some()
    }

    fn place(&self, name: &str) -> Option<Node> {
        let place = self.names.binary_search_by(|known| known.as_ref().cmp(name)).ok()?;
        Node::try_from(place).ok()
    }
}

/// Takes edges and run events in any order.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    base: Arc<Base>,
    /// Names beside those of the base, numbered from where these end.
    numbers: BTreeMap<Box<str>, Node>,
    marks: Vec<(Node, Node, Mark)>,
    runs: Vec<RunEvent>,
}

/// One reason to know of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Declared(Timestamp, Timestamp),
    Noted(Timestamp),
    Seen(Timestamp),
}

impl Mark {
    /// True for what was declared once and for all.
    fn is_always(self) -> bool {
        matches!(self, Self::Declared(since, until)
            if since.as_micros() == i64::MIN && until.as_micros() == i64::MAX)
    }
}

impl Builder {
    /// One that has the edges of a base.
    pub(crate) fn on(base: Arc<Base>) -> Self {
        Self { base, ..Self::default() }
    }

    /// An edge that somebody declares from `since` until before `until`.
    pub fn declare(&mut self, from: &str, to: &str, since: Timestamp, until: Timestamp) {
        self.mark(from, to, Mark::Declared(since, until));
    }

    /// An edge of which a document tells when it was last seen.
    pub fn note(&mut self, from: &str, to: &str, last_seen: Timestamp) {
        self.mark(from, to, Mark::Noted(last_seen));
    }

    /// What an event of a run shows: that the job reads its inputs and writes
    /// its outputs, and how the run stands.
    pub fn run(&mut self, event: &RunEvent) {
        self.run_named(event, &|name| name);
    }

    /// The same, with the names that its nodes have here.
    pub fn run_named<'a>(&mut self, event: &'a RunEvent, named: &dyn Fn(&'a str) -> &'a str) {
        let job = named(&event.job);
        for input in event.inputs.iter().map(|input| named(input)).filter(|input| *input != job) {
            self.mark(input, job, Mark::Seen(event.at));
        }
        for output in event.outputs.iter().map(|output| named(output)).filter(|out| *out != job) {
            self.mark(job, output, Mark::Seen(event.at));
        }
        self.number(job);
        let mut kept = RunEvent {
            at: event.at,
            job: job.to_owned(),
            run: event.run.clone(),
            state: event.state,
            message: event.message.clone(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            assertions: event.assertions.clone(),
            owners: event.owners.clone(),
        };
        for (assertion, told) in kept.assertions.iter_mut().zip(&event.assertions) {
            assertion.node = named(&told.node).to_owned();
            self.number(&assertion.node);
        }
        for (ownership, told) in kept.owners.iter_mut().zip(&event.owners) {
            ownership.node = named(&told.node).to_owned();
            self.number(&ownership.node);
        }
        self.runs.push(kept);
    }

    fn mark(&mut self, from: &str, to: &str, mark: Mark) {
        let (from, to) = (self.number(from), self.number(to));
        self.marks.push((from, to, mark));
    }

    fn number(&mut self, name: &str) -> Node {
        let known = self.base.place(name).or_else(|| self.numbers.get(name).copied());
        if let Some(number) = known {
            return number;
        }
        let number = self.base.names.len() + self.numbers.len();
        let number = Node::try_from(number).unwrap_or(Node::MAX);
        self.numbers.insert(name.into(), number);
        number
    }

    /// The lineage. Names are numbered in their order, so that what follows
    /// from it does not depend on the order in which it was told.
    pub fn build(self) -> Lineage {
        let Self { base, numbers, marks, mut runs } = self;
        let (names, places) = merged(&base.names, numbers);
        let marks = base.marks.iter().copied().chain(marks);
        let marks =
            marks.map(|(from, to, mark)| (places[from as usize], places[to as usize], mark));
        let links = links(marks.collect());
        let down = begins(names.len(), links.iter().map(|link| link.from));
        let up = upwards(names.len(), &links);
        let mut lineage = Lineage { names, links, up, down, ..Lineage::default() };
        runs.sort();
        runs.dedup();
        lineage.troubles = troubles::of(&runs, &lineage);
        lineage.owners = owners(&runs, &lineage);
        lineage.revision = revision(&lineage, &runs);
        lineage
    }
}

/// All names in their order, and for each number of before its place there.
fn merged(base: &[Box<str>], numbers: BTreeMap<Box<str>, Node>) -> (Vec<Box<str>>, Vec<Node>) {
    let mut places = vec![0; base.len() + numbers.len()];
    let mut names: Vec<Box<str>> = Vec::with_capacity(places.len());
    let mut of_base = (0..).zip(base).peekable();
    let mut others = numbers.into_iter().peekable();
    for place in 0.. {
        let is_base = match (of_base.peek(), others.peek()) {
            (Some((_, base)), Some((other, _))) => *base < other,
            (base, other) if base.is_none() && other.is_none() => break,
            (base, _) => base.is_some(),
        };
        if is_base {
            let next = of_base.next();
            names.extend(next.map(|(_, name)| name.clone()));
            next.into_iter().for_each(|(number, _): (usize, _)| places[number] = place);
        } else if let Some((name, number)) = others.next() {
            names.push(name);
            places[number as usize] = place;
        }
    }
    (names, places)
}

/// Every edge once, with all that is known of it.
fn links(mut marks: Vec<(Node, Node, Mark)>) -> Vec<Link> {
    marks.sort_unstable();
    marks.dedup();
    let mut links: Vec<Link> = Vec::new();
    for same in marks.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        let (from, to) = (same[0].0, same[0].1);
        if same.iter().any(|(_, _, mark)| mark.is_always()) {
            links.push(Link { from, to, history: None });
            continue;
        }
        let mut history = History::default();
        for (_, _, mark) in same {
            match *mark {
                Mark::Declared(since, until) => match history.declared.last_mut() {
                    Some((_, last)) if *last >= since => *last = until.max(*last),
                    _ => history.declared.push((since, until)),
                },
                Mark::Noted(seen) => history.noted = history.noted.max(Some(seen)),
                Mark::Seen(seen) => history.seen.push(seen),
            }
        }
        // Several may have been in force one after the other.
        let is_always = history
            .declared
            .iter()
            .any(|(since, until)| Mark::Declared(*since, *until).is_always());
        links.push(Link { from, to, history: (!is_always).then(|| Box::new(history)) });
    }
    links
}

/// Where the entries of each node begin in a list that is sorted by node.
fn begins(nodes: usize, of: impl Iterator<Item = Node>) -> Vec<u32> {
    let mut begins = vec![0; nodes + 1];
    for node in of {
        begins[node as usize + 1] += 1;
    }
    for node in 0..nodes {
        begins[node + 1] += begins[node];
    }
    begins
}

fn upwards(nodes: usize, links: &[Link]) -> Adjacency {
    let begins = begins(nodes, links.iter().map(|link| link.to));
    let mut next = begins.clone();
    let mut places = vec![0; links.len()];
    for (place, link) in (0..).zip(links) {
        let slot = &mut next[link.to as usize];
        places[*slot as usize] = place;
        *slot += 1;
    }
    Adjacency { begins, links: places }
}

fn owners(runs: &[RunEvent], lineage: &Lineage) -> BTreeMap<Node, Vec<(Timestamp, Vec<String>)>> {
    let mut owners: BTreeMap<Node, Vec<(Timestamp, Vec<String>)>> = BTreeMap::new();
    for event in runs {
        let mut named: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        // Whoever is called an owner before maintainers and others.
        let (first, rest): (Vec<_>, Vec<_>) = event.owners.iter().partition(|one| one.is_owner());
        for ownership in first.into_iter().chain(rest) {
            named.entry(&ownership.node).or_default().push(ownership.owner.clone());
        }
        for (name, mut all) in named {
            let Some(node) = lineage.node(name) else { continue };
            all.truncate(OWNERS_MAX);
            let history = owners.entry(node).or_default();
            match history.last_mut() {
                Some((_, same)) if *same == all => {}
                // Two events of one instant: the later in their order holds.
                Some((at, last)) if *at == event.at => *last = all,
                _ => history.push((event.at, all)),
            }
        }
    }
    owners
}

fn revision(lineage: &Lineage, runs: &[RunEvent]) -> [u8; 32] {
    let mut bytes: Vec<u8> = Vec::new();
    let instant = |bytes: &mut Vec<u8>, at: Timestamp| {
        bytes.extend_from_slice(&at.as_micros().to_le_bytes());
    };
    for name in &lineage.names {
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
    }
    for link in &lineage.links {
        bytes.extend_from_slice(&link.from.to_le_bytes());
        bytes.extend_from_slice(&link.to.to_le_bytes());
        let Some(history) = &link.history else { continue };
        for (since, until) in &history.declared {
            instant(&mut bytes, *since);
            instant(&mut bytes, *until);
        }
        bytes.push(1);
        history.noted.into_iter().for_each(|at| instant(&mut bytes, at));
        bytes.push(2);
        history.seen.iter().for_each(|at| instant(&mut bytes, *at));
    }
    let runs: String = runs.iter().map(watchkeep_model::json::to_line).collect();
    sha256_of(&[&bytes, runs.as_bytes()])
}
