//! The deliver stage on the log in memory: what reaches a sink, in which
//! order, through failures, crashes and aborted commits.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::Severity;
use watchkeep_model::escalation::{Audience, Escalation, EventAction};
use watchkeep_model::incident::data::{DeliveryOutcome, DeliveryReported};
use watchkeep_model::position::Partition;
use watchkeep_model::response::{Command, DELIVERER, Response};
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_runtime::outgoing;
use watchkeep_runtime::stage::deliver::lane::RESOLVE_KEPT;
use watchkeep_runtime::stage::deliver::{
    Answer, DeliverStage, Failure, Request, Settings, Sink, Tool,
};
use watchkeep_runtime::topics::Topics;
use watchkeep_simulator::log::{MemoryLog, MemoryStore};
use watchkeep_wire::fact::{FactEncoding, Stored, decode};
use watchkeep_wire::framing::AvroFraming;

const ENCODING: FactEncoding = FactEncoding::Avro(AvroFraming::SingleObject);

fn sink(name: &str, tool: Tool) -> Sink {
    Sink {
        name: name.into(),
        tool,
        to: Vec::new(),
        takes_all: false,
        drill: false,
        per_minute: 60_000,
        give_up_after: TimeSpan::MINUTE.times(5),
        refresh_every: (tool == Tool::Alertmanager).then_some(TimeSpan::MINUTE),
    }
}

fn message(id: &str, incident: &str, channel: Option<&str>, action: EventAction) -> Escalation {
    let audience = if channel.is_some() { Audience::Page } else { Audience::Status };
    Escalation {
        id: id.into(),
        r#type: format!("watchkeep.escalation.{}", audience.name()),
        source: "/watchkeep/incidents".into(),
        subject: "feature:a".into(),
        time: Timestamp::from_micros(0),
        incident_id: incident.into(),
        dedup_key: incident.into(),
        event_action: action,
        severity: Severity::Error,
        summary: "error: drift of feature:a".into(),
        component: "feature:a".into(),
        group: None,
        class: "drift".into(),
        audience,
        step: None,
        climb: None,
        target: channel.map(|_| "user:ada".into()),
        role: None,
        channel: channel.map(str::to_owned),
        respond_by: None,
        reason: "first".into(),
        owner: None,
        unowned: false,
        affected_features: vec!["a".into()],
        affected_count: 1,
        consumers: Vec::new(),
        runbook: None,
        links: Vec::new(),
        drill: false,
        custom_details: BTreeMap::new(),
    }
}

fn page(id: &str, incident: &str, channel: &str) -> Escalation {
    message(id, incident, Some(channel), EventAction::Trigger)
}

fn status(id: &str, incident: &str, action: EventAction) -> Escalation {
    message(id, incident, None, action)
}

/// A stage, its log, and a clock.
struct Scene {
    store: MemoryStore,
    topics: Topics,
    sinks: Vec<Sink>,
    running: Option<(MemoryLog, DeliverStage)>,
    clock: Cell<Timestamp>,
    answers: Vec<Answer>,
    out: Vec<Request>,
}

impl Scene {
    fn new(sinks: &[Sink]) -> Self {
        let store = MemoryStore::with_markers();
        let topics = Topics::new("w.", &[]);
        for topic in topics.owned() {
            store.create_topic(topic, 1);
        }
        let mut scene = Self {
            store,
            topics,
            sinks: sinks.to_vec(),
            running: None,
            clock: Cell::new(Timestamp::from_micros(1_000_000_000_000)),
            answers: Vec::new(),
            out: Vec::new(),
        };
        scene.restart();
        scene
    }

    /// Ends the process without a word, and begins another.
    fn restart(&mut self) {
        self.answers.clear();
        self.out.clear();
        let settings =
            Settings { topics: self.topics.clone(), encoding: ENCODING, sinks: self.sinks.clone() };
        let log = self.store.session("deliver", &[&self.topics.escalations], "deliver-1");
        self.running = Some((log.expect("the topic is there"), DeliverStage::new(settings)));
    }

    fn write(&self, messages: &[Escalation]) {
        for message in messages {
            let record = outgoing::escalation(&self.topics.escalations, message, ENCODING);
            self.store.append(&record, self.clock.get()).expect("the topic is there");
        }
    }

    fn wait(&self, span: TimeSpan) {
        self.clock.set(self.clock.get() + span);
    }

    /// One turn, which takes a millisecond; what is to be sent is added to `out`.
    fn turn(&mut self) {
        self.wait(TimeSpan::from_micros(1_000));
        let Some((log, stage)) = &mut self.running else { return };
        let now = || self.clock.get();
        let answers = std::mem::take(&mut self.answers);
        let sent = stage.turn(log, TimeSpan::ZERO, answers, now, now).expect("the log is there");
        self.out.extend(sent);
    }

    fn answer(&mut self, request: &Request, result: Result<(), Failure>) {
        self.answers.push(Answer { ticket: request.ticket, result });
    }

    /// Takes turns until nothing is sent any more, and answers everything alike.
    fn settle(&mut self, result: &Result<(), Failure>) -> Vec<String> {
        let mut sent = Vec::new();
        self.turn();
        self.turn();
        while let Some(request) = self.out.pop() {
            sent.push(shown(&request));
            self.answer(&request, result.clone());
            self.turn();
        }
        self.turn();
        sent
    }

    fn read<T: Stored>(&self, topic: &str) -> Vec<T> {
        let records = self.store.records(&Partition::new(topic, 0));
        records
            .iter()
            .filter_map(|one| decode(one.borrow(&Partition::new(topic, 0)).value).ok())
            .collect()
    }

