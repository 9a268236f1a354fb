//! Baselines that are made of past windows: rolling and seasonal ones.

use std::borrow::Cow;

use watchkeep_model::charter::{BaselineSpec, ROLLING_LOOK_BACK, WindowSpec};
use watchkeep_model::summary::Summary;
use watchkeep_model::time::{TimeSpan, Timestamp};

use crate::baseline::{self, Baseline, Part};
use crate::drift::Effects;
use crate::evaluate::breaches::{Breaches, Held};

/// What a baseline is looked for with.
pub(super) struct Search<'a> {
    /// The shape of the windows.
    pub(super) window: WindowSpec,
    /// The start of the judged window.
    pub(super) start: Timestamp,
    /// When the version was in breach.
    pub(super) breaches: &'a Breaches,
    /// The expectation that the baseline is for.
    pub(super) own: &'a str,
    /// Where counts are compared, the start of the version's first window: from
    /// then on one without events counts too, as one that has none.
    pub(super) empty_from: Option<Timestamp>,
}

/// Answers for the start of a window that has closed, with `None` where there
/// is none or it has no event.
type Lookup<'a, 'p> = &'a mut dyn FnMut(Timestamp) -> Option<Cow<'p, Summary>>;

/// Windows that were found, and why others were not taken.
#[derive(Default)]
struct Found<'p> {
    summary: Summary,
    parts: Vec<Part>,
    /// The windows themselves, where it matters how they differ.
    windows: Vec<Cow<'p, Summary>>,
    /// Windows in a breach of other expectations alone, in the order in which
    /// they were looked for.
    aside: Vec<(Timestamp, Summary)>,
    /// Places in a breach, whether or not there was a window.
    in_breach: usize,
    /// Places that the clock skipped.
    skipped: usize,
}

/// The baseline of a window, of the windows that `past` knows, or why there is
/// none.
pub(super) fn baseline<'p>(
    spec: &BaselineSpec,
    search: &Search<'_>,
    past: Lookup<'_, 'p>,
) -> Result<Baseline, String> {
    let (mut found, enough, of) = match spec {
        BaselineSpec::Rolling { windows, min_windows } => {
            let found = rolling(spec, search, *windows, past);
            (found, min_windows.unwrap_or(*windows) as usize, *windows as usize)
        }
        BaselineSpec::Seasonal { by, weeks, zone, min_windows } => {
            let places = baseline::season(*by, *weeks, zone.as_deref(), search.start);
            let of = places.len();
            let found = seasonal(spec, search, places, past);
            let enough = match min_windows {
                Some(windows) => *windows as usize,
                None => season_enough(of, found.in_breach + found.skipped),
            };
            (found, enough, of)
        }
        BaselineSpec::Fixed { .. } | BaselineSpec::Profile { .. } => return Err(String::new()),
    };
    found.fill(enough, of);
    if found.parts.len() < enough.max(1) {
        return Err(found.too_few(spec, enough, of));
    }
    let effects = Effects::of(&found.windows, &found.summary);
    Ok(Baseline { effects, ..Baseline::new(spec, found.summary.into(), found.parts) })
}

/// All windows that are not left out, and of those so many that half of the
/// season is there, at least two where it has two.
fn season_enough(of: usize, left_out: usize) -> usize {
    (of - left_out).max(of.div_ceil(2)).max(of.min(2))
}

/// The last `windows` good ones, one after the other without overlap.
fn rolling<'p>(
    spec: &BaselineSpec,
    search: &Search<'_>,
    windows: u32,
    past: Lookup<'_, 'p>,
) -> Found<'p> {
    let stride = search.window.stride();
    let mut found = Found::default();
    for back in 1..=ROLLING_LOOK_BACK * i64::from(windows) {
        if found.parts.len() >= windows as usize {
            break;
        }
        found.take(spec, search, search.start - stride.times(back), past);
    }
    found
}

fn seasonal<'p>(
    spec: &BaselineSpec,
    search: &Search<'_>,
    places: Vec<Option<Timestamp>>,
    past: Lookup<'_, 'p>,
) -> Found<'p> {
    let hop = match search.window {
        WindowSpec::Tumbling { size } => size,
        WindowSpec::Hopping { hop, .. } => hop,
        WindowSpec::Session { .. } => return Found::default(),
    };
    let mut found = Found::default();
    for place in places {
        match place {
            // The clock may have moved by less than a hop: then it is the nearest window.
            Some(at) => found.take(spec, search, (at + hop.half()).floor(hop), past),
            None => found.skipped += 1,
        }
    }
    found
}

impl<'p> Found<'p> {
    fn take(
        &mut self,
        spec: &BaselineSpec,
        search: &Search<'_>,
        at: Timestamp,
        past: Lookup<'_, 'p>,
    ) {
        let Search { window, breaches, own, .. } = search;
        let within = spec.extent(*window).unwrap_or_default();
        let held = breaches.hold(at, at + window.size(), within, own);
        if held != Held::No {
            self.in_breach += 1;
            if let (Held::ByOthers, Some(window)) = (held, past(at)) {
                self.aside.push((at, window.into_owned()));
            }
            return;
        }
        let known = self.parts.len();
        if let Some(window) = past(at) {
            self.push(at, window, search.empty_from.is_none());
        } else if search.empty_from.is_some_and(|from| at >= from) {
            self.parts.push(Part::of(at, &Summary::default()));
        }
        if let Some(part) = self.parts.get_mut(known) {
            let held = breaches.hold(at, at + window.size(), TimeSpan::MAX, own);
            part.of_breach = held == Held::ByOwn;
        }
    }

    fn push(&mut self, at: Timestamp, window: Cow<'p, Summary>, is_compared: bool) {
        self.parts.push(Part::of(at, &window));
        self.summary.merge(&window);
        // Of counts of events no shares are looked at.
        if is_compared {
            self.windows.push(window);
        }
    }

    /// Takes windows that only other expectations found bad, the latest first,
    /// where without them nothing could be judged although the history is long
    /// enough: a latency that is bad every other hour must not hide a drift.
    fn fill(&mut self, enough: usize, of: usize) {
        let lacking = enough.saturating_sub(self.parts.len());
        let known = self.parts.len() + self.in_breach + self.skipped;
        if lacking == 0 || known < of || self.aside.len() < lacking {
            return;
        }
        let taken: Vec<_> = self.aside.drain(..lacking).collect();
        for (at, window) in taken {
            self.push(at, Cow::Owned(window), true);
        }
        self.in_breach -= lacking;
        self.parts.sort_by_key(|part| std::cmp::Reverse(part.start));
    }

    fn too_few(&self, spec: &BaselineSpec, enough: usize, of: usize) -> String {
        let (extent, found) = (baseline::extent(spec), self.parts.len());
        let mut reason = format!("the baseline ({extent}) has {found} of {of} windows");
        if enough < of {
            reason += &format!(", {enough} are needed");
        }
        if self.in_breach > 0 {
            reason += &format!("; {} left out for a breach", self.in_breach);
        }
        if self.skipped > 0 {
            reason += &format!("; {} left out because the clock skipped the hour", self.skipped);
        }
        reason
    }
}
