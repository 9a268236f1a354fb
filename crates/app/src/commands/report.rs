//! `watchkeep report stewardship`, `owners`, `health` and `outcomes`.

mod charts;
mod health;
mod html;
mod page;
mod tables;

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use watchkeep_incident::report::Period;
use watchkeep_incident::report::measured::Measured;
use watchkeep_incident::report::owners::{Load, owners, shown};
use watchkeep_incident::report::stewardship::{Seen, Stewardship, stewardship};
use watchkeep_model::incident::Fact;
use watchkeep_model::position::Partition;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::Window;
use watchkeep_wire::fact::decode;

use crate::Outcome;
use crate::charters::{self, RunsFrom, Wanted};
use crate::cli::{self, IncidentSource, ReportOf};
use crate::commands::{audit, incidents, known};
use crate::config::Config;
use crate::store::Store;

use page::{Section, print};

/// Offsets that are read at once.
const CHUNK: i64 = 5_000;

/// What reports are made of.
struct Input {
    rules: watchkeep_runtime::rules::Rules,
    incidents: BTreeMap<String, Vec<Fact>>,
    seen: Seen,
    measured: Measured,
    period: Period,
}

/// # Errors
/// The charters, the folder or the log cannot be read.
pub(super) fn run(command: &cli::Report) -> anyhow::Result<Outcome> {
    match command {
        cli::Report::Stewardship(arguments) => of_stewardship(arguments),
        cli::Report::Owners(arguments) => of_owners(arguments),
        cli::Report::Health(arguments) => health::health(arguments),
        cli::Report::Outcomes(arguments) => health::outcomes(arguments),
    }
}

fn of_stewardship(arguments: &ReportOf) -> anyhow::Result<Outcome> {
    let Input { rules, incidents, seen, period, .. } = read(arguments, Windows::Seen)?;
    let publications = rules.publications().map(|(known, _)| known);
    let report = stewardship(&rules.registry(), publications.as_deref(), &incidents, &seen, period);
    print(arguments.format, &report, period, "Stewardship", &[], &sections(&report))?;
    let is_found = report.reviews.iter().any(|review| review.is_overdue)
        || !report.opened_reviews.is_empty()
        || !report.stale_owners.is_empty();
    Ok(if is_found { Outcome::Found } else { Outcome::Fine })
}

fn of_owners(arguments: &ReportOf) -> anyhow::Result<Outcome> {
    let Input { rules, incidents, period, .. } = read(arguments, Windows::None)?;
    let report = owners(&rules.registry(), &incidents, period);
    print(arguments.format, &report, period, "People", &[], &[people(&report)])?;
    Ok(Outcome::Fine)
}

/// Which windows a report needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Windows {
    /// None.
    None,
    /// Those of the span, for the versions in them.
    Seen,
    /// All of them, for what rules said.
    Measured,
}

/// Without `--from`, a report that is set against the span before is of this long.
const QUARTER: TimeSpan = TimeSpan::WEEK.times(13);

