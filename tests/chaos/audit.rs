//! Holds what was published against the truth.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use watchkeep_model::breach::Transition;
use watchkeep_model::window::{Verdict, Window};

use super::Plan;
use super::facts::{At, Published};
use super::ledger::Ledger;
use super::traffic::SENTINEL;
use super::truth::{Cell, Truth};

/// Examples of one kind of fault that are shown.
const EXAMPLES_MAX: usize = 5;

/// What an audit found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Findings {
    /// Events that are in no window.
    pub lost: u64,
    /// Events that are counted once too often.
    pub doubled: u64,
    /// Identifiers that came twice.
    pub repeated: u64,
    /// Gaps and overlaps of the ledger.
    pub torn: u64,
    /// Everything else that is not as it should be.
    pub other: u64,
    /// Features whose breaches could be worked out by counting.
    pub alarms_checked: u64,
    /// Features of which a revision changed a verdict, so that only the order
    /// of their breaches' transitions was checked.
    pub alarms_revised: u64,
    /// Some examples.
    pub examples: Vec<String>,
}

impl Findings {
    /// True where there is nothing to complain of.
    pub fn is_clean(&self) -> bool {
        (self.lost, self.doubled, self.repeated, self.torn, self.other) == (0, 0, 0, 0, 0)
    }

    /// These and those that were found before.
    #[must_use]
    pub fn after(mut self, before: Self) -> Self {
        self.lost += before.lost;
        self.doubled += before.doubled;
        self.repeated += before.repeated;
        self.torn += before.torn;
        self.other += before.other;
        self.alarms_checked += before.alarms_checked;
        self.alarms_revised += before.alarms_revised;
        self.examples.splice(..0, before.examples);
        self
    }

    /// Takes note of something else that is wrong.
    pub fn other(&mut self, what: String) {
        self.other += 1;
        self.show(self.other, what);
    }

    fn show(&mut self, number: u64, what: String) {
        if number <= EXAMPLES_MAX as u64 {
            self.examples.push(what);
        }
    }

    fn repeated(&mut self, what: String) {
        self.repeated += 1;
        self.show(self.repeated, format!("repeated: {what}"));
    }
}

/// The last line of a window, and whether a revision changed its verdict or
/// its first line came after that of a later window.
struct Last<'a> {
    window: &'a Window,
    was_revised_otherwise: bool,
}

type LastWindows<'a> = BTreeMap<&'a str, BTreeMap<i64, Last<'a>>>;

/// Checks everything.
pub fn audit(plan: &Plan, truth: &Truth, ledger: &Ledger, published: &Published) -> Findings {
    let mut findings = Findings::default();
    for wrong in &truth.wrong {
        findings.other(format!("the telemetry topic itself: {wrong}"));
    }
    check_ledger(truth, ledger, &mut findings);
    audit_facts(plan, truth, published).after(findings)
}

/// Checks everything apart from the summaries.
pub fn audit_facts(plan: &Plan, truth: &Truth, published: &Published) -> Findings {
    let mut findings = Findings::default();
    let last = last_windows(&published.windows, &mut findings);
    check_counts(truth, &last, published, &mut findings);
    check_verdicts(plan, &last, &mut findings);
    check_breaches(&last, published, &mut findings);
    check_incidents(published, &mut findings);
    findings
}

fn check_ledger(truth: &Truth, ledger: &Ledger, findings: &mut Findings) {
    for wrong in &ledger.wrong {
        findings.torn += 1;
        findings.show(findings.torn, format!("ledger: {wrong}"));
    }
    for (feature, windows) in &truth.windows {
        let wanted: u64 = windows.values().map(|cell| cell.count).sum();
        let found = ledger.events.get(feature).copied().unwrap_or(0);
        if found != wanted {
            findings.other(format!("summaries hold {found} of {wanted} events of {feature}"));
        }
    }
}

