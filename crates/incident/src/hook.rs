//! Who is on the hook at an instant, and who will be next.

use watchkeep_model::charter::Charter;
use watchkeep_model::time::{TimeSpan, Timestamp};

use crate::context::Context;
use crate::owner::{self, Resolution};
use crate::registry::Registry;
use crate::schedule::{Presence, answering, changes};

/// How far ahead the next person is looked for.
pub const LOOK_AHEAD: TimeSpan = TimeSpan::DAY.times(31);

/// Who answers, and what comes after.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hook {
    /// The person, `user:…`; `None` where nobody does.
    pub now: Option<String>,
    /// Why nobody does.
    pub why: Option<String>,
    /// When that changes; `None` where it does not within [`LOOK_AHEAD`].
    pub until: Option<Timestamp>,
    /// Who answers then; `None` where nobody does.
    pub next: Option<String>,
}

/// Who stands behind a typed name.
pub fn of_name(context: &dyn Context, name: &str, at: Timestamp) -> Hook {
    let directory = context.directory_at(at);
    let ask = |at| match answering(directory, name, at) {
        Presence::Present(user) => (Some(user), None),
        Presence::Nobody(why) => (None, Some(why)),
    };
    look_ahead(context, at, [], ask)
}

/// Who answers for a charter, by its owner chain, as long as the load stays as
/// `open_incidents` tells; with the chain as it is at `at`. Documents that come
/// into force later are seen coming, too.
pub fn of_charter(
    charter: &Charter,
    registry: &Registry,
    at: Timestamp,
    open_incidents: &dyn Fn(&str) -> u32,
) -> (Hook, Resolution) {
    let subject = &charter.subject;
    let resolve = |then: Timestamp| {
        // One that another subject's charter stands in for has none of its own.
        let later = (then > at).then(|| registry.charter(subject, then)).flatten();
        owner::resolve(Some(later.as_deref().unwrap_or(charter)), registry, then, open_incidents)
    };
    let until = at + LOOK_AHEAD;
    let view = charter.fields.view.as_deref();
    let documents = [Some(subject.as_str()), view].into_iter().flatten();
    let changes = documents.flat_map(|subject| registry.changes(subject, until));
    let hook = look_ahead(registry, at, changes, |at| (resolve(at).owner, None));
    (hook, resolve(at))
}

/// Besides those of the directory, `moments` are instants at which the answer
/// may change.
fn look_ahead(
    context: &dyn Context,
    at: Timestamp,
    moments: impl IntoIterator<Item = Timestamp>,
    ask: impl Fn(Timestamp) -> (Option<String>, Option<String>),
) -> Hook {
    let (now, why) = ask(at);
    let mut all = changes(context.directory_at(at), at, at + LOOK_AHEAD);
    all.extend(moments.into_iter().filter(|moment| *moment > at));
    let moments = all;
    let changed = moments.into_iter().find_map(|moment| {
        let (next, _) = ask(moment);
        (next != now).then_some((moment, next))
    });
    let (until, next) = changed.map_or((None, None), |(until, next)| (Some(until), next));
    Hook { now, why, until, next }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use watchkeep_model::directory::Directory;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn registry(directory: serde_json::Value) -> Registry {
        use watchkeep_model::document::{Documents, Located};
        let value: Directory = serde_json::from_value(directory).unwrap();
        let directories = vec![Located { value, ..Located::default() }];
        Registry::of_checked(Documents { directories, ..Documents::default() })
    }

    fn hook(directory: serde_json::Value, name: &str, moment: &str) -> String {
        let hook = of_name(&registry(directory), name, at(moment));
        let or_nobody = |user: Option<String>| user.unwrap_or_else(|| "nobody".into());
        let until = hook.until.map_or_else(|| "for good".into(), |until| until.to_string());
        format!("{} until {until} then {}", or_nobody(hook.now), or_nobody(hook.next))
    }

    #[test]
    fn hand_overs_keep_their_hour_when_the_clocks_change() {
        let rota = json!({
            "users": {"ada": {}, "grace": {}},
            "schedules": {"r": {"zone": "America/New_York", "layers": [
                {"users": ["user:ada", "user:grace"], "every": "1w", "from": "2026-03-02T14:00:00Z"}]}}
        });
        // Nine o'clock is 14:00 before 2026-03-08 and 13:00 from then on.
        assert_eq!(
            hook(rota.clone(), "schedule:r", "2026-03-03"),
            "user:ada until 2026-03-09T13:00:00Z then user:grace"
        );
        assert_eq!(
            hook(rota, "schedule:r", "2026-03-10"),
            "user:grace until 2026-03-16T13:00:00Z then user:ada"
        );
    }

    #[test]
    fn absences_and_overrides_are_seen_coming() {
        let people = json!({
            "users": {"ada": {"absences": [{"from": "2026-01-05T00:00:00Z", "to": "2026-01-07T00:00:00Z"}]}, "grace": {}},
            "groups": {"g": {"lead": "user:ada", "members": ["user:ada", "user:grace"]}},
            "schedules": {"r": {"layers": [{"users": ["user:ada"], "every": "1d", "from": "2026-01-01T00:00:00Z"}],
                "overrides": [{"user": "user:grace", "from": "2026-01-02T00:00:00Z", "to": "2026-01-03T00:00:00Z"}]}}
        });
        assert_eq!(
            hook(people.clone(), "group:g", "2026-01-01"),
            "user:ada until 2026-01-05T00:00:00Z then user:grace"
        );
        assert_eq!(
            hook(people.clone(), "group:g", "2026-01-06"),
            "user:grace until 2026-01-07T00:00:00Z then user:ada"
        );
        assert_eq!(
            hook(people.clone(), "schedule:r", "2026-01-01"),
            "user:ada until 2026-01-02T00:00:00Z then user:grace"
        );
        assert_eq!(
            hook(people.clone(), "schedule:r", "2026-01-04"),
            "user:ada until 2026-01-05T00:00:00Z then nobody"
        );
        assert_eq!(
            hook(people, "user:grace", "2026-01-01"),
            "user:grace until for good then nobody"
        );
    }

    #[test]
    fn a_charter_that_comes_into_force_is_seen_coming() {
        use watchkeep_model::charter::CharterDocument;
        use watchkeep_model::document::{Documents, Located};
        let document = |primary: &str, from: &str| {
            let mut value = CharterDocument { subject: "feature:a".into(), ..Default::default() };
            value.fields.owners.primary = Some(primary.into());
            value.fields.effective_from = Some(at(from));
            Located { value, ..Located::default() }
        };
        let directory = serde_json::from_value(json!({"users": {"ada": {}, "grace": {}}}));
        let registry = Registry::of_checked(Documents {
            charters: vec![
                document("user:ada", "2026-01-01T00:00:00Z"),
                document("user:grace", "2026-01-20T00:00:00Z"),
            ],
            directories: vec![Located { value: directory.unwrap(), ..Located::default() }],
            ..Documents::default()
        });
        let told = |moment: &str| {
            let charter = registry.charter("feature:a", at(moment)).unwrap();
            let (hook, resolution) = of_charter(&charter, &registry, at(moment), &|_| 0);
            assert_eq!(hook.now, resolution.owner);
            (hook.now.unwrap(), hook.until.map(|until| until.to_string()), hook.next)
        };
        let (ada, grace) = ("user:ada".to_owned(), "user:grace".to_owned());
        let until = Some("2026-01-20T00:00:00Z".to_owned());
        assert_eq!(told("2026-01-10T00:00:00Z"), (ada, until, Some(grace.clone())));
        assert_eq!(told("2026-01-21T00:00:00Z"), (grace, None, None));
    }
}
