//! What the page and the API show: the last window of each feature, open
//! breaches, incidents, the latest pages. A fold of the topics.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use watchkeep_incident::state::Incident;
use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::escalation::{Audience, Escalation};
use watchkeep_model::incident::{Fact, FactData, FactName};
use watchkeep_model::time::Timestamp;
use watchkeep_model::window::{Verdict, Window};

use super::tail::Seen;
use crate::responses::answered_by;

/// Features that are kept. More are watched just the same, and not shown.
const FEATURES_MAX: usize = 200_000;

/// Incidents that are kept; beyond it those that were resolved first go.
const INCIDENTS_MAX: usize = 1_000;

/// Affected features of an incident that are listed; more are left out.
const AFFECTED_MAX: usize = 50;

/// Pages that are kept; the oldest go.
const PAGES_MAX: usize = 200;

/// Commands whose outcome is kept for whoever asks; the oldest go.
const ANSWERS_MAX: usize = 2_000;

/// The fold.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// The latest window of each feature and window name.
    pub(crate) windows: BTreeMap<String, BTreeMap<String, Window>>,
    /// Open breaches by identifier.
    pub(crate) breaches: BTreeMap<String, Breach>,
    /// Incidents by identifier.
    pub(crate) incidents: BTreeMap<String, IncidentView>,
    /// The latest pages, newest first.
    pub(crate) pages: VecDeque<Escalation>,
    /// How many people were paged, by every page there was.
    pub(crate) page_count: u64,
    /// How many breaches were opened.
    pub(crate) opened_count: u64,
    /// What came of the latest commands.
    pub(crate) answers: Answers,
}

/// Facts by the command that led to them.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    facts: BTreeMap<String, Vec<Fact>>,
    order: VecDeque<String>,
}

impl Answers {
    /// What a command led to; nothing where it is not known yet.
    pub(crate) fn of(&self, id: &str) -> Vec<Fact> {
        self.facts.get(id).cloned().unwrap_or_default()
    }

    fn take(&mut self, fact: &Fact) {
        // Deliveries are reported by a stage, which asks for no answer.
        let Some(id) = answered_by(fact).filter(|_| fact.fact != FactName::DeliveryReported) else {
            return;
        };
        if !self.facts.contains_key(id) {
            self.order.push_back(id.to_owned());
            if self.order.len() > ANSWERS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.facts.remove(&oldest);
            }
        }
        self.facts.entry(id.to_owned()).or_default().push(fact.clone());
    }
}

/// An incident as it stands.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct IncidentView {
    pub(crate) incident_id: String,
    pub(crate) state: &'static str,
    /// What else is to be known of it: see [`flags`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) flags: Vec<&'static str>,
    pub(crate) root: String,
    pub(crate) kind: &'static str,
    pub(crate) severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    pub(crate) unowned: bool,
    pub(crate) step: String,
    /// What breaches; where nothing does any more, what did.
    pub(crate) affected_features: Vec<String>,
    pub(crate) opened_at: Timestamp,
    pub(crate) last_at: Timestamp,
    /// Who was paged, in order: person, channel, why.
    pub(crate) paged: Vec<Paged>,
    /// The fold that tells all of this.
    #[serde(skip)]
    incident: Incident,
}

/// One page of an incident.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Paged {
    pub(crate) at: Timestamp,
    pub(crate) target: String,
    pub(crate) channel: String,
    pub(crate) step: String,
    pub(crate) reason: String,
}

impl View {
    /// Takes what was published.
    pub(crate) fn take(&mut self, seen: Seen) {
        match seen {
            Seen::Window(window) => self.window(*window),
            Seen::Breach(breach) => self.breach(*breach),
            Seen::Fact(fact) => self.fact(&fact),
            Seen::Escalation(escalation) => self.escalation(*escalation),
        }
    }

    fn window(&mut self, window: Window) {
        if self.windows.len() >= FEATURES_MAX && !self.windows.contains_key(&window.feature) {
            return;
        }
        let of_feature = self.windows.entry(window.feature.clone()).or_default();
        match of_feature.get(&window.window) {
            Some(known) if known.window_start > window.window_start => {}
            _ => {
                of_feature.insert(window.window.clone(), window);
            }
        }
    }

