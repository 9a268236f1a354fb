//! Anchors: how many facts there were at some time, and a hash over all of
//! them in the order of their writer. One that is kept elsewhere shows whether
//! the log was cut or written anew since.
//!
//! The hash after fact n is SHA-256 of the hexadecimal digits of the hash
//! after fact n − 1 followed by those of fact n's own; before the first fact
//! it is the empty text.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use serde_json::Value;

use crate::line::{Line, is_hash};
use crate::sha256_hex;

/// What was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Anchor {
    /// Facts up to here.
    pub facts: u64,
    /// When the last of them was written.
    pub recorded_at: String,
    /// The incident of the last of them.
    pub incident_id: String,
    /// The last one's number in it.
    pub sequence: u64,
    /// Hash over all of them.
    pub hash: String,
}

impl Anchor {
    /// Reads an anchor, a JSON object.
    ///
    /// # Errors
    /// What makes it none, in one sentence.
    pub fn read(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| format!("the anchor is no JSON: {error}"))?;
        let number = |name: &str| {
            value.get(name).and_then(Value::as_u64).ok_or(format!("the anchor has no `{name}`"))
        };
        let text = |name: &str| {
            let text = value.get(name).and_then(Value::as_str);
            text.map(str::to_owned).ok_or(format!("the anchor has no `{name}`"))
        };
        let anchor = Self {
            facts: number("facts")?,
            recorded_at: text("recorded_at")?,
            incident_id: text("incident_id")?,
            sequence: number("sequence")?,
            hash: text("hash")?,
        };
        match is_hash(&anchor.hash) && anchor.facts > 0 {
            true => Ok(anchor),
            false => Err("the anchor's `hash` is no hash, or it is of no fact".to_owned()),
        }
    }
}

/// Facts behind the last anchor whose hashes are kept for anchors that are
/// given later. One that is of an earlier fact is passed over then.
const HEADS_MAX: usize = 10_000;

/// The anchors of a log, and the hash over its facts so far.
#[derive(Debug, Default)]
pub struct Anchors {
    /// By how many facts they are of, with where they stand.
    known: BTreeMap<u64, (Anchor, String)>,
    facts: u64,
    hash: String,
    /// What an anchor of all facts so far says.
    head: Option<Anchor>,
    /// What anchors of the facts since the last one say, where each stands.
    heads: VecDeque<(Anchor, String)>,
    anchored: u64,
    /// Where the first fact after the last anchor that holds stands.
    since: Option<String>,
    last_at: String,
    /// True once an anchor did not hold: none after it can.
    is_broken: bool,
}

impl Anchors {
    /// Takes an anchor.
    ///
    /// # Errors
    /// Another one of as many facts says something else.
    pub fn add(&mut self, anchor: Anchor, at: &str) -> Result<(), String> {
        if let Some((other, where_to)) = self.known.get(&anchor.facts) {
            if *other != anchor {
                return Err(format!(
                    "this anchor and that at {where_to} are both of {} and differ",
                    counted(anchor.facts)
                ));
            }
            return Ok(());
        }
        if anchor.facts > self.anchored && anchor.facts <= self.facts && !self.is_broken {
            self.hold(&anchor)?;
        }
        self.known.insert(anchor.facts, (anchor, at.to_owned()));
        Ok(())
    }

    /// Takes the next fact; tells which anchor does not hold, once.
    pub fn fact(&mut self, at: &str, line: &Line<'_>) -> Option<String> {
        self.hash = sha256_hex(&[&self.hash, line.hash]);
        self.count(at);
        let head = Anchor {
            facts: self.facts,
            recorded_at: line.recorded_at.clone(),
            incident_id: line.incident_id.clone(),
            sequence: line.sequence,
            hash: self.hash.clone(),
        };
        self.heads.push_back((head.clone(), at.to_owned()));
        if self.heads.len() > HEADS_MAX {
            self.heads.pop_front();
        }
        let head = self.head.insert(head);
        let (anchor, where_to) = self.known.get(&self.facts)?;
        if anchor == head {
            self.heads.clear();
            self.anchored = self.facts;
            self.since = None;
            return None;
        }
        let first = self.since.clone().unwrap_or_default();
        let detail = format!(
            "{} from {first} to here, and the anchor at {where_to} is of others",
            counted(self.facts - self.anchored)
        );
        (!std::mem::replace(&mut self.is_broken, true)).then_some(detail)
    }

    /// Checks an anchor of facts that were given before it.
    fn hold(&mut self, anchor: &Anchor) -> Result<(), String> {
        let Some(place) = self.heads.iter().position(|(head, _)| head.facts == anchor.facts) else {
            return Ok(());
        };
        if self.heads[place].0 != *anchor {
            self.is_broken = true;
            let first = self.since.clone().unwrap_or_default();
            return Err(format!(
                "the facts from {first} to {} are not those of this anchor",
                self.heads[place].1
            ));
        }
        self.heads.drain(..=place);
        self.anchored = anchor.facts;
        self.since = self.heads.front().map(|(_, at)| at.clone());
        Ok(())
    }

    /// Counts a line that cannot be read; no anchor after it holds.
    pub fn unreadable(&mut self, at: &str) {
        self.hash = sha256_hex(&[&self.hash, "unreadable"]);
        self.count(at);
    }

    fn count(&mut self, at: &str) {
        self.facts += 1;
        self.since.get_or_insert_with(|| at.to_owned());
        at.clone_into(&mut self.last_at);
    }

    /// Where the log ends and why it should not.
    pub fn missing(&self) -> Option<(String, String)> {
        let (most, (anchor, where_to)) = self.known.last_key_value()?;
        (*most > self.facts).then(|| {
            let detail = format!(
                "the log ends after {} facts; the anchor at {where_to} is of {most}, the last of them fact {} of {}",
                self.facts, anchor.sequence, anchor.incident_id
            );
            let at = if self.last_at.is_empty() { "the beginning" } else { &self.last_at };
            (at.to_owned(), detail)
        })
    }

    /// What stands behind the last anchor that holds, where no anchor failed
    /// before.
    pub fn unanchored(&self) -> Option<(String, String)> {
        let first = self.since.clone().filter(|_| !self.is_broken)?;
        let count = counted(self.facts - self.anchored);
        Some((first, format!("{count} from here on, in no anchor: from elsewhere")))
    }

    /// What an anchor of all facts so far says; `None` before the first.
    pub fn head(&self) -> Option<&Anchor> {
        self.head.as_ref()
    }

    /// Facts up to the last anchor that holds.
    pub fn anchored(&self) -> u64 {
        self.anchored
    }
}
/// `1 fact`, `2 facts`.
fn counted(facts: u64) -> String {
    if facts == 1 { "1 fact".to_owned() } else { format!("{facts} facts") }
}
