//! Who of a group or a rota answers at an instant.

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

/// The person behind a typed name at an instant: a user if present, the lead
/// of a group or else its first member present, whoever a schedule has on duty.
pub fn answering(directory: &Directory, name: &str, at: Timestamp) -> Presence {
    answering_within(directory, name, at, GROUP_DEPTH_MAX)
}

fn answering_within(directory: &Directory, name: &str, at: Timestamp, depth: u32) -> Presence {
    if let Some(group) = name.strip_prefix("group:") {
        let Some(group) = directory.groups.get(group) else {
            return Presence::Nobody("no such group".into());
        };
        if depth == 0 {
            return Presence::Nobody("groups are nested too deeply".into());
        }
        let present = group.lead.iter().chain(&group.members).find_map(|member| {
            match answering_within(directory, member, at, depth - 1) {
                Presence::Present(user) => Some(user),
                Presence::Nobody(_) => None,
            }
        });
        return present.map_or_else(
            || Presence::Nobody("nobody of the group is present".into()),
            Presence::Present,
        );
    }
    if let Some(schedule) = name.strip_prefix("schedule:") {
        return match directory.schedules.get(schedule) {
            None => Presence::Nobody("no such schedule".into()),
            Some(schedule) => on_duty(directory, schedule, at)
                .map_or_else(|| Presence::Nobody("nobody on duty".into()), Presence::Present),
        };
    }
    match unavailable(directory, name, at) {
        None => Presence::Present(typed_user(name)),
        Some(why) => Presence::Nobody(why),
    }
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
    let present = |name: &str| unavailable(directory, name, at).is_none();
    if let Some(over) = schedule.overrides.iter().rev().find(|o| o.from <= at && at < o.to) {
        match &over.user {
            None => return None,
            Some(user) if present(user) => return Some(typed_user(user)),
            Some(_) => {}
        }
    }
    schedule.layers.iter().rev().find_map(|layer| {
        let first = turn(layer, schedule.zone.as_deref(), at)?;
        (0..layer.users.len())
            .map(|step| &layer.users[(first + step) % layer.users.len()])
            .find(|user| present(user))
            .map(|user| typed_user(user))
    })
}

/// Whose turn it is, an index into the layer's users; `None` before the first
/// turn. Turns of whole days are counted on the zone's wall clock, so that a
/// hand-over at nine stays at nine when the clocks change.
fn turn(layer: &Layer, zone: Option<&str>, at: Timestamp) -> Option<usize> {
    let every = layer.every.as_micros();
    if at < layer.from || every <= 0 || layer.users.is_empty() {
        return None;
    }
    let whole_days = layer.every.is_multiple_of(TimeSpan::DAY);
    let elapsed = match zone {
        Some(zone) if whole_days => calendar::wall_clock(at, zone)
            .zip(calendar::wall_clock(layer.from, zone))
            .map_or_else(|| at.since(layer.from), |(now, from)| now.since(from)),
        _ => at.since(layer.from),
    };
    let turns = elapsed.as_micros().max(0) / every;
    usize::try_from(turns).ok().map(|turns| turns % layer.users.len())
}
