//! Tells who is asked that a charter's review, the check of a runbook or the
//! exercise of a policy is not there by its date, and that it is done.
//!
//! Nobody is paged: nothing is broken. Each person has a chain of facts of
//! their own, and hears of all that falls due at one instant in one message,
//! whose alert stands until nothing of theirs is overdue.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchkeep_model::escalation::{Audience, Escalation, EventAction};
use watchkeep_model::identifier::derived;
use watchkeep_model::incident::data::{ActionRecorded, Informed, Upkeep, UpkeepKind};
use watchkeep_model::incident::{Fact, FactData, SYSTEM_ACTOR};
use watchkeep_model::response::{Command, DELIVERER, Response};
use watchkeep_model::time::Timestamp;

use super::index::What;
use super::{Escalate, Outputs};
use crate::context::Context;
use crate::decide::lateness_us;
use crate::message;
use crate::owner::resolve;
use crate::registry::upkeep::Calendar;
use crate::schedule::{Presence, answering, typed_user};
use crate::state::people::action::{UPKEEP_DONE, UPKEEP_OVERDUE};

/// What one fact lists; more are several facts.
const LISTED_MAX: usize = 500;

/// What one message lists by name; the fact has all.
const NAMED_MAX: usize = 20;

/// The class of messages about upkeep.
const CLASS: &str = "upkeep";

/// How the names of policies begin.
const POLICY: &str = "policy:";

/// What falls due: its kind and name.
type Key = (UpkeepKind, String);

/// What is overdue and whom it was told, folded from facts.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// What falls due after this instant is told; nothing where it is absent.
    since: Option<Timestamp>,
    /// The dates that were looked at last, and by when.
    seen: Option<(Arc<Calendar>, Timestamp)>,
    /// What is overdue, and in whose chain that stands.
    overdue: BTreeMap<Key, (Upkeep, String)>,
    /// The end of each chain.
    chains: BTreeMap<String, (u64, String)>,
    /// From when on the next exercise of a policy counts: the last one or,
    /// where none was held, the first incident that followed it.
    drills: BTreeMap<String, Drill>,
}

#[derive(Clone, Copy, Debug)]
struct Drill {
    since: Timestamp,
    is_held: bool,
}

impl Told {
    /// Takes in what was written; true where it was of a chain of upkeep.
    pub(super) fn apply(&mut self, fact: &Fact) -> bool {
        let chain = &fact.incident_id;
        let is_mine = match &fact.data {
            FactData::ActionRecorded(data) => !data.upkeep.is_empty(),
            FactData::DeliveryReported(_) => self.chains.contains_key(chain),
            _ => false,
        };
        if let FactData::ActionRecorded(data) = &fact.data {
            for upkeep in &data.upkeep {
                let key = (upkeep.what, upkeep.of.clone());
                if data.action == UPKEEP_OVERDUE {
                    self.overdue.insert(key, (upkeep.clone(), chain.clone()));
                } else if self.overdue.get(&key).is_some_and(|(_, of)| of == chain) {
                    self.overdue.remove(&key);
                }
            }
        }
        if is_mine {
            self.chains.insert(chain.clone(), (fact.sequence, fact.hash.clone()));
        }
        is_mine
    }

    /// Takes in from when on the exercises of policies count; true where that
    /// has changed.
    pub(super) fn begin_drills(&mut self, fact: &Fact) -> bool {
        match &fact.data {
            FactData::Opened(data) if !self.drills.contains_key(&data.policy.name) => {
                let drill = Drill { since: fact.occurred_at, is_held: false };
                self.drills.insert(data.policy.name.clone(), drill);
                true
            }
            FactData::ActionRecorded(data) => {
                let held = Drill { since: fact.occurred_at, is_held: true };
                let policies = data.drill.iter().flat_map(|drill| &drill.policies);
                let count = policies.map(|policy| self.drills.insert(policy.clone(), held)).count();
                count > 0
            }
            _ => false,
        }
    }

    /// What is promised under a name at an instant.
    fn promised(&self, calendar: &Calendar, key: &Key, at: Timestamp) -> Option<Upkeep> {
        let (what, of) = key;
        if *what == UpkeepKind::Drill {
            let policy = of.strip_prefix(POLICY)?;
            let every = *calendar.drills().get(policy)?;
            let drill = self.drills.get(policy)?;
            return Some(Upkeep {
                what: *what,
                of: of.clone(),
                last: drill.is_held.then_some(drill.since),
                due_at: drill.since + every,
                asked: None,
            });
        }
        let dates = calendar.dates(calendar.place(of)?, at);
        dates.iter().find(|date| date.what == *what).cloned()
    }

