//! `watchkeep report stewardship` and `owners`.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Serialize;
use watchkeep_incident::report::Period;
use watchkeep_incident::report::owners::{Load, owners, shown};
use watchkeep_incident::report::stewardship::{Seen, Stewardship, stewardship};
use watchkeep_model::incident::Fact;
use watchkeep_model::position::Partition;
use watchkeep_model::time::Timestamp;
use watchkeep_model::window::Window;
use watchkeep_wire::fact::decode;

use crate::Outcome;
use crate::charters::{self, Wanted};
use crate::cli::{self, IncidentSource, ReportFormat, ReportOf};
use crate::commands::{audit, incidents};
use crate::config::Config;
use crate::output::Output;
use crate::store::Store;

/// Offsets that are read at once.
const CHUNK: i64 = 5_000;

/// What reports are made of.
struct Input {
    rules: watchkeep_runtime::rules::Rules,
    incidents: BTreeMap<String, Vec<Fact>>,
    seen: Seen,
    period: Period,
}

/// # Errors
/// The charters, the folder or the log cannot be read.
pub(super) fn run(command: &cli::Report) -> anyhow::Result<Outcome> {
    match command {
        cli::Report::Stewardship(arguments) => of_stewardship(arguments),
        cli::Report::Owners(arguments) => of_owners(arguments),
    }
}

fn of_stewardship(arguments: &ReportOf) -> anyhow::Result<Outcome> {
    let Input { rules, incidents, seen, period } = read(arguments, true)?;
    let publications = rules.publications();
    let report = stewardship(&rules.registry(), publications.as_ref(), &incidents, &seen, period);
    print(arguments.format, &report, period, &sections(&report))?;
    let is_found =
        report.reviews.iter().any(|review| review.is_overdue) || !report.stale_owners.is_empty();
    Ok(if is_found { Outcome::Found } else { Outcome::Fine })
}

fn of_owners(arguments: &ReportOf) -> anyhow::Result<Outcome> {
    let Input { rules, incidents, period, .. } = read(arguments, false)?;
    let report = owners(&rules.registry(), &incidents, period);
    print(arguments.format, &report, period, &[people(&report)])?;
    Ok(Outcome::Fine)
}

fn read(arguments: &ReportOf, with_windows: bool) -> anyhow::Result<Input> {
    let config = Config::load(arguments.configured.file.as_deref())?;
    let wanted = match (&arguments.charters, &arguments.from_folder) {
        (Some(folder), _) => Wanted::Folder(folder),
        (None, Some(_)) => Wanted::OfFiles,
        (None, None) => Wanted::OfLog,
    };
    let rules = charters::wanted(&config, &wanted)?;
    let (mut seen, mut last) = (Seen::default(), None);
    let mut keep = |window: &Window| {
        let is_in = |at: Timestamp| {
            arguments.from.is_none_or(|from| from <= at) && arguments.to.is_none_or(|to| at < to)
        };
        if window.count > 0 && is_in(window.window_start) {
            seen.add(&window.feature, &window.feature_version, window.window_start);
            last = last.max(Some(window.window_end));
        }
    };
    match &arguments.from_folder {
        Some(folder) if with_windows => {
            audit::folder::each(folder, "windows.ndjson", |window: Window| keep(&window))?;
        }
        Some(_) => {}
        None if with_windows => windows_of_log(&config, &mut keep)?,
        None => {}
    }
    let incidents = incidents::read(&IncidentSource {
        from: arguments.from_folder.clone(),
        configured: arguments.configured.clone(),
    })?;
    let facts = incidents.values().flatten().map(|fact| fact.occurred_at);
    let last = last.max(facts.max().map(|at| at + watchkeep_model::time::TimeSpan::from_micros(1)));
    let period = Period {
        from: arguments.from.unwrap_or(Timestamp::from_micros(i64::MIN)),
        to: arguments.to.or(last).unwrap_or_else(crate::service::clock::now),
    };
    Ok(Input { rules, incidents, seen, period })
}

fn windows_of_log(config: &Config, keep: &mut impl FnMut(&Window)) -> anyhow::Result<()> {
    let mut reader = Store::open_existing(config)?.reader()?;
    let topic = config.topics.named("windows");
    for number in 0..reader.partition_count(&topic)? {
        let partition = Partition::new(topic.as_str(), number);
        let (mut from, end) = reader.bounds(&partition)?;
        while from < end {
            let to = (from + CHUNK).min(end);
            for record in reader.read(&partition, from, to)? {
                let window = decode(&record.value)
                    .with_context(|| format!("{topic}/{number} at offset {}", record.offset))?;
                keep(&window);
            }
            from = to;
        }
    }
    Ok(())
}

