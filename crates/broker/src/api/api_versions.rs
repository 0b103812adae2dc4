//! `ApiVersions`: which APIs the node serves in which versions (KIP-35, KIP-511), and which features the cluster has
//! settled on (KIP-584): clients choose the protocol of transactions by `transaction.version` (KIP-890).

use roka_protocol::{
    ApiKey, Error, ErrorCode, frame,
    messages::api_versions::{
        ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey,
        SupportedFeatureKey,
    },
};

use super::{Answer, Handler, RequestContext, SUPPORTED, served};
use crate::node::Node;

const TRANSACTION_VERSION: &str = "transaction.version";

impl Handler for ApiVersionsRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> ApiVersionsResponse {
        let mut response = ApiVersionsResponse { api_keys: versions(node), ..Default::default() };
        if has_second_version(node) {
            let (level, epoch) = node.shared.transactions.version();
            let name = || TRANSACTION_VERSION.to_owned();
            response.supported_features =
                vec![SupportedFeatureKey { name: name(), min_version: 0, max_version: 2 }];
            response.finalized_features_epoch = epoch;
            response.finalized_features = vec![FinalizedFeatureKey {
                name: name(),
                max_version_level: level,
                min_version_level: level,
            }];
        }
        response
    }

    fn refuse(&self, error: ErrorCode) -> ApiVersionsResponse {
        ApiVersionsResponse { error_code: error.0, ..Default::default() }
    }
}

/// Whether the node admits to all versions that the second protocol of transactions needs. One that pretends to be older
/// knows nothing of the feature.
fn has_second_version(node: &Node) -> bool {
    let least = [(ApiKey::Produce, 12), (ApiKey::EndTxn, 5), (ApiKey::TxnOffsetCommit, 5)];
    least.iter().all(|&(api, version)| served(node, api).contains(&version))
}

fn versions(node: &Node) -> Vec<ApiVersion> {
    let all = SUPPORTED.iter().map(|&(api, _)| (api, served(node, api)));
    all.filter(|(_, versions)| !versions.is_empty())
        .map(|(api, versions)| ApiVersion {
            api_key: api.key(),
            min_version: *versions.start(),
            max_version: *versions.end(),
        })
        .collect()
}

/// A version that the node does not serve: the connection ends, except that `ApiVersions` is answered in version 0
/// with the versions that are served, so that the client can ask again.
pub(super) fn refuse_version(node: &Node, ctx: &RequestContext) -> Result<Answer, Error> {
    if ctx.api != ApiKey::ApiVersions || served(node, ctx.api).is_empty() {
        return Ok(Answer::Close);
    }
    let own: Vec<_> =
        versions(node).into_iter().filter(|it| it.api_key == ApiKey::ApiVersions.key()).collect();
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION.0,
        api_keys: own,
        ..Default::default()
    };
    frame::encode_response(ctx.api.key(), 0, ctx.correlation_id, &response).map(Answer::Response)
}
