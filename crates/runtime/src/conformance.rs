//! The behaviour that every [`crate::log::Log`] must show.
