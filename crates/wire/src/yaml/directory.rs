//! Documents of the kinds `directory` and `lineage`.

use watchkeep_model::directory::{
    Absence, AbsenceOf, AlertBudget, Contact, Directory, Domain, Group, Layer, Override,
    OverrideOf, Schedule, System, User,
};
use watchkeep_model::document::nearest;
use watchkeep_model::lineage::Edge;
use watchkeep_model::time::TimeSpan;

use super::node::Node;
use super::walk::Walk;

pub(super) fn read(w: &mut Walk<'_>, node: &Node) -> Option<Directory> {
    let known = [
        "kind",
        "users",
        "groups",
        "schedules",
        "systems",
        "domains",
        "governance",
        "absences",
        "overrides",
    ];
    let map = w.mapping(node, &known)?;
    Some(Directory {
        users: w.field(map, "users", |w, node| w.named(node, user)).unwrap_or_default(),
        groups: w.field(map, "groups", |w, node| w.named(node, group)).unwrap_or_default(),
        schedules: w.field(map, "schedules", |w, node| w.named(node, schedule)).unwrap_or_default(),
        systems: w.field(map, "systems", |w, node| w.named(node, system)).unwrap_or_default(),
        domains: w.field(map, "domains", |w, node| w.named(node, domain)).unwrap_or_default(),
        governance: w.field(map, "governance", Walk::name),
        absences: w.field(map, "absences", |w, n| w.list(n, absence_of)).unwrap_or_default(),
        overrides: w.field(map, "overrides", |w, n| w.list(n, override_of)).unwrap_or_default(),
    })
}

/// The edges of a lineage document.
pub(super) fn lineage(w: &mut Walk<'_>, node: &Node) -> Option<Vec<Edge>> {
    let map = w.mapping(node, &["kind", "edges"])?;
    w.required(map, "edges", |w, node| {
        w.list(node, |w, node| {
            let map = w.mapping(node, &["from", "to", "last_seen"])?;
            let from = w.required(map, "from", Walk::name);
            let to = w.required(map, "to", Walk::name);
            let last_seen = w.field(map, "last_seen", Walk::instant);
            Some(Edge { from: from?, to: to?, last_seen })
        })
    })
}

/// An IANA zone that the bundled database knows.
pub(super) fn zone(w: &mut Walk<'_>, node: &Node) -> Option<String> {
    let name = w.text(node)?;
    if jiff::tz::TimeZone::get(&name).is_ok() {
        return Some(name);
    }
    let mut known: Vec<String> = jiff::tz::db().available().map(|zone| zone.to_string()).collect();
    known.sort_unstable();
    let hint = match nearest(&name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write an IANA name, for example Europe/London".to_owned(),
    };
    let message = format!("`{}` is not a time zone", super::walk::shorten(&name));
    w.report(node.place, "wrong_value", message, Some(hint));
    None
}

fn user(w: &mut Walk<'_>, node: &Node) -> Option<User> {
    let known = ["name", "contacts", "absences", "active", "zone", "max_open"];
    let map = w.mapping(node, &known)?;
    Some(User {
        name: w.field(map, "name", Walk::text),
        contacts: w.field(map, "contacts", |w, node| w.list(node, contact)).unwrap_or_default(),
        absences: w.field(map, "absences", |w, node| w.list(node, absence)).unwrap_or_default(),
        active: w.field(map, "active", Walk::boolean).unwrap_or(true),
        zone: w.field(map, "zone", zone),
        max_open: w.field(map, "max_open", |w, node| w.small(node, 1..=u32::MAX)),
    })
}

fn contact(w: &mut Walk<'_>, node: &Node) -> Option<Contact> {
    let map = w.mapping(node, &["tool", "to"])?;
    let tool = w.required(map, "tool", Walk::text);
    let to = w.required(map, "to", Walk::text);
    Some(Contact { tool: tool?, to: to? })
}

fn absence(w: &mut Walk<'_>, node: &Node) -> Option<Absence> {
    let map = w.mapping(node, &["from", "to"])?;
    let (from, to) = w.period(map)?;
    Some(Absence { from, to })
}

