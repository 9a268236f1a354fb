//! Channels of policies and people that no sink takes, so that this is known
//! before the first page.

use std::collections::BTreeSet;

use watchkeep_incident::registry::Registry;
use watchkeep_runtime::stage::deliver::route::{TOPIC, is_claimed};
use watchkeep_runtime::stage::deliver::{Sink, Tool};

use crate::config::sinks::SinkConfig;

/// One sentence for each channel that no sink takes. Where there are no sinks
/// at all, others read the topic, and nothing is said.
pub(crate) fn unclaimed(registry: &Registry, sinks: &[SinkConfig]) -> Vec<String> {
    let sinks: Vec<&Sink> = sinks.iter().map(|config| &config.sink).collect();
    if sinks.is_empty() {
        return Vec::new();
    }
    let mut told: BTreeSet<String> = BTreeSet::new();
    for policy in registry.policies() {
        for step in &policy.steps {
            for channel in step.channels.iter().filter(|channel| channel.tool != TOPIC) {
                let to = channel.to.as_ref();
                let name = to.map_or(channel.tool.clone(), |to| format!("{}:{to}", channel.tool));
                let is_taken = match to {
                    Some(_) => is_claimed(&name, &sinks),
                    // The contacts of people are looked at below.
                    None => sinks.iter().any(|sink| sink.tool.name() == channel.tool),
                };
                if !is_taken {
                    told.insert(format!(
                        "policy {}, step {}: no sink takes {name}; its pages stay in the topic",
                        policy.name, step.name
                    ));
                }
            }
        }
    }
    let speaks = |tool: &str| Tool::ALL.iter().any(|(_, name)| *name == tool);
    for (user_name, user) in &registry.directory().users {
        for contact in user.contacts.iter().filter(|contact| speaks(&contact.tool)) {
            let name = format!("{}:{}", contact.tool, contact.to);
            if !is_claimed(&name, &sinks) {
                told.insert(format!("user:{user_name}: no sink takes the contact {name}"));
            }
        }
    }
    told.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use watchkeep_model::time::TimeSpan;

    use super::*;
    use crate::charters::Folder;

    const TEXT: &str = "\
kind: directory
users:
  ada: {name: Ada, contacts: [{tool: email, to: ada@example.com}, {tool: sms, to: '+49'}]}
---
kind: policy
name: p
version: 1
steps:
  - name: one
    notify: [{role: primary}]
    channels: [{tool: alertmanager, to: am}, {tool: pagerduty, to: x}, {tool: topic}]
";

    #[test]
    fn channels_that_no_sink_takes_are_told_before_the_first_page() {
        let folder = Folder::of(vec![("p.yaml".into(), TEXT.into())], TimeSpan::MINUTE);
        let told = |sinks: &[SinkConfig]| unclaimed(&folder.registry, sinks);
        assert_eq!(told(&[]), [""; 0]);
        let alerts = SinkConfig::for_tests("http://127.0.0.1:9/");
        assert_eq!(
            told(std::slice::from_ref(&alerts)),
            [
                "policy p, step one: no sink takes pagerduty:x; its pages stay in the topic",
                "user:ada: no sink takes the contact email:ada@example.com",
            ],
            "{:?}",
            folder.diagnostics
        );
        let mut other = alerts;
        other.sink.to = vec!["other".into()];
        assert_eq!(told(&[other]).len(), 3);
    }
}
