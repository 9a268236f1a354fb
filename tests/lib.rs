//! Workspace tests.

pub mod binary;
pub mod kafka;
