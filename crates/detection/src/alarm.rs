//! From verdicts to breaches: opened, sustained, cleared, retracted.
//!
//! The verdicts of windows that may still be revised are kept, in order of
//! window. What ought to be open follows from them by a fold
//! (`Verdicts::intervals`); what was announced is kept beside it, and the
//! difference between the two is what has to be announced next. So a revision
//! needs no rules of its own: it changes a verdict, and the difference follows.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_model::breach::Transition;
use watchkeep_model::charter::ForSpec;
use watchkeep_model::time::Timestamp;
use watchkeep_model::window::Verdict;

/// How breaches open and clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damping {
    /// k of the last n judged windows open.
    pub open: ForSpec,
    /// Good windows in a row that clear.
    pub resolve_after: u32,
}

/// How one window was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// By the expectation's thresholds.
    pub fire: Verdict,
    /// By the easier thresholds of `resolve`; the same where there are none.
    pub resolve: Verdict,
}

/// The line of a window that a judgement stands in.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Start of the window.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
    /// Which measurement of the window it is.
    pub revision: u32,
    /// The feature version that it is about.
    pub version: &'a Arc<str>,
    /// Starts of windows that are no more because this one holds their events:
    /// sessions that a late event joined. Their judgements go with them.
    pub replaces: &'a [Timestamp],
}

/// What has to be announced of a breach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// What happened to it.
    pub transition: Transition,
    /// The window at which it did: a revision may show that a breach opened or
    /// was cleared at another one.
    pub window: Place,
    /// Start of the window that opened it.
    pub opened_at: Timestamp,
    /// Start and revision of the window whose judgement opened it, mostly the
    /// same one. Together they name the breach: what a revision takes away and
    /// another brings back is another breach.
    pub opened_by: (Timestamp, u32),
    /// The version of the line that opened it. A silence is that of all
    /// versions, so another version's line may clear it.
    pub version: Arc<str>,
}

/// Which line of which window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its start.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
    /// Which measurement of it.
    pub revision: u32,
}

/// The breaches of one expectation of one feature version (of a silence: of one feature).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Alarm {
    verdicts: Verdicts,
    /// Announced breaches that a revision may still touch, ascending.
    announced: Vec<Announced>,
    /// Breaches that no revision can touch any more, ascending, as far back as
    /// baselines ask for them.
    history: Vec<Interval>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Announced {
    opened_at: Timestamp,
    opened_by: (Timestamp, u32),
    version: Arc<str>,
    /// Start of the window that cleared it.
    cleared_at: Option<Timestamp>,
}

impl Alarm {
    /// Takes a window's judgement, its first or a revised one, and answers with
    /// what has to be announced.
    pub fn judge(
        &mut self,
        line: Line<'_>,
        judgement: Judgement,
        damping: Damping,
    ) -> Vec<Announcement> {
        let window_start = line.start;
        let window = Place { start: line.start, end: line.end, revision: line.revision };
        let kept = &mut self.verdicts.kept;
        let replaced: Vec<Judgement> = line
            .replaces
            .iter()
            .filter_map(|start| kept.remove(start).map(|kept| kept.judgement))
            .collect();
        let end = line.end;
        let before = kept.insert(window_start, Kept { judgement, end, revision: line.revision });
        let before = before.map(|kept| kept.judgement);
        if replaced.is_empty() && before == Some(judgement) {
            return Vec::new();
        }
        let bad = judgement.fire == Verdict::Bad;
        let bad_before = before.iter().chain(&replaced).any(|j| j.fire == Verdict::Bad);
        let intervals = self.verdicts.intervals(damping);
        let opened_by = (window_start, line.revision);
        let announced = |opened_at, cleared_at| {
            let version = line.version.clone();
            Announced { opened_at, opened_by, version, cleared_at }
        };
        let mut out = Vec::new();
        // Announced breaches that nothing supports any more, and those that
        // have come to their end. A breach that was cleared stays cleared.
        self.announced.retain_mut(|breach| {
            let Some(interval) = intervals.iter().find(|interval| interval.meets(breach)) else {
                out.push(breach.announce(Transition::Retracted, window));
                return false;
            };
            if let (None, Some(cleared_at)) = (breach.cleared_at, interval.cleared_at) {
                out.push(breach.announce(Transition::Cleared, cleared_at));
                breach.cleared_at = Some(cleared_at.start);
            }
            true
        });
        for interval in &intervals {
            let mut met = self.announced.iter().filter(|breach| interval.meets(breach)).peekable();
            let (breach, opened_at) = if met.peek().is_none() {
                let cleared_at = interval.cleared_at.map(|at| at.start);
                (announced(interval.opened_at.start, cleared_at), interval.opened_at)
            } else if interval.cleared_at.is_none() && bad && met.all(|b| b.cleared_at.is_some()) {
                // What was announced as cleared turns out to go on: a new
                // breach, because history is not rewritten.
                (announced(window_start, None), window)
            } else {
                continue;
            };
            out.push(breach.announce(Transition::Opened, opened_at));
            if let (Some(_), Some(cleared_at)) = (breach.cleared_at, interval.cleared_at) {
                out.push(breach.announce(Transition::Cleared, cleared_at));
            }
            self.announced.push(breach);
        }
        self.announced.sort_unstable_by_key(|breach| breach.opened_at);
        // A window that was not bad before, on its first judgement or a revised one.
        if out.is_empty() && bad && !bad_before {
            let open = self
                .announced
                .iter()
                .find(|breach| breach.cleared_at.is_none() && breach.opened_at < window_start);
            out.extend(open.map(|breach| breach.announce(Transition::Sustained, window)));
        }
        out
    }

