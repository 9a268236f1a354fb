//! How long a watermark has stood still while something waits for it.
//!
//! Time is the log's own time of the batches, so whoever folds the same batches
//! comes to the same answer; an instance's clock has no part in it.

use serde::{Deserialize, Serialize};
use watchkeep_model::time::{TimeSpan, Timestamp};

/// Since when the watermark stands, to the batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing(Option<Timestamp>);

impl Standing {
    /// The watermark moved, or nothing waits for it any more: time begins anew
    /// with the batch that is asked about next.
    pub fn moved(&mut self) {
        self.0 = None;
    }

    /// How long the watermark has stood when the log took the batch at
    /// `appended_at`. A log whose clock went back begins anew, so that it holds
    /// nothing up for as long as it went back.
    pub fn stands_for(&mut self, appended_at: Timestamp) -> TimeSpan {
        let since = self.0.map_or(appended_at, |since| since.min(appended_at));
        self.0 = Some(since);
        appended_at.since(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_runs_from_the_first_batch_of_a_watermark_that_stands() {
        let at = Timestamp::from_micros;
        let mut standing = Standing::default();
        let mut stands = |us| standing.stands_for(at(us)).as_micros();
        assert_eq!([100, 103, 110].map(&mut stands), [0, 3, 10]);
        assert_eq!([40, 45].map(&mut stands), [0, 5], "a clock that went back");
        standing.moved();
        assert_eq!(standing.stands_for(at(200)).as_micros(), 0);
    }
}
