//! Plays a scenario through the escalate stage and tells what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use watchkeep_incident::escalate::{Escalate, Settings};
use watchkeep_incident::rehearsal::{Moment, Rehearsal};
use watchkeep_incident::silence::silences_id;
use watchkeep_incident::words;
use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::{ExpectationKind, Severity, WindowSpec};
use watchkeep_model::escalation::Audience;
use watchkeep_model::incident::{Fact, FactData, check_link};
use watchkeep_model::response::Response;
use watchkeep_model::subject::typed;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::Window;

use super::reader::{Event, Scenario, instant};

/// Whether the stage is stopped and folded from its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Restarts {
    /// Only where the scenario says so.
    None,
    /// Before each event.
    BeforeEachEvent,
}

/// What came of a scenario.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) story: String,
    pub(super) moments: Vec<Moment>,
}

/// The inputs so far, from which a stage is folded as the service does it.
#[derive(Default)]
struct Log {
    breaches: Vec<Breach>,
    windows: Vec<Window>,
}

struct Player<'a> {
    scenario: &'a Scenario,
    rehearsal: Rehearsal<'a>,
    log: Log,
    /// The breach that is open, by feature and expectation.
    open: BTreeMap<(String, String), Breach>,
}

/// Plays a scenario to its end.
pub(super) fn play(scenario: &Scenario, restarts: Restarts) -> Played {
    let mut rehearsal = Rehearsal::new(&scenario.registry);
    let (log, open) = (Log::default(), BTreeMap::new());
    rehearsal.tell_upkeep(scenario.begins());
    let mut player = Player { scenario, rehearsal, log, open };
    for (number, event) in scenario.events.iter().enumerate() {
        if restarts == Restarts::BeforeEachEvent && !event.fields.contains_key("wakes") {
            player.rehearsal.run_before(event.at);
            player.restart();
        }
        let done = player.event(event);
        done.unwrap_or_else(|why| panic!("{}: event {}: {why}", scenario.shows, number + 1));
    }
    player.rehearsal.run_to(scenario.ends);
    let moments = player.rehearsal.moments().to_vec();
    Played { story: player.tell(), moments }
}

