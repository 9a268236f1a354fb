//! What else is due of an incident besides the deadlines of its step: the end
//! of silences and of flapping, digests, repetitions, rollbacks.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::line::Line;

/// Something that is due.
#[derive(Clone, Debug)]
struct Due {
    at: String,
    /// When it was written down: what was due before that is due then.
    recorded_at: String,
}

impl Due {
    fn of(line: &Line<'_>, at: Option<&str>) -> Option<Self> {
        Some(Self { at: at?.to_owned(), recorded_at: line.recorded_at.clone() })
    }

    fn is_over(&self, end: &str) -> bool {
        *self.at < *end && *self.recorded_at < *end
    }
}

/// All that is due by such instants.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    silences: BTreeMap<String, Due>,
    flapping: Option<Due>,
    /// Pages of the present step that wait for a digest, by person.
    digests: BTreeMap<String, Due>,
    repeat: Option<Due>,
    rollback: Option<Due>,
}

impl Pending {
    /// Takes in what a fact makes due, and what it answers. `stands_on` is true
    /// for a page of the step that the incident stands on.
    pub(crate) fn take(&mut self, line: &Line<'_>, stands_on: bool) {
        let text = |name: &str| line.text(name).unwrap_or_default();
        let due = |name: &str| Due::of(line, line.text(name));
        match line.fact.as_str() {
            "silenced" => {
                let until = due("until");
                self.silences.extend(until.map(|until| (text("silence").to_owned(), until)));
            }
            "unsilenced" => {
                self.silences.remove(text("silence"));
                self.resume(line);
            }
            "uninhibited" => self.resume(line),
            "flapping_started" => self.flapping = due("ends_at"),
            "flapping_ended" => {
                self.flapping = None;
                self.resume(line);
            }
            "notification_skipped" => {
                self.repeat = due("repeat_at");
                if stands_on {
                    self.digests.remove(text("target"));
                    self.digests
                        .extend(due("digest_at").map(|due| (text("target").to_owned(), due)));
                }
            }
            "notified" => {
                self.digests.remove(text("target"));
                self.repeat = due("repeat_at");
            }
            "acknowledged" | "exhausted" => self.digests.clear(),
            "acknowledgement_expired" => {
                self.digests.clear();
                self.asks_now(line);
            }
            "escalated" => {
                self.digests.clear();
                self.rollback.take_if(|_| text("trigger") == "not_rolled_back");
            }
            "signed_off" if text("gate") == "rollback" => {
                let approves = line.data.get("approve").and_then(Value::as_bool);
                self.rollback.take_if(|_| approves != Some(true));
            }
            "remediated" => self.rollback = None,
            "verification_failed" | "reopened" => (self.rollback, self.repeat) = (None, None),
            // Whether it flaps is looked at also where it is over by then.
            "resolved" | "merged" => {
                *self = Self { flapping: self.flapping.take(), ..Self::default() };
            }
            "action_recorded" => self.action(line),
            _ => {}
        }
    }

    /// Those who are asked again and again are asked at once.
    fn asks_now(&mut self, line: &Line<'_>) {
        let now = Due::of(line, Some(&line.recorded_at));
        self.repeat = self.repeat.take().and(now);
    }

    fn action(&mut self, line: &Line<'_>) {
        let due = Due::of(line, line.text("due_at"));
        match line.text("action") {
            Some("rollback_ordered") => self.rollback = due,
            Some("rollback_overdue") => self.rollback = None,
            Some("flapping_goes_on") => self.flapping = due,
            _ => {}
        }
    }

    /// Goes on after a quiet, with what was moved while it lasted.
    fn resume(&mut self, line: &Line<'_>) {
        let Some(resumes) = line.data.get("resumes") else { return };
        let due = |name: &str| Due::of(line, resumes.get(name).and_then(Value::as_str));
        self.repeat = due("repeat_at").or(self.repeat.take());
        self.rollback = due("rollback_by").or(self.rollback.take());
        if resumes.get("pages").and_then(Value::as_bool) == Some(true) {
            self.digests.clear();
            self.asks_now(line);
        }
    }

    /// What was to end before `end` whatever else was going on, and did not.
    pub(crate) fn unended(&self, end: &str) -> Option<String> {
        let silence = self.silences.iter().find(|(_, until)| until.is_over(end));
        let silence = silence.map(|(id, until)| {
            format!("nothing ends the silence {id}, which lasts until {}", until.at)
        });
        silence.or_else(|| {
            let flaps = self.flapping.as_ref().filter(|until| until.is_over(end))?;
            Some(format!("nothing says whether it still flaps after {}", flaps.at))
        })
    }

    /// What was due before `end` of an incident that asks for something.
    pub(crate) fn overdue(&self, asks: Asks, end: &str) -> Option<String> {
        let rollback = self.rollback.as_ref().filter(|_| asks.climbs);
        if let Some(due) = rollback.filter(|due| due.is_over(end)) {
            return Some(format!("nothing answers that it is rolled back by {}", due.at));
        }
        if asks.acknowledged {
            return None;
        }
        if let Some((who, due)) = self.digests.iter().find(|(_, due)| due.is_over(end)) {
            return Some(format!("no digest at {} tells {who}, whose page waited for it", due.at));
        }
        let repeat = self.repeat.as_ref().filter(|due| asks.exhausted && due.is_over(end))?;
        Some(format!("its steps ran out, and nobody is asked again at {}", repeat.at))
    }
}

/// How an incident stands that does not rest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asks {
    /// True while somebody's acknowledgement holds.
    pub(crate) acknowledged: bool,
    /// True where its step was entered, or none is left.
    pub(crate) climbs: bool,
    /// True once its steps have run out.
    pub(crate) exhausted: bool,
}
