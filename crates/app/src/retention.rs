//! How long topics keep what may be deleted at all, and that what a regulator
//! may ask for is kept for longer.
//!
//! Kafka keeps a whole topic for one span, so one charter with `driver:
//! regulatory` keeps the topics with its feature's records for the longer one.
//! What is needed to go on and to prove what was decided (summaries, breaches,
//! incidents, the registry) is kept for good in any case.

use anyhow::Context as _;
use watchkeep_incident::registry::Registry;
use watchkeep_log_kafka::admin::KafkaAdmin;
use watchkeep_model::time::TimeSpan;

use crate::charters::{self, Wanted};
use crate::config::{Config, Topics};
use crate::store::Store;

/// Topics, without the prefix, of which `topics.retention` may delete.
pub(crate) const LIMITED: [&str; 2] = ["windows", "rejects"];

/// Kafka's setting, in milliseconds; -1 is for good.
pub(crate) const SETTING: &str = "retention.ms";

/// What Kafka is told: for good where there is no span.
pub(crate) fn setting(span: Option<TimeSpan>) -> String {
    span.map_or_else(|| "-1".to_owned(), |span| (span.as_micros() / 1_000).to_string())
}

/// How long the limited topics keep records.
pub(crate) fn span(topics: &Topics, is_regulated: bool) -> Option<TimeSpan> {
    if is_regulated { topics.regulatory_retention } else { topics.retention }
}

/// True where a charter in force at any time says `driver: regulatory`, by the
/// configured source. Nothing is looked at where nothing is deleted anyway.
///
/// # Errors
/// The charters cannot be read.
pub(crate) fn is_regulated(config: &Config) -> anyhow::Result<bool> {
    if config.topics.retention.is_none() {
        return Ok(false);
    }
    let rules = charters::wanted(config, &Wanted::OfLog)?;
    Ok(rules.registry().is_regulated())
}

/// Keeps the limited topics for as long as a regulated charter asks for, where
/// there is one. Answers with those that were kept for less until now. Nothing
/// is ever shortened here: whoever wants that does so by hand.
///
/// # Errors
/// Kafka does not answer, or does not let this be changed.
pub(crate) fn hold(
    topics: &Topics,
    store: &Store,
    registry: &Registry,
) -> anyhow::Result<Vec<String>> {
    let is_limited = topics.retention.is_some() && matches!(store, Store::Kafka(_));
    if !is_limited || !registry.is_regulated() {
        return Ok(Vec::new());
    }
    let admin = store.admin()?;
    let wanted = setting(topics.regulatory_retention);
    let mut raised = Vec::new();
    for name in LIMITED {
        let topic = topics.named(name);
        if is_shorter(&admin, &topic, &wanted)? {
            admin.set_config(&topic, SETTING, &wanted).with_context(|| {
                format!(
                    "a charter says `driver: regulatory`, and {topic} is kept for less than \
                     topics.regulatory_retention: set its {SETTING} to {wanted}"
                )
            })?;
            raised.push(topic);
        }
    }
    Ok(raised)
}

fn is_shorter(admin: &KafkaAdmin, topic: &str, wanted: &str) -> anyhow::Result<bool> {
    let Some(state) = admin.describe(topic)? else { return Ok(false) };
    // Below zero is for good.
    let millis = |text: &str| text.parse::<i64>().ok().filter(|millis| *millis >= 0);
    let found = state.config.get(SETTING).and_then(|text| millis(text));
    Ok(match (found, millis(wanted)) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(found), Some(wanted)) => found < wanted,
    })
}
