//! An explanation as text.

use watchkeep_model::window::{Drift, Judged, Verdict, Window};

use super::Explanation;
use super::measured::Measured;
use super::pending::Pending;
use super::story::Told;
use crate::output::{Output, counted, grouped};

/// Breaches that are told of in full; the JSON form has all of them.
const BREACHES_MAX: usize = 20;

/// Charters of breached subjects that are named; the JSON form has all of them.
const CHARTERS_MAX: usize = 20;

pub(super) fn print(told: &Explanation, output: &mut Output) -> anyhow::Result<()> {
    let drill = if told.drill { "DRILL " } else { "" };
    output.say(format_args!(
        "{drill}{} {} of {}, {}",
        told.severity, told.kind, told.root, told.state
    ))?;
    output.say(format_args!("incident {}, opened {}", told.incident_id, told.opened_at))?;
    now(&told.pending, told, output)?;
    story(&told.story, output)?;
    accountable(told, output)?;
    root(told, output)?;
    rules(told, output)?;
    output.say("\nWhat was measured, the latest first")?;
    for breach in told.breaches.iter().take(BREACHES_MAX) {
        measured(breach, output)?;
    }
    if told.breaches.len() > BREACHES_MAX {
        let left = told.breaches.len() - BREACHES_MAX;
        output.say(format_args!("  and {left} breaches more: --format json has them"))?;
    }
    for missing in &told.missing {
        output.say(format_args!("  missing: {missing}"))?;
    }
    Ok(())
}

fn now(pending: &Pending, told: &Explanation, output: &mut Output) -> anyhow::Result<()> {
    output.say("\nWhat is waited for now")?;
    let is_over = matches!(told.state, "resolved" | "reviewed" | "closed");
    if !is_over {
        output.say(format_args!("  step {}, climb {}", pending.step, pending.climb))?;
    }
    match &pending.next {
        Some(due) => output.say(format_args!("  {}: {}; then {}", due.at, due.what, due.then))?,
        None if is_over => output.say("  nothing")?,
        None => output.say("  no deadline runs; it waits for windows or for people")?,
    }
    for action in &pending.open_actions {
        output.say(format_args!("  the review asks for: {action}"))?;
    }
    if let Some(by) = &pending.acknowledged_by {
        output.say(format_args!("  {by} is at it"))?;
    }
    if !pending.open_breaches.is_empty() {
        output.say(format_args!("  open breaches: {}", pending.open_breaches.join(", ")))?;
    }
    for gate in &pending.gates {
        let state = if gate.is_open { "open" } else { "closed" };
        let refused = match gate.refused_by.as_slice() {
            [] => String::new(),
            by => format!(", refused by {}", by.join(", ")),
        };
        output.say(format_args!(
            "  gate {}: {state}, {} of {} signatures{refused}",
            gate.gate, gate.signed, gate.needed
        ))?;
    }
    if let Some(how) = pending.ends_by {
        output.line(format_args!("  {how}"))?;
    }
    for quiet in &pending.quiet {
        output.say(format_args!("  nobody is paged: {quiet}"))?;
    }
    if let Some(until) = pending.reopens_until.filter(|_| is_over) {
        output.say(format_args!("  a new breach of the same kind until {until} reopens it"))?;
    }
    Ok(())
}

fn story(story: &[Told], output: &mut Output) -> anyhow::Result<()> {
    output.say("\nWhat happened, the latest first")?;
    let mut rest = story;
    while let Some((told, earlier)) = rest.split_first() {
        let by = if told.actor == "watchkeep" { String::new() } else { format!(" {}", told.actor) };
        output.say(format_args!("  {}  {}{by}: {}", told.at, told.fact, told.what))?;
        if let Some(why) = &told.why {
            output.say(format_args!("      because {why}"))?;
        }
        // A page that is repeated for days is told of once.
        let is_same = |one: &&Told| (&one.what, &one.why) == (&told.what, &told.why);
        let same = earlier.iter().take_while(is_same).count();
        if let Some(first) = earlier[..same].last() {
            let times = counted(same as u64, "time");
            output.say(format_args!("      {times} before, from {} on", first.at))?;
        }
        rest = &earlier[same..];
    }
    Ok(())
}

fn accountable(told: &Explanation, output: &mut Output) -> anyhow::Result<()> {
    let owner = told.owner.as_deref().unwrap_or("nobody");
    let unowned = if told.unowned { ", and the chain went to its end: unowned" } else { "" };
    output.say(format_args!("\nWho answers: {owner}{unowned}"))?;
    for resolution in &told.resolutions {
        let owner = resolution.owner.as_deref().unwrap_or("nobody");
        output.say(format_args!("  looked for at {}: {owner}", resolution.at))?;
        for link in &resolution.links {
            let tried = link.tried.as_deref().unwrap_or("-");
            output.say(format_args!("    {:<12} {tried:<24} {}", link.link, link.outcome))?;
        }
    }
    Ok(())
}

fn root(told: &Explanation, output: &mut Output) -> anyhow::Result<()> {
    let attribution = &told.attribution;
    output.say(format_args!("\nWhy {}: {}", told.root, attribution.method))?;
    for evidence in &attribution.evidence {
        output.say(format_args!("  {evidence}"))?;
    }
    output.say(format_args!(
        "  {:.0} % of what is watched downstream of it breached",
        attribution.coverage * 100.0
    ))?;
    for lost in &attribution.candidates {
        output.say(format_args!("  not {}: {}", lost.node, lost.why_not))?;
    }
    Ok(())
}

