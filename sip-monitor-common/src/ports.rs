//! A set of ports as a bitmap: one lookup is one load and one test, or two of each.

/// Ports 0 to 65535, one bit each. This is the value of the map `SIP_PORTS`.
///
/// Media ports are many and spread, and each would ask for a line of the bitmap that is in no cache: most of them are sorted out by
/// the one word in front.
///
/// Layout: 8200 bytes, align 8, no padding, host byte order.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortSet {
    /// Bit n: there is one among the ports from 1024 * n on.
    blocks: u64,
    words: [u64; 1024],
}
const _: () = assert!(size_of::<PortSet>() == 8200);

impl PortSet {
    /// No port.
    pub const EMPTY: Self = Self { blocks: 0, words: [0; 1024] };

    /// Adds one port.
    pub fn insert(&mut self, port: u16) {
        if let Some(word) = self.words.get_mut(usize::from(port >> 6)) {
            *word |= 1 << (port & 63);
            self.blocks |= 1 << (port >> 10);
        }
    }

    /// Whether the port is in the set.
    #[inline(always)]
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        // The mask is a no-op for a u16 and shows the verifier and the compiler that the index is in range.
        (self.blocks >> (port >> 10)) & 1 == 1 && (self.words[usize::from(port >> 6) & 1023] >> (port & 63)) & 1 == 1
    }
}

impl FromIterator<u16> for PortSet {
    fn from_iter<I: IntoIterator<Item = u16>>(ports: I) -> Self {
        let mut set = Self::EMPTY;
        for port in ports {
            set.insert(port);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in_and_nothing_else() {
        let set: PortSet = [0, 1023, 1024, 5060, 5061, 65535].into_iter().collect();
        let held: Vec<u16> = (0..=u16::MAX).filter(|p| set.contains(*p)).collect();
        assert_eq!(held, [0, 1023, 1024, 5060, 5061, 65535]);
    }
}
