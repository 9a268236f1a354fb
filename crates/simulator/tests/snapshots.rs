//! Snapshots change no fact: the evaluate stage tells the same bytes with and
//! without them, whenever it crashes and whatever becomes of what is kept.

use std::sync::Arc;

use proptest::prelude::*;
use watchkeep_detection::settings::TimeSettings;
use watchkeep_incident::registry::Registry;
use watchkeep_model::document::Level;
use watchkeep_model::position::Partition;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_runtime::log::{LogError, Outgoing};
use watchkeep_runtime::rules::Rules;
use watchkeep_runtime::snapshot::{Note, Pace, SnapshotError};
use watchkeep_runtime::stage::StageError;
use watchkeep_runtime::stage::evaluate::{self, EvaluateStage};
use watchkeep_runtime::stage::summarise::{self, SummariseStage};
use watchkeep_runtime::topics::Topics;
use watchkeep_simulator::log::{MemoryLog, MemoryStore};
use watchkeep_simulator::snapshots::{Kept, MemorySnapshots};
use watchkeep_wire::fact::FactEncoding;
use watchkeep_wire::schema_set::SchemaSet;
use watchkeep_wire::telemetry::Decoder;
use watchkeep_wire::yaml;

const CHARTERS: &str = "
kind: charter
subject: feature:f*
owners: {primary: user:ada}
expectations:
  - {name: slow, kind: latency, window: 10m, quantile: max, above: 1s, min_samples: 1, resolve_after: 2}
  - {name: volume, kind: volume, window: 30m, below: 5, for: {k: 2, of: 3}}
---
kind: charter
subject: feature:f1
owners: {primary: user:ada}
expectations:
  - name: drift
    kind: drift
    window: 30m
    min_samples: 2
    baseline: {kind: fixed, from: '2020-01-01T00:00:00Z', to: '2020-01-01T01:00:00Z'}
  - {name: moving, kind: drift, window: 10m, min_samples: 1, baseline: {kind: rolling, windows: 2}}
---
kind: charter
subject: feature:f2
owners: {primary: user:ada}
deduplicate: 20m
expectations:
  - {name: sliding, kind: volume, window: {kind: hopping, size: 20m, hop: 5m}, below: 3}
  - {name: visits, kind: latency, window: {kind: session, gap: 5m}, quantile: max, above: 1s, min_samples: 1}
---
kind: charter
subject: feature:f3
owners: {primary: user:ada}
expectations:
  - {name: quiet, kind: silence, window: 10m, after: 15m}
  - {name: visits, kind: volume, window: {kind: session, gap: 9m}, below: 4, for: {k: 2, of: 3}}
---
kind: directory
users: {ada: {name: Ada, contacts: [{tool: email, to: ada@example.com}]}}
groups: {governance: {lead: user:ada, members: [user:ada]}}
governance: group:governance
";

/// Bounds that are learned, and shifts and counts that are added up or compared
/// with those of past windows.
const LEARNING: &str = "
kind: charter
subject: feature:f*
owners: {primary: user:ada}
expectations:
  - {name: usual-latency, kind: latency, window: 5m, quantile: max, above: learned, false_alarm_rate: 0.02, from: 5h, min_samples: 1}
  - {name: usual-share, kind: range, window: 5m, min: 0, max: 200, above: learned, false_alarm_rate: 0.02, from: 4h, min_samples: 1}
  - {name: usual-count, kind: volume, window: 10m, change: 0.3, p_below: 0.05, baseline: {kind: rolling, windows: 6}}
  - name: slow-drift
    kind: drift
    window: 10m
    min_samples: 2
    baseline: {kind: fixed, from: '2020-01-01T00:00:00Z', to: '2020-01-01T01:00:00Z'}
    sustained: {false_alarm_rate: 0.01, from: 3h}
---
kind: directory
users: {ada: {name: Ada, contacts: [{tool: email, to: ada@example.com}]}}
groups: {governance: {lead: user:ada, members: [user:ada]}}
governance: group:governance
";

