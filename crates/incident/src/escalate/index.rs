//! What the stage looks up, all of it derived from incidents, facts and held
//! breaches.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use watchkeep_model::breach::Breach;
use watchkeep_model::charter::ExpectationKind;
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::subject::typed;
use watchkeep_model::time::Timestamp;

use crate::attribution::board::{Board, OpenBreach};
use crate::context::Context;
use crate::pages::Pages;
use crate::state::Incident;

use super::digests::Digests;
use super::kept::{Lookup, Ordered};
use super::platform;
use super::relate::Change;

/// Openings of one group that are remembered for `recurrence`, at least. Beyond
/// twice as many the older half is forgotten, which no count of a policy reaches.
const RECURRENCES_MAX: usize = 1_000;

/// What is due, in the order in which it happens at one instant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// Held breaches open incidents.
    Held,
    /// A silence begins or ends.
    Silence(String),
    /// An incident that has cleared speaks for others no longer.
    Cover(String),
    /// An incident's timer.
    Incident(Ordered),
    /// Collected pages to a person go out.
    Digest(String),
    /// What charters and policies promise to look at again falls due.
    Upkeep,
}

type Due = (Timestamp, What);

/// How typed names of features begin.
const FEATURE: &str = "feature:";

#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    due: BTreeSet<Due>,
    due_of: BTreeMap<What, Timestamp>,
    holds: BTreeMap<Timestamp, BTreeSet<String>>,
    hold_of: Lookup<String, Timestamp>,
    groups: Lookup<String, String>,
    attached: Lookup<String, String>,
    attached_at: Lookup<String, Timestamp>,
    watching: Lookup<String, BTreeSet<String>>,
    /// Incidents whose verification also looks at a subject.
    references: BTreeMap<String, BTreeSet<String>>,
    roots: BTreeMap<String, BTreeSet<String>>,
    /// Where each incident stood when it was looked at last.
    stands: Lookup<String, Stand>,
    load: BTreeMap<String, u32>,
    recurrences: Lookup<String, Vec<Timestamp>>,
    board: Board,
    resolved: VecDeque<String>,
    /// Resolved ones that wait for their review, which is to find them.
    unreviewed: VecDeque<String>,
    /// Group keys by the incident that is the latest of them.
    group_of: Lookup<String, String>,
    /// The incident that each merged one is one with.
    merged: BTreeMap<String, String>,
    /// Incidents under each silence.
    silenced: BTreeMap<String, BTreeSet<String>>,
    /// Incidents that each incident speaks for.
    children: BTreeMap<String, BTreeSet<String>>,
    /// Who speaks for an incident.
    parents: Lookup<String, String>,
    /// Silences that an incident has been under since it opened or reopened.
    silences_of: Lookup<String, Vec<String>>,
    pages: Pages,
    digests: Digests,
    /// Open breaches of features that stand for themselves.
    unexplained: BTreeMap<String, BTreeSet<String>>,
}

/// What is looked up of one incident, so that only what has changed of it costs
/// anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stand {
    is_open: bool,
    /// Of an open one.
    owner: Option<String>,
    /// When its next timer is due.
    due_at: Option<Timestamp>,
    /// When it speaks for others no longer.
    covers_until: Option<Timestamp>,
}

impl Index {
    pub(super) fn next_due(&self) -> Option<Due> {
        self.due.first().cloned()
    }

    pub(super) fn set_hold(&mut self, breach_id: &str, due_at: Option<Timestamp>) {
        if let Some(before) = self.hold_of.remove(breach_id)
            && let Some(ids) = self.holds.get_mut(&before)
        {
            ids.remove(breach_id);
            if ids.is_empty() {
                self.holds.remove(&before);
                self.due.remove(&(before, What::Held));
            }
        }
        if let Some(due_at) = due_at {
            self.hold_of.insert(breach_id.to_owned(), due_at);
            self.holds.entry(due_at).or_default().insert(breach_id.to_owned());
            self.due.insert((due_at, What::Held));
        }
    }

    /// Held breaches that are due by then.
    pub(super) fn held_until(&self, at: Timestamp) -> Vec<String> {
        self.holds.range(..=at).flat_map(|(_, ids)| ids.iter().cloned()).collect()
    }

