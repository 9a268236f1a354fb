//! Pages beyond `limits.per_owner`, collected and sent as one message.

use watchkeep_model::escalation::{Audience, Escalation};
use watchkeep_model::incident::FactData;
use watchkeep_model::incident::data::DeliveryOutcome;
use watchkeep_model::response::{DELIVERER, Response};
use watchkeep_model::time::Timestamp;

use super::index::What;
use super::pins::Pin;
use super::{Escalate, Outputs};
use crate::context::Context;
use crate::decide::Doing;
use crate::message::listed_by;
use crate::state::Incident;

/// The detail of a message that lists the other incidents it speaks for.
const DIGEST: &str = "digest";

impl Escalate {
    /// Sends what has been collected for a person: one message, of the worst
    /// incident, that lists the others. Each incident has its own fact.
    pub(super) fn digest_due(
        &mut self,
        user: &str,
        due_at: Timestamp,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let waiting = self.index.pages().digest(user).map(|digest| digest.waiting.clone());
        let waiting = waiting.unwrap_or_default();
        let mut asked: Vec<&Incident> = waiting
            .keys()
            .filter_map(|id| self.incidents.get(id))
            .filter(|one| asks(one) || one.handoff_owed() == Some(user))
            .collect();
        let worst_first = |one: &Incident| (std::cmp::Reverse(one.severity), one.opened_at);
        asked.sort_by(|a, b| worst_first(a).cmp(&worst_first(b)).then_with(|| a.id.cmp(&b.id)));
        let ids: Vec<String> = asked.iter().map(|incident| incident.id.clone()).collect();
        let doing = Doing::system(due_at, "digest");
        let (mut carrier, mut carried): (Option<(String, Vec<String>)>, Vec<String>) =
            (None, Vec::new());
        let mut messages = 0..0;
        for id in ids {
            let Some(waits) = waiting.get(&id) else { continue };
            let from = out.escalations.len();
            let mut told = Vec::new();
            let speaks = carrier.as_ref().map(|(id, channels)| (id.as_str(), channels.as_slice()));
            self.decide(&id, context, now, out, |decision| {
                told = decision.notify_digest(&doing, user, waits, speaks);
            });
            if told.is_empty() {
                continue;
            }
            match carrier {
                None => {
                    messages = from..out.escalations.len();
                    carrier = Some((id, told));
                }
                Some(_) => carried.extend(self.incidents.get(&id).map(in_short)),
            }
        }
        self.index.drop_digest(user);
        self.index.set_due(What::Digest(user.to_owned()), None);
        if let Some(pages) = out.escalations.get_mut(messages) {
            let listed = self.listed_max(carrier.as_ref().map(|(id, _)| id.as_str()), context);
            let pages = pages.iter_mut().filter(|message| message.audience == Audience::Page);
            pages.for_each(|page| list(page, &carried, listed));
        }
    }

    /// The incidents that a message spoke for of which a report tells.
    pub(super) fn carried_by(&self, response: &Response) -> Vec<String> {
        let report = response.delivery.as_ref().filter(|_| response.by == DELIVERER);
        report.map_or_else(Vec::new, |report| self.index.carried_by(&report.escalation))
    }

    /// Where a digest has not reached its person, the pages of those for which
    /// it spoke are still owed: by the next contact, or once more by the same
    /// channel where it was dropped with its own incident. What the message of
    /// that one says now (written from `from` on), else that of the first which
    /// still asks, speaks for the others again.
    pub(super) fn reach_carried(
        &mut self,
        response: &Response,
        carried: &[String],
        from: (usize, usize),
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let Some(report) = response.delivery.as_ref().filter(|_| !carried.is_empty()) else {
            return;
        };
        if !report.unreached && report.outcome != DeliveryOutcome::Dropped {
            return;
        }
        let told = |out: &Outputs, from: usize| {
            out.facts[from..].iter().find_map(|fact| match &fact.data {
                FactData::Notified(data) if data.carried_by.is_none() => {
                    Some((fact.incident_id.clone(), data.channel.clone()))
                }
                _ => None,
            })
        };
        let mut speaker = told(out, from.0);
        let mut messages = from.1..out.escalations.len();
        let mut listed: Vec<String> = Vec::new();
        let doing = Doing::system(now, format!("response {}", response.id()));
        for id in carried {
            // Who was paged since somebody answered was told that it is theirs.
            let asks = |one: &Incident| one.is_open() && !one.resting;
            if !self.incidents.get(id).is_some_and(asks) {
                continue;
            }
            let from = (out.facts.len(), out.escalations.len());
            self.decide(id, context, now, out, |decision| {
                decision.reach_again(report, speaker.as_ref(), &doing);
            });
            let is_carried = out.facts.get(from.0).is_some_and(
                |fact| matches!(&fact.data, FactData::Notified(data) if data.carried_by.is_some()),
            );
            if is_carried {
                listed.extend(self.incidents.get(id).map(in_short));
            } else if speaker.is_none() {
                speaker = told(out, from.0);
                messages = from.1..out.escalations.len();
            }
        }
        let most = self.listed_max(speaker.as_ref().map(|(id, _)| id.as_str()), context);
        if let Some(pages) = out.escalations.get_mut(messages) {
            let pages = pages.iter_mut().filter(|message| message.audience == Audience::Page);
            pages.for_each(|page| list(page, &listed, most));
        }
    }

    fn listed_max(&mut self, id: Option<&str>, context: &dyn Context) -> usize {
        let pin = id.and_then(|id| self.incidents.get(id)).map(Pin::of);
        let listed = pin.map(|pin| listed_by(&self.pinned_policy(&pin, context)));
        listed.unwrap_or(usize::MAX)
    }
}

/// True where a page of the incident is still of use.
fn asks(incident: &Incident) -> bool {
    incident.is_open() && !incident.resting && incident.acknowledged.is_none()
}

fn in_short(incident: &Incident) -> String {
    let (severity, kind) = (incident.severity.name(), incident.kind.name());
    format!("{severity}: {kind} of {} ({})", incident.root, incident.id)
}

fn list(page: &mut Escalation, carried: &[String], listed: usize) {
    if carried.is_empty() {
        return;
    }
    page.summary += &match carried.len() {
        1 => "; and one incident more".to_owned(),
        more => format!("; and {more} incidents more"),
    };
    let mut text = carried.iter().take(listed).cloned().collect::<Vec<_>>().join("; ");
    if carried.len() > listed {
        text += &format!("; and {} more", carried.len() - listed);
    }
    page.custom_details.insert(DIGEST.to_owned(), text);
}
