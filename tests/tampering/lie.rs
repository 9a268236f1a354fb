//! One lie: which, where, and what the log looks like after it.

use std::fmt;

use watchkeep_audit::{Finding, Rule};
use watchkeep_model::identifier::sha256_hex;

use super::log::Log;

/// What is done to a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One byte of a line is another.
    Byte,
    /// A field says something else.
    Field,
    /// Two lines change places.
    Reorder,
    /// A line is there again.
    Duplicate,
    /// A line is gone.
    Drop,
    /// A line belongs to another incident.
    Move,
    /// The last lines are gone.
    CutTail,
    /// A field says something else, and the hash of its line was made anew.
    RehashOne,
    /// So were those of all that follow in its incident.
    RehashChain,
    /// A whole line was made up and fitted to the end of an incident.
    Append,
    /// A whole incident is gone.
    DropIncident,
}

/// Every kind.
const KINDS: [Kind; 11] = [
    Kind::Byte,
    Kind::Field,
    Kind::Reorder,
    Kind::Duplicate,
    Kind::Drop,
    Kind::Move,
    Kind::CutTail,
    Kind::RehashOne,
    Kind::RehashChain,
    Kind::Append,
    Kind::DropIncident,
];

impl Kind {
    /// True where what is left may be a log that could have been written:
    /// nothing in it can give the lie away, only what was kept elsewhere.
    pub const fn may_need_anchors(self) -> bool {
        match self {
            Self::Byte | Self::Field | Self::Duplicate | Self::Move => false,
            // Facts of two incidents may change places, the last fact of an
            // incident has none after it that names it.
            Self::Reorder
            | Self::Drop
            | Self::CutTail
            | Self::RehashOne
            | Self::RehashChain
            | Self::Append
            | Self::DropIncident => true,
        }
    }
}

/// A lie that was told.
pub struct Lie {
    /// What was done.
    pub kind: Kind,
    /// The seed that it came of.
    pub seed: u64,
    /// The first line, from 0, that is not as it was.
    pub first: usize,
    /// The log afterwards.
    pub lines: Vec<String>,
}

impl fmt::Debug for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of seed {} at line {}", self.kind, self.seed, self.first + 1)
    }
}

