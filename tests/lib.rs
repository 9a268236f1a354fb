//! Workspace tests.

pub mod kafka;
