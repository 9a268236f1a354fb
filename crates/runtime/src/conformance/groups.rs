//! Checks of groups: who reads what, and what a change of hands leaves behind.

use std::collections::BTreeMap;

use watchkeep_model::position::Partition;

use super::transactions::next_offsets;
use super::{
    Harness, POLLS_MAX, Told, assigned, commit, holding, open, poll, produce, read, record,
    records, texts,
};
use crate::log::{Log, LogError, Outgoing, Transaction};

/// Every group reads everything, from its own positions.
pub fn groups_do_not_share_positions(harness: &mut dyn Harness) {
    let input = harness.create_topic("in", 2);
    produce(harness, (0..6).map(|i| record(&input, i % 2, &i.to_string())).collect());
    let mut first = open(harness, "first", &[&input], "first-0");
    let found = read(first.as_mut(), 6);
    commit(first.as_mut(), next_offsets(&found), vec![]);
    let mut second = open(harness, "second", &[&input], "second-0");
    let mut also = read(second.as_mut(), 6);
    let by_place = |r: &super::Kept| (r.partition.clone(), r.offset);
    also.sort_by_key(by_place);
    let mut found = found;
    found.sort_by_key(by_place);
    assert_eq!(also, found);
    harness.crash(second);
    let mut second = open(harness, "second", &[&input], "second-0");
    assert!(assigned(second.as_mut(), 2).values().all(|position| *position == 0));
}

/// Two members have every partition once; when one leaves the other has all,
/// from the committed positions.
pub fn members_share_the_partitions(harness: &mut dyn Harness) {
    let input = harness.create_topic("in", 4);
    produce(harness, (0..8).map(|i| record(&input, i % 4, &i.to_string())).collect());
    let mut first = open(harness, "stage", &[&input], "stage-0");
    let found = read(first.as_mut(), 8);
    commit(first.as_mut(), next_offsets(&found), vec![]);
    let second = open(harness, "stage", &[&input], "stage-1");
    let mut members = Members::new(vec![first, second]);
    // The first has had everything, and what it keeps is not assigned anew by every log.
    let had = next_offsets(&found);
    members.told[0].extend(had.iter().map(|(p, at)| Told::Assigned(p.clone(), *at)));
    members.poll_until("an even split", |held| held.iter().all(|one| one.len() == 2));
    let all: BTreeMap<_, _> = members.held().into_iter().flatten().collect();
    assert_eq!(
        all.into_iter().collect::<Vec<_>>(),
        next_offsets(&found),
        "positions are the committed ones"
    );

    let leaver = members.logs.remove(1);
    members.told.remove(1);
    harness.crash(leaver);
    members.poll_until("everything back", |held| held[0].len() == 4);
    let held = members.held().remove(0);
    assert_eq!(held.into_iter().collect::<Vec<_>>(), next_offsets(&found));
}

/// What was read and not committed comes again after partitions changed
/// hands, also from those that stayed.
pub fn a_revocation_drops_uncommitted_work(harness: &mut dyn Harness) {
    let input = harness.create_topic("in", 4);
    produce(harness, (0..12).map(|i| record(&input, i % 4, &i.to_string())).collect());
    let mut first = open(harness, "stage", &[&input], "stage-0");
    let mut found = read(first.as_mut(), 12);
    let second = open(harness, "stage", &[&input], "stage-1");
    let mut members = Members::new(vec![first, second]);
    members.told[0].extend((0..4).map(|n| Told::Assigned(Partition::new(input.as_str(), n), 0)));
    members.poll_until("an even split", |held| held.iter().all(|one| one.len() == 2));
    let wanted = found.len();
    for _ in 0..POLLS_MAX {
        if members.records_since_assigned().len() >= wanted {
            break;
        }
        members.poll();
    }
    let mut again = members.records_since_assigned();
    again.sort_by_key(|r| (r.partition.clone(), r.offset));
    found.sort_by_key(|r| (r.partition.clone(), r.offset));
    assert_eq!(again, found);
}

/// A member that has been told that a partition went cannot commit it.
pub fn a_partition_that_went_cannot_be_committed(harness: &mut dyn Harness) {
    let (input, out) = (harness.create_topic("in", 2), harness.create_topic("out", 1));
    produce(harness, (0..4).map(|i| record(&input, i % 2, &i.to_string())).collect());
    let mut first = open(harness, "stage", &[&input], "stage-0");
    let found = read(first.as_mut(), 4);
    let second = open(harness, "stage", &[&input], "stage-1");
    let mut members = Members::new(vec![first, second]);
    members.told[0].extend((0..2).map(|n| Told::Assigned(Partition::new(input.as_str(), n), 0)));
    members.poll_until("an even split", |held| held.iter().all(|one| one.len() == 1));
    let records = vec![record(&out, 0, "never")];
    let positions = next_offsets(&found);
    let outcome = members.logs[0].commit(Transaction { positions, records });
    assert!(matches!(outcome, Err(LogError::Aborted(_))), "{outcome:?}");
    let log = members.logs[0].as_mut();
    assert_eq!(texts(log, &Partition::new(out.as_str(), 0)), [] as [&str; 0]);
}

