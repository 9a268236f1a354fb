//! Policies read back and the civil times are strict.

use super::*;

#[test]
fn triggers_and_addressees_are_written_as_in_policies() {
    let text = r#"{"name":"a","escalate_if":["not_acknowledged",{"affected_features":20},{"recurrence":{"count":3,"within":"7d"}},{"severity":"critical"}],"notify":[{"role":"primary"},{"schedule":"schedule:x","severities":["critical"]}]}"#;
    let step: Step = serde_json::from_str(text).unwrap();
    assert_eq!(step.escalate_if[1], Trigger::AffectedFeatures(20));
    assert_eq!(step.escalate_if[2], Trigger::Recurrence { count: 3, within: TimeSpan::WEEK });
    assert_eq!(step.notify[1].target, NotifyTarget::Schedule("schedule:x".into()));
    let back: Step = serde_json::from_str(&crate::json::to_line(&step)).unwrap();
    assert_eq!(back, step);
}

#[test]
fn an_empty_policy_has_the_documented_defaults() {
    let policy: Policy = serde_json::from_str(r#"{"name":"p"}"#).unwrap();
    assert_eq!(policy.grouping.group_wait, TimeSpan::MINUTE);
    assert_eq!(policy.grouping.by, [GroupKey::Root, GroupKey::Kind]);
    assert_eq!(policy.damping.reopen_within, TimeSpan::HOUR.times(2));
    assert_eq!(policy.attribution.max_depth, 5);
}

#[test]
fn civil_times_are_strict() {
    assert_eq!("09:30".parse::<TimeOfDay>().unwrap().minutes(), 570);
    assert_eq!("24:00".parse::<TimeOfDay>().unwrap().to_string(), "24:00");
    for wrong in ["", "9:00", "09:60", "24:01", "0900", "+1:00", "09:00:00"] {
        assert!(wrong.parse::<TimeOfDay>().is_err(), "{wrong}");
    }
    assert_eq!("2013-05-27".parse::<Day>().unwrap().to_string(), "2013-05-27");
    for wrong in ["", "2013-02-29", "2013-5-27", "20130527", "2013-05-27T00:00"] {
        assert!(wrong.parse::<Day>().is_err(), "{wrong}");
    }
}
