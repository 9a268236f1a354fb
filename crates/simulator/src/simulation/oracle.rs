//! What must come out, worked out anew from the events alone.
//!
//! It shares no code with the crates that decide: no summary, no watermark, no
//! alarm. It knows only instants and spans, and it looks at all events of a
//! window at once, in whatever order they came. So it cannot know what the
//! order decides: which events were late, and in which revision they were seen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use watchkeep_model::time::{TimeSpan, Timestamp};

/// One event, as its producer meant it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The subject.
    pub feature: String,
    /// Its version.
    pub version: String,
    /// Its producer's id. Events of one id are the same event, sent again.
    pub id: u64,
    /// When it happened.
    pub time: Timestamp,
    /// Its number; `None` is null.
    pub value: Option<f64>,
    /// One of `ok`, `stale`, `error`, `timeout`.
    pub status: &'static str,
    /// Serving latency.
    pub latency_us: Option<u64>,
    /// How old the value was.
    pub age_us: Option<u64>,
}

/// How time is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// One window after the other, counted from 1970.
    Tumbling(TimeSpan),
    /// Windows of a size, one at each multiple of a hop.
    Hopping(TimeSpan, TimeSpan),
    /// From a first event to a last one before a gap.
    Session(TimeSpan),
}

/// What a window must satisfy.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// The largest latency is at most so many microseconds.
    Latency(u64),
    /// The largest age is at most so many microseconds.
    Freshness(u64),
    /// At least so many events.
    Volume(u64),
    /// The share of nulls is not above this, with confidence 0.99.
    NullRate(f64),
    /// The share of errors is not above this, with confidence 0.99.
    ErrorRate(f64),
    /// No number is below or above.
    Range(f64, f64),
    /// The feature's last event was less than this before the window's end.
    Silence(TimeSpan),
}

/// An expectation of a charter.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// Its name.
    pub name: String,
    /// Its windows.
    pub shape: Shape,
    /// What it asks.
    pub rule: Rule,
    /// A window with fewer values is not judged.
    pub min_samples: u64,
    /// k of the last n judged windows open a breach.
    pub open: (u32, u32),
    /// Good windows in a row that clear it.
    pub resolve_after: u32,
}

/// A verdict. `Either` where rounding decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As expected.
    Good,
    /// Not as expected.
    Bad,
    /// Too little to tell.
    NotJudged,
    /// Too close to the bound for two ways of computing to agree.
    Either,
}

/// Feature, version, shape and start.
pub type Key = (String, String, Shape, Timestamp);

/// A window with all of its events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// Events.
    pub count: u64,
    /// Events by status.
    pub statuses: BTreeMap<&'static str, u64>,
    /// Events without a value.
    pub nulls: u64,
    /// Numbers of answers.
    pub numbers: Vec<f64>,
    /// Latencies.
    pub latencies: Vec<u64>,
    /// Ages.
    pub ages: Vec<u64>,
    /// Latest event.
    pub last: Option<Timestamp>,
}

impl Window {
    fn add(&mut self, event: &Event) {
        self.count += 1;
        *self.statuses.entry(event.status).or_default() += 1;
        match event.value {
            None if event.status == "ok" => self.nulls += 1,
            Some(number) if event.status == "ok" || event.status == "stale" => {
                self.numbers.push(number);
            }
            _ => {}
        }
        self.latencies.extend(event.latency_us);
        self.ages.extend(event.age_us);
        self.last = self.last.max(Some(event.time));
    }

    /// Events of status error or timeout.
    pub fn errors(&self) -> u64 {
        ["error", "timeout"].iter().filter_map(|status| self.statuses.get(status)).sum()
    }

    /// Smallest number.
    pub fn min(&self) -> Option<f64> {
        self.numbers.iter().copied().reduce(f64::min)
    }

    /// Largest number.
    pub fn max(&self) -> Option<f64> {
        self.numbers.iter().copied().reduce(f64::max)
    }

