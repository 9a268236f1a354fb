//! Time from the detection of an incident to each thing that people did.

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeep_model::time::Timestamp;

use super::super::median;
use super::super::story::Story;
use super::Period;

/// How long a stage takes, of incidents that opened in the span.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    /// `detect`: from the start of the first bad window to its detection; the
    /// others from there: `notify`, `acknowledge`, `remediate`, `verify`, `resolve`.
    pub stage: &'static str,
    /// Incidents that came so far.
    pub count: u64,
    /// Incidents that did not.
    pub missing: u64,
    /// Middle time in seconds, the lower one of two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_seconds: Option<i64>,
    /// The time that nine of ten did not exceed, in seconds (nearest rank).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90_seconds: Option<i64>,
    /// The median of the span before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_seconds_before: Option<i64>,
    /// The 90 % quantile of the span before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90_seconds_before: Option<i64>,
    /// How much longer the median has become, as a share of what it was: below
    /// 0 is quicker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<f64>,
}

/// How long a gate keeps incidents waiting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gate {
    /// The gate.
    pub gate: String,
    /// Times that it was opened, by incidents of the span.
    pub count: u64,
    /// Middle time from the last progress of the incident (opened, cleared,
    /// remediated, verified) to the signature that opened the gate, in seconds.
    pub median_seconds: i64,
    /// The longest.
    pub seconds_max: i64,
}

/// A stage and the instant at which an incident reached it.
type Reached = (&'static str, fn(&Story<'_>) -> Option<Timestamp>);

const STAGES: [Reached; 5] = [
    ("notify", |story| story.notified_at),
    ("acknowledge", |story| story.acknowledged.map(|(at, _)| at)),
    ("remediate", |story| story.remediated_at),
    ("verify", |story| story.verified_at),
    ("resolve", |story| story.resolved_at.filter(|_| !story.merged)),
];

/// Every stage, in order.
pub fn stages(stories: &[Story<'_>], period: Period) -> Vec<Stage> {
    let detect = |story: &Story<'_>| Some(story.detected_at?.since(story.bad_from?).as_micros());
    let mut all = vec![stage("detect", stories, period, &detect)];
    for (name, reached) in STAGES {
        let time = |story: &Story<'_>| Some(reached(story)?.since(story.detected_at?).as_micros());
        all.push(stage(name, stories, period, &time));
    }
    all
}

fn stage(
    name: &'static str,
    stories: &[Story<'_>],
    period: Period,
    time: &dyn Fn(&Story<'_>) -> Option<i64>,
) -> Stage {
    let of = |period: Period| {
        let opened = stories.iter().filter(|story| period.has(story.opened_at));
        let times = opened.map(|story| (story, time(story)));
        // What one had not reached when it became one with another, that one does.
        let times = times.filter(|(story, time)| time.is_some() || !story.merged);
        let times: Vec<Option<i64>> = times.map(|(_, time)| time).collect();
        let mut reached: Vec<i64> = times.iter().flatten().map(|us| us / 1_000_000).collect();
        reached.sort_unstable();
        (reached, times.len() as u64)
    };
    let ((times, opened), (before, _)) = (of(period), of(period.before()));
    let (now, then) = (median(times.clone()), median(before.clone()));
    let change = now.zip(then.filter(|then| *then != 0));
    Stage {
        stage: name,
        count: times.len() as u64,
        missing: opened - times.len() as u64,
        median_seconds: now,
        p90_seconds: nine_of_ten(&times),
        median_seconds_before: then,
        p90_seconds_before: nine_of_ten(&before),
        change: change.map(|(now, then)| (now - then) as f64 / then as f64),
    }
}

/// The 90 % quantile of sorted numbers by nearest rank.
fn nine_of_ten(sorted: &[i64]) -> Option<i64> {
    let rank = (sorted.len() * 9).div_ceil(10);
    sorted.get(rank.checked_sub(1)?).copied()
}

pub(super) fn gates(stories: &[Story<'_>], period: Period) -> Vec<Gate> {
    let mut waits: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for story in stories.iter().filter(|story| period.has(story.opened_at)) {
        for (gate, wait) in &story.gate_waits {
            waits.entry(gate).or_default().push(*wait);
        }
    }
    let gate = |(gate, waits): (&str, Vec<i64>)| {
        Some(Gate {
            gate: gate.to_owned(),
            count: waits.len() as u64,
            seconds_max: waits.iter().copied().max()?,
            median_seconds: median(waits)?,
        })
    };
    waits.into_iter().filter_map(gate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_of_ten_is_the_nearest_rank() {
        assert_eq!(nine_of_ten(&[]), None);
        assert_eq!(nine_of_ten(&[5]), Some(5));
        assert_eq!(nine_of_ten(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), Some(9));
        assert_eq!(nine_of_ten(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), Some(10));
    }
}
