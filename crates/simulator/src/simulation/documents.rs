//! The charters, the policy and the people of a plan, as files have them.

use std::fmt::Write as _;

use super::oracle::{Expectation, Rule, Shape};
use super::plan::{Charter, Feature, Ladder, Plan};

/// One YAML file that says all.
pub(super) fn of(plan: &Plan) -> String {
    let mut text = String::new();
    let mut documents: Vec<String> = Vec::new();
    let mut has_pattern = false;
    for feature in &plan.features {
        let subject = match feature.charter {
            Charter::None => continue,
            Charter::Named => feature.name.as_str(),
            Charter::Pattern if has_pattern => continue,
            Charter::Pattern => "p*",
        };
        has_pattern |= feature.charter == Charter::Pattern;
        documents.push(charter(subject, feature));
    }
    documents.push(policy(&plan.deployment.ladder));
    documents.push(PEOPLE.to_owned());
    for document in documents {
        let _ = writeln!(text, "---\n{document}");
    }
    text
}

/// Longer than any repeat takes.
const DEDUPLICATE: &str = "2h";

const PEOPLE: &str = "kind: directory
users:
  ada: {name: Ada}
  ben: {name: Ben}
  cleo: {name: Cleo}
  dora: {name: Dora}
groups: {governance: {lead: user:dora, members: [user:dora]}}
governance: group:governance";

fn charter(subject: &str, feature: &Feature) -> String {
    let Feature { primary, expectations, .. } = feature;
    let deduplicate =
        if feature.deduplicates { format!("deduplicate: {DEDUPLICATE}\n") } else { String::new() };
    let mut text = format!(
        "kind: charter\nsubject: feature:{subject}\nlifecycle: production\n\
         policy: simulated\nowners: {{primary: user:{primary}, backup: user:dora}}\n{deduplicate}expectations:\n"
    );
    for expectation in expectations {
        let Expectation { name, shape, min_samples, open: (k, of), resolve_after, rule } =
            expectation;
        let window = match shape {
            Shape::Tumbling(size) => size.to_string(),
            Shape::Hopping(size, hop) => format!("{{kind: hopping, size: {size}, hop: {hop}}}"),
            Shape::Session(gap) => format!("{{kind: session, gap: {gap}}}"),
        };
        let rule = match rule {
            Rule::Latency(above) => {
                format!("kind: latency, quantile: max, above: {}ms", above / 1000)
            }
            Rule::Freshness(above) => {
                format!("kind: freshness, quantile: max, above: {}ms", above / 1000)
            }
            Rule::Silence(after) => format!("kind: silence, after: {after}"),
            Rule::Volume(below) => format!("kind: volume, below: {below}"),
            Rule::NullRate(above) => format!("kind: null_rate, above: {above}"),
            Rule::ErrorRate(above) => format!("kind: error_rate, above: {above}"),
            Rule::Range(min, max) => format!("kind: range, min: {min}, max: {max}"),
        };
        let _ = writeln!(
            text,
            "  - {{name: {name}, {rule}, window: {window}, min_samples: {min_samples}, \
             for: {{k: {k}, of: {of}}}, resolve_after: {resolve_after}}}"
        );
    }
    text
}

fn policy(ladder: &Ladder) -> String {
    let mut text = format!(
        "kind: policy\nname: simulated\nversion: 1\n\
         grouping: {{by: [root, kind], group_wait: {}, repeat_interval: {}}}\n\
         damping: {{keep_firing_for: 0s, reopen_within: {}}}\nloops: {}\n\
         on_exhausted: {{notify: [group:governance]}}\n",
        ladder.group_wait, ladder.repeat_interval, ladder.reopen_within, ladder.loops
    );
    if let Some(span) = ladder.ack_timeout {
        let _ = writeln!(text, "ack_timeout: {span}");
    }
    text.push_str("steps:\n");
    for step in &ladder.steps {
        let _ = write!(
            text,
            "  - {{name: {}, notify: [{{role: {}}}], channels: [{{tool: email, to: {}@example.com}}], \
             acknowledge_within: {}",
            step.name, step.role, step.name, step.acknowledge_within
        );
        let remediate = step.remediate_within.map(|span| format!(", remediate_within: {span}"));
        let _ = write!(text, "{}", remediate.as_deref().unwrap_or_default());
        let also = if step.remediate_within.is_some() { ", not_remediated" } else { "" };
        let _ = writeln!(text, ", escalate_if: [not_acknowledged{also}]}}");
    }
    text
}
