//! The rule of coverage: the nodes without evidence of their own that explain
//! best what nothing explains yet.
//!
//! Every root costs a page, and so does every subject that is left to itself.
//! A root costs more for each watched subject below it that does not breach
//! though it should. The cheapest set of roots is sought: exactly where few
//! nodes are in question, else as the better of two greedy covers, one by what
//! a root saves and one by its price for each subject (Chvátal, *A greedy
//! heuristic for the set-covering problem*, 1979).

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::{Node, Roots, Search};

/// Pairs of a subject and a node above it that are weighed. Beyond it the
/// remaining subjects are weighed with no further node.
const PAIRS_MAX: usize = 5_000_000;

/// A breaching subject that only one node explains might as well have broken
/// by itself; from two on a common cause is the simpler story.
const TOGETHER_MIN: usize = 2;

/// What a page costs.
const PAGE: i64 = 1_000;

/// The most that a subject costs which should breach and does not: five of them
/// weigh as much as two pages. Were it less, a node of which two parts in three
/// breach whole would take them in, though they are two roots; were it more, a
/// fault that shows in little more than `min_coverage` of what its node feeds
/// would be told as several.
const SPARED_MAX: i64 = PAGE * 2 / 5;

/// Nodes among which every choice is tried: at most a thousand choices.
const EXACT_MAX: usize = 10;

/// A node that might be a root.
#[derive(Debug)]
struct Candidate {
    node: Node,
    /// Places in the list of unexplained subjects.
    members: Vec<u32>,
    /// The longest way to one of them.
    distance: u32,
    /// Watched subjects below that do not breach.
    spared: usize,
    /// Nodes below: of two that explain the same the one that lies below the
    /// other has fewer.
    below: usize,
    /// Breaching subjects below that stand for themselves in other incidents.
    loners: usize,
    accountable: bool,
}

/// What is left to explain.
#[derive(Clone)]
struct Unexplained {
    subjects: Vec<Node>,
    /// True where the subject explains others by evidence of its own.
    leads: Vec<bool>,
    done: Vec<bool>,
}

impl Unexplained {
    /// The candidates of a component with their members counted anew, and what
    /// they have to explain.
    fn only(&self, mut component: Vec<Candidate>) -> (Vec<Candidate>, Self) {
        let members: BTreeSet<u32> =
            component.iter().flat_map(|one| one.members.iter().copied()).collect();
        let places: BTreeMap<u32, u32> = members.iter().copied().zip(0..).collect();
        for member in component.iter_mut().flat_map(|one| &mut one.members) {
            *member = places[member];
        }
        let of = |member: &u32| *member as usize;
        let left = Self {
            subjects: members.iter().map(|member| self.subjects[of(member)]).collect(),
            leads: members.iter().map(|member| self.leads[of(member)]).collect(),
            done: vec![false; members.len()],
        };
        (component, left)
    }
}

/// What a root saves. Then those that nothing else explains, then those for
/// whom somebody answers, then the nearest, then what feeds the fewest nodes,
/// then the first by name.
type Rank<'n> = (i64, usize, bool, Reverse<u32>, Reverse<usize>, Reverse<&'n str>);

/// Roots that were chosen, by their places in the list of candidates.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Plan<'n> {
    cost: i64,
    roots: usize,
    /// Roots for which nobody answers.
    orphans: usize,
    /// How far the roots are from what they explain.
    distance: u32,
    /// How much the roots feed.
    below: usize,
    /// Ascending, so that what is equal otherwise does not depend on numbers.
    names: Vec<&'n str>,
    chosen: Vec<usize>,
}

/// Candidates that concern the same subjects, and how they are weighed.
struct Weighing<'n> {
    candidates: Vec<(Candidate, &'n str)>,
    min_features: usize,
    /// What a subject costs that should breach and does not.
    spared: i64,
}