impl Player<'_> {
    fn event(&mut self, event: &Event) -> Result<(), String> {
        let (at, fields) = (event.at, &event.fields);
        if fields.contains_key("command") {
            return self.response(at, fields);
        }
        let mut known: BTreeSet<&str> = fields.keys().map(String::as_str).collect();
        let mut take = |name: &str| {
            known.remove(name);
            fields.get(name)
        };
        if take("restart").is_some() {
            self.rehearsal.run_before(at);
            self.restart();
        } else if take("sleeps").is_some() {
            self.rehearsal.run_before(at);
            self.rehearsal.sleep();
        } else if take("wakes").is_some() {
            self.rehearsal.wake(at);
        } else {
            let transitions = [
                Transition::Opened,
                Transition::Sustained,
                Transition::Cleared,
                Transition::Retracted,
            ];
            let transition = transitions.into_iter().find(|one| fields.contains_key(one.name()));
            let verdicts = ["good", "bad", "not_judged"];
            let verdict = verdicts.into_iter().find(|one| fields.contains_key(*one));
            let what = transition.map(Transition::name).or(verdict);
            let what = what.ok_or("nothing that is known happens here")?;
            let names = take(what).and_then(Value::as_str).ok_or("name FEATURE/EXPECTATION")?;
            let (severity, kind) = (take("severity"), take("kind"));
            let (reason, version) = (take("reason"), take("version"));
            for (feature, expectation) in self.subjects(names) {
                let mut breach = self.breach(&feature, &expectation, severity, kind, at)?;
                if let Some(reason) = reason.and_then(Value::as_str) {
                    reason.clone_into(&mut breach.reason);
                }
                if let Some(version) = version.and_then(Value::as_str) {
                    version.clone_into(&mut breach.feature_version);
                }
                match transition {
                    Some(transition) => self.transition(breach, transition, at),
                    None => self.judge(&breach, what, at),
                }
            }
        }
        match known.first() {
            None => Ok(()),
            Some(field) => Err(format!("`{field}` means nothing here")),
        }
    }

    /// `drift`, `flight.origin/drift` or `flight.f{1..20}/late`.
    fn subjects(&self, names: &str) -> Vec<(String, String)> {
        let (feature, expectation) =
            names.rsplit_once('/').unwrap_or((self.scenario.subject.as_str(), names));
        let numbered = || {
            let (before, rest) = feature.split_once('{')?;
            let (range, after) = rest.split_once('}')?;
            let (from, to) = range.split_once("..")?;
            let (from, to): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
            Some((from..=to).map(move |n| format!("{before}{n}{after}")).collect::<Vec<_>>())
        };
        let features = numbered().unwrap_or_else(|| vec![feature.to_owned()]);
        features.into_iter().map(|feature| (feature, expectation.to_owned())).collect()
    }

    /// A breach as the charter in force describes it.
    fn breach(
        &self,
        feature: &str,
        expectation: &str,
        severity: Option<&Value>,
        kind: Option<&Value>,
        at: Timestamp,
    ) -> Result<Breach, String> {
        let charter = self.scenario.registry.charter(&typed(feature), at);
        let fields = charter.as_ref().map(|charter| &charter.fields);
        let expectations = fields.and_then(|fields| fields.expectations.as_ref());
        let known = expectations.into_iter().flatten().find(|one| one.name == expectation);
        let read = |value: &Value| serde_json::from_value(value.clone());
        let kind: ExpectationKind = match (kind, known) {
            (Some(kind), _) => read(kind).map_err(|why| format!("kind: {why}"))?,
            (None, Some(known)) => known.rule.kind(),
            (None, None) => return Err(format!("{feature} has no expectation {expectation}")),
        };
        let severity: Severity = match severity {
            Some(severity) => serde_json::from_value(severity.clone())
                .map_err(|why| format!("severity: {why}"))?,
            None => known.map_or_else(Severity::default, |known| known.severity),
        };
        let size = match known.map(|known| &known.window) {
            Some(WindowSpec::Tumbling { size } | WindowSpec::Hopping { size, .. }) => *size,
            _ => TimeSpan::HOUR,
        };
        let consumers = fields.and_then(|fields| fields.consumers.clone());
        Ok(Breach {
            breach_id: format!("{feature}/{expectation} {at}"),
            transition: Transition::Opened,
            feature: feature.into(),
            feature_version: String::new(),
            expectation: expectation.into(),
            kind,
            severity,
            window: size.to_string(),
            window_start: at - size,
            window_end: at,
            revision: 0,
            detected_at: at,
            observed: None,
            threshold: None,
            p_value: None,
            effect: None,
            baseline: None,
            owner: fields.and_then(|fields| fields.owners.primary.clone()),
            policy: fields.and_then(|fields| fields.policy.clone()),
            affected_consumers: consumers.unwrap_or_default(),
            exemplars: Vec::new(),
            reason: format!("{expectation} is bad"),
        })
    }

    /// The breach, then its window, as the evaluate stage hands them over.
    fn transition(&mut self, mut breach: Breach, transition: Transition, at: Timestamp) {
        let key = (breach.feature.clone(), breach.expectation.clone());
        if transition != Transition::Opened
            && let Some(open) = self.open.get(&key)
        {
            breach.breach_id.clone_from(&open.breach_id);
            (breach.severity, breach.feature_version) =
                (open.severity, open.feature_version.clone());
        }
        breach.transition = transition;
        self.rehearsal.breach(&breach, at);
        self.log.breaches.push(breach.clone());
        match transition {
            Transition::Opened => {
                self.open.insert(key, breach.clone());
                self.judge(&breach, "bad", at);
            }
            Transition::Sustained => self.judge(&breach, "bad", at),
            Transition::Cleared => {
                self.open.remove(&key);
                self.judge(&breach, "good", at);
            }
            Transition::Retracted => {
                self.open.remove(&key);
            }
        }
    }

    fn judge(&mut self, of: &Breach, verdict: &str, at: Timestamp) {
        let window = json!({
            "feature": of.feature, "feature_version": of.feature_version, "window": of.window,
            "window_start": of.window_start, "window_end": at, "revision": 0, "partial": false,
            "count": 100, "null_count": 0, "error_count": 0, "status": {}, "non_finite_count": 0,
            "late_count": 0, "judged": [{"expectation": of.expectation, "verdict": verdict}],
        });
        let window: Window = serde_json::from_value(window).expect("a window");
        self.rehearsal.window(&window, at);
        self.log.windows.push(window);
    }

    fn response(&mut self, at: Timestamp, fields: &Map<String, Value>) -> Result<(), String> {
        let mut fields = fields.clone();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        fields.insert("at".into(), json!(at));
        if let Some(by) = fields.get("by").and_then(text).filter(|by| !by.contains(':')) {
            fields.insert("by".into(), json!(format!("user:{by}")));
        }
        self.rehearsal.run_before(at);
        // The first incident of the scenario is 1.
        for name in ["incident", "into"] {
            if let Some(number) = fields.get(name).and_then(Value::as_u64) {
                let id = usize::try_from(number).ok().and_then(|n| self.ids().nth(n - 1));
                let id = id.ok_or_else(|| format!("incident {number} has not opened"))?;
                fields.insert(name.into(), json!(id));
            }
        }
        if let Some(number) = fields.remove("page").as_ref().and_then(Value::as_u64) {
            let (incident, delivery) = self.delivery(number, fields.remove("outcome"))?;
            fields.extend([("incident".into(), incident), ("delivery".into(), delivery)]);
        }
        if !fields.contains_key("incident")
            && !fields.contains_key("subject")
            && !fields.contains_key("matchers")
            && !fields.contains_key("drill")
        {
            fields.insert("subject".into(), json!(self.scenario.subject));
        }
        if let Some(number) = fields.get("silence").and_then(Value::as_u64) {
            let id = usize::try_from(number).ok().and_then(|n| self.silences().nth(n - 1));
            let id = id.ok_or_else(|| format!("silence {number} has not begun"))?.to_owned();
            fields.insert("silence".into(), json!(id));
        }
        self.instants(&mut fields);
        let response: Response =
            serde_json::from_value(Value::Object(fields)).map_err(|why| why.to_string())?;
        self.rehearsal.response(&response, at);
        Ok(())
    }

    /// Writes instants in full, also those of a review's actions.
    fn instants(&self, fields: &mut Map<String, Value>) {
        for (name, value) in fields {
            match value {
                Value::String(text) if ["from", "until", "due"].contains(&name.as_str()) => {
                    if let Some(at) = instant(text, self.scenario.year) {
                        *value = json!(at);
                    }
                }
                Value::Array(items) => {
                    items.iter_mut().filter_map(Value::as_object_mut).for_each(|item| {
                        self.instants(item);
                    });
                }
                _ => {}
            }
        }
    }

    /// Silences in the order in which they began.
    fn silences(&self) -> impl Iterator<Item = &str> {
        let own = silences_id();
        self.facts().filter(move |fact| fact.incident_id == own).filter_map(|fact| {
            match &fact.data {
                FactData::Silenced(data) => Some(data.silence.as_str()),
                _ => None,
            }
        })
    }

    /// What the deliver stage reports of a page, counted from 1.
    fn delivery(&self, number: u64, outcome: Option<Value>) -> Result<(Value, Value), String> {
        let moments = self.rehearsal.moments().iter();
        let mut pages = moments
            .flat_map(|moment| &moment.escalations)
            .filter(|message| message.audience == Audience::Page);
        let page = usize::try_from(number).ok().and_then(|n| pages.nth(n - 1));
        let page = page.ok_or_else(|| format!("page {number} has not been sent"))?;
        let outcome = outcome.ok_or("say its `outcome`: delivered, failed, dropped or held")?;
        // What a quiet overtook on its way may still have somebody to reach.
        let is_held = outcome == "held";
        let outcome = if is_held { json!("dropped") } else { outcome };
        let tool = page.channel.as_deref().and_then(|channel| channel.split(':').next());
        let delivery = json!({
            "escalation": page.id, "sink": tool, "tool": tool, "attempts": 1,
            "unreached": is_held || outcome == "failed", "outcome": outcome,
            "target": page.target, "channel": page.channel,
        });
        Ok((json!(page.incident_id), delivery))
    }

    /// Folds the stage from what was written, as the service does.
    fn restart(&mut self) {
        let mut stage = Escalate::new(Settings::default());
        for fact in self.facts() {
            let line = watchkeep_model::json::to_line(fact);
            stage.restore_fact(&serde_json::from_str(&line).expect("a fact reads back"));
        }
        for breach in &self.log.breaches {
            stage.restore_breach(breach, &self.scenario.registry);
        }
        for window in &self.log.windows {
            stage.restore_window(window);
        }
        let begins = self.scenario.begins();
        stage.tell_upkeep(begins, begins);
        self.rehearsal.replace(stage);
    }

    fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.rehearsal.moments().iter().flat_map(|moment| &moment.facts)
    }

    /// Incidents in the order in which they opened.
    fn ids(&self) -> impl Iterator<Item = &str> {
        let opened = |fact: &&Fact| matches!(fact.data, FactData::Opened(_));
        self.facts().filter(opened).map(|fact| fact.incident_id.as_str())
    }

    /// One fact or message a line: time, incident, what, who and why; then
    /// where each incident stands at the end.
    fn tell(&self) -> String {
        let year = format!("{}-", self.scenario.year);
        let when = |at: Timestamp| {
            let text = at.to_string();
            let text = text.strip_prefix(&year).unwrap_or(&text);
            text.trim_end_matches('Z').replace('T', " ")
        };
        let numbers: BTreeMap<&str, usize> = self.ids().zip(1..).collect();
        let number = |id: &str| numbers.get(id).map_or_else(|| "-".into(), usize::to_string);
        let named = |text: String| {
            numbers.iter().fold(text, |text, (id, number)| text.replace(id, &number.to_string()))
        };
        let mut story = String::new();
        for moment in self.rehearsal.moments() {
            for fact in &moment.facts {
                let who = words::person(fact).map_or_else(String::new, |who| format!("{who}: "));
                let what = named(words::of_fact(fact, &when));
                let (at, name) = (when(fact.occurred_at), words::name(fact));
                let line = format!("{at} {} {name}: {who}{what}", number(&fact.incident_id));
                let _ = writeln!(story, "{}", line.trim_end());
            }
            for message in moment.other_messages() {
                let text = named(words::of_message(message, &when));
                let _ = writeln!(story, "{}   > {text}", when(moment.at));
            }
        }
        for id in self.ids() {
            let Some(incident) = self.rehearsal.stage().incident(id) else { continue };
            let exhausted = if incident.exhausted { ", exhausted" } else { "" };
            let (state, step) = (incident.state.name(), &incident.entry.step);
            let climb = incident.entry.climb;
            let owner = incident.owner.as_deref().unwrap_or("nobody");
            let _ = writeln!(
                story,
                "end {}: {state}, step {step} loop {climb}{exhausted}, owner {owner}",
                number(id)
            );
        }
        story
    }
}

