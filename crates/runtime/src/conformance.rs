//! The behaviour that every [`crate::log::Log`] must show: one suite, run
//! against the in-memory, the embedded and the Kafka log.
//!
//! An implementation gives a [`Harness`] and calls
//! [`crate::conformance_tests!`], which makes one test of every check. A check
//! panics with what was expected and what came.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchkeep_model::position::Partition;
use watchkeep_model::time::TimeSpan;

use crate::log::{CONTENT_TYPE, Event, Log, LogError, Outgoing, Record, Transaction};

pub mod delivery;
pub mod groups;
pub mod transactions;

/// What a log gives to be checked. Every harness stands for a log in which
/// the names that it hands out are not used by any other.
pub trait Harness {
    /// Creates a topic and tells the name that it really has.
    fn create_topic(&mut self, name: &str, partition_count: i32) -> String;

    /// Opens a session of a group of this harness.
    ///
    /// # Errors
    /// What the log answers; [`LogError::NoTopic`] is checked.
    fn session(
        &mut self,
        group: &str,
        topics: &[&str],
        transactional_id: &str,
    ) -> Result<Box<dyn Log>, LogError>;

    /// Ends a session without a commit, as a crash does.
    fn crash(&mut self, session: Box<dyn Log>) {
        drop(session);
    }

    /// Begins a transaction with these records by other means and leaves it
    /// open. A log that has no transaction before its commit does nothing.
    fn begin(&mut self, records: Vec<Outgoing>);

    /// Aborts what [`Harness::begin`] began.
    fn abort(&mut self);

    /// All headers of a stored record, in order, read by other means than [`Log`].
    fn headers(&mut self, partition: &Partition, offset: i64) -> Vec<(String, Vec<u8>)>;
}

/// How long one poll of a check waits.
pub const POLL_WAIT: TimeSpan = TimeSpan::from_micros(100_000);

/// Polls until what a check waits for must have come. At the limit the check
/// fails and shows what came instead; it is far above what a group of Kafka
/// needs to find out that a member is gone.
pub const POLLS_MAX: usize = 400;

/// Polls after which nothing more is expected to come.
pub const QUIET_POLLS: usize = 5;

