//! The world of the flight examples, and a stage whose story can be told.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::{
    Charter, CharterFields, ExpectationKind, Lifecycle, Owners, Rollback, Severity,
};
use watchkeep_model::directory::Directory;
use watchkeep_model::incident::data::{PolicyRevision, Resumption};
use watchkeep_model::incident::{Fact, FactData, check_link};
use watchkeep_model::json;
use watchkeep_model::policy::Policy;
use watchkeep_model::response::{Command, RemedyAction, Response};
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::{Judged, Verdict, Window};

use crate::context::{Context, Declared};
use crate::escalate::{Escalate, Outputs, Settings};
use crate::lineage::{Builder, Lineage};

pub(crate) const DELAY: &str = "flight.arr_delay_min";

pub(crate) struct World {
    pub(crate) charters: BTreeMap<String, Charter>,
    pub(crate) policies: BTreeMap<String, Policy>,
    pub(crate) directory: Directory,
    pub(crate) lineage: Lineage,
}

impl Context for World {
    fn charter(&self, subject: &str, _: Timestamp) -> Option<Arc<Charter>> {
        self.charters.get(subject).cloned().map(Arc::new)
    }
    fn policy(&self, name: &str) -> Option<&Policy> {
        self.policies.get(name)
    }
    /// The key of one that holds no more is anything but its name.
    fn policy_of(&self, revision: &PolicyRevision) -> Option<&Policy> {
        let is = |one: &&Policy| (&one.name, one.version) == (&revision.name, revision.version);
        self.policies.values().find(is)
    }
    fn directory(&self) -> &Directory {
        &self.directory
    }
    fn lineage(&self) -> &Lineage {
        &self.lineage
    }
    fn declared(&self, _: &str) -> Vec<Declared> {
        Vec::new()
    }
}

const DIRECTORY: &str = r#"{
  "users": {
    "ada": {"zone": "America/New_York", "contacts": [{"tool": "pagerduty", "to": "flight-data"}, {"tool": "email", "to": "ada@example.com"}], "max_open": 3},
    "grace": {"contacts": [{"tool": "pagerduty", "to": "flight-data"}], "absences": [{"from": "2013-05-06", "to": "2013-05-20"}]},
    "edgar": {"contacts": [{"tool": "email", "to": "edgar@example.com"}]},
    "barbara": {"contacts": [{"tool": "email", "to": "barbara@example.com"}]},
    "mary": {"contacts": [{"tool": "email", "to": "mary@example.com"}]},
    "radia": {"contacts": [{"tool": "email", "to": "radia@example.com"}]},
    "ken": {"contacts": [{"tool": "pagerduty", "to": "ingestion"}]}
  },
  "groups": {
    "flight-data": {"lead": "user:ada", "members": ["user:ada", "user:grace"]},
    "ingestion": {"lead": "user:ken", "members": ["user:ken"]},
    "crew-planning": {"lead": "user:mary", "members": ["user:mary"]},
    "data-governance": {"lead": "user:radia", "members": ["user:radia", "user:barbara"]}
  },
  "schedules": {
    "flight-data": {"zone": "America/New_York", "layers": [{"users": ["user:ada", "user:grace"], "every": "1w", "from": "2013-04-01T09:00:00-04:00"}]}
  },
  "systems": {"flight-board": {"owner": "group:flight-data", "domain": "operations"}},
  "domains": {"operations": {"owner": "user:radia"}},
  "governance": "group:data-governance"
}"#;

