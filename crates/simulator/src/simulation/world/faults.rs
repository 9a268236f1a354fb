//! What goes wrong, and how it is mended.

use watchkeep_model::position::Partition;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::snapshot::SnapshotError;

use super::{Running, World};
use crate::simulation::plan::{Fault, HeldTopic, SnapshotFault, Stage};

impl World<'_> {
    /// Something goes wrong.
    pub(in crate::simulation) fn fault(&mut self, fault: &Fault) {
        let now = self.now;
        match fault {
            Fault::Crash { instance, down, lingers } => {
                let Some(instance) = self.instances.get_mut(*instance) else { return };
                let ended = std::mem::take(&mut instance.stages);
                if *lingers {
                    instance.corpses.extend(ended.into_values().map(|(session, _)| session));
                }
                instance.down_until = Some(now + *down);
            }
            Fault::Leave { instance, down } => self.leave(*instance, *down),
            Fault::Break { instance, stage, how } => {
                if let Some(instance) = self.instances.get_mut(*instance) {
                    instance.breakages.insert(*stage, *how);
                }
            }
            Fault::Abort => self.store.abort_next_commit("the coordinator has moved"),
            Fault::Fence { instance, stage } => {
                self.store.fence(&format!("{}-{instance}", stage.group()));
            }
            Fault::Freeze { instance, span } => {
                let number = *instance;
                let Some(instance) = self.instances.get_mut(number) else { return };
                instance.frozen_until = Some(now + *span);
                for stage in Stage::ALL {
                    self.store.fence(&format!("{}-{number}", stage.group()));
                }
            }
            Fault::Rebalance(stage) => self.store.reassign(stage.group()),
            Fault::Outage(span) => {
                self.store.go_away("no broker");
                self.away_until = Some(now + *span);
            }
            Fault::Hold { topic, partition, span } => self.hold(*topic, *partition, *span),
            Fault::Grow(topic) => {
                if let Some(topic) = self.topics.telemetry.get(*topic) {
                    self.store.add_partitions(topic, 1);
                }
            }
            Fault::Skew { instance, by } => {
                if let Some(instance) = self.instances.get_mut(*instance) {
                    instance.skew = *by;
                }
            }
            Fault::Snapshots { instance, what } => {
                let Some(instance) = self.instances.get(*instance) else { return };
                let snapshots = &instance.snapshots;
                match *what {
                    SnapshotFault::Lost => snapshots.lose(),
                    SnapshotFault::SetAside => snapshots.set_aside(),
                    SnapshotFault::PutBack => snapshots.put_back(),
                    SnapshotFault::Altered(place) => snapshots.alter(place),
                    SnapshotFault::Fails => {
                        let full = SnapshotError::Unavailable("the disk is full".to_owned());
                        snapshots.fail_next(full);
                    }
                }
            }
            Fault::Dribble(records) => self.store.set_batch_records_max(*records),
        }
    }

    /// As after SIGTERM: what is pending is committed, or not if that fails.
    fn leave(&mut self, number: usize, down: TimeSpan) {
        let Some(instance) = self.instances.get_mut(number) else { return };
        if instance.frozen_until.is_some() {
            return;
        }
        let now = self.now + instance.skew;
        for (mut session, running) in std::mem::take(&mut instance.stages).into_values() {
            if let Running::Summarise(mut stage) = running {
                let _ = stage.drain(&mut session, now);
            }
        }
        instance.down_until = Some(self.now + down);
    }

    fn hold(&mut self, topic: HeldTopic, partition: i32, span: TimeSpan) {
        let topics = &self.topics;
        let name = match topic {
            HeldTopic::Source(number) => match topics.telemetry.get(number) {
                Some(name) => name,
                None => return,
            },
            HeldTopic::Summaries => &topics.summaries,
            HeldTopic::Windows => &topics.windows,
            HeldTopic::Breaches => &topics.breaches,
            HeldTopic::Responses => &topics.responses,
        };
        let partition = partition % self.store.partition_count(name).max(1);
        let partition = Partition::new(name.clone(), partition);
        self.store.hold(&partition);
        self.holds.push((partition, self.now + span));
    }

    /// Everything works again and every clock is right.
    pub(in crate::simulation) fn heal(&mut self) {
        for (partition, _) in std::mem::take(&mut self.holds) {
            self.store.release(&partition);
        }
        self.away_until = None;
        self.store.come_back();
        self.store.forget_faults();
        self.store.set_batch_records_max(crate::log::BATCH_RECORDS_MAX);
        for instance in &mut self.instances {
            instance.corpses.clear();
            (instance.down_until, instance.frozen_until) = (None, None);
            instance.skew = TimeSpan::ZERO;
            instance.breakages.clear();
        }
    }
}
