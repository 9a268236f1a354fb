//! Reads the scenario of a drill.

use std::path::Path;

use anyhow::{Context, anyhow, bail};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use watchkeep_incident::drill::{Event, Scenario};
use watchkeep_model::breach::Transition;
use watchkeep_model::document::nearest;
use watchkeep_model::response::Response;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_wire::yaml::{self, Content, Tree};

use crate::input::read_text;

/// What an event may be.
const HAPPENINGS: [&str; 7] =
    ["opened", "sustained", "cleared", "retracted", "good", "bad", "command"];

/// How long the clock runs on where the file does not say.
const FOR_DEFAULT: TimeSpan = TimeSpan::DAY;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    #[expect(dead_code, reason = "read so that no other document passes for a drill")]
    kind: Kind,
    name: String,
    at: Option<Timestamp>,
    events: Vec<Map<String, Value>>,
    r#for: Option<TimeSpan>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Drill,
}

/// Reads a file. It begins at `at`, else where the file says, else now.
///
/// # Errors
/// The file with what is wrong in it.
pub(super) fn read(
    path: &Path,
    at: Option<Timestamp>,
    now: impl Fn() -> Timestamp,
) -> anyhow::Result<Scenario> {
    let text = read_text(path)?;
    let shown = path.display().to_string();
    scenario(&shown, &text, at, now).context(shown)
}

fn scenario(
    name: &str,
    text: &str,
    at: Option<Timestamp>,
    now: impl Fn() -> Timestamp,
) -> anyhow::Result<Scenario> {
    let (trees, faults) = yaml::trees(name, text);
    if let Some(fault) = faults.first() {
        bail!("line {}: {}", fault.line, fault.message);
    }
    let [tree] = &trees[..] else { bail!("one document of kind `drill` is needed") };
    let head: Head = serde_json::from_value(value(tree))
        .map_err(|why| anyhow!("{why}; `watchkeep drill run --help` shows a scenario"))?;
    let at = at.or(head.at).unwrap_or_else(|| now().floor(TimeSpan::SECOND));
    let mut events: Vec<(Timestamp, Event)> = Vec::new();
    for (number, fields) in head.events.into_iter().enumerate() {
        let (when, event) =
            event(fields, at).map_err(|why| anyhow!("event {}: {why}", number + 1))?;
        if events.last().is_some_and(|(last, _)| *last > when) {
            bail!("event {}: it comes before the one above", number + 1);
        }
        events.push((when, event));
    }
    let last = events.last().map(|(last, _)| *last);
    let last = last.ok_or_else(|| anyhow!("`events` is empty: let something breach"))?;
    let ends = at + head.r#for.unwrap_or(FOR_DEFAULT);
    Ok(Scenario { name: head.name, at, events, ends: ends.max(last) })
}

fn event(mut fields: Map<String, Value>, began: Timestamp) -> Result<(Timestamp, Event), String> {
    let at = match (fields.remove("after"), fields.remove("at")) {
        (Some(after), None) => began + parsed::<TimeSpan>("after", after)?,
        (None, Some(at)) => parsed("at", at)?,
        _ => return Err("give either `after`, a span, or `at`, an instant".into()),
    };
    if fields.contains_key("command") {
        return Ok((at, Event::Answer(Box::new(answer(fields, at)?))));
    }
    let transitions =
        [Transition::Opened, Transition::Sustained, Transition::Cleared, Transition::Retracted];
    for transition in transitions {
        let Some(names) = fields.remove(transition.name()) else { continue };
        let (feature, expectation) = names_of(&names)?;
        let severity = fields.remove("severity").map(|one| parsed("severity", one)).transpose()?;
        let kind = fields.remove("kind").map(|one| parsed("kind", one)).transpose()?;
        no_more(&fields)?;
        return Ok((at, Event::Breach { transition, feature, expectation, severity, kind }));
    }
    for (name, good) in [("good", true), ("bad", false)] {
        let Some(names) = fields.remove(name) else { continue };
        let (feature, expectation) = names_of(&names)?;
        no_more(&fields)?;
        return Ok((at, Event::Window { feature, expectation, good }));
    }
    let misspelled = fields.keys().find_map(|name| {
        let known = HAPPENINGS.into_iter().filter(|known| !fields.contains_key(*known));
        nearest(name, known).map(|meant| format!("`{name}` is not known: did you mean `{meant}`?"))
    });
    let nothing = || format!("nothing happens: write one of {}", HAPPENINGS.join(", "));
    Err(misspelled.unwrap_or_else(nothing))
}

