//! Which sinks take a message: a fold of the escalations, so that a restart
//! knows again who was told of what.
//!
//! A page goes to the sinks that speak its channel's tool: to those that name
//! its address, else to those that name none. Who was paged is told how the
//! incident goes on, and whoever was told of it that it is over. Sinks that
//! take everything get everything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use watchkeep_model::escalation::{Audience, Escalation, EventAction};
use watchkeep_model::time::Timestamp;

use super::lane::reason_of;
use super::{Alert, Sink, Tool};

/// What a channel names that is the topic itself, and the sink of reports
/// about pages that only the topic holds.
pub const TOPIC: &str = "topic";

/// Rounds of pages of one incident at one address that are ended with a later
/// one; of more the oldest were ended long ago.
const PAGES_MAX: usize = 20;

/// Incidents that ended whose followers are remembered; one that opens again
/// after so many others tells those alone whom it pages.
const ENDED_MAX: usize = 10_000;

/// The reason of the message that an incident is not over after all.
const REOPENED: &str = "reopened";

/// The reason of the message that an incident has become worse.
const SEVERITY_CHANGED: &str = "severity_changed";

/// The detail of a message while something keeps the incident's pages back.
const SUPPRESSED: &str = "suppressed";

/// A sink, by its place, and the address in it.
type Address = (usize, Option<Arc<str>>);

/// Open incidents and where they were told of.
#[derive(Clone, Debug, Default)]
pub struct Book {
    incidents: BTreeMap<String, BTreeMap<Address, Thread>>,
    /// Who was told that an incident is over, to be told should it begin again;
    /// true for those who had been asked.
    ended: BTreeMap<String, Vec<(Address, bool)>>,
    /// These incidents, the oldest first.
    order: VecDeque<String>,
}

/// What one address was told of one incident.
#[derive(Clone, Debug)]
struct Thread {
    since: Timestamp,
    last: Arc<Escalation>,
    /// True once a message was handed to the sink, whatever came of it.
    handed: bool,
    /// True for whoever was paged. Others were informed: of what goes on they
    /// are told that it is over, and that it is not after all.
    is_asked: bool,
    /// Rounds of its pages, as far as tools may still show them.
    rounds: Vec<Round>,
}

/// The pages of one instant at one address: one alert there.
#[derive(Clone, Debug)]
struct Round {
    at: Timestamp,
    /// The messages, each of which raises the alert.
    messages: BTreeSet<String>,
}

impl Round {
    fn of(page: &Escalation) -> Self {
        Self { at: page.time, messages: BTreeSet::from([page.id.clone()]) }
    }
}

impl Thread {
    /// A page of another round than the last one rings anew.
    fn page(&mut self, page: &Escalation) {
        if let Some(last) = self.rounds.last_mut().filter(|last| last.at == page.time) {
            last.messages.insert(page.id.clone());
            return;
        }
        if self.rounds.len() == PAGES_MAX {
            self.rounds.remove(0);
        }
        self.rounds.push(Round::of(page));
    }

    /// As in [`Alert::pages`].
    fn pages(&self) -> Vec<Timestamp> {
        self.rounds.iter().map(|round| round.at).collect()
    }
}

/// A sink that takes a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Its place.
    pub sink: usize,
    /// The address in it.
    pub to: Option<Arc<str>>,
    /// When the incident was first told of there.
    pub since: Timestamp,
    /// The message before.
    pub previous: Option<Arc<Escalation>>,
    /// The rounds of pages there, as in [`Alert::pages`].
    pub pages: Vec<Timestamp>,
    /// True where the sink may know of the incident.
    pub was_handed: bool,
    /// True where it is a sink of the message's channel, and not only one that
    /// takes everything.
    pub is_of_channel: bool,
}

/// Why pages of the incident that still wait at a sink are needless from this
/// message on.
pub fn makes_needless(message: &Escalation) -> Option<Needless> {
    match reason_of(message) {
        _ if message.audience != Audience::Status => None,
        "acknowledged" | "remediated" | "verified" => Some(Needless::Answered),
        "silenced" | "inhibited" => Some(Needless::Quiet),
        _ => None,
    }
}

