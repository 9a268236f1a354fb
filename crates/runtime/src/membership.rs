//! Who reads which partition, for logs that live in one process.
//!
//! Kafka's group coordinator does this for Kafka. The embedded and the
//! in-memory log share this smaller one, so that both show what Kafka shows:
//! every change of a group starts a new generation, and whoever has not yet
//! been told of it cannot commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watchkeep_model::position::Partition;

use crate::log::LogError;

/// The groups of one log and the instances that may commit to it.
#[derive(Debug, Default)]
pub struct Membership {
    groups: BTreeMap<Arc<str>, Group>,
    /// The epoch of each transactional id; an older one is fenced.
    epochs: BTreeMap<Arc<str>, u64>,
}

#[derive(Debug, Default)]
struct Group {
    generation: u64,
    /// Turns the order of the members, so that a forced reassignment moves partitions.
    turns: usize,
    /// The topics of each member, by its transactional id.
    members: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
}

/// What a session holds to prove who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    group: Arc<str>,
    transactional_id: Arc<str>,
    epoch: u64,
}

impl Ticket {
    /// The group that the session is a member of.
    pub fn group(&self) -> &Arc<str> {
        &self.group
    }
}

impl Membership {
    /// Takes an instance into a group. An earlier instance with the same
    /// transactional id is fenced and leaves its group at once.
    pub fn join(&mut self, group: &str, transactional_id: &str, topics: &[&str]) -> Ticket {
        self.fence(transactional_id);
        let ticket = Ticket {
            group: group.into(),
            transactional_id: transactional_id.into(),
            epoch: self.epochs.get(transactional_id).copied().unwrap_or_default(),
        };
        let entry = self.groups.entry(ticket.group.clone()).or_default();
        entry.generation += 1;
        let topics = topics.iter().map(|topic| Arc::from(*topic)).collect();
        entry.members.insert(ticket.transactional_id.clone(), topics);
        ticket
    }

    /// The session is gone; its partitions go to the members that remain.
    pub fn leave(&mut self, ticket: &Ticket) {
        if self.generation(ticket).is_ok() {
            self.expel(&ticket.transactional_id);
        }
    }

    /// Ends the right to commit of whoever holds this transactional id.
    pub fn fence(&mut self, transactional_id: &str) {
        *self.epochs.entry(transactional_id.into()).or_default() += 1;
        self.expel(transactional_id);
    }

    /// Starts a new generation of a group in which partitions change hands
    /// where there is more than one member.
    pub fn reassign(&mut self, group: &str) {
        if let Some(group) = self.groups.get_mut(group) {
            group.generation += 1;
            group.turns += 1;
        }
    }

    /// Starts a new generation of every group: a topic has other partitions now.
    pub fn renew(&mut self) {
        for group in self.groups.values_mut() {
            group.generation += 1;
        }
    }

    /// The current generation of the session's group. A session that has not
    /// been told of it must not commit.
    ///
    /// # Errors
    /// [`LogError::Fenced`] where a newer instance has taken the place.
    pub fn generation(&self, ticket: &Ticket) -> Result<u64, LogError> {
        if self.epochs.get(&ticket.transactional_id) != Some(&ticket.epoch) {
            return Err(LogError::Fenced(ticket.transactional_id.to_string()));
        }
        Ok(self.groups.get(&ticket.group).map_or(0, |group| group.generation))
    }

    /// The partitions of the session in the current generation, in order: of
    /// each topic an even, contiguous range, so that the same numbers of
    /// several topics meet in one instance.
    pub fn assignment(
        &self,
        ticket: &Ticket,
        partition_count: impl Fn(&str) -> i32,
    ) -> BTreeSet<Partition> {
        let mut assigned = BTreeSet::new();
        let Some(group) = self.groups.get(&ticket.group) else { return assigned };
        let Some(topics) = group.members.get(&ticket.transactional_id) else { return assigned };
        for topic in topics {
            let mut readers: Vec<&Arc<str>> = group
                .members
                .iter()
                .filter(|(_, topics)| topics.contains(topic))
                .map(|(id, _)| id)
                .collect();
            let turns = group.turns % readers.len();
            readers.rotate_left(turns);
            let Some(rank) = readers.iter().position(|id| **id == ticket.transactional_id) else {
                continue;
            };
            let count = usize::try_from(partition_count(topic)).unwrap_or(0);
            let (from, to) = (rank * count / readers.len(), (rank + 1) * count / readers.len());
            assigned.extend(
                (from..to)
                    .filter_map(|number| i32::try_from(number).ok())
                    .map(|number| Partition::new(topic.clone(), number)),
            );
        }
        assigned
    }

    fn expel(&mut self, transactional_id: &str) {
        for group in self.groups.values_mut() {
            if group.members.remove(transactional_id).is_some() {
                group.generation += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(membership: &Membership, ticket: &Ticket) -> Vec<i32> {
        membership.assignment(ticket, |_| 5).iter().map(|p| p.partition).collect()
    }

    #[test]
    fn partitions_are_split_and_handed_over() {
        let mut membership = Membership::default();
        let first = membership.join("g", "a", &["t"]);
        assert_eq!(numbers(&membership, &first), [0, 1, 2, 3, 4]);
        let second = membership.join("g", "b", &["t"]);
        assert_eq!(numbers(&membership, &first), [0, 1]);
        assert_eq!(numbers(&membership, &second), [2, 3, 4]);
        membership.reassign("g");
        assert_eq!(numbers(&membership, &first), [2, 3, 4]);
        membership.leave(&second);
        assert_eq!(numbers(&membership, &first), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_new_instance_fences_the_old_one() {
        let mut membership = Membership::default();
        let old = membership.join("g", "a", &["t"]);
        let before = membership.generation(&old).unwrap();
        let new = membership.join("g", "a", &["t"]);
        assert!(matches!(membership.generation(&old), Err(LogError::Fenced(_))));
        assert!(membership.generation(&new).unwrap() > before);
        // What the old one does at its end must not touch the new one.
        membership.leave(&old);
        assert_eq!(numbers(&membership, &new), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_member_gets_partitions_of_its_own_topics_only() {
        let mut membership = Membership::default();
        let first = membership.join("g", "a", &["t", "u"]);
        let second = membership.join("g", "b", &["u"]);
        let mine = membership.assignment(&first, |_| 2);
        assert_eq!(
            mine.into_iter().collect::<Vec<_>>(),
            [Partition::new("t", 0), Partition::new("t", 1), Partition::new("u", 0)]
        );
        assert_eq!(numbers(&membership, &second), [2, 3, 4]);
    }
}