/// A table of a report under its title.
struct Section {
    title: &'static str,
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

fn print(
    format: ReportFormat,
    report: &impl Serialize,
    period: Period,
    sections: &[Section],
) -> anyhow::Result<()> {
    let mut output = Output::new();
    let from = match period.from.as_micros() {
        i64::MIN => "the beginning".to_owned(),
        _ => period.from.to_string(),
    };
    match format {
        ReportFormat::Json => output.json(report)?,
        ReportFormat::Table => {
            output.line(format_args!("{from} to {}", period.to))?;
            for section in sections {
                output.line(format_args!("\n{}", section.title))?;
                output.text(&aligned(section))?;
            }
        }
        ReportFormat::Markdown => {
            output.line(format_args!("From {from} to {}.", period.to))?;
            for section in sections {
                output.line(format_args!("\n## {}\n", section.title))?;
                output.text(&markdown(section))?;
            }
        }
    }
    output.finish()
}

fn aligned(section: &Section) -> String {
    if section.rows.is_empty() {
        return "  none\n".to_owned();
    }
    let mut table = crate::output::Table::of(&section.head);
    section.rows.iter().for_each(|row| table.push(row.clone()));
    table.to_string()
}

fn markdown(section: &Section) -> String {
    if section.rows.is_empty() {
        return "None.\n".to_owned();
    }
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(section.head.iter().map(|cell| (*cell).to_owned()).collect());
    text.push_str(&line(section.head.iter().map(|_| "---".to_owned()).collect()));
    for row in &section.rows {
        text.push_str(&line(row.iter().map(|cell| cell.replace('|', "\\|")).collect()));
    }
    text
}

fn people(loads: &[Load]) -> Section {
    let row = |load: &Load| {
        let wait = load.seconds_to_acknowledge.map_or_else(|| "-".to_owned(), shown);
        let counts = [
            load.primary_of,
            load.incidents,
            load.open_incidents,
            load.pages,
            load.off_hours_pages,
            load.acknowledged,
        ];
        let counts = counts.map(|count| count.to_string());
        [vec![load.person.clone()], counts.to_vec(), vec![wait]].concat()
    };
    Section {
        title: "People",
        head: vec![
            "person",
            "primary of",
            "incidents",
            "open",
            "pages",
            "off hours",
            "acknowledged",
            "time to acknowledge",
        ],
        rows: loads.iter().map(row).collect(),
    }
}

fn sections(report: &Stewardship) -> Vec<Section> {
    let dash = || "-".to_owned();
    let at = |at: Option<Timestamp>| at.map_or_else(dash, |at| at.to_string());
    let span = |seconds: Option<i64>| seconds.map_or_else(dash, shown);
    let pair = |name: &str, value: String| vec![name.to_owned(), value];
    let share = |share: Option<f64>| share.map_or_else(dash, |share| format!("{share:.2}"));
    let (coverage, found, cadence) = (&report.coverage, &report.found, &report.cadence);
    vec![
        Section {
            title: "Reviews",
            head: vec!["charter", "asked of", "every", "last", "due", "overdue"],
            rows: report
                .reviews
                .iter()
                .map(|review| {
                    vec![
                        review.charter.clone(),
                        review.by.clone().unwrap_or_else(dash),
                        review.every.to_string(),
                        at(review.reviewed_at),
                        at(review.due_at),
                        if review.is_overdue { "yes" } else { "no" }.to_owned(),
                    ]
                })
                .collect(),
        },
        Section {
            title: "Stale owners",
            head: vec!["charter", "role", "who", "why"],
            rows: report
                .stale_owners
                .iter()
                .map(|o| vec![o.charter.clone(), o.role.to_owned(), o.name.clone(), o.why.clone()])
                .collect(),
        },
        Section {
            title: "Stale edges",
            head: vec!["from", "to", "last seen"],
            rows: report
                .stale_edges
                .iter()
                .map(|e| vec![e.from.clone(), e.to.clone(), e.last_seen.to_string()])
                .collect(),
        },
        Section {
            title: "Coverage of features",
            head: vec!["what", "features"],
            rows: [
                pair("with events", coverage.features.to_string()),
                pair("with a charter", coverage.with_charter.to_string()),
                pair("with expectations", coverage.with_expectations.to_string()),
                pair("owned", coverage.owned.to_string()),
                pair("without a charter", coverage.without_charter.join(", ")),
            ]
            .to_vec(),
        },
        Section {
            title: "Who was first to act on incidents",
            head: vec!["what", "incidents"],
            rows: [
                pair("opened", found.incidents.to_string()),
                pair("self-found", found.self_found.to_string()),
                pair("user-found", found.user_found.to_string()),
                pair("untouched", found.untouched.to_string()),
                pair("share self-found", share(found.self_found_share)),
            ]
            .to_vec(),
        },
        Section {
            title: "Business outcomes",
            head: vec!["outcome", "charters", "incidents"],
            rows: report
                .outcomes
                .iter()
                .map(|o| vec![o.outcome.clone(), o.charters.join(", "), o.incidents.to_string()])
                .collect(),
        },
        Section {
            title: "Changes",
            head: vec!["what", "how much"],
            rows: [
                pair("features with versions", cadence.features_with_versions.to_string()),
                pair("time between versions", span(cadence.seconds_between_versions)),
                pair("publications of charters", cadence.publications.to_string()),
                pair(
                    "from proposal to publication",
                    span(cadence.seconds_from_proposal_to_publication),
                ),
            ]
            .to_vec(),
        },
    ]
}
