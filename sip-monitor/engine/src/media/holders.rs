//! Which call takes media at an endpoint, and what was witnessed about each call's media.

use core::net::SocketAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use smallvec::SmallVec;

use crate::call::CallKey;
use crate::media::CodecName;
use crate::media::endpoint::Endpoint;
use crate::media::witness::{Refusal, RtcpDropped, RtcpSource};
use crate::record::Side;
use crate::sdp::{Codec, Media};
use crate::time::Timestamp;

/// Calls that may hold one endpoint at a time: the legs of a back-to-back user agent name the same one.
pub(super) const MAX_HOLDERS: usize = 8;
/// Endpoints that one call may hold: an endless run of re-INVITEs gives up the oldest.
const MAX_ENDPOINTS: usize = 128;
/// How many codecs of one m-line are kept.
const MAX_CODECS: usize = 32;
/// Codec lists kept to be shared.
const MAX_CODEC_LISTS: usize = 256;

/// An endpoint as SDP gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub endpoint: SocketAddr,
    pub side: Side,
    pub rtcp_only: bool,
    /// Only a guess: it gives way to any call that really names the endpoint.
    pub weak: bool,
}

/// Who takes media at an endpoint.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub call: CallKey,
    /// `None` where both sides of the call announced it, as private candidates of like-numbered networks are.
    pub side: Option<Side>,
    pub rtcp_only: bool,
    pub codecs: Arc<[CodecName]>,
}

/// What is kept for a call.
#[derive(Debug)]
pub(super) struct CallMedia {
    pub call_id: Arc<str>,
    pub refusals: Vec<Refusal>,
    pub rtcp: Vec<RtcpSource>,
    pub rtcp_dropped: Vec<RtcpDropped>,
    /// When the call ended, where it has and is still kept.
    pub over_at: Option<Timestamp>,
    /// When the call was last handed out to be judged, for media towards caller and callee.
    pub judged: [Option<Timestamp>; 2],
    endpoints: Vec<SocketAddr>,
}

/// Endpoints of all calls.
#[derive(Debug, Default)]
pub(super) struct Holders {
    by_endpoint: HashMap<Endpoint, SmallVec<[Holder; 1]>, RandomState>,
    calls: HashMap<CallKey, Box<CallMedia>, RandomState>,
    /// Most phones of a site offer the same codecs: one list serves all their calls.
    codec_lists: Vec<Arc<[CodecName]>>,
}

impl Holders {
    /// The codecs of an m-line, as one list with all who name the same.
    pub fn share(&mut self, media: &Media<'_>) -> Arc<[CodecName]> {
        let codecs: SmallVec<[Codec<'_>; 8]> = media.codecs().take(MAX_CODECS).collect();
        let same = |known: &&Arc<[CodecName]>| {
            known.len() == codecs.len() && known.iter().zip(&codecs).all(|(known, codec)| known.is(codec))
        };
        if let Some(known) = self.codec_lists.iter().find(same) {
            return Arc::clone(known);
        }
        let list: Arc<[CodecName]> = codecs.iter().map(CodecName::of).collect();
        if self.codec_lists.len() < MAX_CODEC_LISTS {
            self.codec_lists.push(Arc::clone(&list));
        }
        list
    }

    /// Notes that a side of a call takes media at an endpoint. Returns whether it is the one to get what comes there.
    pub fn hold(&mut self, call: CallKey, call_id: &str, place: &Place, codecs: &Arc<[CodecName]>) -> bool {
        let media = self.calls.entry(call).or_insert_with(|| {
            Box::new(CallMedia {
                call_id: call_id.into(),
                refusals: Vec::new(),
                rtcp: Vec::new(),
                rtcp_dropped: Vec::new(),
                over_at: None,
                judged: [None; 2],
                endpoints: Vec::new(),
            })
        });
        let holders = self.by_endpoint.entry(place.endpoint.into()).or_default();
        if let Some(known) = holders.iter_mut().find(|h| h.call == call) {
            if place.weak {
                return false;
            }
            if known.rtcp_only == place.rtcp_only && known.side.is_some_and(|side| side != place.side) {
                known.side = None;
            }
            known.rtcp_only &= place.rtcp_only;
            known.codecs = Arc::clone(codecs);
            return true;
        }
        if place.weak && !holders.is_empty() {
            return false;
        }
        if holders.len() >= MAX_HOLDERS {
            holders.remove(0);
        }
        holders.push(Holder { call, side: Some(place.side), rtcp_only: place.rtcp_only, codecs: Arc::clone(codecs) });
        media.endpoints.push(place.endpoint);
        if media.endpoints.len() > MAX_ENDPOINTS {
            let oldest = media.endpoints.remove(0);
            self.give_up(oldest, call);
        }
        true
    }

    /// A call is freed: its endpoints are its own no more.
    pub fn release(&mut self, call: CallKey) {
        let Some(media) = self.calls.remove(&call) else { return };
        for endpoint in media.endpoints {
            self.give_up(endpoint, call);
        }
    }

    fn give_up(&mut self, endpoint: SocketAddr, call: CallKey) {
        if let Entry::Occupied(mut entry) = self.by_endpoint.entry(endpoint.into()) {
            entry.get_mut().retain(|h| h.call != call);
            if entry.get().is_empty() {
                entry.remove();
            }
        }
    }

    pub fn call(&self, call: CallKey) -> Option<&CallMedia> {
        self.calls.get(&call).map(|media| &**media)
    }

    pub fn call_mut(&mut self, call: CallKey) -> Option<&mut CallMedia> {
        self.calls.get_mut(&call).map(|media| &mut **media)
    }

    /// The calls that take media at an endpoint, newest first.
    pub fn at(&self, endpoint: SocketAddr) -> impl DoubleEndedIterator<Item = &Holder> + Clone + '_ {
        self.by_endpoint.get(&Endpoint::from(endpoint)).into_iter().flatten().rev()
    }

    /// The endpoints where a call takes media.
    pub fn endpoints_of(&self, call: CallKey) -> &[SocketAddr] {
        self.call(call).map_or(&[], |media| &media.endpoints)
    }

    /// The newest call that takes RTP at an endpoint.
    pub fn rtp(&self, endpoint: SocketAddr) -> Option<&Holder> {
        self.at(endpoint).find(|h| !h.rtcp_only)
    }

    /// Whose a stream between two endpoints is, and whether its destination says so: of the call that takes media at both
    /// ends, else at its destination, else at its source (symmetric RTP, RFC 4961).
    pub fn between(&self, src: SocketAddr, dst: SocketAddr) -> Option<(&Holder, bool)> {
        let takes_at_src = |call: CallKey| self.at(src).any(|h| h.call == call && !h.rtcp_only);
        let both = self.at(dst).find(|h| !h.rtcp_only && takes_at_src(h.call));
        both.or_else(|| self.rtp(dst)).map(|h| (h, true)).or_else(|| self.rtp(src).map(|h| (h, false)))
    }
}
