//! What a user says about SASL, and where credentials come from at each authentication.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::scram::Hash;
use crate::security::{Secret, SecurityError};

/// Any error of a callback; its text must hold no secret, for it is logged.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Who we are, and by which SASL mechanism we prove it.
///
/// Credentials are asked for at every connection and every renewal of a session (KIP-368), so a changed password
/// file or a new token counts without a restart. Without TLS, PLAIN, tokens and signatures can be read on the wire.
///
/// ```
/// use roka_client::security::SaslConfig;
/// let sasl = SaslConfig::scram_sha_256("alice").password("alice-secret");
/// assert!(!format!("{sasl:?}").contains("secret"));
/// ```
#[derive(Clone)]
pub struct SaslConfig {
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Plain { user: Arc<str>, password: Password },
    Scram { hash: Hash, user: Arc<str>, password: Password, token: bool },
    OAuth(Arc<dyn TokenProvider>),
    Msk { provider: Arc<dyn AwsCredentialsProvider>, region: Option<Arc<str>> },
}

#[derive(Debug, Clone, Default)]
enum Password {
    #[default]
    Missing,
    Given(Secret),
    File(PathBuf),
}

/// Credentials for one authentication.
pub(crate) enum Credentials {
    Plain { user: Arc<str>, password: Secret },
    Scram { hash: Hash, user: Arc<str>, password: Secret, token: bool },
    OAuth(Token),
    Msk { keys: AwsCredentials, region: Option<Arc<str>> },
}

impl SaslConfig {
    /// PLAIN (RFC 4616): user and password as they are. Only over TLS, or where nobody listens.
    pub fn plain(user: impl Into<Arc<str>>) -> Self {
        Self { kind: Kind::Plain { user: user.into(), password: Password::Missing } }
    }

    /// SCRAM-SHA-256: the password never goes over the wire, and the broker must prove that it knows it.
    pub fn scram_sha_256(user: impl Into<Arc<str>>) -> Self {
        Self::scram(Hash::Sha256, user.into())
    }

    /// SCRAM-SHA-512; see [`scram_sha_256`](Self::scram_sha_256).
    pub fn scram_sha_512(user: impl Into<Arc<str>>) -> Self {
        Self::scram(Hash::Sha512, user.into())
    }

    fn scram(hash: Hash, user: Arc<str>) -> Self {
        Self { kind: Kind::Scram { hash, user, password: Password::Missing, token: false } }
    }

    /// OAUTHBEARER (KIP-255) with tokens from `provider`.
    pub fn oauth_bearer(provider: impl TokenProvider) -> Self {
        Self { kind: Kind::OAuth(Arc::new(provider)) }
    }

    /// `AWS_MSK_IAM` with keys from `provider`, e.g. [`StaticAwsCredentials`]. The region is taken from the broker's
    /// name; see [`region`](Self::region).
    pub fn aws_msk_iam(provider: impl AwsCredentialsProvider) -> Self {
        Self { kind: Kind::Msk { provider: Arc::new(provider), region: None } }
    }

    /// The password of PLAIN or SCRAM.
    #[must_use]
    pub fn password(self, password: impl Into<Secret>) -> Self {
        self.with_password(Password::Given(password.into()))
    }

    /// The password of PLAIN or SCRAM is in this file, which is read at each authentication. Line ends at its end
    /// do not count.
    #[must_use]
    pub fn password_file(self, path: impl Into<PathBuf>) -> Self {
        self.with_password(Password::File(path.into()))
    }

    fn with_password(mut self, new: Password) -> Self {
        if let Kind::Plain { password, .. } | Kind::Scram { password, .. } = &mut self.kind {
            *password = new;
        }
        self
    }

    /// User and password of SCRAM are id and HMAC of a delegation token (KIP-48).
    #[must_use]
    pub fn delegation_token(mut self) -> Self {
        if let Kind::Scram { token, .. } = &mut self.kind {
            *token = true;
        }
        self
    }

    /// The region of `AWS_MSK_IAM`, where the names of the brokers do not say it.
    #[must_use]
    pub fn region(mut self, name: impl Into<Arc<str>>) -> Self {
        if let Kind::Msk { region, .. } = &mut self.kind {
            *region = Some(name.into());
        }
        self
    }

    /// The mechanism by its registered name.
    pub fn mechanism(&self) -> &'static str {
        match &self.kind {
            Kind::Plain { .. } => "PLAIN",
            Kind::Scram { hash, .. } => hash.mechanism(),
            Kind::OAuth(_) => "OAUTHBEARER",
            Kind::Msk { .. } => super::msk::MECHANISM,
        }
    }

    /// What is missing, if anything is.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let (Kind::Plain { user, password } | Kind::Scram { user, password, .. }) = &self.kind
        else {
            return None;
        };
        let given = match password {
            Password::Missing => return Some("with a password"),
            Password::Given(secret) => Some(secret.expose()),
            Password::File(_) => None,
        };
        let wrong = |text: &str| text.is_empty() || text.contains('\0');
        (wrong(user) || given.is_some_and(wrong))
            .then_some("with a user and a password, neither of them empty or with a NUL")
    }

    /// The credentials as they are now.
    pub(crate) async fn credentials(&self) -> Result<Credentials, SecurityError> {
        let failed = |problem: String| SecurityError::Credentials {
            mechanism: self.mechanism(),
            problem: problem.into(),
        };
        Ok(match &self.kind {
            Kind::Plain { user, password } => {
                let password = password.read().map_err(failed)?;
                Credentials::Plain { user: user.clone(), password }
            }
            Kind::Scram { hash, user, password, token } => {
                let password = password.read().map_err(failed)?;
                Credentials::Scram { hash: *hash, user: user.clone(), password, token: *token }
            }
            Kind::OAuth(provider) => {
                let token = provider.token().await;
                Credentials::OAuth(token.map_err(|error| failed(error.to_string()))?)
            }
            Kind::Msk { provider, region } => {
                let keys = provider.credentials().await;
                let keys = keys.map_err(|error| failed(error.to_string()))?;
                Credentials::Msk { keys, region: region.clone() }
            }
        })
    }
}

