//! A record whose writer's schema is not known yet holds up its partition and
//! nothing else, and counts once the schema is there.

use std::sync::{Arc, Mutex};

use watchkeep_detection::settings::TimeSettings;
use watchkeep_incident::registry::Registry;
use watchkeep_model::batch::SourceProgress;
use watchkeep_model::document::Documents;
use watchkeep_model::position::Partition;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_runtime::log::Outgoing;
use watchkeep_runtime::rules::Rules;
use watchkeep_runtime::stage::summarise::{Settings, SummariseStage};
use watchkeep_runtime::stage::waiting::Note;
use watchkeep_runtime::topics::Topics;
use watchkeep_simulator::log::{MemoryLog, MemoryStore};
use watchkeep_wire::fact::FactEncoding;
use watchkeep_wire::schema_set::SchemaSet;
use watchkeep_wire::summary_batch;
use watchkeep_wire::telemetry::Decoder;

const SCHEMA: &str = r#"{"type": "record", "name": "E", "fields": [
    {"name": "feature", "type": "string"},
    {"name": "event_time", "type": {"type": "long", "logicalType": "timestamp-micros"}}]}"#;

/// What the folder of schemas holds, or why it cannot be read.
type Folder = Arc<Mutex<Result<SchemaSet, String>>>;

struct World {
    store: MemoryStore,
    topics: Topics,
    log: MemoryLog,
    stage: SummariseStage,
    now: Timestamp,
    notes: Vec<Note>,
}

impl World {
    fn new(folder: Option<Folder>) -> Self {
        let store = MemoryStore::with_markers();
        let topics = Topics::new("w.", &["telemetry".to_owned()]);
        store.create_topic("telemetry", 2);
        store.create_topic(&topics.summaries, 1);
        store.create_topic(&topics.rejects, 1);
        let (registry, _) = Registry::new(Documents::default(), TimeSpan::MINUTE);
        let settings = Settings {
            time: TimeSettings { out_of_orderness: TimeSpan::ZERO, ..TimeSettings::default() },
            commit_interval: TimeSpan::from_micros(1000),
            topics: topics.clone(),
            encoding: FactEncoding::Json,
            instance: "s".to_owned(),
        };
        let decoder = Decoder::new(SchemaSet::new());
        let mut stage = SummariseStage::new(settings, Rules::new(registry), decoder);
        if let Some(folder) = folder {
            stage = stage.with_schemas(Box::new(move || folder.lock().unwrap().clone()));
        }
        let log = store.session("s", &["telemetry"], "s").unwrap();
        let now = "2020-01-01".parse().unwrap();
        Self { store, topics, log, stage, now, notes: Vec::new() }
    }

    /// An event of a known form, or of the writer's schema with the id 7.
    fn send(&mut self, partition: i32, minute: u8, is_of_schema: bool) {
        let at = Timestamp::from_micros(self.now.as_micros() + i64::from(minute) * 60_000_000);
        let mut value = vec![0, 0, 0, 0, 7, 2, b'f'];
        if is_of_schema {
            let mut zigzag = (at.as_micros() as u64) << 1;
            while zigzag >= 0x80 {
                value.push(zigzag as u8 | 0x80);
                zigzag >>= 7;
            }
            value.push(zigzag as u8);
        } else {
            value = format!(r#"{{"feature": "f", "event_time": {}}}"#, at.as_micros()).into_bytes();
        }
        let record = Outgoing {
            topic: Arc::from("telemetry"),
            partition: Some(partition),
            key: None,
            value,
            headers: Vec::new(),
        };
        self.store.append(&record, at).unwrap();
    }

    fn turns(&mut self, seconds: i64) {
        for _ in 0..seconds * 2 {
            self.now = self.now + TimeSpan::SECOND.half();
            self.stage.turn(&mut self.log, self.now).unwrap();
            self.notes.extend(self.stage.take_notes());
        }
    }

    fn values(&self, topic: &Arc<str>) -> Vec<Vec<u8>> {
        let records = self.store.records(&Partition::new(topic.clone(), 0));
        records.into_iter().map(|record| record.value.clone()).collect()
    }

    /// How far each partition has come, by what the batches say.
    fn progress(&self) -> [i64; 2] {
        let mut ends = [0; 2];
        for value in self.values(&self.topics.summaries) {
            let batch = summary_batch::decode(&value).unwrap();
            for source in batch.steps.iter().flat_map(|step| &step.sources) {
                let SourceProgress { source, from, to, .. } = source;
                let end = &mut ends[usize::try_from(source.partition).unwrap()];
                assert_eq!(*end, *from, "nothing is skipped or doubled");
                *end = *to;
            }
        }
        ends
    }
}

fn known() -> SchemaSet {
    let mut set = SchemaSet::new();
    set.insert(7, SCHEMA).unwrap();
    set
}

#[test]
fn a_record_of_an_unknown_schema_holds_up_its_partition_until_the_schema_is_there() {
    let folder: Folder = Arc::new(Mutex::new(Ok(SchemaSet::new())));
    let mut world = World::new(Some(folder.clone()));
    for minute in 0..4 {
        world.send(0, minute, minute == 2);
        world.send(1, minute, false);
    }
    world.turns(120);
    assert_eq!(world.progress(), [2, 4], "the other partition goes on");
    assert_eq!(world.stage.counts().events, 6);
    *folder.lock().unwrap() = Err("the disk is away".to_owned());
    world.turns(60);
    assert_eq!(world.progress(), [2, 4]);

    *folder.lock().unwrap() = Ok(known());
    world.turns(60);
    assert_eq!(world.progress(), [4, 4]);
    assert_eq!(world.stage.counts().events, 8);
    assert_eq!(world.values(&world.topics.rejects), Vec::<Vec<u8>>::new());
    let told: Vec<String> = world.notes.iter().map(ToString::to_string).collect();
    assert!(told[0].starts_with("telemetry 0 waits at offset 2, nothing is skipped: schema id 7"));
    assert!(told[0].contains("add `7.avsc`"), "{told:?}");
    assert_eq!(told.last().unwrap(), "telemetry 0 goes on at offset 2");
    let (middle, away) = (&told[1..told.len() - 1], "the disk is away");
    assert!((1..=3).contains(&middle.len()), "told now and then: {told:?}");
    assert!(middle.iter().all(|note| note.contains(away)), "{told:?}");
}

#[test]
fn where_schemas_cannot_be_read_anew_the_record_is_rejected() {
    let mut world = World::new(None);
    world.send(0, 0, true);
    world.send(0, 1, false);
    world.turns(5);
    assert_eq!(world.progress(), [2, 0]);
    let rejects = world.values(&world.topics.rejects);
    assert_eq!(rejects.len(), 1);
    assert!(String::from_utf8_lossy(&rejects[0]).contains("unknown_schema"));
}
