//! Who of a group or a rota answers at an instant.

use std::collections::BTreeSet;

use watchkeep_model::directory::{Directory, Layer, Schedule};
use watchkeep_model::time::{TimeSpan, Timestamp};

use crate::calendar;

/// Groups inside groups that are followed; a deeper nest names nobody.
const GROUP_DEPTH_MAX: u32 = 4;

/// What came of asking for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// This person answers, `user:…`.
    Present(String),
    /// Nobody does, and why.
    Nobody(String),
}

/// Why somebody is not to answer although they could; `None` where they may.
pub type Barred<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The person behind a typed name at an instant: a user if present, the lead
/// of a group or else its first member present, whoever a schedule has on duty.
pub fn answering(directory: &Directory, name: &str, at: Timestamp) -> Presence {
    answering_unless(directory, name, at, &|_| None)
}

/// The same, without those who are barred.
pub fn answering_unless(
    directory: &Directory,
    name: &str,
    at: Timestamp,
    barred: Barred<'_>,
) -> Presence {
    answering_within(directory, name, at, barred, GROUP_DEPTH_MAX)
}

fn answering_within(
    directory: &Directory,
    name: &str,
    at: Timestamp,
    barred: Barred<'_>,
    depth: u32,
) -> Presence {
    let unable =
        |name: &str| unavailable(directory, name, at).or_else(|| barred(&typed_user(name)));
    if let Some(group) = name.strip_prefix("group:") {
        let Some(group) = directory.groups.get(group) else {
            return Presence::Nobody("no such group".into());
        };
        if depth == 0 {
            return Presence::Nobody("groups are nested too deeply".into());
        }
        let mut passed_over = Vec::new();
        for member in group.lead.iter().chain(&group.members) {
            match answering_within(directory, member, at, barred, depth - 1) {
                Presence::Present(user) => return Presence::Present(user),
                Presence::Nobody(why) => note(&mut passed_over, member, why),
            }
        }
        return Presence::Nobody(listed("nobody of the group is present", &passed_over));
    }
    if let Some(schedule) = name.strip_prefix("schedule:") {
        let Some(schedule) = directory.schedules.get(schedule) else {
            return Presence::Nobody("no such schedule".into());
        };
        return match duty(schedule, at, &unable) {
            Ok(user) => Presence::Present(user),
            Err(passed_over) => Presence::Nobody(listed("nobody on duty", &passed_over)),
        };
    }
    match unable(name) {
        None => Presence::Present(typed_user(name)),
        Some(why) => Presence::Nobody(why),
    }
}

/// People that a reason names; more are left out.
const NAMED_MAX: usize = 5;

fn note(passed_over: &mut Vec<(String, String)>, name: &str, why: String) {
    let name = typed(name);
    // The lead is mostly a member too.
    if passed_over.iter().all(|(other, _)| *other != name) {
        passed_over.push((name, why));
    }
}

fn listed(what: &str, passed_over: &[(String, String)]) -> String {
    if passed_over.is_empty() {
        return what.to_owned();
    }
    let named = passed_over.iter().take(NAMED_MAX);
    let mut reasons: Vec<String> = named.map(|(name, why)| format!("{name} {why}")).collect();
    if passed_over.len() > NAMED_MAX {
        reasons.push(format!("{} more", passed_over.len() - NAMED_MAX));
    }
    format!("{what}: {}", reasons.join("; "))
}

fn typed(name: &str) -> String {
    if name.contains(':') { name.to_owned() } else { typed_user(name) }
}

/// `user:` is put before a bare name.
pub fn typed_user(name: &str) -> String {
    if name.starts_with("user:") { name.to_owned() } else { format!("user:{name}") }
}

/// Why a user cannot answer at an instant; `None` where they can.
pub fn unavailable(directory: &Directory, name: &str, at: Timestamp) -> Option<String> {
    let Some(user) = directory.user(name) else {
        return Some("no such user".into());
    };
    if !user.active {
        return Some("inactive".into());
    }
    user.absence(at).map(|absence| format!("absent until {}", absence.to))
}

/// Who is on duty: an override that holds first (one without a user empties
/// the rota, an absent one gives way to the layers), else the last layer that
/// names somebody present.
pub fn on_duty(directory: &Directory, schedule: &Schedule, at: Timestamp) -> Option<String> {
    duty(schedule, at, &|name| unavailable(directory, name, at)).ok()
}

