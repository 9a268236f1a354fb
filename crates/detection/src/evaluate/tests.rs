//! Tests of windows, lateness and revisions.