    fn reports(&self) -> Vec<DeliveryReported> {
        let all: Vec<Response> = self.read(&self.topics.responses);
        assert!(
            all.iter().all(|one| one.by == DELIVERER && one.command == Command::ReportDelivery)
        );
        all.into_iter().filter_map(|one| one.delivery).collect()
    }

    fn story(&self) -> Vec<String> {
        let line = |one: &DeliveryReported| {
            let unreached = if one.unreached { " unreached" } else { "" };
            format!("{} {} {:?} {}{unreached}", one.escalation, one.sink, one.outcome, one.attempts)
        };
        self.reports().iter().map(line).collect()
    }

    fn breaches(&self) -> Vec<Breach> {
        self.read(&self.topics.breaches)
    }

    fn position(&self) -> i64 {
        let partition = Partition::new(self.topics.escalations.clone(), 0);
        self.store.committed("deliver").get(&partition).copied().unwrap_or_default()
    }

    fn end(&self) -> i64 {
        self.store.end(&Partition::new(self.topics.escalations.clone(), 0))
    }
}

fn shown(request: &Request) -> String {
    let one = |alert: &watchkeep_runtime::stage::deliver::Alert| match &alert.to {
        Some(to) => format!("{} to {to}", alert.message.id),
        None => alert.message.id.clone(),
    };
    request.alerts.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn passing() -> Result<(), Failure> {
    Err(Failure::Passing("no answer".into()))
}

#[test]
fn an_incident_reaches_who_was_paged_from_its_first_page_to_its_end() {
    let mut scene = Scene::new(&[sink("pager", Tool::Pagerduty), sink("mail", Tool::Email)]);
    let story = [
        page("p1", "i", "pagerduty:flights"),
        page("m1", "i", "email:ada@example.com"),
        page("m2", "i", "email:grace@example.com"),
        status("s1", "i", EventAction::Acknowledge),
        status("s2", "i", EventAction::Acknowledge),
        status("s3", "i", EventAction::Resolve),
        // Nobody was told of this one, and its tool is somebody else's.
        page("x1", "other", "carrier-pigeon:3"),
        status("x2", "other", EventAction::Resolve),
    ];
    let mut sent = Vec::new();
    for message in story {
        scene.write(&[message]);
        sent.extend(scene.settle(&Ok(())));
    }
    sent.sort();
    assert_eq!(
        sent,
        [
            "m1 to ada@example.com",
            "m2 to grace@example.com",
            "p1",
            "s1",
            "s1 to ada@example.com",
            "s1 to grace@example.com",
            // An alert that is taken already is not taken again.
            "s2 to ada@example.com",
            "s2 to grace@example.com",
            "s3",
            "s3 to ada@example.com",
            "s3 to grace@example.com",
        ]
    );
    assert_eq!(scene.reports().len(), sent.len());
    assert_eq!(scene.position(), scene.end());
    let (_, stage) = scene.running.as_ref().expect("it runs");
    assert_eq!(stage.counts().unclaimed, BTreeMap::from([("carrier-pigeon".to_owned(), 1)]));
}

#[test]
fn addresses_and_exercises_choose_the_sink() {
    let mut flights = sink("flights", Tool::Pagerduty);
    flights.to = vec!["flights".into()];
    let mut everything = sink("everything", Tool::Webhook);
    everything.takes_all = true;
    let mut exercise = sink("exercise", Tool::Pagerduty);
    exercise.drill = true;
    let others = sink("others", Tool::Pagerduty);
    let mut scene = Scene::new(&[flights, others, exercise, everything]);
    let mut drill = page("d1", "drill", "pagerduty:flights");
    drill.drill = true;
    let mut notice = message("n1", "i", None, EventAction::Trigger);
    notice.audience = Audience::Inform;
    scene.write(&[
        page("p1", "i", "pagerduty:flights"),
        page("p2", "i", "pagerduty:x"),
        drill,
        notice,
    ]);
    scene.settle(&Ok(()));
    let mut story = scene.story();
    story.sort();
    assert_eq!(
        story,
        [
            "d1 exercise Delivered 1",
            "n1 everything Delivered 1",
            "p1 everything Delivered 1",
            "p1 flights Delivered 1",
            "p2 everything Delivered 1",
            "p2 others Delivered 1",
        ]
    );
}

#[test]
fn a_page_that_has_no_address_for_its_mail_is_followed_where_it_went_instead() {
    let mut scene = Scene::new(&[sink("mail", Tool::Email)]);
    scene.write(&[page("m1", "i", "email")]);
    let refused = Err(Failure::Message("`` is no e-mail address".into()));
    assert_eq!(scene.settle(&refused), ["m1"]);
    let otherwise = page("m2", "i", "email:ada@example.com");
    scene.write(&[Escalation { reason: "delivery_failed".into(), ..otherwise }]);
    assert_eq!(scene.settle(&Ok(())), ["m2 to ada@example.com"]);
    scene.write(&[status("s1", "i", EventAction::Resolve)]);
    assert_eq!(scene.settle(&Ok(())), ["s1 to ada@example.com"]);
    assert_eq!(
        scene.story(),
        ["m1 mail Failed 1 unreached", "m2 mail Delivered 1", "s1 mail Delivered 1"]
    );
}

#[test]
fn a_later_message_of_an_incident_waits_and_those_of_others_do_not() {
    let mut scene = Scene::new(&[sink("hook", Tool::Webhook)]);
    scene.write(&[
        page("a1", "a", "webhook"),
        status("a2", "a", EventAction::Acknowledge),
        status("a3", "a", EventAction::Resolve),
        page("b1", "b", "webhook"),
    ]);
    scene.turn();
    scene.turn();
    let first = scene.out.pop().expect("a request");
    assert_eq!((shown(&first).as_str(), scene.out.len()), ("a1", 0));
    scene.answer(&first, passing());
    scene.turn();
    let second = scene.out.pop().expect("a request");
    assert_eq!(shown(&second), "b1");
    scene.answer(&second, Ok(()));
    scene.turn();
    // Nothing is due before the second attempt.
    assert_eq!(scene.out, []);
    assert_eq!(scene.position(), 0, "the first message is not done");
    scene.wait(TimeSpan::SECOND);
    assert_eq!(scene.settle(&Ok(())), ["a1", "a2", "a3"]);
    assert_eq!(scene.position(), scene.end());
    assert_eq!(
        scene.story(),
        [
            "b1 hook Delivered 1",
            "a1 hook Delivered 2",
            "a2 hook Delivered 1",
            "a3 hook Delivered 1"
        ]
    );
}

#[test]
fn what_is_resolved_before_it_could_be_sent_is_not_sent() {
    let mut scene = Scene::new(&[sink("pager", Tool::Pagerduty)]);
    // While the sink is asked for another incident, this one comes and goes.
    scene.write(&[page("a1", "a", "pagerduty")]);
    scene.turn();
    scene.turn();
    scene.write(&[
        page("b1", "b", "pagerduty"),
        status("b2", "b", EventAction::Resolve),
        status("a2", "a", EventAction::Resolve),
    ]);
    scene.turn();
    let first = scene.out.pop().expect("a request");
    // Whether the sink has taken it nobody knows: the resolve must follow.
    scene.answer(&first, passing());
    scene.wait(TimeSpan::SECOND);
    scene.turn();
    assert_eq!(scene.settle(&Ok(())), ["a2"]);
    assert_eq!(
        scene.story(),
        ["b1 pager Dropped 0", "b2 pager Dropped 0", "a1 pager Dropped 1", "a2 pager Delivered 1"]
    );
}

#[test]
fn a_page_that_waits_is_not_sent_once_somebody_has_answered() {
    let mut scene = Scene::new(&[sink("chat", Tool::Slack)]);
    scene.write(&[page("a1", "a", "slack:x")]);
    scene.turn();
    scene.turn();
    let mut answered = status("b3", "b", EventAction::Acknowledge);
    answered.reason = "acknowledged".into();
    let mut handed = page("b2", "b", "slack:x");
    handed.reason = "handoff".into();
    // What takes its place, and a digest or a step that tells of it first.
    let mut told = page("b4", "b", "slack:x");
    told.reason = "delivery_failed".into();
    told.custom_details.insert("handoff".into(), "it is yours".into());
    scene.write(&[page("b1", "b", "slack:x"), handed, told, answered]);
    scene.turn();
    let first = scene.out.pop().expect("a request");
    scene.answer(&first, Ok(()));
    assert_eq!(scene.settle(&Ok(())), ["b2 to x", "b4 to x", "b3 to x"]);
    assert!(scene.story().contains(&"b1 chat Dropped 0".to_owned()), "{:?}", scene.story());
}

/// A message of the incident that says why it is sent.
fn told(id: &str, incident: &str, action: EventAction, reason: &str) -> Escalation {
    Escalation { reason: reason.into(), ..status(id, incident, action) }
}

#[test]
fn an_alert_that_waits_is_not_raised_once_somebody_has_answered() {
    let mut scene = Scene::new(&[sink("alerts", Tool::Alertmanager)]);
    scene.write(&[page("a1", "a", "alertmanager:x")]);
    scene.turn();
    scene.turn();
    scene.write(&[
        page("b1", "b", "alertmanager:x"),
        told("b2", "b", EventAction::Acknowledge, "acknowledged"),
    ]);
    scene.turn();
    let first = scene.out.pop().expect("a request");
    scene.answer(&first, Ok(()));
    assert_eq!(scene.settle(&Ok(())), [""; 0], "an alert tells of answers with its next refresh");
    assert_eq!(scene.story(), ["b1 alerts Dropped 0", "a1 alerts Delivered 1"]);
    // Nor is it raised by what keeps alerts alive, before and after a restart.
    for _ in 0..2 {
        scene.wait(TimeSpan::MINUTE.times(2));
        assert_eq!(scene.settle(&Ok(())), ["a1 to x"]);
        scene.restart();
    }
    // The next page of it is.
    scene.settle(&Ok(()));
    scene.write(&[page("b3", "b", "alertmanager:x")]);
    assert_eq!(scene.settle(&Ok(())), ["b3 to x"]);
}

#[test]
fn what_was_being_sent_is_not_tried_again_once_somebody_has_answered() {
    let mut scene = Scene::new(&[sink("pager", Tool::Pagerduty)]);
    scene.write(&[page("a1", "a", "pagerduty")]);
    scene.turn();
    scene.turn();
    let first = scene.out.pop().expect("a request");
    scene.write(&[told("a2", "a", EventAction::Acknowledge, "acknowledged")]);
    scene.turn();
    scene.answer(&first, passing());
    scene.wait(TimeSpan::MINUTE);
    scene.turn();
    // Whether the sink has taken it nobody knows: the answer follows.
    assert_eq!(scene.settle(&Ok(())), ["a2"]);
    assert_eq!(scene.story(), ["a1 pager Dropped 1", "a2 pager Delivered 1"]);
}

#[test]
fn a_page_that_waits_is_not_sent_once_its_incident_is_quiet() {
    let mut scene = Scene::new(&[sink("chat", Tool::Slack), sink("pager", Tool::Pagerduty)]);
    scene.write(&[page("a1", "a", "slack:x"), page("a2", "a", "pagerduty")]);
    scene.turn();
    scene.turn();
    scene.write(&[
        page("b1", "b", "slack:x"),
        page("b2", "b", "pagerduty"),
        Escalation { reason: "handoff".into(), ..page("b4", "b", "slack:x") },
        told("b3", "b", EventAction::Trigger, "silenced"),
    ]);
    scene.turn();
    for request in std::mem::take(&mut scene.out) {
        scene.answer(&request, Ok(()));
    }
    // People are told of it, a pager is not rung to say that nothing rings.
    assert_eq!(scene.settle(&Ok(())), ["b3 to x"]);
    let mut story = scene.story();
    story.sort();
    assert_eq!(
        story,
        [
            "a1 chat Delivered 1",
            "a2 pager Delivered 1",
            "b1 chat Dropped 0 unreached",
            "b2 pager Dropped 0 unreached",
            "b3 chat Delivered 1",
            // What tells somebody that it is theirs waits as well.
            "b4 chat Dropped 0 unreached",
        ]
    );
}

#[test]
fn an_alert_follows_an_incident_that_becomes_worse_while_somebody_is_asked() {
    let worse = |id: &str, action: EventAction| {
        let severity = Severity::Critical;
        Escalation { severity, ..told(id, "a", action, "severity_changed") }
    };
    for tool in [Tool::Alertmanager, Tool::Pagerduty] {
        let mut scene = Scene::new(&[sink("alerts", tool)]);
        scene.write(&[page("a1", "a", tool.name())]);
        scene.settle(&Ok(()));
        let mut quiet = worse("a2", EventAction::Trigger);
        quiet.custom_details.insert("suppressed".into(), "silenced".into());
        scene.write(&[quiet]);
        assert_eq!(scene.settle(&Ok(())), [""; 0], "it rings nobody under a silence");
        scene.write(&[worse("a3", EventAction::Trigger)]);
        scene.turn();
        scene.turn();
        let request = scene.out.pop().expect("a request");
        assert_eq!(shown(&request), "a3");
        let before = request.alerts[0].previous.as_ref().expect("the page");
        assert_eq!(before.severity, Severity::Error, "its alert is ended");
        scene.answer(&request, Ok(()));
        scene.settle(&Ok(()));
        scene.write(&[worse("a4", EventAction::Trigger)]);
        assert_eq!(scene.settle(&Ok(())), [""; 0], "nothing is worse");
    }
    let mut scene = Scene::new(&[sink("alerts", Tool::Alertmanager)]);
    scene.write(&[
        page("a1", "a", "alertmanager"),
        told("a2", "a", EventAction::Acknowledge, "acknowledged"),
        worse("a3", EventAction::Acknowledge),
    ]);
    assert_eq!(scene.settle(&Ok(())), [""; 0], "whoever is at it is not rung");
}

#[test]
fn an_exercise_rings_whole_although_it_comes_at_once() {
    let mut exercise = sink("exercise", Tool::Email);
    exercise.drill = true;
    let mut scene = Scene::new(&[exercise, sink("mail", Tool::Email)]);
    let of_drill = |message: Escalation| Escalation { drill: true, ..message };
    scene.write(&[
        of_drill(page("p1", "i", "email:ada@x")),
        of_drill(page("p2", "i", "email:ben@x")),
        of_drill(status("end", "i", EventAction::Resolve)),
    ]);
    let mut sent = scene.settle(&Ok(()));
    sent.sort();
    assert_eq!(sent, ["end to ada@x", "end to ben@x", "p1 to ada@x", "p2 to ben@x"]);
    assert!(scene.reports().iter().all(|report| report.drill && report.sink == "exercise"));
}

#[test]
fn who_was_told_that_it_is_over_is_told_that_it_is_not() {
    let mut scene = Scene::new(&[sink("mail", Tool::Email), sink("pager", Tool::Pagerduty)]);
    scene.write(&[
        page("a1", "a", "email:ada@x"),
        page("a2", "a", "pagerduty"),
        status("a3", "a", EventAction::Resolve),
    ]);
    scene.settle(&Ok(()));
    let mut reopened = status("a4", "a", EventAction::Trigger);
    reopened.reason = "reopened".into();
    scene.restart();
    scene.write(&[reopened, page("a5", "a", "email:ben@x")]);
    let mut sent = scene.settle(&Ok(()));
    sent.sort();
    assert_eq!(sent, ["a4 to ada@x", "a5 to ben@x"]);
    scene.write(&[status("a6", "a", EventAction::Resolve)]);
    let mut sent = scene.settle(&Ok(()));
    sent.sort();
    assert_eq!(sent, ["a6 to ada@x", "a6 to ben@x"]);
}

#[test]
fn who_was_informed_is_told_that_it_is_over_and_nothing_between() {
    let mut scene = Scene::new(&[sink("mail", Tool::Email)]);
    let notice = Escalation {
        audience: Audience::Inform,
        reason: "breach".into(),
        ..page("n1", "a", "email:gus@x")
    };
    scene.write(&[notice, page("a1", "a", "email:ada@x")]);
    scene.settle(&Ok(()));
    let mut sends = |message: Escalation| {
        scene.restart();
        scene.write(&[message]);
        let mut sent = scene.settle(&Ok(()));
        sent.sort();
        sent
    };
    let taken = told("a2", "a", EventAction::Acknowledge, "acknowledged");
    assert_eq!(sends(taken), ["a2 to ada@x"]);
    let over = status("a3", "a", EventAction::Resolve);
    assert_eq!(sends(over), ["a3 to ada@x", "a3 to gus@x"]);
    let again = told("a4", "a", EventAction::Trigger, "reopened");
    assert_eq!(sends(again), ["a4 to ada@x", "a4 to gus@x"]);
    let taken = told("a5", "a", EventAction::Acknowledge, "acknowledged");
    assert_eq!(sends(taken), ["a5 to ada@x"]);
}

#[test]
fn a_crash_sends_again_what_is_not_reported_and_nothing_else() {
    let mut scene = Scene::new(&[sink("pager", Tool::Pagerduty)]);
    scene.write(&[page("a1", "a", "pagerduty"), page("b1", "b", "pagerduty")]);
    scene.turn();
    scene.turn();
    let first = scene.out.pop().expect("a request");
    scene.answer(&first, passing());
    scene.turn();
    let second = scene.out.pop().expect("a request");
    assert_eq!(shown(&second), "b1");
    scene.answer(&second, Ok(()));
    scene.turn();
    assert_eq!(scene.position(), 0);
    scene.restart();
    assert_eq!(scene.settle(&Ok(())), ["a1"]);
    assert_eq!(scene.story(), ["b1 pager Delivered 1", "a1 pager Delivered 1"]);
    // A resolve after the restart goes where the pages went.
    scene.restart();
    scene
        .write(&[status("a2", "a", EventAction::Resolve), status("b2", "b", EventAction::Resolve)]);
    assert_eq!(scene.settle(&Ok(())), ["a2", "b2"]);
}

#[test]
fn a_crash_between_two_addresses_of_one_sink_loses_neither() {
    let mut scene = Scene::new(&[sink("mail", Tool::Email)]);
    scene.write(&[
        page("m1", "i", "email:cat@example.com"),
        page("m2", "i", "email:dan@example.com"),
    ]);
    scene.settle(&Ok(()));
    scene.write(&[status("over", "i", EventAction::Resolve)]);
    scene.turn();
    scene.turn();
    let first = scene.out.pop().expect("a request");
    assert_eq!(shown(&first), "over to cat@example.com");
    scene.answer(&first, Ok(()));
    scene.turn();
    scene.restart();
    assert_eq!(scene.settle(&Ok(())), ["over to dan@example.com"]);
    let to: Vec<_> = scene.reports().into_iter().filter_map(|one| one.to).collect();
    let (cat, dan) = ("cat@example.com", "dan@example.com");
    assert_eq!(to, [cat, dan, cat, dan], "reports name the address");
    scene.restart();
    assert_eq!(scene.settle(&Ok(())), [""; 0]);
}

#[test]
fn each_round_of_pages_rings_anew_and_ends_those_before() {
    let mut scene = Scene::new(&[sink("pager", Tool::Pagerduty)]);
    let minute = |minute: i64| Timestamp::from_micros(minute * 60_000_000);
    let paged = |id: &str, of: i64| Escalation { time: minute(of), ..page(id, "i", "pagerduty:x") };
    let rounds = |scene: &mut Scene, message: Escalation, result: Result<(), Failure>| {
        scene.write(&[message]);
        scene.wait(TimeSpan::MINUTE);
        scene.turn();
        scene.turn();
        let request = scene.out.pop().expect("a request");
        scene.answer(&request, result);
        scene.turn();
        let alert = &request.alerts[0];
        (alert.pages.clone(), alert.last_round())
    };
    // Ada and grace are paged at one instant: one alert.
    for id in ["ada", "grace"] {
        assert_eq!(rounds(&mut scene, paged(id, 0), Ok(())), (vec![minute(0)], None));
    }
    let refused = || Err(Failure::Message("HTTP 400".into()));
    let (first, again) = (minute(0), Some(minute(5)));
    assert_eq!(
        rounds(&mut scene, paged("again", 5), refused()),
        (vec![first, minute(5)], again),
        "what was not taken has ended nothing"
    );
    assert_eq!(
        rounds(&mut scene, paged("third", 9), Ok(())),
        (vec![first, minute(5), minute(9)], Some(minute(9)))
    );
    let taken = status("taken", "i", EventAction::Acknowledge);
    assert_eq!(rounds(&mut scene, taken, Ok(())), (vec![minute(9)], Some(minute(9))));
    // After a restart nobody knows what was ended: it is ended once more.
    scene.restart();
    let over = status("over", "i", EventAction::Resolve);
    assert_eq!(
        rounds(&mut scene, over, Ok(())),
        (vec![first, minute(5), minute(9)], Some(minute(9)))
    );
}

#[test]
fn a_sink_that_takes_everything_reaches_nobody_for_another() {
    let mut hook = sink("hook", Tool::Webhook);
    hook.takes_all = true;
    let mut scene = Scene::new(&[sink("pager", Tool::Pagerduty), hook]);
    scene.write(&[page("a1", "a", "pagerduty:x")]);
    scene.turn();
    scene.turn();
    for request in std::mem::take(&mut scene.out) {
        let result = match request.sink {
            0 => Err(Failure::Message("HTTP 400".into())),
            _ => Ok(()),
        };
        scene.answer(&request, result);
    }
    scene.turn();
    let mut story = scene.story();
    story.sort();
    assert_eq!(story, ["a1 hook Delivered 1", "a1 pager Failed 1 unreached"]);
}

#[test]
fn another_contact_that_no_sink_speaks_is_reported_and_the_first_one_is_not() {
    let mut mail = sink("mail", Tool::Email);
    mail.to = vec!["grace@example.com".into()];
    let mut scene = Scene::new(&[mail]);
    let other = |id: &str, channel: &str| Escalation {
        reason: "delivery_failed".into(),
        ..page(id, "i", channel)
    };
    scene.write(&[
        page("s1", "i", "sms:+491"),
        other("s2", "sms:+491"),
        other("s3", "email:ada@example.com"),
        other("s4", "topic"),
    ]);
    for _ in 0..2 {
        assert_eq!(scene.settle(&Ok(())), [""; 0]);
        assert_eq!(scene.story(), ["s2 topic Failed 0 unreached", "s3 topic Failed 0 unreached"]);
        scene.restart();
    }
}

#[test]
fn a_dead_sink_is_named_and_its_pages_are_given_up() {
    let mut scene = Scene::new(&[sink("pager", Tool::Pagerduty)]);
    scene.write(&[page("a1", "a", "pagerduty"), page("a2", "a", "pagerduty")]);
    let mut attempts = 0;
    for _ in 0..600 {
        attempts += scene.settle(&passing()).len();
        scene.wait(TimeSpan::SECOND);
    }
    // Five at once, then the circuit leaves it alone for longer and longer.
    assert!((6..=16).contains(&attempts), "{attempts}");
    let story = scene.story();
    assert!(
        story[0].starts_with("a1 pager Failed") && story[0].ends_with("unreached"),
        "{story:?}"
    );
    assert!(
        story[1].starts_with("a2 pager Failed") && story[1].ends_with("unreached"),
        "{story:?}"
    );
    let [opened] = &scene.breaches()[..] else { panic!("{:?}", scene.breaches()) };
    assert_eq!(
        (opened.transition, opened.expectation.as_str()),
        (Transition::Opened, "sink pager")
    );
    assert!(opened.reason.contains("no answer"), "{}", opened.reason);

    // A page for a dead sink is tried once, when the sink is to be tried again,
    // and then given up.
    scene.wait(TimeSpan::HOUR);
    scene.write(&[page("b1", "b", "pagerduty")]);
    assert_eq!(scene.settle(&passing()), ["b1"]);
    scene.write(&[page("c1", "c", "pagerduty")]);
    scene.wait(TimeSpan::SECOND);
    assert_eq!(scene.settle(&passing()), [""; 0]);
    assert_eq!(scene.story()[2..], ["b1 pager Failed 1 unreached"]);
    scene.wait(TimeSpan::MINUTE);
    assert_eq!(scene.settle(&passing()), ["c1"]);
    assert_eq!(scene.story()[2..], ["b1 pager Failed 1 unreached", "c1 pager Failed 1 unreached"]);

    // A resolve is tried until it is taken, also through a restart, which ends the breach.
    scene.write(&[status("a3", "a", EventAction::Resolve)]);
    for _ in 0..50 {
        scene.settle(&passing());
        scene.wait(TimeSpan::MINUTE.times(10));
    }
    scene.restart();
    assert_eq!(scene.settle(&Ok(())), ["a3"]);
    let last = scene.breaches().pop().expect("a breach");
    assert_eq!((last.transition, &last.breach_id), (Transition::Cleared, &opened.breach_id));
    assert_eq!(scene.breaches().len(), 2);
    assert_eq!(scene.position(), scene.end());
}

#[test]
fn a_page_that_comes_while_a_dead_sink_is_left_alone_is_sent_when_it_is_back() {
    let mut scene = Scene::new(&[sink("pager", Tool::Pagerduty)]);
    scene.write(&[page("a1", "a", "pagerduty")]);
    scene.settle(&Err(Failure::Settings("HTTP 401".into())));
    scene.write(&[page("b1", "b", "pagerduty")]);
    scene.wait(TimeSpan::SECOND.times(2));
    assert_eq!(scene.settle(&Ok(())), [""; 0]);
    scene.wait(TimeSpan::MINUTE);
    assert_eq!(scene.settle(&Ok(())), ["b1"]);
    assert_eq!(scene.story(), ["a1 pager Failed 1 unreached", "b1 pager Delivered 1"]);
}

#[test]
fn a_sink_that_refuses_every_address_is_dead_and_one_that_refuses_two_is_not() {
    let mut scene = Scene::new(&[sink("mail", Tool::Email)]);
    let to = |name: &str| page(name, name, &format!("email:{name}@example.com"));
    let full = || Err(Failure::Address("mailbox full".into()));
    for (names, breaches) in [(&["dan", "cat"][..], 0), (&["eve"], 1)] {
        scene.write(&names.iter().map(|name| to(name)).collect::<Vec<_>>());
        scene.settle(&full());
        for name in names {
            scene.write(&[status(&format!("{name}-over"), name, EventAction::Resolve)]);
        }
        for _ in 0..60 {
            scene.settle(&full());
            scene.wait(TimeSpan::SECOND.times(10));
        }
        assert_eq!(scene.breaches().len(), breaches, "{names:?}");
    }
}

#[test]
fn a_resolve_is_given_up_in_the_end() {
    let mut scene = Scene::new(&[sink("pager", Tool::Pagerduty)]);
    scene.write(&[page("a1", "a", "pagerduty")]);
    scene.settle(&Ok(()));
    scene.write(&[status("a2", "a", EventAction::Resolve)]);
    scene.settle(&passing());
    scene.wait(RESOLVE_KEPT);
    scene.settle(&passing());
    let last = scene.reports().pop().expect("a report");
    assert_eq!((last.escalation.as_str(), last.outcome), ("a2", DeliveryOutcome::Failed));
    assert!(!last.unreached);
    assert_eq!(scene.position(), scene.end());
}

#[test]
fn settings_that_a_sink_refuses_are_told_at_once() {
    let mut scene = Scene::new(&[sink("pager", Tool::Pagerduty)]);
    scene.write(&[page("a1", "a", "pagerduty")]);
    scene.settle(&Err(Failure::Settings("HTTP 401".into())));
    assert_eq!(scene.story(), ["a1 pager Failed 1 unreached"]);
    assert_eq!(scene.breaches().len(), 1);
    // A sink that is not configured any more cannot come back.
    scene.sinks.clear();
    scene.restart();
    scene.settle(&Ok(()));
    assert_eq!(scene.breaches().pop().map(|last| last.transition), Some(Transition::Cleared));
}

#[test]
fn a_message_that_a_sink_does_not_take_says_nothing_against_the_sink() {
    let mut scene = Scene::new(&[sink("pager", Tool::Pagerduty)]);
    scene.write(&[page("a1", "a", "pagerduty")]);
    scene.settle(&Err(Failure::Message("HTTP 400".into())));
    assert_eq!(scene.story(), ["a1 pager Failed 1 unreached"]);
    assert_eq!(scene.breaches(), []);
}

#[test]
fn a_busy_sink_is_left_alone_for_as_long_as_it_asks() {
    let mut scene = Scene::new(&[sink("pager", Tool::Pagerduty)]);
    scene.write(&[page("a1", "a", "pagerduty"), page("b1", "b", "pagerduty")]);
    let busy = Failure::Busy { why: "HTTP 429".into(), after: Some(TimeSpan::SECOND.times(40)) };
    assert_eq!(scene.settle(&Err(busy)), ["a1"]);
    scene.wait(TimeSpan::SECOND.times(39));
    assert_eq!(scene.settle(&Ok(())), [""; 0]);
    scene.wait(TimeSpan::SECOND);
    assert_eq!(scene.settle(&Ok(())), ["a1", "b1"]);
    assert_eq!(scene.breaches(), []);
}

#[test]
fn the_rate_of_a_sink_holds_after_a_burst() {
    let mut slow = sink("slack", Tool::Slack);
    slow.per_minute = 60;
    let mut scene = Scene::new(&[slow]);
    let pages: Vec<Escalation> =
        (0..30).map(|n| page(&format!("p{n}"), &format!("i{n}"), "slack")).collect();
    scene.write(&pages);
    assert_eq!(scene.settle(&Ok(())).len(), 10);
    scene.wait(TimeSpan::SECOND.times(5));
    assert_eq!(scene.settle(&Ok(())).len(), 5);
    // Waiting for one's turn is no reason to be given up.
    scene.wait(TimeSpan::HOUR);
    while !scene.settle(&Ok(())).is_empty() {
        scene.wait(TimeSpan::SECOND);
    }
    assert_eq!(scene.story().iter().filter(|line| line.contains("Delivered")).count(), 30);
}

#[test]
fn alerts_are_kept_alive_until_they_end() {
    let mut scene = Scene::new(&[sink("alerts", Tool::Alertmanager)]);
    scene.write(&[page("a1", "a", "alertmanager:x"), page("b1", "b", "alertmanager")]);
    assert_eq!(scene.settle(&Ok(())), ["a1 to x", "b1"]);
    scene.wait(TimeSpan::MINUTE);
    assert_eq!(scene.settle(&Ok(())), ["a1 to x, b1"]);
    assert_eq!(scene.settle(&Ok(())), [""; 0]);
    // An acknowledgement changes what is said, and raises nothing.
    scene.write(&[
        status("a2", "a", EventAction::Acknowledge),
        status("b2", "b", EventAction::Resolve),
    ]);
    assert_eq!(scene.settle(&Ok(())), ["b2"]);
    // Nobody knows how long the process was away.
    scene.restart();
    assert_eq!(scene.settle(&Ok(())), ["a2 to x"]);
    scene.write(&[status("a3", "a", EventAction::Resolve)]);
    assert_eq!(scene.settle(&Ok(())), ["a3 to x"]);
    scene.wait(TimeSpan::HOUR);
    assert_eq!(scene.settle(&Ok(())), [""; 0]);
}

#[test]
fn an_answer_does_not_change_the_severity_under_which_an_alert_fires() {
    let mut scene = Scene::new(&[sink("alerts", Tool::Alertmanager)]);
    scene.write(&[page("a1", "a", "alertmanager:x")]);
    assert_eq!(scene.settle(&Ok(())), ["a1 to x"]);
    let worse = |message: Escalation| Escalation { severity: Severity::Critical, ..message };
    scene.write(&[worse(status("a2", "a", EventAction::Acknowledge))]);
    assert_eq!(scene.settle(&Ok(())), [""; 0]);
    scene.wait(TimeSpan::MINUTE);
    scene.turn();
    let refresh = scene.out.pop().expect("a request");
    assert_eq!(shown(&refresh), "a2 to x");
    assert_eq!(refresh.alerts[0].message.severity, Severity::Error);
    scene.answer(&refresh, Ok(()));
    scene.write(&[worse(page("a3", "a", "alertmanager:x"))]);
    scene.turn();
    let page = scene.out.pop().expect("a request");
    let previous = page.alerts[0].previous.as_ref().map(|previous| previous.severity);
    assert_eq!(previous, Some(Severity::Error), "its alert is ended with this one");
}

#[test]
fn many_alerts_are_kept_alive_some_at_a_time() {
    let mut scene = Scene::new(&[sink("alerts", Tool::Alertmanager)]);
    let pages: Vec<Escalation> =
        (0..250).map(|n| page(&format!("p{n}"), &format!("i{n:03}"), "alertmanager")).collect();
    scene.write(&pages);
    assert_eq!(scene.settle(&Ok(())).len(), 250);
    scene.wait(TimeSpan::MINUTE);
    let sent = scene.settle(&Ok(()));
    let sizes: Vec<usize> = sent.iter().map(|one| one.split(", ").count()).collect();
    assert_eq!(sizes, [100, 100, 50]);
    let all: BTreeSet<&str> = sent.iter().flat_map(|one| one.split(", ")).collect();
    assert_eq!(all.len(), 250);
}

/// CloudEvents 1.0.2, Kafka protocol binding, binary mode: attributes are
/// headers with `ce_`, `datacontenttype` is `content-type`, the value is the data.
#[test]
fn escalations_are_cloud_events_in_either_encoding() {
    let page = page("p1", "i", "pagerduty");
    for encoding in [FactEncoding::Json, ENCODING] {
        let record = outgoing::escalation(&"w.escalations".into(), &page, encoding);
        let header = |name: &str| {
            let found = record.headers.iter().find(|(own, _)| own == name);
            found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        };
        assert_eq!(header("content-type").as_deref(), Some(encoding.content_type()));
        for (name, value) in [
            ("ce_specversion", "1.0"),
            ("ce_id", "p1"),
            ("ce_type", "watchkeep.escalation.page"),
            ("ce_source", "/watchkeep/incidents"),
            ("ce_subject", "feature:a"),
            ("ce_time", "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(header(name).as_deref(), Some(value), "{name}");
        }
        assert_eq!(decode::<Escalation>(&record.value), Ok(page.clone()));
    }
}

/// Numbers that follow from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        // Steele, Lea and Flood, SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// A sink that fails now and then, a process that dies at any turn, commits
/// that are aborted: every message is reported once, what was handed over is
/// resolved, and no address hears of an incident after its end.
#[test]
fn nothing_is_lost_or_out_of_order_whatever_fails() {
    for seed in 0..100 {
        let tool = Tool::ALL[seed as usize % Tool::ALL.len()].0;
        let mut random = Random(seed);
        let mut scene = Scene::new(&[sink("sink", tool)]);
        let mut taken: Vec<String> = Vec::new();
        let mut incidents: Vec<(String, u64)> = Vec::new();
        for step in 0..120_u64 {
            match random.below(12) {
                0..=2 if step < 60 => {
                    let incident = format!("i{}", incidents.len());
                    let channel = format!("{}:x", tool.name());
                    scene.write(&[page(&format!("{incident}-0"), &incident, &channel)]);
                    incidents.push((incident, 1));
                }
                3..=5 if !incidents.is_empty() => {
                    let pick = random.below(incidents.len() as u64) as usize;
                    let (incident, next) = &mut incidents[pick];
                    if *next < 3 {
                        let is_last = *next == 2;
                        let action =
                            if is_last { EventAction::Resolve } else { EventAction::Acknowledge };
                        scene.write(&[status(&format!("{incident}-{next}"), incident, action)]);
                        *next += 1;
                    }
                }
                6 => scene.restart(),
                7 => scene.store.abort_next_commit("seeded"),
                _ => scene.wait(TimeSpan::from_micros(random.below(3_000_000) as i64)),
            }
            scene.turn();
            for request in std::mem::take(&mut scene.out) {
                let result = if random.below(3) == 0 { passing() } else { Ok(()) };
                // What failed may have arrived all the same.
                if result.is_ok() || random.below(2) == 0 {
                    taken.extend(request.alerts.iter().map(|alert| alert.message.id.clone()));
                }
                scene.answer(&request, result);
            }
        }
        for (incident, next) in &incidents {
            if *next < 3 {
                scene.write(&[status(&format!("{incident}-2"), incident, EventAction::Resolve)]);
            }
        }
        for _ in 0..100 {
            scene.turn();
            for request in std::mem::take(&mut scene.out) {
                taken.extend(request.alerts.iter().map(|alert| alert.message.id.clone()));
                scene.answer(&request, Ok(()));
            }
            scene.wait(TimeSpan::SECOND);
        }
        assert_eq!(scene.position(), scene.end(), "seed {seed}: everything is done");
        let reports = scene.reports();
        let named: BTreeSet<&str> = reports.iter().map(|one| one.escalation.as_str()).collect();
        assert_eq!(named.len(), reports.len(), "seed {seed}: one report for each message");
        for (incident, _) in &incidents {
            let (first, last) = (format!("{incident}-0"), format!("{incident}-2"));
            assert!(named.contains(first.as_str()) && named.contains(last.as_str()), "seed {seed}");
            let heard: Vec<&String> =
                taken.iter().filter(|id| id.starts_with(&format!("{incident}-"))).collect();
            let end = heard.iter().position(|id| **id == last);
            if !heard.is_empty() {
                let end = end.unwrap_or_else(|| {
                    panic!("seed {seed}: {incident} never ends: {heard:?} {:?}", scene.story())
                });
                assert!(heard[end..].iter().all(|id| **id == last), "seed {seed}: {heard:?}");
            }
        }
    }
}
