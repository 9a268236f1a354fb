//! The lineage as it was at an instant: which nodes there are, which edges
//! between them were known, and what runs showed to be wrong.
//!
//! An edge is known by declaration, for as long as the charter that says so is
//! in force; by a lineage document's `last_seen`; or by runs, from the first
//! that showed it. Declared edges do not age. The others are stale once nothing
//! has shown them for the `edge_max_age` of a policy, and are then treated like
//! edges that nobody knows.

use std::collections::BTreeMap;

use watchkeep_model::identifier::sha256_of;
use watchkeep_model::lineage::RunEvent;
use watchkeep_model::time::{TimeSpan, Timestamp};

mod build;
pub mod reach;
mod troubles;

#[cfg(test)]
mod tests;

pub use build::{Base, Builder};
use troubles::Troubles;

/// Number of a node, in the order of names.
pub type Node = u32;

/// All nodes and edges of a folder and of the runs that were seen.
#[derive(Clone, Debug, Default)]
pub struct Lineage {
    /// Ascending; a node's number is its place here.
    names: Vec<Box<str>>,
    /// By `from`, then `to`.
    links: Vec<Link>,
    /// Places in `links` of the edges that end at a node, by `from`.
    up: Adjacency,
    /// Where the edges of each node begin in `links`.
    down: Vec<u32>,
    troubles: BTreeMap<Node, Troubles>,
    /// Who owned a node from when on, ascending.
    owners: BTreeMap<Node, Vec<(Timestamp, Vec<String>)>>,
    revision: [u8; 32],
}

/// An edge and how it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) from: Node,
    pub(crate) to: Node,
    /// `None` where it was declared for all time.
    pub(crate) history: Option<Box<History>>,
}

/// How an edge is known that has not always been there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// When charters said so, `[since, until)`, ascending.
    pub(crate) declared: Vec<(Timestamp, Timestamp)>,
    /// The `last_seen` of a lineage document, which tells no first time.
    pub(crate) noted: Option<Timestamp>,
    /// When runs showed it, ascending.
    pub(crate) seen: Vec<Timestamp>,
}

/// What is known of an edge at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeState {
    /// Declared, and so in force.
    Declared,
    /// Last shown then, which is recent enough.
    Seen(Timestamp),
    /// Last shown then, which is too long ago.
    Stale(Timestamp),
    /// Nobody knew it yet, or any more.
    Unknown,
}

impl EdgeState {
    /// True where the edge may be followed.
    pub const fn is_fresh(self) -> bool {
        matches!(self, Self::Declared | Self::Seen(_))
    }
}

impl History {
    pub(crate) fn state(&self, at: Timestamp, max_age: TimeSpan) -> EdgeState {
        let declared = self.declared.iter().any(|(since, until)| *since <= at && at < *until);
        if declared {
            return EdgeState::Declared;
        }
        match self.last_seen(at) {
            Some(seen) if seen + max_age >= at => EdgeState::Seen(seen),
            Some(seen) => EdgeState::Stale(seen),
            None => EdgeState::Unknown,
        }
    }

    /// When something last showed the edge, as was known at an instant.
    pub(crate) fn last_seen(&self, at: Timestamp) -> Option<Timestamp> {
        let before = self.seen.partition_point(|seen| *seen <= at);
        let seen = before.checked_sub(1).and_then(|last| self.seen.get(last)).copied();
        seen.max(self.noted)
    }

    /// When something first showed the edge; `None` where nobody says so.
    fn first_seen(&self) -> Option<Timestamp> {
        self.seen.first().copied().filter(|_| self.noted.is_none())
    }
}

impl Link {
    pub(crate) fn state(&self, at: Timestamp, max_age: TimeSpan) -> EdgeState {
        self.history.as_ref().map_or(EdgeState::Declared, |history| history.state(at, max_age))
    }
}

