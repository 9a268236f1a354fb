//! Captured baselines, from files and from the log.

use std::path::Path;

use anyhow::{Context, bail};
use watchkeep_detection::baseline::Profiles;
use watchkeep_model::position::Partition;
use watchkeep_model::profile::Profile;
use watchkeep_wire::fact::decode;

use crate::config::Config;
use crate::input::{self, Lines};
use crate::store::Store;

/// Offsets that are read at once; each may be a few MiB.
const CHUNK: i64 = 64;

/// The profiles of a file that `baselines capture` wrote, or of every
/// `.ndjson` file below a folder, in their order.
///
/// # Errors
/// What cannot be read, with file and line.
pub(crate) fn of_files(path: &Path) -> anyhow::Result<Vec<Profile>> {
    let files = if path.is_dir() {
        let files = input::files_below(path, &[".ndjson", ".ndjson.gz", ".ndjson.zst"])?;
        if files.is_empty() {
            bail!("{}: there is no .ndjson file in this folder", path.display());
        }
        files
    } else {
        vec![path.to_owned()]
    };
    let mut profiles = Vec::new();
    for file in files {
        let mut lines = Lines::open(&file)?;
        let mut line = Vec::new();
        while let Some(number) = lines.read(&mut line)? {
            let place = || format!("{}:{}", file.display(), number + 1);
            let profile: Profile = decode(&line).with_context(place)?;
            if profile.id.is_empty() || profile.feature.is_empty() {
                bail!("{}: no captured baseline: `id` and `feature` are needed", place());
            }
            profile.summary().with_context(place)?;
            profiles.push(profile);
        }
    }
    Ok(profiles)
}

/// The profiles of the log's topic; none where there is no such topic.
///
/// # Errors
/// Those of the log; a record that is none, with its place.
pub(crate) fn of_topic(store: &Store, config: &Config) -> anyhow::Result<Vec<Profile>> {
    let topic = config.topics.named("baselines");
    let mut reader = store.reader()?;
    let mut profiles = Vec::new();
    for number in 0..reader.partition_count(&topic)? {
        let partition = Partition::new(topic.as_str(), number);
        let (mut from, end) = reader.bounds(&partition)?;
        while from < end {
            let to = (from + CHUNK).min(end);
            for record in reader.read(&partition, from, to)? {
                let place = || format!("{topic}/{number} at offset {}", record.offset);
                profiles.push(decode(&record.value).with_context(place)?);
            }
            from = to;
        }
    }
    Ok(profiles)
}

/// Profiles to judge by.
///
/// # Errors
/// Two contents under one id, or one that is damaged.
pub(crate) fn held(profiles: &[Profile]) -> anyhow::Result<Profiles> {
    let mut held = Profiles::default();
    for profile in profiles {
        held.add(profile)?;
    }
    Ok(held)
}
