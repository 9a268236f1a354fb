//! A plan as text, for whoever has to find out why it fails.

use std::fmt;

use super::{Action, Arrival, Deployment, Plan, Record};
use crate::simulation::oracle::Event;

impl fmt::Display for Plan {
    /// The whole plan, for reading a failure.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Deployment { from, sources, summaries, instances, time, .. } = &self.deployment;
        writeln!(
            f,
            "seed {}: {} source partitions in {} topics, {summaries} of summaries, {} instances, \
             {} events, {} faults",
            self.seed,
            sources.iter().sum::<i32>(),
            sources.len(),
            instances.len(),
            self.event_count(),
            self.fault_count()
        )?;
        writeln!(f, "{time:?}, commit every {}", self.deployment.commit_interval)?;
        for feature in &self.features {
            writeln!(f, "{} {:?}", feature.name, feature.charter)?;
            for expectation in &feature.expectations {
                writeln!(f, "  {expectation:?}")?;
            }
        }
        let mut now = *from;
        let (mut arrivals, mut answers) =
            (self.arrivals.iter().peekable(), self.answers.iter().peekable());
        for action in &self.schedule {
            match action {
                Action::Pass(span) => now = now + *span,
                Action::Turn(instance, stage) => writeln!(f, "{now} turn {instance} {stage:?}")?,
                Action::Fault(fault) => writeln!(f, "{now} FAULT {fault:?}")?,
            }
            while let Some(arrival) = arrivals.next_if(|arrival| arrival.at <= now) {
                writeln!(f, "{arrival}")?;
            }
            while let Some(answer) = answers.next_if(|answer| answer.at <= now) {
                writeln!(f, "{} {} {} {}", answer.at, answer.by, answer.command, answer.feature)?;
            }
        }
        for arrival in arrivals {
            writeln!(f, "{arrival}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} t{}/{}", self.at, self.topic, self.partition)?;
        match &self.record {
            Record::Malformed(text) => write!(f, " malformed {text:?}"),
            Record::Events(events) => events.iter().try_for_each(|event| {
                let Event { feature, version, id, time, value, status, latency_us, age_us } = event;
                write!(
                    f,
                    " {feature}@{version} #{id} {time} {value:?} {status} {latency_us:?} {age_us:?}"
                )
            }),
        }
    }
}
