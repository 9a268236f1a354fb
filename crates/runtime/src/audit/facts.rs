//! Looks through facts for what is there twice, missing or out of order.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_detection::ledger::Coverage;
use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::escalation::Escalation;
use watchkeep_model::incident::{Fact, check_link};
use watchkeep_model::position::{Partition, Position};
use watchkeep_model::reject::Reject;
use watchkeep_model::time::Timestamp;

use super::{FaultKind, Finding};

/// The audit of breaches, incidents, escalations and rejects.
#[derive(Debug, Default)]
pub struct FactsAudit {
    breaches: BTreeMap<String, BreachLine>,
    /// The last fact of each incident.
    incidents: BTreeMap<String, Fact>,
    escalations: BTreeSet<String>,
    rejected: BTreeMap<Partition, BTreeSet<i64>>,
    counts: Counts,
    findings: Vec<Finding>,
}

#[derive(Debug)]
struct BreachLine {
    is_over: bool,
    told: BTreeSet<(Transition, Timestamp, u32)>,
}

/// How many facts there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines of breaches.
    pub breaches: u64,
    /// Facts of the incident log.
    pub facts: u64,
    /// Messages to people.
    pub escalations: u64,
    /// Records that could not be used.
    pub rejected: u64,
    /// Events that were too late, per window.
    pub late: u64,
}

impl FactsAudit {
    /// Takes a line of a breach: opened first, nothing twice, nothing after its end.
    pub fn breach(&mut self, breach: &Breach) {
        self.counts.breaches += 1;
        let is_end = matches!(breach.transition, Transition::Cleared | Transition::Retracted);
        let told = (breach.transition, breach.window_start, breach.revision);
        let wrong = match self.breaches.get_mut(&breach.breach_id) {
            None => {
                let line = BreachLine { is_over: is_end, told: BTreeSet::from([told]) };
                self.breaches.insert(breach.breach_id.clone(), line);
                (breach.transition != Transition::Opened).then_some("was never opened")
            }
            Some(line) => {
                let is_new = line.told.insert(told);
                // What was cleared may still be taken back by a revision.
                let after_end = line.is_over && breach.transition != Transition::Retracted;
                line.is_over |= is_end;
                let again = breach.transition == Transition::Opened;
                let wrong = (after_end || again).then_some("goes on after its end");
                if is_new { wrong } else { Some("is told of twice") }
            }
        };
        if let Some(wrong) = wrong {
            let detail = format!(
                "breach {} of {} {wrong}: {} by the window from {}, revision {}",
                breach.breach_id,
                breach.feature,
                breach.transition.name(),
                breach.window_start,
                breach.revision
            );
            self.find(FaultKind::Fact, detail);
        }
    }

    /// Takes a fact of the incident log: numbered without a gap, in a whole hash chain.
    pub fn fact(&mut self, fact: &Fact) {
        self.counts.facts += 1;
        let before = self.incidents.get(&fact.incident_id);
        if let Err(error) = check_link(before, fact) {
            self.find(FaultKind::Fact, error.to_string());
        }
        self.incidents.insert(fact.incident_id.clone(), fact.clone());
    }

    /// Takes a message: its identifier is there once.
    pub fn escalation(&mut self, escalation: &Escalation) {
        self.counts.escalations += 1;
        if !self.escalations.insert(escalation.id.clone()) {
            let detail = format!("escalation {} is told of twice", escalation.id);
            self.find(FaultKind::Fact, detail);
        }
    }

    /// Takes a reject: a record is rejected once.
    pub fn reject(&mut self, reject: &Reject) {
        self.counts.late += reject.count.unwrap_or_default();
        let (Some(topic), Some(partition), Some(offset)) =
            (&reject.topic, reject.partition, reject.offset)
        else {
            return;
        };
        self.counts.rejected += 1;
        let source = Partition::new(topic.as_str(), partition);
        if !self.rejected.entry(source).or_default().insert(offset) {
            let at = Position { topic: topic.as_str().into(), partition, offset };
            let detail = format!("offset {offset} of {topic}/{partition} is rejected twice");
            self.findings.push(Finding { fault: FaultKind::Reject, at: Some(at), detail });
        }
    }

    /// How many facts there were.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Records that were rejected of a source partition.
    pub fn rejected_of(&self, source: &Partition) -> u64 {
        self.rejected.get(source).map_or(0, |offsets| offsets.len() as u64)
    }

    /// What is wrong. Rejected records must lie in what was read.
    pub fn finish(mut self, coverage: &BTreeMap<Partition, Coverage>) -> Vec<Finding> {
        for (source, offsets) in &self.rejected {
            let covered = coverage.get(source);
            let outside = |offset: &&i64| {
                covered.is_none_or(|covered| **offset < covered.from || **offset >= covered.to)
            };
            for &offset in offsets.iter().filter(outside) {
                let Partition { topic, partition } = source.clone();
                let detail =
                    format!("offset {offset} of {topic}/{partition} is rejected, but in no batch");
                let at = Some(Position { topic, partition, offset });
                self.findings.push(Finding { fault: FaultKind::Reject, at, detail });
            }
        }
        self.findings
    }

    fn find(&mut self, fault: FaultKind, detail: String) {
        self.findings.push(Finding { fault, at: None, detail });
    }
}
