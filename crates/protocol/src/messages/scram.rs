//! Kafka's scram.

use bytes::Bytes;

use crate::message::{message, request};

request! {
    DescribeUserScramCredentialsRequest(50) to Any -> DescribeUserScramCredentialsResponse;
    AlterUserScramCredentialsRequest(51) to Controller -> AlterUserScramCredentialsResponse;
}

message! {
    pub struct DescribeUserScramCredentialsRequest (versions 0..=0, flexible 0..) {
        pub users: Option<Vec<UserName>> = Some(Vec::new()),
    }

    pub struct UserName {
        pub name: String,
    }

    pub struct DescribeUserScramCredentialsResponse (versions 0..=0, flexible 0..) {
        pub throttle_time_ms: i32,
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
        pub results: Vec<DescribeUserScramCredentialsResult>,
    }

    pub struct DescribeUserScramCredentialsResult {
        pub user: String,
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
        pub credential_infos: Vec<CredentialInfo>,
    }

    pub struct CredentialInfo {
        pub mechanism: i8,
        pub iterations: i32,
    }

    pub struct AlterUserScramCredentialsRequest (versions 0..=0, flexible 0..) {
        pub deletions: Vec<ScramCredentialDeletion>,
        pub upsertions: Vec<ScramCredentialUpsertion>,
    }

    pub struct ScramCredentialDeletion {
        pub name: String,
        pub mechanism: i8,
    }

    pub struct ScramCredentialUpsertion {
        pub name: String,
        pub mechanism: i8,
        pub iterations: i32,
        pub salt: Bytes,
        pub salted_password: Bytes,
    }

    pub struct AlterUserScramCredentialsResponse (versions 0..=0, flexible 0..) {
        pub throttle_time_ms: i32,
        pub results: Vec<AlterUserScramCredentialsResult>,
    }

    pub struct AlterUserScramCredentialsResult {
        pub user: String,
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
    }
}
