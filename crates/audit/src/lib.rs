//! Proves an incident log from its lines alone.
//!
//! An auditor should not have to trust the program that is audited. So this
//! crate depends on no other crate of the product: it reads lines as text,
//! knows the formats from their documentation, and holds the rules in tables
//! of its own. What it has in common with the writer is SHA-256.
//!
//! Four things are held against the log, from the outside in:
//! - each line against its own hash ([`mod@line`]),
//! - each incident against its chain ([`chain`]): dense numbers, links,
//! - all facts against anchors ([`anchor`]), which were published elsewhere,
//! - each incident's story against the rules ([`story`]): what may follow
//!   what, deadlines answered once, nobody paged who must not be.
//!
//! The first three find what was altered after it was written; the last one
//! also finds what should never have been written. Whoever can rewrite a whole
//! chain with new hashes is found by anchors alone; `docs/audit.md` says what
//! follows from that.

pub mod anchor;
pub mod chain;
mod deadline;
pub mod line;
mod pending;
pub mod story;
mod time;
mod unique;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::anchor::{Anchor, Anchors};
use crate::chain::Chain;
use crate::line::Line;
use crate::story::Story;

/// Findings that are kept. A log that is broken throughout is not told of
/// line by line; the count goes on.
pub const FINDINGS_MAX: usize = 1_000;

/// Something that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `file:line` or `topic/partition@offset`; where something is missing,
    /// the last fact before it.
    pub at: String,
    /// What was broken.
    pub rule: Rule,
    /// The incident, where the line says one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident_id: Option<String>,
    /// The fact's number in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// What is wrong, in one sentence.
    pub detail: String,
}

/// What a finding breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The line is no fact as it is written.
    Form,
    /// The hash is not that of the line.
    Hash,
    /// A fact is missing, doubled or out of place in its incident.
    Chain,
    /// All facts together are not those that were anchored.
    Anchor,
    /// Times contradict each other.
    Time,
    /// What happened may not follow what happened before.
    State,
    /// A deadline was answered never, twice, or by what does not answer it.
    Deadline,
    /// Somebody was paged who must not be.
    Notification,
    /// A gate was passed without its signatures.
    Gate,
    /// Somebody did what only somebody else may do.
    Actor,
}

impl Rule {
    /// The name that people read.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Hash => "hash",
            Self::Chain => "chain",
            Self::Anchor => "anchor",
            Self::Time => "time",
            Self::State => "state",
            Self::Deadline => "deadline",
            Self::Notification => "notification",
            Self::Gate => "gate",
            Self::Actor => "actor",
        }
    }
}

/// What an audit came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Lines that were read.
    pub facts: u64,
    /// Incidents that were opened.
    pub incidents: u64,
    /// What an anchor of all facts says; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<Anchor>,
    /// Anchors that the log was held against.
    pub anchors: u64,
    /// Facts up to the last anchor that holds; what comes after could be cut
    /// off or replaced without anybody noticing.
    pub anchored: u64,
    /// What is wrong in the order in which it was found.
    pub findings: Vec<Finding>,
    /// How many there are, beyond [`FINDINGS_MAX`] too.
    pub finding_count: u64,
}

/// One incident while its facts are read.
#[derive(Debug)]
struct Incident {
    chain: Chain,
    story: Story,
    last_at: String,
}

/// The audit of a log. Anchors are given first, then every fact in its
/// order, then anchors that came since.
#[derive(Debug, Default)]
pub struct Audit {
    incidents: BTreeMap<String, Incident>,
    anchors: Anchors,
    /// The latest instant at which something was written, and the one before.
    clock: (String, String),
    /// True where facts behind the last anchor are a fault.
    expects_all: bool,
    verdict: Verdict,
}

impl Audit {
    /// Begins without anchors and facts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that the anchors are those of the log's own writer, which leaves
    /// no fact without one.
    pub fn expect_all_anchored(&mut self) {
        self.expects_all = true;
    }

    /// How many facts were given so far.
    pub fn facts(&self) -> u64 {
        self.verdict.facts
    }

