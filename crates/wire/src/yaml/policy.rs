//! Documents of kind `policy`.

use watchkeep_model::charter::{Owners, Severity};
use watchkeep_model::policy::{
    AttributionLimits, Damping, Day, Drill, Flap, Freeze, GroupKey, Grouping, Hours, Independence,
    LOOPS_MAX, Limits, OnExhausted, Outside, Policy, Rate, Review, STEPS_MAX, SignOff, TimeOfDay,
    Verification, Weekday, Working,
};

use super::directory::zone;
use super::expectation::severity;
use super::node::Node;
use super::walk::{Map, Walk};

mod steps;

const FIELDS: [&str; 19] = [
    "kind",
    "name",
    "version",
    "tiers",
    "grouping",
    "attribution",
    "damping",
    "limits",
    "hours",
    "steps",
    "loops",
    "ack_timeout",
    "on_exhausted",
    "sign_offs",
    "verification",
    "independence",
    "review",
    "drill",
    "freeze",
];

const GROUP_KEYS: [(&str, GroupKey); 8] = [
    ("root", GroupKey::Root),
    ("kind", GroupKey::Kind),
    ("feature", GroupKey::Feature),
    ("expectation", GroupKey::Expectation),
    ("severity", GroupKey::Severity),
    ("domain", GroupKey::Domain),
    ("system", GroupKey::System),
    ("group", GroupKey::Group),
];

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Mon),
    ("tue", Weekday::Tue),
    ("wed", Weekday::Wed),
    ("thu", Weekday::Thu),
    ("fri", Weekday::Fri),
    ("sat", Weekday::Sat),
    ("sun", Weekday::Sun),
];

/// In rules about who may do what: whoever remediated.
const REMEDIATOR: &str = "remediator";

pub(super) fn read(w: &mut Walk<'_>, node: &Node) -> Option<Policy> {
    let map = w.mapping(node, &FIELDS)?;
    let name = w.required(map, "name", Walk::name);
    let version = w.field(map, "version", |w, node| w.small(node, 0..=u32::MAX));
    let steps = w.required(map, "steps", |w, node| {
        let steps = w.list(node, steps::step)?;
        if steps.len() > STEPS_MAX {
            w.report(node.place, "bound", format!("a policy has at most {STEPS_MAX} steps"), None);
        }
        Some(steps)
    });
    let policy = Policy {
        name: name.unwrap_or_default(),
        version: version.unwrap_or_default(),
        tiers: w.field(map, "tiers", |w, node| w.list(node, tier)).unwrap_or_default(),
        grouping: w.field(map, "grouping", grouping).unwrap_or_default(),
        attribution: w.field(map, "attribution", attribution).unwrap_or_default(),
        damping: w.field(map, "damping", damping).unwrap_or_default(),
        limits: w.field(map, "limits", limits).unwrap_or_default(),
        hours: w.field(map, "hours", hours),
        steps: steps.unwrap_or_default(),
        loops: w.field(map, "loops", |w, node| w.small(node, 1..=LOOPS_MAX)).unwrap_or(1),
        ack_timeout: w.field(map, "ack_timeout", Walk::positive_span),
        on_exhausted: w.field(map, "on_exhausted", on_exhausted).unwrap_or_default(),
        sign_offs: w.field(map, "sign_offs", |w, node| w.list(node, sign_off)).unwrap_or_default(),
        verification: w.field(map, "verification", verification),
        independence: w
            .field(map, "independence", |w, node| w.named(node, independence))
            .unwrap_or_default(),
        review: w.field(map, "review", review),
        drill: w.field(map, "drill", drill),
        freeze: w.field(map, "freeze", |w, node| w.list(node, freeze)).unwrap_or_default(),
    };
    (!policy.name.is_empty()).then_some(policy)
}

fn tier(w: &mut Walk<'_>, node: &Node) -> Option<u8> {
    w.small(node, 1..=4).and_then(|tier| u8::try_from(tier).ok())
}

fn count(w: &mut Walk<'_>, map: Map<'_>, name: &str) -> Option<u32> {
    w.field(map, name, |w, node| w.small(node, 1..=u32::MAX))
}

fn severities(w: &mut Walk<'_>, map: Map<'_>) -> Vec<Severity> {
    w.field(map, "severities", |w, node| w.list(node, severity)).unwrap_or_default()
}

/// A role of the charter.
fn role(w: &mut Walk<'_>, node: &Node) -> Option<String> {
    w.choice(node, &Owners::ROLES.map(|role| (role, role))).map(str::to_owned)
}

