//! Digests on their way: which incidents a message speaks for besides its own,
//! until it is known what became of it. Where nobody got it, or it was dropped
//! because its own incident is over, the others' pages are still owed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use watchkeep_model::incident::data::{DeliveryOutcome, DeliveryReported, Notified};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::time::Timestamp;

use crate::message;
use crate::state::DELIVERY_FAILED;
use crate::state::quiet::DIGEST;

/// Messages that are waited for. Beyond it the oldest is taken as delivered.
const WAITED_FOR_MAX: usize = 1_000;

/// A message: incident, person, channel and instant.
type Message = (String, String, String, Timestamp);

/// Messages that may speak for several incidents. Facts of several incidents
/// of one commit may be read again in any order.
#[derive(Clone, Debug, Default)]
pub(super) struct Digests {
    /// By identifier.
    messages: BTreeMap<String, Message>,
    carried: BTreeMap<Message, BTreeSet<String>>,
    order: VecDeque<String>,
}

impl Digests {
    /// The incidents that a message speaks for besides its own.
    pub(super) fn carried_by(&self, escalation: &str) -> Vec<String> {
        let carried = self.messages.get(escalation).and_then(|of| self.carried.get(of));
        carried.map(|ids| ids.iter().cloned().collect()).unwrap_or_default()
    }

    pub(super) fn note(&mut self, fact: &Fact) {
        match &fact.data {
            FactData::Notified(data) if [DIGEST, DELIVERY_FAILED].contains(&&*data.reason) => {
                self.page(fact, data);
            }
            FactData::DeliveryReported(data) if is_settled(data) => self.forget(&data.escalation),
            _ => {}
        }
    }

    fn page(&mut self, fact: &Fact, data: &Notified) {
        let carrier = data.carried_by.as_ref().unwrap_or(&fact.incident_id).clone();
        let (target, channel) = (data.target.clone(), data.channel.clone());
        let message = (carrier, target, channel, fact.recorded_at);
        if data.carried_by.is_some() {
            self.carried.entry(message).or_default().insert(fact.incident_id.clone());
            return;
        }
        let escalation =
            message::page_id(&fact.incident_id, fact.sequence, &data.target, &data.channel);
        self.messages.insert(escalation.clone(), message);
        self.order.push_back(escalation);
        if self.order.len() > WAITED_FOR_MAX
            && let Some(oldest) = self.order.front().cloned()
        {
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, escalation: &str) {
        if let Some(message) = self.messages.remove(escalation) {
            self.carried.remove(&message);
            self.order.retain(|known| known != escalation);
        }
    }
}

/// True where nothing more is heard of a message, or it has arrived.
fn is_settled(data: &DeliveryReported) -> bool {
    data.unreached || data.outcome != DeliveryOutcome::Failed
}