impl<'a> Search<'a> {
    /// The root by coverage of every subject that stands for itself so far and
    /// has one.
    pub(super) fn by_coverage(
        &mut self,
        roots: &Roots,
        is_accountable: &dyn Fn(&str) -> bool,
    ) -> Roots {
        if self.board.breaching() < self.min_features() {
            return Roots::new();
        }
        let left = self.unexplained(roots);
        let mut candidates = self.candidates(&left);
        candidates.retain_mut(|candidate| self.weigh(candidate, roots, is_accountable));
        let mut taken = Roots::new();
        for component in components(candidates, left.subjects.len()) {
            let (component, mut left) = left.only(component);
            let named = component.into_iter().map(|one| {
                let name = self.name(one.node);
                (one, name)
            });
            let weighing = Weighing {
                candidates: named.collect(),
                min_features: self.min_features(),
                spared: self.cost_of_spared(),
            };
            let weighing = weighing.without_doubles();
            for place in weighing.best(&left).chosen {
                let (candidate, _) = &weighing.candidates[place];
                for member in &candidate.members {
                    if !std::mem::replace(&mut left.done[*member as usize], true) {
                        taken.insert(left.subjects[*member as usize], candidate.node);
                    }
                }
            }
        }
        taken
    }

    /// At most so much that the least that a policy asks for is still worth a
    /// root: `min_features` of them, at `min_coverage`.
    fn cost_of_spared(&self) -> i64 {
        let least = self.min_features() as f64;
        let share = self.limits.min_coverage.clamp(f64::EPSILON, 1.0);
        let spared = least * (1.0 - share) / share;
        let most = (least - 1.0) * PAGE as f64 / spared.max(f64::EPSILON);
        (most as i64).min(SPARED_MAX)
    }

    fn min_features(&self) -> usize {
        usize::try_from(self.limits.min_features).unwrap_or(usize::MAX).max(1)
    }

    fn unexplained(&mut self, roots: &Roots) -> Unexplained {
        let subjects: Vec<Node> =
            roots.iter().filter(|(subject, root)| subject == root).map(|(node, _)| *node).collect();
        let led: BTreeSet<Node> =
            roots.iter().filter(|(subject, root)| subject != root).map(|(_, root)| *root).collect();
        let leads = subjects.iter().map(|node| led.contains(node) && self.covers(*node)).collect();
        let done = vec![false; subjects.len()];
        Unexplained { subjects, leads, done }
    }

    /// Every node above an unexplained subject, with the subjects below it.
    fn candidates(&mut self, left: &Unexplained) -> Vec<Candidate> {
        let mut above: BTreeMap<Node, (Vec<u32>, u32)> = BTreeMap::new();
        let mut pairs = 0;
        for (member, subject) in (0..).zip(&left.subjects) {
            if self.is_tired(pairs, PAIRS_MAX) {
                break;
            }
            for (node, distance) in self.ancestors(*subject, false).nodes {
                let (members, furthest) = above.entry(node).or_default();
                members.push(member);
                *furthest = (*furthest).max(distance);
                pairs += 1;
            }
        }
        let candidate = |(node, (members, distance))| Candidate {
            node,
            members,
            distance,
            spared: 0,
            below: 0,
            loners: 0,
            accountable: false,
        };
        above.into_iter().map(candidate).collect()
    }

    /// Counts what a candidate feeds; false where it cannot be a root.
    fn weigh(
        &mut self,
        candidate: &mut Candidate,
        roots: &Roots,
        is_accountable: &dyn Fn(&str) -> bool,
    ) -> bool {
        if self.has_any_evidence(candidate.node) {
            return false;
        }
        let spared_max = self.spared_max(candidate.node);
        if self.breaching_below(candidate.node) < self.min_features()
            || self.spares_more_than(candidate.node, spared_max)
        {
            return false;
        }
        let board = self.board;
        let mut others: Vec<Node> = Vec::new();
        let coverage = self.count(candidate.node, spared_max, &mut |node| {
            if !roots.contains_key(&node) {
                others.push(node);
            }
        });
        debug_assert!(
            coverage.breaching <= self.breaching_below(candidate.node),
            "no more breach below a node than are counted for it"
        );
        self.coverages.insert(candidate.node, coverage.clone());
        let stands_alone = |node: &&Node| {
            board.attached_root(**node).and_then(|root| self.node(root)) == Some(**node)
        };
        candidate.loners = others.iter().filter(stands_alone).count();
        candidate.spared = coverage.watched - coverage.breaching;
        candidate.below = coverage.nodes;
        let covers = coverage.is_whole
            && coverage.ratio() >= self.limits.min_coverage
            && coverage.breaching >= self.min_features();
        candidate.accountable = covers && is_accountable(self.name(candidate.node));
        covers
    }
}

