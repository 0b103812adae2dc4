//! No secret is in what can be printed.

use std::fmt::Write;

use roka_client::Config;
use roka_client::security::{AwsCredentials, SaslConfig, StaticAwsCredentials, TlsConfig, Token};

#[test]
fn debug_output_holds_no_secret() {
    let keys = AwsCredentials::new("AKIA1", "hunter2-key").session_token("hunter2-session");
    let sasls = [
        SaslConfig::plain("alice").password("hunter2"),
        SaslConfig::scram_sha_256("alice").password("hunter2"),
        SaslConfig::scram_sha_512("alice").password("hunter2").delegation_token(),
        SaslConfig::aws_msk_iam(StaticAwsCredentials(keys.clone())).region("eu-west-1"),
    ];
    let tls = TlsConfig::new().ca_pem("hunter2 ca").identity_pem("hunter2 cert", "hunter2 key");
    let mut shown = format!("{tls:?} {tls:#?} {keys:?} {:?}", Token::new("hunter2"));
    for sasl in sasls {
        write!(shown, "{sasl:?} {sasl:#?}").unwrap();
        let config = Config::new("a:1").tls(tls.clone()).sasl(sasl);
        write!(shown, "{config:?} {config:#?}").unwrap();
        let client = roka_client::Client::new(config).unwrap();
        write!(shown, "{client:?}").unwrap();
    }
    let wrong = Config::new("a:1").sasl(SaslConfig::plain("").password("hunter2"));
    let error = wrong.validate().unwrap_err();
    write!(shown, "{error} {error:?}").unwrap();
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("alice") && shown.contains("***"));
}