/// Why a page that waits is not sent any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needless {
    /// The incident is resolved.
    Over,
    /// Somebody has answered.
    Answered,
    /// A silence or another incident holds pages back; what ends that pages
    /// again where it is still true.
    Quiet,
}

impl Needless {
    /// The reason, for reports.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Over => "the incident was resolved before it could be sent",
            Self::Answered => "somebody answered before it could be sent",
            Self::Quiet => "the incident was silenced or inhibited before it could be sent",
        }
    }
}

impl Book {
    /// Takes a message in and says which sinks take it.
    pub fn take(&mut self, message: &Arc<Escalation>, sinks: &[&Sink]) -> Vec<Route> {
        if message.audience == Audience::Status && reason_of(message) == REOPENED {
            self.go_on(message);
        }
        let addresses: Vec<(Address, bool)> = match message.audience {
            Audience::Status => {
                self.followers(message, sinks).into_iter().map(|one| (one, false)).collect()
            }
            Audience::Page | Audience::Inform => addressed(message, sinks),
        };
        let is_over = message.event_action == EventAction::Resolve;
        let threads = self.incidents.entry(message.incident_id.clone()).or_default();
        let mut routes = Vec::new();
        for ((sink, to), is_of_channel) in addresses {
            let tool = sinks[sink].tool;
            let thread = threads.get_mut(&(sink, to.clone()));
            let before =
                thread.as_ref().map(|thread| (thread.since, thread.last.clone(), thread.handed));
            let (since, previous, was_handed) = match before {
                Some((since, last, handed)) => (since, Some(last), handed),
                None => (message.time, None, false),
            };
            let repeats = previous.as_ref().is_some_and(|last| is_no_news(tool, last, message));
            let mut pages = Vec::new();
            if let Some(thread) = thread {
                thread.last = match repeats {
                    true => as_it_fires(&thread.last, message),
                    false => message.clone(),
                };
                if message.audience == Audience::Page {
                    thread.page(message);
                    thread.is_asked = true;
                }
                pages = thread.pages();
            } else if message.audience != Audience::Status {
                let is_asked = message.audience == Audience::Page;
                let rounds: Vec<Round> = is_asked.then(|| Round::of(message)).into_iter().collect();
                pages.extend(rounds.iter().map(|round| round.at));
                // A notice that only a sink of everything takes names nobody,
                // and a mail without an address reaches nobody: it is tried, so
                // that another contact is, and its end has nowhere to go.
                let is_somewhere = tool != Tool::Email || to.is_some();
                if is_somewhere && (is_asked || is_of_channel && !tool.holds_alerts()) {
                    let (last, handed) = (message.clone(), false);
                    let thread = Thread { since, last, handed, is_asked, rounds };
                    threads.insert((sink, to.clone()), thread);
                }
            }
            if !repeats {
                routes.push(Route { sink, to, since, previous, pages, was_handed, is_of_channel });
            }
        }
        if is_over || threads.is_empty() {
            let threads = self.incidents.remove(&message.incident_id).unwrap_or_default();
            let told = threads.into_iter().map(|(address, thread)| (address, thread.is_asked));
            let told = told.filter(|((place, _), _)| !sinks[*place].tool.holds_alerts());
            self.end(&message.incident_id, told.collect());
        }
        routes
    }

    /// Remembers who was told of an incident that is over. Alerts need none of
    /// it: a new page raises a new one.
    fn end(&mut self, incident: &str, addresses: Vec<(Address, bool)>) {
        if addresses.is_empty() {
            return;
        }
        if self.ended.insert(incident.to_owned(), addresses).is_none() {
            self.order.push_back(incident.to_owned());
        }
        if self.order.len() > ENDED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }

    /// Whoever was told that it is over is told how it goes on.
    fn go_on(&mut self, message: &Arc<Escalation>) {
        let Some(addresses) = self.ended.remove(&message.incident_id) else { return };
        self.order.retain(|known| *known != message.incident_id);
        let threads = self.incidents.entry(message.incident_id.clone()).or_default();
        for (address, is_asked) in addresses {
            let (since, last) = (message.time, message.clone());
            let thread = Thread { since, last, handed: true, is_asked, rounds: Vec::new() };
            threads.entry(address).or_insert(thread);
        }
    }

