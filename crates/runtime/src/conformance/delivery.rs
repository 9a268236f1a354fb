//! Checks of what a session is told: records, ends, bounds.

use std::sync::Arc;

use watchkeep_model::position::Partition;

use super::{
    Harness, Kept, Told, assigned, commit, expect_quiet, open, poll, poll_until, produce, read,
    record, records, scan, texts,
};
use crate::log::{
    BATCH_BYTES_MAX, BATCH_RECORDS_MAX, CONTENT_TYPE, Log, LogError, Outgoing, RECORD_BYTES_MAX,
    Transaction, partition_of_key,
};

/// Key, value and headers of a record.
type Shape = (Option<Vec<u8>>, Vec<u8>, Vec<(String, Vec<u8>)>);

/// Keys, values, tombstones and headers are kept to the byte.
pub fn records_come_back_as_they_were(harness: &mut dyn Harness) {
    let topic = harness.create_topic("in", 1);
    let bytes: Vec<u8> = (0..=255).collect();
    let header = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
    let shapes: Vec<Shape> = vec![
        (None, b"plain".to_vec(), vec![]),
        (Some(b"key".to_vec()), bytes.clone(), vec![header(CONTENT_TYPE, b"application/json")]),
        (Some(bytes.clone()), vec![], vec![header("ce_id", b"7"), header(CONTENT_TYPE, b"avro")]),
        (Some(vec![]), b"empty key".to_vec(), vec![header("same", b"1"), header("same", &bytes)]),
        (None, vec![0], vec![header(CONTENT_TYPE, &[0xff, 0xfe])]),
    ];
    let outgoing = shapes.iter().cloned().map(|(key, value, headers)| Outgoing {
        topic: Arc::from(topic.as_str()),
        partition: Some(0),
        key,
        value,
        headers,
    });
    produce(harness, outgoing.collect());
    let mut log = open(harness, "readers", &[&topic], "reader");
    let found = read(log.as_mut(), shapes.len());
    // A content type that is no text is none.
    let content_types = [None, Some("application/json"), Some("avro"), None, None];
    for ((record, (key, value, headers)), content_type) in
        found.iter().zip(&shapes).zip(content_types)
    {
        assert_eq!(record.key, *key);
        assert_eq!(record.value, *value);
        assert_eq!(record.content_type.as_deref(), content_type);
        assert_eq!(harness.headers(&record.partition, record.offset), *headers);
    }
}

/// A record may be as large as is promised.
pub fn large_records_come_back(harness: &mut dyn Harness) {
    let topic = harness.create_topic("in", 1);
    let sizes = [RECORD_BYTES_MAX, 1, RECORD_BYTES_MAX - 1, 100_000, RECORD_BYTES_MAX];
    let large = |(seed, size): (usize, &usize)| -> Vec<u8> {
        // Bytes that do not compress well, so that the size is real on the way too.
        (0..*size).map(|i| (i.wrapping_mul(2_654_435_761) >> 13 ^ seed) as u8).collect()
    };
    let values: Vec<Vec<u8>> = sizes.iter().enumerate().map(large).collect();
    let outgoing =
        values.iter().map(|value| Outgoing { value: value.clone(), ..record(&topic, 0, "") });
    produce(harness, outgoing.collect());
    let mut log = open(harness, "readers", &[&topic], "reader");
    for (found, value) in read(log.as_mut(), values.len()).iter().zip(&values) {
        assert!(found.value == *value, "offset {} came back changed", found.offset);
    }
}

