//! What librdkafka reports, by what the caller does about it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use watchkeep_runtime::log::LogError;

/// Error codes of a newer instance having taken the place.
pub(crate) fn is_fenced(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Fenced
            | RDKafkaErrorCode::ProducerFenced
            | RDKafkaErrorCode::InvalidProducerEpoch
            | RDKafkaErrorCode::FencedInstanceId
    )
}

/// Error codes that pass by themselves: librdkafka goes on trying.
pub(crate) fn is_passing(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::BrokerNotAvailable
            | RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::CoordinatorLoadInProgress
            | RDKafkaErrorCode::CoordinatorNotAvailable
            | RDKafkaErrorCode::ConcurrentTransactions
            | RDKafkaErrorCode::InProgress
            | RDKafkaErrorCode::LeaderNotAvailable
            | RDKafkaErrorCode::PollExceeded
            | RDKafkaErrorCode::NetworkException
            | RDKafkaErrorCode::NotCoordinator
            | RDKafkaErrorCode::NotEnoughReplicas
            | RDKafkaErrorCode::NotEnoughReplicasAfterAppend
            | RDKafkaErrorCode::NotLeaderForPartition
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::RebalanceInProgress
            | RDKafkaErrorCode::RequestTimedOut
            | RDKafkaErrorCode::Resolve
            | RDKafkaErrorCode::UnstableOffsetCommit
            | RDKafkaErrorCode::WaitingForCoordinator
    )
}

/// A call that failed, and what was being done. Configuration values are left
/// out of the message, because they may be secrets.
pub(crate) fn log_error(doing: &str, error: &KafkaError) -> LogError {
    if let KafkaError::ClientConfig(_, description, name, value) = error {
        let description = if value.is_empty() {
            description.clone()
        } else {
            description.replace(value.as_str(), "…")
        };
        return LogError::Fatal(format!("the property {name} of [log.kafka]: {description}"));
    }
    let why = format!("{doing}: {error}");
    match error.rdkafka_error_code() {
        Some(code) if is_fenced(code) => LogError::Fenced(why),
        Some(code) if is_passing(code) => LogError::Unavailable(why),
        _ => LogError::Fatal(why),
    }
}

/// A question that got no answer can be asked again, whatever kept the answer.
pub(crate) fn passing(error: LogError) -> LogError {
    match error {
        LogError::Fatal(why) => LogError::Unavailable(why),
        other => other,
    }
}
