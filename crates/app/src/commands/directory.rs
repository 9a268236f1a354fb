//! `watchkeep directory`: calendars as directory documents, and who can be reached.

mod probe;

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use watchkeep_interop::ical::{self, Event};
use watchkeep_model::directory::Directory;
use watchkeep_model::time::TimeSpan;

use crate::charters::Folder;
use crate::cli::{self, Ical};
use crate::output::{Output, complain};
use crate::{Outcome, input, service};

/// # Errors
/// The calendar, the charters or the configuration cannot be read.
pub(super) fn run(command: &cli::Directory) -> anyhow::Result<Outcome> {
    match command {
        cli::Directory::Import(cli::DirectoryImport::Ical(arguments)) => import(arguments),
        cli::Directory::Probe(arguments) => probe::run(arguments),
    }
}

fn import(arguments: &Ical) -> anyhow::Result<Outcome> {
    let text = input::read_text(&arguments.file)?;
    let from = arguments.from.unwrap_or_else(service::clock::now);
    let to = arguments.to.unwrap_or(from + TimeSpan::DAY.times(365));
    if from >= to {
        bail!("--from {from} is not before --to {to}");
    }
    let events = ical::read(&text, &arguments.zone, from, to)
        .with_context(|| arguments.file.display().to_string())?;
    let mut output = Output::new();
    output.line(format_args!(
        "# Of {}, {from} to {to}. Written by `watchkeep directory import ical`.",
        arguments.file.display()
    ))?;
    output.line("kind: directory")?;
    let left_out = match (&arguments.user, &arguments.schedule) {
        (Some(user), _) => absences(user, &events, &mut output)?,
        (None, Some(schedule)) => overrides(arguments, schedule, &events, &mut output)?,
        (None, None) => 0,
    };
    output.finish()?;
    Ok(if left_out > 0 { Outcome::Found } else { Outcome::Fine })
}

fn absences(user: &str, events: &[Event], output: &mut Output) -> anyhow::Result<usize> {
    let user = bare(user, "user:");
    if events.is_empty() {
        output.line("absences: []")?;
        return Ok(0);
    }
    output.line("absences:")?;
    for Event { from, to, summary, .. } in events {
        let why = summary.replace(char::is_control, " ");
        output.line(format_args!("  - {{user: user:{user}, from: {from}, to: {to}}}  # {why}"))?;
    }
    Ok(0)
}

fn overrides(
    arguments: &Ical,
    schedule: &str,
    events: &[Event],
    output: &mut Output,
) -> anyhow::Result<usize> {
    let directory = match &arguments.charters {
        Some(folder) => {
            let pane = watchkeep_detection::settings::TimeSettings::default().pane;
            Folder::read(folder, pane)?.registry.directory().clone()
        }
        None => Directory::default(),
    };
    let users = by_mail(&directory);
    let schedule = bare(schedule, "schedule:");
    let mut left_out = 0;
    let mut lines = Vec::new();
    for event in events {
        let Some(user) = on_duty(event, &users, &directory) else {
            complain(&format!(
                "{}: `{}` names no user: no attendee has a mail address of a user of --charters, \
                 and the summary is no user's name; left out",
                event.from, event.summary
            ));
            left_out += 1;
            continue;
        };
        let Event { from, to, .. } = event;
        lines.push(format!(
            "  - {{schedule: schedule:{schedule}, user: user:{user}, from: {from}, to: {to}}}"
        ));
    }
    output.line(if lines.is_empty() { "overrides: []" } else { "overrides:" })?;
    lines.iter().try_for_each(|line| output.line(line))?;
    Ok(left_out)
}

/// Users by their mail addresses, in lower case.
fn by_mail(directory: &Directory) -> BTreeMap<String, &str> {
    let mut users = BTreeMap::new();
    for (name, user) in &directory.users {
        let mail = user.contacts.iter().filter(|contact| contact.to.contains('@'));
        users.extend(mail.map(|contact| (contact.to.to_ascii_lowercase(), name.as_str())));
    }
    users
}

fn on_duty(event: &Event, users: &BTreeMap<String, &str>, directory: &Directory) -> Option<String> {
    let attendee = event.attendees.iter().find_map(|mail| users.get(mail));
    if let Some(user) = attendee {
        return Some((*user).to_owned());
    }
    let name = bare(event.summary.trim(), "user:");
    let full_name = directory.users.iter().find(|(_, user)| user.name.as_deref() == Some(name));
    match full_name {
        Some((user, _)) => Some(user.clone()),
        None if directory.users.contains_key(name) => Some(name.to_owned()),
        // Without a folder to look it up in, the lint of the result will tell.
        None if directory.users.is_empty() && is_a_name(name) => Some(name.to_owned()),
        None => None,
    }
}

fn is_a_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

fn bare<'n>(name: &'n str, prefix: &str) -> &'n str {
    name.strip_prefix(prefix).unwrap_or(name)
}