const POLICY: &str = r#"{
  "name": "flights", "version": 3,
  "grouping": {"by": ["root", "kind"], "group_wait": "60s", "group_interval": "5m", "repeat_interval": "4h", "max_listed": 50},
  "attribution": {"max_depth": 5, "min_features": 3, "min_coverage": 0.6, "edge_max_age": "7d"},
  "damping": {"keep_firing_for": "0s", "reopen_within": "2h", "flap": {"look_back": 20, "changes": 4}},
  "limits": {"per_owner": {"burst": 5, "per": "10m"}, "platform_incident_share": 0.3},
  "hours": {"zone": "America/New_York", "working": [{"days": ["mon", "tue", "wed", "thu", "fri"], "from": "09:00", "to": "18:00"}],
    "holidays": ["2013-05-27"], "outside": {"critical": "page", "error": "page", "warning": "defer", "info": "defer"}},
  "steps": [
    {"name": "on-call", "kinds": ["latency", "freshness", "silence", "error_rate", "slo"],
     "notify": [{"role": "primary"}, {"schedule": "schedule:flight-data"}],
     "channels": [{"tool": "pagerduty", "to": "flight-data"}], "acknowledge_within": "10m", "remediate_within": "1h",
     "escalate_if": ["not_acknowledged", "not_remediated", {"affected_features": 20}]},
    {"name": "data-steward", "kinds": ["drift", "null_rate", "volume", "range", "categories"],
     "notify": [{"role": "data_steward"}], "channels": [{"tool": "email", "to": "data-quality@example.com"}],
     "acknowledge_within": "30m", "remediate_within": "4h",
     "escalate_if": ["not_acknowledged", "not_remediated", "verification_failed", {"recurrence": {"count": 3, "within": "7d"}}]},
    {"name": "architect", "decisions": ["redefine", "change_contract", "retire"],
     "notify": [{"role": "architect"}, {"role": "executive", "severities": ["critical"]}],
     "channels": [{"tool": "email", "to": "architecture@example.com"}], "acknowledge_within": "1h", "decide_within": "1d",
     "escalate_if": ["not_acknowledged", "not_decided"]}
  ],
  "loops": 2, "ack_timeout": "30m", "on_exhausted": {"notify": ["group:data-governance"]},
  "sign_offs": [
    {"gate": "rollback", "roles": ["primary", "backup"], "minimum": 1},
    {"gate": "threshold_change", "roles": ["data_steward", "reviewer"], "minimum": 1, "distinct_from": ["remediator"]},
    {"gate": "resolve", "severities": ["critical"], "roles": ["data_steward"], "minimum": 1, "distinct_from": ["remediator"]}],
  "verification": {"severities": ["error", "critical"], "good_windows": 2, "on_failure": "data-steward"},
  "independence": {"monetisation": {"verifier_not_in_team_of": ["remediator", "primary"], "approver_not_in_team_of": ["primary"]}},
  "review": {"severities": ["error", "critical"], "due_within": "5d"}, "drill": {"every": "90d"}, "freeze": []
}"#;

pub(crate) fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

pub(crate) fn world() -> World {
    let flights = |subject: &str| Charter {
        subject: subject.into(),
        fields: CharterFields {
            lifecycle: Some(Lifecycle::Production),
            view: some("view:flight-status"),
            group: some("group:flight-data"),
            system: some("flight-board"),
            domain: some("operations"),
            owners: Owners {
                primary: some("user:ada"),
                backup: some("user:grace"),
                data_steward: some("user:edgar"),
                architect: some("user:barbara"),
                executive: some("user:radia"),
                ..Owners::default()
            },
            rollback: Rollback {
                criteria: Some(vec!["missing".into()]),
                procedure: some("https://wiki.example.com/rollback"),
                ..Rollback::default()
            },
            subscribers: Some(vec!["group:crew-planning".into()]),
            policy: some("flights"),
            runbook: some("https://wiki.example.com/runbooks/flight-status"),
            ..CharterFields::default()
        },
        from: vec!["feature:flight.*".into()],
        exact: true,
    };
    let dataset = Charter {
        subject: "dataset:bts.on_time".into(),
        fields: CharterFields {
            owners: Owners {
                primary: some("group:ingestion"),
                data_steward: some("user:edgar"),
                ..Owners::default()
            },
            domain: some("operations"),
            policy: some("flights"),
            ..CharterFields::default()
        },
        from: vec!["dataset:bts.on_time".into()],
        exact: true,
    };
    let mut charters: BTreeMap<String, Charter> = (0..30)
        .map(|n| format!("feature:flight.f{n}"))
        .chain([format!("feature:{DELAY}"), "feature:flight.origin".into()])
        .map(|subject| (subject.clone(), flights(&subject)))
        .collect();
    charters.insert(dataset.subject.clone(), dataset);
    let policy: Policy = serde_json::from_str(POLICY).unwrap();
    World {
        charters,
        policies: BTreeMap::from([(policy.name.clone(), policy)]),
        directory: serde_json::from_str(DIRECTORY).unwrap(),
        lineage: declared(&FLIGHTS),
    }
}

