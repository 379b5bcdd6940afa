//! The record of a peer.

use schemars::JsonSchema;
use serde::Serialize;

/// Who a peer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PeerName {
    /// Address.
    pub addr: String,
    /// Port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Name of its trunk in the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
