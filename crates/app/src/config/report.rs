//! What `config check` shows: every setting, what it is, and who set it.

use serde::Serialize;

use super::keys::{self, KEYS, SINKS};
use super::layers::{Layers, Origin, Setting, variable_of};
use super::sinks::{self, SINK_KEYS};

/// What stands in place of a secret.
const MASKED: &str = "********";

/// One setting as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Shown {
    /// `section.key`.
    pub(crate) key: String,
    /// As it would be written; absent where it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    /// `default`, the file and line, or the variable.
    pub(crate) origin: String,
    /// The variable that overrides it.
    pub(crate) variable: String,
    /// What it is for.
    pub(crate) meaning: String,
}

/// Every setting, properties of `[log.kafka]` after those of `[log]`.
pub(crate) fn shown(layers: &Layers) -> Vec<Shown> {
    let mut all = Vec::new();
    for key in KEYS {
        all.push(show(key.path, layers.get(key.path), key.meaning, false));
        if key.path == "log.folder" {
            for path in layers.kafka_paths() {
                let secret = keys::is_secret(path);
                all.push(show(path, layers.get(path), "passed to librdkafka", secret));
            }
        }
    }
    for sink in sinks::names(layers) {
        for key in SINK_KEYS {
            let path = format!("{SINKS}.{sink}.{}", key.path);
            let Some(setting) = layers.get(&path) else { continue };
            let value = sinks::shown_value(key.path, setting);
            let shown = Setting { parts: vec![value], origin: setting.origin.clone() };
            all.push(show(&path, Some(&shown), key.meaning, false));
        }
    }
    all
}

fn show(path: &str, setting: Option<&Setting>, meaning: &str, secret: bool) -> Shown {
    let value =
        setting.map(|setting| if secret { MASKED.to_owned() } else { setting.parts.join(",") });
    Shown {
        key: path.to_owned(),
        value,
        origin: setting.map_or(Origin::Default, |setting| setting.origin.clone()).to_string(),
        variable: variable_of(path),
        meaning: meaning.to_owned(),
    }
}