    /// Everything up to here was handed over by an earlier session, or may
    /// have been.
    pub fn all_handed(&mut self) {
        for thread in self.incidents.values_mut().flat_map(BTreeMap::values_mut) {
            thread.handed = true;
        }
    }

    /// A message is about to be sent.
    pub fn handed(&mut self, incident: &str, sink: usize, to: Option<&Arc<str>>) {
        let thread = self.incidents.get_mut(incident);
        let thread = thread.and_then(|threads| threads.get_mut(&(sink, to.cloned())));
        if let Some(thread) = thread {
            thread.handed = true;
        }
    }

    /// A page was taken, and with it the alerts of the rounds before were ended.
    pub fn taken(&mut self, incident: &str, sink: usize, to: Option<&Arc<str>>, of: &[Timestamp]) {
        let Some((_, ended)) = of.split_last() else { return };
        let thread = self.incidents.get_mut(incident);
        let thread = thread.and_then(|threads| threads.get_mut(&(sink, to.cloned())));
        if let Some(thread) = thread {
            thread.rounds.retain(|round| !ended.contains(&round.at));
        }
    }

    /// A page was dropped before the sink had it. Says of which round there is
    /// no alert now, so that nothing keeps it alive or ends it.
    pub fn forgone(
        &mut self,
        incident: &str,
        sink: usize,
        to: Option<&Arc<str>>,
        message: &str,
    ) -> Option<Timestamp> {
        let thread = self.incidents.get_mut(incident)?.get_mut(&(sink, to.cloned()))?;
        let place = thread.rounds.iter().position(|round| round.messages.contains(message))?;
        let round = thread.rounds.get_mut(place)?;
        round.messages.remove(message);
        round.messages.is_empty().then(|| thread.rounds.remove(place).at)
    }

    /// Alerts that fire at a sink, with their incidents, ascending.
    pub fn firing(&self, sink: usize) -> impl Iterator<Item = (&str, Alert)> {
        self.incidents.iter().flat_map(move |(incident, threads)| {
            let fires = |thread: &Thread| !thread.rounds.is_empty();
            let own =
                threads.iter().filter(move |((own, _), thread)| *own == sink && fires(thread));
            own.map(move |((_, to), thread)| {
                let message = thread.last.clone();
                let (since, pages) = (thread.since, thread.pages());
                let alert = Alert { message, to: to.clone(), since, previous: None, pages };
                (incident.as_str(), alert)
            })
        })
    }

    /// Who was told of the incident, and who is told of everything.
    fn followers(&self, message: &Escalation, sinks: &[&Sink]) -> Vec<Address> {
        let told = self.incidents.get(&message.incident_id);
        let ends = message.event_action == EventAction::Resolve || reason_of(message) == REOPENED;
        let followers = told.into_iter().flatten().filter(|(_, thread)| thread.is_asked || ends);
        let mut all: Vec<Address> = followers.map(|(address, _)| address.clone()).collect();
        for (place, sink) in sinks.iter().enumerate() {
            let takes = sink.takes_all && sink.drill == message.drill;
            if takes && !sink.tool.holds_alerts() && all.iter().all(|(own, _)| *own != place) {
                all.push((place, None));
            }
        }
        all.retain(|address| {
            let thread = || told.and_then(|threads| threads.get(address));
            // What raises an alert again is followed by its own page, save
            // for an incident that becomes worse while somebody is asked.
            message.event_action != EventAction::Trigger
                || !sinks[address.0].tool.holds_alerts()
                || thread().is_some_and(|thread| is_worse(&thread.last, message))
        });
        all
    }
}

/// True for the message that an incident has become worse than its alert says,
/// where somebody is asked: nothing keeps its pages back and nobody has answered.
fn is_worse(last: &Escalation, message: &Escalation) -> bool {
    reason_of(message) == SEVERITY_CHANGED
        && message.severity > last.severity
        && last.event_action == EventAction::Trigger
        && !message.custom_details.contains_key(SUPPRESSED)
}

