//! When a feature version was in breach: times that are no example of how it
//! ought to be, so that baselines leave them out.

use watchkeep_model::time::{TimeSpan, Timestamp};

/// The breaches of one version, each with its expectation, from its beginning to
/// its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Breaches(Vec<(String, Timestamp, Option<Timestamp>)>);

/// Whose breach a window lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// Nobody's.
    No,
    /// Of other expectations alone.
    ByOthers,
    /// Also of the one that the baseline is for.
    ByOwn,
}

impl Breaches {
    /// Adds a breach that goes on where it has no end.
    pub(super) fn add(&mut self, expectation: &str, from: Timestamp, to: Option<Timestamp>) {
        self.0.push((expectation.to_owned(), from, to));
    }

    /// Whether at least half of `[start, end)` lies in one breach, of which no
    /// more than the first `within` counts: what has lasted as long as the
    /// baseline reaches is how things are now, or nothing would ever end it.
    pub(super) fn hold(
        &self,
        start: Timestamp,
        end: Timestamp,
        within: TimeSpan,
        own: &str,
    ) -> Held {
        let mut held = Held::No;
        for (expectation, from, to) in &self.0 {
            let to = to.unwrap_or(Timestamp::MAX).min(*from + within);
            let common = end.min(to).since(start.max(*from)).as_micros().max(0);
            if common > 0 && common.saturating_mul(2) >= end.since(start).as_micros() {
                if expectation == own {
                    return Held::ByOwn;
                }
                held = Held::ByOthers;
            }
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_held_by_half_and_not_for_ever() {
        let at = Timestamp::from_micros;
        let mut breaches = Breaches::default();

        breaches.add("drift", at(100), Some(at(120)));
        breaches.add("drift", at(500), None);
        breaches.add("slow", at(105), Some(at(140)));
        let within = TimeSpan::from_micros(50);
        let of = |own, start, end| breaches.hold(at(start), at(end), within, own);
        let hold = |start, end| of("drift", start, end) == Held::ByOwn;
        assert_eq!(of("drift", 130, 140), Held::ByOthers);
        assert_eq!(of("drift", 140, 150), Held::No);
        assert_eq!(of("slow", 110, 120), Held::ByOwn);
        assert!(hold(100, 110) && hold(110, 120) && !hold(120, 130) && !hold(90, 100));
        assert!(hold(90, 110) && !hold(89, 109) && hold(80, 120) && !hold(0, 1000));
        assert!(hold(540, 550) && !hold(550, 560), "the first 50 count");
    }
}
