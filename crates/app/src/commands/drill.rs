//! `watchkeep drill run`.

mod record;
mod scenario;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use watchkeep_incident::drill::{Drilled, Gap, GapKind, run as play};
use watchkeep_model::escalation::{Audience, Escalation};
use watchkeep_model::incident::Fact;
use watchkeep_model::json;
use watchkeep_model::time::Timestamp;
use watchkeep_runtime::stage::deliver::Sink;
use watchkeep_runtime::stage::deliver::route::{TOPIC, is_claimed};

use crate::Outcome;
use crate::charters::{self, Wanted};
use crate::cli::{self, DrillRun};
use crate::config::Config;
use crate::output::{Format, Output, Table, complain, lasting};
use crate::responses::Answer;

use super::respond::put;

const NONE_SENT: &str = "pages, none of them sent";

/// # Errors
/// The scenario or the charters cannot be read, or the folder not be written.
pub(super) fn run(command: &cli::Drill) -> anyhow::Result<Outcome> {
    let cli::Drill::Run(arguments) = command;
    let config = Config::load(arguments.configured.file.as_deref())?;
    let wanted = match &arguments.charters {
        Some(folder) => Wanted::Folder(folder),
        None => Wanted::OfLog,
    };
    let rules = charters::wanted(&config, &wanted)?;
    let path = &arguments.scenario;
    let now = crate::service::clock::now;
    let scenario = scenario::read(path, arguments.at, now)?;
    let mut drilled =
        play(&scenario, &*rules.registry()).with_context(|| path.display().to_string())?;
    let sinks: Vec<&Sink> = config.sinks.iter().map(|config| &config.sink).collect();
    drilled.gaps.extend(untaken(&drilled.escalations, &sinks));
    drilled.gaps.sort_by_key(|gap| gap.at);
    let mut told = Told { drilled: &drilled, held_at: now(), recorded: None };
    if let Some(folder) = &arguments.out {
        write(folder, &told)?;
    }
    if let Some(by) = &arguments.by {
        let mut response = record::command(&drilled, by, arguments.send, told.held_at);
        response.rationale.clone_from(&arguments.rationale);
        told.recorded = Some(put(response, &arguments.configured, arguments.wait)?);
    }
    print(arguments, &told)?;
    if let Some(rule) = told.recorded.as_ref().and_then(|answer| answer.rule.as_ref()) {
        complain(&format!("refused: {rule}"));
        return Ok(Outcome::Found);
    }
    Ok(if drilled.gaps.is_empty() { Outcome::Fine } else { Outcome::Found })
}

/// People whose pages no sink of the configuration would take. Where there is
/// none, others read the topic.
fn untaken(messages: &[Escalation], sinks: &[&Sink]) -> Vec<Gap> {
    if sinks.iter().all(|sink| sink.drill) {
        return Vec::new();
    }
    let mut rounds: BTreeMap<_, (Option<String>, BTreeSet<&str>)> = BTreeMap::new();
    for page in messages.iter().filter(|message| message.audience == Audience::Page) {
        let Some((who, channel)) = page.target.as_deref().zip(page.channel.as_deref()) else {
            continue;
        };
        let round = rounds.entry((page.time, &page.incident_id, who));
        round.or_insert((page.step.clone(), BTreeSet::new())).1.insert(channel);
    }
    let mut known = BTreeSet::new();
    let mut gaps = Vec::new();
    for ((at, _, who), (step, channels)) in rounds {
        let is_taken = |channel: &&str| *channel == TOPIC || is_claimed(channel, sinks);
        if !channels.iter().any(is_taken) && known.insert((who, channels.clone())) {
            let channels: Vec<&str> = channels.into_iter().collect();
            let what = format!(
                "no sink takes what pages {who} by {}: it stays in the topic",
                channels.join(", ")
            );
            gaps.push(Gap { gap: GapKind::Unreachable, at, step, what });
        }
    }
    gaps
}

/// What came of an exercise, with when it was held.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    drilled: &'a Drilled,
    /// The time of day, and not the exercise's own clock.
    held_at: Timestamp,
    /// What came of recording it.
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<Answer>,
}

/// Lets no fact of a folder's exercise be later than the exercise was held: its
/// own clock may be of a day to come. A folder of an earlier version does not
/// say when that was.
pub(super) fn when_held(folder: &Path, facts: &mut [Fact]) {
    #[derive(Deserialize)]
    struct Held {
        held_at: Option<Timestamp>,
    }
    let told = std::fs::read(folder.join("drill.json")).ok();
    let held = told.and_then(|told| serde_json::from_slice::<Held>(&told).ok());
    if let Some(at) = held.and_then(|held| held.held_at) {
        let of_drill = facts.iter_mut().filter(|fact| fact.drill);
        of_drill.for_each(|fact| fact.occurred_at = fact.occurred_at.min(at));
    }
}

fn write(folder: &Path, told: &Told<'_>) -> anyhow::Result<()> {
    let drilled = told.drilled;
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    lines(&folder.join("incidents.ndjson"), &drilled.facts)?;
    lines(&folder.join("escalations.ndjson"), &drilled.escalations)?;
    lines(&folder.join("drill.json"), &[told])
}

fn lines<T: Serialize>(path: &Path, items: &[T]) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        items.iter().try_for_each(|item| writeln!(file, "{}", json::to_line(item)))?;
        file.flush()
    };
    write().with_context(|| path.display().to_string())
}

fn print(arguments: &DrillRun, told: &Told<'_>) -> anyhow::Result<()> {
    let drilled = told.drilled;
    let mut output = Output::new();
    if arguments.formatted.format == Format::Json {
        output.json(told)?;
        return output.finish();
    }
    let sent = if arguments.send { "pages, each person and channel rung once" } else { NONE_SENT };
    let seconds = |seconds: Option<i64>| seconds.map_or_else(|| "never".to_owned(), lasting);
    let mut table = Table::new(["what", ""]);
    for (what, value) in [
        ("drill", drilled.name.clone()),
        ("began", drilled.at.to_string()),
        ("policy", drilled.policies.join(", ")),
        ("incidents", drilled.incidents.to_string()),
        (sent, drilled.pages.to_string()),
        ("would have been paged", drilled.paged.join(", ")),
        ("first page after", seconds(drilled.seconds_to_first_page)),
        ("first human after", seconds(drilled.seconds_to_first_human)),
        ("ended", drilled.ended.join("; ")),
        ("gaps", drilled.gaps.len().to_string()),
    ] {
        table.row([what.to_owned(), value]);
    }
    if let Some(answer) = &told.recorded {
        table.row(["record in the log".to_owned(), answer.outcome.clone()]);
    }
    table.print(&mut output)?;
    if !drilled.gaps.is_empty() {
        let mut table = Table::new(["at", "gap", "step", "what"]);
        for gap in &drilled.gaps {
            table.row([
                gap.at.to_string(),
                gap.gap.name(),
                gap.step.clone().unwrap_or_else(|| "-".into()),
                gap.what.clone(),
            ]);
        }
        output.line("")?;
        table.print(&mut output)?;
    }
    output.finish()
}