/// While members join, leave and crash, each record yields one result.
pub fn every_record_counts_once_while_members_come_and_go(harness: &mut dyn Harness) {
    let (input, out) = (harness.create_topic("in", 4), harness.create_topic("out", 1));
    let results = Partition::new(out.as_str(), 0);
    let total = 200;
    let mut stages = vec![Stage::new(open(harness, "stage", &[&input], "stage-0"), &out)];
    let mut produced = 0;
    for round in 0.. {
        assert!(round < POLLS_MAX, "not all records were processed in time");
        if produced < total {
            let some = (0..20).map(|i| record(&input, i % 4, &(produced + i).to_string()));
            produce(harness, some.collect());
            produced += 20;
        }
        match round {
            2 => stages.push(Stage::new(open(harness, "stage", &[&input], "stage-1"), &out)),
            // A crash with work in hand; another instance takes the place.
            4 => {
                let old = stages.remove(0);
                harness.crash(old.log);
                stages.push(Stage::new(open(harness, "stage", &[&input], "stage-0"), &out));
            }
            7 => harness.crash(stages.remove(0).log),
            _ => {}
        }
        for stage in &mut stages {
            stage.step();
        }
        if produced == total && texts(stages[0].log.as_mut(), &results).len() >= 200 {
            break;
        }
    }
    let mut seen: Vec<i32> = texts(stages[0].log.as_mut(), &results)
        .iter()
        .map(|text| text.parse().unwrap_or(-1))
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..total).collect::<Vec<_>>());
}

/// A stage in small: one result per record, all of its uncommitted work
/// dropped when the log says so.
struct Stage {
    log: Box<dyn Log>,
    out: String,
    positions: BTreeMap<Partition, i64>,
    results: Vec<Outgoing>,
    polls: usize,
}

impl Stage {
    fn new(log: Box<dyn Log>, out: &str) -> Self {
        let out = out.to_owned();
        Self { log, out, positions: BTreeMap::new(), results: vec![], polls: 0 }
    }

    /// Polls, and commits at every second poll, so that work is in hand in between.
    fn step(&mut self) {
        for event in poll(self.log.as_mut()).unwrap_or_else(|error| panic!("a stage: {error}")) {
            match event {
                Told::Revoked(_) => self.drop_work(),
                Told::Record(record) => {
                    self.results.push(super::record(&self.out, 0, &record.text()));
                    self.positions.insert(record.partition, record.offset + 1);
                }
                Told::Assigned(..) | Told::CaughtUp(..) => {}
            }
        }
        self.polls += 1;
        if self.polls.is_multiple_of(2) {
            let positions = std::mem::take(&mut self.positions).into_iter().collect();
            let records = std::mem::take(&mut self.results);
            match self.log.commit(Transaction { positions, records }) {
                Ok(()) => {}
                Err(LogError::Aborted(_)) => self.drop_work(),
                Err(error) => panic!("a stage's commit: {error}"),
            }
        }
    }

    fn drop_work(&mut self) {
        self.positions.clear();
        self.results.clear();
    }
}

/// Sessions of one group, polled in turn as their processes would.
struct Members {
    logs: Vec<Box<dyn Log>>,
    told: Vec<Vec<Told>>,
}

impl Members {
    fn new(logs: Vec<Box<dyn Log>>) -> Self {
        let told = logs.iter().map(|_| Vec::new()).collect();
        Self { logs, told }
    }

    fn poll(&mut self) {
        for (log, told) in self.logs.iter_mut().zip(&mut self.told) {
            told.extend(poll(log.as_mut()).unwrap_or_else(|error| panic!("a member: {error}")));
        }
    }

    fn held(&self) -> Vec<BTreeMap<Partition, i64>> {
        self.told.iter().map(|told| holding(told)).collect()
    }

    fn poll_until(&mut self, what: &str, done: impl Fn(&[BTreeMap<Partition, i64>]) -> bool) {
        for _ in 0..POLLS_MAX {
            if done(&self.held()) {
                return;
            }
            self.poll();
        }
        panic!("{what} did not come: {:?}", self.told);
    }

    /// The records of each member since it was last told of an assignment.
    fn records_since_assigned(&self) -> Vec<super::Kept> {
        let since = |told: &Vec<Told>| {
            let last = told.iter().rposition(|event| matches!(event, Told::Revoked(_)));
            records(&told[last.map_or(0, |at| at + 1)..])
        };
        self.told.iter().flat_map(since).collect()
    }
}
