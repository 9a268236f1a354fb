//! `watchkeep baselines capture`, `list` and `show`: training sets as baselines.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde::Serialize;
use watchkeep_model::json;
use watchkeep_model::profile::Profile;
use watchkeep_model::subject::untyped;
use watchkeep_model::time::Timestamp;
use watchkeep_runtime::outgoing;

use crate::cli::{self, BaselineSource};
use crate::config::Config;
use crate::output::{Format, Output, Table, complain, grouped};
use crate::store::Store;
use crate::training::{self, TrainingSet, Wanted};
use crate::{Outcome, profiles, service};

/// Quantiles that `show` tells.
const QUANTILES: [f64; 7] = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99];
/// Features that are told by name where an id takes more of them.
const NAMES_TOLD: usize = 5;
/// Categories that `show` lists.
const CATEGORIES_SHOWN: usize = 20;

/// # Errors
/// A file or log that cannot be read or written, or an id that is taken.
pub(super) fn run(command: &cli::Baselines) -> anyhow::Result<Outcome> {
    match command {
        cli::Baselines::Capture(arguments) => capture(arguments),
        cli::Baselines::List(arguments) => list(arguments),
        cli::Baselines::Show(arguments) => show(arguments),
    }
}

fn capture(arguments: &cli::Capture) -> anyhow::Result<Outcome> {
    if arguments.out.is_none() && arguments.configured.file.is_none() {
        bail!("name where it goes: --out FILE, or the configuration of a log with -c FILE");
    }
    let wanted = Wanted {
        columns: arguments.feature.iter().map(|pair| pair.column.as_str()).collect(),
        text: &arguments.text,
        delimiter: arguments.delimiter,
    };
    let set = training::read(&arguments.input, &wanted)?;
    for (column, why) in &set.left_out {
        complain(&format!("column `{column}` is left out: {why}"));
    }
    let captured = profiles_of(&set, arguments)?;
    // Two columns for one feature would be two contents.
    profiles::held(&captured)?;
    if let Some(file) = &arguments.out {
        write_file(file, &captured)?;
    }
    if let Some(file) = &arguments.configured.file {
        write_topic(&Config::load(Some(file))?, &captured)?;
    }
    print(&captured, arguments.formatted.format)?;
    Ok(Outcome::Fine)
}

fn profiles_of(set: &TrainingSet, arguments: &cli::Capture) -> anyhow::Result<Vec<Profile>> {
    let mut features: BTreeMap<String, &str> = BTreeMap::new();
    if arguments.feature.is_empty() {
        let prefix = arguments.prefix.as_deref().unwrap_or_default();
        for column in set.columns.keys() {
            // Telemetry writes a feature with its type or without.
            let feature = untyped(&format!("{prefix}{column}")).to_owned();
            if let Some(other) = features.insert(feature.clone(), column) {
                bail!("columns `{other}` and `{column}` are both of feature {feature}");
            }
        }
    }
    for pair in &arguments.feature {
        let feature = untyped(&pair.feature).to_owned();
        if features.insert(feature, &pair.column).is_some() {
            bail!("--feature {} is there twice", pair.feature);
        }
    }
    let captured_at = service::clock::now();
    let source = arguments.input.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut captured = Vec::new();
    for (feature, column) in features {
        let Some(summary) = set.columns.get(column) else { continue };
        let profile = Profile {
            id: arguments.id.clone(),
            feature,
            feature_version: arguments.version.clone().unwrap_or_default(),
            captured_at,
            source: source.clone(),
            column: column.to_owned(),
            ..Profile::default()
        };
        captured.push(profile.with_summary(summary)?);
    }
    Ok(captured)
}

/// Whole or not at all, and over no file that is there: what was captured may
/// have been judged by.
fn write_file(place: &Path, captured: &[Profile]) -> anyhow::Result<()> {
    let context = || place.display().to_string();
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file =
        tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).with_context(context)?;
    for profile in captured {
        writeln!(file, "{}", json::to_line(profile)).with_context(context)?;
    }
    file.as_file().sync_all().with_context(context)?;
    match file.persist_noclobber(place) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("{}: is there already: choose another file", place.display())
        }
        Err(error) => Err(error.error).with_context(context),
    }
}

fn write_topic(config: &Config, captured: &[Profile]) -> anyhow::Result<()> {
    let store = Store::open(config).context(
        "the log cannot be opened; where a service holds the embedded one, stop it first",
    )?;
    let before = profiles::of_topic(&store, config)?;
    let mut held = profiles::held(&before)?;
    let topic: Arc<str> = config.topics.named("baselines").into();
    let mut appender = store.appender()?;
    let encoding = config.topics.encoding.of_facts();
    for profile in captured {
        held.add(profile)?;
    }
    let known = |profile: &Profile| {
        before.iter().any(|other| {
            (&other.id, &other.feature, &other.feature_version)
                == (&profile.id, &profile.feature, &profile.feature_version)
        })
    };
    tell_of_additions(&before, captured.iter().filter(|profile| !known(profile)));
    for profile in captured.iter().filter(|profile| !known(profile)) {
        appender.append(outgoing::profile(&topic, profile, encoding), None)?;
    }
    appender.flush()?;
    Ok(())
}

