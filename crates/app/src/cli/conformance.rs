//! What `watchkeep policy conformance` takes.

use std::path::PathBuf;

use clap::Args;
use watchkeep_model::time::Timestamp;

use super::{Configured, Formatted};

#[derive(Debug, Args)]
pub(crate) struct Conformance {
    /// Folder that a replay wrote; without it the log of the configuration
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Charter folder instead of the configured source
    #[arg(long, value_name = "DIR")]
    pub(crate) charters: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// Only incidents under this policy
    #[arg(long, value_name = "NAME")]
    pub(crate) policy: Option<String>,
    /// Only incidents that opened from here on
    #[arg(long, value_name = "INSTANT")]
    pub(crate) from: Option<Timestamp>,
    /// Only incidents that opened before; reviews are due as of here, without it as of the last fact
    #[arg(long, value_name = "INSTANT")]
    pub(crate) to: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}
