//! `watchkeep replay`: files in, files out, no clock between.

mod against;
mod files;
mod sources;

use anyhow::{Context, bail};
use serde::Serialize;
use watchkeep_detection::baseline::Profiles;
use watchkeep_model::response::Response;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_runtime::replay::summaries::replay_summaries;
use watchkeep_runtime::replay::{self, Report};
use watchkeep_wire::fact::decode;
use watchkeep_wire::telemetry::Decoder;

use self::against::{Differences, Earlier};
use self::files::Files;
use crate::charters::{RunsFrom, Wanted};
use crate::cli::Replay;
use crate::config::Config;
use crate::input::Lines;
use crate::output::{Format, Output, Table, complain, counted, grouped};
use crate::progress::Progress;
use crate::store::Store;
use crate::{Outcome, charters, process, profiles, service};

/// `replay.json`.
#[derive(Serialize)]
struct Summary<'a> {
    events: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<u64>,
    rejected: u64,
    late: u64,
    duplicates: u64,
    windows: u64,
    breaches: u64,
    incidents: u64,
    facts: u64,
    escalations: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_time: Option<Span>,
    /// Up to when the replay tells of what people were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<Timestamp>,
    seconds: f64,
    cpu_seconds: f64,
    peak_memory_bytes: u64,
    /// Absent where no domain has an alert budget.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    budget: Vec<Budget<'a>>,
    /// What differs from an earlier replay.
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<Compared>,
    ledger: Vec<Range<'a>>,
    version: &'static str,
}

/// How many breaches differ from those of an earlier replay, and whether pages do.
#[derive(Serialize)]
struct Compared {
    same: usize,
    new: usize,
    gone: usize,
    moved: usize,
    pages_differ: bool,
}

impl Compared {
    fn of(differences: &Differences) -> Self {
        Self {
            same: differences.same,
            new: differences.new.len(),
            gone: differences.gone.len(),
            moved: differences.moved.len(),
            pages_differ: !differences.pages.is_empty(),
        }
    }
}

/// What an alert budget came to.
#[derive(Serialize)]
struct Budget<'a> {
    domain: &'a str,
    tests: u64,
    discoveries: u64,
    withheld: u64,
    expected_false_alarms: f64,
    observed_false_alarms: u64,
}

#[derive(Serialize)]
struct Span {
    from: Timestamp,
    to: Timestamp,
}

#[derive(Serialize)]
struct Range<'a> {
    source: &'a str,
    partition: i32,
    from: i64,
    to: i64,
}

/// # Errors
/// Input that cannot be read, charters that cannot be used, output that cannot
/// be written. What the replay finds is no error; what it finds otherwise than an
/// earlier one is told by the exit code where that is asked for.
pub(super) fn run(arguments: &Replay) -> anyhow::Result<Outcome> {
    if let (Some(from), Some(to)) = (arguments.from, arguments.to)
        && from >= to
    {
        bail!("--from {from} is not before --to {to}");
    }
    let config = match &arguments.config {
        Some(file) => Config::load(Some(file))?,
        None => Config::without_file()?,
    };
    let wanted = match &arguments.charters {
        Some(folder) => Wanted::Folder(folder),
        None if sources::is_log(&arguments.input) => Wanted::OfLog,
        None => Wanted::OfFiles,
    };
    let runs = match &arguments.lineage[..] {
        [] if sources::are_of_the_log(&arguments.input) => RunsFrom::Topic,
        files => RunsFrom::Files(files),
    };
    let earlier = arguments.against.as_deref().map(|folder| Earlier::read(folder, &arguments.out));
    let earlier = earlier.transpose()?;
    let responses = responses(arguments)?;
    let given: Vec<Timestamp> = responses.iter().map(|response| response.at).collect();
    let (rules, forbidden) = charters::wanted_with_commands(&config, &wanted, runs, &responses)?;
    let rules = rules.with_profiles(profiles(arguments, &config)?);
    let settings = replay::Settings {
        time: config.time,
        from: arguments.from,
        to: arguments.to,
        run_on: arguments.run_on.unwrap_or(TimeSpan::ZERO),
        upkeep: arguments.upkeep,
        forbidden,
        ..replay::Settings::default()
    };
    let mut decoder = Decoder::new(service::schemas(&config)?);
    let progress = Progress::new("records");
    let (report, files) = if sources::are_summaries(&arguments.input) {
        if arguments.from.is_some() || arguments.to.is_some() || arguments.input.len() > 1 {
            bail!(
                "--input summaries takes neither --from, --to nor a second --input: a summary \
                 cannot be taken apart; replay the telemetry with --input kafka"
            );
        }
        let sources = sources::summaries(&config)?;
        let mut files = Files::create(&arguments.out, progress, Vec::new())?;
        let as_live = arguments.as_live;
        let report = replay_summaries(sources, &rules, responses, &settings, as_live, &mut files)?;
        (report, files)
    } else {
        if arguments.as_live {
            bail!("--as-live is for --input summaries: telemetry does not say what was told of it");
        }
        let (sources, gauges) = sources::open(&arguments.input, &config)?;
        let mut files = Files::create(&arguments.out, progress, gauges)?;
        let report =
            replay::replay(sources, &rules, responses, &mut decoder, &settings, &mut files)?;
        (report, files)
    };
    let mut progress = files.finish()?;
    progress.finish();
    let differences = earlier.map(|earlier| earlier.compare(&arguments.out)).transpose()?;
    if let Some(differences) = &differences {
        files::write_whole(&arguments.out.join(against::FILE), |writer| {
            serde_json::to_writer_pretty(&mut *writer, differences)?;
            std::io::Write::write_all(writer, b"\n")
        })?;
    }
    let mut summary = summary(&report, progress.seconds());
    summary.against = differences.as_ref().map(Compared::of);
    files::write_whole(&arguments.out.join("replay.json"), |writer| {
        serde_json::to_writer_pretty(&mut *writer, &summary)?;
        std::io::Write::write_all(writer, b"\n")
    })?;
    print(&summary, differences.as_ref(), arguments)?;
    match report.records {
        Some(0) => complain("there was no record in the input"),
        Some(records) if records == report.rejected => complain(&format!(
            "no record of {} could be used: {} says why",
            grouped(records),
            arguments.out.join("rejects.ndjson").display()
        )),
        _ => {}
    }
    left_out(&given, report.clock, arguments);
    let is_other = differences.is_some_and(|differences| !differences.is_empty());
    Ok(if arguments.exit_code && is_other { Outcome::Found } else { Outcome::Fine })
}

