//! Charters, a policy and people, drawn.

use std::fmt::Write as _;

use watchkeep_model::charter::Severity;
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::{Dice, Subject, minutes, seconds};
use crate::incidents::duties::Terms;

/// What several subjects are made from.
pub(super) const DATASET: &str = "dataset:orders";

/// What that is made from.
pub(super) const SOURCE: &str = "dataset:raw";

/// What a step may decide.
pub(super) const DECISION: &str = "redefine";

/// The documents, and what follows from them.
pub(super) fn of(
    dice: &mut Dice,
    subjects: &[Subject],
    from: Timestamp,
    span: TimeSpan,
) -> (String, Terms) {
    let mut text = people(dice, from, span);
    for subject in subjects {
        charter(dice, subject, &mut text);
    }
    if dice.percent(50) {
        text.push_str(
            "---\nkind: charter\nsubject: service:platform\nlifecycle: production\n\
             policy: simulated\nowners: {primary: user:ben, backup: user:dora}\n",
        );
    }
    let terms = policy(dice, &mut text);
    (text, terms)
}

fn people(dice: &mut Dice, from: Timestamp, span: TimeSpan) -> String {
    let busy = if dice.percent(20) { ", max_open: 1" } else { "" };
    let leaves = from + dice.span(span);
    let away = match dice.percent(20) {
        true => format!(", absences: [{{from: {leaves}, to: {}}}]", leaves + minutes(20)),
        false => String::new(),
    };
    format!(
        "kind: directory
users:
  ada: {{name: Ada{busy}, contacts: [{{tool: email, to: ada@example.com}}]}}
  ben: {{name: Ben, contacts: [{{tool: email, to: ben@example.com}}, {{tool: sms, to: '1'}}]}}
  cleo: {{name: Cleo{away}}}
  dora: {{name: Dora, contacts: [{{tool: email, to: dora@example.com}}]}}
groups: {{governance: {{lead: user:dora, members: [user:dora, user:cleo]}}}}
governance: group:governance
"
    )
}

fn charter(dice: &mut Dice, subject: &Subject, text: &mut String) {
    let _ = write!(
        text,
        "---\nkind: charter\nsubject: {}\nlifecycle: production\npolicy: simulated\n\
         owners: {{primary: {}, backup: user:dora}}\n",
        subject.typed(),
        subject.primary
    );
    if dice.percent(20) {
        text.push_str("independence: money\n");
    }
    if let Some(upstream) = subject.upstream {
        let _ = writeln!(text, "upstream: [{upstream}]");
    }
    if subject.expectations.is_empty() {
        return;
    }
    if dice.percent(30) {
        let within = minutes(dice.between(3, 15));
        let _ = writeln!(
            text,
            "rollback: {{procedure: 'https://x', within: {within}, criteria: [e0]}}"
        );
    }
    text.push_str("expectations:\n");
    for (name, _, severity) in &subject.expectations {
        let _ = writeln!(
            text,
            "  - {{name: {name}, kind: volume, below: 1, window: 1m, severity: {}}}",
            severity.name()
        );
    }
}

fn policy(dice: &mut Dice, text: &mut String) -> Terms {
    let mut terms = Terms { settles_by_itself: true, ..Terms::default() };
    let by = dice.one_of(&["root, kind", "root", "feature", "feature, expectation", "domain"]);
    terms.group_interval = minutes(dice.one_of(&[1, 5]));
    let _ = write!(
        text,
        "---\nkind: policy\nname: simulated\nversion: 1\n\
         grouping: {{by: [{by}], group_wait: {}, group_interval: {}, repeat_interval: {}, \
         max_listed: {}}}\nattribution: {{max_depth: 3, min_features: 2, min_coverage: {}, \
         edge_max_age: 7d}}\n",
        seconds(dice.one_of(&[0, 1, 60, 180])),
        terms.group_interval,
        minutes(dice.one_of(&[10, 30])),
        dice.one_of(&[1, 50]),
        dice.one_of(&["0.5", "1"]),
    );
    let mut flap = String::new();
    if dice.percent(50) {
        let (changes, look_back) = dice.one_of(&[(2, 4), (3, 10), (4, 20)]);
        flap = format!(", flap: {{look_back: {look_back}, changes: {changes}}}");
        terms.flap = Some((changes, look_back));
    }
    let _ = writeln!(
        text,
        "damping: {{keep_firing_for: {}, reopen_within: {}{flap}}}",
        seconds(dice.one_of(&[0, 0, 150])),
        minutes(dice.one_of(&[1, 10, 60])),
    );
    limits(dice, text, &mut terms);
    if dice.percent(40) {
        text.push_str(
            "hours: {zone: Europe/Berlin, working: [{days: [mon, tue, wed, thu, fri], from: \
             \"09:00\", to: \"17:30\"}, {days: [sat], from: \"00:00\", to: \"23:00\"}], \
             outside: {critical: page, error: page, warning: defer, info: defer}}\n",
        );
    }
    steps(dice, text);
    let _ = writeln!(text, "loops: {}", dice.between(1, 3));
    if dice.percent(60) {
        let _ = writeln!(text, "ack_timeout: {}", minutes(dice.between(3, 20)));
    }
    text.push_str("on_exhausted: {notify: [group:governance]}\n");
    checks(dice, text, &mut terms);
    terms
}

