//! Turns while the clocks change.

use super::*;

/// A rota of New York whose first turn begins at nine in the morning.
fn rota(every: TimeSpan, people: usize) -> Schedule {
    let users = (0..people).map(|number| format!("user:p{number}")).collect();
    let layer = Layer { users, every, from: "2013-01-07T14:00:00Z".parse().unwrap() };
    let zone = Some("America/New_York".into());
    Schedule { zone, layers: vec![layer], ..Schedule::default() }
}

/// Turns of two days and more around both changes of the clocks.
#[test]
fn a_turn_ends_once_and_where_changes_say_so() {
    let hours = |hours: i64| TimeSpan::HOUR.times(hours);
    let spans = [TimeSpan::MINUTE.times(30), hours(1), hours(5), hours(12), hours(36), hours(168)];
    for (every, day) in
        spans.iter().flat_map(|every| [(every, "2013-03-09"), (every, "2013-11-02")])
    {
        let rota = rota(*every, 20_011);
        let begin: Timestamp = format!("{day}T00:10:00Z").parse().unwrap();
        let mut directory = Directory::default();
        directory.schedules.insert("rota".into(), rota.clone());
        let told = changes(&directory, begin, begin + hours(60));
        let of = |at: Timestamp| turn(&rota.layers[0], rota.zone.as_deref(), at).unwrap();
        let (mut at, mut now) = (begin, of(begin));
        while at < begin + hours(60) {
            at = at + TimeSpan::MINUTE;
            let next = of(at);
            assert_eq!(told.contains(&at), next != now, "{every} at {at}: {now} to {next}");
            // An hour that the clocks skip is nobody's.
            assert!((now..=now + 2).contains(&next), "{every} at {at}: {now} to {next}");
            now = next;
        }
    }
}

#[test]
fn half_days_are_handed_over_at_nine_all_year() {
    let rota = rota(TimeSpan::HOUR.times(12), 2);
    let of = |at: &str| turn(&rota.layers[0], rota.zone.as_deref(), at.parse().unwrap());
    for (before, nine) in [
        ("2013-03-09T13:59:59Z", "2013-03-09T14:00:00Z"),
        ("2013-03-10T12:59:59Z", "2013-03-10T13:00:00Z"),
        ("2013-07-01T12:59:59Z", "2013-07-01T13:00:00Z"),
        ("2013-11-03T13:59:59Z", "2013-11-03T14:00:00Z"),
    ] {
        assert_eq!((of(before), of(nine)), (Some(1), Some(0)), "{nine}");
    }
}