impl<'w> Weighing<'w> {
    /// Of candidates that explain the same the first in rank alone.
    fn without_doubles(mut self) -> Self {
        let mut best: BTreeMap<Vec<u32>, (Candidate, &str)> = BTreeMap::new();
        for (candidate, name) in std::mem::take(&mut self.candidates) {
            let wins = best.get(&candidate.members).is_none_or(|(known, known_name)| {
                let all = candidate.members.len();
                self.rank(&candidate, name, all) > self.rank(known, known_name, all)
            });
            if wins {
                best.insert(candidate.members.clone(), (candidate, name));
            }
        }
        self.candidates = best.into_values().collect();
        self
    }

    fn cost(&self, candidate: &Candidate) -> i64 {
        PAGE + self.spared * i64::try_from(candidate.spared).unwrap_or(i64::MAX / SPARED_MAX)
    }

    fn rank<'n>(&self, candidate: &Candidate, name: &'n str, saves: usize) -> Rank<'n> {
        let saved = PAGE.saturating_mul(i64::try_from(saves).unwrap_or(i64::MAX));
        (
            saved.saturating_sub(self.cost(candidate)),
            // What other roots explain speaks for them and not for this one,
            // however much of it a popular node feeds.
            candidate.members.len() + candidate.loners,
            candidate.accountable,
            Reverse(candidate.distance),
            Reverse(candidate.below),
            Reverse(name),
        )
    }

    /// How many subjects a candidate would explain now; `None` where they are
    /// too few to speak of a common cause.
    fn saves(&self, candidate: &Candidate, left: &Unexplained) -> Option<usize> {
        let open = candidate.members.iter().filter(|member| !left.done[**member as usize]);
        let (mut leading, mut bare) = (0, 0);
        open.for_each(|member| if left.leads[*member as usize] { leading += 1 } else { bare += 1 });
        let together = bare + candidate.loners >= self.min_features.min(TOGETHER_MIN);
        let explains = together || leading >= self.min_features;
        (explains && leading + bare > 0).then_some(leading + bare)
    }

    /// The cheapest plan that is found; of equally cheap ones that with the
    /// fewest roots, then with owners, then the nearest.
    fn best(&self, left: &Unexplained) -> Plan<'w> {
        let by_saving =
            self.greedy(&mut left.clone(), |one, name, saves| self.rank(one, name, saves));
        let by_price = self.greedy(&mut left.clone(), |one, name, saves| {
            (Price { cost: self.cost(one), saves }, self.rank(one, name, saves))
        });
        let mut best = by_saving.min(by_price);
        if self.candidates.len() <= EXACT_MAX {
            for choice in 1..1_usize << self.candidates.len() {
                if let Some(plan) = self.exactly(choice, &mut left.clone()) {
                    best = best.min(plan);
                }
            }
        }
        best
    }

    fn greedy<K: Ord>(
        &self,
        left: &mut Unexplained,
        key: impl Fn(&Candidate, &'w str, usize) -> K,
    ) -> Plan<'w> {
        let mut heap: BinaryHeap<(K, usize)> = BinaryHeap::new();
        for (place, (candidate, name)) in self.candidates.iter().enumerate() {
            if let Some(saves) = self.saves(candidate, left) {
                heap.push((key(candidate, name, saves), place));
            }
        }
        let mut chosen = Vec::new();
        // What a root explains only shrinks while others are taken, so an entry
        // that is still right at the top is the best.
        while let Some((known, place)) = heap.pop() {
            let (candidate, name) = &self.candidates[place];
            let Some(saves) = self.saves(candidate, left) else { continue };
            let now = key(candidate, name, saves);
            if now < known {
                heap.push((now, place));
                continue;
            }
            let worth = PAGE.saturating_mul(i64::try_from(saves).unwrap_or(i64::MAX));
            // Whoever is alone below it in another incident speaks for it too.
            if candidate.loners == 0 && worth < self.cost(candidate) {
                continue;
            }
            candidate.members.iter().for_each(|member| left.done[*member as usize] = true);
            chosen.push(place);
        }
        self.plan(chosen, left)
    }

    /// The plan of a choice; `None` where one of its roots explains too little
    /// of what the better ones leave.
    fn exactly(&self, choice: usize, left: &mut Unexplained) -> Option<Plan<'w>> {
        let mut chosen: Vec<usize> =
            (0..self.candidates.len()).filter(|place| choice >> place & 1 == 1).collect();
        chosen.sort_by_key(|place| {
            let (candidate, name) = &self.candidates[*place];
            Reverse(self.rank(candidate, name, candidate.members.len()))
        });
        for place in &chosen {
            let (candidate, _) = &self.candidates[*place];
            self.saves(candidate, left)?;
            candidate.members.iter().for_each(|member| left.done[*member as usize] = true);
        }
        Some(self.plan(chosen, left))
    }

    fn plan(&self, chosen: Vec<usize>, left: &Unexplained) -> Plan<'w> {
        let alone = left.done.iter().filter(|done| !**done).count();
        let roots: i64 = chosen.iter().map(|place| self.cost(&self.candidates[*place].0)).sum();
        let pages = PAGE.saturating_mul(i64::try_from(alone).unwrap_or(i64::MAX));
        let taken = || chosen.iter().map(|place| &self.candidates[*place].0);
        let mut names: Vec<&str> = chosen.iter().map(|place| self.candidates[*place].1).collect();
        names.sort_unstable();
        Plan {
            cost: roots.saturating_add(pages),
            roots: chosen.len() + alone,
            orphans: taken().filter(|candidate| !candidate.accountable).count(),
            distance: taken().map(|candidate| candidate.distance).sum(),
            below: taken().map(|candidate| candidate.below).sum(),
            names,
            chosen,
        }
    }
}