/// An id that was there takes further features: what names it is judged for
/// them from now on, which is rarely meant where a new training set has an old id.
fn tell_of_additions<'a>(before: &[Profile], added: impl Iterator<Item = &'a Profile>) {
    let mut added_to: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for profile in added.filter(|added| before.iter().any(|other| other.id == added.id)) {
        added_to.entry(&profile.id).or_default().push(&profile.feature);
    }
    for (id, added) in added_to {
        let held: BTreeSet<&str> =
            before.iter().filter(|p| p.id == id).map(|p| p.feature.as_str()).collect();
        let held_since = before.iter().filter(|p| p.id == id).map(|p| p.captured_at).max();
        complain(&format!(
            "the id {id} was captured before, last at {} ({}); now it has further features: {}. \
             Windows of these that ended before were judged without it",
            held_since.unwrap_or_default(),
            listed(held),
            listed(added),
        ));
    }
}

/// Names, of many the first few.
fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match names.len() > NAMES_TOLD {
        true => format!("{} and {} more", names[..NAMES_TOLD].join(", "), names.len() - NAMES_TOLD),
        false => names.join(", "),
    }
}

/// A line of a list.
#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    feature: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    feature_version: &'a str,
    captured_at: Timestamp,
    source: &'a str,
    column: &'a str,
    count: u64,
    null_count: u64,
    numbers: u64,
    categories: u64,
    hash: &'a str,
}

fn list(arguments: &cli::BaselinesList) -> anyhow::Result<Outcome> {
    let mut all = of(&arguments.source)?;
    all.sort_by(|a, b| key(a).cmp(&key(b)));
    all.dedup_by(|a, b| key(a) == key(b));
    print(&all, arguments.formatted.format)?;
    Ok(Outcome::Fine)
}

fn key(profile: &Profile) -> (&str, &str, &str, &str) {
    (&profile.id, &profile.feature, &profile.feature_version, &profile.hash)
}

fn print(profiles: &[Profile], format: Format) -> anyhow::Result<()> {
    let mut output = Output::new();
    let lines: Vec<Listed<'_>> = profiles
        .iter()
        .map(|profile| Listed {
            id: &profile.id,
            feature: &profile.feature,
            feature_version: &profile.feature_version,
            captured_at: profile.captured_at,
            source: &profile.source,
            column: &profile.column,
            count: profile.count,
            null_count: profile.null_count,
            numbers: profile.numbers,
            categories: profile.categories,
            hash: &profile.hash,
        })
        .collect();
    match format {
        Format::Json => output.json(&lines)?,
        Format::Table => {
            let mut table = Table::new([
                "id",
                "feature",
                "version",
                "rows",
                "nulls",
                "numbers",
                "categories",
                "sha256",
            ]);
            for line in lines {
                table.row([
                    line.id.to_owned(),
                    line.feature.to_owned(),
                    line.feature_version.to_owned(),
                    grouped(line.count),
                    grouped(line.null_count),
                    grouped(line.numbers),
                    grouped(line.categories),
                    line.hash.chars().take(16).collect(),
                ]);
            }
            table.print(&mut output)?;
        }
    }
    output.finish()
}

/// What `show` tells of a profile.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    profile: Profile,
    quantiles: BTreeMap<String, f64>,
    top: Vec<(String, u64)>,
}

fn show(arguments: &cli::BaselinesShow) -> anyhow::Result<Outcome> {
    let mut shown = Vec::new();
    for mut profile in of(&arguments.source)? {
        let wanted = arguments.feature.as_ref();
        if profile.id != arguments.id
            || wanted.is_some_and(|name| *untyped(name) != *profile.feature)
        {
            continue;
        }
        let summary = profile.summary()?;
        // It is long and says nothing to people.
        profile.content.clear();
        let quantile = |level: f64| {
            let value = summary.numbers.quantile(level)?;
            Some((format!("p{:02}", level * 100.0), value))
        };
        let quantiles = QUANTILES.into_iter().filter_map(quantile).collect();
        let (top, _) = summary.categories.top(CATEGORIES_SHOWN);
        shown.push(Shown { profile, quantiles, top });
    }
    if shown.is_empty() {
        bail!(
            "nothing is captured under the id {}: `watchkeep baselines list` has what there is",
            arguments.id
        );
    }
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(&shown)?,
        Format::Table => {
            for shown in &shown {
                table_of(shown).print(&mut output)?;
                output.line("")?;
            }
        }
    }
    output.finish()?;
    Ok(Outcome::Fine)
}

fn table_of(shown: &Shown) -> Table {
    let Shown { profile, quantiles, top } = shown;
    let mut table = Table::new(["feature", &profile.feature]);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    if !profile.feature_version.is_empty() {
        row("version", profile.feature_version.clone());
    }
    row(
        "captured",
        format!("{} from {} `{}`", profile.captured_at, profile.source, profile.column),
    );
    row("rows", grouped(profile.count));
    row("without a value", grouped(profile.null_count));
    if profile.non_finite_count > 0 {
        row("not finite", grouped(profile.non_finite_count));
    }
    if let (Some(min), Some(max), Some(mean)) = (profile.min, profile.max, profile.mean) {
        row("numbers", grouped(profile.numbers));
        row("min, mean, max", format!("{min}, {mean}, {max}"));
        for (name, value) in quantiles {
            row(name, value.to_string());
        }
    }
    if profile.categories > 0 {
        row("categories", grouped(profile.categories));
        for (category, count) in top {
            row(&format!("  {category}"), grouped(*count));
        }
    }
    row("sha256", profile.hash.clone());
    table
}

fn of(source: &BaselineSource) -> anyhow::Result<Vec<Profile>> {
    if let Some(path) = &source.from {
        return profiles::of_files(path);
    }
    let config = Config::load_required(source.configured.file.as_deref())?;
    profiles::of_topic(&Store::open_existing(&config)?, &config)
}
