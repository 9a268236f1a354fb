//! What might be changed, with the figures that speak for it. A person decides
//! and changes the charter or the policy; nothing here does.

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeep_model::response::Feedback;

use super::super::story::Story;
use super::Health;
use crate::words::counted;

/// A change that might help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    /// `rule`, `owner`, `policy`, `cause` or `load`.
    pub about: &'static str,
    /// What would be changed: a subject, a rule, a policy, a person.
    pub subject: String,
    /// What to do.
    pub suggestion: String,
    /// The figures.
    pub evidence: String,
}

/// A rule that has been asked less often says nothing by its silence.
const JUDGED_MIN: u64 = 500;
/// Times that something has to be so before it is more than chance.
const TIMES_MIN: usize = 3;
/// Off-hours pages to one person in the span from which on it is told.
const OFF_HOURS_MIN: u64 = 10;

/// Every suggestion, by what it is about.
pub(super) fn suggestions(report: &Health, stories: &[Story<'_>]) -> Vec<Suggestion> {
    let of_span: Vec<&Story<'_>> =
        stories.iter().filter(|story| report.period.has(story.opened_at)).collect();
    let mut all = Vec::new();
    noise(&of_span, &mut all);
    silence(report, &mut all);
    answers(&of_span, &mut all);
    unowned(&of_span, &mut all);
    exhausted(&of_span, &mut all);
    causes(report, &mut all);
    load(report, &mut all);
    all
}

fn push(
    all: &mut Vec<Suggestion>,
    about: &'static str,
    subject: &str,
    suggestion: impl Into<String>,
    evidence: impl Into<String>,
) {
    let (suggestion, evidence) = (suggestion.into(), evidence.into());
    all.push(Suggestion { about, subject: subject.to_owned(), suggestion, evidence });
}

/// Rules whose pages people call wrong.
fn noise(stories: &[&Story<'_>], all: &mut Vec<Suggestion>) {
    let mut by_rule: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
    for story in stories {
        let wrong = story.feedback.contains(&Feedback::FalsePositive);
        for (subject, expectation) in &story.expectations {
            let (incidents, noisy) = by_rule.entry((subject, expectation)).or_default();
            *incidents += 1;
            *noisy += usize::from(wrong);
        }
    }
    for ((subject, expectation), (incidents, noisy)) in by_rule {
        if noisy >= TIMES_MIN && noisy * 2 >= incidents {
            push(
                all,
                "rule",
                &format!("{subject}/{expectation}"),
                "ease the threshold or ask for more bad windows (`for`)",
                format!("{noisy} of {incidents} incidents were called false positives"),
            );
        }
    }
}

/// Rules that have been asked often and never answered.
fn silence(report: &Health, all: &mut Vec<Suggestion>) {
    for rule in report.never_fired.iter().filter(|rule| rule.judged >= JUDGED_MIN) {
        let age = rule.age_days.unwrap_or(0);
        push(
            all,
            "rule",
            &format!("{}/{}", rule.subject, rule.expectation),
            "tighten the threshold, or take the rule out",
            format!(
                "{} windows in {}, none of them bad",
                rule.judged,
                counted(age.unsigned_abs(), "day")
            ),
        );
    }
}

/// Roots whose incidents somebody else than the owner acknowledges.
fn answers(stories: &[&Story<'_>], all: &mut Vec<Suggestion>) {
    let mut by_root: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    let mut answered: BTreeMap<&str, usize> = BTreeMap::new();
    for story in stories {
        let Some((_, by)) = story.acknowledged else { continue };
        *answered.entry(&story.opened.root).or_default() += 1;
        if story.owner != Some(by) {
            *by_root.entry(&story.opened.root).or_default().entry(by).or_default() += 1;
        }
    }
    for (root, people) in by_root {
        let Some((by, times)) = people.into_iter().max_by_key(|(_, times)| *times) else {
            continue;
        };
        let of = answered.get(root).copied().unwrap_or(0);
        if times >= TIMES_MIN && times * 3 >= of * 2 {
            push(
                all,
                "owner",
                root,
                format!("ask {by} whether they would answer for it, as primary or backup"),
                format!("{by} acknowledged {times} of {of} incidents and is not the owner"),
            );
        }
    }
}

fn unowned(stories: &[&Story<'_>], all: &mut Vec<Suggestion>) {
    let mut by_root: BTreeMap<&str, usize> = BTreeMap::new();
    for story in stories.iter().filter(|story| story.opened.unowned) {
        *by_root.entry(&story.opened.root).or_default() += 1;
    }
    for (root, times) in by_root {
        let incidents = counted(times as u64, "incident");
        let evidence = format!("{incidents} went to governance, for nobody else answers");
        push(all, "owner", root, "name a primary owner and a backup", evidence);
    }
}

fn exhausted(stories: &[&Story<'_>], all: &mut Vec<Suggestion>) {
    let mut by_policy: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for story in stories {
        let (incidents, exhausted) = by_policy.entry(&story.policy().name).or_default();
        *incidents += 1;
        *exhausted += usize::from(story.exhausted);
    }
    for (policy, (incidents, exhausted)) in by_policy {
        if exhausted > 0 {
            push(
                all,
                "policy",
                policy,
                "look at who is on its steps and how they are reached, and drill it",
                format!("{exhausted} of {incidents} incidents ran out of steps unanswered"),
            );
        }
    }
}

fn causes(report: &Health, all: &mut Vec<Suggestion>) {
    for cause in report.recurrences.iter().filter(|c| c.incidents >= TIMES_MIN as u64) {
        let before = match report.before_is_known {
            true => format!(", {} in the span before", cause.before),
            false => String::new(),
        };
        push(
            all,
            "cause",
            &cause.root,
            "treat the cause: it comes again and again",
            format!("{} of kind {}{before}", counted(cause.incidents, "incident"), cause.kind),
        );
    }
}

fn load(report: &Health, all: &mut Vec<Suggestion>) {
    for load in report.people.iter().filter(|load| load.off_hours_pages >= OFF_HOURS_MIN) {
        push(
            all,
            "load",
            &load.person,
            "share the load in a rota, defer what can wait, or limit pages per owner",
            format!("{} of {} pages came off hours", load.off_hours_pages, load.pages),
        );
    }
}