/// What a root costs for each subject that it explains; the greater is cheaper.
#[derive(Debug, PartialEq, Eq)]
struct Price {
    cost: i64,
    saves: usize,
}

impl Ord for Price {
    fn cmp(&self, other: &Self) -> Ordering {
        let by = |price: &Self, saves: usize| i128::from(price.cost) * saves as i128;
        by(other, self.saves).cmp(&by(self, other.saves))
    }
}

impl PartialOrd for Price {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Candidates put together where they share a subject, directly or by others.
fn components(candidates: Vec<Candidate>, subjects: usize) -> Vec<Vec<Candidate>> {
    let mut leader: Vec<u32> = (0..u32::try_from(subjects).unwrap_or(u32::MAX)).collect();
    fn find(leader: &mut [u32], mut member: u32) -> u32 {
        while leader[member as usize] != member {
            leader[member as usize] = leader[leader[member as usize] as usize];
            member = leader[member as usize];
        }
        member
    }
    for candidate in &candidates {
        for pair in candidate.members.windows(2) {
            let (a, b) = (find(&mut leader, pair[0]), find(&mut leader, pair[1]));
            leader[a.max(b) as usize] = a.min(b);
        }
    }
    let mut all: BTreeMap<u32, Vec<Candidate>> = BTreeMap::new();
    for candidate in candidates {
        if let Some(first) = candidate.members.first() {
            all.entry(find(&mut leader, *first)).or_default().push(candidate);
        }
    }
    all.into_values().collect()
}