/// Offsets grow and values come in the order of their commits.
pub fn order_within_a_partition_holds(harness: &mut dyn Harness) {
    let topic = harness.create_topic("in", 3);
    let mut writer = open(harness, "writers", &[], "writer");
    for round in 0..10 {
        let records = (0..30).map(|i| record(&topic, i % 3, &format!("{}", round * 30 + i)));
        commit(writer.as_mut(), vec![], records.collect());
    }
    let mut log = open(harness, "readers", &[&topic], "reader");
    let found = read(log.as_mut(), 300);
    for number in 0..3 {
        let of: Vec<_> = found.iter().filter(|r| r.partition.partition == number).collect();
        assert!(of.windows(2).all(|pair| pair[0].offset < pair[1].offset));
        let values: Vec<i32> = of.iter().filter_map(|r| r.text().parse().ok()).collect();
        assert_eq!(values, (0..100).map(|i| i * 3 + number).collect::<Vec<_>>());
    }
}

/// However much waits, a poll hands over a bounded number of records.
pub fn a_poll_hands_over_one_bounded_batch(harness: &mut dyn Harness) {
    let topic = harness.create_topic("in", 2);
    let count = BATCH_RECORDS_MAX + 2_000;
    let all = (0..count).map(|i| record(&topic, i32::from(i % 2 == 1), "x"));
    produce(harness, all.collect());
    let mut log = open(harness, "readers", &[&topic], "reader");
    let mut found = 0;
    for _ in 0..super::POLLS_MAX {
        let told = poll(log.as_mut()).unwrap();
        let records = records(&told).len();
        assert!(records <= BATCH_RECORDS_MAX, "{records} records in one poll");
        found += records;
        if found >= count {
            break;
        }
    }
    assert_eq!(found, count);
}

/// However large the records are, a poll hands over a bounded number of bytes,
/// and a seek in between loses none.
pub fn a_poll_hands_over_bounded_bytes(harness: &mut dyn Harness) {
    let topic = harness.create_topic("in", 2);
    let count = 2 * BATCH_BYTES_MAX / RECORD_BYTES_MAX + 8;
    let mut writer = open(harness, "writers", &[], "writer");
    for number in 0..count {
        let record = record(&topic, i32::from(number % 2 == 1), "");
        let record = Outgoing { value: vec![7; RECORD_BYTES_MAX], ..record };
        commit(writer.as_mut(), vec![], vec![record]);
    }
    let mut log = open(harness, "readers", &[&topic], "reader");
    let (mut found, mut sought) = (Vec::new(), false);
    for _ in 0..super::POLLS_MAX {
        let told = poll(log.as_mut()).unwrap();
        let places: Vec<_> = records(&told).into_iter().map(|r| (r.partition, r.offset)).collect();
        let bytes = places.len() * RECORD_BYTES_MAX;
        assert!(bytes < BATCH_BYTES_MAX + RECORD_BYTES_MAX, "{bytes} bytes in one poll");
        if let (false, Some((partition, offset))) = (sought, places.last()) {
            sought = true;
            log.seek(partition, offset + 1).unwrap();
        }
        found.extend(places);
        if found.len() >= count {
            break;
        }
    }
    found.sort();
    assert_eq!(found.len(), count, "{found:?}");
    assert!(found.windows(2).all(|pair| pair[0] != pair[1]), "a record came twice: {found:?}");
}