fn last_windows<'a>(windows: &'a [At<Window>], findings: &mut Findings) -> LastWindows<'a> {
    let mut seen = BTreeSet::new();
    let mut last = LastWindows::new();
    let mut furthest: BTreeMap<&str, i64> = BTreeMap::new();
    for window in windows.iter().map(|at| &at.fact).filter(|window| window.feature != SENTINEL) {
        let start = window.window_start.as_micros();
        let key =
            (&window.feature, &window.feature_version, &window.window, start, window.revision);
        if !seen.insert(key) {
            findings.repeated(format!("window {key:?}"));
        }
        let of_feature = last.entry(&window.feature).or_default();
        let verdict = |window: &Window| window.judged.first().map(|judged| judged.verdict);
        match of_feature.get_mut(&start) {
            None if window.revision > 0 => {
                findings.other(format!("{key:?} is the first line of its window"));
            }
            None => {
                // A late event may begin a window after later ones were told.
                let furthest = furthest.entry(&window.feature).or_insert(start);
                let was_revised_otherwise = start < *furthest;
                *furthest = start.max(*furthest);
                of_feature.insert(start, Last { window, was_revised_otherwise });
            }
            Some(kept) if window.revision == kept.window.revision + 1 => {
                kept.was_revised_otherwise |= verdict(window) != verdict(kept.window);
                kept.window = window;
            }
            Some(kept) => {
                findings.other(format!("{key:?} follows revision {}", kept.window.revision));
            }
        }
    }
    last
}

fn check_counts(
    truth: &Truth,
    last: &LastWindows<'_>,
    published: &Published,
    findings: &mut Findings,
) {
    let mut late: BTreeMap<(&str, i64), u64> = BTreeMap::new();
    for reject in published.rejects.iter().map(|at| &at.fact) {
        match (reject.reason.as_str(), reject.feature.as_deref(), reject.window_start) {
            ("late", Some(feature), Some(start)) => {
                *late.entry((feature, start.as_micros())).or_default() +=
                    reject.count.unwrap_or_default();
            }
            _ => findings.other(format!("a reject that nothing explains: {reject:?}")),
        }
    }
    let none = BTreeMap::new();
    for (feature, windows) in &truth.windows {
        let told = last.get(feature.as_str());
        let found: BTreeMap<i64, u64> =
            told.into_iter().flatten().map(|(start, last)| (*start, last.window.count)).collect();
        let starts: BTreeSet<i64> = windows.keys().chain(found.keys()).copied().collect();
        for start in starts {
            let cell = windows.get(&start).copied().unwrap_or_default();
            let late = late.remove(&(feature.as_str(), start)).unwrap_or(0);
            let counted = found.get(&start).copied().unwrap_or(0) + late;
            let what = || {
                format!("{feature} {start}: {counted} counted ({late} late), {} sent", cell.count)
            };
            if counted < cell.count {
                findings.lost += cell.count - counted;
                findings.show(findings.lost, format!("lost: {}", what()));
            } else if counted > cell.count {
                findings.doubled += counted - cell.count;
                findings.show(findings.doubled, format!("doubled: {}", what()));
            } else if late == 0
                && let Some(last) = told.unwrap_or(&none).get(&start)
            {
                check_mean(last.window, cell, findings);
            }
        }
    }
    late.retain(|(feature, _), _| *feature != SENTINEL);
    if !late.is_empty() {
        findings.other(format!("late summaries of windows that no event is of: {late:?}"));
    }
}

/// One event lost and another one counted twice would leave the count as it is.
fn check_mean(window: &Window, Cell { count, sum }: Cell, findings: &mut Findings) {
    let wanted = (count > 0).then(|| sum as f64 / count as f64);
    let same = match (window.mean, wanted) {
        (Some(mean), Some(wanted)) => (mean - wanted).abs() <= wanted.abs() * 1e-12,
        (found, wanted) => found == wanted,
    };
    if !same {
        findings.other(format!(
            "{} {}: mean {:?}, should be {wanted:?}",
            window.feature, window.window_start, window.mean
        ));
    }
}

