//! What tells one transaction from another (RFC 3261 17.1.3, 17.2.3).

use core::hash::{BuildHasher, Hash, Hasher};

use foldhash::fast::RandomState;

use crate::seen::Seen;
use crate::transaction::ViaStack;

/// Branch and sent-by of the top Via. Where the branch lacks the magic cookie it may not be unique: then From tag and the
/// method's name join in, as RFC 2543 matched (17.2.3). The CSeq is compared beside it either way: there are stacks that
/// never change their branch.
pub(crate) fn transaction_key(seen: &Seen<'_, '_>, hasher: &RandomState) -> u64 {
    let mut h = hasher.build_hasher();
    if let Some(via) = &seen.via {
        via.branch.unwrap_or_default().hash(&mut h);
        via.sent_by.hash(&mut h);
        if !via.has_unique_branch() {
            seen.from_tag.hash(&mut h);
        }
    } else {
        seen.from_tag.hash(&mut h);
    }
    h.finish()
}

/// The Via headers as one value: what the receiver of a request may add to them (`received`, `rport`) is left out.
pub(crate) fn via_stack(seen: &Seen<'_, '_>, hasher: &RandomState) -> ViaStack {
    let mut h = hasher.build_hasher();
    let mut count = 0u8;
    for via in seen.via.into_iter().chain(seen.message.vias_below_top().flatten()) {
        via.sent_by.hash(&mut h);
        via.branch.unwrap_or_default().hash(&mut h);
        count = count.saturating_add(1);
    }
    ViaStack { count, hash: h.finish() }
}
