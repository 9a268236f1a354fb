//! Incidents by identifier, and maps that are looked up and never gone through.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxBuildHasher;

use crate::state::Incident;

/// A map for looking up alone: whoever wants an order keeps one beside it.
#[expect(clippy::disallowed_types, reason = "only looked up; nothing leaves in its order")]
pub(super) type Lookup<K, V> = std::collections::HashMap<K, V, FxBuildHasher>;

/// Incidents by identifier. One of 100,000 is found with a hash and a
/// comparison; a tree compares seventeen texts, each of which lies elsewhere.
#[derive(Clone, Debug, Default)]
pub(super) struct Incidents {
    by_id: Lookup<Arc<str>, Box<Incident>>,
    order: BTreeSet<Arc<str>>,
}

impl Incidents {
    pub(super) fn get(&self, id: &str) -> Option<&Incident> {
        self.by_id.get(id).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Incident> {
        self.by_id.get_mut(id).map(Box::as_mut)
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    pub(super) fn insert(&mut self, incident: Incident) {
        let id: Arc<str> = incident.id.as_str().into();
        self.order.insert(Arc::clone(&id));
        self.by_id.insert(id, Box::new(incident));
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.order.remove(id);
        self.by_id.remove(id);
    }

    /// All of them, by identifier.
    pub(super) fn values(&self) -> impl Iterator<Item = &Incident> {
        self.order.iter().filter_map(|id| self.get(id))
    }

    /// Identifiers that begin so, in order.
    pub(super) fn beginning_with<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        let from = (std::ops::Bound::Included(text), std::ops::Bound::Unbounded);
        let ids = self.order.range::<str, _>(from).map(AsRef::as_ref);
        ids.take_while(move |id: &&str| id.starts_with(text))
    }
}

/// An identifier in an order: that of its text, whose beginning lies beside it,
/// so that most comparisons need not look at the text itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ordered {
    head: [u8; 16],
    text: Arc<str>,
}

impl Ordered {
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

impl From<&str> for Ordered {
    fn from(text: &str) -> Self {
        let mut head = [0; 16];
        head.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
        Self { head, text: text.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::Ordered;

    #[test]
    fn identifiers_are_ordered_as_their_texts() {
        let long = "0123456789abcdef";
        let texts = ["", "\0", "a", "a\0", "a\0b", "ab", "b", long, "0123456789abcdef0", "ä"];
        for (one, other) in texts.iter().flat_map(|one| texts.map(|other| (*one, other))) {
            assert_eq!(
                Ordered::from(one).cmp(&Ordered::from(other)),
                one.cmp(other),
                "{one:?} {other:?}"
            );
        }
    }
}
