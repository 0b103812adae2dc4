//! `AWS_MSK_IAM`: a request to connect, signed by AWS Signature Version 4 as a presigned URL is, sent as one JSON object
//! (the format of Amazon's MSK IAM library, version `2020_10_22`).

use std::fmt::Write as _;

use ring::{digest, hmac};

use super::config::AwsCredentials;
use crate::security::{Secret, SecurityError};

pub(super) const MECHANISM: &str = "AWS_MSK_IAM";
const SERVICE: &str = "kafka-cluster";
const ACTION: &str = "kafka-cluster:Connect";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How long the signature holds, in seconds.
const EXPIRES: &str = "900";

/// The object to send to `host`, signed at `now`, in seconds since 1970.
pub(super) fn payload(
    keys: &AwsCredentials,
    region: Option<&str>,
    host: &str,
    now: u64,
) -> Result<Vec<u8>, SecurityError> {
    let host = host.trim_end_matches('.');
    let region = region.map(str::to_owned).or_else(|| region_of(host)).ok_or_else(|| {
        SecurityError::Credentials {
            mechanism: MECHANISM,
            problem: format!("the host {host} names no region: set it").into(),
        }
    })?;
    let time = amazon_time(now);
    let day = &time[..8];
    let scope = format!("{day}/{region}/{SERVICE}/aws4_request");
    let credential = format!("{}/{scope}", keys.access_key_id);
    let token = keys.session_token.as_ref().map(Secret::expose);

    let mut fields = vec![
        ("Action", ACTION),
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", &credential),
        ("X-Amz-Date", &time),
        ("X-Amz-Expires", EXPIRES),
    ];
    fields.extend(token.map(|token| ("X-Amz-Security-Token", token)));
    fields.push(("X-Amz-SignedHeaders", "host"));
    let query: Vec<_> =
        fields.iter().map(|(name, value)| format!("{name}={}", uri_encode(value))).collect();
    let request = format!("GET\n/\n{}\nhost:{host}\n\nhost\n{}", query.join("&"), hex(sha256(b"")));
    let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{}", hex(sha256(request.as_bytes())));
    let mut key = format!("AWS4{}", keys.secret_access_key.expose()).into_bytes();
    for part in [day, &region, SERVICE, "aws4_request"] {
        key = sign(&key, part);
    }
    let signature = hex(sign(&key, &to_sign));

    let agent = concat!("roka/", env!("CARGO_PKG_VERSION"));
    let mut json = String::from("{\"version\":\"2020_10_22\"");
    let own = [("host", host), ("user-agent", agent)];
    let fields = fields.iter().map(|(name, value)| (*name, *value));
    for (name, value) in own.into_iter().chain(fields).chain([("X-Amz-Signature", &*signature)]) {
        let _ = write!(json, ",\"{}\":\"", name.to_ascii_lowercase());
        escape(&mut json, value);
        json.push('"');
    }
    json.push('}');
    Ok(json.into_bytes())
}

/// The region in the name of an MSK broker, such as
/// `b-1.name.x1.c2.kafka.eu-west-1.amazonaws.com` or `boot-x.c1.kafka-serverless.eu-west-1.amazonaws.com`.
fn region_of(host: &str) -> Option<String> {
    let (before, _) = host.split_once(".amazonaws.com")?;
    let mut labels = before.rsplit('.');
    let region = labels.next()?;
    let service = labels.next()?;
    matches!(service, "kafka" | "kafka-serverless").then(|| region.to_owned())
}

fn sha256(bytes: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, bytes)
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    let mut text = String::new();
    for byte in bytes.as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Everything but RFC 3986's unreserved characters, as AWS wants it.
fn uri_encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(byte as char);
            }
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

fn escape(json: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c < ' ' => {
                let _ = write!(json, "\\u{:04x}", c as u32);
            }
            c => json.push(c),
        }
    }
}

/// `20100101T000000Z`.
fn amazon_time(now: u64) -> String {
    let (days, second) = (now / 86_400, now % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// Year, month and day of a day since 1970, by the rules of the Gregorian calendar.
fn date(days: u64) -> (u64, u64, u64) {
    // Years that begin in March end with the leap day; 719468 days lie between the first of March of year 0 and 1970.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> AwsCredentials {
        AwsCredentials::new("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    }

    /// 2010-01-01T00:00:00Z.
    const NOW: u64 = 1_262_304_000;

    /// The signature is the one that the unit tests of Confluent's librdkafka branch for MSK expect.
    #[test]
    fn signs_as_others_do() {
        let payload = payload(&keys(), Some("us-east-1"), "hostname", NOW).unwrap();
        let wanted = concat!(
            r#"{"version":"2020_10_22","host":"hostname","user-agent":"roka/"#,
            env!("CARGO_PKG_VERSION"),
            r#"","action":"kafka-cluster:Connect","x-amz-algorithm":"AWS4-HMAC-SHA256","#,
            r#""x-amz-credential":"AWS_ACCESS_KEY_ID/20100101/us-east-1/kafka-cluster/aws4_request","#,
            r#""x-amz-date":"20100101T000000Z","x-amz-expires":"900","x-amz-signedheaders":"host","#,
            r#""x-amz-signature":"d3eeeddfb2c2b76162d583d7499c2364eb9a92b248218e31866659b18997ef44"}"#,
        );
        assert_eq!(String::from_utf8(payload).unwrap(), wanted);
    }

    #[test]
    fn a_session_token_is_signed_too() {
        let plain = payload(&keys(), Some("us-east-1"), "hostname", NOW).unwrap();
        let keys = keys().session_token("a/\"b");
        let with = payload(&keys, Some("us-east-1"), "hostname", NOW).unwrap();
        let (plain, with) = (String::from_utf8(plain).unwrap(), String::from_utf8(with).unwrap());
        assert!(with.contains(r#""x-amz-security-token":"a/\"b","x-amz-signedheaders":"host""#));
        assert_ne!(plain[plain.len() - 66..], with[with.len() - 66..]);
    }

    #[test]
    fn the_region_is_in_the_host() {
        let region = |host| region_of(host);
        let host = "b-1.name.x1.c2.kafka.eu-west-1.amazonaws.com";
        assert_eq!(region(host).as_deref(), Some("eu-west-1"));
        let host = "boot-x.c1.kafka-serverless.cn-north-1.amazonaws.com.cn";
        assert_eq!(region(host).as_deref(), Some("cn-north-1"));
        assert_eq!(region("localhost"), None);
        assert_eq!(region("x.amazonaws.com"), None);
        assert!(payload(&keys(), None, "localhost", NOW).is_err());
    }

    #[test]
    fn dates() {
        let days = |now| amazon_time(now);
        assert_eq!(days(0), "19700101T000000Z");
        assert_eq!(days(951_782_400), "20000229T000000Z");
        assert_eq!(days(1_709_251_199), "20240229T235959Z");
        assert_eq!(days(4_107_542_400), "21000301T000000Z");
    }

    #[test]
    fn encoded_as_sigv4_wants_it() {
        assert_eq!(uri_encode("testString-123/*& ~"), "testString-123%2F%2A%26%20~");
    }
}
