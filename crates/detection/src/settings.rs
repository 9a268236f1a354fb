//! Settings of event time, checked once when they are made.

use watchkeep_model::time::TimeSpan;

/// How event time is cut and waited for (`[time]` of the configuration).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSettings {
    /// The smallest slice of event time; fixed for a deployment.
    pub pane: TimeSpan,
    /// How far events of one source partition may be out of order without being late.
    pub out_of_orderness: TimeSpan,
    /// How long a partition must be read to its end to no longer hold the watermark.
    pub idle_after: TimeSpan,
    /// How long after its end a window takes late events.
    pub allowed_lateness: TimeSpan,
    /// How often a window with late events is measured anew.
    pub revise_every: TimeSpan,
    /// How far an event may be ahead of its broker's time.
    pub max_future: TimeSpan,
    /// How long nothing may come from any source partition before that is a
    /// platform breach; zero for never.
    pub dead_man_after: TimeSpan,
}

impl Default for TimeSettings {
    fn default() -> Self {
        Self {
            pane: TimeSpan::MINUTE,
            out_of_orderness: TimeSpan::SECOND.times(30),
            idle_after: TimeSpan::SECOND.times(30),
            allowed_lateness: TimeSpan::MINUTE.times(10),
            revise_every: TimeSpan::MINUTE.times(10),
            max_future: TimeSpan::MINUTE.times(5),
            dead_man_after: TimeSpan::MINUTE.times(10),
        }
    }
}

/// A setting of `[time]` that cannot be used; the message names it and says what can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("time.{name} = {value}: {must}")]
pub struct SettingError {
    /// The setting's name.
    pub name: &'static str,
    /// What it was set to.
    pub value: TimeSpan,
    /// What it must be.
    pub must: String,
}

impl TimeSettings {
    /// Checks the settings against each other.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn checked(self) -> Result<Self, SettingError> {
        let error = |name, value, must: &str| Err(SettingError { name, value, must: must.into() });
        if self.pane < TimeSpan::SECOND || self.pane > TimeSpan::HOUR {
            return error("pane", self.pane, "must be from 1s to 1h");
        }
        if !TimeSpan::HOUR.is_multiple_of(self.pane) {
            return error("pane", self.pane, "must divide an hour, so that hours are whole panes");
        }
        // Lateness is judged at pane bounds; anything finer could not be exact.
        for (name, value) in
            [("allowed_lateness", self.allowed_lateness), ("revise_every", self.revise_every)]
        {
            if !value.is_multiple_of(self.pane) {
                let must = format!("must be a multiple of the pane, {}", self.pane);
                return Err(SettingError { name, value, must });
            }
        }
        if self.revise_every < self.pane {
            return error("revise_every", self.revise_every, "must be at least one pane");
        }
        if self.idle_after < TimeSpan::SECOND {
            return error("idle_after", self.idle_after, "must be at least 1s");
        }
        if self.dead_man_after < self.idle_after && self.dead_man_after != TimeSpan::ZERO {
            let must = "must be at least time.idle_after, or 0s for never";
            return error("dead_man_after", self.dead_man_after, must);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_and_what_cannot_be_exact_is_refused() {
        assert!(TimeSettings::default().checked().is_ok());
        let odd = TimeSettings { pane: TimeSpan::SECOND.times(7), ..TimeSettings::default() };
        assert!(odd.checked().unwrap_err().to_string().contains("must divide an hour"));
        let fine =
            TimeSettings { revise_every: TimeSpan::SECOND.times(90), ..TimeSettings::default() };
        assert_eq!(
            fine.checked().unwrap_err().to_string(),
            "time.revise_every = 90s: must be a multiple of the pane, 1m"
        );
    }
}
