//! Typed names of what is watched and of who answers for it.
//!
//! `feature:checkout.amount`, `dataset:bts.on_time`, `user:ada`. In telemetry
//! and in the `feature` fields of facts a feature is written without its
//! type; every other subject keeps it. Fields called `root`, `subject` or
//! `source` hold typed names.

/// The types that a subject of telemetry or a charter may have.
pub const SUBJECT_TYPES: [&str; 7] =
    ["feature", "dataset", "pipeline", "view", "model", "dashboard", "service"];

/// The typed form: `feature:` is put before a name without a type.
pub fn typed(name: &str) -> String {
    if has_type(name) { name.to_owned() } else { format!("feature:{name}") }
}

/// The form used in telemetry and `feature` fields: `feature:` is taken away.
pub fn untyped(name: &str) -> &str {
    name.strip_prefix("feature:").unwrap_or(name)
}

/// True where the name begins with one of [`SUBJECT_TYPES`] and a colon.
pub fn has_type(name: &str) -> bool {
    name.split_once(':').is_some_and(|(kind, _)| SUBJECT_TYPES.contains(&kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_type_is_a_feature() {
        assert_eq!(typed("flight.origin"), "feature:flight.origin");
        assert_eq!(typed("dataset:bts.on_time"), "dataset:bts.on_time");
        assert_eq!(typed("a:b"), "feature:a:b");
        assert_eq!(untyped("feature:flight.origin"), "flight.origin");
        assert_eq!(untyped("dataset:bts.on_time"), "dataset:bts.on_time");
    }
}
