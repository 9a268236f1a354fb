//! What people say, sense and nonsense alike: to the right incidents and the
//! wrong ones, by those who may and those who may not, late and twice.

use watchkeep_model::matcher::Matcher;
use watchkeep_model::response::{Command, Feedback, RemedyAction, Response, ReviewAction};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::documents::DECISION;
use super::{Dice, Subject, minutes, seconds};
use crate::incidents::plan::{Input, What};

/// Who answers, and somebody whom nobody knows.
const PEOPLE: [&str; 5] = ["user:ada", "user:ben", "user:cleo", "user:dora", "user:nobody"];

/// What they say, the more often the more often it stands here.
const COMMANDS: [Command; 23] = [
    Command::Acknowledge,
    Command::Acknowledge,
    Command::Acknowledge,
    Command::Remediate,
    Command::Remediate,
    Command::Verify,
    Command::SignOff,
    Command::SignOff,
    Command::Resolve,
    Command::Escalate,
    Command::Escalate,
    Command::Comment,
    Command::Reassign,
    Command::Reassign,
    Command::Review,
    Command::Feedback,
    Command::Close,
    Command::Silence,
    Command::Silence,
    Command::Silence,
    Command::Unsilence,
    Command::Merge,
    // Nobody but the deliver stage may.
    Command::ReportDelivery,
];

pub(super) fn of(
    dice: &mut Dice,
    subjects: &[Subject],
    from: Timestamp,
    span: TimeSpan,
) -> Vec<Input> {
    let most = dice.one_of(&[0, 6, 20, 40]);
    let mut silences = Vec::new();
    let mut inputs = Vec::new();
    for number in 0..dice.between(0, most) {
        let at = from + dice.span(span + minutes(20));
        let command = dice.one_of(&COMMANDS);
        let subject = &subjects[dice.between(0, subjects.len() as i64 - 1) as usize];
        let response = response(dice, at, command, subject, number, &silences);
        if command == Command::Silence {
            silences.push(response.id());
        }
        // It is on its way for a while; some come late.
        let way = dice.one_of(&[seconds(2), seconds(2), seconds(2), minutes(10)]);
        let arrives = at + dice.span(way);
        if dice.percent(10) {
            let again = arrives + dice.span(minutes(5));
            inputs.push(Input { at: again, what: What::Response(Box::new(response.clone())) });
        }
        inputs.push(Input { at: arrives, what: What::Response(Box::new(response)) });
    }
    inputs
}

fn response(
    dice: &mut Dice,
    at: Timestamp,
    command: Command,
    subject: &Subject,
    number: i64,
    silences: &[String],
) -> Response {
    let by = dice.one_of(&PEOPLE);
    let mut response = Response::new(at, by, command);
    // Two of the same people at one instant must not be one command.
    response.rationale = Some(format!("simulated {number}"));
    response.subject = Some(subject.typed());
    match command {
        Command::Remediate => {
            response.action = Some(dice.one_of(&[
                RemedyAction::Fix,
                RemedyAction::Fix,
                RemedyAction::Other,
                RemedyAction::Rollback,
                RemedyAction::Accept,
            ]));
        }
        Command::SignOff => {
            response.gate = Some(dice.one_of(&["resolve", "rollback", DECISION]).to_owned());
            response.approve = Some(dice.percent(80));
        }
        Command::Escalate if dice.percent(50) => {
            response.decision = Some(dice.one_of(&[DECISION, DECISION, "none"]).to_owned());
        }
        Command::Merge => response.into = Some(dice.between(0, 9).to_string()),
        Command::Reassign => response.to = Some(dice.one_of(&PEOPLE).to_owned()),
        Command::Silence => silence(dice, &mut response, subject),
        Command::Unsilence => {
            response.subject = None;
            let known = (!silences.is_empty()).then(|| dice.one_of(silences));
            response.silence = Some(known.unwrap_or_else(|| format!("silence {number}")));
        }
        Command::Review => {
            response.root_cause = Some("simulated".to_owned());
            let due = at + TimeSpan::DAY;
            let (what, by) = ("look again".to_owned(), by.to_owned());
            response.actions.push(ReviewAction { what, by, due });
        }
        Command::Feedback => {
            response.feedback = Some(dice.one_of(&[
                Feedback::Useful,
                Feedback::FalsePositive,
                Feedback::Duplicate,
                Feedback::NotActionable,
                Feedback::WrongOwner,
                Feedback::TooLate,
            ]));
        }
        _ => {}
    }
    response
}

fn silence(dice: &mut Dice, response: &mut Response, subject: &Subject) {
    let at = response.at;
    // Sometimes the command's own subject is a matcher too.
    response.subject = response.subject.take().filter(|_| dice.percent(20));
    for _ in 0..dice.one_of(&[1, 1, 1, 2, 0]) {
        let (name, value, is_equal, is_regex) = match dice.between(0, 10) {
            0 | 1 => ("root", subject.typed(), true, false),
            2 => ("root", "feature:*".to_owned(), true, false),
            3 => ("feature", subject.name.clone(), true, false),
            4 => ("severity", "critical".to_owned(), false, false),
            5 => ("severity", "info|warning|error".to_owned(), true, true),
            6 => ("owner", subject.primary.to_owned(), true, false),
            7 => ("kind", "latency|volume".to_owned(), dice.percent(50), true),
            8 => ("policy", "simulated".to_owned(), true, false),
            9 => ("unowned", "true".to_owned(), false, false),
            // There is no such label.
            _ => ("colour", "red".to_owned(), true, false),
        };
        response.matchers.push(Matcher { name: name.to_owned(), value, is_equal, is_regex });
    }
    if dice.percent(30) {
        response.from = Some(at + minutes(dice.between(-5, 15)));
    }
    response.until = Some(at + minutes(dice.between(-2, 40)));
}
