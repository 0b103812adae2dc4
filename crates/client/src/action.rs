//! One total table: what an error code asks of the client, whatever API it came from.
//!
//! APIs may know better (a group's `UNKNOWN_MEMBER_ID` means another thing to `DeleteGroups`); they ask
//! here first and depart from it in one place of their own.

use roka_protocol::ErrorCode;

/// What to do about an error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Nothing went wrong.
    Ok,
    /// Ask the same broker again, after a back-off.
    Retry,
    /// The leader may be another broker: ask for metadata, then retry.
    RetryAfterMetadata,
    /// The coordinator is another broker: look it up, then retry.
    RetryAfterCoordinator,
    /// The controller is another broker: ask for metadata, then retry.
    RetryAfterController,
    /// Everything known is out of date: start from the bootstrap addresses (KIP-1102).
    Rebootstrap,
    /// The fetch session is gone: open a new one (KIP-227).
    RestartSession,
    /// The position is outside of the log: apply the reset policy.
    ResetOffset,
    /// The group moved on: join again with the same member id.
    Rejoin,
    /// The group forgot the member: join again without a member id.
    RejoinAsNew,
    /// The batch is too large: split it.
    Split,
    /// The broker lost track of the idempotent producer: take a new epoch or id.
    ResetProducer,
    /// The transaction cannot be committed, but can be aborted.
    AbortTransaction,
    /// Another instance with the same name took over: stop.
    Fenced,
    /// Access denied: waiting does not help, an administrator does.
    Denied,
    /// Repeating the same request gives the same error.
    Fatal,
}

impl Action {
    /// Whether the same request can succeed later or elsewhere.
    pub fn is_retry(self) -> bool {
        matches!(
            self,
            Self::Retry
                | Self::RetryAfterMetadata
                | Self::RetryAfterCoordinator
                | Self::RetryAfterController
                | Self::Rebootstrap
        )
    }
}

