//! Deadlines of a step: each is answered, or moves the incident on, once.

use serde_json::Value;

use crate::line::Line;
use crate::time::micros;

/// Triggers that a deadline pulls, with the deadline of the step's entry.
pub(crate) const TIMED: [(&str, &str); 3] = [
    ("not_acknowledged", "acknowledge_by"),
    ("not_remediated", "remediate_by"),
    ("not_decided", "decide_by"),
];

/// Where an incident stands on its ladder.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) step: String,
    climb: i64,
    enters_at: String,
    /// In the order of [`TIMED`].
    deadlines: [Option<String>; 3],
    /// When it was written down: what was due before that is due then.
    recorded_at: String,
}

impl Entry {
    /// Reads the entry of a fact's data; `None` where it has none.
    pub(crate) fn of(line: &Line<'_>) -> Option<Self> {
        line.data.get("entry").map(|entry| Self::read(entry, line))
    }

    /// Reads the entry with which an incident goes on after a quiet.
    pub(crate) fn resumed(line: &Line<'_>) -> Option<Self> {
        line.data.get("resumes")?.get("entry").map(|entry| Self::read(entry, line))
    }

    fn read(entry: &Value, line: &Line<'_>) -> Self {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            step: text("step").unwrap_or_default(),
            climb: entry.get("loop").and_then(Value::as_i64).unwrap_or_default(),
            enters_at: text("enters_at").unwrap_or_default(),
            deadlines: TIMED.map(|(_, name)| text(name)),
            recorded_at: line.recorded_at.clone(),
        }
    }

    /// The climb, from 1.
    pub(crate) const fn climb(&self) -> i64 {
        self.climb
    }

    /// True while the step waits for its entry, as for working hours.
    pub(crate) fn waits(&self, line: &Line<'_>) -> bool {
        line.occurred_at < self.enters_at
    }

    /// What is wrong with a fact that moves the incident to this entry.
    pub(crate) fn misfit(&self, line: &Line<'_>) -> Option<String> {
        if line.text("to_step").is_some_and(|to| to != self.step) {
            return Some("it enters another step than it names".to_owned());
        }
        if line.number("loop").is_some_and(|climb| climb != self.climb) {
            return Some("it enters another climb than it names".to_owned());
        }
        let early = self.deadlines.iter().flatten().find(|at| **at < self.enters_at);
        early.map(|at| format!("a deadline ({at}) is before the step's entry"))
    }

    /// The deadline that a trigger stands for.
    pub(crate) fn deadline(&self, trigger: &str) -> Option<Option<&str>> {
        let place = TIMED.iter().position(|(name, _)| *name == trigger)?;
        Some(self.deadlines[place].as_deref())
    }

    /// What was due before `end` and still waits: the earliest deadline of
    /// those that `asks` holds for, or the step's entry where it was never
    /// made.
    pub(crate) fn overdue(
        &self,
        entered: bool,
        asks: impl Fn(&str) -> bool,
        end: &str,
    ) -> Option<String> {
        if *self.recorded_at >= *end {
            return None;
        }
        if !entered {
            let is_due = !self.enters_at.is_empty() && *self.enters_at < *end;
            return is_due
                .then(|| format!("step {} is not entered, due at {}", self.step, self.enters_at));
        }
        let due = TIMED.iter().zip(&self.deadlines).filter(|((trigger, _), _)| asks(trigger));
        let due = due.filter_map(|((_, name), at)| Some((at.as_deref()?, *name)));
        let (at, name) = due.filter(|(at, _)| *at < end).min()?;
        Some(format!("nothing answers the deadline of {} ({name}) at {at}", self.step))
    }
}

/// What is wrong with `late_by_us`: the time from `due_at` to the writing
/// where that is later, else absent.
pub(crate) fn wrong_lateness(line: &Line<'_>) -> Option<String> {
    let due_at = micros(line.text("due_at")?)?;
    let late = micros(&line.recorded_at)? - due_at;
    let told = line.number("late_by_us");
    let expected = (late > 0).then_some(late);
    (told != expected).then(|| match expected {
        Some(late) => format!("it was written {late} µs after it was due and does not say so"),
        None => "it says that it was late and was not".to_owned(),
    })
}
