//! Working hours, dates and drills.

use watchkeep_model::charter::Severity;
use watchkeep_model::policy::{Flap, Outside};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::super::{Checks, Found};
use super::Playbook;
use crate::calendar::next_working;
use crate::escalate::REPEAT_MIN;
use crate::state::quiet::CHANGES_MAX;

/// A long weekend. Deferring for longer is told.
const GAP_MAX: TimeSpan = TimeSpan::DAY.times(4);

/// How far ahead working hours are looked at.
const AHEAD: TimeSpan = TimeSpan::DAY.times(365);

/// How finely; hours shorter than this may be overlooked.
const STEP: TimeSpan = TimeSpan::MINUTE.times(15);

pub(super) fn check(playbook: &Playbook<'_>, checks: &Checks, found: &mut Found) {
    repeats(playbook, found);
    flapping(playbook, found);
    let Some(now) = checks.now else { return };
    hours(playbook, now, found);
    dates(playbook, now, found);
    drills(playbook, checks, now, found);
}

fn repeats(playbook: &Playbook<'_>, found: &mut Found) {
    let interval = playbook.policy.grouping.repeat_interval;
    if interval < REPEAT_MIN {
        let message = format!("repeat_interval {interval} is taken as {REPEAT_MIN}");
        let document = playbook.document;
        found.warning(document, "grouping.repeat_interval", "short_repeat", message, None);
    }
}

fn flapping(playbook: &Playbook<'_>, found: &mut Found) {
    let Some(Flap { look_back, changes }) = playbook.policy.damping.flap else { return };
    let most = usize::try_from(look_back).unwrap_or(CHANGES_MAX).min(CHANGES_MAX);
    if usize::try_from(changes).is_ok_and(|changes| changes > most) {
        let message = format!("{changes} changes among {look_back} windows never come");
        let hint = Some(format!("`changes` is at most {most} here"));
        found.warning(playbook.document, "damping.flap.changes", "never_flaps", message, hint);
    }
}

fn hours(playbook: &Playbook<'_>, now: Timestamp, found: &mut Found) {
    let Some(hours) = &playbook.policy.hours else { return };
    let deferred = hours.outside.iter().filter(|(_, what)| **what == Outside::Defer);
    let names: Vec<&str> = deferred.map(|(severity, _)| Severity::name(*severity)).collect();
    if names.is_empty() {
        return;
    }
    let what = names.join(" and ");
    let (mut at, end) = (now, now + AHEAD);
    while at < end {
        let Some(next) = next_working(hours, at) else {
            let message = format!("there are no working hours for {what} to wait for");
            found.warning(playbook.document, "hours.working", "hours_gap", message, None);
            return;
        };
        if next.since(at) > GAP_MAX {
            let message = format!("{what} of {at} or later waits until {next}");
            found.warning(playbook.document, "hours.working", "hours_gap", message, None);
            return;
        }
        at = next.max(at) + STEP;
        // To the end of these hours.
        while at < end && next_working(hours, at) == Some(at) {
            at = at + STEP;
        }
    }
}

fn dates(playbook: &Playbook<'_>, now: Timestamp, found: &mut Found) {
    let document = playbook.document;
    let holidays = playbook.policy.hours.iter().flat_map(|hours| &hours.holidays);
    // A day begins somewhere up to half a day before it does in UTC.
    let today = now - TimeSpan::DAY;
    let day = |text: String| text.parse::<Timestamp>().ok();
    if let Some(last) = holidays.max()
        && day(last.0.to_string()).is_some_and(|last| last + TimeSpan::DAY < today)
    {
        let message = format!("the last holiday was {}", last.0);
        found.warning(document, "hours.holidays", "stale_dates", message, None);
    }
    if let Some(last) = playbook.policy.freeze.iter().map(|freeze| freeze.to).max()
        && last <= now
    {
        let message = format!("the last freeze ended {last}");
        found.warning(document, "freeze", "stale_dates", message, None);
    }
}

fn drills(playbook: &Playbook<'_>, checks: &Checks, now: Timestamp, found: &mut Found) {
    let (Some(drill), Some(drills)) = (playbook.policy.drill, &checks.drills) else { return };
    let message = match drills.get(&playbook.policy.name) {
        None => "there was no drill yet".to_owned(),
        Some(last) if *last + drill.every < now => {
            format!("the last drill was {last}; the next was due {}", *last + drill.every)
        }
        Some(_) => return,
    };
    let hint = Some("`watchkeep drill run` plays one through the real policy".into());
    found.warning(playbook.document, "drill.every", "drill_overdue", message, hint);
}