pub(crate) const FLIGHTS: [(&str, &str); 4] = [
    ("dataset:bts.on_time", "pipeline:flight-status-hourly"),
    ("pipeline:flight-status-hourly", "view:flight-status"),
    ("view:flight-status", "feature:flight.arr_delay_min"),
    ("view:flight-status", "feature:flight.origin"),
];

/// A lineage of declared edges.
pub(crate) fn declared(edges: &[(&str, &str)]) -> Lineage {
    let mut builder = Builder::default();
    let (always, never) = (Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));
    edges.iter().for_each(|(from, to)| builder.declare(from, to, always, never));
    builder.build()
}

pub(crate) fn at(text: &str) -> Timestamp {
    let text = match text.len() {
        5 => format!("2013-{text}T00:00:00Z"),
        11 => format!("2013-{}T{}:00Z", &text[..5], &text[6..]),
        14 => format!("2013-{}T{}Z", &text[..5], &text[6..]),
        _ => text.to_owned(),
    };
    text.parse().unwrap()
}

pub(crate) fn breach(
    feature: &str,
    kind: ExpectationKind,
    severity: Severity,
    when: Timestamp,
) -> Breach {
    let expectation = match kind {
        ExpectationKind::NullRate => "missing",
        kind => kind.name(),
    };
    Breach {
        breach_id: format!("{feature}-{expectation}-{when}"),
        transition: Transition::Opened,
        feature: feature.into(),
        feature_version: String::new(),
        expectation: expectation.into(),
        kind,
        severity,
        window: "1d".into(),
        window_start: when - TimeSpan::DAY,
        window_end: when,
        revision: 0,
        detected_at: when,
        observed: Some(0.3),
        threshold: Some(0.25),
        p_value: None,
        effect: None,
        baseline: None,
        owner: some("user:ada"),
        policy: some("flights"),
        affected_consumers: vec!["model:delay-forecast".into()],
        exemplars: Vec::new(),
        reason: "it is bad".into(),
    }
}

pub(crate) fn drift(when: &str) -> Breach {
    breach(DELAY, ExpectationKind::Drift, Severity::Error, at(when))
}

pub(crate) fn nulls(when: &str) -> Breach {
    breach(DELAY, ExpectationKind::NullRate, Severity::Critical, at(when))
}

