//! What is due is placed as if everything that is held were looked at.

use std::collections::BTreeSet;

use watchkeep_model::policy::GroupKey;
use watchkeep_model::time::TimeSpan;

use super::super::{Escalate, Outputs, Settings};
use crate::escalate::place::Group;
use crate::tests::scene::{World, at, declared, drift, some, world};

/// A small generator of numbers; its seed is all that a case is made of.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

fn name(number: u64) -> String {
    match number {
        0..6 => format!("dataset:d{number}"),
        6..12 => format!("view:v{number}"),
        _ => format!("feature:f{number}"),
    }
}

/// Made of datasets, views and features, with edges from any to a later one.
fn any_world(dice: &mut Dice) -> World {
    let mut edges: Vec<(String, String)> = Vec::new();
    for _ in 0..dice.below(40) {
        let from = dice.below(12);
        let to = from + 1 + dice.below(39 - from);
        edges.push((name(from), name(to)));
    }
    let edges: Vec<(&str, &str)> =
        edges.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    let mut world = world();
    world.lineage = declared(&edges);
    let policy = world.policies.get_mut("flights").expect("the policy of the charters");
    policy.attribution.max_depth = 1 + u32::try_from(dice.below(4)).expect("small");
    policy.attribution.min_features = 1 + u32::try_from(dice.below(4)).expect("small");
    policy.grouping.by = match dice.below(4) {
        0 => vec![GroupKey::Kind],
        1 => vec![GroupKey::Feature, GroupKey::Severity],
        _ => vec![GroupKey::Root, GroupKey::Kind],
    };
    world
}

/// The groups with a member that is due: key, members, and why.
fn due(groups: Vec<Group>, now: watchkeep_model::time::Timestamp) -> Vec<String> {
    let due = groups.into_iter().filter(|group| group.members.iter().any(|one| one.due_at <= now));
    let told = due.map(|group| {
        let members: BTreeSet<&str> =
            group.members.iter().map(|one| one.breach.breach_id.as_str()).collect();
        format!("{} {members:?} {:?}", group.placed.group_key, group.attribution)
    });
    told.collect()
}

#[test]
fn what_is_due_is_placed_as_if_all_were_looked_at() {
    let mut alone = 0;
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let world = any_world(&mut dice);
        let mut stage = Escalate::new(Settings::default());
        let begin = at("05-08");
        for number in 0..20 {
            let mut breach = drift("05-08");
            breach.feature = name(dice.below(40));
            breach.expectation = format!("e{number}");
            breach.breach_id = format!("b{number}");
            breach.policy = some("flights");
            breach.detected_at =
                begin + TimeSpan::SECOND.times(i64::try_from(dice.below(50)).expect("small"));
            let now = breach.detected_at;
            stage.breach(&breach, &world, now, &mut Outputs::default());
            if dice.below(8) == 0 {
                stage.unhold(&format!("b{}", dice.below(20)));
            }
        }
        for _ in 0..20 {
            let Some(now) = stage.next_deadline() else { break };
            let all: BTreeSet<String> = stage.held.keys().cloned().collect();
            let whole = due(stage.place_these(&all, &world, now), now);
            let near = stage.near_of(&world, now);
            alone += usize::from(near.len() < all.len());
            assert_eq!(due(stage.place_held(&world, now), now), whole, "seed {seed}");
            stage.advance(&world, now, &mut Outputs::default());
        }
    }
    assert!(alone > 300, "too few cases in which less was looked at: {alone}");
}