fn absence_of(w: &mut Walk<'_>, node: &Node) -> Option<AbsenceOf> {
    let map = w.mapping(node, &["user", "from", "to"])?;
    let user = w.required(map, "user", Walk::name);
    let (from, to) = w.period(map)?;
    Some(AbsenceOf { user: user?, absence: Absence { from, to } })
}

fn override_of(w: &mut Walk<'_>, node: &Node) -> Option<OverrideOf> {
    let map = w.mapping(node, &["schedule", "user", "from", "to"])?;
    let schedule = w.required(map, "schedule", Walk::name);
    let user = w.field(map, "user", Walk::name);
    let (from, to) = w.period(map)?;
    Some(OverrideOf { schedule: schedule?, exception: Override { user, from, to } })
}

fn group(w: &mut Walk<'_>, node: &Node) -> Option<Group> {
    let map = w.mapping(node, &["lead", "members"])?;
    Some(Group {
        lead: w.field(map, "lead", Walk::name),
        members: w.field(map, "members", Walk::names).unwrap_or_default(),
    })
}

fn schedule(w: &mut Walk<'_>, node: &Node) -> Option<Schedule> {
    let map = w.mapping(node, &["zone", "layers", "overrides"])?;
    Some(Schedule {
        zone: w.field(map, "zone", zone),
        layers: w.field(map, "layers", |w, node| w.list(node, layer)).unwrap_or_default(),
        overrides: w.field(map, "overrides", |w, node| w.list(node, exception)).unwrap_or_default(),
    })
}

fn layer(w: &mut Walk<'_>, node: &Node) -> Option<Layer> {
    let map = w.mapping(node, &["users", "every", "from"])?;
    let users = w.required(map, "users", Walk::names);
    let every = w.required(map, "every", Walk::positive_span);
    let from = w.required(map, "from", Walk::instant);
    Some(Layer { users: users?, every: every?, from: from? })
}

fn exception(w: &mut Walk<'_>, node: &Node) -> Option<Override> {
    let map = w.mapping(node, &["user", "from", "to"])?;
    let user = w.field(map, "user", Walk::name);
    let (from, to) = w.period(map)?;
    Some(Override { user, from, to })
}

fn system(w: &mut Walk<'_>, node: &Node) -> Option<System> {
    let map = w.mapping(node, &["owner", "domain", "parent"])?;
    Some(System {
        owner: w.field(map, "owner", Walk::name),
        domain: w.field(map, "domain", Walk::name),
        parent: w.field(map, "parent", Walk::name),
    })
}

fn domain(w: &mut Walk<'_>, node: &Node) -> Option<Domain> {
    let map = w.mapping(node, &["owner", "parent", "alert_budget"])?;
    Some(Domain {
        owner: w.field(map, "owner", Walk::name),
        parent: w.field(map, "parent", Walk::name),
        alert_budget: w.field(map, "alert_budget", alert_budget),
    })
}

/// One promise of two: a share of the alarms, or a number of them.
fn alert_budget(w: &mut Walk<'_>, node: &Node) -> Option<AlertBudget> {
    let map = w.mapping(node, &["false_discovery_rate", "false_alarms", "per"])?;
    let rate = w.field(map, "false_discovery_rate", Walk::probability);
    let count = w.field(map, "false_alarms", |w, node| {
        let count = w.number(node)?;
        if count <= 0.0 {
            let hint = Some("a part of one is possible: 0.1".to_owned());
            w.report(node.place, "wrong_value", "the number must be more than 0", hint);
            return None;
        }
        Some(count)
    });
    let per = w.field(map, "per", |w, node| {
        let per = w.span(node)?;
        if per < TimeSpan::HOUR {
            let hint = Some("write for example 1w".to_owned());
            w.report(node.place, "wrong_value", "the period must be at least 1h", hint);
            return None;
        }
        Some(per)
    });
    if map.has("false_discovery_rate") == map.has("false_alarms") {
        let message = "exactly one of `false_discovery_rate` and `false_alarms` is needed";
        w.report(map.place, "missing_field", message, None);
        return None;
    }
    if map.has("per") && per.is_none() {
        return None;
    }
    let per = per.unwrap_or(AlertBudget::PER_DEFAULT);
    rate.map(|rate| AlertBudget::FalseDiscoveryRate { rate, per })
        .or(count.map(|count| AlertBudget::FalseAlarms { count, per }))
}