impl Played {
    /// What holds in every scenario.
    pub(super) fn check(&self, name: &str) {
        let mut last: BTreeMap<&str, &Fact> = BTreeMap::new();
        let mut over: BTreeSet<&str> = BTreeSet::new();
        for fact in self.moments.iter().flat_map(|moment| &moment.facts) {
            let before = last.insert(&fact.incident_id, fact);
            assert_eq!(check_link(before, fact), Ok(()), "{name}");
            assert!(fact.occurred_at <= fact.recorded_at, "{name}: {fact:?}");
            match &fact.data {
                FactData::Resolved(_) | FactData::Merged(_) => _ = over.insert(&fact.incident_id),
                FactData::Reopened(_) => _ = over.remove(fact.incident_id.as_str()),
                FactData::Notified(_) => {
                    assert!(!over.contains(fact.incident_id.as_str()), "{name}: page when over");
                }
                _ => {}
            }
        }
        let messages = || self.moments.iter().flat_map(|moment| &moment.escalations);
        let ids: BTreeSet<&str> = messages().map(|message| message.id.as_str()).collect();
        assert_eq!(ids.len(), messages().count(), "{name}: an identifier is used twice");
        for moment in &self.moments {
            for message in moment.other_messages() {
                let is_page = message.audience == Audience::Page;
                assert!(!is_page, "{name}: a page without a fact: {message:?}");
            }
        }
    }
}
