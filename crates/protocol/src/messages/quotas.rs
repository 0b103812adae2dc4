//! Kafka's quotas.

use crate::message::{message, request};

request! {
    DescribeClientQuotasRequest(48) to Any -> DescribeClientQuotasResponse;
    AlterClientQuotasRequest(49) to Any -> AlterClientQuotasResponse;
}

message! {
    pub struct DescribeClientQuotasRequest (versions 0..=1, flexible 1..) {
        pub components: Vec<ComponentData>,
        pub strict: bool,
    }

    pub struct ComponentData {
        pub entity_type: String,
        pub match_type: i8,
        pub r#match: Option<String> = Some(String::new()),
    }

    pub struct DescribeClientQuotasResponse (versions 0..=1, flexible 1..) {
        pub throttle_time_ms: i32,
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
        pub entries: Option<Vec<EntryData>> = Some(Vec::new()),
    }

    pub struct EntryData {
        pub entity: Vec<EntityData>,
        pub values: Vec<ValueData>,
    }

    pub struct EntityData {
        pub entity_type: String,
        pub entity_name: Option<String> = Some(String::new()),
    }

    pub struct ValueData {
        pub key: String,
        pub value: f64,
    }

    pub struct AlterClientQuotasRequest (versions 0..=1, flexible 1..) {
        pub entries: Vec<AlterEntryData>,
        pub validate_only: bool,
    }

    pub struct AlterEntryData {
        pub entity: Vec<EntityData>,
        pub ops: Vec<OpData>,
    }

    pub struct OpData {
        pub key: String,
        pub value: f64,
        pub remove: bool,
    }

    pub struct AlterClientQuotasResponse (versions 0..=1, flexible 1..) {
        pub throttle_time_ms: i32,
        pub entries: Vec<AlteredEntryData>,
    }

    pub struct AlteredEntryData {
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
        pub entity: Vec<EntityData>,
    }
}