    /// Sets when something is due; `None` where it is not any more.
    pub(super) fn set_due(&mut self, what: What, due_at: Option<Timestamp>) {
        if self.due_of.get(&what).copied() == due_at {
            return;
        }
        if let Some(before) = self.due_of.remove(&what) {
            self.due.remove(&(before, what.clone()));
        }
        if let Some(due_at) = due_at {
            self.due_of.insert(what.clone(), due_at);
            self.due.insert((due_at, what));
        }
    }

    /// The incidents that a message speaks for besides its own.
    pub(super) fn carried_by(&self, escalation: &str) -> Vec<String> {
        self.digests.carried_by(escalation)
    }

    /// Incidents under a silence.
    pub(super) fn silenced_by(&self, silence: &str) -> Vec<String> {
        self.silenced.get(silence).map(|ids| ids.iter().cloned().collect()).unwrap_or_default()
    }

    /// Incidents that an incident speaks for.
    pub(super) fn children(&self, id: &str) -> Vec<String> {
        self.children.get(id).map(|ids| ids.iter().cloned().collect()).unwrap_or_default()
    }

    /// Features that breach for themselves, with some more.
    pub(super) fn unexplained_with<'a>(&self, more: impl Iterator<Item = &'a str>) -> u64 {
        let new: BTreeSet<&str> = more
            .filter(|feature| typed(feature).starts_with(FEATURE))
            .filter(|feature| !self.unexplained.contains_key(*feature))
            .collect();
        (self.unexplained.len() + new.len()) as u64
    }

    /// Features that were judged lately.
    pub(super) fn watched(&mut self, at: Timestamp) -> u64 {
        self.board.watched(at)
    }

    pub(super) fn drop_digest(&mut self, user: &str) {
        self.pages.drop_digest(user);
    }

    pub(super) const fn pages(&self) -> &Pages {
        &self.pages
    }

    pub(super) const fn board(&self) -> &Board {
        &self.board
    }

    pub(super) fn incident_of(&self, breach_id: &str) -> Option<String> {
        self.attached.get(breach_id).cloned()
    }

    /// True where an incident took this very opening in and it has not
    /// cleared since. (One that has is followed by its clearing in the log.)
    pub(super) fn was_attached(&self, breach: &Breach) -> bool {
        self.attached_at.get(&breach.breach_id).is_some_and(|at| *at >= breach.detected_at)
    }

    pub(super) fn watching(&self, feature: &str, version: &str) -> Vec<String> {
        let ids = self.watching.get(&watch_key(feature, version)).into_iter().flatten();
        let referring = self.references.get(feature).into_iter().flatten();
        let all: BTreeSet<&String> = ids.chain(referring).collect();
        all.into_iter().cloned().collect()
    }

    pub(super) fn open_of_root(&self, root: &str) -> Vec<String> {
        self.roots.get(root).map(|ids| ids.iter().cloned().collect()).unwrap_or_default()
    }

    pub(super) fn any_open(&self) -> bool {
        !self.roots.is_empty()
    }

    /// True where any other incident is open.
    pub(super) fn others_open(&self, id: &str) -> bool {
        match self.roots.len() {
            0 => false,
            1 => self.roots.values().flatten().any(|one| one != id),
            _ => true,
        }
    }

    pub(super) fn latest_of_group(&self, group_key: &str) -> Option<String> {
        self.groups.get(group_key).cloned()
    }

    pub(super) const fn load(&self) -> &BTreeMap<String, u32> {
        &self.load
    }

    pub(super) fn recurrences(&self, group_key: &str) -> &[Timestamp] {
        self.recurrences.get(group_key).map_or(&[], Vec::as_slice)
    }

    pub(super) fn recurrences_with(&self, group_key: &str, at: Timestamp) -> Vec<Timestamp> {
        let mut all = self.recurrences(group_key).to_vec();
        all.push(at);
        all
    }

    pub(super) fn add_evidence(&mut self, breach: &Breach) {
        let open = OpenBreach {
            detected_at: breach.detected_at,
            kind: breach.kind,
            began: breach.window_start,
            what: format!("{} breached since {}", breach.expectation, breach.window_start),
            root: None,
        };
        self.board.breach(&typed(&breach.feature), &breach.breach_id, open);
    }

    pub(super) fn forget_evidence(&mut self, breach: &Breach) {
        self.board.clear(&typed(&breach.feature), &breach.breach_id);
    }

    /// A window of a subject was judged, whatever came of it.
    pub(super) fn judged(&mut self, feature: &str, end: Timestamp) {
        self.board.judged(feature, end);
    }

    /// What is known of each subject, with its place in the lineage.
    pub(super) fn settled(&mut self, context: &dyn Context) -> &Board {
        self.board.settle(context);
        &self.board
    }

    /// Takes in what a fact changes, after the incident has applied it.
    pub(super) fn note(&mut self, fact: &Fact, incident: &Incident) {
        match &fact.data {
            FactData::Opened(opened) => {
                let before = self.groups.insert(opened.group_key.clone(), incident.id.clone());
                if let Some(before) = before
                    && self.group_of.get(&before) == Some(&opened.group_key)
                {
                    self.group_of.remove(&before);
                }
                self.group_of.insert(incident.id.clone(), opened.group_key.clone());
                let openings = self.recurrences.entry(opened.group_key.clone()).or_default();
                openings.push(fact.occurred_at);
                if openings.len() > 2 * RECURRENCES_MAX {
                    openings.drain(..RECURRENCES_MAX);
                }
                self.board.struck(&incident.root, fact.occurred_at);
            }
            FactData::BreachAttached(data) => {
                self.attached.insert(data.breach_id.clone(), incident.id.clone());
                self.attached_at.insert(data.breach_id.clone(), data.detected_at);
                if is_unexplained(data.kind, &data.feature, &incident.root) {
                    let count = self.unexplained.entry(data.feature.clone()).or_default();
                    count.insert(data.breach_id.clone());
                } else {
                    leave(&mut self.unexplained, &data.feature, &data.breach_id);
                }
                let key = watch_key(&data.feature, &data.feature_version);
                self.watching.entry(key).or_default().insert(incident.id.clone());
                if let Some(reference) = incident.people.reference_subject() {
                    let ids = self.references.entry(reference.to_owned()).or_default();
                    ids.insert(incident.id.clone());
                }
                let open = OpenBreach {
                    detected_at: data.detected_at,
                    kind: data.kind,
                    began: data.window_start,
                    what: format!("{} breached since {}", data.expectation, data.window_start),
                    root: Some(incident.root.clone()),
                };
                self.board.breach(&typed(&data.feature), &data.breach_id, open);
                self.board.join(&data.feature, &incident.root, true);
                self.board.breaches_again(&incident.root, &incident.id);
                if typed(&data.feature) == incident.root {
                    self.board.struck(&incident.root, data.detected_at);
                }
            }
            FactData::BreachCleared(data) => {
                if typed(&data.feature) == incident.root {
                    self.board.struck(&incident.root, fact.occurred_at);
                }
                self.attached.remove(&data.breach_id);
                self.attached_at.remove(&data.breach_id);
                leave(&mut self.unexplained, &data.feature, &data.breach_id);
                self.board.clear(&typed(&data.feature), &data.breach_id);
                if !incident.is_breaching() {
                    self.board.over(&incident.root, &incident.id, fact.occurred_at);
                }
            }
            FactData::Merged(data) => {
                self.merged.insert(incident.id.clone(), data.into.clone());
                self.hand_groups_over(&incident.id, &data.into);
                self.resolved.push_back(incident.id.clone());
                self.let_go(incident);
            }
            FactData::Resolved(data) => {
                let waits = data.review_due_at.is_some();
                let queue = if waits { &mut self.unreviewed } else { &mut self.resolved };
                queue.push_back(incident.id.clone());
                self.let_go(incident);
            }
            FactData::Reopened(_) => {
                self.resolved.retain(|id| *id != incident.id);
                self.unreviewed.retain(|id| *id != incident.id);
                for (feature, ..) in incident.attached.keys() {
                    self.board.join(feature, &incident.root, true);
                }
                self.board.struck(&incident.root, fact.occurred_at);
            }
            FactData::Reviewed(_) if self.unreviewed.contains(&incident.id) => {
                self.unreviewed.retain(|id| *id != incident.id);
                self.resolved.push_back(incident.id.clone());
            }
            _ => {}
        }
        self.note_quiet(fact, incident);
        self.digests.note(fact);
        let calm = !incident.is_open() || incident.resting || incident.acknowledged.is_some();
        for user in self.pages.note(fact, calm, incident.handoff_owed()) {
            let due_at = self.pages.digest(&user).map(|digest| digest.due_at);
            self.set_due(What::Digest(user), due_at);
        }
    }

    /// What comes of the group of an incident, and of those that were merged into
    /// it, belongs to another from now on.
    fn hand_groups_over(&mut self, id: &str, into: &str) {
        for (earlier, goes_on) in &mut self.merged {
            if earlier != id && goes_on != id {
                continue;
            }
            into.clone_into(goes_on);
            if let Some(key) = self.group_of.get(earlier) {
                self.groups.insert(key.clone(), into.to_owned());
            }
        }
    }

    /// Nothing of an incident that is over is watched, or evidence, any more.
    fn let_go(&mut self, incident: &Incident) {
        if let Some(reference) = incident.people.reference_subject()
            && let Some(ids) = self.references.get_mut(reference)
        {
            ids.remove(&incident.id);
            if ids.is_empty() {
                self.references.remove(reference);
            }
        }
        for ((feature, version, _), attached) in &incident.attached {
            // Accepted as it is: no longer evidence, no longer watched. What a merger
            // has given to another is that one's, also where a log of several
            // partitions tells of the other first.
            let is_own = |breach_id: &&String| self.attached.get(*breach_id) == Some(&incident.id);
            self.board.join(feature, &incident.root, false);
            let own: Vec<&String> = attached.open.iter().filter(is_own).collect();
            for breach_id in own {
                self.attached.remove(breach_id);
                leave(&mut self.unexplained, feature, breach_id);
                self.board.clear(&typed(feature), breach_id);
            }
            let key = watch_key(feature, version);
            if let Some(ids) = self.watching.get_mut(&key) {
                ids.remove(&incident.id);
                if ids.is_empty() {
                    self.watching.remove(&key);
                }
            }
        }
    }

    /// Which incidents are under which silence, and who speaks for whom.
    fn note_quiet(&mut self, fact: &Fact, incident: &Incident) {
        let id = &incident.id;
        match &fact.data {
            FactData::Silenced(data) => {
                self.silenced.entry(data.silence.clone()).or_default().insert(id.clone());
            }
            FactData::Unsilenced(data) => leave(&mut self.silenced, &data.silence, id),
            FactData::Inhibited(data) => {
                if let Some(before) = self.parents.insert(id.clone(), data.by.clone()) {
                    leave(&mut self.children, &before, id);
                }
                self.children.entry(data.by.clone()).or_default().insert(id.clone());
            }
            FactData::Uninhibited(_) | FactData::Resolved(_) | FactData::Merged(_) => {
                if let Some(by) = self.parents.remove(id) {
                    leave(&mut self.children, &by, id);
                }
            }
            _ => {}
        }
        if matches!(fact.data, FactData::Resolved(_) | FactData::Merged(_)) {
            let ids: Vec<String> = self.silences_of.remove(id).unwrap_or_default();
            ids.iter().for_each(|silence| leave(&mut self.silenced, silence, id));
        } else if let FactData::Silenced(data) = &fact.data {
            self.silences_of.entry(id.clone()).or_default().push(data.silence.clone());
        }
    }

    /// Takes in what was written of an incident, what that means for others and
    /// where it stands now.
    pub(super) fn take_in(
        &mut self,
        facts: &[Fact],
        incident: &Incident,
        check_at: Option<Timestamp>,
        changes: &mut VecDeque<Change>,
    ) {
        let is_attached = |fact: &&Fact| matches!(fact.data, FactData::BreachAttached(_));
        let attached = facts.iter().filter(is_attached).count() as u64;
        for fact in facts {
            let is_anew = strikes(fact, incident) && self.board.is_over(&incident.root);
            self.note(fact, incident);
            let change = Change::of(fact, incident, attached)
                .or_else(|| self.tells_of_others(fact, incident).then(|| Change::rose(incident)));
            changes.extend(change.filter(|change| changes.back() != Some(change)));
            if is_anew {
                // All that breach of this root speak for others again.
                let all = self.open_of_root(&incident.root).into_iter();
                changes.extend(all.filter(|id| *id != incident.id).map(Change::Rose));
            }
        }
        self.refresh(incident, check_at);
    }

    /// True where a breach has joined whose subject has an open incident of its
    /// own: what an incident has taken in it may explain by now.
    fn tells_of_others(&self, fact: &Fact, incident: &Incident) -> bool {
        let FactData::BreachAttached(data) = &fact.data else { return false };
        let subject = typed(&data.feature);
        subject != incident.root && self.roots.contains_key(&*subject)
    }

    /// Its owner's load, its root, its next timer.
    fn refresh(&mut self, incident: &Incident, check_at: Option<Timestamp>) {
        let id = &incident.id;
        let is_open = incident.is_open();
        // What has cleared explains nothing any more once it may settle.
        let is_over = is_open && !platform::speaks(incident) && self.children.contains_key(id);
        let now = Stand {
            is_open,
            owner: incident.owner.clone().filter(|_| is_open),
            due_at: incident.next_timer(check_at).map(|(due_at, _)| due_at),
            covers_until: is_over.then(|| incident.settles_at.or(incident.cleared_at)).flatten(),
        };
        let before = match self.stands.get_mut(id) {
            Some(stand) if *stand == now => return,
            Some(stand) => std::mem::replace(stand, now.clone()),
            None => {
                self.stands.insert(id.clone(), now.clone());
                Stand::default()
            }
        };
        if before.owner != now.owner {
            self.reload(before.owner.as_deref(), now.owner.as_deref());
        }
        if before.is_open != now.is_open {
            self.board.incident(&incident.root, id, is_open.then_some(incident.kind));
            if is_open {
                self.roots.entry(incident.root.clone()).or_default().insert(id.clone());
            } else {
                leave(&mut self.roots, &incident.root, id);
            }
        }
        self.time(id, before.due_at, now.due_at);
        if before.covers_until != now.covers_until {
            self.set_due(What::Cover(id.clone()), now.covers_until);
        }
    }

    /// One of the open incidents of somebody is somebody else's.
    fn reload(&mut self, before: Option<&str>, now: Option<&str>) {
        if let Some(before) = before
            && let Some(count) = self.load.get_mut(before)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.load.remove(before);
            }
        }
        if let Some(now) = now {
            *self.load.entry(now.to_owned()).or_default() += 1;
        }
    }

    /// The next timer of an incident is due at another time.
    fn time(&mut self, id: &str, before: Option<Timestamp>, now: Option<Timestamp>) {
        if before == now {
            return;
        }
        let mut due = (Timestamp::MIN, What::Incident(id.into()));
        if let Some(before) = before {
            due.0 = before;
            self.due.remove(&due);
        }
        if let Some(now) = now {
            due.0 = now;
            self.due.insert(due);
        }
    }

    /// Incidents to forget, so that the kept ones stay within bounds: those
    /// that wait for a review, and those that wait for nothing.
    pub(super) fn too_many_resolved(&mut self, kept_max: usize) -> Vec<String> {
        let mut forgotten = Vec::new();
        for queue in [&mut self.resolved, &mut self.unreviewed] {
            let excess = queue.len().saturating_sub(kept_max);
            forgotten.extend(queue.drain(..excess));
        }
        for id in &forgotten {
            let into = self.merged.remove(id);
            if let Some(group_key) = self.group_of.remove(id)
                && self
                    .groups
                    .get(&group_key)
                    .is_some_and(|of| of == id || Some(of) == into.as_ref())
            {
                self.groups.remove(&group_key);
            }
            let stand = self.stands.remove(id);
            self.time(id, stand.and_then(|stand| stand.due_at), None);
        }
        forgotten
    }
}

/// True where a fact shows that incidents with this root are about it.
fn strikes(fact: &Fact, incident: &Incident) -> bool {
    match &fact.data {
        FactData::Opened(_) | FactData::Reopened(_) => true,
        FactData::BreachAttached(data) => typed(&data.feature) == incident.root,
        _ => false,
    }
}

/// True for a breach of a feature that is its incident's root itself.
fn is_unexplained(kind: ExpectationKind, feature: &str, root: &str) -> bool {
    let subject = typed(feature);
    kind != ExpectationKind::Platform && subject.starts_with(FEATURE) && subject == root
}

fn leave(sets: &mut BTreeMap<String, BTreeSet<String>>, of: &str, id: &str) {
    if let Some(ids) = sets.get_mut(of) {
        ids.remove(id);
        if ids.is_empty() {
            sets.remove(of);
        }
    }
}

fn watch_key(feature: &str, version: &str) -> String {
    format!("{feature}\u{0}{version}")
}
