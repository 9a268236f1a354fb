//! `watchkeep policy simulate`: the real rules on one breach, without a log.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde::Serialize;
use watchkeep_incident::context::{Context, Declared};
use watchkeep_incident::lineage::Lineage;
use watchkeep_incident::registry::Registry;
use watchkeep_incident::rehearsal::{Moment, Rehearsal};
use watchkeep_incident::words;
use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::{Charter, ExpectationKind, Severity, WindowSpec};
use watchkeep_model::directory::Directory;
use watchkeep_model::document::nearest;
use watchkeep_model::escalation::Escalation;
use watchkeep_model::identifier::derived;
use watchkeep_model::incident::Fact;
use watchkeep_model::policy::Policy;
use watchkeep_model::response::Response;
use watchkeep_model::subject::typed;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::Window;
use watchkeep_wire::fact::decode;

use super::{policy_of, registry_of};
use crate::cli::PolicySimulate;
use crate::input::Lines;
use crate::output::{Format, Output, Table, lasting};
use crate::{Outcome, service};

/// Windows that are played after the clearing; more than a policy waits for.
const WINDOWS_MAX: usize = 1_000;

/// The registry with another policy in force for every charter.
struct Supposed {
    registry: Arc<Registry>,
    policy: Policy,
}

impl Context for Supposed {
    fn charter(&self, subject: &str, at: Timestamp) -> Option<Arc<Charter>> {
        let mut charter = self.registry.charter(subject, at)?;
        Arc::make_mut(&mut charter).fields.policy = Some(self.policy.name.clone());
        Some(charter)
    }

    fn policy(&self, name: &str) -> Option<&Policy> {
        if name == self.policy.name { Some(&self.policy) } else { self.registry.policy(name) }
    }

    fn directory(&self) -> &Directory {
        self.registry.directory()
    }

    fn lineage(&self) -> &Lineage {
        Context::lineage(&*self.registry)
    }

    fn declared(&self, subject: &str) -> Vec<Declared> {
        Context::declared(&*self.registry, subject)
    }
}

/// What a program gets.
#[derive(Serialize)]
struct Told<'t> {
    policy: &'t str,
    version: u32,
    subject: &'t str,
    expectation: &'t str,
    kind: &'static str,
    severity: &'static str,
    from: Timestamp,
    to: Timestamp,
    moments: Vec<MomentTold<'t>>,
    incidents: Vec<End>,
}

#[derive(Serialize)]
struct MomentTold<'t> {
    at: Timestamp,
    after_us: i64,
    facts: &'t [Fact],
    escalations: &'t [Escalation],
}

/// Where an incident stands at the end.
#[derive(Serialize)]
struct End {
    incident_id: String,
    state: &'static str,
    step: String,
    #[serde(rename = "loop")]
    climb: u32,
    exhausted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    respond_by: Option<Timestamp>,
}

pub(super) fn run(arguments: &PolicySimulate) -> anyhow::Result<Outcome> {
    let folder = arguments.folder.as_deref().or(arguments.charters.as_deref());
    let registry = registry_of(folder, &arguments.configured)?;
    let policy = policy_of(&registry, &arguments.name)?;
    let world = Supposed { registry, policy };
    let from = arguments.at.unwrap_or_else(service::clock::now);
    let to = from + arguments.span;
    let breach = breach(arguments, &world, from)?;
    let responses = responses(arguments, &breach)?;
    let mut rehearsal = Rehearsal::new(&world);
    play(&mut rehearsal, &breach, &responses, arguments.clears_after, to);
    let ends = ends(&rehearsal);
    let exhausted = ends.iter().any(|end| end.exhausted);
    tell(arguments, &world.policy, &breach, rehearsal.moments(), ends, to)?;
    Ok(if exhausted { Outcome::Found } else { Outcome::Fine })
}

