//! What has not been looked at for longer than its charter promises.

use watchkeep_model::charter::CharterFields;
use watchkeep_model::time::Timestamp;

use super::{Folder, Found};

/// Checks against the instant `now`.
pub(super) fn check(folder: &Folder<'_>, now: Timestamp, found: &mut Found) {
    let index = &folder.registry.index;
    let subjects = index.exact().chain(index.patterns()).map(|(subject, _)| subject);
    for subject in subjects {
        // The folder as it holds now; what comes into force later is young.
        let documents = index.matching(subject, now);
        let fields = || documents.iter().map(|&number| (number, &index.documents[number].fields));
        fn first<'f, T>(
            mut fields: impl Iterator<Item = (usize, &'f CharterFields)>,
            get: impl Fn(&'f CharterFields) -> Option<&'f T>,
        ) -> Option<(usize, &'f T)> {
            fields.find_map(|(number, fields)| get(fields).map(|value| (number, value)))
        }
        let Some((asks, every)) = first(fields(), |fields| fields.review_every.as_ref()) else {
            continue;
        };
        let reviewed = first(fields(), |fields| fields.reviewed_at.as_ref());
        match reviewed {
            None => {
                let message = format!("is to be reviewed every {every} and never was");
                let hint = Some("review it and write `reviewed_at`".to_owned());
                let place = &folder.charters[asks];
                found.warning(place, "review_every", "stale_review", message, hint);
            }
            Some((number, at)) if *at > now => {
                let message = format!("was reviewed {at}, which is still to come");
                let hint = Some("write the day of the last review".to_owned());
                let place = &folder.charters[number];
                found.warning(place, "reviewed_at", "stale_review", message, hint);
            }
            Some((number, at)) if *at + *every < now => {
                let due = *at + *every;
                let message = format!("was reviewed {at}; the next review was due {due}");
                let hint = Some(format!("it is reviewed every {every}"));
                let place = &folder.charters[number];
                found.warning(place, "reviewed_at", "stale_review", message, hint);
            }
            Some(_) => {}
        }
        let runbook = first(fields(), |fields| fields.runbook.as_ref());
        let looked_at = first(fields(), |fields| fields.runbook_reviewed_at.as_ref());
        if let (Some(_), Some((dated, at))) = (runbook, looked_at)
            && *at > now
        {
            let message = format!("the runbook was checked {at}, which is still to come");
            let hint = Some("write the day of the last check".to_owned());
            let place = &folder.charters[dated];
            found.warning(place, "runbook_reviewed_at", "stale_runbook", message, hint);
        } else if let (Some(_), Some((dated, at))) = (runbook, looked_at)
            && *at + *every < now
        {
            let due = *at + *every;
            let message = format!("the runbook was checked {at}; the next check was due {due}");
            let hint = Some("follow it once, mend it, and write the day".to_owned());
            let place = &folder.charters[dated];
            found.warning(place, "runbook_reviewed_at", "stale_runbook", message, hint);
        }
    }
}
