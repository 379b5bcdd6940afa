//! The switch of a call from audio to fax over T.38: offered, agreed on, or refused.

use core::net::SocketAddr;
use std::sync::Arc;

use crate::media::{Description, MediaSession, SdpContext, SdpRole};
use crate::record::Side;
use crate::time::Timestamp;

/// The last re-INVITE to T.38.
#[derive(Clone, Debug, PartialEq)]
pub struct FaxSwitch {
    /// Who asked for it.
    pub offerer: Side,
    /// When it was first asked for.
    pub offered_at: Timestamp,
    /// When it was agreed on.
    pub agreed_at: Option<Timestamp>,
    /// When it was refused, and not agreed on after that.
    pub refused_at: Option<Timestamp>,
    /// Where caller and callee take UDPTL.
    pub endpoints: [Option<SocketAddr>; 2],
    /// Audio was agreed on beside it.
    pub beside_audio: bool,
}

impl FaxSwitch {
    pub(super) fn refuse(&mut self, at: Timestamp) {
        if self.agreed_at.is_none() {
            self.refused_at.get_or_insert(at);
        }
    }
}

/// Whether an SDP has a T.38 line in use.
pub(super) fn offers_fax(lines: &[Arc<Description>]) -> bool {
    lines.iter().any(|line| line.t38 && line.port != 0)
}

impl MediaSession {
    /// The switch to T.38 within the call, where one was asked for.
    #[must_use]
    pub fn fax(&self) -> Option<&FaxSwitch> {
        self.fax.as_deref()
    }

    /// Follows the switch to T.38. What a call begins with is no switch.
    pub(super) fn note_fax(&mut self, context: &SdpContext<'_>, lines: &[Arc<Description>]) {
        let line = lines.iter().find(|line| line.t38 && line.port != 0);
        let is_call_up = self.confirmed_at.is_some();
        let side = context.from as usize;
        match (context.role, line) {
            (SdpRole::Offer, Some(line)) if is_call_up => {
                // The same offer is seen again on each hop, and after a challenge.
                let pending = self.fax.as_ref().filter(|f| f.offerer == context.from && f.agreed_at.is_none());
                let offered_at = pending.map_or(context.at, |f| f.offered_at);
                let mut endpoints = [None; 2];
                endpoints[side] = line.endpoint;
                self.fax = Some(Box::new(FaxSwitch {
                    offerer: context.from,
                    offered_at,
                    agreed_at: None,
                    refused_at: None,
                    endpoints,
                    beside_audio: false,
                }));
            }
            // Back to audio after a fax, or after one that was refused.
            (SdpRole::Offer, None) => {
                if self.fax.as_ref().is_some_and(|fax| fax.agreed_at.is_some()) {
                    self.fax = None;
                }
            }
            (SdpRole::Answer, line) => {
                let Some(fax) = self.fax.as_mut().filter(|f| f.offerer != context.from && f.refused_at.is_none())
                else {
                    return;
                };
                if let Some(line) = line {
                    fax.agreed_at.get_or_insert(context.at);
                    fax.endpoints[side] = line.endpoint;
                    fax.beside_audio = lines.iter().any(|l| l.rtp && l.port != 0);
                } else if fax.agreed_at.is_none() {
                    fax.refuse(context.at);
                }
            }
            (SdpRole::Offer, Some(_)) => {}
        }
    }
}