impl Password {
    fn read(&self) -> Result<Secret, String> {
        match self {
            Self::Given(secret) => Ok(secret.clone()),
            Self::Missing => Err("there is no password".into()),
            // A few bytes, once per connection.
            Self::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => match text.trim_end_matches(['\r', '\n']) {
                    "" => Err(format!("{} is empty", path.display())),
                    text => Ok(text.into()),
                },
                Err(error) => Err(format!("{}: {error}", path.display())),
            },
        }
    }
}

/// Says nothing of the credentials.
impl fmt::Debug for SaslConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut it = f.debug_struct("SaslConfig");
        it.field("mechanism", &self.mechanism());
        match &self.kind {
            Kind::Plain { user, password } | Kind::Scram { user, password, .. } => {
                it.field("user", user).field("password", password);
            }
            Kind::Msk { region, .. } => {
                it.field("region", region);
            }
            Kind::OAuth(_) => {}
        }
        it.finish_non_exhaustive()
    }
}

/// Equal if they say the same, or ask the same provider.
impl PartialEq for SaslConfig {
    fn eq(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::OAuth(a), Kind::OAuth(b)) => Arc::ptr_eq(a, b),
            (Kind::Msk { provider: a, region: x }, Kind::Msk { provider: b, region: y }) => {
                Arc::ptr_eq(a, b) && x == y
            }
            (Kind::Plain { user: a, password: x }, Kind::Plain { user: b, password: y }) => {
                a == b && x == y
            }
            (
                Kind::Scram { hash: h, user: a, password: x, token: t },
                Kind::Scram { hash: i, user: b, password: y, token: u },
            ) => h == i && a == b && x == y && t == u,
            _ => false,
        }
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Missing, Self::Missing) => true,
            (Self::Given(a), Self::Given(b)) => a == b,
            (Self::File(a), Self::File(b)) => a == b,
            _ => false,
        }
    }
}

/// A token for OAUTHBEARER.
#[derive(Debug, Clone)]
pub struct Token {
    /// The token as it goes over the wire, mostly a JWT in its compact form.
    pub value: Secret,
    /// SASL extensions (KIP-342), e.g. `logicalCluster` and `identityPoolId` of Confluent Cloud.
    pub extensions: Vec<(String, String)>,
}

impl Token {
    /// A token without extensions.
    pub fn new(value: impl Into<Secret>) -> Self {
        Self { value: value.into(), extensions: Vec::new() }
    }

    /// Adds an extension.
    #[must_use]
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extensions.push((name.into(), value.into()));
        self
    }
}

/// Gives tokens for OAUTHBEARER.
#[async_trait]
pub trait TokenProvider: Send + Sync + 'static {
    /// A token that holds for a while yet. Asked at every connection and every renewal of a session, on the client's
    /// I/O thread: keep a token until it ends, and do not block. It must answer within `connect_timeout`.
    async fn token(&self) -> Result<Token, BoxError>;
}

/// Keys of an AWS account or role.
#[derive(Debug, Clone)]
pub struct AwsCredentials {
    /// The access key's id, e.g. `AKIA…`.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: Secret,
    /// The token of temporary credentials.
    pub session_token: Option<Secret>,
}

impl AwsCredentials {
    /// Keys without a session token.
    pub fn new(id: impl Into<String>, secret: impl Into<Secret>) -> Self {
        Self { access_key_id: id.into(), secret_access_key: secret.into(), session_token: None }
    }

    /// Adds the token of temporary credentials.
    #[must_use]
    pub fn session_token(mut self, token: impl Into<Secret>) -> Self {
        self.session_token = Some(token.into());
        self
    }
}

/// Gives AWS keys for `AWS_MSK_IAM`.
#[async_trait]
pub trait AwsCredentialsProvider: Send + Sync + 'static {
    /// Keys that hold for a while yet; see [`TokenProvider::token`] for when and where it is asked.
    async fn credentials(&self) -> Result<AwsCredentials, BoxError>;
}

/// Always the same keys.
#[derive(Debug, Clone)]
pub struct StaticAwsCredentials(pub AwsCredentials);

#[async_trait]
impl AwsCredentialsProvider for StaticAwsCredentials {
    async fn credentials(&self) -> Result<AwsCredentials, BoxError> {
        Ok(self.0.clone())
    }
}
