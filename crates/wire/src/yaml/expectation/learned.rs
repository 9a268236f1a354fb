//! `learned` in place of a threshold, with the rate of false alarms and the
//! length of the history beside it.

use watchkeep_model::charter::{Learned, Sustained, Threshold, WindowSpec};
use watchkeep_model::time::TimeSpan;

use super::super::node::{Node, Value};
use super::super::walk::{Map, Walk};

/// The keys that stand beside a learned threshold.
pub(super) const KEYS: [&str; 2] = ["false_alarm_rate", "from"];

/// Windows that the history must be able to hold. With fewer no bound is learned.
const WINDOWS_MIN: i64 = 20;

/// The learned thresholds of one expectation, as they are met.
#[derive(Default)]
pub(super) struct Learning {
    thresholds: Vec<Threshold>,
    rate: Option<f64>,
    from: Option<TimeSpan>,
}

impl Learning {
    /// Reads a threshold; where it is `learned`, takes note of that and
    /// answers with `unlearned`, which nothing passes.
    pub(super) fn or<'a, T>(
        &mut self,
        w: &mut Walk<'a>,
        node: &Node,
        (threshold, unlearned): (Threshold, T),
        read: impl FnOnce(&mut Walk<'a>, &Node) -> Option<T>,
    ) -> Option<T> {
        if is_learned(node) {
            self.thresholds.push(threshold);
            return Some(unlearned);
        }
        read(w, node)
    }

    /// Reads the keys beside the learned thresholds of a mapping.
    pub(super) fn keys(&mut self, w: &mut Walk<'_>, map: Map<'_>) {
        if self.is_empty() {
            return;
        }
        self.rate = w.required(map, "false_alarm_rate", rate);
        self.from = w.required(map, "from", Walk::positive_span);
    }

    /// True where no threshold is learned.
    pub(super) fn is_empty(&self) -> bool {
        self.thresholds.is_empty()
    }

    /// What is learned, once everything is read; `None` where a key was missing or wrong.
    pub(super) fn finish(
        self,
        w: &mut Walk<'_>,
        map: Map<'_>,
        window: Option<WindowSpec>,
    ) -> Option<Learned> {
        let Self { mut thresholds, rate, from } = self;
        thresholds.sort_unstable();
        let of_values = |t: &Threshold| matches!(t, Threshold::Min | Threshold::Max);
        if thresholds.contains(&Threshold::Above) && thresholds.iter().any(of_values) {
            let message = "`above` cannot be learned beside `min` or `max`: the share outside \
                           follows from them";
            let hint = Some("write a number for `above`, or bounds that are numbers".to_owned());
            w.report(map.place, "wrong_value", message, hint);
            return None;
        }
        let (rate, from) = (rate?, from?);
        let step = match window? {
            WindowSpec::Tumbling { size } => size,
            WindowSpec::Hopping { hop, .. } => hop,
            WindowSpec::Session { gap } => gap,
        };
        let windows = from.as_micros() / step.as_micros().max(1);
        if windows < WINDOWS_MIN {
            let place = map.get("from").map_or(map.place, |entry| entry.node.place);
            let message = format!(
                "{from} hold {windows} windows, no bound is learned from fewer than {WINDOWS_MIN}"
            );
            let hint = format!("write at least {}", step.times(WINDOWS_MIN));
            w.within("from", |w| w.report(place, "wrong_value", message, Some(hint)));
            return None;
        }
        Some(Learned { thresholds, false_alarm_rate: rate, from, resolve_rate: None })
    }
}

/// `sustained: {false_alarm_rate, from}` of a drift.
pub(super) fn sustained(w: &mut Walk<'_>, node: &Node) -> Option<Sustained> {
    let map = w.mapping(node, &KEYS)?;
    let false_alarm_rate = w.required(map, "false_alarm_rate", rate);
    let from = w.required(map, "from", Walk::positive_span);
    Some(Sustained { false_alarm_rate: false_alarm_rate?, from: from? })
}

/// True where a threshold is to be learned.
pub(super) fn is_learned(node: &Node) -> bool {
    matches!(&node.value, Value::Scalar { text, .. } if text == "learned")
}

/// `resolve: {false_alarm_rate}`: the nearer bounds of a higher rate.
pub(super) fn eased(w: &mut Walk<'_>, map: Map<'_>, learned: &mut Learned) {
    let before = learned.false_alarm_rate;
    let Some(entry) = map.get("false_alarm_rate") else { return };
    let Some(after) = w.entry(entry, rate) else { return };
    if after < before {
        let message = format!(
            "`false_alarm_rate` of `resolve` must be at least {before}, that of the expectation"
        );
        let hint = Some(format!("write {before} or more"));
        w.within("false_alarm_rate", |w| w.report(entry.node.place, "wrong_value", message, hint));
        return;
    }
    learned.resolve_rate = Some(after);
}

/// A share of false alarms. A half or more would call usual windows bad.
fn rate(w: &mut Walk<'_>, node: &Node) -> Option<f64> {
    let rate = w.probability(node)?;
    if !(1e-6..0.5).contains(&rate) {
        let message = format!("{rate} is not a share of false alarms from 0.000001 to below 0.5");
        let hint = Some("write for example 0.001".to_owned());
        w.report(node.place, "wrong_value", message, hint);
        return None;
    }
    Some(rate)
}
