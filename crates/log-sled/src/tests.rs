//! The conformance suite on sled, and what only a store on a disk can show.

use std::time::{Duration, Instant};

use tempfile::TempDir;
use watchkeep_model::position::Partition;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::conformance::Harness;
use watchkeep_runtime::log::{Event, Log, LogError, Outgoing, Transaction};

use crate::appender::SledAppender;
use crate::store::SledStore;

struct Sled {
    _folder: TempDir,
    store: SledStore,
}

impl Sled {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SledStore::open(folder.path()).unwrap();
        Self { _folder: folder, store }
    }
}

impl Harness for Sled {
    fn create_topic(&mut self, name: &str, partition_count: i32) -> String {
        self.store.create_topic(name, partition_count).unwrap();
        name.to_owned()
    }

    fn session(
        &mut self,
        group: &str,
        topics: &[&str],
        transactional_id: &str,
    ) -> Result<Box<dyn Log>, LogError> {
        Ok(Box::new(self.store.session(group, topics, transactional_id)?))
    }

    // There is no transaction before its commit.
    fn begin(&mut self, _records: Vec<Outgoing>) {}

    fn abort(&mut self) {}

    fn headers(&mut self, partition: &Partition, offset: i64) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        self.store
            .read(partition, offset, offset + 1, &mut |entry| {
                found = entry
                    .headers()
                    .map(|(name, value)| {
                        (String::from_utf8(name.to_vec()).unwrap(), value.to_vec())
                    })
                    .collect();
            })
            .unwrap();
        found
    }
}

mod conformance {
    use super::*;
    watchkeep_runtime::conformance_tests!(Sled::new());
}

fn outgoing(value: &str) -> Outgoing {
    Outgoing {
        topic: "t".into(),
        partition: None,
        key: None,
        value: value.as_bytes().to_vec(),
        headers: vec![],
    }
}

fn texts(store: &SledStore, number: i32) -> Vec<String> {
    let mut found = Vec::new();
    store
        .read(&Partition::new("t", number), 0, i64::MAX, &mut |entry| {
            found.push(String::from_utf8_lossy(entry.value).into_owned());
        })
        .unwrap();
    found
}

#[test]
fn everything_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = SledStore::open(folder.path()).unwrap();
        assert_eq!(store.create_topic("t", 2), Ok(true));
        assert_eq!(store.create_topic("t", 2), Ok(false));
        assert!(matches!(store.create_topic("t", 3), Err(LogError::Fatal(_))));
        let mut log = store.session("g", &["t"], "i").unwrap();
        log.poll(TimeSpan::ZERO, &mut |_| {}).unwrap();
        let positions = vec![(Partition::new("t", 1), 7)];
        let records = vec![outgoing("a"), outgoing("b"), outgoing("c")];
        log.commit(Transaction { positions, records }).unwrap();
    }
    let store = crate::settle::tests::opened(folder.path()).unwrap();
    assert_eq!(store.topics(), Ok(vec![("t".into(), 2)]));
    assert_eq!(texts(&store, 0), ["a", "c"]);
    assert_eq!(texts(&store, 1), ["b"]);
    let mut log = store.session("g", &["t"], "i").unwrap();
    let mut positions = Vec::new();
    log.poll(TimeSpan::ZERO, &mut |event| {
        if let Event::Assigned { position, .. } = event {
            positions.push(position);
        }
    })
    .unwrap();
    assert_eq!(positions, [0, 7]);
}

#[test]
fn a_folder_in_use_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let _holder = SledStore::open(folder.path()).unwrap();
    let Err(LogError::Fatal(why)) = SledStore::open(folder.path()) else { panic!("opened twice") };
    assert!(why.contains("another process holds it"), "{why}");
    assert!(why.contains(folder.path().to_str().unwrap()), "{why}");
}

#[test]
fn a_waiting_poll_wakes_up_for_records_and_for_changes_of_the_group() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path()).unwrap();
    store.create_topic("t", 1).unwrap();
    let mut log = store.session("g", &["t"], "i").unwrap();
    // The assignment and the end of the empty partition are told at once.
    log.poll(TimeSpan::MINUTE, &mut |_| {}).unwrap();
    log.poll(TimeSpan::MINUTE, &mut |_| {}).unwrap();
    let started = Instant::now();
    let (mut records, mut revoked) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            let mut appender = SledAppender::new(store.clone());
            appender.append(outgoing("a"), None).unwrap();
            appender.flush().unwrap();
        });
        log.poll(TimeSpan::MINUTE, &mut |event| {
            records += usize::from(matches!(event, Event::Record(_)));
        })
        .unwrap();
    });
    std::thread::scope(|scope| {
        let (store, log) = (&store, &mut log);
        let joined = scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            store.session("g", &["t"], "j")
        });
        log.poll(TimeSpan::MINUTE, &mut |event| {
            revoked += usize::from(matches!(event, Event::Revoked { .. }));
        })
        .unwrap();
        joined.join().unwrap().unwrap();
    });
    assert_eq!((records, revoked), (1, 1));
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn an_appender_writes_together_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path()).unwrap();
    store.create_topic("t", 1).unwrap();
    let mut appender = SledAppender::new(store.clone());
    appender.append(outgoing("a"), Some("2013-05-06".parse().unwrap())).unwrap();
    appender.append(Outgoing { topic: "u".into(), ..outgoing("b") }, None).unwrap();
    assert_eq!(appender.flush(), Err(LogError::NoTopic("u".to_owned())));
    assert_eq!(texts(&store, 0), [] as [&str; 0]);
    appender.append(outgoing("c"), Some("2013-05-06".parse().unwrap())).unwrap();
    appender.flush().unwrap();
    let mut times = Vec::new();
    let zero = Partition::new("t", 0);
    store.read(&zero, 0, 9, &mut |entry| times.push(entry.timestamp.to_string())).unwrap();
    assert_eq!(times, ["2013-05-06T00:00:00Z"]);
}