/// A check by its name.
pub type Check = (&'static str, fn(&mut dyn Harness));

/// The checks of `conformance_tests!`, for a run that does something between
/// them, in the same order.
pub const CHECKS: [Check; 24] = [
    ("records_come_back_as_they_were", delivery::records_come_back_as_they_were),
    ("large_records_come_back", delivery::large_records_come_back),
    ("order_within_a_partition_holds", delivery::order_within_a_partition_holds),
    ("a_poll_hands_over_one_bounded_batch", delivery::a_poll_hands_over_one_bounded_batch),
    ("a_poll_hands_over_bounded_bytes", delivery::a_poll_hands_over_bounded_bytes),
    ("the_end_of_a_partition_is_told", delivery::the_end_of_a_partition_is_told),
    ("a_key_chooses_its_partition", delivery::a_key_chooses_its_partition),
    (
        "a_seek_moves_delivery_and_not_the_commit",
        delivery::a_seek_moves_delivery_and_not_the_commit,
    ),
    (
        "a_paused_partition_goes_on_when_it_is_resumed",
        delivery::a_paused_partition_goes_on_when_it_is_resumed,
    ),
    ("a_scan_reads_what_it_is_asked_for", delivery::a_scan_reads_what_it_is_asked_for),
    ("bounds_and_counts_tell_what_is_there", delivery::bounds_and_counts_tell_what_is_there),
    ("a_missing_topic_is_named", delivery::a_missing_topic_is_named),
    ("a_commit_holds_positions_and_records", transactions::a_commit_holds_positions_and_records),
    ("uncommitted_work_is_delivered_again", transactions::uncommitted_work_is_delivered_again),
    ("an_aborted_commit_leaves_nothing", transactions::an_aborted_commit_leaves_nothing),
    (
        "open_and_aborted_transactions_are_never_read",
        transactions::open_and_aborted_transactions_are_never_read,
    ),
    ("a_fenced_instance_cannot_commit", transactions::a_fenced_instance_cannot_commit),
    ("an_empty_transaction_is_nothing", transactions::an_empty_transaction_is_nothing),
    (
        "a_commit_to_a_missing_topic_leaves_nothing",
        transactions::a_commit_to_a_missing_topic_leaves_nothing,
    ),
    ("groups_do_not_share_positions", groups::groups_do_not_share_positions),
    ("members_share_the_partitions", groups::members_share_the_partitions),
    ("a_revocation_drops_uncommitted_work", groups::a_revocation_drops_uncommitted_work),
    (
        "a_partition_that_went_cannot_be_committed",
        groups::a_partition_that_went_cannot_be_committed,
    ),
    (
        "every_record_counts_once_while_members_come_and_go",
        groups::every_record_counts_once_while_members_come_and_go,
    ),
];

/// Makes one test of every check: `conformance_tests!(MyHarness::new());`.
#[macro_export]
macro_rules! conformance_tests {
    ($harness:expr) => {
        $crate::conformance_tests!(@ $harness; delivery:
            records_come_back_as_they_were,
            large_records_come_back,
            order_within_a_partition_holds,
            a_poll_hands_over_one_bounded_batch,
            a_poll_hands_over_bounded_bytes,
            the_end_of_a_partition_is_told,
            a_key_chooses_its_partition,
            a_seek_moves_delivery_and_not_the_commit,
            a_paused_partition_goes_on_when_it_is_resumed,
            a_scan_reads_what_it_is_asked_for,
            bounds_and_counts_tell_what_is_there,
            a_missing_topic_is_named,
        );
        $crate::conformance_tests!(@ $harness; transactions:
            a_commit_holds_positions_and_records,
            uncommitted_work_is_delivered_again,
            an_aborted_commit_leaves_nothing,
            open_and_aborted_transactions_are_never_read,
            a_fenced_instance_cannot_commit,
            an_empty_transaction_is_nothing,
            a_commit_to_a_missing_topic_leaves_nothing,
        );
        $crate::conformance_tests_of_groups!($harness);
    };
    (@ $harness:expr; $module:ident: $($check:ident,)*) => {
        $(
            #[test]
            fn $check() {
                $crate::conformance::$module::$check(&mut $harness);
            }
        )*
    };
}

/// As `conformance_tests!`, of the checks that depend on how partitions are
/// shared out, for a log that has several ways to do so.
#[macro_export]
macro_rules! conformance_tests_of_groups {
    ($harness:expr) => {
        $crate::conformance_tests!(@ $harness; groups:
            groups_do_not_share_positions,
            members_share_the_partitions,
            a_revocation_drops_uncommitted_work,
            a_partition_that_went_cannot_be_committed,
            every_record_counts_once_while_members_come_and_go,
        );
    };
}

/// An event that outlives its poll.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    Assigned(Partition, i64),
    Revoked(Partition),
    Record(Kept),
    CaughtUp(Partition, i64),
}

/// A record that outlives its poll.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept {
    pub(crate) partition: Partition,
    pub(crate) offset: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Vec<u8>,
    pub(crate) content_type: Option<String>,
}

impl Kept {
    fn of(record: &Record<'_>) -> Self {
        Self {
            partition: record.partition.clone(),
            offset: record.offset,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.to_vec(),
            content_type: record.content_type.map(str::to_owned),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.value).into_owned()
    }
}

/// One poll; a log that does not answer for now is asked again by the caller.
pub(crate) fn poll(log: &mut dyn Log) -> Result<Vec<Told>, LogError> {
    let mut told = Vec::new();
    let outcome = log.poll(POLL_WAIT, &mut |event| {
        told.push(match event {
            Event::Assigned { partition, position } => Told::Assigned(partition.clone(), position),
            Event::Revoked { partition } => Told::Revoked(partition.clone()),
            Event::Record(record) => Told::Record(Kept::of(&record)),
            Event::CaughtUp { partition, position } => Told::CaughtUp(partition.clone(), position),
        });
    });
    match outcome {
        Ok(()) | Err(LogError::Unavailable(_)) => Ok(told),
        Err(error) => Err(error),
    }
}