fn limits(dice: &mut Dice, text: &mut String, terms: &mut Terms) {
    let mut limits = Vec::new();
    if dice.percent(40) {
        let (burst, per) = (dice.one_of(&[1, 2, 3]), minutes(dice.one_of(&[2, 5, 20])));
        limits.push(format!("per_owner: {{burst: {burst}, per: {per}}}"));
        terms.per_owner = Some((burst, per));
    }
    if dice.percent(25) {
        limits.push(format!("platform_incident_share: {}", dice.one_of(&["0.4", "0.7"])));
    }
    if !limits.is_empty() {
        let _ = writeln!(text, "limits: {{{}}}", limits.join(", "));
    }
}

fn checks(dice: &mut Dice, text: &mut String, terms: &mut Terms) {
    if dice.percent(30) {
        terms.settles_by_itself = false;
        let (roles, minimum) =
            dice.one_of(&[("backup", 1), ("primary, backup", 1), ("primary, backup", 2)]);
        let distinct = dice.one_of(&["", ", distinct_from: [remediator]"]);
        let _ = writeln!(
            text,
            "sign_offs:\n  - {{gate: rollback, roles: [primary, backup], minimum: {}}}\n  - {{gate: \
             resolve, severities: [critical], roles: [{roles}], minimum: {minimum}{distinct}}}",
            dice.between(1, 2)
        );
    }
    if dice.percent(40) {
        terms.settles_by_itself = false;
        let third = match dice.percent(40) {
            true => dice.one_of(&["backup", "\"group:governance\"", "auditor"]),
            false => "",
        };
        let third = if third.is_empty() { "" } else { &format!(", third_party: {third}") };
        let _ = writeln!(
            text,
            "verification: {{severities: [error, critical], good_windows: {}, on_failure: \
             owner{third}}}",
            dice.between(1, 3)
        );
    }
    if dice.percent(30) {
        text.push_str(
            "independence: {money: {verifier_not_in_team_of: [remediator], \
             approver_not_in_team_of: [primary]}}\n",
        );
    }
    if dice.percent(10) {
        text.push_str(
            "freeze: [{from: 2026-03-01, to: 2026-04-01, reason: no changes of charters}]\n",
        );
    }
    if dice.percent(30) {
        let within = minutes(dice.between(5, 30));
        let _ = writeln!(text, "review: {{severities: [error, critical], due_within: {within}}}");
    }
}

fn steps(dice: &mut Dice, text: &mut String) {
    text.push_str("steps:\n");
    let names = ["owner", "second", "third"];
    let count = dice.between(1, 3) as usize;
    for (number, name) in names.into_iter().take(count).enumerate() {
        let notify = match number {
            0 => dice.one_of(&["{role: primary}", "{role: primary}, {role: backup}"]),
            _ => dice.one_of(&[
                "{role: backup}",
                "{group: \"group:governance\"}, {user: user:ben}",
                "{user: user:ada, severities: [critical]}",
            ]),
        };
        let channels = dice.one_of(&["", ", channels: [{tool: email, to: on-call@example.com}]"]);
        let kinds = dice.one_of(&["", "", ", kinds: [volume, null_rate]"]);
        let mut triggers = vec!["not_acknowledged".to_owned()];
        let mut within = format!("acknowledge_within: {}", minutes(dice.between(2, 8)));
        if dice.percent(50) {
            let _ = write!(within, ", remediate_within: {}", minutes(dice.between(5, 30)));
            triggers.push("not_remediated".to_owned());
        }
        if dice.percent(20) {
            let _ = write!(within, ", decide_within: {}", minutes(dice.between(5, 30)));
            triggers.push("not_decided".to_owned());
        }
        for (share, trigger) in [
            (20, "{affected_features: 2}".to_owned()),
            (20, format!("{{severity: {}}}", Severity::Critical.name())),
            (20, format!("{{recurrence: {{count: 2, within: {}}}}}", TimeSpan::HOUR)),
            (30, "requested".to_owned()),
            (30, "verification_failed".to_owned()),
        ] {
            if dice.percent(share) {
                triggers.push(trigger);
            }
        }
        let triggers = triggers.join(", ");
        let decisions =
            if dice.percent(30) { format!(", decisions: [{DECISION}]") } else { String::new() };
        let _ = writeln!(
            text,
            "  - {{name: {name}, notify: [{notify}]{channels}{kinds}, {within}{decisions}, escalate_if: \
             [{triggers}]}}"
        );
    }
}
