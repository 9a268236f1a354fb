//! The loop around the deliver stage: it hands requests to the threads of the
//! sinks and their answers back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::log::Log;
use watchkeep_runtime::stage::StageError;
use watchkeep_runtime::stage::deliver::{self, DeliverStage};

use super::Shared;
use super::clock;
use super::stages::Setting;
use super::status::Counts;
use crate::sinks::Workers;

/// How long the log is waited for while a sink is about to answer.
const POLL_WAIT_SENDING: TimeSpan = TimeSpan::from_micros(5_000);

/// And while messages wait for their next attempt.
const POLL_WAIT_WAITING: TimeSpan = TimeSpan::from_micros(100_000);

/// How long what is out may take when the service ends. What has not come back
/// by then is sent again after the next start.
const LINGER: Duration = Duration::from_secs(4);

impl Setting {
    pub(super) fn deliver(
        &self,
        shared: &Shared,
        log: &mut dyn Log,
        turns: &mut u32,
    ) -> Result<(), StageError> {
        let Some((sinks, workers)) = &self.sinks else { return Ok(()) };
        let settings = deliver::Settings {
            topics: self.topics.clone(),
            encoding: self.encoding,
            sinks: sinks.clone(),
        };
        let mut stage = DeliverStage::new(settings);
        workers.begin_session();
        let mut commits = 0;
        let mut asked: Option<Instant> = None;
        while asked.is_none_or(|at| stage.is_sending() && at.elapsed() < LINGER) {
            if asked.is_none() && shared.is_stopping() {
                asked = Some(Instant::now());
                stage.end();
            }
            self.deliver_once(shared, log, &mut stage, workers)?;
            *turns = turns.saturating_add(1);
            let counts = stage.counts();
            if counts.commits != commits {
                commits = counts.commits;
                shared.status.count(self.name(), told(counts));
            }
        }
        Ok(())
    }

    fn deliver_once(
        &self,
        shared: &Shared,
        log: &mut dyn Log,
        stage: &mut DeliverStage,
        workers: &Workers,
    ) -> Result<(), StageError> {
        let (answers, wait) = if stage.is_sending() {
            (workers.answers(Duration::from_millis(20)), POLL_WAIT_SENDING)
        } else if stage.outstanding() > 0 {
            (Vec::new(), self.poll_wait.min(POLL_WAIT_WAITING))
        } else {
            (Vec::new(), self.poll_wait)
        };
        let requests = stage.turn(log, wait, answers, || shared.clock.now(), clock::steady)?;
        for note in stage.take_notes() {
            tracing::warn!(sink = %note.sink, "{}", note.text);
        }
        workers.send(requests);
        shared.status.update(self.name(), |status| {
            status.is_ready = stage.is_ready() || log.is_spare();
            let sinks = stage.sinks();
            status.sinks = sinks.map(|(name, works, left)| (name.clone(), (works, left))).collect();
        });
        Ok(())
    }
}

fn told(counts: &deliver::Counts) -> Counts {
    let mut told = Counts::new();
    let mut tell = |name: &'static str, of: &BTreeMap<Arc<str>, u64>| {
        told.extend(of.iter().map(|(sink, count)| ((name, sink.to_string()), *count)));
    };
    tell("deliveries", &counts.delivered);
    tell("deliveries_failed", &counts.failed);
    tell("deliveries_dropped", &counts.dropped);
    tell("delivery_failures", &counts.failures);
    let unclaimed = counts.unclaimed.iter();
    told.extend(unclaimed.map(|(tool, count)| (("unclaimed_pages", tool.clone()), *count)));
    told
}