/// Windows first, then responses, at one instant; timers as they come due.
fn play(
    rehearsal: &mut Rehearsal<'_>,
    breach: &Breach,
    responses: &[Response],
    clears_after: Option<TimeSpan>,
    to: Timestamp,
) {
    let size = breach.window_end.since(breach.window_start);
    let clears_at = clears_after.map(|span| breach.detected_at + span);
    let each = |from: Timestamp, first: i64| {
        (first..).take(WINDOWS_MAX).map(move |n| from + size.times(n))
    };
    // What is not good by then stays bad, so that a repair which does not help fails.
    let bad = each(breach.detected_at, 1).take_while(|end| clears_at.is_none_or(|at| *end < at));
    let good = clears_at.into_iter().flat_map(|at| each(at, 0));
    let windows: Vec<Timestamp> =
        bad.take_while(|end| *end <= to).chain(good.take_while(|end| *end <= to)).collect();
    rehearsal.breach(breach, breach.detected_at);
    let (mut windows, mut responses) =
        (windows.into_iter().peekable(), responses.iter().peekable());
    loop {
        let response = responses.peek().map(|response| response.at).filter(|at| *at <= to);
        match (windows.peek().copied(), response) {
            (Some(end), next) if next.is_none_or(|next| end <= next) => {
                windows.next();
                let is_good = clears_at.is_some_and(|at| at <= end);
                judge(rehearsal, breach, is_good, clears_at == Some(end), end);
            }
            (_, Some(at)) => {
                if let Some(response) = responses.next() {
                    rehearsal.response(response, at.max(breach.detected_at));
                }
            }
            _ => break,
        }
    }
    rehearsal.run_to(to);
}

/// A judged window; the first good one clears the breach.
fn judge(
    rehearsal: &mut Rehearsal<'_>,
    breach: &Breach,
    is_good: bool,
    clears: bool,
    end: Timestamp,
) {
    let verdict = if is_good { "good" } else { "bad" };
    if clears {
        let cleared = Breach {
            transition: Transition::Cleared,
            window_end: end,
            detected_at: end,
            ..breach.clone()
        };
        rehearsal.breach(&cleared, end);
    }
    let window = serde_json::json!({
        "feature": breach.feature, "feature_version": "", "window": breach.window,
        "window_start": end - end.since(breach.detected_at), "window_end": end, "revision": 0,
        "partial": false, "count": 1, "null_count": 0, "error_count": 0, "status": {},
        "non_finite_count": 0, "late_count": 0,
        "judged": [{"expectation": breach.expectation, "verdict": verdict}],
    });
    if let Ok(window) = serde_json::from_value::<Window>(window) {
        rehearsal.window(&window, end);
    }
}

/// A breach as the charter describes it, with what the command line says otherwise.
fn breach(arguments: &PolicySimulate, world: &Supposed, at: Timestamp) -> anyhow::Result<Breach> {
    let subject = typed(&arguments.subject);
    let Some(charter) = world.charter(&subject, at) else {
        let near = nearest(&subject, world.registry.named());
        let near = near.map_or_else(String::new, |near| format!(": did you mean `{near}`?"));
        bail!("no charter matches `{subject}` at {at}{near}");
    };
    let kind = match &arguments.kind {
        None => None,
        Some(name) => Some(named(&ExpectationKind::ALL, name, "kind")?),
    };
    let expectations = charter.fields.expectations.iter().flatten();
    let mut expectations =
        expectations.filter(|expectation| kind.is_none_or(|kind| expectation.rule.kind() == kind));
    let expectation = expectations.next();
    let kind = kind.or(expectation.map(|one| one.rule.kind()));
    let Some(kind) = kind else {
        bail!("the charter of `{subject}` has no expectation: name a --kind");
    };
    let severity = match &arguments.severity {
        Some(name) => {
            let all = [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical];
            named(&all.map(|severity| (severity, severity.name())), name, "severity")?
        }
        None => expectation.map_or_else(Severity::default, |one| one.severity),
    };
    let size = match expectation.map(|one| &one.window) {
        Some(WindowSpec::Tumbling { size } | WindowSpec::Hopping { size, .. }) => *size,
        _ => TimeSpan::HOUR,
    };
    let feature = subject.strip_prefix("feature:").unwrap_or(&subject).to_owned();
    let name = expectation.map_or_else(|| kind.name().to_owned(), |one| one.name.clone());
    Ok(Breach {
        breach_id: derived(&["simulated breach", &subject, &name, &at.to_string()]),
        transition: Transition::Opened,
        feature,
        feature_version: String::new(),
        expectation: name,
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
        owner: charter.fields.owners.primary.clone(),
        policy: Some(world.policy.name.clone()),
        affected_consumers: charter.fields.consumers.clone().unwrap_or_default(),
        exemplars: Vec::new(),
        reason: "simulated".into(),
    })
}

