//! The log on Kafka.
//!
//! [`session::KafkaLog`] is a member of a consumer group and a transactional
//! producer in one: records come in batches through one queue, and a commit
//! is a Kafka transaction of records and positions. [`reader::KafkaReader`]
//! reads ranges outside of any group, [`appender::KafkaAppender`] writes
//! without a transaction, [`admin::KafkaAdmin`] creates and checks topics.

pub mod admin;
pub mod appender;
mod context;
mod errors;
mod fate;
mod member;
mod native;
pub mod reader;
pub mod session;
pub mod settings;
mod transactions;
