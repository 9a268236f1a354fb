//! Given breaches, when time passes and people answer, then these facts and
//! messages. The world is that of the flight examples.

mod answers;
mod deliveries;
mod digests;
mod exercises;
mod ladder;
mod laws;
mod merging;
mod model;
mod noise;
mod people;
mod platform;
pub(crate) mod scene;
mod settling;
mod states;
