//! The conformance suite in memory, and the faults on request.

use watchkeep_runtime::conformance::Harness;

use super::*;

struct Memory {
    store: MemoryStore,
}

impl Harness for Memory {
    fn create_topic(&mut self, name: &str, partition_count: i32) -> String {
        self.store.create_topic(name, partition_count);
        name.to_owned()
    }

    fn session(
        &mut self,
        group: &str,
        topics: &[&str],
        transactional_id: &str,
    ) -> Result<Box<dyn Log>, LogError> {
        let session = self.store.session(group, topics, transactional_id)?;
        Ok(Box::new(session))
    }

    // There is no transaction before its commit.
    fn begin(&mut self, _records: Vec<Outgoing>) {}

    fn abort(&mut self) {}

    fn headers(&mut self, partition: &Partition, offset: i64) -> Vec<(String, Vec<u8>)> {
        let records = self.store.records(partition);
        records.iter().find(|record| record.offset == offset).map(|r| r.headers.clone()).unwrap()
    }
}

mod without_gaps {
    use super::*;
    watchkeep_runtime::conformance_tests!(Memory { store: MemoryStore::new() });
}

mod with_markers {
    use super::*;
    watchkeep_runtime::conformance_tests!(Memory { store: MemoryStore::with_markers() });
}

fn store() -> MemoryStore {
    let store = MemoryStore::new();
    store.create_topic("t", 2);
    store
}

fn outgoing(partition: i32) -> Outgoing {
    Outgoing {
        topic: "t".into(),
        partition: Some(partition),
        key: None,
        value: vec![1],
        headers: vec![],
    }
}

/// The shape of what one poll tells, for a test to compare.
fn told(log: &mut MemoryLog) -> Vec<String> {
    let mut told = Vec::new();
    let outcome = log.poll(TimeSpan::ZERO, &mut |event| {
        told.push(match event {
            Event::Assigned { partition, position } => {
                format!("assigned {} {position}", partition.partition)
            }
            Event::Revoked { partition } => format!("revoked {}", partition.partition),
            Event::Record(record) => {
                format!("record {} {}", record.partition.partition, record.offset)
            }
            Event::CaughtUp { partition, position } => {
                format!("caught up {} {position}", partition.partition)
            }
        });
    });
    outcome.unwrap();
    told
}

#[test]
fn an_injected_abort_rewinds_and_hits_once() {
    let store = store();
    store.append(&outgoing(0), Timestamp::default()).unwrap();
    let mut log = store.session("g", &["t"], "i").unwrap();
    assert_eq!(told(&mut log), ["assigned 0 0", "assigned 1 0"]);
    assert_eq!(told(&mut log), ["record 0 0", "caught up 0 1", "caught up 1 0"]);
    store.abort_next_commit("by the test");
    let work =
        Transaction { positions: vec![(Partition::new("t", 0), 1)], records: vec![outgoing(1)] };
    assert_eq!(log.commit(work.clone()), Err(LogError::Aborted("by the test".to_owned())));
    assert_eq!(told(&mut log), ["record 0 0", "caught up 1 0", "caught up 0 1"]);
    assert_eq!(log.commit(work), Ok(()));
    assert_eq!(store.records(&Partition::new("t", 1)).len(), 1);
    assert_eq!(store.committed("g").get(&Partition::new("t", 0)), Some(&1));
}

#[test]
fn an_injected_outage_passes() {
    let store = store();
    let mut log = store.session("g", &["t"], "i").unwrap();
    store.fail_next_poll("by the test");
    let outcome = log.poll(TimeSpan::ZERO, &mut |_| {});
    assert_eq!(outcome, Err(LogError::Unavailable("by the test".to_owned())));
    assert_eq!(told(&mut log), ["assigned 0 0", "assigned 1 0"]);
}

#[test]
fn an_injected_fence_ends_the_session() {
    let store = store();
    let mut log = store.session("g", &["t"], "i").unwrap();
    told(&mut log);
    store.fence("i");
    let work = Transaction { positions: vec![], records: vec![outgoing(0)] };
    assert_eq!(log.commit(work), Err(LogError::Fenced("i".to_owned())));
    assert!(matches!(log.poll(TimeSpan::ZERO, &mut |_| {}), Err(LogError::Fenced(_))));
}

#[test]
fn an_injected_reassignment_refuses_what_was_in_hand() {
    let store = store();
    let mut log = store.session("g", &["t"], "i").unwrap();
    let mut other = store.session("g", &["t"], "j").unwrap();
    assert_eq!(told(&mut log), ["assigned 0 0"]);
    assert_eq!(told(&mut other), ["assigned 1 0"]);
    store.reassign("g");
    let work = Transaction { positions: vec![(Partition::new("t", 0), 0)], records: vec![] };
    assert!(matches!(log.commit(work), Err(LogError::Aborted(_))));
    assert_eq!(told(&mut log), ["revoked 0", "assigned 1 0"]);
    assert_eq!(told(&mut other), ["revoked 1", "assigned 0 0"]);
}

#[test]
fn batches_are_as_small_as_asked_and_take_turns() {
    let store = store();
    store.set_batch_records_max(1);
    for number in [0, 0, 1] {
        store.append(&outgoing(number), Timestamp::default()).unwrap();
    }
    let mut log = store.session("g", &["t"], "i").unwrap();
    told(&mut log);
    assert_eq!(told(&mut log), ["record 0 0"]);
    assert_eq!(told(&mut log), ["record 1 0", "caught up 1 1"]);
    assert_eq!(told(&mut log), ["record 0 1", "caught up 0 2", "caught up 1 1"]);
}

#[test]
fn records_carry_the_time_that_the_store_was_told() {
    let store = store();
    let now: Timestamp = "2013-05-06T14:00:00Z".parse().unwrap();
    store.set_now(now);
    let mut log = store.session("g", &[], "i").unwrap();
    log.commit(Transaction { positions: vec![], records: vec![outgoing(0)] }).unwrap();
    assert_eq!(store.records(&Partition::new("t", 0))[0].timestamp, now);
}
