//! DTMF in INFO requests (RFC 6086, and the usage before it): how often and whether it was refused. Which keys were pressed
//! is not looked at.

use crate::call::{Call, Context, KeyTimes};
use crate::event::Event;
use crate::record::Side;
use crate::seen::Seen;
use crate::time::Timestamp;

/// DTMF that came in INFO.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DtmfInfo {
    /// How many of caller and callee; a relayed copy is no other one.
    pub sent: [u32; 2],
    /// When they came.
    pub keys: [KeyTimes; 2],
    /// CSeq number of the last of each.
    last_cseq: [u32; 2],
    /// The first that was refused: who had sent it, when, with which code.
    pub refused: Option<(Side, Timestamp, u16)>,
}

impl Call {
    /// Takes an INFO that was not seen before on its hop.
    pub(crate) fn take_info(&mut self, ctx: &mut Context<'_>, seen: &Seen<'_, '_>, side: Option<Side>) {
        let is_dtmf = seen
            .message
            .content_type()
            .is_some_and(|t| ["dtmf", "dtmf-relay"].iter().any(|subtype| t.is("application", subtype)));
        let Some(side) = side.filter(|_| is_dtmf) else { return };
        let index = side as usize;
        let dtmf = &mut self.dtmf;
        if dtmf.sent[index] > 0 && dtmf.last_cseq[index] == seen.cseq {
            return;
        }
        dtmf.last_cseq[index] = seen.cseq;
        dtmf.keys[index].press(seen.at);
        dtmf.sent[index] = dtmf.sent[index].saturating_add(1);
        if dtmf.sent[index] == 1 {
            ctx.events.push(Event::Media);
        }
    }

    /// Takes the final response to an INFO. A challenge is none to this end, nor is a dialog that is gone.
    pub(crate) fn take_info_response(
        &mut self,
        ctx: &mut Context<'_>,
        seen: &Seen<'_, '_>,
        code: u16,
        requester: Option<Side>,
    ) {
        let Some(side) = requester.filter(|_| code >= 300 && !matches!(code, 401 | 407 | 408 | 481 | 487)) else {
            return;
        };
        let is_dtmf = self.dtmf.sent[side as usize] > 0 && self.dtmf.last_cseq[side as usize] == seen.cseq;
        if is_dtmf && self.dtmf.refused.is_none() {
            self.dtmf.refused = Some((side, seen.at, code));
            ctx.events.push(Event::Media);
        }
    }
}
