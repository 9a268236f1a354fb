//! Workspace tests.

pub mod binary;
pub mod kafka;
pub mod service;