    /// Takes an anchor, a line of JSON as it was published. One that is given
    /// after its facts is held against them, too, where they are among the last.
    pub fn anchor(&mut self, at: &str, text: &str) {
        match Anchor::read(text) {
            Ok(anchor) => {
                self.verdict.anchors += 1;
                if let Err(detail) = self.anchors.add(anchor, at) {
                    self.find(at, Rule::Anchor, None, detail);
                }
            }
            Err(detail) => self.find(at, Rule::Form, None, detail),
        }
    }

    /// Takes a fact, the line as it was written without its newline.
    pub fn fact(&mut self, at: &str, text: &str) {
        self.verdict.facts += 1;
        let line = match Line::read(text) {
            Ok(line) => line,
            Err(detail) => return self.no_fact(at, detail),
        };
        if let Some(detail) = line.wrong_hash() {
            self.find(at, Rule::Hash, Some(&line), detail);
        }
        if let Some(detail) = self.anchors.fact(at, &line) {
            self.find(at, Rule::Anchor, Some(&line), detail);
        }
        self.tick(&line.recorded_at);
        let before = self.clock.1.clone();
        let incident = self.incidents.entry(line.incident_id.clone());
        let incident = incident.or_insert_with(|| Incident {
            chain: Chain::default(),
            story: Story::default(),
            last_at: String::new(),
        });
        let mut found: Vec<(Rule, String)> = Vec::new();
        found.extend(incident.chain.follow(&line).map(|detail| (Rule::Chain, detail)));
        incident.story.follow(&line, &before, &mut found);
        at.clone_into(&mut incident.last_at);
        self.verdict.incidents += u64::from(line.fact == "opened");
        for (rule, detail) in found {
            self.find(at, rule, Some(&line), detail);
        }
    }

    /// Takes a record that could not even be made a line.
    pub fn unreadable(&mut self, at: &str, detail: impl Into<String>) {
        self.verdict.facts += 1;
        self.no_fact(at, detail.into());
    }

    fn no_fact(&mut self, at: &str, detail: String) {
        self.anchors.unreadable(at);
        self.find(at, Rule::Form, None, detail);
    }

    /// A clock that was put back, or another machine's that is behind, begins
    /// anew: by it nothing is overdue yet.
    fn tick(&mut self, recorded_at: &str) {
        match recorded_at.cmp(&self.clock.0) {
            Ordering::Less => self.clock = (recorded_at.to_owned(), String::new()),
            Ordering::Greater => {
                self.clock.1 = std::mem::replace(&mut self.clock.0, recorded_at.to_owned());
            }
            Ordering::Equal => {}
        }
    }

    /// What is wrong, once everything was given.
    pub fn finish(mut self) -> Verdict {
        let end = self.clock.0.clone();
        let mut found = Vec::new();
        for (id, incident) in &self.incidents {
            if let Some(detail) = incident.story.unanswered(&end) {
                let detail = format!("{detail}, and the log goes on until {end}");
                found.push(Finding {
                    at: incident.last_at.clone(),
                    rule: Rule::Deadline,
                    incident_id: Some(id.clone()),
                    sequence: Some(incident.chain.sequence()),
                    detail,
                });
            }
        }
        let odd = self
            .anchors
            .missing()
            .or_else(|| self.anchors.unanchored().filter(|_| self.expects_all));
        found.extend(odd.map(|(at, detail)| Finding {
            at,
            rule: Rule::Anchor,
            incident_id: None,
            sequence: None,
            detail,
        }));
        found.into_iter().for_each(|finding| self.keep(finding));
        self.verdict.head = self.anchors.head().cloned();
        self.verdict.anchored = self.anchors.anchored();
        self.verdict
    }

    fn find(&mut self, at: &str, rule: Rule, line: Option<&Line<'_>>, detail: String) {
        self.keep(Finding {
            at: at.to_owned(),
            rule,
            incident_id: line.map(|line| line.incident_id.clone()),
            sequence: line.map(|line| line.sequence),
            detail,
        });
    }

    fn keep(&mut self, finding: Finding) {
        self.verdict.finding_count += 1;
        if self.verdict.findings.len() < FINDINGS_MAX {
            self.verdict.findings.push(finding);
        }
    }
}

/// SHA-256 of a text as lower-case hexadecimal digits.
fn sha256_hex(parts: &[&str]) -> String {
    use sha2::{Digest, Sha256};
    use std::fmt::Write as _;
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part.as_bytes()));
    hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
