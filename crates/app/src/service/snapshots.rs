//! Where snapshots are kept, and what is told of them.

use watchkeep_log_sled::cache::SledSnapshots;
use watchkeep_runtime::snapshot::Note;

use crate::config::Config;

/// The snapshots of an instance; `None` where they are not kept. That is no
/// failure: a restart takes longer then.
pub(super) fn open(config: &Config, instance: &str) -> Option<SledSnapshots> {
    let Some(folder) = &config.cache else {
        tracing::info!("no snapshots: set cache.folder, or every restart folds the summaries anew");
        return None;
    };
    // Instances beside each other have a folder each.
    match SledSnapshots::open(&folder.join(file_name(instance))) {
        Ok(snapshots) => Some(snapshots),
        Err(error) => {
            tracing::warn!(%error, "no snapshots: restarts take longer");
            None
        }
    }
}

/// Log lines.
pub(super) fn tell(notes: &[Note]) {
    for note in notes {
        if note.is_warning() {
            tracing::warn!("{note}");
        } else {
            tracing::info!("{note}");
        }
    }
}

/// The name of an instance as that of a folder, different ones as different ones.
fn file_name(instance: &str) -> String {
    let mut name = String::from("evaluate-");
    for byte in instance.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn an_instance_cannot_leave_the_folder() {
        assert_eq!(file_name("eu-1"), "evaluate-eu-1");
        assert_eq!(file_name("../a b"), "evaluate-%2e%2e%2fa%20b");
    }
}
