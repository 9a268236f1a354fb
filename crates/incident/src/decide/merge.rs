//! Two incidents that are one: people see what no lineage shows.

use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::{Charter, Severity};
use watchkeep_model::incident::FactData;
use watchkeep_model::incident::data::Merged;
use watchkeep_model::response::Response;
use watchkeep_model::time::Timestamp;

use super::{Decision, Doing};
use crate::command;
use crate::decide::respond::stranger;
use crate::escalate::platform::is_platform;
use crate::state::{Attached, BreachKey, Incident, State};

/// How the cause of a breach begins that was taken over from another incident.
pub(crate) const ADOPTED: &str = "incident ";

/// An incident that shall go on with another's breaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its identifier.
    pub id: String,
    /// True until it is resolved.
    pub is_open: bool,
    /// The name of its policy.
    pub policy: String,
    /// How bad it is.
    pub severity: Severity,
    /// The independence class of its charter.
    pub class: Option<String>,
}

impl Target {
    /// What counts of an incident and its charter.
    pub fn of(incident: &Incident, charter: Option<&Charter>) -> Self {
        Self {
            id: incident.id.clone(),
            is_open: incident.is_open(),
            policy: incident.policy.name.clone(),
            severity: incident.severity,
            class: charter.and_then(|charter| charter.fields.independence.clone()),
        }
    }
}

impl Decision<'_> {
    /// Ends the incident as one with another, or records which rule forbids
    /// it. What breaches has to be given to the other.
    pub fn merge(
        &mut self,
        response: &Response,
        command_id: &str,
        into: Result<Target, String>,
    ) -> Vec<Breach> {
        let doing = self.doing_of(response, command_id);
        match self.may_merge(response, into, &doing) {
            Ok(into) => {
                let moved = self.breaching();
                let reason = doing.rationale.clone().unwrap_or_default();
                self.record(&doing, FactData::Merged(Merged { into: into.id, reason }));
                self.progress.check_at = None;
                moved
            }
            Err(rule) => {
                self.refuse(response, rule, &doing);
                Vec::new()
            }
        }
    }

    fn may_merge(
        &self,
        response: &Response,
        into: Result<Target, String>,
        doing: &Doing,
    ) -> Result<Target, String> {
        command::check(response).map_err(|fault| fault.what)?;
        if let Some(rule) = stranger(self.world.context, &doing.actor) {
            return Err(rule);
        }
        let into = into?;
        if !self.incident.is_open() {
            return Err(format!("the incident is {}", self.incident.state.name()));
        }
        if into.id == self.incident.id {
            return Err("an incident is one with itself already".into());
        }
        if !into.is_open {
            return Err("the incident that shall go on is over".into());
        }
        if is_platform(self.incident) {
            return Err(
                "it is the platform's and speaks for all others: merge the other into it".into()
            );
        }
        // Nobody may get around gates, verification or a review in this way.
        if into.policy != self.incident.policy.name {
            let (own, other) = (&self.incident.policy.name, &into.policy);
            return Err(format!("they follow different policies, {own} and {other}"));
        }
        self.is_carried_by(&into)?;
        Ok(into)
    }

    /// What the incident still asks of people has to go over with its open
    /// breaches, or it would be asked of nobody.
    fn is_carried_by(&self, into: &Target) -> Result<(), String> {
        let incident = &*self.incident;
        if !incident.is_breaching() {
            return Err("no breach of it is open, so nothing of it could go on in the other: \
                        verify and resolve it"
                .into());
        }
        if incident.state >= State::Remediated {
            return Err("it is remediated: verify it, or merge it if that fails".into());
        }
        let open = incident.attached.values().filter(|attached| !attached.open.is_empty());
        let carried = open.map(|attached| attached.severity).max().max(Some(into.severity));
        if carried < Some(incident.severity) {
            return Err(format!(
                "it is {}, and the other would be {} with what breaches of it: merge the other \
                 into it",
                incident.severity.name(),
                carried.unwrap_or_default().name()
            ));
        }
        if let Some(((gate, by), _)) = incident.signatures.iter().find(|(_, approve)| !**approve) {
            return Err(format!("{by} refuses to sign the gate {gate}"));
        }
        let charter = self.world.charter.as_deref();
        let class = charter.and_then(|charter| charter.fields.independence.as_deref());
        if class.is_some() && class != into.class.as_deref() {
            return Err("their charters ask for different independence of those who check".into());
        }
        Ok(())
    }

    /// The open breaches, as far as the incident knows them.
    fn breaching(&self) -> Vec<Breach> {
        let consumers: Vec<String> = self.incident.consumers.iter().cloned().collect();
        let attached = self.incident.attached.iter();
        let open = attached
            .flat_map(|(key, attached)| attached.open.iter().map(move |id| (id, key, attached)));
        let policy = &self.incident.policy.name;
        let mut all: Vec<Breach> =
            open.map(|(id, key, attached)| breach(id, key, attached, &consumers, policy)).collect();
        all.sort_by(|a, b| (a.detected_at, &a.breach_id).cmp(&(b.detected_at, &b.breach_id)));
        all
    }

    /// Goes on with the breaches of an incident that was merged into this one.
    pub fn adopt(&mut self, breaches: &[Breach], from: &str, at: Timestamp) {
        let doing = Doing::system(at, format!("{ADOPTED}{from}"));
        breaches.iter().for_each(|breach| self.join_because(breach, &doing));
    }
}

fn breach(
    id: &str,
    (feature, version, expectation): &BreachKey,
    attached: &Attached,
    consumers: &[String],
    policy: &str,
) -> Breach {
    Breach {
        breach_id: id.to_owned(),
        transition: Transition::Opened,
        feature: feature.clone(),
        feature_version: version.clone(),
        expectation: expectation.clone(),
        kind: attached.kind,
        severity: attached.severity,
        window: attached.window.clone(),
        window_start: attached.window_start,
        window_end: attached.window_end,
        revision: 0,
        detected_at: attached.detected_at,
        observed: None,
        threshold: None,
        p_value: None,
        effect: None,
        baseline: None,
        owner: None,
        policy: Some(policy.to_owned()),
        affected_consumers: consumers.to_vec(),
        exemplars: Vec::new(),
        reason: attached.reason.clone(),
    }
}