    /// What may have changed since the dates were looked at last.
    fn concerned(&self, calendar: &Arc<Calendar>, now: Timestamp) -> Vec<Key> {
        let last = self.seen.as_ref().filter(|(seen, _)| Arc::ptr_eq(seen, calendar));
        let places: Vec<usize> = match last {
            Some((_, looked_at)) => calendar.changing(*looked_at, now).into_iter().collect(),
            None => calendar.places().collect(),
        };
        let of = |place: usize| {
            let kinds = [UpkeepKind::Review, UpkeepKind::Runbook];
            kinds.map(|what| (what, calendar.name(place).to_owned()))
        };
        let drills = calendar.drills().keys();
        let drills = drills.map(|name| (UpkeepKind::Drill, format!("{POLICY}{name}")));
        let mut keys: Vec<Key> = places.into_iter().flat_map(of).chain(drills).collect();
        if last.is_none() {
            keys.extend(self.overdue.keys().cloned());
            keys.sort();
            keys.dedup();
        }
        keys
    }

    /// When something changes next, after they were looked at.
    fn next_after(&self, calendar: &Calendar, at: Timestamp) -> Option<Timestamp> {
        let drills = calendar.drills().iter().filter_map(|(policy, every)| {
            Some(self.drills.get(policy)?.since + *every).filter(|due_at| *due_at > at)
        });
        calendar.next_after(at).into_iter().chain(drills).min()
    }
}

impl Escalate {
    /// From now on it is told what charters and policies promise to be looked
    /// at and is not, of all that falls due after `since`. A service tells all;
    /// what had fallen due before a replay begins was told before it.
    pub fn tell_upkeep(&mut self, since: Timestamp, now: Timestamp) {
        self.upkeep.since = Some(since);
        self.upkeep.seen = None;
        self.index.set_due(What::Upkeep, Some(now));
    }

    /// True once [`Escalate::tell_upkeep`] was asked for.
    pub fn tells_upkeep(&self) -> bool {
        self.upkeep.since.is_some()
    }

    /// What is overdue of what charters and policies promise, by kind and name.
    pub fn overdue_upkeep(&self) -> impl Iterator<Item = &Upkeep> {
        self.upkeep.overdue.values().map(|(upkeep, _)| upkeep)
    }

    /// Looks at the dates now where they are others than before.
    pub(super) fn follow_calendar(&mut self, context: &dyn Context, now: Timestamp) {
        if self.tells_upkeep() {
            let calendar = context.calendar();
            let seen = self.upkeep.seen.as_ref();
            if !seen.is_some_and(|(seen, _)| Arc::ptr_eq(seen, &calendar)) {
                self.index.set_due(What::Upkeep, Some(now));
            }
        }
    }

    /// Takes in what bears on exercises: an incident that follows a policy, or
    /// an exercise that was held.
    pub(super) fn take_drill(&mut self, fact: &Fact) {
        if self.upkeep.begin_drills(fact) && self.tells_upkeep() {
            self.index.set_due(What::Upkeep, Some(fact.recorded_at));
        }
    }

    /// Tells what has fallen due and what is done since the last look.
    pub(super) fn upkeep_due(&mut self, context: &dyn Context, now: Timestamp, out: &mut Outputs) {
        self.index.set_due(What::Upkeep, None);
        let Some(since) = self.upkeep.since else { return };
        let calendar = context.calendar();
        let mut fallen: BTreeMap<Addressee, Vec<(Timestamp, Upkeep)>> = BTreeMap::new();
        let mut done: BTreeMap<String, Vec<Upkeep>> = BTreeMap::new();
        for key in self.upkeep.concerned(&calendar, now) {
            let promised = self.upkeep.promised(&calendar, &key, now);
            let overdue = promised.as_ref().filter(|upkeep| upkeep.due_at <= now);
            let told = self.upkeep.overdue.get(&key);
            match (overdue, told) {
                (None, None) => {}
                (None, Some((told, chain))) => {
                    let upkeep = promised.unwrap_or_else(|| told.clone());
                    done.entry(chain.clone()).or_default().push(upkeep);
                }
                (Some(upkeep), None) if upkeep.due_at > since => {
                    let addressee = addressee(upkeep, context, now);
                    let news = (upkeep.due_at, upkeep.clone());
                    fallen.entry(addressee).or_default().push(news);
                }
                (Some(_), None) => {}
                (Some(upkeep), Some((told, chain))) => {
                    let again = upkeep.due_at > told.due_at;
                    if !again && upkeep.asked == told.asked {
                        continue;
                    }
                    let addressee = addressee(upkeep, context, now);
                    let moves = addressee.chain() != *chain;
                    if moves {
                        done.entry(chain.clone()).or_default().push(told.clone());
                    }
                    if moves || again {
                        let at = if again { upkeep.due_at } else { now };
                        fallen.entry(addressee).or_default().push((at, upkeep.clone()));
                    }
                }
            }
        }
        for (addressee, news) in fallen {
            self.tell_overdue(&addressee, &news, context, now, out);
        }
        for (chain, upkeep) in done {
            self.tell_done(&chain, &upkeep, now, out);
        }
        let next = self.upkeep.next_after(&calendar, now);
        self.upkeep.seen = Some((calendar, now));
        self.index.set_due(What::Upkeep, next);
    }

