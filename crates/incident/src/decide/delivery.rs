//! What became of messages: reported by the deliver stage, and who is reached
//! otherwise where no sink took a page.

use watchkeep_model::incident::FactData;
use watchkeep_model::incident::data::{DeliveryReported, NotificationSkipped, Notified};
use watchkeep_model::response::{DELIVERER, Response};

use super::{Decision, Doing, ON_EXHAUSTED};
use crate::state::DELIVERY_FAILED;

impl Decision<'_> {
    /// Records a report, and tries the person's next contact where it says
    /// that a page has not reached them.
    pub(crate) fn report_delivery(
        &mut self,
        response: &Response,
        doing: &Doing,
    ) -> Result<(), String> {
        if response.by != DELIVERER {
            return Err("only the deliver stage reports deliveries".into());
        }
        let data = response.delivery.clone().ok_or("a report says what became of which message")?;
        self.record(doing, FactData::DeliveryReported(data.clone()));
        let asks = self.incident.is_open() && !self.incident.resting;
        // What ends the quiet pages anew where it is still true.
        if data.unreached && asks && self.incident.quiet.muted().is_none() {
            self.reach_otherwise(&data, doing);
        }
        Ok(())
    }

    /// A page of an earlier step, or one that somebody has answered since, has
    /// nobody to reach any more.
    fn reach_otherwise(&mut self, data: &DeliveryReported, doing: &Doing) {
        let Some((target, channel)) = data.target.clone().zip(data.channel.as_ref()) else {
            return;
        };
        let Some(paged) = self.incident.paged.get(&target) else { return };
        if !paged.channels.contains(channel) {
            return;
        }
        let user = self.world.context.directory().user(&target);
        let contacts = user.map_or(&[][..], |user| &user.contacts);
        let next = contacts
            .iter()
            .map(|own| format!("{}:{}", own.tool, own.to))
            .find(|contact| !paged.channels.contains(contact));
        let role = paged.role.clone();
        let exhausted = self.incident.exhausted;
        let step = if exhausted { ON_EXHAUSTED } else { &self.incident.entry.step }.to_owned();
        let (climb, repeat_at) = (self.incident.entry.climb, self.incident.repeat_at);
        let doing = doing.at(self.world.now);
        // Another channel is another page: what holds pages back holds it too.
        let held = self.incident.quiet.holds(&self.incident.entry_reason);
        let data = match (next, held) {
            (Some(_), Some(why)) => FactData::NotificationSkipped(NotificationSkipped {
                step,
                climb,
                target: Some(target),
                role: Some(role),
                reason: why.to_owned(),
                repeat_at,
                digest_at: None,
            }),
            (Some(channel), None) => FactData::Notified(Notified {
                step,
                climb,
                target,
                role,
                channel,
                respond_by: self.incident.respond_by(),
                reason: DELIVERY_FAILED.into(),
                repeat_at,
                carried_by: None,
            }),
            (None, _) => FactData::NotificationSkipped(NotificationSkipped {
                step,
                climb,
                target: Some(target),
                role: Some(role),
                reason: format!("{channel} did not take the page, and no other contact is left"),
                repeat_at,
                digest_at: None,
            }),
        };
        self.record(&doing, data);
    }
}
