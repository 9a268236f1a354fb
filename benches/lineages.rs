//! A lineage of 100,000 nodes, and a stage that has seen all of its features.

use watchkeep_incident::escalate::{Escalate, Outputs, Settings};
use watchkeep_incident::lineage::Builder;
use watchkeep_model::directory::Directory;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::Window;

use crate::world::{AT, World, breach};

const DATASETS: usize = 500;
const PIPELINES: usize = 2_000;
const VIEWS: usize = 10_000;

/// Features, each watched.
pub const FEATURES: usize = 87_500;

/// Breaches that one fault causes at once.
pub const AT_ONCE: usize = 10_000;

/// Features here and there that breach, each by itself.
pub const OPEN: usize = 1_000;

/// Datasets, pipelines, views and features, each made from two of the layer
/// above; the first dataset is popular and feeds every pipeline.
pub fn world() -> World {
    let mut builder = Builder::default();
    let layers: [(&str, usize); 4] = [
        ("dataset:d", DATASETS),
        ("pipeline:p", PIPELINES),
        ("view:v", VIEWS),
        ("feature:f", FEATURES),
    ];
    let mut edge = |from: String, to: &str| {
        let (always, never) = (Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));
        builder.declare(&from, to, always, never);
    };
    for pair in layers.windows(2) {
        let ((above, sources), (below, users)) = (pair[0], pair[1]);
        for n in 0..users {
            let to = format!("{below}{n}");
            edge(format!("{above}{}", n * sources / users), &to);
            edge(format!("{above}{}", (n * 7_919 + 13) % sources), &to);
            if below == "pipeline:p" {
                edge(format!("{above}0"), &to);
            }
        }
    }
    World { lineage: builder.build(), directory: Directory::default() }
}

/// A stage that has seen a good window of every feature.
///
/// # Panics
/// Never: the window is a constant.
pub fn stage(world: &World) -> Escalate {
    let mut stage = Escalate::new(Settings::default());
    let text = r#"{"feature":"","feature_version":"","window":"5m","window_start":0,"window_end":0,
        "revision":0,"partial":false,"count":1,"null_count":0,"error_count":0,"status":{},
        "non_finite_count":0,"late_count":0,
        "judged":[{"expectation":"missing","verdict":"good"}]}"#;
    let mut window: Window = serde_json::from_str(text).expect("a window");
    window.window_end = AT - TimeSpan::HOUR;
    for feature in 0..FEATURES {
        window.feature = format!("f{feature}");
        stage.window(&window, world, AT, &mut Outputs::default());
    }
    stage
}

/// Opens breaches of the features of these numbers, and the incidents that come of them.
pub fn open(stage: &mut Escalate, world: &World, features: &[usize]) -> Outputs {
    let mut out = Outputs::default();
    for feature in features {
        stage.breach(&breach(*feature), world, AT, &mut out);
    }
    stage.advance(world, AT + TimeSpan::MINUTE, &mut out);
    out
}

/// The same stage beside [`OPEN`] scattered breaches.
pub fn busy(quiet: &Escalate, world: &World) -> Escalate {
    let mut busy = quiet.clone();
    let scattered: Vec<usize> = (0..OPEN).map(|n| n * 87).collect();
    open(&mut busy, world, &scattered);
    busy
}

/// Features that do not breach in [`busy`], one after the other from all over.
pub fn further() -> impl Iterator<Item = usize> {
    (0..FEATURES).map(|n| (n * 7_919) % FEATURES).filter(|feature| feature % 87 != 0)
}

/// All features of some of the pipelines.
pub fn of_one_fault() -> Vec<usize> {
    (0..AT_ONCE).collect()
}

/// As many features from all over.
pub fn from_all_over() -> Vec<usize> {
    (0..AT_ONCE).map(|n| (n * 7_919) % FEATURES).collect()
}