/// Values that a liar would want to change, each with another one.
const WANTED: [(&str, &str); 8] = [
    (r#""actor":"user:"#, r#""actor":"user:not-"#),
    (r#""actor":"watchkeep"#, r#""actor":"watchkeeper"#),
    (r#""target":"user:"#, r#""target":"user:not-"#),
    (r#""reason":""#, r#""reason":"not "#),
    (r#""rationale":""#, r#""rationale":"not "#),
    (r#""detail":""#, r#""detail":"not "#),
    (r#""step":""#, r#""step":"not-"#),
    (r#""severity":""#, r#""severity":"not-"#),
];

impl Lie {
    /// The lie of a seed about a log. The kinds take turns.
    pub fn of(log: &Log, seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let kind = KINDS[usize::try_from(seed).unwrap_or(0) % KINDS.len()];
        let mut lines = log.lines.clone();
        loop {
            tell(kind, &mut lines, &mut random);
            if lines != log.lines {
                break;
            }
        }
        let same = lines.iter().zip(&log.lines).take_while(|(new, old)| new == old).count();
        Self { kind, seed, first: same, lines }
    }

    /// True where a finding points at it: at the very line where that can be
    /// told, else at a range that holds it or at where it first shows.
    pub fn is_named(&self, found: &Finding) -> bool {
        let line_of = |at: &str| at.strip_prefix("log:").and_then(|n| n.parse::<usize>().ok());
        let Some(at) = line_of(&found.at) else { return false };
        match self.kind {
            Kind::Byte | Kind::Field => at == self.first + 1,
            Kind::CutTail if found.rule == Rule::Anchor => at == self.lines.len(),
            // What is missing shows behind the last fact that is there.
            Kind::Drop | Kind::DropIncident | Kind::CutTail => at + 1 >= self.first,
            _ => at > self.first,
        }
    }
}

fn tell(kind: Kind, lines: &mut Vec<String>, random: &mut Random) {
    let any = random.below(lines.len());
    match kind {
        Kind::Byte => {
            let mut bytes = lines[any].clone().into_bytes();
            let place = random.below(bytes.len());
            bytes[place] = b' ' + u8::try_from(random.below(95)).unwrap_or(0);
            if let Ok(line) = String::from_utf8(bytes) {
                lines[any] = line;
            }
        }
        Kind::Field => alter(&mut lines[any], random),
        Kind::Reorder => {
            let other = random.below(lines.len());
            lines.swap(any, other);
        }
        Kind::Duplicate => {
            let again = lines[any].clone();
            let place = any + 1 + random.below(lines.len() - any);
            lines.insert(place, again);
        }
        Kind::Drop => {
            lines.remove(any);
        }
        Kind::Move => {
            let other = incident(&lines[random.below(lines.len())]).to_owned();
            let own = incident(&lines[any]).to_owned();
            lines[any] = lines[any].replacen(&own, &other, 1);
        }
        Kind::CutTail => {
            let left = lines.len() - 1 - random.below(lines.len() / 2);
            lines.truncate(left);
        }
        Kind::RehashOne => {
            alter(&mut lines[any], random);
            lines[any] = sealed(&lines[any], None).0;
        }
        Kind::RehashChain => {
            alter(&mut lines[any], random);
            let (line, mut hash) = sealed(&lines[any], None);
            lines[any] = line;
            let id = incident(&lines[any]).to_owned();
            for later in lines.iter_mut().skip(any + 1).filter(|line| incident(line) == id) {
                let (line, next) = sealed(later, Some(&hash));
                (*later, hash) = (line, next);
            }
        }
        Kind::Append => {
            let id = incident(&lines[any]).to_owned();
            let last = lines.iter().rev().find(|line| incident(line) == id).cloned();
            let Some(last) = last else { return };
            let sequence = 1 + number(&last, r#""sequence":"#);
            let at = text(lines.last().unwrap_or(&last), r#""recorded_at":""#).to_owned();
            let hash = text(&last, r#","hash":""#).to_owned();
            let forged = format!(
                r#"{{"incident_id":"{id}","sequence":{sequence},"fact":"action_recorded","occurred_at":"{at}","recorded_at":"{at}","actor":"user:eve","drill":false,"data":{{"action":"comment","detail":"all was well"}},"previous_hash":"{hash}","hash":""}}"#
            );
            lines.push(sealed(&forged, None).0);
        }
        Kind::DropIncident => {
            let id = incident(&lines[any]).to_owned();
            lines.retain(|line| incident(line) != id);
        }
    }
}

/// Changes one value that a liar would want to change.
fn alter(line: &mut String, random: &mut Random) {
    let from = random.below(WANTED.len());
    for turn in 0..WANTED.len() {
        let (value, other) = WANTED[(from + turn) % WANTED.len()];
        if line.contains(value) {
            *line = line.replacen(value, other, 1);
            return;
        }
    }
}

/// The line with its hash made anew, and the hash; `previous` is put in where
/// the line before has another one now.
fn sealed(line: &str, previous: Option<&str>) -> (String, String) {
    let mut bare = line.rsplit_once(r#","hash":""#).map_or(line, |(bare, _)| bare).to_owned();
    if let Some(previous) = previous {
        let before = text(line, r#""previous_hash":""#).to_owned();
        bare = bare.replace(&before, previous);
    }
    let hash = sha256_hex(format!("{bare}}}").as_bytes());
    (format!(r#"{bare},"hash":"{hash}"}}"#), hash)
}

fn incident(line: &str) -> &str {
    text(line, r#""incident_id":""#)
}

/// The text behind a key, up to its quotation mark; empty where there is none.
fn text<'a>(line: &'a str, key: &str) -> &'a str {
    let behind = line.split_once(key).map_or("", |(_, behind)| behind);
    behind.split('"').next().unwrap_or_default()
}

fn number(line: &str, key: &str) -> u64 {
    let behind = line.split_once(key).map_or("", |(_, behind)| behind);
    let digits = behind.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().unwrap_or_default()
}

/// Marsaglia's xorshift64: the same numbers for a seed everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound.max(1) as u64).unwrap_or(0)
    }
}
