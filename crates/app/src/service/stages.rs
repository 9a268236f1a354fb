//! The loop around each stage: begin a session, take turns, begin anew when
//! the log says so, stop when only a person can help.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use watchkeep_detection::settings::TimeSettings;
use watchkeep_incident::escalate::Escalate;
use watchkeep_log_sled::cache::SledSnapshots;
use watchkeep_model::incident::data::UpkeepKind;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::log::{Log, LogError};
use watchkeep_runtime::snapshot::Pace;
use watchkeep_runtime::stage::StageError;
use watchkeep_runtime::stage::deliver::Sink;
use watchkeep_runtime::stage::escalate::{self, EscalateStage};
use watchkeep_runtime::stage::evaluate::{self, EvaluateStage};
use watchkeep_runtime::stage::summarise::{self, SummariseStage};
use watchkeep_runtime::topics::Topics;
use watchkeep_wire::fact::FactEncoding;
use watchkeep_wire::schema_set::SchemaSet;
use watchkeep_wire::telemetry::Decoder;

use super::measured::Measured;
use super::status::Counts;
use super::{Plan, Shared, clock, snapshots};
use crate::cli::StageName;
use crate::config::Config;
use crate::sinks::Workers;

/// First pause before a new session; doubled each time up to the last one.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_LAST: Duration = Duration::from_secs(15);

/// Turns after which a session counts as one that works.
const TURNS_THAT_WORK: u32 = 20;

/// All that a stage's thread needs.
pub(super) struct Setting {
    stage: StageName,
    group: String,
    transactional_id: String,
    time: TimeSettings,
    commit_interval: TimeSpan,
    pub(super) topics: Topics,
    pub(super) encoding: FactEncoding,
    schemas: SchemaSet,
    /// The folder that they are read from anew where one is missing.
    schema_folder: Option<PathBuf>,
    pub(super) poll_wait: TimeSpan,
    /// The sinks and their threads; only deliver has them.
    pub(super) sinks: Option<(Vec<Sink>, Workers)>,
    /// Where evaluate keeps its snapshots.
    snapshots: Option<SledSnapshots>,
}

impl Setting {
    /// # Errors
    /// A secret or a certificate of a sink cannot be read.
    pub(super) fn of(
        config: &Config,
        stage: StageName,
        plan: &Plan,
        schemas: SchemaSet,
    ) -> anyhow::Result<Self> {
        let group = format!("{}-{}", config.group, stage.name());
        let sinks = match stage {
            StageName::Deliver => {
                let known = config.sinks.iter().map(|one| one.sink.clone()).collect();
                Some((known, Workers::start(&config.sinks)?))
            }
            _ => None,
        };
        Ok(Self {
            sinks,
            stage,
            transactional_id: format!("{group}-{}", plan.instance),
            group,
            time: config.time,
            commit_interval: config.commit_interval,
            topics: Topics::new(&config.topics.prefix, &config.topics.telemetry),
            encoding: config.topics.encoding.of_facts(),
            schemas,
            schema_folder: config.schemas.clone().filter(|_| config.waits_for_schemas),
            poll_wait: plan.poll_wait,
            snapshots: (stage == StageName::Evaluate)
                .then(|| snapshots::open(config, &plan.instance))
                .flatten(),
        })
    }

