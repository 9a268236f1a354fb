//! Commands about charters on their way from the responses topic to the
//! charters topic.
//!
//! What a command leads to is one transaction with the position behind it, so
//! a crash decides nothing twice. Each fact that decides something names the
//! one before it, by its offset; so the next command waits until the topic
//! shows what came of this one.

use watchkeep_incident::registry::publications::Taken;
use watchkeep_incident::registry::publications::decide::{self, Forbidden, cause_of};
use watchkeep_model::response::Response;
use watchkeep_model::revision::Revision;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_wire::fact::FactEncoding;
use watchkeep_wire::yaml;

use super::EscalateStage;
use crate::log::{Log, LogError, Outgoing};
use crate::outgoing;
use crate::rules::Rules;
use crate::stage::StageError;
use crate::topics::Topics;

/// Time between two looks for what was committed: Kafka shows a transaction a
/// little after it took place.
pub(super) const LOOK_EVERY: TimeSpan = TimeSpan::from_micros(20_000);

/// How long what was committed may not be seen. Past it a new session begins:
/// a transaction of somebody else on the topic does not end.
const UNSEEN_MAX: TimeSpan = TimeSpan::SECOND.times(30);

/// Why nothing is decided where charters are files.
const OF_FOLDER: &str = "charters come from a folder here: change its files, or set charters.source \
                         to topic and publish it";

/// A command that was committed, until its facts are read.
#[derive(Clone, Debug)]
pub(super) struct Unseen {
    cause: String,
    since: Timestamp,
}

/// What decides about charters.
pub(super) struct Desk<'a> {
    pub(super) rules: &'a Rules,
    pub(super) pane: TimeSpan,
}

/// What came of a command.
#[derive(Debug, Default)]
pub(super) struct Asked {
    revisions: Vec<Revision>,
    /// The rule that forbids it.
    pub(super) rule: Option<String>,
}

impl Desk<'_> {
    /// Decides a command, or passes over one that was decided before.
    pub(super) fn take(&self, response: &Response, now: Timestamp) -> Asked {
        let Some((publications, registry)) = self.rules.publications() else {
            return Asked { rule: Some(OF_FOLDER.into()), ..Asked::default() };
        };
        if publications.outcome(&cause_of(response)) == Some(Taken::Yes) {
            return Asked::default();
        }
        let desk =
            decide::Desk { publications: &publications, registry: &registry, pane: self.pane };
        match desk.decide(response, yaml::proposed_by(response), now) {
            Ok(decided) => Asked { revisions: decided.revisions, rule: None },
            Err(Forbidden::Fault(rule)) => Asked { rule: Some(rule), ..Asked::default() },
            Err(Forbidden::Rule(rule)) => {
                let refusal = desk.refusal(response, &rule, now);
                Asked { revisions: vec![refusal], rule: Some(rule) }
            }
        }
    }
}

impl Asked {
    /// The facts as records.
    pub(super) fn records(&self, topics: &Topics, encoding: FactEncoding) -> Vec<Outgoing> {
        let record = |fact| outgoing::revision(&topics.charters, fact, encoding);
        self.revisions.iter().map(record).collect()
    }

    /// What the topic has to show before the next command is decided.
    pub(super) fn unseen(&self, now: Timestamp) -> Option<Unseen> {
        let cause = self.revisions.iter().find_map(|fact| fact.cause.clone())?;
        Some(Unseen { cause, since: now })
    }
}

impl EscalateStage {
    /// True where everything that was committed about charters is read.
    pub(super) fn look_for_unseen(
        &mut self,
        log: &mut dyn Log,
        now: Timestamp,
    ) -> Result<bool, StageError> {
        let Some(unseen) = &self.unseen else { return Ok(true) };
        crate::stage::follow(&self.rules, log)?;
        self.followed_at = Some(now);
        let outcome = self.rules.publications().and_then(|(known, _)| known.outcome(&unseen.cause));
        if outcome.is_some() {
            self.unseen = None;
        } else if now.since(unseen.since) > UNSEEN_MAX {
            let why = "what was committed about charters cannot be read".to_owned();
            return Err(LogError::Unavailable(why).into());
        }
        Ok(self.unseen.is_none())
    }
}
