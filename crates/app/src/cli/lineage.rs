//! Commands about what is made from what.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use watchkeep_model::time::Timestamp;

use super::Configured;

#[derive(Debug, Subcommand)]
pub(crate) enum Lineage {
    /// Show what a node is made from, or what is made from it
    #[command(
        after_help = "Examples:\n  watchkeep lineage show flight.origin --up --charters charters\n  watchkeep lineage show dataset:bts.on_time --down --depth 2 --at 2013-05-10 --charters charters --format json\n  watchkeep lineage show dataset:bts.on_time --down --charters charters --lineage runs.ndjson --format dot | dot -Tsvg\n\nShows the lineage as it was at that instant. An edge that no run has shown for longer than the policy's edge_max_age is stale and leads no further. Without --charters and --lineage it reads the configured charters and the lineage topic, through the service where it holds the log. Exit code 1 when no edge is known that way, 2 when nobody knows the node."
    )]
    Show(LineageShow),
}

#[derive(Debug, Args)]
pub(crate) struct LineageShow {
    /// Feature, or a typed name such as dataset:orders
    #[arg(value_name = "NODE")]
    pub(crate) node: String,
    /// Towards where its data come from; the default
    #[arg(long, conflicts_with = "down")]
    pub(crate) up: bool,
    /// Towards what is made from it
    #[arg(long)]
    pub(crate) down: bool,
    /// At most so many edges away
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) depth: u32,
    /// At which instant; without it now
    #[arg(long, value_name = "INSTANT")]
    pub(crate) at: Option<Timestamp>,
    /// Charter folder; without it those of the configuration
    #[arg(long, value_name = "DIR")]
    pub(crate) charters: Option<PathBuf>,
    /// OpenLineage run events: an NDJSON file (.gz and .zst too) or a folder of them
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) lineage: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// How to print
    #[arg(long, value_enum, default_value_t = LineageFormat::Table)]
    pub(crate) format: LineageFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LineageFormat {
    /// For people
    Table,
    /// For programs
    Json,
    /// For Graphviz
    Dot,
}
