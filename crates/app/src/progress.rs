//! How far a long command has come, on standard error.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::output::grouped;

/// Time between two lines where standard error is no terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(2);
/// Time between two updates on a terminal.
const TERMINAL_EVERY: Duration = Duration::from_millis(100);

/// Tells of progress now and then.
pub(crate) struct Progress {
    noun: &'static str,
    begun: Instant,
    told: Instant,
    is_terminal: bool,
    /// Whether a line stands on the terminal that has to be taken away.
    shown: bool,
}

impl Progress {
    /// Begins to count. Nothing is told in the first moments, so a short
    /// command says nothing.
    pub(crate) fn new(noun: &'static str) -> Self {
        let now = Instant::now();
        let is_terminal = io::stderr().is_terminal();
        Self { noun, begun: now, told: now, is_terminal, shown: false }
    }

    /// `share` is how much of the input is read, 0 to 1, where that is known.
    pub(crate) fn tell(&mut self, done: u64, share: Option<f64>) {
        let every = if self.is_terminal { TERMINAL_EVERY } else { PLAIN_EVERY };
        if self.told.elapsed() < every {
            return;
        }
        self.told = Instant::now();
        let text = self.text(done, share);
        let mut stderr = io::stderr();
        let _ = if self.is_terminal {
            self.shown = true;
            write!(stderr, "\r\x1b[2K{text}")
        } else {
            writeln!(stderr, "{text}")
        };
    }

    /// Takes the line on a terminal away.
    pub(crate) fn finish(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[2K");
            self.shown = false;
        }
    }

    /// Seconds since the beginning.
    pub(crate) fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    /// How many there were for each second.
    pub(crate) fn rate(&self, done: u64) -> u64 {
        (done as f64 / self.seconds().max(1e-3)) as u64
    }

    fn text(&self, done: u64, share: Option<f64>) -> String {
        let share = share.map(|share| format!(" {:3.0} %", share * 100.0)).unwrap_or_default();
        format!("{} {}{share}, {} a second", grouped(done), self.noun, grouped(self.rate(done)))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
