//! The story on the terminal: what is watched, what went wrong, who was paged
//! and why, and where to look.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use watchkeep_incident::owner;
use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::escalation::{Audience, Escalation};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::json;
use watchkeep_model::response::Response;
use watchkeep_model::subject::untyped;
use watchkeep_model::time::Timestamp;
use watchkeep_runtime::log::Outgoing;
use watchkeep_runtime::rules::Rules;
use watchkeep_simulator::generator::{SHOP_CYCLE, chapters};

use super::{ANSWERS_AFTER, answers};
use crate::config::Topics;
use crate::output::{Output, Table, counted};
use crate::service::Shared;
use crate::service::tail::{Seen, Tail};
use crate::service::view::View;
use crate::store::Appender;

/// Time between two looks at the log.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Tells the story and plays the person who answers.
pub(super) struct Teller {
    topics: Topics,
    start: Timestamp,
    /// Chapters that were announced, by their place in the whole story.
    announced: i64,
    /// When a breach was told last, so that each is told once.
    incidents: BTreeMap<String, String>,
    due: Vec<Response>,
}

impl Teller {
    pub(super) fn new(topics: Topics, start: Timestamp) -> Self {
        Self { topics, start, announced: 0, incidents: BTreeMap::new(), due: Vec::new() }
    }

    /// What is watched and where to look.
    ///
    /// # Errors
    /// Those of the output.
    pub(super) fn introduce(
        &self,
        address: SocketAddr,
        folder: &Path,
        rules: &Rules,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let mut output = Output::new();
        output.line("A shop feeds two models with twelve features. Watchkeep watches them.\n")?;
        let mut table = Table::new(["feature", "answers", "watched by"]);
        let registry = &*rules.registry();
        let shop = super::Generator::new(super::Settings {
            scenario: super::Scenario::Demo,
            ..super::Settings::default()
        });
        for subject in shop.subjects() {
            let typed = watchkeep_model::subject::typed(subject);
            let charter = registry.charter(&typed, now);
            let resolved = owner::resolve(charter.as_deref(), registry, now, &|_| 0);
            let watched = charter.as_deref().map(|charter| {
                let names = charter.expectations().iter().map(|e| e.name.as_str());
                names.collect::<Vec<_>>().join(", ")
            });
            table.row([
                untyped(subject).to_owned(),
                resolved.owner.unwrap_or_else(|| "nobody".into()),
                watched.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".into()),
            ]);
        }
        table.print(&mut output)?;
        output.line(format_args!("\npage     http://{address}/"))?;
        output.line(format_args!("folder   {}", folder.display()))?;
        output.line("A minute of the story passes in a second. Ctrl-C ends it.\n")?;
        output.finish()
    }