/// True where a tool that holds alerts knows already what a message says. The
/// annotations of an alert of Alertmanager follow with the next refresh.
fn is_no_news(tool: Tool, last: &Escalation, message: &Escalation) -> bool {
    message.event_action == EventAction::Acknowledge
        && match tool {
            Tool::Pagerduty => last.event_action == EventAction::Acknowledge,
            Tool::Alertmanager => true,
            Tool::Webhook | Tool::Slack | Tool::Email => false,
        }
}

/// What an alert says that is not sent anew: the news, under the severity that
/// it was sent with. That is one of its labels, and another label is another
/// alert, which would ring because somebody has answered; the next page that
/// goes out carries it.
fn as_it_fires(last: &Escalation, message: &Arc<Escalation>) -> Arc<Escalation> {
    if last.severity == message.severity {
        return message.clone();
    }
    Arc::new(Escalation { severity: last.severity, ..Escalation::clone(message) })
}

/// The sinks of a page or notice; true where its channel names them.
fn addressed(message: &Escalation, sinks: &[&Sink]) -> Vec<(Address, bool)> {
    let channel = message.channel.as_deref().map(split);
    let speaks = |sink: &Sink| {
        let tool = channel.is_some_and(|(tool, _)| tool == sink.tool.name());
        tool && sink.drill == message.drill
    };
    let address = channel.and_then(|(_, to)| to);
    let names = |sink: &Sink| address.is_some_and(|to| sink.to.iter().any(|own| own == to));
    let named = sinks.iter().any(|sink| speaks(sink) && names(sink));
    let mut all = Vec::new();
    for (place, sink) in sinks.iter().enumerate() {
        let fits = if named { names(sink) } else { sink.to.is_empty() };
        let to = address.filter(|_| keeps_addresses(sink.tool)).map(Arc::from);
        let is_alert = message.audience == Audience::Page;
        let takes_all = sink.takes_all
            && sink.drill == message.drill
            && (is_alert || !sink.tool.holds_alerts());
        if speaks(sink) && fits {
            all.push(((place, to), true));
        } else if takes_all {
            all.push(((place, None), false));
        }
    }
    all
}

/// True where a sink takes the pages of a channel, `tool:address`, outside of
/// exercises; one that takes everything is not meant.
pub fn is_claimed(channel: &str, sinks: &[&Sink]) -> bool {
    !claiming(channel, sinks).is_empty()
}

/// The sinks that take the pages of a channel, `tool:address`, outside of
/// exercises, by their places: those that name the address, else those that name
/// none.
pub fn claiming(channel: &str, sinks: &[&Sink]) -> Vec<usize> {
    let (tool, address) = split(channel);
    let speaks = |sink: &Sink| !sink.drill && sink.tool.name() == tool;
    let names = |sink: &Sink| address.is_some_and(|to| sink.to.iter().any(|own| own == to));
    let named = sinks.iter().any(|sink| speaks(sink) && names(sink));
    let fits = |sink: &Sink| if named { names(sink) } else { sink.to.is_empty() };
    let takes = |(_, sink): &(usize, &&Sink)| speaks(sink) && fits(sink);
    sinks.iter().enumerate().filter(takes).map(|(place, _)| place).collect()
}

/// True where two addresses of a tool have a story each. PagerDuty has one
/// alert for an incident, and a webhook one receiver.
const fn keeps_addresses(tool: Tool) -> bool {
    matches!(tool, Tool::Alertmanager | Tool::Slack | Tool::Email)
}

/// The tool of a page that names one and that no sink of its channel takes.
pub fn unclaimed<'a>(message: &'a Escalation, routes: &[Route]) -> Option<&'a str> {
    let (tool, _) = split(message.channel.as_deref()?);
    let known = routes.iter().any(|route| route.is_of_channel);
    (message.audience == Audience::Page && tool != TOPIC && !known).then_some(tool)
}

/// A channel's tool and address.
fn split(channel: &str) -> (&str, Option<&str>) {
    match channel.split_once(':') {
        Some((tool, to)) => (tool, Some(to)),
        None => (channel, None),
    }
}
