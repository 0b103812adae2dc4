//! SCRAM credentials are described and altered (KIP-554).

use bytes::Bytes;

use crate::declare::{message, request};

request! {
    DescribeUserScramCredentialsRequest(50) to Any -> DescribeUserScramCredentialsResponse;
    AlterUserScramCredentialsRequest(51) to Controller -> AlterUserScramCredentialsResponse;
}

message! {
    /// Users asked about; null or empty is all.
    pub struct DescribeUserScramCredentialsRequest (versions 0..=0, flexible 0..) {
        pub users: Option<Vec<UserName>> = Some(Vec::new()),
    }

    /// A user.
    pub struct UserName {
        pub name: String,
    }

    /// The credentials.
    pub struct DescribeUserScramCredentialsResponse (versions 0..=0, flexible 0..) {
        pub throttle_time_ms: i32,
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
        pub results: Vec<DescribeUserScramCredentialsResult>,
    }

    /// One user's credentials.
    pub struct DescribeUserScramCredentialsResult {
        pub user: String,
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
        pub credential_infos: Vec<CredentialInfo>,
    }

    /// A mechanism (1 is SCRAM-SHA-256, 2 SCRAM-SHA-512) and its iterations.
    pub struct CredentialInfo {
        pub mechanism: i8,
        pub iterations: i32,
    }

    /// Credentials to be removed or set.
    pub struct AlterUserScramCredentialsRequest (versions 0..=0, flexible 0..) {
        pub deletions: Vec<ScramCredentialDeletion>,
        pub upsertions: Vec<ScramCredentialUpsertion>,
    }

    /// A credential to be removed.
    pub struct ScramCredentialDeletion {
        pub name: String,
        pub mechanism: i8,
    }

    /// A credential to be set.
    pub struct ScramCredentialUpsertion {
        pub name: String,
        pub mechanism: i8,
        pub iterations: i32,
        pub salt: Bytes,
        pub salted_password: Bytes,
    }

    /// What became of the credentials.
    pub struct AlterUserScramCredentialsResponse (versions 0..=0, flexible 0..) {
        pub throttle_time_ms: i32,
        pub results: Vec<AlterUserScramCredentialsResult>,
    }

    /// What became of one user's credentials.
    pub struct AlterUserScramCredentialsResult {
        pub user: String,
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
    }
}
