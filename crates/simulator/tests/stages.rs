//! The stages over an in-memory log that crashes, aborts and reassigns: what
//! is told must be what an undisturbed run tells.

use std::sync::Arc;

use proptest::prelude::*;
use watchkeep_detection::settings::TimeSettings;
use watchkeep_incident::registry::Registry;
use watchkeep_model::breach::Breach;
use watchkeep_model::document::Level;
use watchkeep_model::position::Partition;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::Window;
use watchkeep_runtime::log::{LogError, Outgoing};
use watchkeep_runtime::rules::Rules;
use watchkeep_runtime::stage::StageError;
use watchkeep_runtime::stage::evaluate::{self, EvaluateStage};
use watchkeep_runtime::stage::summarise::{self, SummariseStage};
use watchkeep_runtime::topics::Topics;
use watchkeep_simulator::log::{MemoryLog, MemoryStore};
use watchkeep_wire::fact::{FactEncoding, Stored, decode};
use watchkeep_wire::schema_set::SchemaSet;
use watchkeep_wire::telemetry::Decoder;
use watchkeep_wire::yaml;

const CHARTERS: &str = "
kind: charter
subject: feature:f*
owners: {primary: user:ada}
expectations:
  - {name: slow, kind: latency, window: 10m, quantile: max, above: 1s, min_samples: 1}
  - {name: volume, kind: volume, window: 30m, below: 5}
---
kind: directory
users: {ada: {name: Ada, contacts: [{tool: email, to: ada@example.com}]}}
groups: {governance: {lead: user:ada, members: [user:ada]}}
governance: group:governance
";

fn rules() -> Rules {
    let (documents, found) = yaml::read(&[("charters.yaml".to_owned(), CHARTERS.to_owned())]);
    assert!(found.iter().all(|d| d.severity != Level::Error), "{found:?}");
    let (registry, _) = Registry::new(documents, TimeSpan::MINUTE);
    Rules::new(registry)
}

fn time() -> TimeSettings {
    TimeSettings { out_of_orderness: TimeSpan::ZERO, ..TimeSettings::default() }
}

/// A deployment on one store; sessions come and go.
struct World {
    store: MemoryStore,
    topics: Topics,
    summarise: Option<(MemoryLog, SummariseStage)>,
    evaluate: Option<(MemoryLog, EvaluateStage)>,
    now: Timestamp,
}

impl World {
    fn new(lines: &[String], source_partitions: i32) -> Self {
        let store = MemoryStore::with_markers();
        let topics = Topics::new("w.", &["telemetry".to_owned()]);
        store.create_topic("telemetry", source_partitions);
        store.create_topic(&topics.summaries, 2);
        for topic in [&topics.windows, &topics.breaches, &topics.rejects] {
            store.create_topic(topic, 1);
        }
        for (i, line) in lines.iter().enumerate() {
            let record = Outgoing {
                topic: Arc::from("telemetry"),
                partition: Some(i as i32 % source_partitions),
                key: None,
                value: line.clone().into_bytes(),
                headers: Vec::new(),
            };
            store.append(&record, start() + TimeSpan::DAY).expect("the topic is there");
        }
        Self { store, topics, summarise: None, evaluate: None, now: start() }
    }

    fn turn_summarise(&mut self) {
        let (log, stage) = self.summarise.get_or_insert_with(|| {
            let settings = summarise::Settings {
                time: time(),
                commit_interval: TimeSpan::from_micros(1000),
                topics: self.topics.clone(),
                encoding: FactEncoding::Json,
                instance: "s".to_owned(),
            };
            let log = self.store.session("s", &["telemetry"], "s").expect("a session");
            (log, SummariseStage::new(settings, rules(), Decoder::new(SchemaSet::new())))
        });
        self.now = self.now + TimeSpan::SECOND;
        let result = stage.turn(log, self.now);
        if went_on(&result) {
            return;
        }
        self.summarise = None;
    }

