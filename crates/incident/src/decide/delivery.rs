//! What became of messages: reported by the deliver stage, and who is reached
//! otherwise where no sink took a page.

use watchkeep_model::incident::FactData;
use watchkeep_model::incident::data::{
    DeliveryOutcome, DeliveryReported, NotificationSkipped, Notified,
};
use watchkeep_model::response::{DELIVERER, Response};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::{Decision, Doing};
use crate::message::page_id;
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
        // A page that was dropped is the present one or has been followed by
        // another, while one that failed says something of its channel.
        let stands = data.outcome != DeliveryOutcome::Dropped || self.is_latest(&data);
        if data.unreached && asks && stands {
            self.reach(&data, None, doing);
        }
        Ok(())
    }

    /// True where no later message went to the person by the same channel.
    fn is_latest(&self, data: &DeliveryReported) -> bool {
        let Some((target, channel)) = data.target.as_ref().zip(data.channel.as_ref()) else {
            return false;
        };
        let paged = self.incident.paged.get(target).and_then(|paged| paged.channels.get(channel));
        paged.is_some_and(|number| {
            page_id(&self.incident.id, *number, target, channel) == data.escalation
        })
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
        self.reach(data, speaker, doing);
    }

    /// Records whom a page that reached nobody goes to next. A page that was
    /// sent before the present step, or before somebody answered, has nobody to
    /// reach any more; a digest tells of a step that may have been left by then,
    /// and so does what takes its place. Under a quiet it is held back like any
    /// other: what ends that pages anew where it is still true. One that a sink
    /// did not take is not, where another channel has told them.
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
        if !paged.channels.contains_key(channel) {
            return;
        }
        // It is somebody else's by now.
        if paged.is_handoff && self.incident.owner.as_ref() != Some(&target) {
            return;
        }
        let user = self.world.context.directory().user(&target);
        let contacts = user.map_or(&[][..], |user| &user.contacts);
        // What was dropped was not refused: the same channel may take it.
        let next = if data.outcome == DeliveryOutcome::Dropped {
            Some(channel.clone())
        } else {
            let all = contacts.iter().map(|own| format!("{}:{}", own.tool, own.to));
            all.into_iter().find(|contact| !paged.channels.contains_key(contact))
        };
        let (role, step, climb) = (paged.role.clone(), paged.step.clone(), paged.climb);
        let handoff = paged.is_handoff;
        let repeat_at = self.incident.repeats_at();
        let doing = doing.at(self.world.now);
        // By another channel of the same round they may have been reached.
        let failed = |one: &String| one == channel || paged.failed.contains(one);
        let is_unreached = paged.channels.keys().all(failed);
        let digest_at = is_unreached.then(|| self.tries_again_at(&target));
        // Another channel is another page: what holds pages back holds it too.
        let quiet = &self.incident.quiet;
        // No quiet held back what a sink did not take: another channel will do.
        // Whose an incident is one channel has told for all.
        let is_dropped = data.outcome == DeliveryOutcome::Dropped;
        let is_held = is_unreached || is_dropped && !handoff;
        if quiet.muted().is_some() && !is_held {
            return;
        }
        let held = match next {
            Some(_) if !handoff => quiet.holds(&self.incident.entry_reason),
            _ => quiet.muted(),
        };
        let data = match (next, held) {
            (_, Some(why)) => FactData::NotificationSkipped(NotificationSkipped {
                step,
                climb,
                target: Some(target),
                role: Some(role),
                reason: why.to_owned(),
                repeat_at,
                digest_at: None,
                handoff,
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
            (None, None) => FactData::NotificationSkipped(NotificationSkipped {
                step,
                climb,
                target: Some(target),
                role: Some(role),
                reason: format!("{channel} did not take the page, and no other contact is left"),
                repeat_at,
                digest_at,
                handoff: handoff && is_unreached,
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