/// Partitions of the summaries topic.
const PARTITIONS: i32 = 2;

/// Saves after every commit.
const ALWAYS: Pace = Pace { folded_bytes_min: 0, folded_bytes_per_saved: 0 };

fn rules(charters: &str) -> Rules {
    let (documents, found) = yaml::read(&[("charters.yaml".to_owned(), charters.to_owned())]);
    assert!(found.iter().all(|d| d.severity != Level::Error), "{found:?}");
    let (registry, found) = Registry::new(documents, TimeSpan::MINUTE);
    assert!(found.iter().all(|d| d.severity != Level::Error), "{found:?}");
    Rules::new(registry)
}

fn time() -> TimeSettings {
    TimeSettings { out_of_orderness: TimeSpan::ZERO, ..TimeSettings::default() }
}

fn start() -> Timestamp {
    "2020-01-01".parse().expect("a date")
}

/// A summaries topic that is written whole, and evaluate stages that come and go.
struct World {
    store: MemoryStore,
    snapshots: Option<MemorySnapshots>,
    topics: Topics,
    rules: Rules,
    time: TimeSettings,
    pace: Pace,
    evaluate: Option<(MemoryLog, EvaluateStage)>,
    notes: Vec<Note>,
}

impl World {
    fn new(lines: &[String], snapshots: Option<MemorySnapshots>) -> Self {
        Self::with(CHARTERS, 3, lines, snapshots)
    }

    /// With telemetry that is summarised so many records at once.
    fn with(
        charters: &str,
        records_at_once: usize,
        lines: &[String],
        snapshots: Option<MemorySnapshots>,
    ) -> Self {
        let store = MemoryStore::with_markers();
        let topics = Topics::new("w.", &["telemetry".to_owned()]);
        store.create_topic("telemetry", 1);
        store.create_topic(&topics.summaries, PARTITIONS);
        for topic in [&topics.windows, &topics.breaches, &topics.rejects] {
            store.create_topic(topic, 1);
        }
        for line in lines {
            let record = Outgoing {
                topic: Arc::from("telemetry"),
                partition: Some(0),
                key: None,
                value: line.clone().into_bytes(),
                headers: Vec::new(),
            };
            store.append(&record, start() + TimeSpan::DAY).expect("the topic is there");
        }
        let mut world = Self {
            store,
            snapshots,
            topics,
            rules: rules(charters),
            time: time(),
            pace: ALWAYS,
            evaluate: None,
            notes: Vec::new(),
        };
        world.summarise(lines.len(), records_at_once);
        world
    }

    fn summarise(&mut self, lines: usize, records_at_once: usize) {
        let settings = summarise::Settings {
            time: self.time,
            commit_interval: TimeSpan::from_micros(1000),
            topics: self.topics.clone(),
            encoding: FactEncoding::Json,
            instance: "s".to_owned(),
        };
        self.store.set_batch_records_max(records_at_once);
        let mut log = self.store.session("s", &["telemetry"], "s").expect("a session");
        let mut stage =
            SummariseStage::new(settings, self.rules.clone(), Decoder::new(SchemaSet::new()));
        for turn in 0..lines / records_at_once + 140 {
            let now = start() + TimeSpan::SECOND.times(turn as i64);
            stage.turn(&mut log, now).expect("nothing goes wrong");
        }
        self.store.set_batch_records_max(1);
    }