    /// Tells until the end of the service.
    pub(super) fn tell(mut self, shared: &Shared) {
        let opened = shared
            .store
            .reader()
            .and_then(|reader| Tail::open(reader, &self.topics, Timestamp::MIN))
            .and_then(|tail| Ok((tail, shared.store.appender()?)));
        let (mut tail, mut appender) = match opened {
            Ok(opened) => opened,
            Err(error) => return tracing::error!(%error, "telling the story"),
        };
        while !shared.is_stopping() {
            let now = shared.clock.now();
            let mut lines = self.chapters(now);
            if let Err(error) = tail.look(&mut |seen, _| self.seen(&seen, now, &mut lines)) {
                return tracing::error!(%error, "telling the story");
            }
            if let Err(error) = self.answer(now, &mut appender) {
                return tracing::error!(%error, "answering");
            }
            let mut output = Output::new();
            let written = lines.iter().try_for_each(|line| output.line(line));
            if written.and_then(|()| output.finish()).is_err() {
                // Nobody reads along any more; the page still works.
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn chapters(&mut self, now: Timestamp) -> Vec<String> {
        let mut lines = Vec::new();
        let all = chapters();
        let elapsed = now.since(self.start);
        loop {
            let place = usize::try_from(self.announced).unwrap_or(0) % all.len();
            let round = self.announced / i64::try_from(all.len()).unwrap_or(1);
            let chapter = all[place];
            let begins = SHOP_CYCLE.times(round).as_micros() + chapter.from.as_micros();
            if elapsed.as_micros() < begins {
                return lines;
            }
            lines.push(format!("{}  story   {}", time(now), chapter.text));
            self.announced += 1;
        }
    }

    fn seen(&mut self, seen: &Seen, now: Timestamp, lines: &mut Vec<String>) {
        match seen {
            Seen::Window(_) => {}
            Seen::Breach(breach) => lines.extend(told_breach(breach)),
            Seen::Fact(fact) => lines.extend(self.told_fact(fact)),
            Seen::Escalation(message) => {
                if message.audience == Audience::Page {
                    lines.push(told_page(message));
                    self.plan_answer(message, now);
                }
            }
        }
    }

    fn told_fact(&mut self, fact: &Fact) -> Option<String> {
        let at = time(fact.occurred_at);
        let id = short(&fact.incident_id);
        let root = |incidents: &BTreeMap<String, String>| {
            incidents.get(&fact.incident_id).cloned().unwrap_or_default()
        };
        match &fact.data {
            FactData::Opened(opened) => {
                let what = format!("{} of {}", opened.kind.name(), opened.root);
                self.incidents.insert(fact.incident_id.clone(), what.clone());
                let owner = opened.owner.as_deref().unwrap_or("nobody");
                let affected = opened.affected_features.join(", ");
                let severity = opened.severity.name();
                let method = &opened.attribution.method;
                Some(format!(
                    "{at}  opened  incident {id}: {what} ({severity}, {method}), affects {affected}; {owner} answers"
                ))
            }
            FactData::Escalated(escalated) => Some(format!(
                "{at}  climbs  incident {id}: {} to step {} ({})",
                root(&self.incidents),
                escalated.to_step,
                escalated.trigger
            )),
            FactData::Acknowledged(_) => Some(format!(
                "{at}  answer  incident {id}: {} acknowledges: {}",
                fact.actor,
                fact.rationale.as_deref().unwrap_or("-")
            )),
            FactData::Remediated(_) => Some(format!(
                "{at}  answer  incident {id}: {} remediates: {}",
                fact.actor,
                fact.rationale.as_deref().unwrap_or("-")
            )),
            FactData::Exhausted(_) => {
                Some(format!("{at}  ends    incident {id}: nobody answered on any step"))
            }
            FactData::Resolved(_) => {
                Some(format!("{at}  over    incident {id}: {} is resolved", root(&self.incidents)))
            }
            _ => None,
        }
    }

    fn plan_answer(&mut self, message: &Escalation, now: Timestamp) {
        let Some(target) = &message.target else { return };
        if message.class == "latency" && message.reason == "first" {
            let planned = answers(&message.incident_id, target, now + ANSWERS_AFTER);
            self.due.extend(planned);
        }
    }

    fn answer(
        &mut self,
        now: Timestamp,
        appender: &mut Appender,
    ) -> Result<(), watchkeep_runtime::log::LogError> {
        let topic: std::sync::Arc<str> = self.topics.named("responses").into();
        let (ready, later) = self.due.drain(..).partition(|response| response.at <= now);
        self.due = later;
        let ready: Vec<Response> = ready;
        for response in &ready {
            let record = Outgoing {
                topic: topic.clone(),
                partition: None,
                key: response.incident.as_ref().map(|id| id.as_bytes().to_vec()),
                value: json::to_line(response).into_bytes(),
                headers: Vec::new(),
            };
            appender.append(record, Some(now))?;
        }
        appender.flush()
    }
}

fn told_breach(breach: &Breach) -> Option<String> {
    let at = time(breach.detected_at);
    let Breach { feature, expectation, reason, .. } = breach;
    match breach.transition {
        Transition::Opened => {
            let severity = breach.severity.name();
            Some(format!("{at}  breach  {feature} {expectation} ({severity}): {reason}"))
        }
        Transition::Cleared => Some(format!("{at}  clear   {feature} {expectation}")),
        Transition::Sustained | Transition::Retracted => None,
    }
}

fn told_page(message: &Escalation) -> String {
    let target = message.target.as_deref().unwrap_or("nobody");
    let role = message.role.as_deref().unwrap_or("-");
    let channel = message.channel.as_deref().unwrap_or("-");
    let by = message.respond_by.map(|by| format!(", answer by {}", time(by))).unwrap_or_default();
    format!(
        "{}  PAGE    {target} as {role} over {channel} ({}{by}): {}",
        time(message.time),
        message.reason,
        message.summary
    )
}

/// The time of day; the story's day does not matter.
fn time(at: Timestamp) -> String {
    at.to_string().get(11..19).unwrap_or_default().to_owned()
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// What happened in all, and how to look further.
///
/// # Errors
/// Those of the output.
pub(super) fn conclude(
    output: &mut Output,
    view: &View,
    folder: Option<&Path>,
) -> anyhow::Result<()> {
    let incidents = view.incidents.len();
    let resolved = view.incidents.values().filter(|incident| incident.is_over()).count();
    output.line(format_args!(
        "\n{} breaches opened, {} ({resolved} resolved), {}.",
        view.opened_count,
        counted(incidents as u64, "incident"),
        counted(view.page_count, "page")
    ))?;
    match folder {
        Some(folder) => {
            let folder = folder.display();
            output.line("Look further:")?;
            let config = format!("-c {folder}/watchkeep.toml");
            output.line(format_args!("  watchkeep incidents list {config}"))?;
            output.line(format_args!("  watchkeep export {config} --topic escalations"))?;
            output.line(format_args!("  watchkeep export {config} --topic breaches"))?;
            output.line(format_args!(
                "  watchkeep who shopper.country --at 2026-01-05T08:10:00Z --charters {folder}/charters"
            ))
        }
        None => {
            output.line("With --folder DIR everything is kept to look at: log, charters, settings.")
        }
    }
}
