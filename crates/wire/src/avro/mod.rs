//! Avro without intermediate values: a cursor over the bytes that is steered
//! by the *writer's* schema, and its counterpart for writing.
//!
//! `apache-avro` parses schemas and is the oracle in tests; it is not on the
//! path of a record, because it builds a tree of owned values for each.

pub mod cursor;
pub mod json;
pub mod shape;
pub mod writer;