    fn turn(&mut self) {
        let (log, stage) = self.evaluate.get_or_insert_with(|| {
            let settings = evaluate::Settings {
                time: self.time,
                topics: self.topics.clone(),
                encoding: FactEncoding::Json,
                outputs_max: evaluate::OUTPUTS_MAX,
            };
            let log = self.store.session("e", &[&self.topics.summaries], "e").expect("a session");
            let stage = EvaluateStage::new(settings, self.rules.clone());
            let stage = match &self.snapshots {
                Some(snapshots) => stage.with_snapshots(Box::new(snapshots.clone()), self.pace),
                None => stage,
            };
            (log, stage)
        });
        let result = stage.turn(log, TimeSpan::ZERO);
        self.notes.extend(stage.take_notes());
        match result {
            Ok(()) => {}
            Err(StageError::Log(LogError::Fenced(_) | LogError::Unavailable(_))) => {
                self.evaluate = None;
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn turns(&mut self, count: usize) {
        (0..count).for_each(|_| self.turn());
    }

    fn quiet(&mut self) {
        self.store.set_batch_records_max(1000);
        self.turns(20);
    }

    /// All facts as bytes, in an order that does not depend on the schedule.
    fn facts(&self) -> Vec<Vec<u8>> {
        let topics = [&self.topics.windows, &self.topics.breaches, &self.topics.rejects];
        let records = topics.iter().flat_map(|topic| {
            let partition = Partition::new((*topic).clone(), 0);
            self.store.records(&partition).into_iter().map(|record| record.value.clone())
        });
        let mut facts: Vec<Vec<u8>> = records.collect();
        facts.sort();
        facts
    }

    fn restored_from_snapshots(&self) -> usize {
        let used = |note: &&Note| matches!(note, Note::Restored { snapshot: Some(_), .. });
        self.notes.iter().filter(used).count()
    }

    fn dropped(&self) -> Vec<&str> {
        let dropped = self.notes.iter().filter_map(|note| match note {
            Note::Dropped { why, .. } => Some(why.as_str()),
            _ => None,
        });
        dropped.collect()
    }
}

fn lines(events: &[(u8, u32, u8)]) -> Vec<String> {
    let mut minute = 0;
    events
        .iter()
        .map(|(feature, step, latency)| {
            minute += step % 4;
            let back = if latency % 7 == 0 { 25 } else { 0 };
            let at = start() + TimeSpan::MINUTE.times(i64::from(minute) - back).max(TimeSpan::ZERO);
            let latency_us = u64::from(*latency) * 8_000;
            let value = match latency % 5 {
                0 => format!("\"c{}\"", latency % 3),
                _ => latency.to_string(),
            };
            format!(
                r#"{{"feature":"f{}","event_id":"e{}","event_time":"{at}","value":{value},"latency_us":{latency_us},"materialised_at":"{}"}}"#,
                feature % 4,
                latency % 23,
                at - TimeSpan::SECOND
            )
        })
        .collect()
}

fn many() -> Vec<String> {
    let events: Vec<(u8, u32, u8)> =
        (0..180u32).map(|i| (i as u8, i * 7 % 5, (i * 37 % 251) as u8)).collect();
    lines(&events)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn facts_are_the_same_whatever_becomes_of_snapshots(
        events in prop::collection::vec(any::<(u8, u32, u8)>(), 1..160),
        schedule in prop::collection::vec((0u8..16, 0usize..4096), 0..120),
        folded_bytes_min in prop_oneof![Just(0), 0u64..20_000],
    ) {
        let lines = lines(&events);
        let mut calm = World::new(&lines, None);
        calm.quiet();
        let snapshots = MemorySnapshots::default();
        let mut wild = World::new(&lines, Some(snapshots.clone()));
        wild.pace = Pace { folded_bytes_min, folded_bytes_per_saved: 0 };
        for (what, size) in schedule {
            match what {
                0..=4 => wild.turns(size % 8),
                5..=7 => wild.evaluate = None,
                8 => if let Some((_, mut stage)) = wild.evaluate.take() { stage.drain() },
                9 => snapshots.lose(),
                10 => snapshots.set_aside(),
                11 => snapshots.put_back(),
                12 => snapshots.alter(size),
                13 => snapshots.fail_next(match size % 2 {
                    0 => SnapshotError::Damaged("a fault".into()),
                    _ => SnapshotError::Unavailable("a fault".into()),
                }),
                14 => wild.store.abort_next_commit("fault"),
                _ => wild.store.reassign("e"),
            }
        }
        wild.evaluate = None;
        wild.quiet();
        prop_assert_eq!(calm.facts(), wild.facts());
    }
}

/// Runs half of the log, changes something, runs the rest in another session,
/// and compares with a run without snapshots. Answers with why snapshots were
/// dropped.
fn check_after(change: impl FnOnce(&mut World, &MemorySnapshots)) -> (usize, Vec<String>) {
    let lines = many();
    let mut calm = World::new(&lines, None);
    calm.turns(70);
    let snapshots = MemorySnapshots::default();
    let mut world = World::new(&lines, Some(snapshots.clone()));
    world.turns(70);
    assert!(!snapshots.kept().is_empty());
    world.evaluate = None;
    change(&mut world, &snapshots);
    (calm.rules, calm.time) = (world.rules.clone(), world.time);
    calm.evaluate = None;
    calm.quiet();
    world.quiet();
    assert!(calm.facts().len() > 100, "{}", calm.facts().len());
    assert_eq!(calm.facts(), world.facts());
    let dropped = world.dropped().into_iter().map(str::to_owned).collect();
    (world.restored_from_snapshots(), dropped)
}

#[test]
fn a_restart_folds_only_what_came_after_the_snapshot() {
    let (restored, dropped) = check_after(|_, _| {});
    assert_eq!((restored, dropped), (2, vec![]));
}

#[test]
fn past_windows_lie_in_the_store_and_lost_ones_are_folded_anew() {
    let lines = many();
    let mut calm = World::new(&lines, None);
    calm.quiet();
    let snapshots = MemorySnapshots::default();
    let mut world = World::new(&lines, Some(snapshots.clone()));
    world.turns(70);
    let count = |snapshots: &MemorySnapshots| -> usize {
        snapshots.kept().values().map(|kept| kept.windows.len()).sum()
    };
    assert!((2..20).contains(&count(&snapshots)), "kept: {}", count(&snapshots));
    snapshots.change(|kept| kept.values_mut().for_each(|kept| kept.windows.clear()));
    world.quiet();
    assert_eq!(calm.facts(), world.facts());
    assert_eq!(world.dropped(), ["a past window is not what was kept"]);
    assert!(count(&snapshots) > 0, "and they are kept again");
}

#[test]
fn a_long_restore_takes_several_turns_and_goes_on_where_it_was_broken_off() {
    let events: Vec<(u8, u32, u8)> =
        (0..9_000u32).map(|i| (i as u8, i * 7 % 3, (i * 37 % 251) as u8)).collect();
    let lines = lines(&events);
    let snapshots = MemorySnapshots::default();
    let mut world = World::new(&lines, Some(snapshots.clone()));
    world.pace = Pace { folded_bytes_min: 200_000, folded_bytes_per_saved: 0 };
    world.quiet();
    let facts = world.facts();
    let restoring = |world: &World| world.evaluate.as_ref().is_some_and(|(_, s)| !s.is_ready());
    let mut turns = Vec::new();
    for breaks_off in [false, true] {
        snapshots.lose();
        world.evaluate = None;
        world.notes.clear();
        world.turn();
        let mut count = 0;
        while restoring(&world) {
            world.turn();
            count += 1;
            if breaks_off && count == 2 {
                world.evaluate = None;
                world.turn();
            }
        }
        turns.push(count);
    }
    assert!(turns[0] >= 3, "{turns:?}");
    assert!(world.restored_from_snapshots() > 0, "{:?}", world.notes);
    world.quiet();
    assert_eq!(facts, world.facts());
}

/// An event every 40 seconds over two features, for seven hours; the latency has
/// outliers and the value moves. One in eleven is late, one in thirteen too late.
fn steady() -> Vec<String> {
    (0..630i64)
        .map(|i| {
            let late = match i {
                _ if i % 13 == 5 => 25,
                _ if i % 11 == 3 => 7,
                _ => 0,
            };
            let at = start() + TimeSpan::SECOND.times((i * 40 - late * 60).max(0));
            let noise = i * 7919 % 97;
            let (value, latency_us) = (noise + i / 12, 1_000 + noise * 10 + 9_000 * i64::from(i % 71 == 70));
            let feature = i / 3 % 2;
            format!(
                r#"{{"feature":"f{feature}","event_time":"{at}","value":{value},"latency_us":{latency_us}}}"#
            )
        })
        .collect()
}

#[test]
fn what_is_learned_and_added_up_is_the_same_after_restarts_and_however_batches_are_cut() {
    let lines = steady();
    let mut calm = World::with(LEARNING, 3, &lines, None);
    calm.quiet();
    let facts = calm.facts();
    let text: Vec<String> =
        facts.iter().map(|fact| String::from_utf8_lossy(fact).into_owned()).collect();
    let count = |what: &str| text.iter().filter(|fact| fact.contains(what)).count();
    let seen = [
        r#""learned":"#,
        r#""sustained":"#,
        r#""volume":"#,
        r#""revision":1"#,
        r#""reason":"late""#,
    ];
    assert!(seen.iter().all(|what| count(what) > 10), "{:?}", seen.map(count));
    assert!(count(r#""verdict":"bad""#) > 5, "{}", count(r#""verdict":"bad""#));

    for cut in [1, 7, 64] {
        let mut other = World::with(LEARNING, cut, &lines, None);
        other.quiet();
        assert!(other.facts() == facts, "{cut} records at once give other facts");
    }
    let snapshots = MemorySnapshots::default();
    let mut wild = World::with(LEARNING, 3, &lines, Some(snapshots));
    for turns in [23, 41, 5, 60, 17, 33] {
        wild.turns(turns);
        wild.evaluate = None;
    }
    wild.quiet();
    assert!(wild.restored_from_snapshots() > 4, "{:?}", wild.notes);
    assert!(wild.facts() == facts, "restarts from snapshots give other facts");
}

#[test]
fn a_lost_snapshot_is_made_anew() {
    let (restored, dropped) = check_after(|_, snapshots| snapshots.lose());
    assert_eq!((restored, dropped), (0, vec![]));
}

#[test]
fn what_stays_the_same_is_not_saved_again() {
    let snapshots = MemorySnapshots::default();
    let mut world = World::new(&many(), Some(snapshots.clone()));
    world.quiet();
    let (saves, kept) = (snapshots.saves(), snapshots.kept());
    world.quiet();
    if let Some((_, mut stage)) = world.evaluate.take() {
        stage.drain();
    }
    assert_eq!((snapshots.saves(), snapshots.kept()), (saves, kept));
}

fn check_dropped(why: &str, change: impl FnOnce(&mut World, &MemorySnapshots)) {
    let (_, dropped) = check_after(change);
    assert!(!dropped.is_empty() && dropped.iter().all(|d| d.contains(why)), "{dropped:?}");
}

#[test]
fn every_altered_byte_of_a_header_is_found() {
    let lines = many();
    let snapshots = MemorySnapshots::default();
    let mut world = World::new(&lines, Some(snapshots.clone()));
    world.turns(70);
    world.evaluate = None;
    let kept = snapshots.kept();
    let length = kept.values().map(|kept| kept.header.len()).min().unwrap_or(0);
    for place in (0..length).step_by(7).chain(0..16).chain(length - 20..length) {
        snapshots.change(|all| {
            all.clone_from(&kept);
            all.values_mut().for_each(|kept| kept.header[place] ^= 4);
        });
        world.notes.clear();
        world.turns(2);
        world.evaluate = None;
        assert_eq!(world.dropped().len(), 2, "byte {place} of {length}");
    }
}

#[test]
fn altered_missing_added_and_old_entries_are_found() {
    let each = |change: fn(&mut Kept)| {
        move |_: &mut World, snapshots: &MemorySnapshots| {
            snapshots.change(|all| all.values_mut().for_each(change));
        }
    };
    check_dropped("entries", each(|kept| kept.entries.values_mut().for_each(|e| e[0] ^= 1)));
    check_dropped(
        "entries",
        each(|kept| {
            kept.entries.values_mut().for_each(|e| *e.last_mut().expect("a hash") ^= 1);
        }),
    );
    check_dropped(
        "entries",
        each(|kept| {
            kept.entries.values_mut().for_each(|entry| entry.truncate(9));
        }),
    );
    check_dropped("entries", each(|kept| drop(kept.entries.pop_first())));
    check_dropped(
        "entries",
        each(|kept| {
            let (_, bytes) = kept.entries.first_key_value().expect("an entry");
            kept.entries.insert(b"f9".to_vec(), bytes.clone());
        }),
    );
    check_dropped(
        "format 0",
        each(|kept| {
            // As an older version would have written it, checksum and all.
            kept.header[4..8].copy_from_slice(&0u32.to_le_bytes());
            let end = kept.header.len() - 16;
            let check = watchkeep_model::identifier::sha256(&kept.header[..end]);
            kept.header[end..].copy_from_slice(&check[..16]);
        }),
    );
}

#[test]
fn an_entry_of_an_older_save_is_found() {
    let lines = many();
    let snapshots = MemorySnapshots::default();
    let mut world = World::new(&lines, Some(snapshots.clone()));
    world.turns(30);
    let old = snapshots.kept();
    world.turns(40);
    world.evaluate = None;
    snapshots.change(|all| {
        for (partition, kept) in all {
            let old = &old[partition];
            let changed =
                kept.entries.iter_mut().find(|(name, e)| old.entries.get(*name) != Some(e));
            let (name, entry) = changed.expect("something changed since");
            entry.clone_from(&old.entries[name]);
        }
    });
    world.turns(2);
    assert_eq!(world.dropped().len(), 2);
}

#[test]
fn other_charters_and_settings_have_other_states() {
    check_dropped("other charters", |world, _| {
        world.rules = rules(&CHARTERS.replace("above: 1s", "above: 500ms"));
    });
    check_dropped("other [time] settings", |world, _| {
        world.time.revise_every = TimeSpan::MINUTE.times(5);
    });
}

#[test]
fn another_log_is_found() {
    let lines = many();
    let snapshots = MemorySnapshots::default();
    let mut before = World::new(&lines, Some(snapshots.clone()));
    before.quiet();
    before.evaluate = None;
    // Made anew with other events and read up to the same place and beyond.
    let mut other = lines.clone();
    other.reverse();
    let mut calm = World::new(&other, None);
    let mut world = World::new(&other, Some(snapshots.clone()));
    world.snapshots = None;
    world.turns(100);
    world.evaluate = None;
    world.snapshots = Some(snapshots.clone());
    calm.quiet();
    world.quiet();
    assert_eq!(calm.facts(), world.facts());
    assert!(!world.dropped().is_empty());
    // Nothing is committed there yet.
    let mut fresh = World::new(&lines, Some(snapshots));
    fresh.turn();
    fresh.turn();
    let dropped = fresh.dropped();
    assert!(dropped.iter().all(|why| why.contains("ahead of the committed position 0")));
    assert!(!dropped.is_empty());
}

#[test]
fn a_store_that_fails_is_not_asked_again() {
    let lines = many();
    let snapshots = MemorySnapshots::default();
    let mut world = World::new(&lines, Some(snapshots.clone()));
    world.turns(20);
    let saves = snapshots.saves();
    snapshots.fail_next(SnapshotError::Unavailable("no space left on device".into()));
    world.quiet();
    assert_eq!(snapshots.saves(), saves);
    let off = |note: &&Note| note.to_string().contains("off until the next start");
    assert_eq!(world.notes.iter().filter(off).count(), 1, "{:?}", world.notes);
    let mut calm = World::new(&lines, None);
    calm.quiet();
    assert_eq!(calm.facts(), world.facts());
}
