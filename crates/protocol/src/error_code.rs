//! Kafka's error codes.
//!
//! A code is kept as it came, known or not: a broker newer than this crate may send one without a
//! name. What to do about a code is the client's decision; here is only what Java's clients think
//! of it (`RetriableException`, `InvalidMetadataException`), as of Kafka 4.4.

use std::fmt;

/// An error code as brokers send it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub i16);

/// What Java's clients think of an error.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Final,
    Retriable,
    /// Retriable, and the metadata is out of date.
    StaleMetadata,
}

macro_rules! codes {
    ($($code:literal $NAME:ident $kind:ident $text:literal;)*) => {
        impl ErrorCode {
            $(#[doc = concat!("Code ", $code, ": ", $text, ".")]
            pub const $NAME: Self = Self($code);)*

            /// Every code that has a name.
            pub const ALL: &'static [Self] = &[$(Self::$NAME,)*];

            fn known(self) -> Option<(&'static str, Kind, &'static str)> {
                Some(match self.0 {
                    $($code => (stringify!($NAME), Kind::$kind, $text),)*
                    _ => return None,
                })
            }
        }
    };
}

codes! {
    -1 UNKNOWN_SERVER_ERROR Final "the broker met an unexpected error";
    0 NONE Final "no error";
    1 OFFSET_OUT_OF_RANGE Final "the offset is outside of the log";
    2 CORRUPT_MESSAGE Retriable "the records failed their checksum or are otherwise unreadable";
    3 UNKNOWN_TOPIC_OR_PARTITION StaleMetadata "the broker hosts no such partition";
    4 INVALID_FETCH_SIZE Final "the fetch size is invalid";
    5 LEADER_NOT_AVAILABLE StaleMetadata "the partition has no leader right now";
    6 NOT_LEADER_OR_FOLLOWER StaleMetadata "the broker is neither leader nor follower of the partition";
    7 REQUEST_TIMED_OUT Retriable "the broker did not finish in the time the request gave";
    8 BROKER_NOT_AVAILABLE Final "the broker is not available";
    9 REPLICA_NOT_AVAILABLE StaleMetadata "the replica is not available";
    10 MESSAGE_TOO_LARGE Final "a record batch is larger than the broker or topic allows";
    11 STALE_CONTROLLER_EPOCH Final "the controller has moved";
    12 OFFSET_METADATA_TOO_LARGE Final "the metadata of a committed offset is too large";
    13 NETWORK_EXCEPTION StaleMetadata "the broker was disconnected before it answered";
    14 COORDINATOR_LOAD_IN_PROGRESS Retriable "the coordinator is still loading";
    15 COORDINATOR_NOT_AVAILABLE Retriable "there is no coordinator right now";
    16 NOT_COORDINATOR Retriable "the broker is not the coordinator";
    17 INVALID_TOPIC_EXCEPTION Final "the topic name is invalid, or the topic is internal";
    18 RECORD_LIST_TOO_LARGE Final "the records are larger than a log segment";
    19 NOT_ENOUGH_REPLICAS Retriable "fewer replicas are in sync than required; nothing was written";
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND Retriable "the records were written, but to fewer replicas in sync than required";
    21 INVALID_REQUIRED_ACKS Final "the acks of the produce request are invalid";
    22 ILLEGAL_GENERATION Final "the generation is not the group's current one";
    23 INCONSISTENT_GROUP_PROTOCOL Final "the member shares no protocol with its group";
    24 INVALID_GROUP_ID Final "the group id is invalid";
    25 UNKNOWN_MEMBER_ID Final "the group has no such member";
    26 INVALID_SESSION_TIMEOUT Final "the session timeout is outside of the broker's range";
    27 REBALANCE_IN_PROGRESS Final "the group is rebalancing: join again";
    28 INVALID_COMMIT_OFFSET_SIZE Final "the committed offset is too large";
    29 TOPIC_AUTHORIZATION_FAILED Final "access to the topic is denied";
    30 GROUP_AUTHORIZATION_FAILED Final "access to the group is denied";
    31 CLUSTER_AUTHORIZATION_FAILED Final "access to the cluster is denied";
    32 INVALID_TIMESTAMP Final "a record's timestamp is out of range";
    33 UNSUPPORTED_SASL_MECHANISM Final "the SASL mechanism is not supported";
    34 ILLEGAL_SASL_STATE Final "the request is out of place in the SASL exchange";
    35 UNSUPPORTED_VERSION Final "the version of the API is not supported";
    36 TOPIC_ALREADY_EXISTS Final "a topic of this name exists already";
    37 INVALID_PARTITIONS Final "the number of partitions is invalid";
    38 INVALID_REPLICATION_FACTOR Final "the replication factor is below 1 or above the number of brokers";
    39 INVALID_REPLICA_ASSIGNMENT Final "the assignment of replicas is invalid";
    40 INVALID_CONFIG Final "a configuration value is invalid";
    41 NOT_CONTROLLER Retriable "the broker is not the controller";
    42 INVALID_REQUEST Final "the request is malformed or unknown to the broker";
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT Final "the message format on the broker does not support the request";
    44 POLICY_VIOLATION Final "a policy of the cluster refuses the request";
    45 OUT_OF_ORDER_SEQUENCE_NUMBER Final "a batch is missing before this one of an idempotent producer";
    46 DUPLICATE_SEQUENCE_NUMBER Final "the batch was written before";
    47 INVALID_PRODUCER_EPOCH Final "the producer's epoch is old";
    48 INVALID_TXN_STATE Final "the transaction is not in a state that allows this";
    49 INVALID_PRODUCER_ID_MAPPING Final "the producer id is not the transactional id's current one";
    50 INVALID_TRANSACTION_TIMEOUT Final "the transaction timeout is above the broker's maximum";
    51 CONCURRENT_TRANSACTIONS Retriable "another operation on the transaction is under way";
    52 TRANSACTION_COORDINATOR_FENCED Final "the transaction coordinator has been replaced";
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED Final "access to the transactional id is denied";
    54 SECURITY_DISABLED Final "security is disabled on the broker";
    55 OPERATION_NOT_ATTEMPTED Final "the broker did not try this part, because another part failed";
    56 KAFKA_STORAGE_ERROR StaleMetadata "the broker's disk failed";
    57 LOG_DIR_NOT_FOUND Final "the log directory is unknown";
    58 SASL_AUTHENTICATION_FAILED Final "the SASL authentication failed";
    59 UNKNOWN_PRODUCER_ID Final "the broker no longer knows the producer id";
    60 REASSIGNMENT_IN_PROGRESS Final "the partition is being reassigned";
    61 DELEGATION_TOKEN_AUTH_DISABLED Final "delegation tokens are disabled";
    62 DELEGATION_TOKEN_NOT_FOUND Final "the delegation token is unknown";
    63 DELEGATION_TOKEN_OWNER_MISMATCH Final "the delegation token has another owner";
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED Final "delegation tokens are not allowed on this connection";
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED Final "access to the delegation token is denied";
    66 DELEGATION_TOKEN_EXPIRED Final "the delegation token has expired";
    67 INVALID_PRINCIPAL_TYPE Final "the type of principal is not supported";
    68 NON_EMPTY_GROUP Final "the group still has members";
    69 GROUP_ID_NOT_FOUND Final "the group does not exist";
    70 FETCH_SESSION_ID_NOT_FOUND Retriable "the fetch session is unknown";
    71 INVALID_FETCH_SESSION_EPOCH Retriable "the epoch of the fetch session is not the next one";
    72 LISTENER_NOT_FOUND StaleMetadata "the leader has no listener like the one that was asked";
    73 TOPIC_DELETION_DISABLED Final "topic deletion is disabled";
    74 FENCED_LEADER_EPOCH StaleMetadata "the leader epoch is older than the broker's";
    75 UNKNOWN_LEADER_EPOCH Retriable "the leader epoch is newer than the broker's";
    76 UNSUPPORTED_COMPRESSION_TYPE Final "the compression is not supported";
    77 STALE_BROKER_EPOCH Final "the broker's epoch has changed";
    78 OFFSET_NOT_AVAILABLE Retriable "the offset is not settled yet after a leader election";
    79 MEMBER_ID_REQUIRED Final "the group wants the member to join again with the id it was given";
    80 PREFERRED_LEADER_NOT_AVAILABLE StaleMetadata "the preferred leader is not available";
    81 GROUP_MAX_SIZE_REACHED Final "the group has its maximum of members";
    82 FENCED_INSTANCE_ID Final "another member with the same instance id has taken its place";
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE StaleMetadata "no eligible leader is available";
    84 ELECTION_NOT_NEEDED StaleMetadata "the partition needs no election";
    85 NO_REASSIGNMENT_IN_PROGRESS Final "the partition is not being reassigned";
    86 GROUP_SUBSCRIBED_TO_TOPIC Final "a group subscribes to the topic, so its offsets stay";
    87 INVALID_RECORD Final "the broker refuses a record";
    88 UNSTABLE_OFFSET_COMMIT Retriable "an open transaction may still change the offsets";
    89 THROTTLING_QUOTA_EXCEEDED Retriable "a quota is exceeded";
    90 PRODUCER_FENCED Final "a newer producer has the same transactional id";
    91 RESOURCE_NOT_FOUND Final "the resource does not exist";
    92 DUPLICATE_RESOURCE Final "the request names a resource twice";
    93 UNACCEPTABLE_CREDENTIAL Final "the credential does not meet the requirements";
    94 INCONSISTENT_VOTER_SET Final "the set of voters differs";
    95 INVALID_UPDATE_VERSION Final "the version to update to is invalid";
    96 FEATURE_UPDATE_FAILED Final "a feature could not be updated";
    97 PRINCIPAL_DESERIALIZATION_FAILURE Final "a forwarded principal is unreadable";
    98 SNAPSHOT_NOT_FOUND Final "the snapshot does not exist";
    99 POSITION_OUT_OF_RANGE Final "the position is outside of the snapshot";
    100 UNKNOWN_TOPIC_ID StaleMetadata "the broker hosts no topic of this id";
    101 DUPLICATE_BROKER_REGISTRATION Final "the broker id is in use";
    102 BROKER_ID_NOT_REGISTERED Final "the broker id is not registered";
    103 INCONSISTENT_TOPIC_ID StaleMetadata "the topic id differs from that of the log";
    104 INCONSISTENT_CLUSTER_ID Final "the cluster id differs";
    105 TRANSACTIONAL_ID_NOT_FOUND Final "the transactional id is unknown";
    106 FETCH_SESSION_TOPIC_ID_ERROR Retriable "the fetch session mixes topic ids and names";
    107 INELIGIBLE_REPLICA Final "a replica may not join the in-sync set";
    108 NEW_LEADER_ELECTED Final "a new leader was elected along with the change";
    109 OFFSET_MOVED_TO_TIERED_STORAGE Final "the offset lives in tiered storage";
    110 FENCED_MEMBER_EPOCH Final "the member's epoch is fenced: give up all partitions and join again";
    111 UNRELEASED_INSTANCE_ID Final "another member still holds the instance id";
    112 UNSUPPORTED_ASSIGNOR Final "the group does not support the assignor";
    113 STALE_MEMBER_EPOCH Final "the member's epoch is stale: heartbeat, then retry";
    114 MISMATCHED_ENDPOINT_TYPE Final "the endpoint is of the wrong type";
    115 UNSUPPORTED_ENDPOINT_TYPE Final "the type of endpoint is not supported";
    116 UNKNOWN_CONTROLLER_ID Final "the controller id is unknown";
    117 UNKNOWN_SUBSCRIPTION_ID Final "the telemetry subscription is unknown or outdated";
    118 TELEMETRY_TOO_LARGE Final "the telemetry is larger than allowed";
    119 INVALID_REGISTRATION Final "the registration is invalid";
    120 TRANSACTION_ABORTABLE Final "the transaction failed and can be aborted";
    121 INVALID_RECORD_STATE Final "the record is not in a state to be acknowledged";
    122 SHARE_SESSION_NOT_FOUND Retriable "the share session is unknown";
    123 INVALID_SHARE_SESSION_EPOCH Retriable "the epoch of the share session is not the next one";
    124 FENCED_STATE_EPOCH Final "the state epoch is fenced";
    125 INVALID_VOTER_KEY Final "the voter's key differs";
    126 DUPLICATE_VOTER Final "the voter is in the set already";
    127 VOTER_NOT_FOUND Final "the voter is not in the set";
    128 INVALID_REGULAR_EXPRESSION Final "the regular expression is invalid";
    129 REBOOTSTRAP_REQUIRED Final "the client's metadata is too old: start again from the bootstrap brokers";
    130 STREAMS_INVALID_TOPOLOGY Final "the topology is invalid";
    131 STREAMS_INVALID_TOPOLOGY_EPOCH Final "the topology epoch is invalid";
    132 STREAMS_TOPOLOGY_FENCED Final "the topology epoch is outdated";
    133 SHARE_SESSION_LIMIT_REACHED Retriable "there are too many share sessions";
    134 GROUP_DELETION_FAILED Final "the group could not be deleted entirely";
    135 STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED Final "the description of the topology could not be updated";
    136 CONTROLLER_ID_NOT_REGISTERED Final "the controller id is not registered";
}