    fn turn_evaluate(&mut self) {
        let (log, stage) = self.evaluate.get_or_insert_with(|| {
            let encoding = FactEncoding::Json;
            let settings =
                evaluate::Settings { time: time(), topics: self.topics.clone(), encoding };
            let log = self.store.session("e", &[&self.topics.summaries], "e").expect("a session");
            (log, EvaluateStage::new(settings, rules()))
        });
        let result = stage.turn(log, TimeSpan::ZERO);
        if !went_on(&result) {
            self.evaluate = None;
        }
    }

    fn quiet(&mut self) {
        // Long enough for every record, every idle partition, every batch.
        for _ in 0..400 {
            self.turn_summarise();
            self.turn_evaluate();
        }
    }

    fn told<T: Stored>(&self, topic: &str) -> Vec<T> {
        let records = self.store.records(&Partition::new(topic, 0));
        records.iter().map(|record| decode(&record.value).expect("a fact")).collect()
    }

    /// Windows and breaches, in an order that does not depend on the schedule.
    fn facts(&self) -> (Vec<String>, Vec<String>) {
        let mut windows: Vec<String> =
            self.told::<Window>(&self.topics.windows).iter().map(|w| format!("{w:?}")).collect();
        let mut breaches: Vec<String> =
            self.told::<Breach>(&self.topics.breaches).iter().map(|b| format!("{b:?}")).collect();
        windows.sort();
        breaches.sort();
        (windows, breaches)
    }
}

fn went_on(result: &Result<(), StageError>) -> bool {
    match result {
        Ok(()) => true,
        Err(StageError::Log(LogError::Fenced(_) | LogError::Unavailable(_))) => false,
        Err(error) => panic!("{error}"),
    }
}

fn start() -> Timestamp {
    "2020-01-01".parse().expect("a date")
}

fn lines(events: &[(u8, u32, u8)]) -> Vec<String> {
    let mut minute = 0;
    events
        .iter()
        .map(|(feature, step, latency)| {
            minute += step % 4;
            let back = if latency % 7 == 0 { 15 } else { 0 };
            let at = start() + TimeSpan::MINUTE.times(i64::from(minute) - back).max(TimeSpan::ZERO);
            let latency_us = u64::from(*latency) * 8_000;
            format!(
                r#"{{"feature":"f{}","event_time":"{at}","value":{latency},"latency_us":{latency_us}}}"#,
                feature % 3
            )
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn crashes_aborts_and_rebalances_change_nothing(
        events in prop::collection::vec(any::<(u8, u32, u8)>(), 1..120),
        schedule in prop::collection::vec((0u8..12, 1usize..20), 0..80),
    ) {
        let lines = lines(&events);
        let mut calm = World::new(&lines, 1);
        calm.quiet();
        let mut wild = World::new(&lines, 1);
        for (what, size) in schedule {
            match what {
                0..=2 => wild.turn_summarise(),
                3..=5 => wild.turn_evaluate(),
                6 => wild.store.set_batch_records_max(size),
                7 => wild.summarise = None,
                8 => wild.evaluate = None,
                9 => wild.store.abort_next_commit("fault"),
                10 => wild.store.reassign(if size % 2 == 0 { "s" } else { "e" }),
                _ => wild.store.fence(if size % 2 == 0 { "s" } else { "e" }),
            }
        }
        wild.quiet();
        prop_assert_eq!(calm.facts(), wild.facts());
        prop_assert!(!calm.facts().0.is_empty() || events.len() < 60);
    }
}

#[test]
fn several_source_partitions_give_every_event_a_window() {
    let events: Vec<(u8, u32, u8)> = (0..200).map(|i| (i as u8, 1, (i % 5) as u8 + 1)).collect();
    let mut world = World::new(&lines(&events), 3);
    world.quiet();
    let windows = world.told::<Window>(&world.topics.windows);
    let counted: u64 = windows.iter().filter(|w| w.window == "30m").map(|w| w.count).sum();
    // The last windows are still open.
    assert!((150..=200).contains(&counted), "{counted}");
}
