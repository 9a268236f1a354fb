//! What has not been looked at for longer than its charter promises.

use watchkeep_model::charter::CharterFields;
use watchkeep_model::document::Located;
use watchkeep_model::time::Timestamp;

use super::{Folder, Found};
use crate::registry::merge;
use crate::registry::upkeep::{Promise, tells_review, tells_runbook};

/// Checks against the instant `now`.
pub(super) fn check(folder: &Folder<'_>, now: Timestamp, found: &mut Found) {
    let index = &folder.registry.index;
    let subjects = index.exact().chain(index.patterns()).map(|(subject, _)| subject);
    for subject in subjects {
        // The folder as it holds now; what comes into force later is young.
        let numbers = index.matching(subject, now);
        let documents: Vec<_> = numbers.iter().map(|&number| &index.documents[number]).collect();
        let is_own = |tells: fn(&CharterFields) -> bool| {
            let mut own = documents.iter().take_while(|document| document.subject == subject);
            own.any(|document| tells(&document.fields))
        };
        let (of_review, of_runbook) = (is_own(tells_review), is_own(tells_runbook));
        if !of_review && !of_runbook {
            continue;
        }
        let fields = merge::merge(&documents);
        let place = |is_set: fn(&CharterFields) -> bool| {
            let says = documents.iter().position(|document| is_set(&document.fields));
            &folder.charters[numbers[says.unwrap_or(0)]]
        };
        if let Some(promise) = Promise::of_review(&fields).filter(|_| of_review) {
            review(&promise, &place, now, found);
        }
        let dated = of_runbook && fields.runbook_reviewed_at.is_some();
        if let Some(promise) = Promise::of_runbook(&fields).filter(|_| dated) {
            runbook(&promise, &place, now, found);
        }
    }
}

/// The document that says a field, which is where a finding points.
type Place<'p, 'f> = dyn Fn(fn(&CharterFields) -> bool) -> &'f Located<()> + 'p;

fn review(promise: &Promise, place: &Place<'_, '_>, now: Timestamp, found: &mut Found) {
    const RULE: &str = "stale_review";
    let every = promise.every;
    if let Some(at) = promise.last.filter(|at| *at > now) {
        let message = format!("was reviewed {at}, which is still to come");
        let hint = Some("write the day of the last review".to_owned());
        let place = place(|fields| fields.reviewed_at.is_some());
        found.warning(place, "reviewed_at", RULE, message, hint);
    } else if promise.is_overdue(now) {
        let due = promise.due_at.map(|due| due.to_string()).unwrap_or_default();
        if let Some(at) = promise.last {
            let message = format!("was reviewed {at}; the next review was due {due}");
            let hint = Some(format!("it is reviewed every {every}"));
            let place = place(|fields| fields.reviewed_at.is_some());
            found.warning(place, "reviewed_at", RULE, message, hint);
        } else {
            let due = if due.is_empty() { due } else { format!("; the first was due {due}") };
            let message = format!("is to be reviewed every {every} and never was{due}");
            let hint = Some("review it and write `reviewed_at`".to_owned());
            let place = place(|fields| fields.review_every.is_some());
            found.warning(place, "review_every", RULE, message, hint);
        }
    }
}

fn runbook(promise: &Promise, place: &Place<'_, '_>, now: Timestamp, found: &mut Found) {
    let (Some(at), Some(due)) = (promise.last, promise.due_at) else { return };
    let (message, hint) = if at > now {
        let message = format!("the runbook was checked {at}, which is still to come");
        (message, "write the day of the last check")
    } else if promise.is_overdue(now) {
        let message = format!("the runbook was checked {at}; the next check was due {due}");
        (message, "follow it once, mend it, and write the day")
    } else {
        return;
    };
    let place = place(|fields| fields.runbook_reviewed_at.is_some());
    let hint = Some(hint.to_owned());
    found.warning(place, "runbook_reviewed_at", "stale_runbook", message, hint);
}
