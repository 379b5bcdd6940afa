//! Whether media flows: what SDP agreed on, what the streams show and what ICMP and RTCP say, as one fact for each
//! direction of a call's audio. No opinion: a flow that is missing may be no fault, and whose fault it is, others say.

mod due;
mod seen;
mod sight;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use smallvec::SmallVec;

use crate::call::KeyTimes;
use crate::media::{Refusal, RtcpSource};
use crate::packet::DropReason;
use crate::record::Side;
use crate::rtp::ReportBlock;
use crate::time::Timestamp;

/// A stream just seen is given this long to show that it goes on before its absence is spoken of: the capture reports a
/// stream at its first packets and then once a second.
const SETTLE: Duration = Duration::from_secs(2);
/// Reports of a stream may be so late.
const REPORTED: Duration = Duration::from_secs(1);
/// A process that let packets be dropped and has been silent for so long is gone, even where its last report is late.
const GONE: Duration = Duration::from_secs(3);
/// A sender report may come one interval after the packets it counts (RFC 3550 6.2).
const RTCP_INTERVAL: Duration = Duration::from_secs(7);
/// Packets that arrive with so few hops left are about to be lost on any longer way.
pub const LOW_TTL: u8 = 10;

/// Both directions of the audio on one hop of a call, where both must flow.
#[derive(Clone, Debug)]
pub struct AudioFlows {
    /// Towards the caller.
    pub to_caller: Flow,
    /// Towards the callee.
    pub to_callee: Flow,
    /// The signalling peer of this hop: the end that is not this host.
    pub peer: SocketAddr,
}

/// The audio of a call, hop by hop.
pub type Audio = SmallVec<[AudioFlows; 1]>;

/// Media towards one side.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Who should hear it.
    pub to: Side,
    /// Which way it goes, as seen from this host.
    pub travel: Travel,
    /// How far its absence can be trusted.
    pub sight: Sight,
    /// Since when it has been due.
    pub due_since: Timestamp,
    /// Where it should arrive, by the SDP of who should hear it.
    pub endpoint: SocketAddr,
    /// That is an address of this host, and not one behind it.
    pub endpoint_is_local: bool,
    /// Where it should come from, by the SDP of who should send it.
    pub origin: SocketAddr,
    /// What becomes of it.
    pub state: FlowState,
    /// Packets of streams that went where they should.
    pub packets: u64,
    /// Packets that were seen there and make no stream (no two in sequence).
    pub strays: u64,
    /// Last packet of either.
    pub last_at: Option<Timestamp>,
    /// When the present burst of it began.
    pub burst_at: Option<Timestamp>,
    /// When it last came back after a pause that its sender made while it was due.
    pub resumed_at: Option<Timestamp>,
    /// When telephone events began in it.
    pub keys: KeyTimes,
    /// It is to go to a private address though the signalling went between public ones.
    pub private_address: Option<IpAddr>,
    /// ICMP errors that quote it.
    pub refusal: Option<Refusal>,
    /// A stream between the two that goes to where SDP did not say.
    pub elsewhere: Option<Elsewhere>,
    /// What its receiver said of it last, where that is that none of it arrives.
    pub reception: Option<ReportBlock>,
    /// Packets sent since the receiver's highest sequence number stands still.
    pub sent_in_vain: u64,
    /// RTCP of who should send it.
    pub sender_rtcp: Option<RtcpSource>,
    /// Lowest TTL or hop limit its packets were seen with.
    pub lowest_ttl: Option<u8>,
    /// This host would relay it from another hop of the call, and nothing flows there.
    pub is_starved: bool,
}

/// Which way media goes, as seen from this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Travel {
    /// To this host.
    In,
    /// From this host.
    Out,
    /// From this host to itself.
    Within,
    /// Between others.
    Past,
}

/// How far the absence of packets can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sight {
    /// They could have passed without being seen.
    None,
    /// They would probably have been seen.
    Partial,
    /// They would have been seen.
    Full,
}