pub(crate) fn latency(when: &str) -> Breach {
    breach(DELAY, ExpectationKind::Latency, Severity::Warning, at(when))
}

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) stage: Escalate,
    pub(crate) out: Outputs,
    told: usize,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::within(world())
    }

    pub(crate) fn within(world: World) -> Self {
        let stage = Escalate::new(Settings::default());
        Self { world, stage, out: Outputs::default(), told: 0 }
    }

    /// Fires every timer before the instant, as a replay does.
    pub(crate) fn before(&mut self, until: Timestamp) {
        while let Some(due_at) = self.stage.next_deadline().filter(|due_at| *due_at < until) {
            self.stage.advance(&self.world, due_at, &mut self.out);
        }
    }

    pub(crate) fn run_to(&mut self, until: &str) -> &mut Self {
        let until = at(until);
        self.before(until);
        self.stage.advance(&self.world, until, &mut self.out);
        self
    }

    pub(crate) fn breach(&mut self, breach: &Breach) -> &mut Self {
        self.before(breach.detected_at);
        self.stage.breach(breach, &self.world, breach.detected_at, &mut self.out);
        self
    }

    pub(crate) fn clear(&mut self, breach: &Breach, when: &str) -> &mut Self {
        let mut cleared = breach.clone();
        cleared.transition = Transition::Cleared;
        (cleared.window_end, cleared.detected_at) = (at(when), at(when));
        self.breach(&cleared)
    }

    pub(crate) fn window(&mut self, of: &Breach, when: &str, verdict: Verdict) -> &mut Self {
        let window = window(of, when, verdict);
        self.before(window.window_end);
        self.stage.window(&window, &self.world, window.window_end, &mut self.out);
        self
    }

    pub(crate) fn respond(&mut self, when: &str, by: &str, command: Command) -> &mut Self {
        self.send(&response(when, by, command))
    }

    pub(crate) fn send(&mut self, response: &Response) -> &mut Self {
        self.before(response.at);
        self.stage.respond(response, &self.world, response.at, &mut self.out);
        self
    }

    /// What has happened since the last telling, one fact a line.
    pub(crate) fn story(&mut self) -> String {
        let facts = &self.out.facts[self.told..];
        self.told = self.out.facts.len();
        facts.iter().fold(String::new(), |mut text, fact| {
            let _ = writeln!(text, "{}", line(fact));
            text
        })
    }

    /// Checks the chains, and that folding the facts again gives the same state.
    pub(crate) fn check(&self) {
        let mut last: BTreeMap<&str, &Fact> = BTreeMap::new();
        let mut again = Escalate::new(Settings::default());
        for fact in &self.out.facts {
            let before = last.insert(&fact.incident_id, fact);
            assert_eq!(check_link(before, fact), Ok(()));
            let read: Fact = serde_json::from_str(&json::to_line(fact)).unwrap();
            assert_eq!(&read, fact);
            again.restore_fact(&read);
        }
        for id in last.keys() {
            assert_eq!(again.incident(id), self.stage.incident(id));
        }
        let silences = |stage: &Escalate| {
            stage.silences().map(|silence| silence.data.clone()).collect::<Vec<_>>()
        };
        assert_eq!(silences(&again), silences(&self.stage));
    }
}

pub(crate) fn window(of: &Breach, when: &str, verdict: Verdict) -> Window {
    let end = at(when);
    let judged = Judged {
        expectation: of.expectation.clone(),
        verdict,
        reason: None,
        observed: None,
        threshold: None,
        p_value: None,
        baseline: None,
        learned: None,
        drift: None,
        slo: None,
        volume: None,
        budget: None,
    };
    let mut window: Window = serde_json::from_str(
            r#"{"feature":"","feature_version":"","window":"1d","window_start":0,"window_end":0,"revision":0,"partial":false,"count":1,"null_count":0,"error_count":0,"status":{},"non_finite_count":0,"late_count":0}"#,
        )
        .unwrap();
    (window.feature, window.window_end) = (of.feature.clone(), end);
    window.judged.push(judged);
    window
}

pub(crate) fn response(when: &str, by: &str, command: Command) -> Response {
    Response {
        subject: some(DELAY),
        rationale: some("because"),
        action: (command == Command::Remediate).then_some(RemedyAction::Fix),
        gate: (command == Command::SignOff).then(|| "resolve".into()),
        ..Response::new(at(when), by, command)
    }
}

fn resumed(resumes: Option<&Resumption>) -> String {
    resumes.map_or_else(String::new, |resumes| {
        let by = resumes.entry.as_ref().and_then(|entry| entry.acknowledge_by);
        let by = by.map_or_else(String::new, |by| {
            format!(
                ", acknowledge by {}",
                by.to_string().get(5..16).unwrap_or_default().replace('T', " ")
            )
        });
        format!(" goes on{}{by}", if resumes.pages { " with pages" } else { "" })
    })
}