/// Polls until `done` says of all events so far that they are enough.
pub(crate) fn poll_until(
    log: &mut dyn Log,
    what: &str,
    done: impl Fn(&[Told]) -> bool,
) -> Vec<Told> {
    let mut told = Vec::new();
    for _ in 0..POLLS_MAX {
        if done(&told) {
            return told;
        }
        told.extend(poll(log).unwrap_or_else(|error| panic!("waiting for {what}: {error}")));
    }
    panic!("{what} did not come; what came: {told:?}");
}

/// Polls until this many records have come, and no more than them.
pub(crate) fn read(log: &mut dyn Log, count: usize) -> Vec<Kept> {
    let what = format!("{count} records");
    let found = records(&poll_until(log, &what, |told| records(told).len() >= count));
    assert_eq!(found.len(), count, "more records than expected: {found:?}");
    found
}

/// A few polls in which no record may come.
pub(crate) fn expect_quiet(log: &mut dyn Log) {
    for _ in 0..QUIET_POLLS {
        let told = poll(log).unwrap_or_else(|error| panic!("while nothing is expected: {error}"));
        assert_eq!(records(&told), [], "a record came where none is expected");
    }
}

/// Polls until this many partitions are assigned, with their positions.
/// Records that came along are dropped: the caller sets out from `Assigned`.
pub(crate) fn assigned(log: &mut dyn Log, count: usize) -> BTreeMap<Partition, i64> {
    let what = format!("{count} assigned partitions");
    let told = poll_until(log, &what, |told| holding(told).len() == count);
    holding(&told)
}

/// What is assigned after these events.
pub(crate) fn holding(told: &[Told]) -> BTreeMap<Partition, i64> {
    let mut held = BTreeMap::new();
    for event in told {
        match event {
            Told::Assigned(partition, position) => {
                held.insert(partition.clone(), *position);
            }
            Told::Revoked(partition) => {
                assert!(held.remove(partition).is_some(), "{partition:?} was not assigned");
            }
            Told::Record(Kept { partition, .. }) | Told::CaughtUp(partition, _) => {
                assert!(held.contains_key(partition), "{partition:?} is not assigned");
            }
        }
    }
    held
}

pub(crate) fn records(told: &[Told]) -> Vec<Kept> {
    let kept = told.iter().filter_map(|event| match event {
        Told::Record(record) => Some(record.clone()),
        _ => None,
    });
    kept.collect()
}

pub(crate) fn open(
    harness: &mut dyn Harness,
    group: &str,
    topics: &[&str],
    transactional_id: &str,
) -> Box<dyn Log> {
    harness
        .session(group, topics, transactional_id)
        .unwrap_or_else(|error| panic!("opening {transactional_id}: {error}"))
}

pub(crate) fn record(topic: &str, partition: i32, value: &str) -> Outgoing {
    Outgoing {
        topic: Arc::from(topic),
        partition: Some(partition),
        key: None,
        value: value.as_bytes().to_vec(),
        headers: vec![(CONTENT_TYPE.to_owned(), b"text/plain".to_vec())],
    }
}

/// Appends by a session of its own.
pub(crate) fn produce(harness: &mut dyn Harness, records: Vec<Outgoing>) {
    let mut writer = open(harness, "writers", &[], "writer");
    commit(writer.as_mut(), vec![], records);
}

pub(crate) fn commit(log: &mut dyn Log, positions: Vec<(Partition, i64)>, records: Vec<Outgoing>) {
    log.commit(Transaction { positions, records })
        .unwrap_or_else(|error| panic!("a commit that should hold: {error}"));
}

/// The texts of what a partition holds, by a scan over its bounds.
pub(crate) fn texts(log: &mut dyn Log, partition: &Partition) -> Vec<String> {
    let (from, to) = log.bounds(partition).unwrap_or_else(|error| panic!("bounds: {error}"));
    scan(log, partition, from, to).iter().map(Kept::text).collect()
}

pub(crate) fn scan(log: &mut dyn Log, partition: &Partition, from: i64, to: i64) -> Vec<Kept> {
    let mut found = Vec::new();
    log.scan(partition, from, to, &mut |record| found.push(Kept::of(&record)))
        .unwrap_or_else(|error| panic!("scan: {error}"));
    found
}