/// A role of the charter, or the remediator.
fn party(w: &mut Walk<'_>, node: &Node) -> Option<String> {
    let mut parties: Vec<(&str, &str)> = Owners::ROLES.iter().map(|role| (*role, *role)).collect();
    parties.push((REMEDIATOR, REMEDIATOR));
    w.choice(node, &parties).map(str::to_owned)
}

fn grouping(w: &mut Walk<'_>, node: &Node) -> Option<Grouping> {
    let known = ["by", "group_wait", "group_interval", "repeat_interval", "max_listed"];
    let map = w.mapping(node, &known)?;
    let usual = Grouping::default();
    Some(Grouping {
        by: w
            .field(map, "by", |w, node| w.list(node, |w, node| w.choice(node, &GROUP_KEYS)))
            .unwrap_or(usual.by),
        group_wait: w.field(map, "group_wait", Walk::span).unwrap_or(usual.group_wait),
        group_interval: w.field(map, "group_interval", Walk::span).unwrap_or(usual.group_interval),
        repeat_interval: w
            .field(map, "repeat_interval", Walk::positive_span)
            .unwrap_or(usual.repeat_interval),
        max_listed: count(w, map, "max_listed").unwrap_or(usual.max_listed),
    })
}

fn attribution(w: &mut Walk<'_>, node: &Node) -> Option<AttributionLimits> {
    let map = w.mapping(node, &["max_depth", "min_features", "min_coverage", "edge_max_age"])?;
    let usual = AttributionLimits::default();
    Some(AttributionLimits {
        max_depth: w
            .field(map, "max_depth", |w, node| w.small(node, 0..=u32::MAX))
            .unwrap_or(usual.max_depth),
        min_features: count(w, map, "min_features").unwrap_or(usual.min_features),
        min_coverage: w.field(map, "min_coverage", Walk::share).unwrap_or(usual.min_coverage),
        edge_max_age: w
            .field(map, "edge_max_age", Walk::positive_span)
            .unwrap_or(usual.edge_max_age),
    })
}

fn damping(w: &mut Walk<'_>, node: &Node) -> Option<Damping> {
    let map = w.mapping(node, &["keep_firing_for", "reopen_within", "flap"])?;
    let usual = Damping::default();
    Some(Damping {
        keep_firing_for: w
            .field(map, "keep_firing_for", Walk::span)
            .unwrap_or(usual.keep_firing_for),
        reopen_within: w.field(map, "reopen_within", Walk::span).unwrap_or(usual.reopen_within),
        flap: w.field(map, "flap", |w, node| {
            let map = w.mapping(node, &["look_back", "changes"])?;
            let look_back = w.required(map, "look_back", |w, node| w.small(node, 1..=u32::MAX));
            let changes = w.required(map, "changes", |w, node| w.small(node, 1..=u32::MAX));
            Some(Flap { look_back: look_back?, changes: changes? })
        }),
    })
}

fn limits(w: &mut Walk<'_>, node: &Node) -> Option<Limits> {
    let map = w.mapping(node, &["per_owner", "platform_incident_share"])?;
    Some(Limits {
        per_owner: w.field(map, "per_owner", |w, node| {
            let map = w.mapping(node, &["burst", "per"])?;
            let burst = w.required(map, "burst", |w, node| w.small(node, 1..=u32::MAX));
            let per = w.required(map, "per", Walk::positive_span);
            Some(Rate { burst: burst?, per: per? })
        }),
        platform_incident_share: w.field(map, "platform_incident_share", Walk::share),
    })
}

fn hours(w: &mut Walk<'_>, node: &Node) -> Option<Hours> {
    let map = w.mapping(node, &["zone", "working", "holidays", "outside"])?;
    let zone = w.required(map, "zone", zone);
    let working = w.required(map, "working", |w, node| w.list(node, working));
    let holidays = w.field(map, "holidays", |w, node| {
        w.list(node, |w, node| w.parsed::<Day>(node, "a day", "write it as 2013-05-27"))
    });
    let outside = w.field(map, "outside", |w, node| {
        let map = w.mapping(node, &["critical", "error", "warning", "info"])?;
        let mut outside = std::collections::BTreeMap::new();
        for severity in [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical] {
            let choices = [("page", Outside::Page), ("defer", Outside::Defer)];
            if let Some(what) = w.field(map, severity.name(), |w, node| w.choice(node, &choices)) {
                outside.insert(severity, what);
            }
        }
        Some(outside)
    });
    Some(Hours {
        zone: zone?,
        working: working?,
        holidays: holidays.unwrap_or_default(),
        outside: outside.unwrap_or_default(),
    })
}

