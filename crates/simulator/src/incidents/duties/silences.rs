//! The silences that people asked for, and what each of them means, worked out
//! from its matchers and the facts of the incidents.

use std::collections::BTreeMap;

use watchkeep_model::incident::data::Silenced;
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::matcher::Matcher;
use watchkeep_model::time::Timestamp;

use super::case::{Case, Labels};
use super::wrong;
use crate::simulation::Violation;

/// Silences by identifier.
#[derive(Debug, Default)]
pub(super) struct Silences {
    standing: BTreeMap<String, Silenced>,
    /// Of the commit that is being read: in which order they came is not known.
    fresh: BTreeMap<String, Silenced>,
    /// Pages of that commit that a silence is about.
    pages: Vec<(String, Fact)>,
    pub(super) ended: u64,
}

impl Silences {
    /// Takes in a fact of the chain of silences.
    pub(super) fn follow(&mut self, fact: &Fact) -> Result<(), Violation> {
        match &fact.data {
            FactData::Silenced(data) => {
                let is_known = self.standing.contains_key(&data.silence)
                    || self.fresh.insert(data.silence.clone(), data.clone()).is_some();
                match is_known {
                    true => Err(wrong("a quiet begins once", "there is such a silence", fact)),
                    false => Ok(()),
                }
            }
            FactData::Unsilenced(data) => {
                self.ended += 1;
                let known = self.standing.remove(&data.silence);
                let Some(silence) = known.or_else(|| self.fresh.remove(&data.silence)) else {
                    return Err(wrong("only what has begun ends", "no such silence", fact));
                };
                let expires = data.reason == "expired";
                let in_time =
                    fact.occurred_at == silence.until && fact.recorded_at >= silence.until;
                if expires && !in_time {
                    return Err(wrong("every due_at is answered once", "it was not due", fact));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A page may go out only where no silence is about the incident, whether
    /// or not the incident says that it is under one.
    pub(super) fn note_page(&mut self, case: &Case, fact: &Fact) {
        let over = self.standing.values().find(|one| {
            let is_active = (one.from..one.until).contains(&fact.recorded_at);
            is_active && one.matchers.iter().all(|matcher| matches(matcher, &case.labels, fact))
        });
        self.pages.extend(over.map(|silence| (silence.silence.clone(), fact.clone())));
    }

    /// The commit is read: what it began stands, and what it ended held
    /// nothing back any more.
    pub(super) fn commit(&mut self) -> Result<(), Violation> {
        for (id, fact) in std::mem::take(&mut self.pages) {
            if let Some(silence) = self.standing.get(&id) {
                let why = format!("{silence:?}");
                return Err(wrong("nobody is paged for what is quiet", &why, &fact));
            }
        }
        self.standing.append(&mut self.fresh);
        Ok(())
    }

    /// Whether a silence has not ended.
    pub(super) fn stands(&self, id: &str) -> bool {
        self.standing.contains_key(id)
    }

    /// No silence is left that has ended.
    pub(super) fn end(&self, now: Timestamp) -> Result<(), Violation> {
        match self.standing.values().find(|silence| silence.until <= now) {
            None => Ok(()),
            Some(silence) => {
                let detail = format!("at {now}: {silence:?}");
                Err(Violation::new("nothing that is due is left", detail))
            }
        }
    }
}

/// A matcher of the kinds that are drawn: a text, one with a `*` at its end,
/// or alternatives.
fn matches(matcher: &Matcher, labels: &Labels, fact: &Fact) -> bool {
    let is = |text: &str| match (matcher.is_regex, matcher.value.strip_suffix('*')) {
        (true, _) => matcher.value.split('|').any(|one| one == text),
        (false, Some(start)) => text.starts_with(start),
        (false, None) => matcher.value == text,
    };
    let text = match matcher.name.as_str() {
        "feature" => return labels.features.iter().any(|one| is(one)) == matcher.is_equal,
        "root" | "subject" => labels.root.as_str(),
        "kind" => &labels.kind,
        "policy" => &labels.policy,
        "severity" => labels.severity.name(),
        "owner" => &labels.owner,
        "incident" => &fact.incident_id,
        "unowned" if labels.is_unowned => "true",
        "unowned" => "false",
        "drill" if fact.drill => "true",
        "drill" => "false",
        _ => "",
    };
    is(text) == matcher.is_equal
}
