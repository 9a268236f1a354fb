//! The demo's story: a shop whose models are fed twelve features from three
//! views and two datasets. Its charters lie with the demo.

use std::borrow::Cow;

use watchkeep_model::time::TimeSpan;

use super::model::{Shape, Subject};
use super::scenario::{Plot, Scene, Trouble};

/// 2026-01-05T08:00:00Z, a Monday; the demo's charters name their baselines by it.
pub(super) const START_MICROS: i64 = 1_767_600_000_000_000;

/// After this much event time the troubles come round.
pub const CYCLE: TimeSpan = TimeSpan::MINUTE.times(20);

/// What goes wrong in a round, told for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chapter {
    /// When it begins, after the start of a round.
    pub from: TimeSpan,
    /// When it is over.
    pub until: TimeSpan,
    /// One sentence.
    pub text: &'static str,
}

/// Everything that goes wrong in a round, in order.
pub fn chapters() -> [Chapter; 4] {
    let chapter = |from, until, text| Chapter {
        from: TimeSpan::MINUTE.times(from),
        until: TimeSpan::MINUTE.times(until),
        text,
    };
    [
        chapter(6, 10, "a release of the checkout adds shipping to checkout.amount_eur"),
        chapter(
            8,
            12,
            "the customer sync stalls: dataset:crm.customers ages, shopper.* lose values",
        ),
        chapter(11, 15, "the catalog store is overloaded: catalog.* are served slowly"),
        chapter(13, 17, "checkout.payment_method has a value nobody announced: instalments"),
    ]
}

pub(super) fn plot() -> Plot {
    let subjects = subjects();
    let named = |wanted: &[&str]| -> Vec<usize> {
        let is_wanted = |name: &str| {
            wanted.iter().any(|w| w.strip_suffix('*').map_or(*w == name, |p| name.starts_with(p)))
        };
        (0..subjects.len()).filter(|n| is_wanted(&subjects[*n].name)).collect()
    };
    let [amount, sync, store, payment] = chapters();
    let scene = |chapter: Chapter, wanted: &[&str], trouble| Scene {
        trouble,
        victims: named(wanted),
        from: chapter.from,
        until: chapter.until,
    };
    let scenes = vec![
        scene(amount, &["checkout.amount_eur"], Trouble::Shift { deviations: 1.2 }),
        scene(sync, &["dataset:crm.customers"], Trouble::Stale { by: TimeSpan::MINUTE.times(45) }),
        scene(sync, &["shopper.*"], Trouble::Nulls { share: 0.35 }),
        scene(store, &["catalog.*", "dataset:catalog.prices"], Trouble::Slow { times: 15 }),
        scene(
            payment,
            &["checkout.payment_method"],
            Trouble::Newcomer { name: "instalments", share: 0.15 },
        ),
    ];
    Plot { subjects, scenes, cycle: Some(CYCLE) }
}

fn subjects() -> Vec<Subject> {
    let amount = |mean, deviation| Shape::Amount { mean, deviation };
    let count = |mean| Shape::Count { mean };
    let minutes = |n| TimeSpan::MINUTE.times(n);
    let subject = |name, share, shape, latency_us, age, null_share| Subject {
        name: Cow::Borrowed(name),
        share,
        shape,
        latency_us,
        age,
        null_share,
    };
    const PAYMENT: &[(&str, u64)] =
        &[("card", 55), ("paypal", 25), ("invoice", 15), ("voucher", 5)];
    const CURRENCY: &[(&str, u64)] = &[("EUR", 80), ("CHF", 12), ("PLN", 8)];
    const COUNTRY: &[(&str, u64)] = &[("DE", 50), ("AT", 20), ("CH", 15), ("PL", 15)];
    const TIER: &[(&str, u64)] = &[("none", 50), ("silver", 30), ("gold", 20)];
    const CATEGORY: &[(&str, u64)] = &[("books", 40), ("toys", 25), ("garden", 20), ("music", 15)];
    vec![
        subject("checkout.amount_eur", 12, amount(80.0, 20.0), 900, TimeSpan::SECOND, 0.0),
        subject("checkout.items", 9, count(3.0), 900, TimeSpan::SECOND, 0.0),
        subject(
            "checkout.payment_method",
            10,
            Shape::Categories(PAYMENT),
            900,
            TimeSpan::SECOND,
            0.01,
        ),
        subject("checkout.currency", 8, Shape::Categories(CURRENCY), 900, TimeSpan::SECOND, 0.0),
        subject("shopper.orders_30d", 8, count(4.0), 1_400, minutes(4), 0.02),
        subject("shopper.days_since_order", 8, amount(20.0, 6.0), 1_400, minutes(4), 0.02),
        subject("shopper.country", 8, Shape::Categories(COUNTRY), 1_400, minutes(4), 0.01),
        subject("shopper.loyalty_tier", 8, Shape::Categories(TIER), 1_400, minutes(4), 0.03),
        subject("catalog.price_eur", 8, amount(35.0, 9.0), 2_000, minutes(6), 0.0),
        subject("catalog.stock_level", 8, amount(400.0, 90.0), 2_000, minutes(6), 0.0),
        subject("catalog.category", 8, Shape::Categories(CATEGORY), 2_000, minutes(6), 0.0),
        subject("catalog.rating", 8, amount(4.1, 0.3), 2_000, minutes(6), 0.05),
        subject("dataset:crm.customers", 4, amount(5_000.0, 300.0), 20_000, minutes(4), 0.0),
        subject("dataset:catalog.prices", 4, amount(900.0, 60.0), 20_000, minutes(6), 0.0),
    ]
}
