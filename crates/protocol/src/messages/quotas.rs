//! Client quotas are described and altered (KIP-546).

use crate::declare::{message, request};

request! {
    DescribeClientQuotasRequest(48) to Any -> DescribeClientQuotasResponse;
    AlterClientQuotasRequest(49) to Any -> AlterClientQuotasResponse;
}

message! {
    /// Entities whose quotas are wanted.
    pub struct DescribeClientQuotasRequest (versions 0..=1, flexible 1..) {
        pub components: Vec<ComponentData>,
        pub strict: bool,
    }

    /// A filter for one type of entity: 0 is exactly, 1 the default, 2 any.
    pub struct ComponentData {
        pub entity_type: String,
        pub match_type: i8,
        pub r#match: Option<String> = Some(String::new()),
    }

    /// The quotas.
    pub struct DescribeClientQuotasResponse (versions 0..=1, flexible 1..) {
        pub throttle_time_ms: i32,
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
        pub entries: Option<Vec<EntryData>> = Some(Vec::new()),
    }

    /// One entity's quotas.
    pub struct EntryData {
        pub entity: Vec<EntityData>,
        pub values: Vec<ValueData>,
    }

    /// A part of an entity: its type and its name, where null is the default.
    pub struct EntityData {
        pub entity_type: String,
        pub entity_name: Option<String> = Some(String::new()),
    }

    /// One quota.
    pub struct ValueData {
        pub key: String,
        pub value: f64,
    }

    /// Changes to quotas.
    pub struct AlterClientQuotasRequest (versions 0..=1, flexible 1..) {
        pub entries: Vec<AlterEntryData>,
        pub validate_only: bool,
    }

    /// The changes to one entity.
    pub struct AlterEntryData {
        pub entity: Vec<EntityData>,
        pub ops: Vec<OpData>,
    }

    /// A change to one quota.
    pub struct OpData {
        pub key: String,
        pub value: f64,
        pub remove: bool,
    }

    /// What became of the changes.
    pub struct AlterClientQuotasResponse (versions 0..=1, flexible 1..) {
        pub throttle_time_ms: i32,
        pub entries: Vec<AlteredEntryData>,
    }

    /// What became of one entity's changes.
    pub struct AlteredEntryData {
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
        pub entity: Vec<EntityData>,
    }
}
