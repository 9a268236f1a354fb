//! The charters topic at the command line: read it, decide, write what follows.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::Value;
use watchkeep_incident::registry::Registry;
use watchkeep_incident::registry::publications::{Difference, Publications, Taken, decide};
use watchkeep_incident::schedule::typed_user;
use watchkeep_model::identifier::derived;
use watchkeep_model::json;
use watchkeep_model::response::Response;
use watchkeep_model::revision::{PublicationSize, Revision, RevisionKind};
use watchkeep_model::time::Timestamp;
use watchkeep_runtime::log::{LogError, Outgoing};
use watchkeep_runtime::outgoing;
use watchkeep_runtime::rules::Rules;
use watchkeep_runtime::topics::Topics;

use crate::cli::{Configured, Doing};
use crate::config::Config;
use crate::output::complain;
use crate::responses::OUTRUN;
use crate::service::clock;
use crate::store::{Reader, Store};
use crate::{charters, retention};

/// The topic as it is, and a way to write to it.
pub(super) struct Desk {
    pub(super) config: Config,
    pub(super) publications: Arc<Publications>,
    pub(super) registry: Arc<Registry>,
    store: Store,
    rules: Rules,
    topics: Topics,
}

/// The topic as it is, for who only reads.
pub(super) struct Known {
    pub(super) config: Config,
    pub(super) publications: Arc<Publications>,
    pub(super) registry: Arc<Registry>,
}

impl Known {
    /// Reads the topic of the configured log, through the service where it
    /// holds the embedded one.
    ///
    /// # Errors
    /// The configuration, the log, a record that is none of ours.
    pub(super) fn read(configured: &Configured) -> anyhow::Result<Self> {
        let config = Config::load_required(configured.file.as_deref())?;
        let mut reader = Store::reader_or_service(&config)?;
        let topics = Topics::new(&config.topics.prefix, &config.topics.telemetry);
        require(&topics, &mut reader)?;
        let rules = charters::of_topic(&config);
        charters::follow(&rules, &mut reader)?;
        let (publications, registry) =
            rules.publications().unwrap_or_else(|| (Arc::default(), rules.registry()));
        Ok(Self { config, publications, registry })
    }
}

/// # Errors
/// One of the topics of charters is not there.
fn require(topics: &Topics, reader: &mut Reader) -> anyhow::Result<()> {
    for topic in [&topics.charters, &topics.policies] {
        if reader.partition_count(topic)? == 0 {
            return Err(LogError::NoTopic(topic.to_string()).into());
        }
    }
    Ok(())
}

/// A desk, or who has the log.
pub(super) enum Held {
    /// Nobody else.
    No(Box<Desk>),
    /// A service that may be asked, and what the log says.
    ByOther(Box<Config>, String),
}

/// Who writes, when and why.
#[derive(Clone)]
pub(super) struct Act {
    pub(super) by: String,
    pub(super) at: Timestamp,
    pub(super) rationale: Option<String>,
    pub(super) ticket: Option<String>,
    pub(super) effective_from: Option<Timestamp>,
    /// Who agreed to it, `user:…`.
    pub(super) approved_by: BTreeSet<String>,
}

impl Act {
    pub(super) fn of(doing: &Doing) -> Self {
        let by = somebody(&doing.by);
        let rationale = doing.rationale.clone().filter(|text| !text.trim().is_empty());
        Self {
            by,
            at: clock::now(),
            rationale,
            ticket: None,
            effective_from: None,
            approved_by: BTreeSet::new(),
        }
    }

    /// A fact of this act.
    pub(super) fn fact(&self, kind: RevisionKind, publication: &str, name: &str) -> Revision {
        Revision {
            publication: publication.to_owned(),
            kind,
            name: name.to_owned(),
            at: self.at,
            by: self.by.clone(),
            effective_from: None,
            base: None,
            change_ticket: self.ticket.clone(),
            rationale: self.rationale.clone(),
            cause: None,
            content: Value::Null,
        }
    }
}

/// A person's name with its type.
pub(super) fn somebody(name: &str) -> String {
    if name.contains(':') { name.to_owned() } else { typed_user(name) }
}

impl Desk {
    /// Opens the configured log and reads the topic.
    ///
    /// # Errors
    /// The configuration, the log, a record that is none of ours.
    pub(super) fn open(configured: &Configured) -> anyhow::Result<Self> {
        let config = Config::load_required(configured.file.as_deref())?;
        match Self::of(config)? {
            Held::No(desk) => Ok(*desk),
            Held::ByOther(_, why) => {
                bail!(
                    "{why}: stop the service that has the embedded log, publish, and start it \
                     again; while it runs `watchkeep charters propose` and `approve` change \
                     charters through it"
                )
            }
        }
    }

