//! A stage with 100,000 open incidents, for what measures decisions beside them.

use watchkeep_incident::escalate::{Escalate, Outputs, Settings};
use watchkeep_incident::lineage::Builder;
use watchkeep_model::response::{Command, RemedyAction, Response};
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

/// What people say of open incidents: each is acknowledged, commented,
/// remediated and, which is refused by then, acknowledged again. From one
/// command to the next it is another incident, anywhere among them.
pub fn commands(stage: &Escalate) -> [Vec<Response>; 4] {
    /// Shares no divisor with the number of incidents.
    const STRIDE: usize = 38_183;
    let ids: Vec<&str> = stage.open_incidents().map(|incident| incident.id).collect();
    let scattered = || (0..ids.len()).map(|n| ids[n * STRIDE % ids.len()].to_owned());
    let all = |second: i64, command, action| {
        let say = |incident| Response {
            incident: Some(incident),
            rationale: Some("the values of the source are read again".into()),
            action,
            ..Response::new(moment() + TimeSpan::SECOND.times(second), "user:ada", command)
        };
        scattered().map(say).collect()
    };
    [
        all(0, Command::Acknowledge, None),
        all(1, Command::Comment, None),
        all(2, Command::Remediate, Some(RemedyAction::Fix)),
        all(3, Command::Acknowledge, None),
    ]
}
