//! What really is in the telemetry topic, counted by nothing but arithmetic.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::WINDOW_US;
use super::facts::Topics;
use super::traffic::{SENTINEL, Sent};

/// Events of one feature in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// How many.
    pub count: u64,
    /// The sum of their values.
    pub sum: u64,
}

/// The telemetry topic, counted.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// By feature and first instant of the window, in microseconds.
    pub windows: BTreeMap<String, BTreeMap<i64, Cell>>,
    /// Events without the sentinels.
    pub events: u64,
    /// The largest event time, in microseconds, without the sentinels.
    pub last_us: i64,
    /// Where the topic is not what was sent: the fault is the producer's or
    /// the brokers', and nothing else can be judged.
    pub wrong: Vec<String>,
}

#[derive(Deserialize)]
struct Line<'a> {
    feature: &'a str,
    event_time: i64,
    value: u64,
    event_id: &'a str,
}

impl Truth {
    /// Reads the telemetry topic from its beginning to its end.
    ///
    /// # Errors
    /// Those of the log.
    pub fn read(topics: &mut Topics, sent: &Sent) -> Result<Self, String> {
        let mut truth = Self::default();
        let partitions = topics.partitions("telemetry")?;
        for (partition, sent) in partitions.iter().zip(&sent.per_partition) {
            let mut next = 0;
            topics.each(partition, 0, &mut |record| {
                let Ok(line) = serde_json::from_slice::<Line<'_>>(record.value) else {
                    truth.wrong.push(format!("offset {} is no event", record.offset));
                    return;
                };
                if line.event_id.parse() != Ok(next) && truth.wrong.len() < 10 {
                    truth.wrong.push(format!(
                        "telemetry {}: event {} comes where {next} should",
                        partition.partition, line.event_id
                    ));
                }
                next += 1;
                truth.take(&line);
            })?;
            if next != *sent {
                truth.wrong.push(format!(
                    "telemetry {}: {next} records, {sent} were sent",
                    partition.partition
                ));
            }
        }
        if truth.events != sent.events {
            truth.wrong.push(format!("{} events, {} were sent", truth.events, sent.events));
        }
        Ok(truth)
    }

    /// Counts lines of telemetry, as `export` prints them.
    ///
    /// # Errors
    /// The line that is no event.
    pub fn of_lines<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut truth = Self::default();
        for line in lines {
            let read = serde_json::from_str(line).map_err(|error| format!("{line}: {error}"))?;
            truth.take(&read);
        }
        Ok(truth)
    }

    fn take(&mut self, line: &Line<'_>) {
        if line.feature == SENTINEL {
            return;
        }
        self.events += 1;
        self.last_us = self.last_us.max(line.event_time);
        let start = line.event_time.div_euclid(WINDOW_US) * WINDOW_US;
        if !self.windows.contains_key(line.feature) {
            self.windows.insert(line.feature.to_owned(), BTreeMap::new());
        }
        if let Some(windows) = self.windows.get_mut(line.feature) {
            let cell = windows.entry(start).or_default();
            cell.count += 1;
            cell.sum += line.value;
        }
    }
}