/// The same, or who was passed over and why.
fn duty(
    schedule: &Schedule,
    at: Timestamp,
    unable: &dyn Fn(&str) -> Option<String>,
) -> Result<String, Vec<(String, String)>> {
    let mut passed_over = Vec::new();
    if let Some(over) = schedule.overrides.iter().rev().find(|o| o.from <= at && at < o.to) {
        let Some(user) = &over.user else { return Err(passed_over) };
        match unable(user) {
            None => return Ok(typed_user(user)),
            Some(why) => note(&mut passed_over, user, why),
        }
    }
    for layer in schedule.layers.iter().rev() {
        let Some(first) = turn(layer, schedule.zone.as_deref(), at) else { continue };
        for step in 0..layer.users.len() {
            let user = &layer.users[(first + step) % layer.users.len()];
            match unable(user) {
                None => return Ok(typed_user(user)),
                Some(why) => note(&mut passed_over, user, why),
            }
        }
    }
    Err(passed_over)
}

/// Turns of whole hours are counted on the wall clock of the rota's zone, so
/// that a hand-over at nine in the morning, or at nine in the evening, stays
/// there when the clocks change; shorter ones by the time that passes.
const ON_WALL_CLOCK: TimeSpan = TimeSpan::HOUR;

/// The zone by whose wall clock a layer's turns are counted.
fn clock_of<'z>(layer: &Layer, zone: Option<&'z str>) -> Option<&'z str> {
    zone.filter(|_| layer.every.is_multiple_of(ON_WALL_CLOCK))
}

/// When a turn of a layer begins; `None` beyond the calendar.
fn begin_of(layer: &Layer, zone: Option<&str>, turn: i64) -> Option<Timestamp> {
    let passed = layer.every.as_micros().checked_mul(turn)?;
    let plain = Timestamp::from_micros(layer.from.as_micros().checked_add(passed)?);
    let on_clock =
        clock_of(layer, zone).and_then(|zone| calendar::on_wall_clock(layer.from, plain, zone));
    Some(on_clock.unwrap_or(plain))
}

/// Whose turn it is, an index into the layer's users; `None` before the first
/// turn.
fn turn(layer: &Layer, zone: Option<&str>, at: Timestamp) -> Option<usize> {
    let every = layer.every.as_micros();
    if at < layer.from || every <= 0 || layer.users.is_empty() {
        return None;
    }
    let elapsed = clock_of(layer, zone)
        .and_then(|zone| calendar::wall_clock(at, zone).zip(calendar::wall_clock(layer.from, zone)))
        .map_or_else(|| at.since(layer.from), |(now, from)| now.since(from));
    let mut turn = elapsed.as_micros().max(0) / every;
    // An hour that the clocks show twice belongs to the turn that its first
    // showing has reached.
    while begin_of(layer, zone, turn + 1).is_some_and(|begin| begin <= at) {
        turn += 1;
    }
    usize::try_from(turn).ok().map(|turn| turn % layer.users.len())
}

/// Turns of one layer that are looked ahead for changes.
const TURNS_AHEAD_MAX: i64 = 1_000;

/// Instants in `(after, until]` at which somebody else may answer for what
/// names people of the directory: absences begin or end, overrides do, turns
/// change. A superset: nothing changes between two of them.
pub fn changes(directory: &Directory, after: Timestamp, until: Timestamp) -> BTreeSet<Timestamp> {
    let mut found = BTreeSet::new();
    let mut add = |at: Timestamp| {
        if after < at && at <= until {
            found.insert(at);
        }
    };
    for absence in directory.users.values().flat_map(|user| &user.absences) {
        add(absence.from);
        add(absence.to);
    }
    for schedule in directory.schedules.values() {
        for over in &schedule.overrides {
            add(over.from);
            add(over.to);
        }
        let zone = schedule.zone.as_deref();
        schedule.layers.iter().for_each(|layer| turns(layer, zone, after, until, &mut add));
    }
    found
}

/// The instants at which a layer's turns change.
fn turns(
    layer: &Layer,
    zone: Option<&str>,
    after: Timestamp,
    until: Timestamp,
    add: &mut impl FnMut(Timestamp),
) {
    let every = layer.every.as_micros();
    if every <= 0 {
        return;
    }
    add(layer.from);
    // Wall clocks are less than a day from UTC, so this begins early enough.
    let elapsed = after.since(layer.from).as_micros().max(0);
    let first = (elapsed / every - TimeSpan::DAY.as_micros() / every - 1).max(0);
    for turn in first..first.saturating_add(TURNS_AHEAD_MAX) {
        match begin_of(layer, zone, turn) {
            // Of a wall clock's instants none comes before an earlier turn's.
            Some(at) if at > until => break,
            Some(at) => add(at),
            None => break,
        }
    }
}

#[cfg(test)]
mod tests;
