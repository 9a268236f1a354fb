//! What an alert budget does to one window, its revisions and the windows of
//! an open breach.

use watchkeep_model::charter::{BaselineSpec, Effect, Statistic};
use watchkeep_model::directory::AlertBudget;
use watchkeep_model::window::Verdict;

use super::*;

/// A book with a budget for every charter.
struct Budgeted(Book, AlertBudget);

impl Charters for Budgeted {
    fn charter(&self, feature: &str, at: Timestamp) -> Option<Arc<Charter>> {
        self.0.charter(feature, at)
    }

    fn named(&self) -> Vec<Arc<str>> {
        self.0.named()
    }

    fn alert_budget(&self, _: &Charter) -> Option<(Arc<str>, AlertBudget)> {
        Some(("shop".into(), self.1))
    }
}

fn drift() -> Book {
    let rule = Rule::Drift {
        baseline: BaselineSpec::Fixed { from: minute(0.0), to: minute(60.0) },
        p_below: 0.01,
        effect: Some(Effect { statistic: Statistic::KsStat, above: 0.2 }),
        bins: 10,
        sustained: None,
    };
    book(&[("f", &[expectation("shape", TimeSpan::HOUR, rule)])])
}

/// A value a minute, by hour: quiet ones are the minute of the hour, the
/// others are moved on by as much.
fn hours(moved: &[f64]) -> Vec<Telemetry<'static>> {
    let mut events = Vec::new();
    for (hour, moved) in moved.iter().enumerate() {
        for m in 0..60 {
            let at = hour as f64 * 60.0 + f64::from(m);
            events.push(valued(at, f64::from(m) + moved));
        }
    }
    events
}

fn valued(at: f64, value: f64) -> Telemetry<'static> {
    Telemetry { value: Value::Number(value), latency_us: None, ..telemetry(&("f", at, 0)) }
}

fn run_budgeted(events: &[Telemetry<'static>], terms: AlertBudget, cut: usize) -> Outputs {
    run_by(drift(), events, terms, cut)
}

/// As `run`, with one budget for all charters of the book.
pub(super) fn run_by(
    book: Book,
    events: &[Telemetry<'static>],
    terms: AlertBudget,
    cut: usize,
) -> Outputs {
    let book = Budgeted(book, terms);
    let mut summarise = Summarise::new(settings(), "test", Timestamp::default());
    let mut evaluate = Evaluate::new(settings(), 0, 1);
    let id = summarise.assign(&Partition::new("t", 0), 0);
    let topics = [(Arc::from("t"), 1)];
    let mut out = Outputs::default();
    for (chunk, part) in events.chunks(cut).enumerate() {
        for (i, event) in part.iter().enumerate() {
            let offset = (chunk * cut + i) as i64;
            summarise.record(id, offset, None, std::slice::from_ref(event), &book).unwrap();
        }
        for batch in summarise.take_batches(&topics, 1) {
            evaluate.batch(&batch, Timestamp::default(), &book, &mut out).unwrap();
        }
        summarise.committed();
    }
    evaluate.finish(None, &book, &mut out);
    out
}

fn told(out: &Outputs) -> String {
    let line = |decided: &Decided| {
        let (window, judged) = (&decided.window, &decided.window.judged[0]);
        let budget = judged.budget.as_ref().map_or("not tested".to_owned(), |granted| {
            format!("test {} level {:.1e} spent {:.1e}", granted.test, granted.level, granted.spent)
        });
        let breaches: Vec<_> =
            decided.breaches.iter().map(|b| format!(" {:?}", b.transition)).collect();
        let hour = window.window_start.since(minute(0.0)).as_micros() / 3_600_000_000;
        format!("{hour} r{} {:?} {budget}{}", window.revision, judged.verdict, breaches.concat())
    };
    out.decided.iter().filter(|d| !d.window.partial).map(line).collect::<Vec<_>>().join("\n")
}

const SMALL: AlertBudget = AlertBudget::FalseAlarms { count: 1e-4, per: TimeSpan::WEEK };

#[test]
fn both_keys_without_the_level_are_not_judged_and_the_reason_says_why() {
    let events = hours(&[0.0, 0.0, 24.0, 0.0, 60.0, 60.0, 0.0, 0.0]);
    let out = run_budgeted(&events, SMALL, 50);
    expect![[r#"
        0 r0 NotJudged not tested
        1 r0 Good test 1 level 4.2e-5 spent 4.2e-5
        2 r0 NotJudged test 2 level 1.5e-5 spent 5.7e-5
        3 r0 Good test 3 level 7.0e-6 spent 6.4e-5
        4 r0 Bad test 4 level 4.2e-6 spent 6.8e-5 Opened
        5 r0 Bad not tested Sustained
        6 r0 Good not tested Cleared
        7 r0 Good test 5 level 2.8e-6 spent 7.1e-5"#]]
    .assert_eq(&told(&out));
    let withheld = &out.decided[2].window.judged[0];
    assert_eq!(withheld.verdict, Verdict::NotJudged);
    expect!["ks_stat 0.4000 is above 0.2 with p-value 8.023e-5 below 0.01; but the alert budget of domain shop asks for a p-value of at most 1.463e-5"].assert_eq(withheld.reason.as_deref().unwrap());
    for cut in [1, 7, 1000] {
        assert_eq!(run_budgeted(&events, SMALL, cut), out);
    }
}

/// Late events are another look at the p-value, which costs as much as a first one.
#[test]
fn a_revision_is_a_test_of_its_own_until_the_window_is_a_discovery() {
    let late = || (0..60).map(|m| valued(60.0 + f64::from(m), 100.0));
    let quiet = |minutes: std::ops::Range<i32>| {
        minutes.map(|m| valued(f64::from(m), f64::from(m % 60))).collect::<Vec<_>>()
    };
    let mut events = hours(&[0.0, 0.0]);
    events.extend(quiet(120..124));
    events.extend(late().chain(late()));
    events.extend(quiet(124..127));
    // Some more before the window takes no more, which change little.
    events.extend(late().take(10));
    events.extend(quiet(127..190));
    let out = run_budgeted(&events, SMALL, 50);
    expect![[r#"
        0 r0 NotJudged not tested
        1 r0 Good test 1 level 4.2e-5 spent 4.2e-5
        1 r1 Bad test 2 level 1.5e-5 spent 5.7e-5 Opened
        1 r2 Bad test 2 level 1.5e-5 spent 5.7e-5
        2 r0 Good not tested Cleared"#]]
    .assert_eq(&told(&out));
}