    /// What an expectation says of the window.
    pub fn judge(&self, expectation: &Expectation) -> Verdict {
        let largest = |values: &[u64], above: u64| match values.iter().max() {
            Some(max) if values.len() as u64 >= expectation.min_samples => verdict(*max > above),
            _ => Verdict::NotJudged,
        };
        let share = |part: u64, above: f64| match self.count {
            0 => Verdict::NotJudged,
            n if n < expectation.min_samples => Verdict::NotJudged,
            n => share_above(part, n, above),
        };
        match expectation.rule {
            Rule::Latency(above) => largest(&self.latencies, above),
            Rule::Freshness(above) => largest(&self.ages, above),
            Rule::Volume(below) => verdict(self.count < below),
            // Other windows tell when the last event was; see `silence`.
            Rule::Silence(_) => Verdict::Either,
            Rule::NullRate(above) => share(self.nulls, above),
            Rule::ErrorRate(above) => share(self.errors(), above),
            Rule::Range(min, max) => match self.numbers.len() as u64 {
                0 => Verdict::NotJudged,
                n if n < expectation.min_samples => Verdict::NotJudged,
                _ => verdict(self.numbers.iter().any(|number| *number < min || *number > max)),
            },
        }
    }
}

/// Whether a feature has been silent for too long at the end of a window.
/// Before its first event it depends on when the stream began.
pub fn silence(times: impl Iterator<Item = Timestamp>, end: Timestamp, after: TimeSpan) -> Verdict {
    let last = times.filter(|time| *time < end).max();
    last.map_or(Verdict::Either, |last| verdict(end.since(last) >= after))
}

fn verdict(bad: bool) -> Verdict {
    if bad { Verdict::Bad } else { Verdict::Good }
}

/// Whether the share's one-sided lower bound at confidence 0.99 is above a
/// share p: the bound is above p just where so many or more of n would come
/// by chance 1 in 100 times at p (the duality of Clopper–Pearson intervals and
/// binomial tests). The tail is summed term by term.
fn share_above(part: u64, n: u64, p: f64) -> Verdict {
    if part == 0 {
        return Verdict::Good;
    }
    let mut term = (1.0 - p).powi(i32::try_from(n).unwrap_or(i32::MAX));
    let mut below = 0.0;
    for k in 0..part {
        below += term;
        term *= (n - k) as f64 / (k + 1) as f64 * p / (1.0 - p);
    }
    let tail: f64 = 1.0 - below;
    if (tail - 0.01).abs() < 1e-9 { Verdict::Either } else { verdict(tail < 0.01) }
}

/// The events without repeats, as far as the feature asks for that.
pub fn without_repeats(
    events: &[Event],
    deduplicates: impl Fn(&str) -> bool,
) -> impl Iterator<Item = &Event> {
    let mut seen = BTreeSet::new();
    events.iter().filter(move |event| {
        !deduplicates(&event.feature) || seen.insert((event.feature.clone(), event.id))
    })
}

/// Every window that holds an event. `shapes` tells the windows of a feature.
pub fn windows<'a>(
    events: impl Iterator<Item = &'a Event>,
    shapes: impl Fn(&str) -> Vec<Shape>,
) -> BTreeMap<Key, Window> {
    let mut windows: BTreeMap<Key, Window> = BTreeMap::new();
    let mut of_sessions: BTreeMap<(&str, &str, TimeSpan), Vec<&Event>> = BTreeMap::new();
    for event in events {
        for shape in shapes(&event.feature) {
            if let Shape::Session(gap) = shape {
                let key = (event.feature.as_str(), event.version.as_str(), gap);
                of_sessions.entry(key).or_default().push(event);
            }
            for start in shape.starts(event.time) {
                let key = (event.feature.clone(), event.version.clone(), shape, start);
                windows.entry(key).or_default().add(event);
            }
        }
    }
    for ((feature, version, gap), mut events) in of_sessions {
        events.sort_by_key(|event| event.time);
        let (mut start, mut last) = (None, None);
        for event in events {
            // Two events exactly the gap apart are one session.
            let goes_on = last.is_some_and(|last| event.time.since(last) <= gap);
            last = Some(event.time);
            let start = *start.insert(start.filter(|_| goes_on).unwrap_or(event.time));
            let key = (feature.to_owned(), version.to_owned(), Shape::Session(gap), start);
            windows.entry(key).or_default().add(event);
        }
    }
    windows
}

impl Shape {
    /// The starts of the windows that hold an instant, ascending; none of
    /// sessions, which have no grid.
    pub fn starts(self, at: Timestamp) -> Vec<Timestamp> {
        let Some((size, hop)) = self.grid() else { return Vec::new() };
        let (size, hop, at) = (size.as_micros(), hop.as_micros(), at.as_micros());
        let last = at.div_euclid(hop) * hop;
        let count = (0..).take_while(|n| last - n * hop + size > at).count();
        (0..count as i64).rev().map(|n| Timestamp::from_micros(last - n * hop)).collect()
    }

