//! Checks of commits: all or nothing, read by nobody before, fenced, durable.

use watchkeep_model::position::Partition;

use super::{
    Harness, Kept, assigned, commit, expect_quiet, open, produce, read, record, scan, texts,
};
use crate::log::{LogError, Transaction};

/// Positions and records of several partitions and topics hold together, for
/// readers and for the next session.
pub fn a_commit_holds_positions_and_records(harness: &mut dyn Harness) {
    let input = harness.create_topic("in", 2);
    let (out, more) = (harness.create_topic("out", 2), harness.create_topic("more", 1));
    produce(harness, (0..8).map(|i| record(&input, i % 2, &i.to_string())).collect());
    let mut log = open(harness, "stage", &[&input], "stage-0");
    let found = read(log.as_mut(), 8);
    let positions = next_offsets(&found);
    let results = vec![record(&out, 0, "a"), record(&more, 0, "b"), record(&out, 1, "c")];
    commit(log.as_mut(), positions.clone(), results);
    expect_quiet(log.as_mut());
    harness.crash(log);

    let mut log = open(harness, "stage", &[&input], "stage-0");
    assert_eq!(assigned(log.as_mut(), 2).into_iter().collect::<Vec<_>>(), positions);
    expect_quiet(log.as_mut());
    assert_eq!(texts(log.as_mut(), &Partition::new(out.as_str(), 0)), ["a"]);
    assert_eq!(texts(log.as_mut(), &Partition::new(out.as_str(), 1)), ["c"]);
    assert_eq!(texts(log.as_mut(), &Partition::new(more.as_str(), 0)), ["b"]);
}

/// A crash before the commit changes nothing: the same records come again.
pub fn uncommitted_work_is_delivered_again(harness: &mut dyn Harness) {
    let input = harness.create_topic("in", 1);
    let zero = Partition::new(input.as_str(), 0);
    produce(harness, (0..5).map(|i| record(&input, 0, &i.to_string())).collect());
    let mut log = open(harness, "stage", &[&input], "stage-0");
    let found = read(log.as_mut(), 5);
    harness.crash(log);

    let mut log = open(harness, "stage", &[&input], "stage-0");
    assert_eq!(read(log.as_mut(), 5), found);
    commit(log.as_mut(), vec![(zero, found[2].offset)], vec![]);
    harness.crash(log);

    let mut log = open(harness, "stage", &[&input], "stage-0");
    assert_eq!(read(log.as_mut(), 3), found[2..]);
}

/// After an abort nothing was appended, and delivery is back at the commit.
pub fn an_aborted_commit_leaves_nothing(harness: &mut dyn Harness) {
    let (input, out) = (harness.create_topic("in", 2), harness.create_topic("out", 1));
    let results = Partition::new(out.as_str(), 0);
    produce(harness, (0..6).map(|i| record(&input, i % 2, &i.to_string())).collect());
    let mut log = open(harness, "stage", &[&input], "stage-0");
    let found = read(log.as_mut(), 6);
    let of_zero: Vec<Kept> = found.iter().filter(|r| r.partition.partition == 0).cloned().collect();
    commit(log.as_mut(), vec![(of_zero[0].partition.clone(), of_zero[1].offset)], vec![]);

    // A partition that is not this session's must not be committed by it.
    let mut positions = next_offsets(&found);
    positions.push((Partition::new(input.as_str(), 9), 1));
    let records = vec![record(&out, 0, "never")];
    let outcome = log.commit(Transaction { positions, records });
    assert!(matches!(outcome, Err(LogError::Aborted(_))), "{outcome:?}");
    assert_eq!(texts(log.as_mut(), &results), [] as [&str; 0]);

    let mut again = read(log.as_mut(), 5);
    again.sort_by_key(|r| (r.partition.partition, r.offset));
    let mut wanted: Vec<Kept> = found.into_iter().filter(|r| *r != of_zero[0]).collect();
    wanted.sort_by_key(|r| (r.partition.partition, r.offset));
    assert_eq!(again, wanted);

    commit(log.as_mut(), next_offsets(&again), vec![record(&out, 0, "once")]);
    assert_eq!(texts(log.as_mut(), &results), ["once"]);
}

/// What others began and have not committed, or have aborted, is never seen.
pub fn open_and_aborted_transactions_are_never_read(harness: &mut dyn Harness) {
    let input = harness.create_topic("in", 1);
    let zero = Partition::new(input.as_str(), 0);
    produce(harness, vec![record(&input, 0, "before")]);
    harness.begin((0..50).map(|_| record(&input, 0, "never")).collect());

    let mut log = open(harness, "readers", &[&input], "reader");
    let before = read(log.as_mut(), 1);
    assert_eq!(before[0].text(), "before");
    expect_quiet(log.as_mut());
    assert_eq!(texts(log.as_mut(), &zero), ["before"]);

    harness.abort();
    expect_quiet(log.as_mut());
    produce(harness, vec![record(&input, 0, "after")]);
    let after = read(log.as_mut(), 1);
    assert_eq!(after[0].text(), "after");
    assert_eq!(texts(log.as_mut(), &zero), ["before", "after"]);
    // A scan that starts among aborted records passes over them.
    assert_eq!(scan(log.as_mut(), &zero, before[0].offset + 1, after[0].offset + 1), after);
    expect_quiet(log.as_mut());
}

