//! What the windows of a log come to, kept so that reports of any span can be
//! made of it: the last revision of each window, and of each rule when it was
//! first asked and when it last fired.

use std::collections::BTreeMap;

use watchkeep_model::subject::typed;
use watchkeep_model::time::Timestamp;
use watchkeep_model::window::{Verdict, Window};

use super::Period;

/// A stream of windows: subject, version, the window's name.
type Series = (String, String, String);

/// One window's last revision.
#[derive(Clone, Debug, Default)]
struct Kept {
    revision: u32,
    count: u64,
    /// 95 % quantile of the age, in microseconds.
    age_us: Option<f64>,
    judged: Vec<Verdicted>,
}

#[derive(Clone, Debug)]
struct Verdicted {
    /// Place of the name among those of the series.
    expectation: usize,
    verdict: Verdict,
    /// The drift's effect, where the rule is about drift.
    drift: Option<f64>,
    /// What is left of the error budget, where the rule is an objective.
    budget_left: Option<f64>,
}

#[derive(Clone, Debug, Default)]
struct Stream {
    expectations: Vec<String>,
    windows: BTreeMap<Timestamp, Kept>,
}

/// The fold of windows.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    streams: BTreeMap<Series, Stream>,
    last_end: Option<Timestamp>,
    first_start: Option<Timestamp>,
}

/// What a rule did, by subject and expectation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// Good windows of the span.
    pub good: u64,
    /// Bad windows of the span.
    pub bad: u64,
    /// Windows of the span that had too little to tell.
    pub not_judged: u64,
    /// Start of the first window that it judged, ever.
    pub first: Option<Timestamp>,
    /// Start of the last bad window, ever.
    pub last_bad: Option<Timestamp>,
    /// Windows that it judged, ever.
    pub ever: u64,
    /// Effects of drift in the span.
    pub drift: Vec<f64>,
    /// What is left of the error budget at the span's end, with the start of
    /// the window that tells it.
    pub budget_left: Option<(Timestamp, f64)>,
}

/// What the values of a subject were like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Served {
    /// Events of the span; those of the shortest windows that there are.
    pub events: u64,
    /// 95 % quantiles of the age in each window of the span, in microseconds.
    pub ages_us: Vec<f64>,
}

impl Measured {
    /// Takes a window; of several revisions the highest counts. Windows that
    /// the end of the input cut off are passed over.
    pub fn add(&mut self, window: &Window) {
        if window.partial {
            return;
        }
        self.last_end = self.last_end.max(Some(window.window_end));
        let start = window.window_start;
        self.first_start = Some(self.first_start.map_or(start, |first| first.min(start)));
        let version = window.feature_version.clone();
        let series = (typed(&window.feature), version, window.window.clone());
        let stream = self.streams.entry(series).or_default();
        let judged = window.judged.iter().map(|judged| {
            let known = stream.expectations.iter().position(|name| *name == judged.expectation);
            let expectation = known.unwrap_or_else(|| {
                stream.expectations.push(judged.expectation.clone());
                stream.expectations.len() - 1
            });
            Verdicted {
                expectation,
                verdict: judged.verdict,
                drift: judged.drift.as_ref().and(judged.observed),
                budget_left: judged.slo.as_ref().and_then(|slo| slo.budget_left),
            }
        });
        let kept = Kept {
            revision: window.revision,
            count: window.count,
            age_us: window.age_us.as_ref().and_then(|ages| ages.p95),
            judged: judged.collect(),
        };
        let before = stream.windows.entry(start).or_default();
        if before.revision <= kept.revision {
            *before = kept;
        }
    }

    /// The span of all windows; `None` without one.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        self.first_start.zip(self.last_end)
    }

    /// Subjects with events in a span, ascending, with what was served. A
    /// window is in the span in which it starts.
    pub fn served(&self, period: Period) -> BTreeMap<&str, Served> {
        let mut by_window: BTreeMap<&str, BTreeMap<&str, Served>> = BTreeMap::new();
        for ((subject, _, window), stream) in &self.streams {
            let served = by_window.entry(subject).or_default().entry(window).or_default();
            for kept in stream.windows.range(period.from..period.to).map(|(_, kept)| kept) {
                served.events += kept.count;
                served.ages_us.extend(kept.age_us);
            }
        }
        // The same events are in windows of every length: one of them counts.
        let most = |windows: BTreeMap<&str, Served>| {
            windows.into_values().max_by_key(|served| (served.ages_us.len(), served.events))
        };
        by_window
            .into_iter()
            .filter_map(|(subject, windows)| Some((subject, most(windows)?)))
            .filter(|(_, served)| served.events > 0)
            .collect()
    }

    /// What each rule did, by subject and expectation, ascending, with windows
    /// before the span's end.
    pub fn asked(&self, period: Period) -> BTreeMap<(&str, &str), Asked> {
        let mut all: BTreeMap<(&str, &str), Asked> = BTreeMap::new();
        for ((subject, _, _), stream) in &self.streams {
            for (start, kept) in stream.windows.range(..period.to) {
                for judged in &kept.judged {
                    let name = stream.expectations[judged.expectation].as_str();
                    all.entry((subject, name)).or_default().take(*start, judged, period);
                }
            }
        }
        all
    }
}

impl Asked {
    fn take(&mut self, start: Timestamp, judged: &Verdicted, period: Period) {
        if judged.verdict != Verdict::NotJudged {
            self.ever += 1;
            self.first = Some(self.first.map_or(start, |first| first.min(start)));
        }
        if judged.verdict == Verdict::Bad {
            self.last_bad = self.last_bad.max(Some(start));
        }
        if !period.has(start) {
            return;
        }
        match judged.verdict {
            Verdict::Good => self.good += 1,
            Verdict::Bad => self.bad += 1,
            Verdict::NotJudged => self.not_judged += 1,
        }
        self.drift.extend(judged.drift);
        let told = judged.budget_left.map(|left| (start, left));
        let is_later = |(at, _): &(Timestamp, f64)| self.budget_left.is_none_or(|one| one.0 <= *at);
        self.budget_left = told.filter(is_later).or(self.budget_left);
    }

    /// Good windows over judged ones, 0 to 1; `None` without any.
    pub fn good_share(&self) -> Option<f64> {
        super::share(self.good, self.good + self.bad)
    }
}
