//! Charters, a policy and people, drawn.

use std::fmt::Write as _;

use watchkeep_model::charter::Severity;
use watchkeep_model::time::TimeSpan;

use super::{Dice, Subject, minutes, seconds};

/// What several subjects are made from.
pub(super) const DATASET: &str = "dataset:orders";

const PEOPLE: &str = "kind: directory
users:
  ada: {name: Ada, contacts: [{tool: email, to: ada@example.com}]}
  ben: {name: Ben, contacts: [{tool: email, to: ben@example.com}, {tool: sms, to: '1'}]}
  cleo: {name: Cleo}
  dora: {name: Dora, contacts: [{tool: email, to: dora@example.com}]}
groups: {governance: {lead: user:dora, members: [user:dora, user:cleo]}}
governance: group:governance
";

/// The documents, and whether incidents end without anybody's word.
pub(super) fn of(dice: &mut Dice, subjects: &[Subject]) -> (String, bool) {
    let mut text = String::from(PEOPLE);
    for subject in subjects {
        let upstream =
            if subject.has_upstream { format!("upstream: [{DATASET}]\n") } else { String::new() };
        let _ = write!(
            text,
            "---\nkind: charter\nsubject: feature:{}\nlifecycle: production\npolicy: simulated\n\
             owners: {{primary: {}, backup: user:dora}}\n{upstream}expectations:\n",
            subject.name, subject.primary
        );
        for (name, _, severity) in &subject.expectations {
            let _ = writeln!(
                text,
                "  - {{name: {name}, kind: volume, below: 1, window: 1m, severity: {}}}",
                severity.name()
            );
        }
    }
    if subjects.iter().any(|subject| subject.has_upstream) {
        let _ = write!(
            text,
            "---\nkind: charter\nsubject: {DATASET}\nlifecycle: production\npolicy: simulated\n\
             owners: {{primary: user:cleo, backup: user:dora}}\n"
        );
    }
    let settles_by_itself = policy(dice, &mut text);
    (text, settles_by_itself)
}

fn policy(dice: &mut Dice, text: &mut String) -> bool {
    let by = dice.one_of(&["root, kind", "root", "feature", "feature, expectation", "domain"]);
    let _ = write!(
        text,
        "---\nkind: policy\nname: simulated\nversion: 1\n\
         grouping: {{by: [{by}], group_wait: {}, group_interval: {}, repeat_interval: {}, \
         max_listed: {}}}\nattribution: {{max_depth: 3, min_features: 2, min_coverage: 0.5, \
         edge_max_age: 7d}}\n",
        seconds(dice.one_of(&[0, 1, 60, 180])),
        minutes(dice.one_of(&[1, 5])),
        minutes(dice.one_of(&[10, 30])),
        dice.one_of(&[1, 50]),
    );
    let _ = writeln!(
        text,
        "damping: {{keep_firing_for: {}, reopen_within: {}}}",
        seconds(dice.one_of(&[0, 0, 150])),
        minutes(dice.one_of(&[1, 10, 60])),
    );
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
    let mut settles_by_itself = true;
    if dice.percent(30) {
        settles_by_itself = false;
        text.push_str(
            "sign_offs:\n  - {gate: rollback, roles: [primary, backup], minimum: 1}\n  - {gate: \
             resolve, severities: [critical], roles: [backup], minimum: 1, distinct_from: \
             [remediator]}\n",
        );
    }
    if dice.percent(40) {
        settles_by_itself = false;
        let _ = writeln!(
            text,
            "verification: {{severities: [error, critical], good_windows: {}, on_failure: owner}}",
            dice.between(1, 3)
        );
    }
    settles_by_itself
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
        let _ = writeln!(
            text,
            "  - {{name: {name}, notify: [{notify}]{channels}, {within}, escalate_if: [{triggers}]}}"
        );
    }
}