    /// The same, where nobody else holds the log.
    ///
    /// # Errors
    /// The log, a record that is none of ours.
    pub(super) fn of(config: Config) -> anyhow::Result<Held> {
        let opened = Store::open(&config);
        if let Err(LogError::Fatal(why)) = &opened
            && why.contains("another process holds it")
        {
            return Ok(Held::ByOther(Box::new(config), why.clone()));
        }
        let store = opened?;
        let topics = Topics::new(&config.topics.prefix, &config.topics.telemetry);
        require(&topics, &mut store.reader()?)?;
        let rules = charters::of_topic(&config);
        let publications = Arc::default();
        let registry = rules.registry();
        let mut desk = Self { config, publications, registry, store, rules, topics };
        desk.refresh()?;
        Ok(Held::No(Box::new(desk)))
    }

    /// What decides commands.
    pub(super) fn rules(&self) -> decide::Desk<'_> {
        let pane = self.config.time.pane;
        decide::Desk { publications: &self.publications, registry: &self.registry, pane }
    }

    fn refresh(&mut self) -> anyhow::Result<()> {
        charters::follow(&self.rules, &mut self.store.reader()?)?;
        if let Some((publications, registry)) = self.rules.publications() {
            (self.publications, self.registry) = (publications, registry);
        }
        Ok(())
    }

    /// Refuses somebody who is not in the directory or has left.
    ///
    /// # Errors
    /// Why they may not act.
    pub(super) fn known(&self, registry: &Registry, by: &str) -> Result<(), String> {
        watchkeep_incident::decide::respond::stranger(registry, by).map_or(Ok(()), Err)
    }

    /// Publishes differences, all or none. Answers with the identifier.
    ///
    /// # Errors
    /// Those of the log; somebody else decided something meanwhile.
    pub(super) fn publish(
        &mut self,
        differences: &[Difference],
        act: &Act,
        proposal: Option<&str>,
    ) -> anyhow::Result<String> {
        let base = self.publications.head();
        let content: Vec<String> = differences.iter().map(|d| json::to_line(&d.after)).collect();
        let id = match proposal {
            Some(proposal) => proposal.to_owned(),
            None => derived(&[
                "publication",
                &base.to_string(),
                &act.at.to_string(),
                &act.by,
                &content.join("\n"),
            ]),
        };
        let stamp = self.publications.stamp(act.effective_from, act.at);
        let revisions = differences.iter().map(|difference| Revision {
            effective_from: stamp.filter(|_| difference.kind != RevisionKind::Policy),
            content: difference.after.clone(),
            ..act.fact(difference.kind, &id, &difference.name)
        });
        let (policies, mut facts): (Vec<_>, Vec<_>) =
            revisions.partition(|fact| fact.kind == RevisionKind::Policy);
        let size = PublicationSize {
            charters: facts.len() as u64,
            policies: policies.len() as u64,
            approved_by: act.approved_by.clone(),
        };
        facts.push(Revision {
            content: serde_json::to_value(size).unwrap_or_default(),
            ..act.fact(RevisionKind::Publication, &id, &id)
        });
        self.append(&self.topics.policies.clone(), policies)?;
        self.append(&self.topics.charters.clone(), facts)?;
        self.refresh()?;
        let last = self.publications.all().last();
        if last.is_none_or(|last| last.head.publication != id) {
            bail!("{OUTRUN}");
        }
        self.hold()?;
        Ok(id)
    }

    fn hold(&self) -> anyhow::Result<()> {
        for topic in retention::hold(&self.config.topics, &self.store, &self.registry)? {
            complain(&format!("{topic} is kept for longer: a charter says `driver: regulatory`"));
        }
        Ok(())
    }

    /// Writes what a command led to.
    ///
    /// # Errors
    /// Those of the log; somebody else decided something meanwhile.
    pub(super) fn take(&mut self, response: &Response, facts: Vec<Revision>) -> anyhow::Result<()> {
        self.append(&self.topics.charters.clone(), facts)?;
        self.refresh()?;
        if self.publications.outcome(&decide::cause_of(response)) == Some(Taken::Outrun) {
            bail!("{OUTRUN}");
        }
        self.hold()
    }

    /// Keeps that something was forbidden, and by which rule.
    ///
    /// # Errors
    /// Those of the log.
    pub(super) fn refuse(
        &mut self,
        act: &Act,
        (command, name): (&str, &str),
        rule: &str,
    ) -> anyhow::Result<()> {
        let content = serde_json::json!({"command": command, "rule": rule});
        let fact = act.fact(RevisionKind::Refusal, name, name);
        self.append(&self.topics.charters.clone(), vec![Revision { content, ..fact }])?;
        self.refresh()
    }

    fn append(&mut self, topic: &Arc<str>, facts: Vec<Revision>) -> anyhow::Result<()> {
        if facts.is_empty() {
            return Ok(());
        }
        let base = self.publications.head();
        let mut appender = self.store.appender()?;
        for mut fact in facts {
            fact.base = fact.kind.is_head().then_some(base);
            let record: Outgoing =
                outgoing::revision(topic, &fact, self.config.topics.encoding.of_facts());
            appender.append(record, None).with_context(|| topic.to_string())?;
        }
        appender.flush().with_context(|| topic.to_string())
    }
}