fn rules(told: &Explanation, output: &mut Output) -> anyhow::Result<()> {
    output.say("\nBy which rules, as they were when it opened")?;
    output.say(format_args!("  policy {}, version {}", told.policy.name, told.policy.version))?;
    if told.charter.is_none() {
        output.say("  no charter")?;
    }
    for charter in told.charter.iter().chain(told.charters.iter().take(CHARTERS_MAX)) {
        output.say(format_args!(
            "  charter of {} made of {}, as in force at {}",
            charter.subject,
            charter.documents.join(", "),
            charter.in_force_at
        ))?;
    }
    if told.charters.len() > CHARTERS_MAX {
        let left = told.charters.len() - CHARTERS_MAX;
        output.say(format_args!("  and {left} charters more: --format json has them"))?;
    }
    for change in told.changes.iter().take(CHARTERS_MAX) {
        output.say(format_args!("  {change}"))?;
    }
    Ok(())
}

fn measured(breach: &Measured, output: &mut Output) -> anyhow::Result<()> {
    let end = match breach.ended_at {
        Some(at) => format!("ended {at}"),
        None => "still open".to_owned(),
    };
    output.say(format_args!(
        "  {}/{} ({}, {}), {end}",
        breach.feature, breach.expectation, breach.kind, breach.severity
    ))?;
    output.say(format_args!("    {}", breach.reason))?;
    output.say(format_args!(
        "    window {} from {} to {}, breach {}, sustained by {} more",
        breach.window,
        breach.window_start,
        breach.window_end,
        breach.breach_id,
        counted(breach.sustained, "window")
    ))?;
    if let Some(window) = &breach.measured {
        output.say(format_args!("    {}", statistics(window)))?;
    }
    if let Some(judged) = breach.judged() {
        output.say(format_args!("    {}", verdict(judged)))?;
        if let Some(drift) = &judged.drift {
            output.say(format_args!("    {}", compared(drift)))?;
        }
    }
    for at in breach.exemplars() {
        output.say(format_args!(
            "    record {} partition {} offset {}",
            at.topic, at.partition, at.offset
        ))?;
    }
    Ok(())
}

/// A number for people: whole, with four digits behind the point or, where it
/// is tiny, as a power of ten. The JSON form has all digits.
fn shown(number: f64) -> String {
    if number == number.trunc() && number.abs() < 1e15 {
        format!("{number:.0}")
    } else if number.abs() < 1e-3 {
        format!("{number:.3e}")
    } else {
        format!("{number:.4}")
    }
}

/// What was measured, in a line.
fn statistics(window: &Window) -> String {
    let mut parts = vec![
        format!("revision {}", window.revision),
        counted(window.count, "event"),
        format!("{} null", grouped(window.null_count)),
        counted(window.error_count, "error"),
    ];
    if window.late_count > 0 {
        parts.push(format!("{} late", grouped(window.late_count)));
    }
    let numbers = [
        ("min", window.min),
        ("mean", window.mean),
        ("p50", window.p50),
        ("p99", window.p99),
        ("max", window.max),
        ("latency p99 µs", window.latency_us.map(|spread| spread.p99)),
        ("age p99 µs", window.age_us.and_then(|age| age.p99)),
    ];
    parts.extend(numbers.iter().filter_map(|(name, n)| Some(format!("{name} {}", shown((*n)?)))));
    parts.extend(window.distinct.map(|count| format!("{} distinct", grouped(count))));
    parts.join(", ")
}

/// How the window was judged, in a line.
fn verdict(judged: &Judged) -> String {
    let name = match judged.verdict {
        Verdict::Good => "good",
        Verdict::Bad => "bad",
        Verdict::NotJudged => "not judged",
    };
    let mut parts = vec![format!("judged {name}")];
    let numbers = [
        ("observed", judged.observed),
        ("threshold", judged.threshold),
        ("p-value", judged.p_value),
    ];
    parts.extend(numbers.iter().filter_map(|(name, n)| Some(format!("{name} {}", shown((*n)?)))));
    parts.extend(judged.baseline.as_ref().map(|baseline| format!("baseline {baseline}")));
    if let Some(learned) = &judged.learned {
        let windows = counted(learned.windows, "window");
        parts.push(format!("bounds learned from {windows} ({})", learned.method));
    }
    if let Some(budget) = &judged.budget {
        parts.push(format!("level {} granted by the budget of {}", budget.level, budget.domain));
    }
    parts.join(", ")
}

/// The comparison with the baseline, in a line.
fn compared(drift: &Drift) -> String {
    let mut parts = vec![format!("{} values against {} of the baseline", drift.n, drift.n_ref)];
    let numbers = [
        ("psi", drift.psi),
        ("js", drift.js),
        ("hellinger", drift.hellinger),
        ("wasserstein", drift.wasserstein),
        ("ks", drift.ks_stat),
        ("ks p", drift.ks_p),
        ("chi2", drift.chi2_stat),
        ("chi2 p", drift.chi2_p),
        ("unseen", drift.unseen_share),
    ];
    parts.extend(numbers.iter().filter_map(|(name, n)| Some(format!("{name} {}", shown((*n)?)))));
    if !drift.unseen.is_empty() {
        parts.push(format!("never seen: {}", drift.unseen.join(", ")));
    }
    parts.join(", ")
}
