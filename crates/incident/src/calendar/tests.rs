//! Working hours.