fn read(arguments: &ReportOf, windows: Windows) -> anyhow::Result<Input> {
    let config = Config::load(arguments.configured.file.as_deref())?;
    let wanted = match (&arguments.charters, &arguments.from_folder) {
        (Some(folder), _) => Wanted::Folder(folder),
        (None, Some(_)) => Wanted::OfFiles,
        (None, None) => Wanted::OfLog,
    };
    let runs = match &arguments.from_folder {
        _ if !arguments.lineage.is_empty() => RunsFrom::Files(&arguments.lineage),
        Some(_) => RunsFrom::Folder,
        None => RunsFrom::Topic,
    };
    let rules = charters::wanted_with_runs(&config, &wanted, runs)?;
    let (mut seen, mut measured, mut last) = (Seen::default(), Measured::default(), None);
    let mut keep = |window: &Window| {
        let is_in = |at: Timestamp| {
            arguments.from.is_none_or(|from| from <= at) && arguments.to.is_none_or(|to| at < to)
        };
        if window.count > 0 && is_in(window.window_start) {
            seen.add(&window.feature, &window.feature_version, window.window_start);
            last = last.max(Some(window.window_end));
        }
        if windows == Windows::Measured {
            measured.add(window);
        }
    };
    match &arguments.from_folder {
        _ if windows == Windows::None => {}
        Some(folder) => {
            audit::folder::each(folder, "windows.ndjson", |window: Window| keep(&window))?;
        }
        None => windows_of_log(&config, &mut keep)?,
    }
    let incidents = incidents::read(&IncidentSource {
        from: arguments.from_folder.clone(),
        configured: arguments.configured.clone(),
    })?;
    let facts = incidents.values().flatten().map(|fact| fact.occurred_at);
    let last = last.max(facts.max().map(|at| at + TimeSpan::from_micros(1)));
    let to = match arguments.to {
        // Reviews of charters are asked for as of any day, also one to come.
        Some(to) if windows != Windows::Measured => to,
        Some(to) => known::until(to, known::end(arguments.from_folder.as_deref(), last)),
        None => last.unwrap_or_else(crate::service::clock::now),
    };
    let always = Timestamp::from_micros(i64::MIN);
    let since = match measured.span() {
        Some((first, _)) => first.max(to - QUARTER),
        None if windows == Windows::Measured => to - QUARTER,
        None => always,
    };
    let period = Period { from: arguments.from.unwrap_or(since), to };
    if period.from >= period.to {
        bail!("--from {} is not before the end of the report, {to}", period.from);
    }
    Ok(Input { rules, incidents, seen, measured, period })
}

fn windows_of_log(config: &Config, keep: &mut impl FnMut(&Window)) -> anyhow::Result<()> {
    let mut reader = Store::reader_or_service(config)?;
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
        text: Vec::new(),
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
    let named = |text: &str| if text.is_empty() { dash() } else { text.to_owned() };
    let at = |at: Option<Timestamp>| at.map_or_else(dash, |at| at.to_string());
    let span = |seconds: Option<i64>| seconds.map_or_else(dash, shown);
    let pair = |name: &str, value: String| vec![name.to_owned(), value];
    let share = |share: Option<f64>| share.map_or_else(dash, |share| format!("{share:.2}"));
    let (coverage, found, cadence) = (&report.coverage, &report.found, &report.cadence);
    vec![
        Section {
            title: "Reviews",
            text: Vec::new(),
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
            title: "Reviews that a change has opened",
            text: Vec::new(),
            head: vec!["charter", "asked of", "because of", "before", "after", "since"],
            rows: report
                .opened_reviews
                .iter()
                .map(|review| {
                    vec![
                        review.charter.clone(),
                        review.by.clone().unwrap_or_else(dash),
                        review.because.to_owned(),
                        named(&review.before),
                        named(&review.after),
                        review.at.to_string(),
                    ]
                })
                .collect(),
        },
        Section {
            title: "Stale owners",
            text: Vec::new(),
            head: vec!["charter", "role", "who", "why"],
            rows: report
                .stale_owners
                .iter()
                .map(|o| vec![o.charter.clone(), o.role.to_owned(), o.name.clone(), o.why.clone()])
                .collect(),
        },
        Section {
            title: "Stale edges",
            text: Vec::new(),
            head: vec!["from", "to", "last seen"],
            rows: report
                .stale_edges
                .iter()
                .map(|e| vec![e.from.clone(), e.to.clone(), e.last_seen.to_string()])
                .collect(),
        },
        Section {
            title: "Coverage of features",
            text: Vec::new(),
            head: vec!["what", "features"],
            rows: [
                pair("with windows", coverage.features.to_string()),
                pair("with a charter", coverage.with_charter.to_string()),
                pair("with expectations", coverage.with_expectations.to_string()),
                pair("owned", coverage.owned.to_string()),
                pair("without a charter", coverage.without_charter.join(", ")),
                pair("without expectations", coverage.without_expectations.join(", ")),
            ]
            .to_vec(),
        },
        Section {
            title: "Who was first to act on incidents",
            text: Vec::new(),
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
            text: Vec::new(),
            head: vec!["outcome", "charters", "incidents"],
            rows: report
                .outcomes
                .iter()
                .map(|o| vec![o.outcome.clone(), o.charters.join(", "), o.incidents.to_string()])
                .collect(),
        },
        Section {
            title: "Changes",
            text: Vec::new(),
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
