//! How a connection breaks after something was sent on it: what `request-unanswered` is told from.

use core::net::SocketAddr;
use core::time::Duration;

use crate::time::Timestamp;

/// The same bytes sent again so often without an acknowledgement are lost on this connection: 3 s with Linux (RFC 6298 5.5).
const REPEATS: u32 = 4;
/// Bytes that come again sooner are the same packet captured twice, or a probe.
const REPEAT_AFTER: Duration = Duration::from_millis(100);

/// What happened to bytes that were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaking {
    /// Their receiver reset the connection.
    Reset,
    /// They were sent again and again, and not acknowledged.
    Unacknowledged,
}

/// A connection on which something was sent in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenConnection {
    /// Who sent.
    pub sender: SocketAddr,
    /// Who did not take it.
    pub receiver: SocketAddr,
    /// What happened.
    pub breaking: Breaking,
}

/// What became of the bytes of one direction.
#[derive(Debug, Default)]
pub(super) struct Progress {
    sent: bool,
    repeats: u32,
    last_at: Timestamp,
}

impl Progress {
    /// Bytes were sent, fresh ones or old ones again. Returns whether they now count as lost.
    pub(super) fn handle_bytes(&mut self, now: Timestamp, fresh: bool) -> bool {
        if fresh {
            *self = Self { sent: true, repeats: 0, last_at: now };
            return false;
        }
        if now.since(self.last_at) < REPEAT_AFTER {
            return false;
        }
        self.last_at = now;
        self.repeats += 1;
        self.repeats == REPEATS
    }

    /// Everything sent so far was received.
    pub(super) fn handle_ack(&mut self) {
        self.repeats = 0;
    }

    /// Whether a reset of the other side can mean something that was sent.
    pub(super) const fn has_sent(&self) -> bool {
        self.sent
    }
}