/// The captured baselines that are judged by.
fn profiles(arguments: &Replay, config: &Config) -> anyhow::Result<Profiles> {
    let captured = match &arguments.baselines {
        Some(path) => profiles::of_files(path)?,
        None if sources::are_of_the_log(&arguments.input) => {
            profiles::of_topic(&Store::open_existing(config)?, config)?
        }
        None => Vec::new(),
    };
    profiles::held(&captured)
}

/// Tells of responses that came after the end of the clock, and so to nothing.
fn left_out(given: &[Timestamp], clock: Option<Timestamp>, arguments: &Replay) {
    let is_late = |at: &&Timestamp| clock.is_none_or(|clock| **at > clock);
    let count = given.iter().filter(is_late).count();
    let (Some(path), true) = (&arguments.responses, count > 0) else { return };
    let end = clock.map_or_else(String::new, |clock| format!(", {clock}"));
    complain(&format!(
        "{count} of the responses in {} were not carried out: they are of after the end of the \
         replay's clock{end}; --run-on lets it go on",
        path.display()
    ));
}

fn responses(arguments: &Replay) -> anyhow::Result<Vec<Response>> {
    let Some(path) = &arguments.responses else { return Ok(Vec::new()) };
    let mut lines = Lines::open(path)?;
    let (mut line, mut responses) = (Vec::new(), Vec::new());
    while let Some(number) = lines.read(&mut line)? {
        let response =
            decode(&line).with_context(|| format!("{}:{}", path.display(), number + 1))?;
        responses.push(response);
    }
    Ok(responses)
}

fn summary(report: &Report, seconds: f64) -> Summary<'_> {
    let range = |(partition, from, to): &'_ (watchkeep_model::position::Partition, i64, i64)| {
        (partition.partition, *from, *to)
    };
    let ledger = report
        .ledger
        .iter()
        .map(|entry| {
            let (partition, from, to) = range(entry);
            Range { source: &entry.0.topic, partition, from, to }
        })
        .collect();
    let budget = report.budgets.iter().map(|(domain, tally)| Budget {
        domain,
        tests: tally.tests,
        discoveries: tally.discoveries,
        withheld: tally.withheld,
        expected_false_alarms: tally.expected,
        observed_false_alarms: tally.retracted,
    });
    Summary {
        events: report.events,
        records: report.records,
        rejected: report.rejected,
        late: report.late,
        duplicates: report.duplicates,
        windows: report.windows,
        breaches: report.breaches,
        incidents: report.incidents,
        facts: report.facts,
        escalations: report.escalations,
        event_time: report.event_time.map(|(from, to)| Span { from, to }),
        clock: report.clock,
        seconds: rounded(seconds),
        cpu_seconds: rounded(process::cpu_seconds()),
        peak_memory_bytes: process::peak_memory_bytes(),
        budget: budget.collect(),
        against: None,
        ledger,
        version: env!("CARGO_PKG_VERSION"),
    }
}

/// To the millisecond; more is noise.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

fn print(
    summary: &Summary<'_>,
    differences: Option<&Differences>,
    arguments: &Replay,
) -> anyhow::Result<()> {
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(summary)?,
        Format::Table => {
            let mut table = Table::new(["what", "how much"]);
            for (name, count) in [
                ("events", summary.events),
                ("rejected", summary.rejected),
                ("late", summary.late),
                ("duplicates", summary.duplicates),
                ("windows", summary.windows),
                ("breaches", summary.breaches),
                ("incidents", summary.incidents),
                ("escalations", summary.escalations),
            ] {
                table.row([name.to_owned(), grouped(count)]);
            }
            for budget in &summary.budget {
                table.row([
                    format!("alert budget of {}", budget.domain),
                    format!(
                        "{}, {} bad, {} withheld, {:.3} false alarms expected, {} seen",
                        counted(budget.tests, "test"),
                        budget.discoveries,
                        budget.withheld,
                        budget.expected_false_alarms,
                        budget.observed_false_alarms
                    ),
                ]);
            }
            if let Some(Span { from, to }) = &summary.event_time {
                table.row(["event time".into(), format!("{from} to {to}")]);
            }
            let cpu = summary.cpu_seconds;
            table
                .row(["seconds".into(), format!("{:.3} ({cpu:.2} of processor)", summary.seconds)]);
            let mebibytes = summary.peak_memory_bytes as f64 / f64::from(1 << 20);
            table.row(["peak memory".into(), format!("{mebibytes:.0} MiB")]);
            table.row(["written to".into(), arguments.out.display().to_string()]);
            table.print(&mut output)?;
            if let Some(differences) = differences {
                differences.print(&mut output)?;
            }
        }
    }
    output.finish()
}
