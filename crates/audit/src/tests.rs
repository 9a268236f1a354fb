//! Small logs, whole and not.

use crate::{Audit, Rule, Verdict, sha256_hex};

/// Facts of one incident, sealed one to the other.
struct Log {
    lines: Vec<String>,
    previous: Option<String>,
}

impl Log {
    fn new() -> Self {
        let mut log = Self { lines: Vec::new(), previous: None };
        log.add("opened", "00:01", "watchkeep", OPENED);
        log.add("breach_attached", "00:01", "watchkeep", r#"{"breach_id":"b"}"#);
        log.add("notified", "00:01", "watchkeep", r#"{"step":"first","target":"user:ada"}"#);
        log
    }

    fn add(&mut self, fact: &str, at: &str, actor: &str, data: &str) {
        let sequence = self.lines.len() + 1;
        let mut line = format!(
            r#"{{"incident_id":"i","sequence":{sequence},"fact":"{fact}","occurred_at":"2026-01-05T{at}:00.000000Z","recorded_at":"2026-01-05T{at}:00.000000Z","actor":"{actor}","drill":false,"data":{data}"#
        );
        if let Some(previous) = &self.previous {
            line += &format!(r#","previous_hash":"{previous}""#);
        }
        let hash = sha256_hex(&[&line, "}"]);
        line += &format!(r#","hash":"{hash}"}}"#);
        self.previous = Some(hash);
        self.lines.push(line);
    }

    fn verdict(&self) -> Verdict {
        verdict(&self.lines, &[])
    }

    /// The rules that the last fact and the end break.
    fn broken(&self) -> Vec<Rule> {
        self.verdict().findings.iter().map(|finding| finding.rule).collect()
    }
}

const OPENED: &str = r#"{"severity":"critical","entry":{"step":"first","loop":1,"enters_at":"2026-01-05T00:01:00.000000Z","acknowledge_by":"2026-01-05T00:11:00.000000Z"}}"#;

const ESCALATED: &str = r#"{"from_step":"first","to_step":"second","loop":1,"trigger":"not_acknowledged","due_at":"2026-01-05T00:11:00.000000Z","entry":{"step":"second","loop":1,"enters_at":"2026-01-05T00:11:00.000000Z"}}"#;

const SECOND: &str = r#"{"step":"second","loop":1,"target":"user:bob"}"#;

fn verdict(lines: &[String], anchors: &[String]) -> Verdict {
    let mut audit = Audit::new();
    for (number, anchor) in anchors.iter().enumerate() {
        audit.anchor(&format!("anchors:{}", number + 1), anchor);
    }
    for (number, line) in lines.iter().enumerate() {
        audit.fact(&format!("log:{}", number + 1), line);
    }
    audit.finish()
}

#[test]
fn a_whole_log_has_no_finding() {
    let mut log = Log::new();
    log.add("escalated", "00:11", "watchkeep", ESCALATED);
    log.add("notified", "00:11", "watchkeep", r#"{"step":"second","target":"user:bob"}"#);
    log.add("acknowledged", "00:20", "user:bob", "{}");
    let verdict = log.verdict();
    assert_eq!(verdict.findings, []);
    assert_eq!((verdict.facts, verdict.incidents), (6, 1));
}

#[test]
fn any_byte_that_is_altered_is_found_in_its_line() {
    let log = Log::new();
    let line = &log.lines[1];
    for place in 0..line.len() {
        let mut bytes = line.clone().into_bytes();
        bytes[place] ^= 1;
        let Ok(altered) = String::from_utf8(bytes) else { continue };
        let mut lines = log.lines.clone();
        lines[1] = altered;
        let verdict = verdict(&lines, &[]);
        assert!(!verdict.findings.is_empty(), "byte {place}");
        assert_eq!(verdict.findings[0].at, "log:2", "byte {place}");
    }
}

#[test]
fn a_deadline_is_answered_once() {
    let mut log = Log::new();
    log.add("action_recorded", "00:30", "user:ada", "{}");
    assert_eq!(log.broken(), [Rule::Deadline], "nobody answered");

    let mut log = Log::new();
    log.add("acknowledged", "00:05", "user:ada", "{}");
    log.add("escalated", "00:11", "watchkeep", ESCALATED);
    assert_eq!(log.broken(), [Rule::Deadline], "it was answered before");

    let mut log = Log::new();
    log.add("escalated", "00:11", "watchkeep", ESCALATED);
    log.add("escalated", "00:11", "watchkeep", ESCALATED);
    assert_eq!(log.broken(), [Rule::State, Rule::Deadline], "it fired twice");
}

#[test]
fn nobody_is_paged_after_the_end_and_a_critical_one_does_not_end_by_itself() {
    let mut log = Log::new();
    let cleared = r#"{"breach_id":"b","open_count":0}"#;
    log.add("breach_cleared", "00:05", "watchkeep", cleared);
    log.add("resolved", "00:06", "watchkeep", r#"{"reason":"cleared"}"#);
    log.add("notified", "00:07", "watchkeep", r#"{"step":"first","target":"user:ada"}"#);
    assert_eq!(log.broken(), [Rule::Gate, Rule::Notification]);
}

#[test]
fn a_gate_counts_different_people() {
    let mut log = Log::new();
    let signed = r#"{"gate":"resolve","approve":true,"signed":2,"needed":2}"#;
    log.add("signed_off", "00:05", "user:ada", signed);
    assert_eq!(log.broken(), [Rule::Gate]);
    let mut log = Log::new();
    let signed = r#"{"gate":"resolve","approve":true,"signed":1,"needed":2}"#;
    log.add("signed_off", "00:05", "user:ada", signed);
    log.add("breach_cleared", "00:06", "watchkeep", r#"{"breach_id":"b","open_count":0}"#);
    log.add("resolved", "00:07", "user:ada", r#"{"reason":"signed_off"}"#);
    assert_eq!(log.broken(), [Rule::Gate]);
}

#[test]
fn what_people_do_needs_its_reason_and_a_review_that_counts_is_there() {
    let mut log = Log::new();
    log.add("remediated", "00:05", "user:ada", r#"{"action":"fix"}"#);
    assert_eq!(log.broken(), [Rule::Actor]);
    let mut log = Log::new();
    log.add("breach_cleared", "00:05", "watchkeep", r#"{"breach_id":"b","open_count":0}"#);
    log.add(
        "signed_off",
        "00:05",
        "user:ada",
        r#"{"gate":"resolve","approve":true,"signed":1,"needed":1}"#,
    );
    log.add("resolved", "00:06", "user:ada", r#"{"reason":"signed_off"}"#);
    log.add("closed", "00:07", "watchkeep", r#"{"reason":"reviewed"}"#);
    assert_eq!(log.broken(), [Rule::State]);
}

#[test]
fn a_key_is_there_once() {
    let mut log = Log::new();
    log.add("action_recorded", "00:02", "user:ada", r#"{"action":"comment","action":"feedback"}"#);
    assert_eq!(log.broken(), [Rule::Form]);
}

#[test]
fn what_rests_is_not_due_and_what_returns_fails() {
    let cleared = r#"{"breach_id":"b","open_count":0}"#;
    let mut log = Log::new();
    log.add("breach_cleared", "00:05", "watchkeep", cleared);
    log.add("breach_attached", "00:30", "watchkeep", r#"{"breach_id":"c"}"#);
    log.add("verification_failed", "00:30", "watchkeep", "{}");
    let failed = r#"{"from_step":"first","to_step":"second","loop":1,"trigger":"verification_failed","due_at":"2026-01-05T00:30:00.000000Z","entry":{"step":"second","loop":1,"enters_at":"2026-01-05T00:30:00.000000Z"}}"#;
    log.add("escalated", "00:30", "watchkeep", failed);
    assert_eq!(log.broken(), [], "the deadline rested");

    let mut log = Log::new();
    log.add("breach_cleared", "00:05", "watchkeep", cleared);
    log.add("breach_attached", "00:30", "watchkeep", r#"{"breach_id":"c"}"#);
    log.add("action_recorded", "00:31", "user:ada", "{}");
    log.add("action_recorded", "00:32", "user:ada", "{}");
    assert_eq!(log.broken(), [Rule::Deadline, Rule::Deadline], "nothing failed by it");
}

#[test]
fn a_digest_tells_of_a_page_that_waited() {
    let digest = r#"{"step":"first","loop":1,"target":"user:ada","reason":"digest"}"#;
    let limited = digest.replace("digest", "limited");
    let mut log = Log::new();
    log.add("notification_skipped", "00:02", "watchkeep", &limited);
    log.add("escalated", "00:11", "watchkeep", ESCALATED);
    log.add("notified", "00:11", "watchkeep", SECOND);
    log.add("notified", "00:12", "watchkeep", digest);
    assert_eq!(log.broken(), []);
    let mut log = Log::new();
    log.add("notified", "00:05", "watchkeep", digest);
    assert_eq!(log.broken(), [Rule::Notification]);
}

#[test]
fn another_contact_tells_of_what_the_page_before_it_was_of() {
    let digest = r#"{"step":"first","loop":1,"target":"user:ada","reason":"digest"}"#;
    let limited = digest.replace("digest", "limited");
    let again = digest.replace("digest", "delivery_failed");
    let mut log = Log::new();
    log.add("notification_skipped", "00:02", "watchkeep", &limited);
    log.add("escalated", "00:11", "watchkeep", ESCALATED);
    log.add("notified", "00:11", "watchkeep", SECOND);
    log.add("notified", "00:12", "watchkeep", digest);
    log.add("notified", "00:13", "watchkeep", &again);
    assert_eq!(log.broken(), []);
    log.add("notified", "00:14", "watchkeep", &again.replace("ada", "bob"));
    assert_eq!(log.broken(), [Rule::Notification]);

    // The second step asks nobody by what another contact tells of the first.
    let mut log = Log::new();
    log.add("escalated", "00:11", "watchkeep", ESCALATED);
    log.add("notified", "00:12", "watchkeep", &again);
    log.add("action_recorded", "00:13", "user:bob", "{}");
    assert!(log.broken().contains(&Rule::Deadline));
}

#[test]
fn a_clock_that_is_put_back_makes_nothing_overdue() {
    let mut log = Log::new();
    log.add("action_recorded", "00:10", "user:ada", "{}");
    log.add("action_recorded", "00:02", "user:ada", "{}");
    log.add("acknowledged", "00:09", "user:ada", "{}");
    assert_eq!(log.broken(), []);
}

#[test]
fn only_people_acknowledge() {
    let mut log = Log::new();
    log.add("acknowledged", "00:05", "watchkeep", "{}");
    assert_eq!(log.broken(), [Rule::Actor]);
}

/// An anchor after the given number of facts.
fn anchor(lines: &[String], facts: usize) -> String {
    let head = verdict(&lines[..facts], &[]).head;
    serde_json::to_string(&head).expect("an anchor is JSON")
}

#[test]
fn a_tail_that_was_cut_and_a_chain_written_anew_need_an_anchor() {
    let mut log = Log::new();
    log.add("acknowledged", "00:05", "user:ada", "{}");
    let anchors = [anchor(&log.lines, 2), anchor(&log.lines, 4)];
    assert_eq!(verdict(&log.lines, &anchors).anchored, 4);

    let cut = &log.lines[..3];
    assert_eq!(verdict(cut, &[]).findings, [], "nothing is wrong with what is left");
    let found = verdict(cut, &anchors).findings;
    assert_eq!((found[0].rule, found[0].at.as_str()), (Rule::Anchor, "log:3"));

    let mut forged = Log::new();
    forged.add("acknowledged", "00:05", "user:eve", "{}");
    assert_eq!(forged.verdict().findings, [], "it is whole in itself");
    let found = verdict(&forged.lines, &anchors).findings;
    assert_eq!((found[0].rule, found[0].at.as_str()), (Rule::Anchor, "log:4"));
    assert!(found[0].detail.contains("2 facts from log:3"), "{}", found[0].detail);
}

#[test]
fn an_anchor_may_come_after_its_facts_and_no_fact_of_the_writer_is_without_one() {
    let log = Log::new();
    let audit = |anchors: &[String]| {
        let mut audit = Audit::new();
        audit.expect_all_anchored();
        for (number, line) in log.lines.iter().enumerate() {
            audit.fact(&format!("log:{}", number + 1), line);
        }
        anchors.iter().for_each(|anchor| audit.anchor("anchors:1", anchor));
        audit.finish()
    };
    let all = anchor(&log.lines, 3);
    assert_eq!(audit(std::slice::from_ref(&all)).findings, []);
    let found = audit(&[anchor(&log.lines, 2)]).findings;
    assert_eq!((found[0].rule, found[0].at.as_str()), (Rule::Anchor, "log:3"));
    let other = all.replace(r#""sequence":3"#, r#""sequence":4"#);
    assert_eq!(audit(&[other]).findings[0].rule, Rule::Anchor);
}

/// What a fact at 00:05 makes due at 00:08 is missed by 00:09, unless a fact
/// answers it.
fn missed(made_due: [&str; 2], answer: [&str; 2]) -> (Vec<Rule>, Vec<Rule>) {
    let story = |answers: bool| {
        let mut log = Log::new();
        log.add(made_due[0], "00:05", "watchkeep", made_due[1]);
        if answers {
            log.add(answer[0], "00:08", "watchkeep", answer[1]);
        }
        log.add("action_recorded", "00:09", "user:bob", r#"{"action":"comment","detail":"x"}"#);
        log.add("action_recorded", "00:10", "user:bob", r#"{"action":"comment","detail":"y"}"#);
        log.broken()
    };
    (story(true), story(false))
}

#[test]
fn what_keeps_pages_back_ends_and_what_waits_is_sent() {
    let due = |name: &str| format!(r#""{name}":"2026-01-05T00:08:00.000000Z""#);
    let silence = format!(r#"{{"silence":"s",{}}}"#, due("until"));
    let flaps = format!("{{{}}}", due("ends_at"));
    let limited = r#"{"step":"first","loop":1,"target":"user:bob","reason":"limited","#;
    let limited = format!("{limited}{}}}", due("digest_at"));
    let digest = r#"{"step":"first","loop":1,"target":"user:bob","reason":"digest"}"#;
    let ordered = format!(r#"{{"action":"rollback_ordered","detail":"x",{}}}"#, due("due_at"));
    let overdue = format!(r#"{{"action":"rollback_overdue","detail":"x",{}}}"#, due("due_at"));
    for (made_due, answer) in [
        (["silenced", &silence], ["unsilenced", r#"{"silence":"s","resumes":{"pages":false}}"#]),
        (["flapping_started", &flaps], ["flapping_ended", r#"{"resumes":{"pages":false}}"#]),
        (["notification_skipped", &limited], ["notified", digest]),
        (["action_recorded", &ordered], ["action_recorded", &overdue]),
    ] {
        let (whole, broken) = missed(made_due, answer);
        assert_eq!(whole, [], "{made_due:?}");
        assert!(broken.contains(&Rule::Deadline), "{made_due:?}: {broken:?}");
    }
}

#[test]
fn an_incident_whose_steps_ran_out_asks_again() {
    let mut log = Log::new();
    let exhausted = r#"{"from_step":"first","loop":1,"trigger":"not_acknowledged","due_at":"2026-01-05T00:11:00.000000Z"}"#;
    let page = |at: &str| {
        format!(
            r#"{{"step":"on_exhausted","loop":1,"target":"user:bob","repeat_at":"2026-01-05T{at}:00.000000Z"}}"#
        )
    };
    log.add("exhausted", "00:11", "watchkeep", exhausted);
    log.add("notified", "00:11", "watchkeep", &page("01:11"));
    log.add("notified", "01:11", "watchkeep", &page("02:11"));
    let comment = r#"{"action":"comment","detail":"x"}"#;
    log.add("action_recorded", "02:10", "user:bob", comment);
    assert_eq!(log.broken(), []);
    log.add("action_recorded", "02:20", "user:bob", comment);
    assert_eq!(log.broken(), [Rule::Deadline]);
}