/// The end is told for empty partitions, after the last record, again when
/// nothing more is there, and anew after further records.
pub fn the_end_of_a_partition_is_told(harness: &mut dyn Harness) {
    let topic = harness.create_topic("in", 2);
    let (zero, one) = (Partition::new(topic.as_str(), 0), Partition::new(topic.as_str(), 1));
    produce(harness, vec![record(&topic, 0, "a"), record(&topic, 0, "b")]);
    let mut log = open(harness, "readers", &[&topic], "reader");
    let ends_of = |told: &[Told], wanted: &Partition| -> Vec<i64> {
        let ends = told.iter().filter_map(|event| match event {
            Told::CaughtUp(partition, position) if partition == wanted => Some(*position),
            _ => None,
        });
        ends.collect()
    };
    let told = poll_until(log.as_mut(), "both ends", |told| {
        !ends_of(told, &zero).is_empty() && !ends_of(told, &one).is_empty()
    });
    assert_eq!(records(&told).len(), 2);
    let last_record = told.iter().rposition(|event| matches!(event, Told::Record(_)));
    let end = told.iter().position(|event| matches!(event, Told::CaughtUp(p, _) if *p == zero));
    assert!(end > last_record, "the end was told before the last record: {told:?}");
    assert_eq!(ends_of(&told, &zero).first(), Some(&log.bounds(&zero).unwrap().1));
    assert_eq!(ends_of(&told, &one).first(), Some(&0));

    poll_until(log.as_mut(), "the ends again", |told| {
        !ends_of(told, &zero).is_empty() && !ends_of(told, &one).is_empty()
    });
    produce(harness, vec![record(&topic, 1, "c")]);
    let told = poll_until(log.as_mut(), "the new end", |told| {
        ends_of(told, &one).last().is_some_and(|position| *position > 0)
    });
    assert_eq!(records(&told).len(), 1, "the new end was told before the new record");
}

/// A key has the same partition in every log and every time.
pub fn a_key_chooses_its_partition(harness: &mut dyn Harness) {
    let topic = harness.create_topic("in", 5);
    let keyed = |i: usize| Outgoing {
        partition: None,
        key: Some(format!("feature:{}", i % 20).into_bytes()),
        ..record(&topic, 0, &i.to_string())
    };
    produce(harness, (0..40).map(keyed).collect());
    let mut log = open(harness, "readers", &[&topic], "reader");
    for found in read(log.as_mut(), 40) {
        let key = found.key.unwrap_or_default();
        assert_eq!(found.partition.partition, partition_of_key(&key, 5), "{key:?}");
    }
}

/// A seek delivers from elsewhere; a new session begins at the commit all the same.
pub fn a_seek_moves_delivery_and_not_the_commit(harness: &mut dyn Harness) {
    let topic = harness.create_topic("in", 2);
    let zero = Partition::new(topic.as_str(), 0);
    produce(harness, (0..6).map(|i| record(&topic, i % 2, &i.to_string())).collect());
    let mut log = open(harness, "readers", &[&topic], "reader");
    let found = read(log.as_mut(), 6);
    let of_zero: Vec<_> = found.into_iter().filter(|r| r.partition == zero).collect();
    commit(log.as_mut(), vec![(zero.clone(), of_zero[1].offset + 1)], vec![]);

    log.seek(&zero, of_zero[1].offset).unwrap();
    let again = read(log.as_mut(), 2);
    assert_eq!(again, of_zero[1..], "a seek delivers what follows it, of this partition only");
    log.seek(&zero, 0).unwrap();
    assert_eq!(read(log.as_mut(), 3), of_zero);
    expect_quiet(log.as_mut());
    let elsewhere = Partition::new(topic.as_str(), 7);
    assert!(log.seek(&elsewhere, 0).is_err(), "only an assigned partition can be sought in");

    harness.crash(log);
    let mut log = open(harness, "readers", &[&topic], "reader");
    let positions = assigned(log.as_mut(), 2);
    assert_eq!(positions.get(&zero), Some(&(of_zero[1].offset + 1)));
}

