//! The facts of Watchkeep and the words for them. This file is the glossary.
//!
//! | word | meaning |
//! |---|---|
//! | telemetry | one report that a model was fed a value ([`telemetry::Telemetry`]) |
//! | subject | what telemetry and charters are about: a feature, dataset, pipeline … ([`subject`]) |
//! | pane | the smallest slice of event time that is kept apart |
//! | summary | what is kept of the events of one subject, version and pane; mergeable ([`summary::Summary`]) |
//! | batch | the summaries of one commit with the source positions they cover ([`batch::SummaryBatch`]) |
//! | watermark | the event time up to which everything is taken to have arrived |
//! | window | a union of panes that is closed, measured and judged ([`window::Window`]) |
//! | revision | the same window measured anew because late events came |
//! | baseline | what a window is compared with |
//! | expectation | a rule of a charter that a window is judged by ([`charter::Expectation`]) |
//! | breach | an expectation that a window fails ([`breach::Breach`]) |
//! | charter | the contract of a subject: meaning, owners, expectations ([`charter`]) |
//! | policy | how a breach climbs until somebody answers ([`policy`]) |
//! | incident | breaches of one root and kind, and everything done about them ([`incident`]) |
//! | escalation | one message to one person over one channel ([`escalation`]) |
//! | response | what people do about an incident ([`response`]) |
//! | publication | what was changed of charters, policies and people at once ([`revision`]) |
//! | document | one YAML document of a charter folder, with the places of its fields ([`document`]) |
//! | reject | input that could not be used, kept with its reason ([`reject`]) |
//!
//! Everything here is data and algebra: nothing decides, nothing reads a clock.

pub mod anchor;
pub mod batch;
pub mod bits;
pub mod breach;
pub mod categories;
pub mod charter;
pub mod compact;
pub mod counted;
pub mod counted_names;
mod counts;
pub mod directory;
pub mod distinct;
pub mod distribution;
pub mod document;
pub mod escalation;
pub mod exact_sum;
pub mod frequent;
pub mod identifier;
pub mod incident;
pub mod json;
pub mod lineage;
pub mod matcher;
pub mod policy;
pub mod position;
pub mod profile;
pub mod reject;
pub mod response;
pub mod revision;
pub mod subject;
pub mod summary;
pub mod telemetry;
pub mod time;
pub mod window;