    fn tell_overdue(
        &mut self,
        addressee: &Addressee,
        news: &[(Timestamp, Upkeep)],
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let chain = addressee.chain();
        for (number, part) in news.chunks(LISTED_MAX).enumerate() {
            let at = part.iter().map(|(at, _)| *at).max().unwrap_or(now);
            let upkeep: Vec<Upkeep> = part.iter().map(|(_, upkeep)| upkeep.clone()).collect();
            let informed = addressee.person.clone();
            let data = ActionRecorded {
                informed: informed
                    .map(|target| Informed { target, role: addressee.role.to_owned() })
                    .into_iter()
                    .collect(),
                due_at: Some(at),
                late_by_us: lateness_us(at, now),
                upkeep,
                ..ActionRecorded::new(UPKEEP_OVERDUE, words(part.iter().map(|(_, one)| one)))
            };
            let fact = self.record_upkeep(&chain, at, FactData::ActionRecorded(data), now, out);
            if number == 0 {
                let all: Vec<&Upkeep> = news.iter().map(|(_, upkeep)| upkeep).collect();
                out.escalations.push(notice(addressee, &fact, &all, context));
            }
        }
    }

    fn tell_done(&mut self, chain: &str, upkeep: &[Upkeep], now: Timestamp, out: &mut Outputs) {
        for part in upkeep.chunks(LISTED_MAX) {
            let detail = match part {
                [one] => format!("the {} of {}", noun(one.what), one.of),
                _ => words(part.iter()),
            };
            let data = ActionRecorded {
                upkeep: part.to_vec(),
                ..ActionRecorded::new(UPKEEP_DONE, format!("{detail}: not overdue any more"))
            };
            let fact = self.record_upkeep(chain, now, FactData::ActionRecorded(data), now, out);
            if !self.upkeep.overdue.values().any(|(_, of)| of == chain) {
                let all: Vec<&Upkeep> = upkeep.iter().collect();
                out.escalations.push(end(&fact, &all));
            }
        }
    }

    /// True where a command is the report of what became of a message about
    /// upkeep.
    pub(super) fn is_of_upkeep(&self, response: &Response) -> bool {
        let chain = response.incident.as_ref();
        response.command == Command::ReportDelivery
            && response.by == DELIVERER
            && response.delivery.is_some()
            && chain.is_some_and(|chain| self.upkeep.chains.contains_key(chain))
    }

    /// Records what became of a message about upkeep.
    pub(super) fn report_of_upkeep(
        &mut self,
        response: &Response,
        id: &str,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let delivery = response.delivery.clone().map(FactData::DeliveryReported);
        if let (Some(chain), Some(data)) = (&response.incident, delivery) {
            let cause = format!("response {id}");
            let at = response.at.min(now);
            self.write_upkeep(chain, at, (response.by.clone(), cause), data, now, out);
        }
    }

    fn record_upkeep(
        &mut self,
        chain: &str,
        at: Timestamp,
        data: FactData,
        now: Timestamp,
        out: &mut Outputs,
    ) -> Fact {
        let by = (SYSTEM_ACTOR.to_owned(), "timer upkeep".to_owned());
        self.write_upkeep(chain, at, by, data, now, out)
    }

    fn write_upkeep(
        &mut self,
        chain: &str,
        at: Timestamp,
        (actor, cause): (String, String),
        data: FactData,
        now: Timestamp,
        out: &mut Outputs,
    ) -> Fact {
        let before = self.upkeep.chains.get(chain);
        let fact = Fact {
            incident_id: chain.to_owned(),
            sequence: before.map_or(0, |(sequence, _)| *sequence) + 1,
            fact: data.name(),
            occurred_at: at.min(now),
            recorded_at: now,
            actor,
            cause: Some(cause),
            rationale: None,
            drill: self.settings.drill,
            data,
            previous_hash: before.map(|(_, hash)| hash.clone()),
            hash: String::new(),
        }
        .sealed();
        self.upkeep.apply(&fact);
        out.facts.push(fact.clone());
        fact
    }
}

/// Who is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Addressee {
    /// `user:…`; `None` where not even governance names anybody present.
    person: Option<String>,
    role: &'static str,
    unowned: bool,
}

impl Addressee {
    /// The chain of everything that this person is told.
    fn chain(&self) -> String {
        derived(&["upkeep", self.person.as_deref().unwrap_or_default()])
    }
}

