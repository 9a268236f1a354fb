//! Which windows an expectation can have.

use watchkeep_model::charter::{BaselineSpec, Expectation, Rule, Season, WindowSpec};
use watchkeep_model::time::TimeSpan;

/// Windows that an event may be in, of one expectation. Each is kept until it
/// takes no more events, so a folder that asks for more is refused.
const OVERLAP_MAX: i64 = 10_000;

/// Takes a finding: its field, rule, message and hint.
pub(super) type Tell<'a> = &'a mut dyn FnMut(&str, &'static str, String, Option<String>);

/// Tells each finding of an expectation's windows.
pub(super) fn check(pane: TimeSpan, expectation: &Expectation, tell: Tell<'_>) {
    let window = expectation.window;
    let whole_panes = |span: TimeSpan| span.is_multiple_of(pane);
    match window {
        WindowSpec::Tumbling { size } if whole_panes(size) => {}
        WindowSpec::Hopping { size, hop } if whole_panes(size) && whole_panes(hop) => {
            let overlap = size.as_micros() / hop.as_micros().max(1);
            if overlap > OVERLAP_MAX {
                let message = format!("{window}: an event is in {overlap} windows");
                let hint = format!("at most {OVERLAP_MAX} are kept: lengthen the hop");
                tell("window", "window_overlap", message, Some(hint));
            }
        }
        WindowSpec::Tumbling { .. } | WindowSpec::Hopping { .. } => {
            let message = format!("{window} is no multiple of the pane, {pane}");
            tell("window", "window_pane", message, None);
        }
        WindowSpec::Session { gap } if gap < pane => {
            let message = format!("a gap of {gap} is shorter than the pane, {pane}");
            let hint = format!("write a gap of at least {pane}, or set time.pane");
            tell("window", "window_pane", message, Some(hint));
        }
        WindowSpec::Session { .. } => {}
    }
    if let (Rule::Silence { .. }, WindowSpec::Session { .. }) = (&expectation.rule, window) {
        let message = "a session has no silence: it ends with its last event".to_owned();
        let hint = "judge silence by a tumbling or hopping window".to_owned();
        tell("window", "session_silence", message, Some(hint));
    }
    if let (Rule::Slo { .. }, WindowSpec::Session { .. }) = (&expectation.rule, window) {
        let message = "an objective has no sessions: it looks back from the end of a window that \
                       comes whether there are events or not"
            .to_owned();
        let hint = "judge the objective by a tumbling or hopping window".to_owned();
        tell("window", "session_slo", message, Some(hint));
    }
    match expectation.rule.baseline() {
        Some(BaselineSpec::Seasonal { by, .. }) => season(window, *by, tell),
        Some(BaselineSpec::Rolling { .. }) => rolling(window, tell),
        _ => {}
    }
}

/// The last windows before are told by a grid.
fn rolling(window: WindowSpec, tell: Tell<'_>) {
    if let WindowSpec::Session { .. } = window {
        let message = "sessions have no rolling baseline: they begin at any time".to_owned();
        let hint = "compare with a fixed baseline or a profile".to_owned();
        tell("baseline", "season", message, Some(hint));
    }
}

/// A season is made of windows that begin whole days or weeks earlier.
fn season(window: WindowSpec, by: Season, tell: Tell<'_>) {
    let period = match by {
        Season::HourOfDay => TimeSpan::DAY,
        Season::HourOfWeek => TimeSpan::WEEK,
    };
    let (hop, name) = match window {
        WindowSpec::Tumbling { size } => (size, "size"),
        WindowSpec::Hopping { hop, .. } => (hop, "hop"),
        WindowSpec::Session { .. } => {
            let message = "sessions have no seasonal baseline: they begin at any time".to_owned();
            let hint = "compare with a fixed baseline".to_owned();
            tell("baseline", "season", message, Some(hint));
            return;
        }
    };
    if !period.is_multiple_of(hop) {
        let message = format!("no window of {window} begins {period} before another");
        let hint = format!("write a {name} that divides {period}");
        tell("baseline", "season", message, Some(hint));
    }
}
