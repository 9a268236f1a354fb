//! What stands in for the world in tests and simulated runs.

pub mod generator;
pub mod incidents;
pub mod log;
pub mod planted;
pub mod simulation;
pub mod snapshots;
