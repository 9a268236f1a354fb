//! The short form of what `examples/lineage.rs` measures.

use super::*;

#[test]
fn the_same_seed_is_the_same_case() {
    for seed in 0..28 {
        let (one, same) = (files(&Case::from_seed(seed)), files(&Case::from_seed(seed)));
        assert_eq!(one, same);
        assert!(!Case::from_seed(seed).expected.is_empty(), "nothing is planted by {seed}");
    }
}

#[test]
fn what_is_planted_is_found() {
    let mut wrong = String::new();
    let seeds = 0..Shape::ALL.len() as u64 * 5;
    let shapes = measure(seeds, &mut |case, found| {
        wrong += &format!("{} {:?}: {:?} but {found:?}\n", case.seed, case.shape, case.expected);
    });
    let mut all = Measured::default();
    shapes.unwrap().values().for_each(|one| all.add(*one));
    assert!(all.precision() >= 0.95 && all.recall() >= 0.95, "{all:?}\n{wrong}");
}
