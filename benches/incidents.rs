//! A stage with 100,000 open incidents, for what measures decisions beside them.

use watchkeep_incident::escalate::{Escalate, Outputs, Settings};
use watchkeep_incident::lineage::Builder;
use watchkeep_model::time::{TimeSpan, Timestamp};

use crate::world::{AT, World, breach};

/// Incidents that are open.
pub const OPEN: usize = 100_000;

/// A minute after they have opened.
pub fn moment() -> Timestamp {
    AT + TimeSpan::MINUTE.times(2)
}

/// One person, who answers for everything; no lineage, the built-in policy.
///
/// # Panics
/// Never: the directory is a constant.
pub fn world() -> World {
    let directory = r#"{"users": {"ada": {"contacts": [{"tool": "email", "to": "ada@example.com"}]}},
        "groups": {"all": {"lead": "user:ada", "members": ["user:ada"]}},
        "governance": "group:all"}"#;
    World {
        lineage: Builder::default().build(),
        directory: serde_json::from_str(directory).expect("a directory"),
    }
}

/// A stage with so many open incidents, each paged for, none answered.
///
/// # Panics
/// Where a breach is not an incident.
pub fn stage(world: &World) -> Escalate {
    let mut stage = Escalate::new(Settings::default());
    let mut out = Outputs::default();
    for feature in 0..OPEN {
        stage.breach(&breach(feature), world, AT, &mut out);
    }
    stage.advance(world, AT + TimeSpan::MINUTE, &mut out);
    assert_eq!(stage.open_incidents().count(), OPEN, "each breach is an incident");
    stage
}
