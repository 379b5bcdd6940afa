//! Reads the running kernel's types (BTF): where a member of a struct is, and the numbers of an enum.
//!
//! Only what the drop program needs. Every read is bounded: a file that is not what it should be gives an error, or
//! nothing is found in it.

use std::path::Path;

/// The running kernel's types.
const KERNEL: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xeb9f;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
/// Anonymous members within anonymous members are followed so deep.
const MAX_DEPTH: u32 = 8;
/// Typedefs and qualifiers are followed so far.
const MAX_ALIASES: u32 = 16;

/// Types as they stand in a BTF section.
pub struct Types {
    bytes: Vec<u8>,
    /// Where each type stands; the first is void.
    at: Vec<usize>,
    strings: usize,
}

impl Types {
    /// Those of the running kernel.
    ///
    /// # Errors
    /// What cannot be read, in words.
    pub fn of_kernel() -> Result<Self, String> {
        let bytes = std::fs::read(Path::new(KERNEL)).map_err(|e| format!("reading {KERNEL}: {e}"))?;
        Self::parse(bytes).ok_or_else(|| format!("{KERNEL} is not understood"))
    }

    fn parse(bytes: Vec<u8>) -> Option<Self> {
        let mut this = Self { bytes, at: vec![0], strings: 0 };
        if this.word(0)? & 0xffff != u32::from(MAGIC) {
            return None;
        }
        let header = this.word(4)? as usize;
        let mut at = header.checked_add(this.word(8)? as usize)?;
        let end = at.checked_add(this.word(12)? as usize)?;
        this.strings = header.checked_add(this.word(16)? as usize)?;
        while at < end {
            this.at.push(at);
            let info = this.word(at + 4)?;
            let count = (info & 0xffff) as usize;
            // linux/btf.h: what follows the 12 bytes each type begins with.
            at += 12
                + match info >> 24 & 0x1f {
                    1 | 14 | 17 => 4,
                    3 => 12,
                    STRUCT | UNION | 15 | 19 => 12 * count,
                    ENUM | 13 => 8 * count,
                    2 | 7..=12 | 16 | 18 => 0,
                    // A kind from the future, whose length nobody knows.
                    _ => return None,
                };
        }
        Some(this)
    }

    fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    }

    fn kind(&self, at: usize) -> Option<u32> {
        Some(self.word(at + 4)? >> 24 & 0x1f)
    }

    /// The name whose offset among the strings stands at `at`.
    fn name(&self, at: usize) -> Option<&str> {
        let begin = self.strings.checked_add(self.word(at)? as usize)?;
        let rest = self.bytes.get(begin..)?;
        let len = rest.iter().position(|b| *b == 0)?;
        std::str::from_utf8(rest.get(..len)?).ok()
    }

    fn find(&self, kind: u32, name: &str) -> Option<usize> {
        self.at.iter().skip(1).copied().find(|at| self.kind(*at) == Some(kind) && self.name(*at) == Some(name))
    }

    /// A type behind typedefs and qualifiers.
    fn behind_aliases(&self, id: u32) -> Option<usize> {
        let mut at = *self.at.get(id as usize)?;
        for _ in 0..MAX_ALIASES {
            match self.kind(at)? {
                8..=11 | 18 => at = *self.at.get(self.word(at + 8)? as usize)?,
                _ => return Some(at),
            }
        }
        None
    }

    /// Byte offset of a member, also of one in an anonymous struct or union, and of `a.b` in a struct within.
    #[must_use]
    pub fn offset(&self, structure: &str, path: &str) -> Option<u32> {
        let mut at = self.find(STRUCT, structure)?;
        let mut offset = 0;
        for name in path.split('.') {
            let (here, id) = self.member(at, name, 0)?;
            offset += here;
            at = self.behind_aliases(id)?;
        }
        Some(offset)
    }

    fn member(&self, at: usize, name: &str, depth: u32) -> Option<(u32, u32)> {
        let info = self.word(at + 4)?;
        for n in 0..(info & 0xffff) as usize {
            let member = at + 12 + 12 * n;
            let bits = self.word(member + 8)?;
            let bits = if info >> 31 == 1 { bits & 0x00ff_ffff } else { bits };
            let (called, id) = (self.name(member)?, self.word(member + 4)?);
            if called == name {
                return Some((bits / 8, id));
            }
            if called.is_empty() && depth < MAX_DEPTH {
                let inner = self.behind_aliases(id)?;
                if matches!(self.kind(inner)?, STRUCT | UNION)
                    && let Some((offset, id)) = self.member(inner, name, depth + 1)
                {
                    return Some((bits / 8 + offset, id));
                }
            }
        }
        None
    }

    /// Names and numbers of an enum; none where there is no such enum.
    #[must_use]
    pub fn enumerators(&self, name: &str) -> Vec<(&str, u32)> {
        let Some(at) = self.find(ENUM, name) else { return Vec::new() };
        let count = self.word(at + 4).map_or(0, |info| info & 0xffff) as usize;
        let entries = (0..count).map(|n| at + 12 + 8 * n);
        entries.filter_map(|entry| Some((self.name(entry)?, self.word(entry + 4)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_btf_is_refused_and_never_read_beyond_its_end() {
        for bytes in [vec![], vec![0; 64], vec![0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255]] {
            assert!(Types::parse(bytes).is_none());
        }
    }

    #[test]
    fn the_running_kernel_tells_where_its_members_are() {
        let Ok(types) = Types::of_kernel() else { return println!("skipped: no {KERNEL}") };
        for (structure, path) in [
            ("sk_buff", "head"),
            ("sk_buff", "dev"),
            ("net_device", "nd_net"),
            ("sock", "__sk_common.skc_net"),
            ("net", "ns.inum"),
        ] {
            assert!(types.offset(structure, path).is_some(), "{structure}.{path}");
        }
        assert_eq!(types.offset("sk_buff", "no_such_member"), None);
        let reasons = types.enumerators("skb_drop_reason");
        assert!(reasons.is_empty() || reasons.iter().any(|(name, _)| name.ends_with("NO_SOCKET")), "{reasons:?}");
    }
}
