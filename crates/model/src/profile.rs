//! Captured baselines: the summary of a column of a training set, as a fact.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::compact;
use crate::identifier::sha256_hex;
use crate::summary::Summary;
use crate::time::Timestamp;

/// Bytes of a profile's content. A column with more, that is with thousands of
/// long categories, is no category to compare by and is not captured.
pub const CONTENT_BYTES_MAX: usize = 2 << 20;

/// What one feature looked like when the profile was captured. Profiles of one
/// id are captured together; an id and feature version have one content for ever.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// The name that charters give: `baseline: {kind: profile, id}`.
    pub id: String,
    /// The feature as telemetry names it.
    pub feature: String,
    /// The version that it is of; empty for every version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub feature_version: String,
    /// When it was captured.
    pub captured_at: Timestamp,
    /// The file that it was captured from.
    pub source: String,
    /// The column of that file.
    pub column: String,
    /// Rows.
    pub count: u64,
    /// Rows without a value.
    pub null_count: u64,
    /// Numbers that are NaN or infinite.
    pub non_finite_count: u64,
    /// Finite numbers.
    pub numbers: u64,
    /// Strings and booleans.
    pub categories: u64,
    /// Smallest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Largest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Mean of the numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// Different categories, while that is known exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distinct: Option<u64>,
    /// SHA-256 of the content.
    pub hash: String,
    /// What windows are compared with: [`compact`] bytes in base64. Empty where
    /// a profile is only told of; a fact has it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub content: String,
}

/// Why a profile cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// The content is not what the hash says, or none at all: capture it anew.
    #[error(
        "profile {id} of {feature}: its content is damaged or of another version: capture it anew under another id"
    )]
    Damaged {
        /// The profile's id.
        id: String,
        /// Its feature.
        feature: String,
    },
    /// The content is larger than a profile may be.
    #[error(
        "{feature}: the values take {bytes} bytes, a profile has at most {CONTENT_BYTES_MAX}: too many long categories, leave the column out"
    )]
    TooLarge {
        /// The feature.
        feature: String,
        /// How large it is.
        bytes: usize,
    },
}

impl Profile {
    /// Fills in what follows from the summary.
    ///
    /// # Errors
    /// [`ProfileError::TooLarge`].
    pub fn with_summary(mut self, summary: &Summary) -> Result<Self, ProfileError> {
        let bytes = compact::encode(summary);
        if bytes.len() > CONTENT_BYTES_MAX {
            return Err(ProfileError::TooLarge { feature: self.feature, bytes: bytes.len() });
        }
        self.count = summary.count;
        self.null_count = summary.null_count;
        self.non_finite_count = summary.non_finite_count;
        self.numbers = summary.numbers.count();
        self.categories = summary.categories.total();
        (self.min, self.max) = (summary.numbers.min(), summary.numbers.max());
        self.mean = summary.numbers.mean();
        self.distinct = (self.categories > 0).then(|| summary.categories.distinct());
        self.hash = sha256_hex(&bytes);
        self.content = STANDARD.encode(&bytes);
        Ok(self)
    }

    /// What was captured.
    ///
    /// # Errors
    /// [`ProfileError::Damaged`].
    pub fn summary(&self) -> Result<Summary, ProfileError> {
        let damaged =
            || ProfileError::Damaged { id: self.id.clone(), feature: self.feature.clone() };
        let bytes = STANDARD.decode(&self.content).map_err(|_| damaged())?;
        if sha256_hex(&bytes) != self.hash {
            return Err(damaged());
        }
        compact::decode(&bytes).ok_or_else(damaged)
    }
}

#[cfg(test)]
mod tests {
    use crate::distribution::Numbers;

    use super::*;

    #[test]
    fn content_is_held_by_its_hash() {
        let mut summary = Summary::default();
        (0..500).for_each(|i| summary.numbers.add(f64::from(i)));
        summary.categories.add("a", 3);
        summary.statuses[0] = 503;
        summary.count = 503;
        let profile = Profile { id: "p".into(), feature: "f".into(), ..Profile::default() };
        let profile = profile.with_summary(&summary).unwrap();
        assert_eq!((profile.numbers, profile.max, profile.distinct), (500, Some(499.0), Some(1)));
        if let Numbers::Many(grid) = &mut summary.numbers {
            grid.distinct = None; // a baseline keeps no sketch of it
        }
        assert_eq!(profile.summary(), Ok(summary));
        let other = Profile { hash: "00".into(), ..profile };
        assert!(other.summary().is_err());
    }
}