/// A newer instance with the same transactional id ends the older one's right
/// to commit, whatever that one had in hand.
pub fn a_fenced_instance_cannot_commit(harness: &mut dyn Harness) {
    let (input, out) = (harness.create_topic("in", 1), harness.create_topic("out", 1));
    let results = Partition::new(out.as_str(), 0);
    produce(harness, (0..4).map(|i| record(&input, 0, &i.to_string())).collect());
    let mut old = open(harness, "stage", &[&input], "stage-0");
    let found = read(old.as_mut(), 4);
    commit(old.as_mut(), vec![(found[0].partition.clone(), found[1].offset)], vec![]);

    let mut new = open(harness, "stage", &[&input], "stage-0");
    let records = vec![record(&out, 0, "zombie")];
    let outcome = old.commit(Transaction { positions: next_offsets(&found), records });
    assert!(matches!(outcome, Err(LogError::Fenced(_))), "{outcome:?}");
    let records = vec![record(&out, 0, "zombie without positions")];
    let outcome = old.commit(Transaction { positions: vec![], records });
    assert!(matches!(outcome, Err(LogError::Fenced(_))), "still fenced: {outcome:?}");

    let again = read(new.as_mut(), 3);
    assert_eq!(again, found[1..]);
    commit(new.as_mut(), next_offsets(&again), vec![record(&out, 0, "heir")]);
    // The end of the old session must not disturb the new one.
    harness.crash(old);
    commit(new.as_mut(), vec![], vec![record(&out, 0, "heir again")]);
    assert_eq!(texts(new.as_mut(), &results), ["heir", "heir again"]);
}

/// Nothing to commit is no commit.
pub fn an_empty_transaction_is_nothing(harness: &mut dyn Harness) {
    let input = harness.create_topic("in", 1);
    let zero = Partition::new(input.as_str(), 0);
    produce(harness, vec![record(&input, 0, "a")]);
    let mut log = open(harness, "stage", &[&input], "stage-0");
    let found = read(log.as_mut(), 1);
    let bounds = log.bounds(&zero).unwrap();
    for _ in 0..3 {
        commit(log.as_mut(), vec![], vec![]);
    }
    assert_eq!(log.bounds(&zero).unwrap(), bounds);
    expect_quiet(log.as_mut());
    commit(log.as_mut(), next_offsets(&found), vec![]);
    harness.crash(log);
    let mut log = open(harness, "stage", &[&input], "stage-0");
    assert_eq!(assigned(log.as_mut(), 1).get(&zero), Some(&(found[0].offset + 1)));
}

/// A record that has nowhere to go takes the whole transaction with it.
pub fn a_commit_to_a_missing_topic_leaves_nothing(harness: &mut dyn Harness) {
    let (input, out) = (harness.create_topic("in", 1), harness.create_topic("out", 1));
    produce(harness, vec![record(&input, 0, "a")]);
    let mut log = open(harness, "stage", &[&input], "stage-0");
    let found = read(log.as_mut(), 1);
    let outcome = log.commit(Transaction {
        positions: next_offsets(&found),
        records: vec![record(&out, 0, "never"), record("no-such-topic", 0, "x")],
    });
    assert_eq!(outcome, Err(LogError::NoTopic("no-such-topic".to_owned())));
    harness.crash(log);
    let mut log = open(harness, "stage", &[&input], "stage-0");
    let again = read(log.as_mut(), 1);
    assert_eq!(again, found);
    let records = vec![record(&out, 0, "never"), record(&out, 3, "x")];
    let outcome = log.commit(Transaction { positions: next_offsets(&found), records });
    assert!(matches!(outcome, Err(LogError::Fatal(_))), "{outcome:?}");
    let mut log = open(harness, "stage", &[&input], "stage-0");
    assert_eq!(texts(log.as_mut(), &Partition::new(out.as_str(), 0)), [] as [&str; 0]);
    assert_eq!(read(log.as_mut(), 1), found);
}

/// Per partition, the offset after the last of these records.
pub(crate) fn next_offsets(records: &[Kept]) -> Vec<(Partition, i64)> {
    let mut next = std::collections::BTreeMap::new();
    for record in records {
        next.insert(record.partition.clone(), record.offset + 1);
    }
    next.into_iter().collect()
}
