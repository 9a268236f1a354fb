//! Why a root is the root, and why others are not.

use std::collections::BTreeSet;

use watchkeep_model::incident::data::{Attribution, Candidate};

use super::{
    COVERAGE, Coverage, ITSELF, LINEAGE_UNKNOWN, Node, RECENT, Search, UPSTREAM_BREACH,
    UPSTREAM_RUN,
};

/// What a losing candidate feeds is counted up to so many watched subjects that
/// do not breach, and so many edges; beyond it enough is told to see that it
/// covers too little.
const TOLD_SPARED_MAX: usize = 100;
const TOLD_WORK_MAX: usize = 1_000;

/// What is said of a node without evidence.
const NOTHING: &str = "nothing is known to be wrong with it";

/// Losing candidates that are told of, the nearest first.
const CANDIDATES_MAX: usize = 8;

impl Search<'_> {
    /// How a root was found, for the subjects that it explains, first detected
    /// first. `subjects` must hold at least one.
    pub(crate) fn tell(&mut self, root: Node, subjects: &[Node]) -> Attribution {
        // The root is a subject like those that it explains; how they were
        // attributed says more than that it stands for itself.
        let explained = subjects.iter().copied().find(|subject| *subject != root);
        let Some(subject) = explained else {
            let method = if self.is_placed(root) { ITSELF } else { LINEAGE_UNKNOWN };
            let candidates = self.losers(root, root);
            let least = self.limits.min_coverage;
            let covers = |one: &Candidate| one.coverage.is_some_and(|share| share >= least);
            let why = match method {
                ITSELF if candidates.iter().any(covers) => {
                    "what lies upstream explains too little besides, or is explained otherwise"
                }
                ITSELF => "no upstream node breaches by itself or covers enough",
                _ => "no lineage of the subject is known",
            };
            return Attribution {
                method: method.into(),
                evidence: vec![why.into()],
                coverage: 1.0,
                candidates,
            };
        };
        let coverage = self.coverage(root);
        let counted = format!(
            "{} of {} watched subjects downstream of {} breach",
            coverage.breaching,
            coverage.watched,
            self.name(root)
        );
        let (method, mut evidence) = if let Some(breach) = self.board.first_breach(root) {
            (UPSTREAM_BREACH, vec![format!("{}: {}", self.name(root), breach.what)])
        } else if let Some((_, what)) = self.trouble(root) {
            (UPSTREAM_RUN, vec![format!("{}: {what}", self.name(root))])
        } else if let Some((id, _)) = self.board.open_incident(root) {
            (UPSTREAM_BREACH, vec![format!("{}: incident {id} is open", self.name(root))])
        } else {
            (COVERAGE, Vec::new())
        };
        evidence.push(counted);
        Attribution {
            method: method.into(),
            evidence,
            // What is far away may be out of reach from the root itself.
            coverage: if coverage.watched == 0 { 1.0 } else { coverage.ratio() },
            candidates: self.losers(subject, root),
        }
    }

    /// The nodes above a subject that are not its root.
    fn losers(&mut self, subject: Node, root: Node) -> Vec<Candidate> {
        let above = self.ancestors(subject, false);
        let mut nodes = above.nodes.clone();
        nodes.sort_by(|a, b| (a.1, self.name(a.0)).cmp(&(b.1, self.name(b.0))));
        nodes.retain(|(node, _)| *node != root);
        nodes.truncate(CANDIDATES_MAX);
        let mut losers: Vec<Candidate> = Vec::new();
        for (node, _) in nodes {
            let why_not = self.why_not(node, root, subject);
            let coverage = self.coverages.get(&node).and_then(Coverage::known);
            losers.push(Candidate { node: self.name(node).to_owned(), coverage, why_not });
        }
        let reached: BTreeSet<Node> = above.nodes.iter().map(|(node, _)| *node).collect();
        let mut stale = above.stale;
        stale.retain(|(node, _)| *node != root && !reached.contains(node));
        stale.sort_by(|a, b| (self.name(a.0), b.1).cmp(&(self.name(b.0), a.1)));
        stale.dedup_by_key(|(node, _)| *node);
        for (node, seen) in stale.into_iter().take(CANDIDATES_MAX - losers.len()) {
            let age = self.limits.edge_max_age;
            let why_not = format!("its edge was last seen at {seen}, longer than {age} ago");
            let node = self.name(node).to_owned();
            losers.push(Candidate { node, coverage: None, why_not });
        }
        losers
    }

    /// Why too little of what a node feeds breaches for it to be the root of
    /// anything without evidence. Asked once for each node: the same popular ones
    /// lie above very many subjects.
    fn too_little(&mut self, node: Node) -> Option<String> {
        if let Some(known) = self.too_little.get(&node) {
            return known.clone();
        }
        let why = self.see_too_little(node);
        self.too_little.insert(node, why.clone());
        why
    }

    fn see_too_little(&mut self, node: Node) -> Option<String> {
        let (nothing, least) = (NOTHING, self.limits.min_coverage);
        let (most, enough) = (self.breaching_below(node), self.spared_max(node));
        let told = enough.max(TOLD_SPARED_MAX);
        let mut coverage = self.coverage_within(node, told, TOLD_WORK_MAX);
        if !coverage.is_whole {
            let mut spared = coverage.watched - coverage.breaching;
            if spared <= enough && self.spares_more_than(node, enough) {
                spared = enough + 1;
            }
            if spared > enough {
                return Some(format!(
                    "{nothing}, and of the watched subjects downstream at most {most} breach and at least {spared} do not, less than {least}"
                ));
            }
            coverage = self.coverage(node);
        }
        let (breaching, watched) = (coverage.breaching, coverage.watched);
        if coverage.ratio() < least {
            return Some(format!(
                "{nothing}, and {breaching} of {watched} watched subjects downstream breach, less than {least}"
            ));
        }
        let least = self.limits.min_features as usize;
        if breaching < least {
            return Some(format!(
                "{nothing}, and only {breaching} subjects downstream breach, not {least}"
            ));
        }
        None
    }

    /// Why a node is not the root of a subject, which may be its own.
    fn why_not(&mut self, node: Node, root: Node, subject: Node) -> String {
        let (root_name, is_alone) = (self.name(root), subject == root);
        if self.has_evidence(node, subject) {
            return if self.by_evidence(node) == root {
                format!("what is wrong with it is explained by {root_name}")
            } else if self.covers(root) && !self.covers(node) {
                let least = self.limits.min_coverage;
                format!("less than {least} of what it feeds breaches, unlike {root_name}")
            } else {
                format!("further away than {root_name}, or covers less")
            };
        }
        if self.outlived.contains(&(subject, node)) {
            let least = self.limits.min_coverage;
            let since = match self.board.over_since(node) {
                Some(over) => format!("has been over since {over}"),
                None => format!("is older than {RECENT}"),
            };
            return format!(
                "what was wrong with it {since}, and less than {least} of what it feeds breaches"
            );
        }
        if let Some(why) = self.too_little(node) {
            return why;
        }
        let Coverage { breaching, watched, .. } = self.coverage(node);
        let nothing = NOTHING;
        let spared = watched - breaching;
        if is_alone {
            return format!(
                "{nothing}, and {spared} of {watched} watched subjects downstream do not breach: that {root_name} broke by itself is the simpler story"
            );
        }
        if self.has_any_evidence(root) && root != node {
            return format!("{nothing}; {root_name} has evidence of its own");
        }
        if self.coverage(root).breaching < breaching {
            return format!(
                "{nothing}, and {spared} of {watched} watched subjects downstream do not breach: {root_name}, with what it leaves to others, is the simpler story"
            );
        }
        format!(
            "{nothing}, and {root_name} explains as much from nearer by, with an owner, or with fewer exceptions"
        )
    }
}
