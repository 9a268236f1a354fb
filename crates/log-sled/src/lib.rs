//! The embedded log: topics, partitions and groups in one folder, on sled.
//!
//! One process holds the folder. Its stages open a session each over one
//! [`store::SledStore`]; partitions are shared out among the sessions of a
//! group. A commit is one batch of the store and is on the disk before it
//! returns; readers see it only then.
//!
//! [`cache`] keeps snapshots, in a folder of its own and of which nothing is promised.

pub mod appender;
pub mod cache;
pub mod chunk;
mod flush;
mod layout;
pub mod session;
mod settle;
pub mod store;
mod witness;

#[cfg(test)]
mod tests;
