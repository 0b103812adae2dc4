//! Which versions one connection speaks. Asked anew on every connection and never kept beyond it: the
//! broker may be another, or up- or downgraded, the next time.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use bytes::Bytes;
use roka_protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use roka_protocol::{ApiKey, Error, ErrorCode, Message, Request};

/// APIs are few and their numbers small; those beyond are not ours.
const KEYS: usize = 128;

/// The broker's versions of each API, and its features.
#[derive(Debug)]
pub(crate) struct Versions {
    ranges: Vec<Option<(i16, i16)>>,
    finalized: HashMap<String, i16>,
}

impl Versions {
    pub(crate) fn from_response(response: ApiVersionsResponse) -> Self {
        let mut ranges = vec![None; KEYS];
        for api in response.api_keys {
            let slot = usize::try_from(api.api_key).ok().and_then(|key| ranges.get_mut(key));
            if let Some(slot) = slot.filter(|_| api.min_version <= api.max_version) {
                *slot = Some((api.min_version, api.max_version));
            }
        }
        let level = |it: roka_protocol::messages::api_versions::FinalizedFeatureKey| {
            (it.name, it.max_version_level)
        };
        Self { ranges, finalized: response.finalized_features.into_iter().map(level).collect() }
    }

    /// The broker's lowest and highest version of the API.
    pub(crate) fn range(&self, api: ApiKey) -> Option<(i16, i16)> {
        *self.ranges.get(usize::try_from(api.key()).ok()?)?
    }

    /// The finalized features and their levels (KIP-584).
    pub(crate) fn features(&self) -> impl Iterator<Item = (&str, i16)> {
        self.finalized.iter().map(|(name, level)| (name.as_str(), *level))
    }

    /// The highest version of `R` that both sides speak and that is not above `cap`.
    pub(crate) fn of<R: Request>(&self, cap: Option<i16>) -> Option<i16> {
        let (low, high) = self.range(ApiKey::from_i16(R::KEY)?)?;
        let ours = <R as Message>::VERSIONS;
        let version = high.min(*ours.end()).min(cap.unwrap_or(i16::MAX));
        (version >= low && version >= *ours.start()).then_some(version)
    }
}

/// What an `ApiVersions` response says to do next.
#[derive(Debug)]
pub(crate) enum Negotiated {
    /// Speak these.
    Done(Versions),
    /// Ask again in this version, lower than the one before.
    Again(i16),
    /// The broker refuses for good.
    Refused(ErrorCode),
}

/// The version to ask with first.
pub(crate) fn first_version() -> i16 {
    *versions().end()
}

fn versions() -> RangeInclusive<i16> {
    // Version 5 sends cluster and node id (KIP-1242), which a client checks better by itself.
    0..=(*ApiVersionsRequest::VERSIONS.end()).min(4)
}

/// The request in that version. Name and version tell the broker's operator who calls (KIP-511).
pub(crate) fn request() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: "roka".into(),
        client_software_version: env!("CARGO_PKG_VERSION").into(),
        ..ApiVersionsRequest::default()
    }
}

/// Reads the response to a request sent in version `sent`. A broker that does not know `sent` answers
/// `UNSUPPORTED_VERSION` in the format of version 0, with no API, its own `ApiVersions` range, or all.
pub(crate) fn negotiate(sent: i16, frame: Bytes) -> Result<Negotiated, Error> {
    // In every version the error code follows the correlation id.
    let code = frame.get(4..6).map(|b| ErrorCode(i16::from_be_bytes([b[0], b[1]])));
    if code == Some(ErrorCode::UNSUPPORTED_VERSION) {
        let body = frame.slice(4..);
        let response = ApiVersionsResponse::decode(body, 0).unwrap_or_default();
        return Ok(lower(sent, response));
    }
    let (_, response) = roka_protocol::frame::decode_response::<ApiVersionsRequest>(sent, frame)?;
    match ErrorCode(response.error_code) {
        ErrorCode::NONE => Ok(Negotiated::Done(Versions::from_response(response))),
        code => Ok(Negotiated::Refused(code)),
    }
}

