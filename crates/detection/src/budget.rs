//! Alert budgets: how much evidence an alarm needs when many features are
//! tested over and over.
//!
//! A test at the level 0.001 calls one of a thousand quiet windows bad. Ten
//! thousand features with a window a day are ten false alarms a day. A budget
//! grants each test of a domain a level that was settled before its p-value was
//! looked at, so that over all of them the false alarms stay within what was
//! promised ([`AlertBudget`] has the two kinds of promise):
//!
//! - `false_discovery_rate`: LORD++ (Ramdas, Yang, Wainwright and Jordan 2017,
//!   "Online control of the false discovery rate with decaying memory",
//!   section 3, with the sequence of Javanmard and Montanari 2018). Each
//!   discovery earns back a part of what later tests may spend. Discoveries of
//!   one instant count only for later instants, so that a level never depends
//!   on a p-value that may be related to its own (Zrnic, Ramdas and Jordan
//!   2021, "Asynchronous online testing of multiple hypotheses", the variant
//!   for local dependence): features that are fed by one dataset change together.
//! - `false_alarms`: alpha spending. Nine tenths of the number are shared
//!   evenly over as many tests as the period before had; of what is left then,
//!   and of all in a first period, each test is granted a part that gets smaller
//!   without end. By linearity the
//!   expected number of false alarms is at most the sum of the levels, however
//!   the tests depend on each other.
//!
//! No level is above the p-value that the expectation asks for: it would find
//! nothing more.
//!
//! Every period begins anew, so that a long quiet time does not leave levels
//! that no change could reach.
//!
//! A budget is a fold of the tests of one summaries partition in the order in
//! which they are decided. Each partition has its share of the whole, and the
//! promise holds for all of them together.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_model::directory::AlertBudget;
use watchkeep_model::time::Timestamp;
use watchkeep_model::window::Granted;

/// Discoveries of a period that are remembered. Those before them earn nothing
/// any more, which only makes levels lower.
const DISCOVERIES_MAX: usize = 1000;

/// The part of `false_alarms` that is shared evenly.
const EVEN_SHARE: f64 = 0.9;

/// The budgets of the domains that have one, in one summaries partition.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Budgets(BTreeMap<Arc<str>, Budget>);

/// What a budget has come to, from the first test on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Tests.
    pub tests: u64,
    /// The sum of the levels that were granted: false alarms to be expected at
    /// most if nothing had changed.
    pub expected: f64,
    /// Tests within the level: the windows that were called bad.
    pub discoveries: u64,
    /// Windows that both keys of the expectation called bad and the level did not.
    pub withheld: u64,
    /// Breaches that late events took away: false alarms that were seen to be some.
    pub retracted: u64,
}

impl Tally {
    /// Adds what another partition came to.
    pub fn add(&mut self, other: &Self) {
        self.tests += other.tests;
        self.expected += other.expected;
        self.discoveries += other.discoveries;
        self.withheld += other.withheld;
        self.retracted += other.retracted;
    }
}

/// A question to a budget.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    /// When it is decided, by the watermark; never before the one asked last.
    pub at: Timestamp,
    /// The p-value.
    pub p_value: f64,
    /// What the expectation asks of it. A higher level would be spent on nothing.
    pub p_below: f64,
    /// True where both keys of the expectation say bad: the effect counts too.
    pub both_keys: bool,
    /// Summaries partitions that share the budget.
    pub partitions: i32,
}

impl Budgets {
    /// Grants a level and compares the p-value with it.
    pub fn test(&mut self, domain: &Arc<str>, terms: &AlertBudget, test: &Test) -> Granted {
        let budget = self.0.entry(domain.clone()).or_default();
        budget.turn(terms, test.at);
        let level = budget.level(terms, test.partitions).min(test.p_below);
        let discovery = test.both_keys && test.p_value <= level;
        budget.note(level, discovery, test.both_keys);
        Granted {
            domain: domain.to_string(),
            test: budget.tests,
            level,
            spent: budget.spent,
            discovery,
        }
    }

    /// A breach by a test of the domain was retracted.
    pub fn retract(&mut self, domain: &Arc<str>) {
        self.0.entry(domain.clone()).or_default().tally.retracted += 1;
    }

