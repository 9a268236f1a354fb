//! The one clock. Everything else is told what time it is.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use watchkeep_model::time::{TimeSpan, Timestamp};

/// The time of day by the system.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// The time of day when the program began, and what has passed since. It never
/// goes back and never jumps, so it is what spans are measured with: a clock
/// that is put back by an hour must not hold up commits for an hour.
pub(crate) fn steady() -> Timestamp {
    static BEGUN: OnceLock<(Timestamp, Instant)> = OnceLock::new();
    let (at, begun) = BEGUN.get_or_init(|| (now(), Instant::now()));
    let micros = i64::try_from(begun.elapsed().as_micros()).unwrap_or(i64::MAX);
    *at + TimeSpan::from_micros(micros)
}

/// What escalations go by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    /// The time of day.
    Wall,
    /// The demo's: so many times as fast, from the instant where its story begins.
    Story {
        /// When the program began it.
        begun: Instant,
        /// The story's first instant.
        start: Timestamp,
        /// Seconds of the story in a second.
        speed: i64,
    },
}

impl Clock {
    /// What time it is by this clock.
    pub(crate) fn now(&self) -> Timestamp {
        match self {
            Self::Wall => now(),
            Self::Story { begun, start, speed } => {
                let micros = i64::try_from(begun.elapsed().as_micros()).unwrap_or(i64::MAX);
                *start + TimeSpan::from_micros(micros).times(*speed)
            }
        }
    }
}
