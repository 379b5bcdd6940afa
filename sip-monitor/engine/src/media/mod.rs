//! Streams joined to the SDP of calls. Facts without opinion.

/// Streams and the endpoints that SDP announced.
#[derive(Debug, Default)]
pub struct MediaTable {}
