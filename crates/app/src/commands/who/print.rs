//! The answer as tables.

use watchkeep_model::time::Timestamp;

use super::{Alarm, Answer};
use crate::output::{Output, Table};

/// Who is next and from when.
fn next(until: Option<Timestamp>, next: Option<&str>) -> String {
    until.map_or_else(
        || "-".to_owned(),
        |until| format!("{} from {until}", next.unwrap_or("nobody")),
    )
}

fn print_hook(answer: &Answer, output: &mut Output) -> anyhow::Result<()> {
    if !answer.on_the_hook.is_empty() {
        output.line("")?;
        let mut table = Table::new(["on the hook", "step", "now", "next"]);
        for hook in &answer.on_the_hook {
            let now = hook.now.clone().or_else(|| hook.why.clone()).unwrap_or_default();
            let next = next(hook.until, hook.next.as_deref());
            table.row([hook.name.clone(), hook.step.clone(), now, next]);
        }
        table.print(output)?;
    }
    let Some(open) = &answer.open_incidents else { return Ok(()) };
    if open.is_empty() {
        return output.line("\nno open incident");
    }
    output.line("")?;
    let mut table = Table::new(["open incident", "since", "state", "severity", "kind", "owner"]);
    for incident in open {
        table.row([
            incident.incident_id.clone(),
            incident.opened_at.to_string(),
            incident.state.to_string(),
            incident.severity.clone(),
            incident.kind.clone(),
            incident.owner.clone().unwrap_or_else(|| "nobody".into()),
        ]);
    }
    table.print(output)
}

fn print_alarms(alarms: &[Alarm], output: &mut Output) -> anyhow::Result<()> {
    if alarms.is_empty() {
        return output.line("no alarms");
    }
    let mut table = Table::new(["alarm", "kind", "window", "severity", "bad when"]);
    for alarm in alarms {
        let Alarm { name, kind, window, severity, rule } = alarm;
        table.row([name.clone(), kind.clone(), window.clone(), severity.clone(), rule.clone()]);
    }
    table.print(output)
}

pub(super) fn print(answer: &Answer, output: &mut Output) -> anyhow::Result<()> {
    let owner = answer.owner.as_deref().unwrap_or("nobody");
    let unowned = if answer.unowned { " (unowned: the chain went to governance)" } else { "" };
    output.line(format_args!("{} at {}", answer.subject, answer.at))?;
    if let Some(description) = &answer.description {
        output.line(description)?;
    }
    output.line(format_args!("\n{owner} answers{unowned}"))?;
    if let Some(other) = &answer.by_charter_of {
        output.line(format_args!("no charter is about it: an incident goes by that of {other}"))?;
    }
    if let Some(until) = answer.until {
        let next = answer.next_owner.as_deref().unwrap_or("nobody");
        output.line(format_args!("until {until}, then {next}"))?;
    }
    let mut table = Table::new(["  link", "tried", "outcome"]);
    for link in &answer.resolution {
        let tried = link.tried.clone().unwrap_or_else(|| "-".into());
        table.row([format!("  {}", link.link), tried, link.outcome.clone()]);
    }
    table.print(output)?;
    output.line("")?;
    let mut table = Table::new(["role", "who", "now", "next"]);
    for person in &answer.people {
        let next = next(person.until, person.next.as_deref());
        table.row([person.role.clone(), person.name.clone(), person.presence.clone(), next]);
    }
    table.print(output)?;
    output.line("")?;
    let mut table = Table::new(["about", ""]);
    for (name, value) in &answer.places {
        table.row([name.clone(), value.clone()]);
    }
    if let Some(tier) = answer.tier {
        table.row(["tier".into(), tier.to_string()]);
    }
    for (name, list) in [
        ("made from", &answer.upstream),
        ("used by", &answer.consumers),
        ("subscribers", &answer.subscribers),
        ("depends on", &answer.external_dependencies),
        ("charter of", &answer.charter),
    ] {
        if !list.is_empty() {
            table.row([name.to_owned(), list.join(", ")]);
        }
    }
    if let Some(runbook) = &answer.runbook {
        table.row(["runbook".into(), runbook.clone()]);
    }
    table.print(output)?;
    output.line("")?;
    print_alarms(&answer.alarms, output)?;
    output.line(format_args!("\npolicy {}", answer.policy))?;
    let mut table = Table::new(["  step", "notifies", "acknowledge within"]);
    for step in &answer.steps {
        let within = step.acknowledge_within.clone().unwrap_or_else(|| "-".into());
        table.row([format!("  {}", step.step), step.notifies.join(", "), within]);
    }
    table.print(output)?;
    print_hook(answer, output)
}
