//! What became of messages: reported by the deliver stage, and who is reached
//! otherwise where no sink took a page.

use watchkeep_model::incident::FactData;
use watchkeep_model::incident::data::{
    DeliveryOutcome, DeliveryReported, NotificationSkipped, Notified,
};
use watchkeep_model::response::{DELIVERER, Response};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::{Decision, Doing, ON_EXHAUSTED};
use crate::state::DELIVERY_FAILED;

/// How long after every contact of a person has failed they are tried again:
/// an outage of all tools may not cost a page, nor fill the log.
const TRY_AGAIN_AFTER: TimeSpan = TimeSpan::MINUTE.times(5);

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

    /// The same for an incident for which the page of another spoke. Its own
    /// message is spared where the one that goes out now, an incident's by a
    /// channel, speaks for it again.
    pub(crate) fn reach_again(
        &mut self,
        data: &DeliveryReported,
        speaker: Option<&(String, String)>,
        doing: &Doing,
    ) {
        if self.incident.quiet.muted().is_none() {
            self.reach(data, speaker, doing);
        }
    }

    /// A page of an earlier step, or one that somebody has answered since, has
    /// nobody to reach any more.
    fn reach_otherwise(&mut self, data: &DeliveryReported, doing: &Doing) {
        self.reach(data, None, doing);
    }

    fn reach(
        &mut self,
        data: &DeliveryReported,
        speaker: Option<&(String, String)>,
        doing: &Doing,
    ) {
        let Some((target, channel)) = data.target.clone().zip(data.channel.as_ref()) else {
            return;
        };
        let Some(paged) = self.incident.paged.get(&target) else { return };
        if !paged.channels.contains(channel) {
            return;
        }
        let user = self.world.context.directory().user(&target);
        let contacts = user.map_or(&[][..], |user| &user.contacts);
        // What was dropped was not refused: the same channel may take it.
        let next = if data.outcome == DeliveryOutcome::Dropped {
            Some(channel.clone())
        } else {
            let all = contacts.iter().map(|own| format!("{}:{}", own.tool, own.to));
            all.into_iter().find(|contact| !paged.channels.contains(contact))
        };
        let role = paged.role.clone();
        let exhausted = self.incident.exhausted;
        let step = if exhausted { ON_EXHAUSTED } else { &self.incident.entry.step }.to_owned();
        let (climb, repeat_at) = (self.incident.entry.climb, self.incident.repeat_at);
        let doing = doing.at(self.world.now);
        // By another channel of the same round they may have been reached.
        let failed = |one: &String| one == channel || paged.failed.contains(one);
        let is_unreached = paged.channels.iter().all(failed);
        let digest_at = is_unreached.then(|| self.tries_again_at(&target));
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
                carried_by: speaker.filter(|(_, by)| *by == channel).map(|(id, _)| id.clone()),
                step,
                climb,
                target,
                role,
                channel,
                respond_by: self.incident.respond_by(),
                reason: DELIVERY_FAILED.into(),
                repeat_at,
            }),
            (None, _) => FactData::NotificationSkipped(NotificationSkipped {
                step,
                climb,
                target: Some(target),
                role: Some(role),
                reason: format!("{channel} did not take the page, and no other contact is left"),
                repeat_at,
                digest_at,
            }),
        };
        self.record(&doing, data);
    }

    /// When a person is tried again whom no contact reached: with what waits
    /// for them already, else when there is room for a page by then.
    fn tries_again_at(&self, user: &str) -> Timestamp {
        let (pages, soonest) = (self.world.pages, self.world.now + TRY_AGAIN_AFTER);
        if let Some(digest) = pages.digest(user) {
            return digest.due_at.max(self.world.now);
        }
        let rate = self.world.policy.limits.per_owner;
        rate.and_then(|rate| pages.wait(user, rate, soonest)).map_or(soonest, |at| at.max(soonest))
    }
}