impl ErrorCode {
    /// Whether this is [`NONE`](Self::NONE).
    pub fn is_ok(self) -> bool {
        self == Self::NONE
    }

    /// `Ok` for [`NONE`](Self::NONE), else the code as an error.
    pub fn ok(self) -> Result<(), Self> {
        if self.is_ok() { Ok(()) } else { Err(self) }
    }

    /// Kafka's name, as in `NOT_LEADER_OR_FOLLOWER`; `UNKNOWN` for a code that has none here.
    pub fn name(self) -> &'static str {
        self.known().map_or("UNKNOWN", |(name, ..)| name)
    }

    /// Whether Java's clients retry it (`RetriableException`). Unknown codes are not retried.
    pub fn is_retriable(self) -> bool {
        self.known().is_some_and(|(_, kind, _)| kind != Kind::Final)
    }

    /// Whether Java's clients refresh their metadata on it (`InvalidMetadataException`).
    pub fn is_stale_metadata(self) -> bool {
        self.known().is_some_and(|(_, kind, _)| kind == Kind::StaleMetadata)
    }
}

impl From<i16> for ErrorCode {
    fn from(code: i16) -> Self {
        Self(code)
    }
}

impl From<ErrorCode> for i16 {
    fn from(code: ErrorCode) -> Self {
        code.0
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Some((name, _, text)) => write!(f, "{name} ({}): {text}", self.0),
            None => write!(f, "error code {} that this version of Roka does not know", self.0),
        }
    }
}

impl std::error::Error for ErrorCode {}