fn working(w: &mut Walk<'_>, node: &Node) -> Option<Working> {
    let map = w.mapping(node, &["days", "from", "to"])?;
    let days = w.required(map, "days", |w, node| w.list(node, |w, node| w.choice(node, &WEEKDAYS)));
    let time = |w: &mut Walk<'_>, node: &Node| {
        w.parsed::<TimeOfDay>(node, "a time of day", "write it as \"09:00\"")
    };
    let from = w.required(map, "from", time);
    let to = w.required(map, "to", time);
    let (days, from, to) = (days?, from?, to?);
    if to <= from {
        let place = map.get("to").map_or(map.place, |entry| entry.node.place);
        w.within("to", |w| {
            let message = format!("`to` ({to}) is not after `from` ({from})");
            let hint = "write a night as two: from 22:00 to 24:00 and from 00:00".to_owned();
            w.report(place, "wrong_value", message, Some(hint));
        });
        return None;
    }
    Some(Working { days, from, to })
}

fn on_exhausted(w: &mut Walk<'_>, node: &Node) -> Option<OnExhausted> {
    let map = w.mapping(node, &["notify"])?;
    Some(OnExhausted { notify: w.required(map, "notify", Walk::texts)? })
}

fn sign_off(w: &mut Walk<'_>, node: &Node) -> Option<SignOff> {
    let map = w.mapping(node, &["gate", "severities", "roles", "minimum", "distinct_from"])?;
    let gate = w.required(map, "gate", Walk::text);
    let severities = severities(w, map);
    let roles = w.required(map, "roles", |w, node| w.list(node, role));
    let minimum = count(w, map, "minimum").unwrap_or(1);
    let distinct_from = w.field(map, "distinct_from", |w, node| w.list(node, party));
    Some(SignOff {
        gate: gate?,
        severities,
        roles: roles?,
        minimum,
        distinct_from: distinct_from.unwrap_or_default(),
    })
}

/// As many as the escalate stage tells one by one.
const GOOD_WINDOWS_MAX: u32 = 1_000;

fn verification(w: &mut Walk<'_>, node: &Node) -> Option<Verification> {
    let known = ["severities", "good_windows", "reference", "third_party", "on_failure"];
    let map = w.mapping(node, &known)?;
    Some(Verification {
        severities: severities(w, map),
        good_windows: w
            .field(map, "good_windows", |w, node| w.small(node, 1..=GOOD_WINDOWS_MAX))
            .unwrap_or(Verification::default().good_windows),
        reference: w.field(map, "reference", Walk::text),
        third_party: w.field(map, "third_party", Walk::text),
        on_failure: w.field(map, "on_failure", Walk::text),
    })
}

fn independence(w: &mut Walk<'_>, node: &Node) -> Option<Independence> {
    let map = w.mapping(
        node,
        &["verifier_not_in_team_of", "approver_not_in_team_of", "owner_not_in_team_of"],
    )?;
    let parties = |w: &mut Walk<'_>, name: &str| {
        w.field(map, name, |w, node| w.list(node, party)).unwrap_or_default()
    };
    Some(Independence {
        verifier_not_in_team_of: parties(w, "verifier_not_in_team_of"),
        approver_not_in_team_of: parties(w, "approver_not_in_team_of"),
        owner_not_in_team_of: parties(w, "owner_not_in_team_of"),
    })
}

fn review(w: &mut Walk<'_>, node: &Node) -> Option<Review> {
    let map = w.mapping(node, &["severities", "due_within"])?;
    let severities = severities(w, map);
    let due_within = w.required(map, "due_within", Walk::positive_span)?;
    Some(Review { severities, due_within })
}

fn drill(w: &mut Walk<'_>, node: &Node) -> Option<Drill> {
    let map = w.mapping(node, &["every"])?;
    Some(Drill { every: w.required(map, "every", Walk::positive_span)? })
}

fn freeze(w: &mut Walk<'_>, node: &Node) -> Option<Freeze> {
    let map = w.mapping(node, &["from", "to", "reason"])?;
    let reason = w.field(map, "reason", Walk::text);
    let (from, to) = w.period(map)?;
    Some(Freeze { from, to, reason })
}
