//! The steps of a policy.

use watchkeep_model::policy::{Channel, Notify, NotifyTarget, Step, Trigger};

use super::super::expectation::{kind, severity};
use super::super::node::{Node, Value};
use super::super::walk::Walk;
use super::{role, severities};

const FIELDS: [&str; 9] = [
    "name",
    "kinds",
    "decisions",
    "notify",
    "channels",
    "acknowledge_within",
    "remediate_within",
    "decide_within",
    "escalate_if",
];

/// What a `notify` entry may name; exactly one of them.
const TARGETS: [&str; 4] = ["role", "user", "group", "schedule"];

pub(super) fn step(w: &mut Walk<'_>, node: &Node) -> Option<Step> {
    // DESIGN 7 lists it and FORMATS does not, since a step with nobody to
    // notify is skipped in any case.
    let known = [&FIELDS[..], &["skip_if_empty"]].concat();
    let map = w.mapping(node, &known)?;
    w.unsupported(map, "skip_if_empty", "`skip_if_empty`");
    let name = w.required(map, "name", Walk::name);
    let step = Step {
        name: name.clone().unwrap_or_default(),
        kinds: w.field(map, "kinds", |w, node| w.list(node, kind)).unwrap_or_default(),
        decisions: w.field(map, "decisions", Walk::texts).unwrap_or_default(),
        notify: w.required(map, "notify", |w, node| w.list(node, notify)).unwrap_or_default(),
        channels: w.field(map, "channels", |w, node| w.list(node, channel)).unwrap_or_default(),
        acknowledge_within: w.field(map, "acknowledge_within", Walk::positive_span),
        remediate_within: w.field(map, "remediate_within", Walk::positive_span),
        decide_within: w.field(map, "decide_within", Walk::positive_span),
        escalate_if: w
            .field(map, "escalate_if", |w, node| w.list(node, trigger))
            .unwrap_or_default(),
    };
    let timed = [
        (Trigger::NotAcknowledged, step.acknowledge_within.is_some(), "acknowledge_within"),
        (Trigger::NotRemediated, step.remediate_within.is_some(), "remediate_within"),
        (Trigger::NotDecided, step.decide_within.is_some(), "decide_within"),
    ];
    for (trigger, has_time, field) in timed {
        if step.escalate_if.contains(&trigger) && !has_time && !map.has(field) {
            let place = map.get("escalate_if").map_or(map.place, |entry| entry.node.place);
            w.within("escalate_if", |w| {
                let message = format!("`{}` never comes without `{field}`", trigger.name());
                w.report(place, "missing_field", message, Some(format!("add `{field}`")));
            });
        }
    }
    name.map(|_| step)
}

fn notify(w: &mut Walk<'_>, node: &Node) -> Option<Notify> {
    let known = [&TARGETS[..], &["severities"]].concat();
    let map = w.mapping(node, &known)?;
    let severities = severities(w, map);
    let named: Vec<&str> = TARGETS.into_iter().filter(|name| map.has(name)).collect();
    let [one] = named[..] else {
        let message = "exactly one of role, user, group and schedule is needed";
        w.report(map.place, "missing_field", message, Some("write an entry for each".into()));
        return None;
    };
    let target = match one {
        "role" => NotifyTarget::Role(w.field(map, one, role)?),
        "user" => NotifyTarget::User(w.field(map, one, Walk::text)?),
        "group" => NotifyTarget::Group(w.field(map, one, Walk::text)?),
        _ => NotifyTarget::Schedule(w.field(map, one, Walk::text)?),
    };
    Some(Notify { target, severities })
}

fn channel(w: &mut Walk<'_>, node: &Node) -> Option<Channel> {
    let map = w.mapping(node, &["tool", "to", "scope"])?;
    let tool = w.required(map, "tool", Walk::text);
    let to = w.field(map, "to", Walk::text);
    let scope = w.field(map, "scope", Walk::text);
    Some(Channel { tool: tool?, to, scope })
}

fn trigger(w: &mut Walk<'_>, node: &Node) -> Option<Trigger> {
    if matches!(node.value, Value::Scalar { .. }) {
        let names = [
            ("not_acknowledged", Some(Trigger::NotAcknowledged)),
            ("not_remediated", Some(Trigger::NotRemediated)),
            ("not_decided", Some(Trigger::NotDecided)),
            ("verification_failed", Some(Trigger::VerificationFailed)),
            ("requested", Some(Trigger::Requested)),
            ("affected_features", None),
            ("recurrence", None),
            ("severity", None),
        ];
        let trigger = w.choice(node, &names)?;
        if trigger.is_none() {
            let hint = "for example {affected_features: 20}, {severity: critical} or {recurrence: \
                        {count: 3, within: 7d}}";
            w.report(node.place, "missing_value", "the trigger needs a value", Some(hint.into()));
        }
        return trigger;
    }
    let map = w.mapping(node, &["affected_features", "recurrence", "severity"])?;
    let [entry] = map.entries() else {
        let hint = Some("write each as an entry of its own".to_owned());
        w.report(map.place, "wrong_value", "a trigger has exactly one name", hint);
        return None;
    };
    match entry.key.as_str() {
        "affected_features" => {
            w.entry(entry, |w, node| w.small(node, 1..=u32::MAX)).map(Trigger::AffectedFeatures)
        }
        "severity" => w.entry(entry, severity).map(Trigger::Severity),
        "recurrence" => w.entry(entry, |w, node| {
            let map = w.mapping(node, &["count", "within"])?;
            let count = w.required(map, "count", |w, node| w.small(node, 1..=u32::MAX));
            let within = w.required(map, "within", Walk::positive_span);
            Some(Trigger::Recurrence { count: count?, within: within? })
        }),
        _ => None,
    }
}