fn parsed<T: serde::de::DeserializeOwned>(name: &str, value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|why| format!("`{name}`: {why}"))
}

fn no_more(fields: &Map<String, Value>) -> Result<(), String> {
    match fields.keys().next() {
        None => Ok(()),
        Some(name) => Err(format!("`{name}` means nothing here")),
    }
}

fn names_of(names: &Value) -> Result<(String, String), String> {
    let names = names.as_str().and_then(|names| names.rsplit_once('/'));
    let (feature, expectation) = names.ok_or("name FEATURE/EXPECTATION")?;
    Ok((feature.to_owned(), expectation.to_owned()))
}

/// The fields are those of `responses.ndjson`; a bare `by` is a user.
fn answer(mut fields: Map<String, Value>, at: Timestamp) -> Result<Response, String> {
    fields.insert("at".into(), json!(at));
    if let Some(by) = fields.get("by").and_then(Value::as_str).filter(|by| !by.contains(':')) {
        let by = format!("user:{by}");
        fields.insert("by".into(), json!(by));
    }
    let answer: Response = parsed("command", Value::Object(fields))?;
    no_more(&answer.rest.clone().into_iter().collect())?;
    Ok(answer)
}

/// What a tree says in JSON.
fn value(tree: &Tree) -> Value {
    match &tree.content {
        Content::Null => Value::Null,
        Content::Scalar { text, plain: true } => match text.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            text => {
                let number = serde_json::from_str(text).ok().filter(Value::is_number);
                number.unwrap_or_else(|| text.into())
            }
        },
        Content::Scalar { text, .. } => text.as_str().into(),
        Content::List(items) => items.iter().map(value).collect(),
        Content::Map(entries) => {
            let entries = entries.iter().map(|(key, tree)| (key.clone(), value(tree)));
            Value::Object(entries.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let now = || Timestamp::from_micros(0);
        format!("{:#}", scenario("x", text, None, now).expect_err("wrong"))
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let head = "kind: drill\nname: n\nevents:\n";
        for (events, told) in [
            ("  - {after: 0s}", "event 1: nothing happens"),
            (
                "  - {after: 0s, opend: a/b}",
                "event 1: `opend` is not known: did you mean `opened`?",
            ),
            ("  - {opened: a/b}", "event 1: give either `after`"),
            ("  - {after: 0s, opened: a}", "event 1: name FEATURE/EXPECTATION"),
            ("  - {after: 0s, opened: a/b, severty: error}", "event 1: `severty` means nothing"),
            (
                "  - {after: 1m, opened: a/b}\n  - {after: 0s, good: a/b}",
                "event 2: it comes before",
            ),
            ("  - {after: 1m, by: ada, command: acknowledge, why: x}", "`why` means nothing"),
        ] {
            let error = error(&format!("{head}{events}\n"));
            assert!(error.contains(told), "{error}");
        }
        assert!(error("kind: charter\nname: n\nevents: []\n").contains("drill run --help"));
    }

    #[test]
    fn events_come_after_the_beginning() {
        let text = "kind: drill\nname: n\nat: 2026-01-01\nevents:\n  - {after: 5m, opened: a/b, severity: critical}\n  - {after: 10m, by: ada, command: acknowledge, subject: a}\nfor: 2h\n";
        let read = scenario("x", text, None, || Timestamp::from_micros(0)).expect("right");
        assert_eq!(read.ends.to_string(), "2026-01-01T02:00:00Z");
        assert_eq!(read.events[0].0.to_string(), "2026-01-01T00:05:00Z");
        let (_, Event::Answer(answer)) = &read.events[1] else { panic!("{read:?}") };
        assert_eq!((answer.by.as_str(), answer.at), ("user:ada", read.events[1].0));
    }
}