fn line(fact: &Fact) -> String {
    let time = fact.occurred_at.to_string();
    let time = time[5..].trim_end_matches('Z').replace('T', " ");
    let short = |at: Option<Timestamp>| {
        at.map_or_else(
            || "-".to_owned(),
            |at| at.to_string()[5..].trim_end_matches('Z').replace('T', " "),
        )
    };
    let late = |late: Option<i64>| late.map_or_else(String::new, |us| format!(" late {us}us"));
    let what = match &fact.data {
        FactData::Opened(d) => format!(
            "{} {} {} by {} owner {}{} step {} at {}{}",
            d.root,
            d.severity.name(),
            d.kind.name(),
            d.attribution.method,
            d.owner.as_deref().unwrap_or("-"),
            if d.unowned { " UNOWNED" } else { "" },
            d.entry.step,
            short(Some(d.entry.enters_at)),
            late(d.late_by_us),
        ),
        FactData::BreachAttached(d) => format!("{} {}", d.feature, d.expectation),
        FactData::BreachCleared(d) => {
            format!("{} {} left {}", d.feature, d.expectation, d.open_count)
        }
        FactData::SeverityChanged(d) => format!("{} to {}", d.from.name(), d.to.name()),
        FactData::OwnerResolved(d) => {
            format!(
                "{}{}",
                d.owner.as_deref().unwrap_or("-"),
                if d.unowned { " UNOWNED" } else { "" }
            )
        }
        FactData::Notified(d) => format!(
            "{} loop {}: {} as {} by {} ({}) respond by {}",
            d.step,
            d.climb,
            d.target,
            d.role,
            d.channel,
            d.reason,
            short(d.respond_by)
        ),
        FactData::NotificationSkipped(d) => format!(
            "{} loop {}: {} as {}: {}",
            d.step,
            d.climb,
            d.target.as_deref().unwrap_or("-"),
            d.role.as_deref().unwrap_or("-"),
            d.reason
        ),
        FactData::Acknowledged(d) => format!("by {} until {}", fact.actor, short(d.expires_at)),
        FactData::AcknowledgementExpired(d) => format!("of {}{}", d.by, late(d.late_by_us)),
        FactData::Escalated(d) => format!(
            "{} to {} loop {} by {}, enters {}{}",
            d.from_step,
            d.to_step,
            d.climb,
            d.trigger,
            short(Some(d.entry.enters_at)),
            late(d.late_by_us)
        ),
        FactData::ActionRecorded(d) => format!("{}: {}", d.action, d.detail),
        FactData::SignedOff(d) => {
            format!(
                "{} {} by {} as {}, {} of {}",
                d.gate, d.approve, fact.actor, d.role, d.signed, d.needed
            )
        }
        FactData::CommandRejected(d) => format!("{} by {}: {}", d.command, fact.actor, d.rule),
        FactData::Remediated(d) => format!("by {}: {:?}", fact.actor, d.action),
        FactData::Verified(d) => format!("by {}, {} good", d.method, d.good_windows),
        FactData::VerificationFailed(d) => format!("{} {}", d.feature, d.expectation),
        FactData::Resolved(d) => d.reason.clone(),
        FactData::Reopened(d) => format!("step {}", d.entry.step),
        FactData::Exhausted(d) => format!(
            "after {} of loop {} by {}{}",
            d.from_step,
            d.loops,
            d.trigger,
            late(d.late_by_us)
        ),
        FactData::DeliveryReported(d) => format!("{} {:?}", d.sink, d.outcome),
        FactData::FlappingStarted(d) | FactData::FlappingEnded(d) => {
            format!(
                "{} of {}{}{}",
                d.changes,
                d.look_back,
                d.ends_at.map_or_else(String::new, |at| format!(" until {}", short(Some(at)))),
                resumed(d.resumes.as_ref())
            )
        }
        FactData::Silenced(d) => {
            let matchers: Vec<String> = d.matchers.iter().map(ToString::to_string).collect();
            format!("{} until {} by {}", matchers.join(" "), short(Some(d.until)), d.by)
        }
        FactData::Unsilenced(d) => format!("{}{}", d.reason, resumed(d.resumes.as_ref())),
        FactData::Inhibited(d) => d.rule.clone(),
        FactData::Uninhibited(d) => format!("{}{}", d.reason, resumed(d.resumes.as_ref())),
        FactData::Merged(d) => format!("into {}", d.into),
        FactData::Reviewed(d) => d.root_cause.clone(),
        FactData::Closed(d) => d.reason.clone(),
    };
    let name = format!("{:?}", fact.fact);
    format!("{time} {name}: {what}")
}