    pub(super) fn name(&self) -> &'static str {
        self.stage.name()
    }

    /// Runs until the service ends or only a person can help.
    pub(super) fn run(&self, shared: &Shared) {
        let stage = self.stage.name();
        let mut pause = PAUSE_FIRST;
        while !shared.is_stopping() {
            shared.status.begin_session(stage);
            let mut turns = 0;
            let ended = self.session(shared).and_then(|log| {
                let status = shared.status.clone();
                let mut log = Measured::new(log, stage, status);
                match self.stage {
                    StageName::Summarise => self.summarise(shared, &mut log, &mut turns),
                    StageName::Evaluate => self.evaluate(shared, &mut log, &mut turns),
                    StageName::Escalate => self.escalate(shared, &mut log, &mut turns),
                    StageName::Deliver => self.deliver(shared, &mut log, &mut turns),
                }
            });
            match ended {
                Ok(()) => return,
                Err(StageError::Log(error @ (LogError::Unavailable(_) | LogError::Aborted(_)))) => {
                    if turns >= TURNS_THAT_WORK {
                        pause = PAUSE_FIRST;
                    }
                    tracing::warn!(stage, %error, pause_ms = pause.as_millis(), "a new session follows");
                    shared.status.update(stage, |status| status.is_ready = false);
                    shared.pause(pause);
                    pause = (pause * 2).min(PAUSE_LAST);
                }
                Err(error) => return shared.fail(stage, &error.to_string()),
            }
        }
    }

    fn session(&self, shared: &Shared) -> Result<Box<dyn Log>, StageError> {
        let Topics { summaries, windows, breaches, incidents, anchors, .. } = &self.topics;
        let Topics { telemetry, escalations, responses, rejects, policies, .. } = &self.topics;
        let (reads, writes): (Vec<&Arc<str>>, Vec<&Arc<str>>) = match self.stage {
            StageName::Summarise => (telemetry.iter().collect(), vec![summaries, rejects]),
            StageName::Evaluate => (vec![summaries], vec![breaches, windows, rejects]),
            // Charters are written when somebody decides on one, which may be never.
            StageName::Escalate => (
                vec![breaches, windows, responses],
                vec![incidents, anchors, escalations, policies, rejects],
            ),
            StageName::Deliver => (vec![escalations], vec![responses, breaches]),
        };
        let [reads, writes] = [reads, writes]
            .map(|topics| topics.into_iter().map(AsRef::as_ref).collect::<Vec<&str>>());
        // Breaches, windows and responses of a domain are one story.
        let is_joined = self.stage == StageName::Escalate;
        Ok(shared.store.session(&self.group, &reads, &writes, is_joined, &self.transactional_id)?)
    }

    fn summarise(
        &self,
        shared: &Shared,
        log: &mut dyn Log,
        turns: &mut u32,
    ) -> Result<(), StageError> {
        let settings = summarise::Settings {
            time: self.time,
            commit_interval: self.commit_interval,
            topics: self.topics.clone(),
            encoding: self.encoding,
            instance: self.transactional_id.clone(),
        };
        let mut stage =
            SummariseStage::new(settings, shared.rules.clone(), Decoder::new(self.schemas.clone()));
        if let Some(folder) = self.schema_folder.clone() {
            stage = stage.with_schemas(Box::new(move || {
                super::usable_schemas_in(&folder).map_err(|error| format!("{error:#}"))
            }));
        }
        let name = self.stage.name();
        let mut commits = 0;
        while !shared.is_stopping() {
            let turned = stage.turn(log, clock::steady());
            stage.take_notes().iter().for_each(|note| tracing::warn!("{note}"));
            turned?;
            *turns = turns.saturating_add(1);
            shared.status.update(name, |status| {
                status.is_ready = stage.is_assigned() || log.is_spare();
                status.waiting = Some(stage.waiting());
            });
            let counts = stage.counts();
            if counts.commits != commits {
                commits = counts.commits;
                let mut told = Counts::from([(("events", String::new()), counts.events)]);
                for (reason, count) in &counts.rejects {
                    told.insert(("rejects", (*reason).to_owned()), *count);
                }
                shared.status.count(name, told);
            }
        }
        stage.drain(log, clock::steady())
    }

    fn evaluate(
        &self,
        shared: &Shared,
        log: &mut dyn Log,
        turns: &mut u32,
    ) -> Result<(), StageError> {
        let settings = evaluate::Settings {
            time: self.time,
            topics: self.topics.clone(),
            encoding: self.encoding,
            outputs_max: evaluate::OUTPUTS_MAX,
        };
        let mut stage = EvaluateStage::new(settings, shared.rules.clone());
        if let Some(snapshots) = &self.snapshots {
            stage = stage.with_snapshots(Box::new(snapshots.clone()), Pace::default());
        }
        let mut told_torn = BTreeSet::new();
        let name = self.stage.name();
        let mut commits = 0;
        while !shared.is_stopping() {
            let turned = stage.turn(log, self.poll_wait);
            snapshots::tell(&stage.take_notes());
            turned?;
            *turns = turns.saturating_add(1);
            shared.status.update(name, |status| {
                status.is_ready = stage.is_ready() || log.is_spare();
                status.watermark = stage.watermark();
            });
            let counts = stage.counts();
            // A partition that was torn before this session commits nothing any more.
            if counts.commits != commits || stage.torn().count() != told_torn.len() {
                commits = counts.commits;
                let mut told = Counts::from([
                    (("windows", String::new()), counts.windows),
                    (("late", String::new()), counts.late),
                    (("duplicate_events", String::new()), counts.duplicate_events),
                    (("duplicate_batches", String::new()), counts.duplicates),
                    (("snapshot_bytes", String::new()), stage.snapshot_bytes()),
                ]);
                for (partition, why) in stage.torn() {
                    let number = partition.partition.to_string();
                    if told_torn.insert(partition.clone()) {
                        let topic = &*partition.topic;
                        tracing::error!(topic, partition = number, "evaluation has stopped: {why}");
                    }
                    told.insert(("torn", number), 1);
                }
                for (transition, count) in &counts.breaches {
                    told.insert(("breaches", (*transition).to_owned()), *count);
                }
                let budgets = stage.budgets();
                shared.status.update(name, |status| status.budgets = budgets);
                shared.status.count(name, told);
            }
        }
        stage.drain();
        snapshots::tell(&stage.take_notes());
        Ok(())
    }

    fn escalate(
        &self,
        shared: &Shared,
        log: &mut dyn Log,
        turns: &mut u32,
    ) -> Result<(), StageError> {
        let settings = escalate::Settings {
            topics: self.topics.clone(),
            encoding: self.encoding,
            escalation: watchkeep_incident::escalate::Settings::default(),
            pane: self.time.pane,
        };
        let mut stage = EscalateStage::new(settings, shared.rules.clone());
        let name = self.stage.name();
        let mut commits = 0;
        while !shared.is_stopping() {
            stage.turn(log, self.poll_wait, || shared.clock.now())?;
            *turns = turns.saturating_add(1);
            let counts = stage.counts();
            let state = stage.state();
            shared.status.update(name, |status| {
                status.is_ready = state.is_some() || log.is_spare();
                if counts.commits != commits || status.open_incidents.is_none() {
                    status.open_incidents =
                        state.map(|state| state.open_incidents().count() as u64);
                    status.upkeep = state.map(upkeep).unwrap_or_default();
                }
            });
            if counts.commits != commits {
                commits = counts.commits;
                let told = Counts::from([
                    (("facts", String::new()), counts.facts),
                    (("escalations", String::new()), counts.escalations),
                    (("unreadable_responses", String::new()), counts.unreadable),
                ]);
                shared.status.count(name, told);
            }
        }
        Ok(())
    }
}

// A thread owns its setting; the store and the rules are shared.
const _: fn() = || {
    fn is_sync<T: Sync + Send>() {}
    is_sync::<Arc<Shared>>();
    is_sync::<Setting>();
};

/// How much is overdue of each kind, zeros included; nothing where another
/// instance tells of it.
fn upkeep(state: &Escalate) -> BTreeMap<&'static str, u64> {
    let kinds = UpkeepKind::ALL.into_iter().filter(|_| state.tells_upkeep());
    let count = |what| state.overdue_upkeep().filter(|upkeep| upkeep.what == what).count() as u64;
    kinds.map(|what| (what.name(), count(what))).collect()
}
