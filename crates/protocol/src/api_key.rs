//! The APIs of the protocol.

use std::fmt;

macro_rules! keys {
    ($($key:literal $Name:ident $flexible:tt;)*) => {
        /// An API, by its number on the wire. Also those that only brokers and controllers speak
        /// among themselves, so that each has a name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $(#[doc = concat!(stringify!($Name), ", key ", $key, ".")]
            $Name = $key,)*
        }

        impl ApiKey {
            /// Every API, by number.
            pub const ALL: &'static [Self] = &[$(Self::$Name,)*];

            /// The API of the number, if Kafka 4.4 has one.
            pub fn from_i16(key: i16) -> Option<Self> {
                Some(match key {
                    $($key => Self::$Name,)*
                    _ => return None,
                })
            }

            /// Kafka's name, as in `ListOffsets`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$Name => stringify!($Name),)*
                }
            }

            /// The first version whose request has a flexible header (KIP-482), if any has.
            pub fn first_flexible(self) -> Option<i16> {
                match self {
                    $(Self::$Name => keys!(@flexible $flexible),)*
                }
            }
        }
    };
    (@flexible never) => { None };
    (@flexible $flexible:literal) => { Some($flexible) };
}

// Number, name, first flexible version.
keys! {
    0 Produce 9;
    1 Fetch 12;
    2 ListOffsets 6;
    3 Metadata 9;
    4 LeaderAndIsr 4;
    5 StopReplica 2;
    6 UpdateMetadata 6;
    7 ControlledShutdown 3;
    8 OffsetCommit 8;
    9 OffsetFetch 6;
    10 FindCoordinator 3;
    11 JoinGroup 6;
    12 Heartbeat 4;
    13 LeaveGroup 4;
    14 SyncGroup 4;
    15 DescribeGroups 5;
    16 ListGroups 3;
    17 SaslHandshake never;
    18 ApiVersions 3;
    19 CreateTopics 5;
    20 DeleteTopics 4;
    21 DeleteRecords 2;
    22 InitProducerId 2;
    23 OffsetForLeaderEpoch 4;
    24 AddPartitionsToTxn 3;
    25 AddOffsetsToTxn 3;
    26 EndTxn 3;
    27 WriteTxnMarkers 1;
    28 TxnOffsetCommit 3;
    29 DescribeAcls 2;
    30 CreateAcls 2;
    31 DeleteAcls 2;
    32 DescribeConfigs 4;
    33 AlterConfigs 2;
    34 AlterReplicaLogDirs 2;
    35 DescribeLogDirs 2;
    36 SaslAuthenticate 2;
    37 CreatePartitions 2;
    38 CreateDelegationToken 2;
    39 RenewDelegationToken 2;
    40 ExpireDelegationToken 2;
    41 DescribeDelegationToken 2;
    42 DeleteGroups 2;
    43 ElectLeaders 2;
    44 IncrementalAlterConfigs 1;
    45 AlterPartitionReassignments 0;
    46 ListPartitionReassignments 0;
    47 OffsetDelete never;
    48 DescribeClientQuotas 1;
    49 AlterClientQuotas 1;
    50 DescribeUserScramCredentials 0;
    51 AlterUserScramCredentials 0;
    52 Vote 0;
    53 BeginQuorumEpoch 1;
    54 EndQuorumEpoch 1;
    55 DescribeQuorum 0;
    56 AlterPartition 0;
    57 UpdateFeatures 0;
    58 Envelope 0;
    59 FetchSnapshot 0;
    60 DescribeCluster 0;
    61 DescribeProducers 0;
    62 BrokerRegistration 0;
    63 BrokerHeartbeat 0;
    64 UnregisterBroker 0;
    65 DescribeTransactions 0;
    66 ListTransactions 0;
    67 AllocateProducerIds 0;
    68 ConsumerGroupHeartbeat 0;
    69 ConsumerGroupDescribe 0;
    70 ControllerRegistration 0;
    71 GetTelemetrySubscriptions 0;
    72 PushTelemetry 0;
    73 AssignReplicasToDirs 0;
    74 ListConfigResources 0;
    75 DescribeTopicPartitions 0;
    76 ShareGroupHeartbeat 0;
    77 ShareGroupDescribe 0;
    78 ShareFetch 0;
    79 ShareAcknowledge 0;
    80 AddRaftVoter 0;
    81 RemoveRaftVoter 0;
    82 UpdateRaftVoter 0;
    83 InitializeShareGroupState 0;
    84 ReadShareGroupState 0;
    85 WriteShareGroupState 0;
    86 DeleteShareGroupState 0;
    87 ReadShareGroupStateSummary 0;
    88 StreamsGroupHeartbeat 0;
    89 StreamsGroupDescribe 0;
    90 DescribeShareGroupOffsets 0;
    91 AlterShareGroupOffsets 0;
    92 DeleteShareGroupOffsets 0;
    93 StreamsGroupTopologyDescriptionUpdate 0;
    94 UnregisterController 0;
}

impl ApiKey {
    /// The number on the wire.
    pub fn key(self) -> i16 {
        self as i16
    }
}

impl TryFrom<i16> for ApiKey {
    type Error = i16;

    /// The number itself is the error.
    fn try_from(key: i16) -> Result<Self, i16> {
        Self::from_i16(key).ok_or(key)
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
