//! `watchkeep topics create` and `check`.

use std::collections::BTreeMap;

use anyhow::bail;
use serde::Serialize;
use watchkeep_log_kafka::admin::{TopicDifference, TopicSpec};

use crate::charters::{self, Wanted};
use crate::cli;
use crate::config::{CharterSource, Config, LogConfig};
use crate::output::{Format, Output, Table, counted};
use crate::store::{Store, owned_topics};
use crate::{Outcome, retention};

#[derive(Serialize)]
struct Line {
    topic: String,
    state: String,
}

/// # Errors
/// Those of the configuration and of Kafka.
pub(super) fn run(command: &cli::Topics) -> anyhow::Result<Outcome> {
    match command {
        cli::Topics::Create(arguments) => create(arguments),
        cli::Topics::Check(arguments) => check(arguments),
    }
}

fn create(arguments: &cli::TopicsCreate) -> anyhow::Result<Outcome> {
    let config = Config::load_required(arguments.configured.file.as_deref())?;
    let store = Store::open(&config)?;
    if let LogConfig::Embedded { folder } = &config.log {
        if arguments.telemetry_partitions.is_some() {
            bail!(
                "--telemetry-partitions is for Kafka: the embedded log has one partition a topic, leave it out"
            );
        }
        let state = format!("in the embedded log {}", folder.display());
        let names = config.topics.telemetry.iter().cloned();
        let owned = owned_topics(&config, None, false).into_iter().map(|spec| spec.name);
        let lines = names.chain(owned).map(|topic| Line { topic, state: state.clone() }).collect();
        return print(lines, arguments.formatted.format).map(|()| Outcome::Fine);
    }
    let admin = store.admin()?;
    // Before there are topics, charters lie in a folder or nowhere yet.
    let mut specs = owned_topics(&config, Some(arguments.replication), false);
    if let Some(partitions) = arguments.telemetry_partitions {
        let telemetry = config.topics.telemetry.iter().map(|name| TopicSpec {
            name: name.clone(),
            partitions,
            replication: Some(arguments.replication),
            config: BTreeMap::new(),
        });
        specs.splice(0..0, telemetry);
    }
    let created = admin.create_topics(&specs)?;
    // What was just created holds no charter yet.
    let is_new = matches!(config.charter_source, CharterSource::Topic | CharterSource::Unset)
        && created.contains(&config.topics.named("charters"));
    let raised = if config.topics.retention.is_some() && !is_new {
        let rules = charters::wanted(&config, &Wanted::OfLog)?;
        retention::hold(&config.topics, &store, &rules.registry())?
    } else {
        Vec::new()
    };
    let lines = specs
        .into_iter()
        .map(|spec| {
            let state = if created.contains(&spec.name) { "created" } else { "was there" };
            let longer = if raised.contains(&spec.name) { ", kept for a regulator" } else { "" };
            Line { topic: spec.name, state: format!("{state}{longer}") }
        })
        .collect();
    print(lines, arguments.formatted.format)?;
    Ok(Outcome::Fine)
}

fn check(arguments: &cli::TopicsCheck) -> anyhow::Result<Outcome> {
    let config = Config::load_required(arguments.configured.file.as_deref())?;
    let store = Store::open_existing(&config)?;
    if matches!(config.log, LogConfig::Embedded { .. }) {
        let names = config.topics.telemetry.iter().cloned();
        let owned = owned_topics(&config, None, false).into_iter().map(|spec| spec.name);
        // Opening has created or checked them.
        let lines = names.chain(owned).map(|topic| Line { topic, state: "fine".into() }).collect();
        return print(lines, arguments.formatted.format).map(|()| Outcome::Fine);
    }
    let admin = store.admin()?;
    let mut lines = Vec::new();
    let mut differs = false;
    for topic in &config.topics.telemetry {
        let state = match admin.describe(topic)? {
            Some(state) => format!(
                "fine, {}",
                counted(u64::from(state.partitions.unsigned_abs()), "partition")
            ),
            None => {
                differs = true;
                "missing: create it as your producers need it, or with --telemetry-partitions"
                    .into()
            }
        };
        lines.push(Line { topic: topic.clone(), state });
    }
    for spec in owned_topics(&config, None, retention::is_regulated(&config)?) {
        let differences = admin.check(&spec)?;
        differs |= !differences.is_empty();
        if differences.is_empty() {
            lines.push(Line { topic: spec.name.clone(), state: "fine".into() });
        }
        for difference in differences {
            lines.push(Line { topic: spec.name.clone(), state: told(&difference) });
        }
    }
    print(lines, arguments.formatted.format)?;
    Ok(if differs { Outcome::Found } else { Outcome::Fine })
}

fn told(difference: &TopicDifference) -> String {
    match difference {
        TopicDifference::Missing => "missing: run `watchkeep topics create`".to_owned(),
        TopicDifference::Partitions { wanted, found } => {
            format!("has {found} partitions and should have {wanted}")
        }
        TopicDifference::Replication { wanted, found } => {
            format!("has {found} copies and should have {wanted}")
        }
        TopicDifference::Config { name, wanted, found } => {
            format!("{name} is {found} and should be {wanted}")
        }
    }
}

fn print(lines: Vec<Line>, format: Format) -> anyhow::Result<()> {
    let mut output = Output::new();
    match format {
        Format::Json => output.json(&lines)?,
        Format::Table => {
            let mut table = Table::new(["topic", "state"]);
            for line in lines {
                table.row([line.topic, line.state]);
            }
            table.print(&mut output)?;
        }
    }
    output.finish()
}
