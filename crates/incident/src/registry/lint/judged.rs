//! Expectations that no window can be judged by: of another type of values
//! than the feature's, with a history that can never be long enough, or against
//! a profile that nobody has captured. And slow drifts that a baseline follows.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::charter::{
    BaselineSpec, Expectation, Learned, Rule, Statistic, Sustained, ValueType, WindowSpec,
};
use watchkeep_model::document::Located;
use watchkeep_model::subject::typed;
use watchkeep_model::time::TimeSpan;

use super::super::index::NEVER;
use super::super::pattern;
use super::{Folder, Found, did_you_mean};

/// Windows from which detection tells how much counts vary.
const VOLUME_WINDOWS_MIN: u32 = 3;

/// Captured profiles: the features that each identifier was captured for.
#[derive(Clone, Debug, Default)]
pub struct Captured(BTreeMap<String, BTreeSet<String>>);

impl Captured {
    /// Takes a profile of a feature, named with or without its type.
    pub fn add(&mut self, id: &str, feature: &str) {
        self.0.entry(id.to_owned()).or_default().insert(typed(feature));
    }
}

pub(super) fn check(folder: &Folder<'_>, found: &mut Found) {
    let index = &folder.registry.index;
    let subjects = index.exact().chain(index.patterns()).map(|(subject, _)| subject);
    for subject in subjects {
        let documents = index.matching(subject, NEVER);
        let fields = || documents.iter().map(|&n| (n, &index.documents[n].fields));
        let source = fields().find_map(|(n, f)| f.expectations.as_ref().map(|list| (n, list)));
        let Some((number, expectations)) = source else { continue };
        let place = &folder.charters[number];
        let value_type = fields().find_map(|(_, f)| f.r#type);
        for (expectation, path) in expectations.iter().zip(place.items("expectations")) {
            of_history(place, &path, expectation, found);
            of_bound(place, &path, expectation, found);
            of_silence(place, &path, expectation, found);
            if let Some(value_type) = value_type {
                of_type(place, &path, expectation, value_type, found);
            }
            if let Some(captured) = &folder.checks.profiles
                && let Some(BaselineSpec::Profile { id, .. }) = expectation.rule.baseline()
            {
                let field = format!("{path}.baseline");
                profile(place, &field, id, subject, captured, found);
            }
        }
    }
}

/// Tells of a silence that may begin and end between two windows' ends.
fn of_silence(place: &Located<()>, path: &str, expectation: &Expectation, found: &mut Found) {
    let (WindowSpec::Tumbling { size: step } | WindowSpec::Hopping { hop: step, .. }) =
        expectation.window
    else {
        return;
    };
    if let Rule::Silence { after } = expectation.rule
        && after < step
    {
        let message = format!(
            "`{}` looks for a silence every {step}, where a window ends: one of {after} that is \
             over by then is not seen",
            expectation.name
        );
        let hint = Some(format!("write a window, or a hop, of at most {after}"));
        found.warning(place, &format!("{path}.after"), "short_silence", message, hint);
    }
}

/// Tells what is learned from, or compared with, more windows than there can be.
fn of_history(place: &Located<()>, path: &str, expectation: &Expectation, found: &mut Found) {
    let name = &expectation.name;
    if let Rule::Volume { usual: Some(usual), .. } = &expectation.rule
        && let BaselineSpec::Rolling { windows, .. } = usual.baseline
        && windows < VOLUME_WINDOWS_MIN
    {
        let message = format!(
            "`{name}` judges no window: how much counts vary takes {VOLUME_WINDOWS_MIN} windows \
             to tell, and the baseline has {windows}"
        );
        let hint = Some("compare with more windows".to_owned());
        found.warning(place, &format!("{path}.baseline"), "never_judged", message, hint);
    }
    let windows_in = |from: TimeSpan| {
        let windows = match expectation.window {
            WindowSpec::Tumbling { size: step } | WindowSpec::Hopping { hop: step, .. } => {
                from.as_micros() / step.as_micros().max(1)
            }
            // However often they come.
            WindowSpec::Session { .. } => i64::MAX,
        };
        usize::try_from(windows).unwrap_or(0)
    };
    if let Rule::Drift { sustained: Some(sustained), .. } = &expectation.rule
        && windows_in(sustained.from) < Sustained::WINDOWS_MIN - 1
    {
        let message = format!(
            "`sustained` of `{name}` judges no window: it takes {} windows, and before the one \
             that is judged {} has {}",
            Sustained::WINDOWS_MIN,
            sustained.from,
            windows_in(sustained.from)
        );
        let hint = Some("lengthen `from`".to_owned());
        found.warning(place, &format!("{path}.sustained"), "never_judged", message, hint);
    }
    if let Rule::Drift {
        sustained: Some(_), baseline: BaselineSpec::Rolling { windows, .. }, ..
    } = &expectation.rule
    {
        let message = format!(
            "`sustained` of `{name}` looks for what moves slowly, and its baseline of the last \
             {windows} windows moves with it: a drift shows only by what it comes to in that time"
        );
        let hint = Some("compare with a `fixed` baseline or a profile".to_owned());
        found.warning(place, &format!("{path}.baseline"), "moving_baseline", message, hint);
    }
    let Some(learned) = &expectation.learned else { return };
    let needed = learned.windows_needed();
    let there_are = windows_in(learned.from).min(Learned::WINDOWS_MAX);
    if there_are >= needed {
        return;
    }
    let message = format!(
        "`{name}` judges no window: a bound of {} false alarms needs {needed} good windows, and \
         {} has {there_are} at most",
        learned.false_alarm_rate, learned.from
    );
    let hint = match needed > Learned::WINDOWS_MAX {
        true => format!("at most {} windows are kept: take a higher rate", Learned::WINDOWS_MAX),
        false => "lengthen `from`, or take a higher rate".to_owned(),
    };
    found.warning(place, path, "never_judged", message, Some(hint));
}

/// Tells a bound beyond which nothing can be.
fn of_bound(place: &Located<()>, path: &str, expectation: &Expectation, found: &mut Found) {
    if expectation.learned.is_some() {
        return;
    }
    let (field, bound, what) = match &expectation.rule {
        Rule::NullRate { above, .. } | Rule::ErrorRate { above, .. } => {
            ("above", *above, "a share")
        }
        Rule::Range { above, .. } | Rule::Categories { above, .. } => ("above", *above, "a share"),
        Rule::Drift { effect: Some(effect), .. } => {
            let what = match effect.statistic {
                Statistic::Js | Statistic::Hellinger | Statistic::KsStat => "this effect",
                Statistic::UnseenShare => "a share",
                Statistic::Psi | Statistic::Wasserstein | Statistic::WassersteinNorm => return,
            };
            ("effect.above", effect.above, what)
        }
        Rule::Volume { below: Some(0), above: None, usual: None } => {
            let message =
                format!("`{}` is never bad: no window has fewer than 0 events", expectation.name);
            let hint = Some("lower than 1 is no event at all: write `below: 1`".to_owned());
            found.warning(place, &format!("{path}.below"), "never_bad", message, hint);
            return;
        }
        _ => return,
    };
    if bound >= 1.0 {
        let name = &expectation.name;
        let message =
            format!("`{name}` is never bad: {what} is 1 at most, and never above {bound}");
        let hint = Some("write a bound below 1".to_owned());
        found.warning(place, &format!("{path}.{field}"), "never_bad", message, hint);
    }
}

/// Tells an expectation that looks at values of a type that the feature has not.
fn of_type(
    place: &Located<()>,
    path: &str,
    expectation: &Expectation,
    value_type: ValueType,
    found: &mut Found,
) {
    let (is_number, name) = match value_type {
        ValueType::Double => (true, "double"),
        ValueType::Long => (true, "long"),
        ValueType::Boolean => (false, "boolean"),
        ValueType::String => (false, "string"),
    };
    let (what, hint) = match &expectation.rule {
        Rule::Range { .. } if !is_number => ("a range is of numbers", "watch `categories`"),
        Rule::Categories { .. } if is_number => {
            ("categories are texts and booleans", "watch a `range`")
        }
        Rule::Drift { sustained: Some(_), .. } if !is_number => {
            let message = format!(
                "`sustained` of `{}` judges no window: it adds up shifts of numbers, and the \
                 values are of type {name}",
                expectation.name
            );
            let hint = Some("take `sustained` away, or mend `type`".to_owned());
            found.warning(place, path, "never_judged", message, hint);
            return;
        }
        Rule::Drift { effect: Some(effect), .. } => match effect.statistic {
            Statistic::KsStat | Statistic::Wasserstein | Statistic::WassersteinNorm
                if !is_number =>
            {
                ("the effect is one of numbers", "take `js`, `psi`, `hellinger` or `unseen_share`")
            }
            Statistic::UnseenShare if is_number => {
                ("the effect is one of categories", "take `ks_stat` or `wasserstein_norm`")
            }
            _ => return,
        },
        _ => return,
    };
    let message = format!(
        "`{}` judges no window: {what}, and the values are of type {name}",
        expectation.name
    );
    found.warning(place, path, "never_judged", message, Some(format!("{hint}, or mend `type`")));
}

/// Tells a profile that was not captured for the subject, or for none of those
/// that a pattern stands for.
fn profile(
    place: &Located<()>,
    field: &str,
    id: &str,
    subject: &str,
    captured: &Captured,
    found: &mut Found,
) {
    let capture = Some("capture it with `watchkeep baselines capture`".to_owned());
    let Some(features) = captured.0.get(id) else {
        let known = captured.0.keys().map(String::as_str);
        let hint = did_you_mean(id, known).or(capture);
        let message = format!("no profile `{id}` was captured");
        found.warning(place, field, "unknown_profile", message, hint);
        return;
    };
    if !features.iter().any(|feature| pattern::matches(subject, feature)) {
        let message = format!("profile `{id}` was not captured for {subject}");
        found.warning(place, field, "unknown_profile", message, capture);
    }
}