    /// The breaches that the verdicts come to as they are now, each with the
    /// starts of the windows that opened and that cleared it: those that go on,
    /// and ended ones as far back as [`Alarm::settle`] was told to keep them.
    pub fn intervals(&self, damping: Damping) -> Vec<(Timestamp, Option<Timestamp>)> {
        let mut fold = self.verdicts.base.clone();
        let mut intervals = self.history.clone();
        for (start, kept) in &self.verdicts.kept {
            intervals.extend(fold.push(kept.at(*start), kept.judgement, damping));
        }
        intervals.extend(fold.open.map(|opened_at| Interval { opened_at, cleared_at: None }));
        let starts = |interval: Interval| {
            (interval.opened_at.start, interval.cleared_at.map(|cleared_at| cleared_at.start))
        };
        intervals.into_iter().map(starts).collect()
    }

    /// True while a breach goes on.
    pub fn is_open(&self, damping: Damping) -> bool {
        self.opened_at(damping).is_some()
    }

    /// Start of the window that opened the breach which goes on.
    pub fn opened_at(&self, damping: Damping) -> Option<Timestamp> {
        let mut fold = self.verdicts.base.clone();
        for (start, kept) in &self.verdicts.kept {
            fold.push(kept.at(*start), kept.judgement, damping);
        }
        fold.open.map(|opened_at| opened_at.start)
    }

    /// No window that starts before `start` will be revised any more. Breaches
    /// that ended since `remember` are kept for [`Alarm::intervals`]; none where
    /// it is `None`.
    pub fn settle(&mut self, start: Timestamp, damping: Damping, remember: Option<Timestamp>) {
        let ended = self.verdicts.settle(start, damping);
        match remember {
            Some(from) => {
                self.history.extend(ended);
                self.history
                    .retain(|interval| interval.cleared_at.is_none_or(|at| at.start >= from));
            }
            None => self.history.clear(),
        }
        let going_on =
            self.verdicts.base.open.map(|opened_at| Interval { opened_at, cleared_at: None });
        self.announced.retain(|breach| {
            breach.cleared_at.is_none_or(|cleared_at| cleared_at >= start)
                || going_on.is_some_and(|interval| interval.meets(breach))
        });
        let announced = &self.announced;
        self.verdicts.ended.retain(|interval| announced.iter().any(|b| interval.meets(b)));
    }

    /// True where forgetting the alarm would change nothing.
    pub fn is_quiet(&self) -> bool {
        self.announced.is_empty() && self.verdicts.kept.is_empty()
    }
}

impl Announced {
    fn announce(&self, transition: Transition, window: Place) -> Announcement {
        Announcement {
            transition,
            window,
            opened_at: self.opened_at,
            opened_by: self.opened_by,
            version: self.version.clone(),
        }
    }
}

/// Verdicts in order of window: those that may change, on a base of those that may not.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Verdicts {
    base: Fold,
    /// Intervals that ended in the base, as long as something announced rests on
    /// them: a breach may have been announced as cleared later than it was.
    ended: Vec<Interval>,
    kept: BTreeMap<Timestamp, Kept>,
}

/// A judgement that may change, and where it stands.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Kept {
    judgement: Judgement,
    end: Timestamp,
    revision: u32,
}