/// A paused partition delivers nothing while others go on, and then all from
/// where it was to stand. An abort ends the pause.
pub fn a_paused_partition_goes_on_when_it_is_resumed(harness: &mut dyn Harness) {
    let topic = harness.create_topic("in", 2);
    let zero = Partition::new(topic.as_str(), 0);
    produce(harness, (0..6).map(|i| record(&topic, i % 2, &i.to_string())).collect());
    let mut log = open(harness, "readers", &[&topic], "reader");
    let found = read(log.as_mut(), 6);
    let of_zero: Vec<_> = found.into_iter().filter(|r| r.partition == zero).collect();

    log.pause(&zero, of_zero[1].offset).unwrap();
    expect_quiet(log.as_mut());
    produce(harness, vec![record(&topic, 0, "6"), record(&topic, 1, "7")]);
    assert_eq!(in_order(log.as_mut(), 1), ["7"]);
    expect_quiet(log.as_mut());
    log.resume(&zero).unwrap();
    assert_eq!(in_order(log.as_mut(), 3), ["2", "4", "6"]);
    expect_quiet(log.as_mut());
    log.resume(&zero).unwrap();
    expect_quiet(log.as_mut());

    log.pause(&zero, of_zero[1].offset).unwrap();
    let elsewhere = Partition::new(topic.as_str(), 7);
    assert!(log.pause(&elsewhere, 0).is_err() && log.resume(&elsewhere).is_err());
    let refused = Transaction { positions: vec![(elsewhere, 1)], records: vec![] };
    assert!(matches!(log.commit(refused), Err(LogError::Aborted(_))));
    assert_eq!(read(log.as_mut(), 8).len(), 8);
}

fn in_order(log: &mut dyn Log, count: usize) -> Vec<String> {
    read(log, count).iter().map(Kept::text).collect()
}

/// A scan needs no assignment, keeps to its range and ends where the partition ends.
pub fn a_scan_reads_what_it_is_asked_for(harness: &mut dyn Harness) {
    let topic = harness.create_topic("in", 2);
    let one = Partition::new(topic.as_str(), 1);
    let mut log = open(harness, "writers", &[], "writer");
    for i in 0..6 {
        commit(log.as_mut(), vec![], vec![record(&topic, 1, &i.to_string())]);
    }
    commit(log.as_mut(), vec![], vec![record(&topic, 0, "elsewhere")]);
    let (from, to) = log.bounds(&one).unwrap();
    let all = scan(log.as_mut(), &one, from, to);
    assert_eq!(all.iter().map(super::Kept::text).collect::<String>(), "012345");
    assert_eq!(scan(log.as_mut(), &one, all[2].offset, all[4].offset), all[2..4]);
    assert_eq!(scan(log.as_mut(), &one, all[5].offset + 1, to), []);
    assert_eq!(scan(log.as_mut(), &one, from, from), []);
    assert_eq!(scan(log.as_mut(), &one, from, to + 1_000), all, "the end is the end");
    let missing = Partition::new(topic.as_str(), 9);
    assert!(log.scan(&missing, 0, 1, &mut |_| {}).is_err());
}

/// Bounds and counts tell what a committed reader would find.
pub fn bounds_and_counts_tell_what_is_there(harness: &mut dyn Harness) {
    let topic = harness.create_topic("in", 3);
    let zero = Partition::new(topic.as_str(), 0);
    let mut log = open(harness, "writers", &[], "writer");
    assert_eq!(log.partition_count(&topic), Ok(3));
    assert_eq!(log.partition_count("no-such-topic"), Ok(0));
    assert_eq!(log.bounds(&zero), Ok((0, 0)));
    commit(log.as_mut(), vec![], vec![record(&topic, 0, "a"), record(&topic, 0, "b")]);
    let (from, to) = log.bounds(&zero).unwrap();
    assert_eq!(from, 0);
    assert!(to >= 2);
    assert_eq!(texts(log.as_mut(), &zero), ["a", "b"]);
    assert_eq!(log.bounds(&Partition::new(topic.as_str(), 1)), Ok((0, 0)));
}

/// Whoever asks for a topic that does not exist is told which.
pub fn a_missing_topic_is_named(harness: &mut dyn Harness) {
    let topic = harness.create_topic("in", 1);
    let outcome = harness.session("readers", &[&topic, "no-such-topic"], "reader").err();
    assert_eq!(outcome, Some(LogError::NoTopic("no-such-topic".to_owned())));
    let mut log = open(harness, "writers", &[], "writer");
    let outcome = log.bounds(&Partition::new("no-such-topic", 0));
    assert_eq!(outcome, Err(LogError::NoTopic("no-such-topic".to_owned())));
}