fn lower(sent: i16, response: ApiVersionsResponse) -> Negotiated {
    if response.api_keys.len() > 1 {
        return Negotiated::Done(Versions::from_response(response));
    }
    let own = response.api_keys.first().filter(|it| it.api_key == ApiVersionsRequest::KEY);
    let next = own.map_or(0, |it| it.max_version.clamp(0, *versions().end()));
    // Strictly lower each time, so that this ends with a broker that says the same for ever.
    match (next < sent, sent > 0) {
        (true, _) => Negotiated::Again(next),
        (false, true) => Negotiated::Again(0),
        (false, false) => Negotiated::Refused(ErrorCode::UNSUPPORTED_VERSION),
    }
}

#[cfg(test)]
mod tests {
    use roka_protocol::frame::encode_response;
    use roka_protocol::messages::api_versions::ApiVersion;
    use roka_protocol::messages::create_topics::CreateTopicsRequest;
    use roka_protocol::messages::heartbeat::HeartbeatRequest;

    use super::*;

    fn api(api_key: i16, min_version: i16, max_version: i16) -> ApiVersion {
        ApiVersion { api_key, min_version, max_version }
    }

    fn answer(version: i16, error_code: i16, api_keys: Vec<ApiVersion>) -> Bytes {
        let response = ApiVersionsResponse { error_code, api_keys, ..Default::default() };
        let frame = encode_response(ApiVersionsRequest::KEY, version, 1, &response).unwrap();
        frame.into_bytes().slice(4..)
    }

    #[test]
    fn takes_the_highest_common_version() {
        let all = vec![api(12, 0, 3), api(18, 0, 4), api(19, 90, 99), api(3, 5, 1)];
        let Negotiated::Done(versions) = negotiate(3, answer(3, 0, all)).unwrap() else {
            panic!("not taken")
        };
        assert_eq!(versions.of::<HeartbeatRequest>(None), Some(3));
        assert_eq!(versions.of::<HeartbeatRequest>(Some(1)), Some(1));
        assert_eq!(versions.of::<CreateTopicsRequest>(None), None);
        assert_eq!(versions.range(ApiKey::CreateTopics), Some((90, 99)));
        assert_eq!(versions.range(ApiKey::Metadata), None, "min above max");
        assert_eq!(versions.range(ApiKey::Produce), None);
    }

    #[test]
    fn every_body_of_unsupported_version_leads_on() {
        let next = |sent, keys| match negotiate(sent, answer(0, 35, keys)).unwrap() {
            Negotiated::Again(version) => version,
            other => panic!("{other:?}"),
        };
        assert_eq!(next(4, vec![]), 0);
        assert_eq!(next(4, vec![api(18, 0, 2)]), 2);
        assert_eq!(next(4, vec![api(18, 0, 4)]), 0, "not lower than what was sent");
        let all = vec![api(18, 0, 2), api(12, 0, 1)];
        assert!(matches!(negotiate(4, answer(0, 35, all)).unwrap(), Negotiated::Done(_)));
    }

    #[test]
    fn ends_with_a_broker_that_refuses_for_ever() {
        for keys in [vec![], vec![api(18, 0, 4)], vec![api(18, 0, 0)], vec![api(18, -9, -9)]] {
            let mut version = first_version();
            for round in 0.. {
                assert!(round < 6, "no end");
                match negotiate(version, answer(0, 35, keys.clone())).unwrap() {
                    Negotiated::Again(next) => version = next,
                    Negotiated::Refused(ErrorCode::UNSUPPORTED_VERSION) => break,
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    #[test]
    fn hostile_bytes_are_an_error() {
        for frame in [&[][..], &[0, 0, 0, 1], &[0, 0, 0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]] {
            assert!(negotiate(4, Bytes::copy_from_slice(frame)).is_err());
        }
    }
}