fn named<T: Copy>(all: &[(T, &'static str)], name: &str, what: &str) -> anyhow::Result<T> {
    if let Some((value, _)) = all.iter().find(|(_, known)| *known == name) {
        return Ok(*value);
    }
    let known: Vec<&str> = all.iter().map(|(_, known)| *known).collect();
    bail!("`{name}` is no {what}: write one of {}", known.join(", "))
}

fn responses(arguments: &PolicySimulate, breach: &Breach) -> anyhow::Result<Vec<Response>> {
    let Some(path) = &arguments.responses else { return Ok(Vec::new()) };
    let mut lines = Lines::open(path)?;
    let (mut line, mut responses) = (Vec::new(), Vec::new());
    while let Some(number) = lines.read(&mut line)? {
        let mut response: Response =
            decode(&line).with_context(|| format!("{}:{}", path.display(), number + 1))?;
        if response.incident.is_none() && response.subject.is_none() {
            response.subject = Some(typed(&breach.feature));
        }
        responses.push(response);
    }
    responses.sort_by_key(|response| response.at);
    Ok(responses)
}

fn ends(rehearsal: &Rehearsal<'_>) -> Vec<End> {
    let mut ends: Vec<End> = Vec::new();
    for fact in rehearsal.moments().iter().flat_map(|moment| &moment.facts) {
        let Some(incident) = rehearsal.stage().incident(&fact.incident_id) else { continue };
        if ends.iter().all(|end| end.incident_id != incident.id) {
            ends.push(End {
                incident_id: incident.id.clone(),
                state: incident.state.name(),
                step: incident.entry.step.clone(),
                climb: incident.entry.climb,
                exhausted: incident.exhausted,
                respond_by: incident.respond_by(),
            });
        }
    }
    ends
}

fn tell(
    arguments: &PolicySimulate,
    policy: &Policy,
    breach: &Breach,
    moments: &[Moment],
    incidents: Vec<End>,
    to: Timestamp,
) -> anyhow::Result<()> {
    let from = breach.detected_at;
    let after = |at: Timestamp| at.since(from);
    let mut output = Output::new();
    if arguments.formatted.format == Format::Json {
        let moments = moments.iter().map(|moment| MomentTold {
            at: moment.at,
            after_us: after(moment.at).as_micros(),
            facts: &moment.facts,
            escalations: &moment.escalations,
        });
        output.json(&Told {
            policy: &policy.name,
            version: policy.version,
            subject: &typed(&breach.feature),
            expectation: &breach.expectation,
            kind: breach.kind.name(),
            severity: breach.severity.name(),
            from,
            to,
            moments: moments.collect(),
            incidents,
        })?;
        return output.finish();
    }
    let when = |at: Timestamp| at.to_string();
    let mut table = Table::new(["time", "after", "what", "who", "why"]);
    for moment in moments {
        for fact in &moment.facts {
            let who = words::person(fact).unwrap_or("-").to_owned();
            table.row([
                when(moment.at),
                lasting(after(moment.at).as_micros() / 1_000_000),
                words::name(fact),
                who,
                words::of_fact(fact, &when),
            ]);
        }
        for message in moment.other_messages() {
            table.row([
                when(moment.at),
                lasting(after(moment.at).as_micros() / 1_000_000),
                "message".into(),
                "-".into(),
                words::of_message(message, &when),
            ]);
        }
    }
    table.print(&mut output)?;
    if incidents.is_empty() {
        output.line("no incident opens")?;
    }
    for end in incidents {
        let exhausted = if end.exhausted { ", exhausted" } else { "" };
        let next = end.respond_by.map_or_else(String::new, |at| format!(", respond by {at}"));
        output.line(format_args!(
            "at {to}: {}, step {} loop {}{exhausted}{next}",
            end.state, end.step, end.climb
        ))?;
    }
    output.finish()
}
