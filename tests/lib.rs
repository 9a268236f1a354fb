//! Workspace tests.

pub mod bad_input;
pub mod binary;
pub mod chaos;
pub mod charter_fuzz;
pub mod examples;
pub mod kafka;
pub mod nab;
pub mod runs;
pub mod service;
pub mod tampering;