/// What becomes of media in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowState {
    /// It flows, or paused too lately to say, or is silent on purpose.
    Flowing,
    /// A few packets just came: too early to say.
    Starting,
    /// None since it became due.
    Absent,
    /// It is sent, and refused.
    Refused,
    /// It is sent, and its receiver says by RTCP that none of it arrives.
    Unheard,
    /// It is sent to a private address that nothing ever came from.
    Undeliverable,
    /// It flowed until then.
    Stopped(Timestamp),
}

impl FlowState {
    /// When it stopped, where it flowed before.
    #[must_use]
    pub const fn stopped_at(self) -> Option<Timestamp> {
        match self {
            Self::Stopped(at) => Some(at),
            Self::Flowing | Self::Starting | Self::Absent | Self::Refused | Self::Unheard | Self::Undeliverable => None,
        }
    }
}

/// A stream that goes to where SDP did not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// Where it comes from.
    pub src: SocketAddr,
    /// Where it goes.
    pub dst: SocketAddr,
    /// Its packets.
    pub packets: u64,
    /// Its last packet.
    pub last_at: Timestamp,
}

impl Flow {
    /// Whether it does not flow.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        match self.state {
            FlowState::Flowing | FlowState::Starting => false,
            FlowState::Absent
            | FlowState::Refused
            | FlowState::Unheard
            | FlowState::Undeliverable
            | FlowState::Stopped(_) => true,
        }
    }

    /// Whether something besides absence shows that it does not arrive.
    #[must_use]
    pub const fn has_positive_evidence(&self) -> bool {
        match self.state {
            FlowState::Refused | FlowState::Unheard | FlowState::Undeliverable => true,
            FlowState::Absent => self.private_address.is_some() || self.elsewhere.is_some(),
            FlowState::Flowing | FlowState::Starting | FlowState::Stopped(_) => false,
        }
    }

    /// Whether its sender's RTCP counts packets that were sent after that time.
    #[must_use]
    pub fn claims_to_send_since(&self, at: Timestamp) -> bool {
        self.sender_rtcp.as_ref().and_then(|rtcp| rtcp.sent_grew_at).is_some_and(|grew| grew.since(at) > RTCP_INTERVAL)
    }

    /// Who should send it.
    #[must_use]
    pub const fn from(&self) -> Side {
        self.to.other()
    }

    /// A process that does not read what comes any more, or has closed its port, and has sent nothing since hangs or is gone:
    /// what it sent has stopped, however short that was.
    fn stop_with(&mut self, opposite: &Self, now: Timestamp) {
        let lost_its_reader = |r: &Refusal| match r.dropped.map(|drop| drop.reason) {
            Some(DropReason::SocketReceiveBuffer | DropReason::NoSocket) => true,
            Some(
                DropReason::Netfilter
                | DropReason::ReversePathFilter
                | DropReason::Neighbour
                | DropReason::Checksum
                | DropReason::NoRoute
                | DropReason::QueueFull
                | DropReason::Other,
            )
            | None => false,
        };
        let refusal = opposite.refusal.filter(|r| opposite.state == FlowState::Refused && lost_its_reader(r));
        let flows = matches!(self.state, FlowState::Flowing | FlowState::Starting);
        let (Some(refusal), Some(at), true) = (refusal, self.last_at, flows) else { return };
        if now.since(at) >= GONE {
            self.state = FlowState::Stopped(at);
        } else if at <= refusal.first_at + REPORTED {
            self.state = FlowState::Starting;
        }
    }
}

impl AudioFlows {
    const fn towards_mut(&mut self, to: Side) -> &mut Flow {
        match to {
            Side::Caller => &mut self.to_caller,
            Side::Callee => &mut self.to_callee,
        }
    }

    /// Media towards a side.
    #[must_use]
    pub const fn towards(&self, to: Side) -> &Flow {
        match to {
            Side::Caller => &self.to_caller,
            Side::Callee => &self.to_callee,
        }
    }
}
