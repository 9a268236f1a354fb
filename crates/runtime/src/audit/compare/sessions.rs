//! Sessions. Late events part them at other places, so those of both runs
//! that touch each other, and the late summaries between them, are held
//! against each other together.

use std::collections::BTreeMap;

use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::Window;

use super::super::line::gap;
use super::{
    Comparing, Run, Side, Why, adds_up, content, measured, same_but_for_budgets, same_verdicts,
};

/// Feature, version and window.
type Name<'a> = (&'a str, &'a str, &'a str);

/// What one run has between two instants.
#[derive(Debug, Default)]
struct Part<'a> {
    windows: Vec<&'a Window>,
    late: u64,
}

impl Part<'_> {
    fn side(&self) -> Option<Side> {
        let count = self.windows.iter().map(|window| window.count).sum();
        (!self.windows.is_empty() || self.late > 0).then_some(Side { count, late: self.late })
    }
}

/// Sessions of both runs that touch each other.
#[derive(Debug)]
struct Cluster<'a> {
    start: Timestamp,
    end: Timestamp,
    service: Part<'a>,
    replay: Part<'a>,
}

/// A session or a late summary of one run, and its first and last instant.
struct Piece<'a> {
    start: Timestamp,
    end: Timestamp,
    is_service: bool,
    window: Option<&'a Window>,
    late: u64,
}

impl Comparing<'_> {
    /// Compares what [`Comparing::window`] has left out.
    pub(super) fn sessions(&mut self) {
        let mut pieces: BTreeMap<Name<'_>, Vec<Piece<'_>>> = BTreeMap::new();
        let pane = self.untold.pane();
        for (run, is_service) in [(self.service, true), (self.replay, false)] {
            for (name, piece) in of(run, pane, is_service) {
                pieces.entry(name).or_default().push(piece);
            }
        }
        for (name, mut pieces) in pieces {
            pieces.sort_by_key(|piece| piece.start);
            let Some(gap) = gap(name.2) else { continue };
            for cluster in clusters(pieces) {
                self.cluster(name, gap, &cluster);
            }
        }
    }

    fn cluster(&mut self, name: Name<'_>, gap: TimeSpan, cluster: &Cluster<'_>) {
        let Cluster { start, end, service, replay } = cluster;
        let windows = || service.windows.iter().chain(&replay.windows);
        if windows().any(|window| window.partial) || !self.is_settled(*end + gap) {
            self.made.open += windows().count() as u64;
            return;
        }
        let (feature, version, window) = name;
        let after = *end + TimeSpan::from_micros(1);
        let untold = self.untold.between(feature, version, *start, after);
        let (ours, theirs) = (service.side(), replay.side());
        let adds_up = adds_up(ours, theirs, untold);
        let each = |same: fn(&Window, &Window) -> bool| {
            service.windows.len() == replay.windows.len()
                && service
                    .windows
                    .iter()
                    .zip(&replay.windows)
                    .all(|(ours, theirs)| same(ours, theirs))
        };
        if adds_up && each(|ours, theirs| content(ours) == content(theirs)) {
            self.made.same += service.windows.len() as u64;
            return;
        }
        let was_late = untold > 0 || service.late > 0 || replay.late > 0;
        // An event just behind a session that has ended begins another one,
        // although it was not too late: the events are the same all the same.
        let is_parted = !each(|ours, theirs| {
            (ours.window_start, ours.window_end) == (theirs.window_start, theirs.window_end)
        });
        let charters = self.charters;
        let judged = || {
            let mut pairs = service.windows.iter().zip(&replay.windows);
            pairs.all(|(ours, theirs)| same_verdicts(ours, theirs, charters))
        };
        let why = if self.charters.deduplicates(feature) && self.has_late(feature, *end) {
            Why::Repeats
        } else if adds_up && (was_late || is_parted) {
            Why::Late
        } else if adds_up
            && each(|ours, theirs| measured(ours) == measured(theirs))
            && judged()
            && self.has_late(feature, *end)
        {
            Why::OtherWindows
        } else if adds_up && each(same_but_for_budgets) {
            Why::Budget
        } else {
            Why::Unexplained
        };
        let key = (feature.to_owned(), version.to_owned(), window.to_owned(), *start);
        self.differ(key, ours, theirs, why);
    }
}

/// The sessions and late summaries of a run. Of a withdrawn session another
/// one has the events.
fn of<'a>(
    run: &'a Run,
    pane: TimeSpan,
    is_service: bool,
) -> impl Iterator<Item = (Name<'a>, Piece<'a>)> {
    let windows = run.windows.values().filter(|window| window.count > 0).map(move |window| {
        let name = (&*window.feature, &*window.feature_version, &*window.window);
        let (start, end) = (window.window_start, window.window_end);
        (name, Piece { start, end, is_service, window: Some(window), late: 0 })
    });
    let late = run.late.iter().map(move |((feature, version, window, start), late)| {
        let end = *start + pane - TimeSpan::from_micros(1);
        let piece = Piece { start: *start, end, is_service, window: None, late: *late };
        ((&**feature, &**version, &**window), piece)
    });
    windows.chain(late).filter(|((_, _, window), _)| gap(window).is_some())
}

/// Pieces, by their start, that overlap.
fn clusters(pieces: Vec<Piece<'_>>) -> Vec<Cluster<'_>> {
    let mut clusters: Vec<Cluster<'_>> = Vec::new();
    for Piece { start, end, is_service, window, late } in pieces {
        let index = match clusters.last() {
            Some(last) if start <= last.end => clusters.len() - 1,
            _ => {
                let (service, replay) = Default::default();
                clusters.push(Cluster { start, end, service, replay });
                clusters.len() - 1
            }
        };
        let cluster = &mut clusters[index];
        cluster.end = cluster.end.max(end);
        let part = if is_service { &mut cluster.service } else { &mut cluster.replay };
        part.windows.extend(window);
        part.late += late;
    }
    clusters
}
