//! When a feature version was in breach: times that are no example of how it
//! ought to be, so that baselines leave them out.

use watchkeep_model::time::{TimeSpan, Timestamp};

/// The breaches of one version, each from its beginning to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Breaches(Vec<(Timestamp, Option<Timestamp>)>);

impl Breaches {
    /// Adds a breach that goes on where it has no end.
    pub(super) fn add(&mut self, from: Timestamp, to: Option<Timestamp>) {
        self.0.push((from, to));
    }

    /// True where at least half of `[start, end)` lies in one breach, of which no
    /// more than the first `within` counts: what has lasted as long as the
    /// baseline reaches is how things are now, or nothing would ever end it.
    pub(super) fn hold(&self, start: Timestamp, end: Timestamp, within: TimeSpan) -> bool {
        self.0.iter().any(|(from, to)| {
            let to = to.unwrap_or(Timestamp::MAX).min(*from + within);
            let common = end.min(to).since(start.max(*from)).as_micros().max(0);
            common > 0 && common.saturating_mul(2) >= end.since(start).as_micros()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_held_by_half_and_not_for_ever() {
        let at = Timestamp::from_micros;
        let mut breaches = Breaches::default();
        breaches.add(at(100), Some(at(120)));
        breaches.add(at(500), None);
        let hold = |start, end| breaches.hold(at(start), at(end), TimeSpan::from_micros(50));
        assert!(hold(100, 110) && hold(110, 120) && !hold(120, 130) && !hold(90, 100));
        assert!(hold(90, 110) && !hold(89, 109) && hold(80, 120) && !hold(0, 1000));
        assert!(hold(540, 550) && !hold(550, 560), "the first 50 count");
    }
}