fn check_verdicts(plan: &Plan, last: &LastWindows<'_>, findings: &mut Findings) {
    for Last { window, .. } in last.values().flat_map(BTreeMap::values) {
        let bad = window.count < plan.volume_below();
        let wanted = if bad { Verdict::Bad } else { Verdict::Good };
        match window.judged.as_slice() {
            [judged] if judged.verdict == wanted => {}
            _ => findings.other(format!(
                "{} {} of {} events should be {wanted:?}: {:?}",
                window.feature, window.window_start, window.count, window.judged
            )),
        }
    }
}

/// A breach is a run of bad windows: opened with the first, sustained by each
/// further one, cleared by the first good one.
fn check_breaches(last: &LastWindows<'_>, published: &Published, findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    let mut told: BTreeMap<&str, Vec<(Transition, i64)>> = BTreeMap::new();
    let mut states: BTreeMap<&str, Transition> = BTreeMap::new();
    for breach in published.breaches.iter().map(|at| &at.fact) {
        let start = breach.window_start.as_micros();
        let key = (&breach.breach_id, breach.transition, start, breach.revision);
        if !seen.insert(key) {
            findings.repeated(format!("breach {key:?}"));
        }
        let before = states.insert(&breach.breach_id, breach.transition);
        let follows = match (before, breach.transition) {
            (None, Transition::Opened) => true,
            (None, _) | (Some(_), Transition::Opened) => false,
            (Some(Transition::Opened | Transition::Sustained), _) => true,
            (Some(Transition::Cleared), Transition::Retracted) => true,
            (Some(Transition::Cleared | Transition::Retracted), _) => false,
        };
        if !follows {
            findings.other(format!("{:?} after {before:?}: {key:?}", breach.transition));
        }
        told.entry(&breach.feature).or_default().push((breach.transition, start));
    }
    for (feature, windows) in last {
        if windows.values().any(|last| last.was_revised_otherwise) {
            findings.alarms_revised += 1;
            continue;
        }
        findings.alarms_checked += 1;
        let mut wanted = Vec::new();
        let mut is_open = false;
        for (start, last) in windows {
            let bad = last.window.judged.first().is_some_and(|j| j.verdict == Verdict::Bad);
            match (is_open, bad) {
                (false, true) => wanted.push((Transition::Opened, *start)),
                (true, true) => wanted.push((Transition::Sustained, *start)),
                (true, false) => wanted.push((Transition::Cleared, *start)),
                (false, false) => {}
            }
            is_open = bad;
        }
        let found = told.remove(feature).unwrap_or_default();
        if found != wanted {
            let differ = found.iter().zip(&wanted).find(|(found, wanted)| found != wanted);
            findings.other(format!(
                "{feature}: {} transitions of breaches instead of {}; first difference {differ:?}",
                found.len(),
                wanted.len()
            ));
        }
    }
}

fn check_incidents(published: &Published, findings: &mut Findings) {
    let mut ends: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for fact in published.incidents.iter().map(|at| &at.fact) {
        if !seen.insert((&fact.incident_id, fact.sequence)) {
            findings.repeated(format!("incident {} {}", fact.incident_id, fact.sequence));
            continue;
        }
        let (sequence, hash) = ends.get(fact.incident_id.as_str()).copied().unwrap_or((0, ""));
        let previous = fact.previous_hash.as_deref().unwrap_or_default();
        if fact.sequence != sequence + 1 || previous != hash || fact.hash != fact.expected_hash() {
            findings.other(format!(
                "the chain of incident {} is broken at {}",
                fact.incident_id, fact.sequence
            ));
        }
        ends.insert(&fact.incident_id, (fact.sequence, &fact.hash));
    }
    let mut ids = BTreeSet::new();
    for escalation in published.escalations.iter().map(|at| &at.fact) {
        if !ids.insert(&escalation.id) {
            findings.repeated(format!("escalation {}", escalation.id));
        }
        if !ends.contains_key(escalation.incident_id.as_str()) {
            findings.other(format!("escalation {} is of no incident", escalation.id));
        }
    }
}