/// The action for a code. A code that has no name here is [`Action::Fatal`].
#[expect(
    clippy::match_same_arms,
    clippy::too_many_lines,
    reason = "a table: fatal codes are listed so that it is total"
)]
pub(crate) fn of(code: ErrorCode) -> Action {
    use ErrorCode as E;
    match code {
        E::NONE => Action::Ok,

        E::CORRUPT_MESSAGE
        | E::REQUEST_TIMED_OUT
        | E::COORDINATOR_LOAD_IN_PROGRESS
        | E::NOT_ENOUGH_REPLICAS
        | E::NOT_ENOUGH_REPLICAS_AFTER_APPEND
        | E::CONCURRENT_TRANSACTIONS
        | E::OFFSET_NOT_AVAILABLE
        | E::UNSTABLE_OFFSET_COMMIT
        | E::THROTTLING_QUOTA_EXCEEDED
        | E::SHARE_SESSION_LIMIT_REACHED => Action::Retry,

        E::UNKNOWN_TOPIC_OR_PARTITION
        | E::LEADER_NOT_AVAILABLE
        | E::NOT_LEADER_OR_FOLLOWER
        | E::BROKER_NOT_AVAILABLE
        | E::REPLICA_NOT_AVAILABLE
        | E::NETWORK_EXCEPTION
        | E::KAFKA_STORAGE_ERROR
        | E::LISTENER_NOT_FOUND
        | E::FENCED_LEADER_EPOCH
        | E::UNKNOWN_LEADER_EPOCH
        | E::PREFERRED_LEADER_NOT_AVAILABLE
        | E::ELIGIBLE_LEADERS_NOT_AVAILABLE
        | E::UNKNOWN_TOPIC_ID
        | E::INCONSISTENT_TOPIC_ID => Action::RetryAfterMetadata,

        E::COORDINATOR_NOT_AVAILABLE | E::NOT_COORDINATOR | E::TRANSACTION_COORDINATOR_FENCED => {
            Action::RetryAfterCoordinator
        }
        E::NOT_CONTROLLER | E::STALE_CONTROLLER_EPOCH => Action::RetryAfterController,
        E::REBOOTSTRAP_REQUIRED => Action::Rebootstrap,

        E::FETCH_SESSION_ID_NOT_FOUND
        | E::INVALID_FETCH_SESSION_EPOCH
        | E::FETCH_SESSION_TOPIC_ID_ERROR
        | E::SHARE_SESSION_NOT_FOUND
        | E::INVALID_SHARE_SESSION_EPOCH => Action::RestartSession,
        E::OFFSET_OUT_OF_RANGE => Action::ResetOffset,

        E::REBALANCE_IN_PROGRESS | E::MEMBER_ID_REQUIRED | E::STALE_MEMBER_EPOCH => Action::Rejoin,
        E::ILLEGAL_GENERATION | E::UNKNOWN_MEMBER_ID | E::FENCED_MEMBER_EPOCH => {
            Action::RejoinAsNew
        }

        E::MESSAGE_TOO_LARGE | E::RECORD_LIST_TOO_LARGE => Action::Split,
        E::OUT_OF_ORDER_SEQUENCE_NUMBER
        | E::UNKNOWN_PRODUCER_ID
        | E::INVALID_PRODUCER_ID_MAPPING => Action::ResetProducer,
        // The batch is in the log: its offset is not known, that is all.
        E::DUPLICATE_SEQUENCE_NUMBER => Action::Ok,
        E::TRANSACTION_ABORTABLE => Action::AbortTransaction,
        E::FENCED_INSTANCE_ID | E::PRODUCER_FENCED | E::INVALID_PRODUCER_EPOCH => Action::Fenced,

        E::TOPIC_AUTHORIZATION_FAILED
        | E::GROUP_AUTHORIZATION_FAILED
        | E::CLUSTER_AUTHORIZATION_FAILED
        | E::SASL_AUTHENTICATION_FAILED
        | E::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        | E::DELEGATION_TOKEN_AUTHORIZATION_FAILED => Action::Denied,

        E::UNKNOWN_SERVER_ERROR
        | E::INVALID_FETCH_SIZE
        | E::OFFSET_METADATA_TOO_LARGE
        | E::INVALID_TOPIC_EXCEPTION
        | E::INVALID_REQUIRED_ACKS
        | E::INCONSISTENT_GROUP_PROTOCOL
        | E::INVALID_GROUP_ID
        | E::INVALID_SESSION_TIMEOUT
        | E::INVALID_COMMIT_OFFSET_SIZE
        | E::INVALID_TIMESTAMP
        | E::UNSUPPORTED_SASL_MECHANISM
        | E::ILLEGAL_SASL_STATE
        | E::UNSUPPORTED_VERSION
        | E::TOPIC_ALREADY_EXISTS
        | E::INVALID_PARTITIONS
        | E::INVALID_REPLICATION_FACTOR
        | E::INVALID_REPLICA_ASSIGNMENT
        | E::INVALID_CONFIG
        | E::INVALID_REQUEST
        | E::UNSUPPORTED_FOR_MESSAGE_FORMAT
        | E::POLICY_VIOLATION
        | E::INVALID_TXN_STATE
        | E::INVALID_TRANSACTION_TIMEOUT
        | E::SECURITY_DISABLED
        | E::OPERATION_NOT_ATTEMPTED
        | E::LOG_DIR_NOT_FOUND
        | E::REASSIGNMENT_IN_PROGRESS
        | E::DELEGATION_TOKEN_AUTH_DISABLED
        | E::DELEGATION_TOKEN_NOT_FOUND
        | E::DELEGATION_TOKEN_OWNER_MISMATCH
        | E::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED
        | E::DELEGATION_TOKEN_EXPIRED
        | E::INVALID_PRINCIPAL_TYPE
        | E::NON_EMPTY_GROUP
        | E::GROUP_ID_NOT_FOUND
        | E::TOPIC_DELETION_DISABLED
        | E::UNSUPPORTED_COMPRESSION_TYPE
        | E::STALE_BROKER_EPOCH
        | E::GROUP_MAX_SIZE_REACHED
        | E::ELECTION_NOT_NEEDED
        | E::NO_REASSIGNMENT_IN_PROGRESS
        | E::GROUP_SUBSCRIBED_TO_TOPIC
        | E::INVALID_RECORD
        | E::RESOURCE_NOT_FOUND
        | E::DUPLICATE_RESOURCE
        | E::UNACCEPTABLE_CREDENTIAL
        | E::INCONSISTENT_VOTER_SET
        | E::INVALID_UPDATE_VERSION
        | E::FEATURE_UPDATE_FAILED
        | E::PRINCIPAL_DESERIALIZATION_FAILURE
        | E::SNAPSHOT_NOT_FOUND
        | E::POSITION_OUT_OF_RANGE
        | E::DUPLICATE_BROKER_REGISTRATION
        | E::BROKER_ID_NOT_REGISTERED
        | E::INCONSISTENT_CLUSTER_ID
        | E::TRANSACTIONAL_ID_NOT_FOUND
        | E::INELIGIBLE_REPLICA
        | E::NEW_LEADER_ELECTED
        | E::OFFSET_MOVED_TO_TIERED_STORAGE
        | E::UNRELEASED_INSTANCE_ID
        | E::UNSUPPORTED_ASSIGNOR
        | E::MISMATCHED_ENDPOINT_TYPE
        | E::UNSUPPORTED_ENDPOINT_TYPE
        | E::UNKNOWN_CONTROLLER_ID
        | E::UNKNOWN_SUBSCRIPTION_ID
        | E::TELEMETRY_TOO_LARGE
        | E::INVALID_REGISTRATION
        | E::INVALID_RECORD_STATE
        | E::FENCED_STATE_EPOCH
        | E::INVALID_VOTER_KEY
        | E::DUPLICATE_VOTER
        | E::VOTER_NOT_FOUND
        | E::INVALID_REGULAR_EXPRESSION
        | E::STREAMS_INVALID_TOPOLOGY
        | E::STREAMS_INVALID_TOPOLOGY_EPOCH
        | E::STREAMS_TOPOLOGY_FENCED
        | E::GROUP_DELETION_FAILED
        | E::STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED
        | E::CONTROLLER_ID_NOT_REGISTERED => Action::Fatal,

        _ => Action::Fatal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Java retries, we retry in one way or another; the exceptions are named with their reason.
    #[test]
    fn agrees_with_java_on_what_is_retriable() {
        let retried = |code| of(code).is_retry() || of(code) == Action::RestartSession;
        // There is nothing to elect: asking again gives the same answer.
        let not_ours = [ErrorCode::ELECTION_NOT_NEEDED];
        // Java sends these to the code of one API each.
        let more_than_java = [
            ErrorCode::BROKER_NOT_AVAILABLE,
            ErrorCode::STALE_CONTROLLER_EPOCH,
            ErrorCode::TRANSACTION_COORDINATOR_FENCED,
            ErrorCode::REBOOTSTRAP_REQUIRED,
        ];
        for &code in ErrorCode::ALL {
            let java = code.is_retriable() && !not_ours.contains(&code);
            let ours = retried(code) && !more_than_java.contains(&code);
            assert_eq!(ours, java, "{code}");
        }
    }

    #[test]
    fn every_named_code_is_listed() {
        let source = include_str!("action.rs");
        for code in ErrorCode::ALL {
            let name = format!("E::{}", code.name());
            let listed = source.match_indices(&name).any(|(at, _)| {
                let next = source.as_bytes()[at + name.len()];
                !next.is_ascii_alphanumeric() && next != b'_'
            });
            assert!(listed, "{code} has no line in the table");
        }
    }

    #[test]
    fn an_unknown_code_is_final() {
        assert_eq!(of(ErrorCode(9999)), Action::Fatal);
        assert_eq!(of(ErrorCode(i16::MIN)), Action::Fatal);
    }
}
