//! What an expectation compares with: `{kind: rolling, windows: 24}`.

use watchkeep_model::charter::{BaselineSpec, Season};

use super::super::directory::zone;
use super::super::node::Node;
use super::super::walk::{Map, Walk};

/// Weeks that a seasonal baseline may look back, ten years.
const WEEKS_MAX: u32 = 520;

/// Windows that a rolling baseline may have; twice as many are kept.
const WINDOWS_MAX: u32 = 1000;

#[derive(Clone, Copy)]
enum Kind {
    Fixed,
    Rolling,
    Seasonal,
    Profile,
}

const KINDS: [(&str, Kind); 4] = [
    ("fixed", Kind::Fixed),
    ("rolling", Kind::Rolling),
    ("seasonal", Kind::Seasonal),
    ("profile", Kind::Profile),
];

pub(super) fn baseline(w: &mut Walk<'_>, node: &Node) -> Option<BaselineSpec> {
    let map = w.any_mapping(node)?;
    match w.required(map, "kind", |w, node| w.choice(node, &KINDS))? {
        Kind::Fixed => {
            w.check_keys(map, &["kind", "from", "to"]);
            let (from, to) = w.period(map)?;
            Some(BaselineSpec::Fixed { from, to })
        }
        Kind::Rolling => {
            w.check_keys(map, &["kind", "windows", "min_windows"]);
            let windows = w.required(map, "windows", |w, node| w.small(node, 1..=WINDOWS_MAX))?;
            let min_windows = min_windows(w, map, windows)?;
            Some(BaselineSpec::Rolling { windows, min_windows })
        }
        Kind::Seasonal => seasonal(w, map),
        Kind::Profile => {
            w.check_keys(map, &["kind", "id"]);
            let id = w.required(map, "id", Walk::text)?;
            Some(BaselineSpec::Profile { id: id.into() })
        }
    }
}

fn seasonal(w: &mut Walk<'_>, map: Map<'_>) -> Option<BaselineSpec> {
    w.check_keys(map, &["kind", "by", "weeks", "zone", "min_windows"]);
    let by = w.required(map, "by", |w, node| {
        w.choice(node, &[("hour_of_day", Season::HourOfDay), ("hour_of_week", Season::HourOfWeek)])
    });
    let weeks = w.required(map, "weeks", |w, node| w.small(node, 1..=WEEKS_MAX));
    let zone_name = w.field(map, "zone", zone);
    if map.has("zone") && zone_name.is_none() {
        return None;
    }
    let (by, weeks) = (by?, weeks?);
    let windows = match by {
        Season::HourOfDay => weeks * 7,
        Season::HourOfWeek => weeks,
    };
    let min_windows = min_windows(w, map, windows)?;
    // A clock in UTC is what there is without a zone.
    let zone = zone_name.filter(|zone| zone != "UTC").map(Into::into);
    Some(BaselineSpec::Seasonal { by, weeks, zone, min_windows })
}

/// How many windows are enough, at most all; `None` where that is wrong.
fn min_windows(w: &mut Walk<'_>, map: Map<'_>, windows: u32) -> Option<Option<u32>> {
    let read = w.field(map, "min_windows", |w, node| w.small(node, 1..=windows));
    (read.is_some() || !map.has("min_windows")).then_some(read)
}