    /// Size and hop of windows that lie on a grid.
    pub fn grid(self) -> Option<(TimeSpan, TimeSpan)> {
        match self {
            Self::Tumbling(size) => Some((size, size)),
            Self::Hopping(size, hop) => Some((size, hop)),
            Self::Session(_) => None,
        }
    }

    /// How long after an event its last window ends at the latest.
    pub fn longest(self) -> TimeSpan {
        match self {
            Self::Tumbling(size) | Self::Hopping(size, _) => size,
            Self::Session(gap) => gap,
        }
    }

    /// Its name in facts.
    pub fn name(self) -> String {
        match self {
            Self::Tumbling(size) => size.to_string(),
            Self::Hopping(size, hop) => format!("{size}/{hop}"),
            Self::Session(gap) => format!("session {gap}"),
        }
    }
}

/// What happens to the breach of one expectation, window after window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A breach opens.
    Opened(Timestamp),
    /// One more bad window.
    Sustained(Timestamp),
    /// It is over.
    Cleared(Timestamp),
}

/// Goes through final verdicts in order of their windows' starts.
pub fn breaches(
    verdicts: impl Iterator<Item = (Timestamp, Verdict)>,
    expectation: &Expectation,
) -> Vec<Step> {
    let (k, n) = expectation.open;
    let mut steps = Vec::new();
    let mut recent: VecDeque<bool> = VecDeque::new();
    let (mut is_open, mut good_run) = (false, 0);
    for (start, verdict) in verdicts {
        let bad = match verdict {
            Verdict::NotJudged => continue,
            verdict => verdict == Verdict::Bad,
        };
        recent.push_back(bad);
        if recent.len() > n as usize {
            recent.pop_front();
        }
        good_run = if bad { 0 } else { good_run + 1 };
        let bad_windows = recent.iter().filter(|bad| **bad).count();
        if is_open {
            if bad {
                steps.push(Step::Sustained(start));
            } else if good_run >= expectation.resolve_after {
                steps.push(Step::Cleared(start));
                is_open = false;
            }
        } else if bad && bad_windows >= k as usize {
            steps.push(Step::Opened(start));
            is_open = true;
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_above_only_where_chance_hardly_explains_it() {
        // scipy.stats.binomtest(k, 10, 0.2).proportion_ci(0.98).low: 0.151 for 5, 0.219 for 6.
        assert_eq!(share_above(5, 10, 0.2), Verdict::Good);
        assert_eq!(share_above(6, 10, 0.2), Verdict::Bad);
        assert_eq!(share_above(2, 2, 0.1), Verdict::Either);
    }

    #[test]
    fn windows_that_hold_an_instant_and_sessions_that_a_gap_ends() {
        let minutes = |n| Timestamp::from_micros(0) + TimeSpan::MINUTE.times(n);
        let (size, hop) = (TimeSpan::MINUTE.times(5), TimeSpan::MINUTE.times(2));
        assert_eq!(Shape::Hopping(size, hop).starts(minutes(8)), [4, 6, 8].map(minutes));
        assert_eq!(Shape::Tumbling(size).starts(minutes(8)), [minutes(5)]);
        let event = |at| Event {
            feature: "f".into(),
            version: String::new(),
            id: 0,
            time: minutes(at),
            value: None,
            status: "ok",
            latency_us: None,
            age_us: None,
        };
        let events = [9, 1, 3, 0, 12].map(event);
        let windows = windows(events.iter(), |_| vec![Shape::Session(hop)]);
        let told: Vec<_> = windows.iter().map(|((.., at), window)| (*at, window.count)).collect();
        assert_eq!(told, [(minutes(0), 3), (minutes(9), 1), (minutes(12), 1)]);
    }

    #[test]
    fn k_of_n_opens_and_good_ones_in_a_row_clear() {
        let expectation = Expectation {
            name: "e".into(),
            shape: Shape::Tumbling(TimeSpan::MINUTE),
            rule: Rule::Volume(1),
            min_samples: 1,
            open: (2, 3),
            resolve_after: 2,
        };
        let at = Timestamp::from_micros;
        use Verdict::{Bad, Good, NotJudged};
        let verdicts = [Bad, Good, NotJudged, Bad, Bad, Good, Bad, Good, Good];
        let steps = breaches((0..).map(at).zip(verdicts), &expectation);
        let told = [
            Step::Opened(at(3)),
            Step::Sustained(at(4)),
            Step::Sustained(at(6)),
            Step::Cleared(at(8)),
        ];
        assert_eq!(steps, told);
    }
}