/// Open from the window `opened_at` until `cleared_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Interval {
    opened_at: Place,
    cleared_at: Option<Place>,
}

impl Interval {
    /// True where both are about the same time, so about the same breach.
    fn meets(&self, breach: &Announced) -> bool {
        let begins_before_end =
            |start: Timestamp, end: Option<Timestamp>| end.is_none_or(|end| start < end);
        begins_before_end(self.opened_at.start, breach.cleared_at)
            && begins_before_end(breach.opened_at, self.cleared_at.map(|at| at.start))
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Fold {
    /// Whether each of the last judged windows was bad; at most `of`.
    recent: VecDeque<bool>,
    open: Option<Place>,
    good_run: u32,
}

impl Fold {
    /// Takes the next window; answers with the interval that it ends.
    fn push(&mut self, window: Place, judgement: Judgement, damping: Damping) -> Option<Interval> {
        if judgement.fire == Verdict::NotJudged {
            return None;
        }
        let bad = judgement.fire == Verdict::Bad;
        self.recent.push_back(bad);
        while self.recent.len() > damping.open.of as usize {
            self.recent.pop_front();
        }
        let Some(opened_at) = self.open else {
            let bad_windows = self.recent.iter().filter(|bad| **bad).count();
            if bad && bad_windows >= damping.open.k as usize {
                self.open = Some(window);
                self.good_run = 0;
            }
            return None;
        };
        if judgement.resolve == Verdict::Good {
            self.good_run += 1;
        } else {
            self.good_run = 0;
        }
        if self.good_run < damping.resolve_after.max(1) {
            return None;
        }
        self.open = None;
        self.good_run = 0;
        Some(Interval { opened_at, cleared_at: Some(window) })
    }
}

impl Kept {
    /// Its line, of the window that starts there.
    fn at(&self, start: Timestamp) -> Place {
        let Kept { end, revision, .. } = *self;
        Place { start, end, revision }
    }
}

impl Verdicts {
    fn intervals(&self, damping: Damping) -> Vec<Interval> {
        let mut fold = self.base.clone();
        let mut intervals = self.ended.clone();
        for (start, kept) in &self.kept {
            intervals.extend(fold.push(kept.at(*start), kept.judgement, damping));
        }
        intervals.extend(fold.open.map(|opened_at| Interval { opened_at, cleared_at: None }));
        intervals
    }

    /// Answers with the intervals that have come to their end for good.
    fn settle(&mut self, start: Timestamp, damping: Damping) -> Vec<Interval> {
        let rest = self.kept.split_off(&start);
        let mut ended = Vec::new();
        for (start, kept) in std::mem::replace(&mut self.kept, rest) {
            ended.extend(self.base.push(kept.at(start), kept.judgement, damping));
        }
        self.ended.extend_from_slice(&ended);
        ended
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(start: Timestamp, revision: u32, version: &Arc<str>) -> Line<'_> {
        Line { start, end: start, revision, version, replaces: &[] }
    }

    const ONE: Damping = Damping { open: ForSpec { k: 1, of: 1 }, resolve_after: 1 };

    /// Feeds `start:verdict` pairs (g, b, n; r is between fire and resolve) and shows what is announced.
    fn check(damping: Damping, story: &str) -> String {
        let mut alarm = Alarm::default();
        let mut lines = Vec::new();
        for word in story.split_whitespace() {
            let (start, verdict) = word.split_once(':').unwrap();
            let both = |v| Judgement { fire: v, resolve: v };
            let judgement = match verdict {
                "g" => both(Verdict::Good),
                "b" => both(Verdict::Bad),
                "r" => Judgement { fire: Verdict::Good, resolve: Verdict::Bad },
                _ => both(Verdict::NotJudged),
            };
            let at = Timestamp::from_micros(start.parse().unwrap());
            for said in alarm.judge(line(at, 0, &"".into()), judgement, damping) {
                let what = match said.transition {
                    Transition::Opened => "open",
                    Transition::Sustained => "sustain",
                    Transition::Cleared => "clear",
                    Transition::Retracted => "retract",
                };
                lines.push(format!("{start}:{what}({})", said.opened_at.as_micros()));
            }
        }
        lines.join(" ")
    }

    #[test]
    fn one_bad_window_opens_and_one_good_one_clears() {
        assert_eq!(
            check(ONE, "1:b 2:b 3:n 4:g 5:g 6:b"),
            "1:open(1) 2:sustain(1) 4:clear(1) 6:open(6)"
        );
    }

    #[test]
    fn k_of_n_and_hysteresis() {
        let damping = Damping { open: ForSpec { k: 2, of: 3 }, resolve_after: 2 };
        assert_eq!(check(damping, "1:b 2:g 3:b 4:g 5:r 6:g 7:g 8:g"), "3:open(3) 7:clear(3)");
    }

    #[test]
    fn a_revision_that_overturns_a_breach_retracts_it() {
        assert_eq!(check(ONE, "1:b 1:g"), "1:open(1) 1:retract(1)");
        assert_eq!(check(ONE, "1:b 2:g 1:g"), "1:open(1) 2:clear(1) 1:retract(1)");
        assert_eq!(check(ONE, "1:b 1:b 1:n"), "1:open(1) 1:retract(1)");
    }

    #[test]
    fn a_revision_that_finds_a_breach_opens_it() {
        assert_eq!(check(ONE, "1:g 1:b 2:b"), "1:open(1) 2:sustain(1)");
        assert_eq!(check(ONE, "1:g 2:g 1:b 3:b"), "1:open(1) 1:clear(1) 3:open(3)");
    }

    #[test]
    fn what_a_revision_shows_of_another_window_names_that_one() {
        let version = Arc::from("");
        let at = Timestamp::from_micros;
        let told = |damping, story: &[(i64, u32, Verdict)]| {
            let mut alarm = Alarm::default();
            let mut lines = Vec::new();
            for &(start, revision, verdict) in story {
                let judgement = Judgement { fire: verdict, resolve: verdict };
                let said = alarm.judge(line(at(start), revision, &version), judgement, damping);
                lines.extend(said.iter().map(|said| {
                    let Place { start, revision, .. } = said.window;
                    (said.transition, start.as_micros(), revision)
                }));
            }
            lines
        };
        use Transition::{Cleared, Opened};
        use Verdict::{Bad, Good, NotJudged};
        let found_late = [(1, 0, Good), (2, 0, Good), (2, 1, Good), (1, 1, Bad)];
        assert_eq!(told(ONE, &found_late), [(Opened, 1, 1), (Cleared, 2, 1)]);
        // A window in between that is judged no more brings two bad ones together.
        let two = Damping { open: ForSpec { k: 2, of: 2 }, resolve_after: 1 };
        let together = [(1, 0, Bad), (2, 0, Good), (3, 0, Bad), (2, 1, NotJudged)];
        assert_eq!(told(two, &together), [(Opened, 3, 0)]);
    }

    #[test]
    fn a_breach_that_was_cleared_too_early_goes_on_under_a_new_name() {
        assert_eq!(check(ONE, "1:b 2:g 2:b 3:g"), "1:open(1) 2:clear(1) 2:open(2) 3:clear(2)");
    }

    #[test]
    fn a_breach_that_later_windows_support_keeps_its_name() {
        assert_eq!(check(ONE, "1:b 2:b 1:g 3:g"), "1:open(1) 2:sustain(1) 3:clear(1)");
        assert_eq!(check(ONE, "1:b 2:b 2:g"), "1:open(1) 2:sustain(1) 2:clear(1)");
    }

    #[test]
    fn a_window_that_a_revision_finds_bad_sustains() {
        assert_eq!(check(ONE, "1:b 2:n 2:b 2:b"), "1:open(1) 2:sustain(1)");
        assert_eq!(check(ONE, "1:b 3:n 2:b"), "1:open(1) 2:sustain(1)");
        assert_eq!(check(ONE, "2:b 1:b"), "2:open(2)", "the breach keeps its name");
    }

    #[test]
    fn a_window_that_replaces_others_takes_their_judgements_with_it() {
        let version = Arc::from("");
        let at = Timestamp::from_micros;
        let both = |v| Judgement { fire: v, resolve: v };
        let told = |verdict| {
            let mut alarm = Alarm::default();
            alarm.judge(line(at(5), 0, &version), both(Verdict::Good), ONE);
            alarm.judge(line(at(8), 0, &version), both(Verdict::Bad), ONE);
            let joined = Line {
                start: at(5),
                end: at(9),
                revision: 1,
                version: &version,
                replaces: &[at(8)],
            };
            let said = alarm.judge(joined, both(verdict), ONE);
            said.iter().map(|said| said.transition).collect::<Vec<_>>()
        };
        assert_eq!(told(Verdict::Good), [Transition::Retracted]);
        assert_eq!(told(Verdict::Bad), [], "the breach goes on, and was told of");
    }

    #[test]
    fn what_a_revision_brings_back_is_another_breach() {
        let damping = Damping { open: ForSpec { k: 2, of: 2 }, resolve_after: 1 };
        let mut alarm = Alarm::default();
        let version = Arc::from("");
        let mut names = Vec::new();
        let story = [
            (1, 0, Verdict::Bad),
            (2, 0, Verdict::Bad),
            (1, 1, Verdict::Good),
            (1, 2, Verdict::Bad),
        ];
        for (start, revision, verdict) in story {
            let judgement = Judgement { fire: verdict, resolve: verdict };
            let line = line(Timestamp::from_micros(start), revision, &version);
            for said in alarm.judge(line, judgement, damping) {
                names.push((
                    said.transition,
                    said.opened_at.as_micros(),
                    said.opened_by.0.as_micros(),
                    said.opened_by.1,
                ));
            }
        }
        use Transition::{Opened, Retracted};
        assert_eq!(names, [(Opened, 2, 2, 0), (Retracted, 2, 2, 0), (Opened, 2, 1, 2)]);
    }

    proptest! {
        /// Nor does it where windows are revised: one that was announced as cleared
        /// by a later window than the one that does it now is not taken back.
        #[test]
        fn settling_is_invisible_under_revisions(
            verdicts in prop::collection::vec((0i64..4, 0u8..4), 1..60),
            k in 1u32..3, of in 2u32..4, resolve_after in 1u32..3,
        ) {
            let damping = Damping { open: ForSpec { k, of }, resolve_after };
            let version = Arc::from("");
            let (mut kept, mut settled) = (Alarm::default(), Alarm::default());
            for (i, (back, verdict)) in verdicts.iter().enumerate() {
                let newest = i as i64 / 2;
                let at = Timestamp::from_micros((newest - back).max(0));
                let fire = [Verdict::Good, Verdict::Bad, Verdict::NotJudged, Verdict::Good][usize::from(*verdict)];
                let resolve = if *verdict == 3 { Verdict::Bad } else { fire };
                let judgement = Judgement { fire, resolve };
                let revision = i as u32;
                prop_assert_eq!(
                    kept.judge(line(at, revision, &version), judgement, damping),
                    settled.judge(line(at, revision, &version), judgement, damping)
                );
                settled.settle(Timestamp::from_micros(newest - 3), damping, Some(Timestamp::MIN));
                prop_assert_eq!(kept.intervals(damping), settled.intervals(damping));
            }
        }

        /// Settling what cannot change any more changes nothing that is announced.
        #[test]
        fn settling_is_invisible(verdicts in prop::collection::vec(0u8..3, 1..40), k in 1u32..3, of in 3u32..5, resolve_after in 1u32..3) {
            let damping = Damping { open: ForSpec { k, of }, resolve_after };
            let version = Arc::from("");
            let (mut kept, mut settled) = (Alarm::default(), Alarm::default());
            for (i, verdict) in verdicts.iter().enumerate() {
                let at = Timestamp::from_micros(i as i64);
                let verdict = [Verdict::Good, Verdict::Bad, Verdict::NotJudged][usize::from(*verdict)];
                let judgement = Judgement { fire: verdict, resolve: verdict };
                prop_assert_eq!(kept.judge(line(at, 0, &version), judgement, damping), settled.judge(line(at, 0, &version), judgement, damping));
                settled.settle(at, damping, None);
            }
        }

        /// However verdicts are revised, what is announced as open is open by a
        /// fresh fold of the final verdicts, and at most one is.
        #[test]
        fn an_open_breach_is_one_of_the_final_verdicts(events in prop::collection::vec((0i64..6, 0u8..3), 1..40)) {
            let version = Arc::from("");
            let mut alarm = Alarm::default();
            for (start, verdict) in events {
                let verdict = [Verdict::Good, Verdict::Bad, Verdict::NotJudged][usize::from(verdict)];
                let judgement = Judgement { fire: verdict, resolve: verdict };
                alarm.judge(line(Timestamp::from_micros(start), 0, &version), judgement, ONE);
            }
            let wanted = alarm.verdicts.intervals(ONE).iter().any(|i| i.cleared_at.is_none());
            let open = alarm.announced.iter().filter(|b| b.cleared_at.is_none()).count();
            prop_assert!(open <= usize::from(wanted));
        }
    }
}