    fn breach(&mut self, breach: Breach) {
        match breach.transition {
            Transition::Opened => {
                self.opened_count += 1;
                self.breaches.insert(breach.breach_id.clone(), breach);
            }
            Transition::Sustained => {
                self.breaches.insert(breach.breach_id.clone(), breach);
            }
            Transition::Cleared | Transition::Retracted => {
                self.breaches.remove(&breach.breach_id);
            }
        }
    }

    fn escalation(&mut self, escalation: Escalation) {
        if escalation.audience == Audience::Page {
            self.page_count += 1;
            self.pages.push_front(escalation);
            self.pages.truncate(PAGES_MAX);
        }
    }

    fn fact(&mut self, fact: &Fact) {
        self.answers.take(fact);
        if let Some(begun) = Incident::begin(fact) {
            self.make_room();
            self.incidents.insert(fact.incident_id.clone(), IncidentView::of(begun));
            return;
        }
        if let Some(incident) = self.incidents.get_mut(&fact.incident_id) {
            incident.take(fact);
        }
    }

    fn make_room(&mut self) {
        if self.incidents.len() < INCIDENTS_MAX {
            return;
        }
        let rank = |incident: &&IncidentView| (!incident.is_over(), incident.last_at);
        let oldest = self.incidents.values().min_by_key(rank).map(|i| i.incident_id.clone());
        if let Some(oldest) = oldest {
            self.incidents.remove(&oldest);
        }
    }

    /// `bad` where the last window of any expectation was, `good` where at
    /// least one was judged, else `not judged`.
    pub(crate) fn verdict(&self, feature: &str) -> &'static str {
        let windows = self.windows.get(feature).into_iter().flatten();
        let verdicts: Vec<Verdict> = windows
            .flat_map(|(_, window)| window.judged.iter().map(|judged| judged.verdict))
            .collect();
        if verdicts.contains(&Verdict::Bad) {
            "bad"
        } else if verdicts.contains(&Verdict::Good) {
            "good"
        } else {
            "not judged"
        }
    }
}

impl IncidentView {
    fn of(incident: Incident) -> Self {
        let mut view = Self {
            incident_id: incident.id.clone(),
            state: "",
            flags: Vec::new(),
            root: incident.root.clone(),
            kind: incident.kind.name(),
            severity: "",
            owner: None,
            unowned: false,
            step: String::new(),
            affected_features: Vec::new(),
            opened_at: incident.opened_at,
            last_at: incident.opened_at,
            paged: Vec::new(),
            incident,
        };
        view.look();
        view
    }

    fn take(&mut self, fact: &Fact) {
        self.incident.apply(fact);
        self.last_at = fact.occurred_at;
        if let FactData::Notified(notified) = &fact.data {
            self.paged.push(Paged {
                at: fact.occurred_at,
                target: notified.target.clone(),
                channel: notified.channel.clone(),
                step: notified.step.clone(),
                reason: notified.reason.clone(),
            });
        }
        self.look();
    }

    fn look(&mut self) {
        let incident = &self.incident;
        self.state = incident.state.name();
        self.flags = flags(incident);
        self.severity = incident.severity.name();
        self.owner.clone_from(&incident.owner);
        self.unowned = incident.unowned;
        self.step.clone_from(&incident.entry.step);
        (self.affected_features, _) = incident.affected(AFFECTED_MAX);
    }

    /// True where nothing more is asked of anybody.
    pub(crate) fn is_over(&self) -> bool {
        !self.incident.is_open()
    }
}

/// What is to be known of an open incident besides its state: that its steps
/// have run out, and what keeps its pages back.
pub(crate) fn flags(incident: &Incident) -> Vec<&'static str> {
    let quiet = &incident.quiet;
    let all = [
        ("exhausted", incident.exhausted),
        ("silenced", !quiet.silences.is_empty()),
        ("inhibited", quiet.inhibited_by.is_some()),
        ("flapping", quiet.flaps_until.is_some()),
    ];
    all.into_iter()
        .filter(|(_, holds)| *holds && incident.is_open())
        .map(|(flag, _)| flag)
        .collect()
}
