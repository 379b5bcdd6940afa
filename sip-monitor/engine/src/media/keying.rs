//! How a side wants the keys of its SRTP to be made.

use crate::sdp::Media;

/// What an m-line says about keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keying {
    /// `a=crypto` (RFC 4568).
    pub sdes: bool,
    /// `a=fingerprint` (RFC 5763).
    pub dtls: bool,
    /// `a=key-mgmt` (RFC 4567).
    pub mikey: bool,
    /// `a=setup` (RFC 4145): who begins the DTLS handshake.
    pub setup: Option<Setup>,
}

/// A role in the DTLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// It begins.
    Active,
    /// It waits.
    Passive,
    /// The answerer may choose.
    ActPass,
    /// Not for now.
    HoldConn,
}

impl Keying {
    /// Reads an m-line.
    #[must_use]
    pub fn from_sdp(media: &Media<'_>) -> Self {
        Self {
            sdes: media.attribute("crypto").is_some(),
            dtls: media.fingerprint().is_some(),
            mikey: media.key_management().is_some(),
            setup: media.setup().and_then(Setup::parse),
        }
    }

    /// Whether it names any way to a key.
    #[must_use]
    pub const fn has_any(&self) -> bool {
        self.sdes || self.dtls || self.mikey
    }

    /// Whether both name the same way.
    #[must_use]
    pub const fn fits(&self, other: &Self) -> bool {
        (self.sdes && other.sdes) || (self.dtls && other.dtls) || (self.mikey && other.mikey)
    }
}

impl Setup {
    fn parse(value: &[u8]) -> Option<Self> {
        match value {
            b"active" => Some(Self::Active),
            b"passive" => Some(Self::Passive),
            b"actpass" => Some(Self::ActPass),
            b"holdconn" => Some(Self::HoldConn),
            _ => None,
        }
    }

    /// As it stands in SDP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
            Self::HoldConn => "holdconn",
        }
    }
}