/// The reviewer of a charter, else whoever answers for the subject; for an
/// exercise governance, whose policies are.
fn addressee(upkeep: &Upkeep, context: &dyn Context, now: Timestamp) -> Addressee {
    let directory = context.directory_at(now);
    let present = |name: Option<&str>| match answering(directory, name?, now) {
        Presence::Present(user) => Some(typed_user(&user)),
        _ => None,
    };
    if upkeep.what == UpkeepKind::Drill {
        let person = present(directory.governance.as_deref());
        return Addressee { person, role: "governance", unowned: false };
    }
    let charter = context.charter(&upkeep.of, now);
    let reviewer = charter.as_ref().and_then(|charter| charter.fields.owners.reviewer.as_deref());
    if let Some(person) = present(reviewer) {
        return Addressee { person: Some(person), role: "reviewer", unowned: false };
    }
    let found = resolve(charter.as_deref(), context, now, &|_| 0);
    Addressee { person: found.owner, role: "owner", unowned: found.unowned }
}

/// What was due, in words.
fn words<'a>(upkeep: impl ExactSizeIterator<Item = &'a Upkeep> + Clone) -> String {
    let mut all = upkeep.clone();
    if let (1, Some(one)) = (upkeep.len(), all.next()) {
        return format!("the {} of {} was due {}", noun(one.what), one.of, one.due_at);
    }
    let counted =
        UpkeepKind::ALL.map(|what| (what, upkeep.clone().filter(|one| one.what == what).count()));
    let counted = counted.iter().filter(|(_, count)| *count > 0).map(|(what, count)| match count {
        1 => format!("1 {}", noun(*what)),
        _ => format!("{count} {}s", noun(*what)),
    });
    counted.collect::<Vec<_>>().join(", ")
}

const fn noun(what: UpkeepKind) -> &'static str {
    match what {
        UpkeepKind::Review => "review",
        UpkeepKind::Runbook => "runbook check",
        UpkeepKind::Drill => "drill",
    }
}

/// The message that something is overdue.
fn notice(
    addressee: &Addressee,
    fact: &Fact,
    upkeep: &[&Upkeep],
    context: &dyn Context,
) -> Escalation {
    let person = addressee.person.clone();
    let contact =
        |person: &String| message::quiet_contact(context.directory(), person, fact.recorded_at);
    let overdue = words(upkeep.iter().copied());
    let mut notice = blank(fact, Audience::Inform, upkeep, EventAction::Trigger);
    notice.summary = match upkeep.len() {
        1 => format!("overdue: {overdue}"),
        _ => format!("overdue: {overdue}, the first of {}", first(upkeep)),
    };
    notice.channel = person.as_ref().and_then(contact);
    notice.owner.clone_from(&person);
    notice.target = person;
    notice.role = Some(addressee.role.to_owned());
    notice.unowned = addressee.unowned;
    notice.reason = UPKEEP_OVERDUE.to_owned();
    if let (UpkeepKind::Runbook, true) = (upkeep[0].what, upkeep.len() == 1) {
        let charter = context.charter(&upkeep[0].of, fact.recorded_at);
        notice.runbook = charter.and_then(|charter| charter.fields.runbook.clone());
    }
    let named = upkeep.iter().take(NAMED_MAX).map(|one| {
        let last = one.last.map_or("never done".to_owned(), |last| format!("done last {last}"));
        (format!("{} of {}", noun(one.what), one.of), format!("was due {}; {last}", one.due_at))
    });
    notice.custom_details.extend(named);
    notice
}

/// The message that nothing of somebody's is overdue any more.
fn end(fact: &Fact, upkeep: &[&Upkeep]) -> Escalation {
    let mut end = blank(fact, Audience::Status, upkeep, EventAction::Resolve);
    let last = match upkeep {
        [one] => format!("the {} of {}", noun(one.what), one.of),
        _ => words(upkeep.iter().copied()),
    };
    end.summary = format!("nothing is overdue any more; the last was {last}");
    end.reason = UPKEEP_DONE.to_owned();
    end
}

fn first<'a>(upkeep: &[&'a Upkeep]) -> &'a str {
    upkeep.first().map_or("", |one| &one.of)
}

fn blank(
    fact: &Fact,
    audience: Audience,
    upkeep: &[&Upkeep],
    event_action: EventAction,
) -> Escalation {
    let mut names: Vec<String> = upkeep.iter().map(|one| one.of.clone()).collect();
    names.sort();
    names.dedup();
    let affected_count = names.len() as u64;
    names.truncate(NAMED_MAX);
    Escalation {
        subject: first(upkeep).to_owned(),
        component: first(upkeep).to_owned(),
        event_action,
        class: CLASS.to_owned(),
        affected_features: names,
        affected_count,
        ..message::bare(fact, audience, "", "")
    }
}