    /// What each budget has come to, by domain.
    pub fn tallies(&self) -> impl Iterator<Item = (&Arc<str>, &Tally)> {
        self.0.iter().map(|(domain, budget)| (domain, &budget.tally))
    }
}

/// The state of one domain's budget.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Budget {
    /// First instant of the period.
    period: Option<Timestamp>,
    /// The instant of the last test.
    now: Option<Timestamp>,
    /// Tests of the period.
    tests: u64,
    /// Tests of the last period that had any.
    tests_before: u64,
    /// The sum of the period's levels.
    spent: f64,
    /// Numbers of the tests that were discoveries before `now`.
    discoveries: Vec<u64>,
    /// Those at `now`.
    pending: Vec<u64>,
    tally: Tally,
}

impl Budget {
    /// Goes on to the instant of a test.
    fn turn(&mut self, terms: &AlertBudget, at: Timestamp) {
        let period = at.floor(terms.per());
        if self.period != Some(period) {
            let tests_before = if self.tests > 0 { self.tests } else { self.tests_before };
            let (tally, period) = (self.tally, Some(period));
            *self = Self { period, tests_before, tally, ..Self::default() };
        }
        if self.now != Some(at) {
            self.discoveries.append(&mut self.pending);
            let over = self.discoveries.len().saturating_sub(DISCOVERIES_MAX);
            self.discoveries.drain(..over);
            self.now = Some(at);
        }
    }

    /// The level of the next test.
    fn level(&self, terms: &AlertBudget, partitions: i32) -> f64 {
        let share = 1.0 / f64::from(partitions.max(1));
        let number = self.tests + 1;
        let level = match *terms {
            AlertBudget::FalseDiscoveryRate { rate, .. } => self.lord(rate, share, number),
            AlertBudget::FalseAlarms { count, .. } => self.spend(count * share, number),
        };
        level.clamp(0.0, 1.0)
    }

    /// LORD++: the wealth to begin with, then what each discovery earns. The
    /// first one earns less, by the whole wealth and not by the partition's
    /// share of it, so that over all partitions the levels sum to at most
    /// `rate` for each discovery.
    fn lord(&self, rate: f64, share: f64, number: u64) -> f64 {
        let wealth = rate / 2.0;
        let earned = self.discoveries.iter().enumerate().map(|(i, at)| {
            let pay = if i == 0 { rate - wealth } else { rate };
            pay * lord_weight(number - at)
        });
        wealth * share * lord_weight(number) + earned.sum::<f64>()
    }

    /// Alpha spending: evenly over as many tests as there were, and of what is
    /// left then, or in a first period, the part that falls to the next one.
    fn spend(&self, count: f64, number: u64) -> f64 {
        match self.tests_before {
            before if number <= before => count * EVEN_SHARE / before as f64,
            before => (count - self.spent) * next_part(number - before),
        }
    }

    fn note(&mut self, level: f64, discovery: bool, both_keys: bool) {
        self.tests += 1;
        self.spent += level;
        if discovery {
            self.pending.push(self.tests);
        }
        self.tally.add(&Tally {
            tests: 1,
            expected: level,
            discoveries: u64::from(discovery),
            withheld: u64::from(both_keys && !discovery),
            retracted: 0,
        });
    }
}

/// The weight of the j-th test after the beginning or a discovery, j from 1:
/// proportional to log(max(j, 2)) / (j e^√(log j)), with the constant by which
/// all of them sum to less than one (Javanmard and Montanari 2018, "Online
/// rules for control of false discovery rate and false discovery exceedance").
fn lord_weight(j: u64) -> f64 {
    let (j, log) = (j as f64, (j as f64).ln());
    0.0722 * (j.max(2.0)).ln() / (j * log.sqrt().exp())
}

/// The part of what is left that the j-th test is granted: what an endless series
/// of weights 1 / ((j + 1) log²(j + 1)) has in its j-th place, over all from there
/// on, which are about 1 / log(j + ½).
///
/// The weights fall more slowly than 1 / j², so that late tests of a long series
/// keep some power. Parts of what is left never come to more than the whole, and
/// what a test could not use is there for those after it.
fn next_part(j: u64) -> f64 {
    let j = j as f64;
    (j + 0.5).ln() / ((j + 1.0) * (j + 1.0).ln().powi(2))
}

#[cfg(test)]
mod tests;
