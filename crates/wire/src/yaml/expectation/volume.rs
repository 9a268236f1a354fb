//! `volume`: bounds of a count, or how far it may be from the usual one.

use watchkeep_model::charter::{
    BaselineSpec, COUNT_UNLEARNED, FIXED_WINDOWS_MAX, Rule, Threshold, UsualVolume, WindowSpec,
};

use super::super::node::Node;
use super::super::walk::{Map, Walk};
use super::baseline::baseline;
use super::learned::Learning;
use super::{P_BELOW_DEFAULT, in_order};

pub(super) const FIELDS: [&str; 5] = ["below", "above", "change", "baseline", "p_below"];

/// Those that compare with usual counts.
const USUAL: [&str; 3] = ["change", "baseline", "p_below"];

pub(super) fn volume(w: &mut Walk<'_>, map: Map<'_>, learning: &mut Learning) -> Option<Rule> {
    if USUAL.iter().any(|name| map.has(name)) {
        let usual = usual(w, map)?;
        return Some(Rule::Volume { below: None, above: None, usual: Some(usual) });
    }
    let count = |w: &mut Walk<'_>, node: &Node| w.integer(node, 0..=u64::MAX);
    let below = w.field(map, "below", |w, node| learning.or(w, node, (Threshold::Below, 0), count));
    let above = w.field(map, "above", |w, node| {
        learning.or(w, node, (Threshold::Above, COUNT_UNLEARNED), count)
    });
    if !map.has("below") && !map.has("above") {
        let message = "`below` or `above` is missing, or `change` with a `baseline`";
        w.report(map.place, "missing_field", message, None);
        return None;
    }
    in_order(w, map, "above", below, above)?;
    Some(Rule::Volume { below, above, usual: None })
}

fn usual(w: &mut Walk<'_>, map: Map<'_>) -> Option<UsualVolume> {
    let change = w.required(map, "change", Walk::positive_number);
    let baseline = w.required(map, "baseline", baseline);
    let p_below = w.field(map, "p_below", Walk::probability);
    for name in ["below", "above"] {
        if let Some(entry) = map.get(name) {
            let message = format!("`{name}` does not go with `change`");
            let hint = "write a second volume for the bounds".to_owned();
            w.within(name, |w| w.report(entry.place, "wrong_value", message, Some(hint)));
            return None;
        }
    }
    let (change, baseline) = (change?, baseline?);
    Some(UsualVolume { change, baseline, p_below: p_below.unwrap_or(P_BELOW_DEFAULT) })
}

/// Whether the baseline has counts of such windows; if not, says so.
pub(super) fn is_countable(
    w: &mut Walk<'_>,
    map: Map<'_>,
    usual: &UsualVolume,
    window: WindowSpec,
) -> bool {
    let Some((message, hint)) = countless(&usual.baseline, window) else { return true };
    let place = map.get("baseline").map_or(map.place, |entry| entry.node.place);
    w.within("baseline", |w| w.report(place, "wrong_value", message, Some(hint)));
    false
}

/// Why the baseline has no counts of such windows, and what to do.
fn countless(baseline: &BaselineSpec, window: WindowSpec) -> Option<(String, String)> {
    let say = |message: &str, hint: &str| Some((message.to_owned(), hint.to_owned()));
    match baseline {
        BaselineSpec::Profile { .. } => say(
            "a training set does not say how many events come in a window",
            "write a fixed, rolling or seasonal baseline",
        ),
        _ if matches!(window, WindowSpec::Session { .. }) => say(
            "sessions have no usual number of events: they are as long as they are",
            "write a tumbling window",
        ),
        BaselineSpec::Fixed { from, to } => {
            let windows = to.since(*from).as_micros() / window.size().as_micros().max(1);
            (windows > FIXED_WINDOWS_MAX).then(|| {
                let message = format!(
                    "the range holds {windows} windows; at most {FIXED_WINDOWS_MAX} are counted"
                );
                (message, "shorten the range, or lengthen the window".to_owned())
            })
        }
        BaselineSpec::Rolling { .. } | BaselineSpec::Seasonal { .. } => None,
    }
}