/// Lists of edges by node, end to end.
#[derive(Clone, Debug, Default)]
struct Adjacency {
    /// Where each node's begin; one more than there are nodes.
    begins: Vec<u32>,
    links: Vec<u32>,
}

/// An edge seen from one of its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The other end.
    pub node: Node,
    /// What is known of the edge.
    pub state: EdgeState,
    /// When runs first showed it, where they did.
    pub first_seen: Option<Timestamp>,
    /// When it was last shown, where anything did.
    pub last_seen: Option<Timestamp>,
}

impl Lineage {
    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// True where nothing is known at all.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// How many edges there are, of any time.
    pub fn edge_count(&self) -> usize {
        self.links.len()
    }

    /// The number of a typed name.
    pub fn node(&self, name: &str) -> Option<Node> {
        let place = self.names.binary_search_by(|known| known.as_ref().cmp(name)).ok()?;
        u32::try_from(place).ok()
    }

    /// The typed name of a node; empty for a number that is none.
    pub fn name(&self, node: Node) -> &str {
        self.names.get(node as usize).map_or("", AsRef::as_ref)
    }

    /// The typed names of all nodes, ascending.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
    }

    /// The same for the same nodes, edges and runs.
    pub fn revision(&self) -> [u8; 32] {
        self.revision
    }

    /// The edges that end at a node, by name of their source.
    pub fn sources(
        &self,
        node: Node,
        at: Timestamp,
        max_age: TimeSpan,
    ) -> impl Iterator<Item = Neighbour> + '_ {
        self.up_links(node).map(move |link| neighbour(link, link.from, at, max_age))
    }

    /// The edges that begin at a node, by name of their user.
    pub fn users(
        &self,
        node: Node,
        at: Timestamp,
        max_age: TimeSpan,
    ) -> impl Iterator<Item = Neighbour> + '_ {
        self.down_links(node).iter().map(move |link| neighbour(link, link.to, at, max_age))
    }

    pub(crate) fn up_links(&self, node: Node) -> impl Iterator<Item = &Link> + '_ {
        let range = range(&self.up.begins, node);
        let places = self.up.links.get(range).unwrap_or_default();
        places.iter().filter_map(|place| self.links.get(*place as usize))
    }

    pub(crate) fn down_links(&self, node: Node) -> &[Link] {
        self.links.get(range(&self.down, node)).unwrap_or_default()
    }

    /// What runs showed to be wrong with a node at an instant, as was known
    /// then, and since when. What is older than `max_age` says nothing any more.
    pub fn trouble(
        &self,
        node: Node,
        at: Timestamp,
        max_age: TimeSpan,
    ) -> Option<(Timestamp, &str)> {
        let (since, what) = self.troubles.get(&node)?.at(at)?;
        (since + max_age >= at).then_some((since, what))
    }

    /// Who owned a node at an instant by what runs said, and the instants
    /// `[from, until)` between which that is so.
    pub fn owners(&self, node: Node, at: Timestamp) -> (&[String], Timestamp, Timestamp) {
        let (always, never) = (Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));
        let Some(all) = self.owners.get(&node) else { return (&[], always, never) };
        let next = all.partition_point(|(from, _)| *from <= at);
        let until = all.get(next).map_or(never, |(from, _)| *from);
        match next.checked_sub(1).and_then(|last| all.get(last)) {
            Some((from, owners)) => (owners, *from, until),
            None => (&[], always, until),
        }
    }
}

fn neighbour(link: &Link, node: Node, at: Timestamp, max_age: TimeSpan) -> Neighbour {
    let history = link.history.as_deref();
    Neighbour {
        node,
        state: link.state(at, max_age),
        first_seen: history.and_then(History::first_seen),
        last_seen: history.and_then(|history| history.last_seen(at)),
    }
}

fn range(begins: &[u32], node: Node) -> std::ops::Range<usize> {
    let place = node as usize;
    match (begins.get(place), begins.get(place + 1)) {
        (Some(from), Some(to)) => *from as usize..*to as usize,
        _ => 0..0,
    }
}
