//! How shapes of windows and baselines are written: with their kind by name
//! where people read it, by number where programs alone do. A tag by name needs
//! a format that describes itself, which compact ones do not.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{BaselineSpec, Season, WindowSpec};
use crate::time::{TimeSpan, Timestamp};

#[derive(Serialize, Deserialize)]
#[serde(remote = "WindowSpec", tag = "kind", rename_all = "snake_case")]
enum NamedWindow {
    Tumbling { size: TimeSpan },
    Hopping { size: TimeSpan, hop: TimeSpan },
    Session { gap: TimeSpan },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "WindowSpec")]
enum NumberedWindow {
    Tumbling { size: TimeSpan },
    Hopping { size: TimeSpan, hop: TimeSpan },
    Session { gap: TimeSpan },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "BaselineSpec", tag = "kind", rename_all = "snake_case")]
enum NamedBaseline {
    Fixed {
        from: Timestamp,
        to: Timestamp,
    },
    Rolling {
        windows: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_windows: Option<u32>,
    },
    Seasonal {
        by: Season,
        weeks: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zone: Option<Arc<str>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_windows: Option<u32>,
    },
    Profile {
        id: Arc<str>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "BaselineSpec")]
enum NumberedBaseline {
    Fixed { from: Timestamp, to: Timestamp },
    Rolling { windows: u32, min_windows: Option<u32> },
    Seasonal { by: Season, weeks: u32, zone: Option<Arc<str>>, min_windows: Option<u32> },
    Profile { id: Arc<str> },
}

impl Serialize for WindowSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            NamedWindow::serialize(self, serializer)
        } else {
            NumberedWindow::serialize(self, serializer)
        }
    }
}

impl<'de> Deserialize<'de> for WindowSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            NamedWindow::deserialize(deserializer)
        } else {
            NumberedWindow::deserialize(deserializer)
        }
    }
}

impl Serialize for BaselineSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            NamedBaseline::serialize(self, serializer)
        } else {
            NumberedBaseline::serialize(self, serializer)
        }
    }
}

impl<'de> Deserialize<'de> for BaselineSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            NamedBaseline::deserialize(deserializer)
        } else {
            NumberedBaseline::deserialize(deserializer)
        }
    }
}
