//! Names of user agents. Most calls of a site are made by a few kinds of them: calls share the text.

use core::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::call::{Call, Context};
use crate::record::Side;
use crate::seen::Seen;
use crate::text::StoredText;

/// Names that are shared at a time.
const SHARED: usize = 256;
/// Longest name kept, bytes.
const NAME_BYTES: usize = 128;

/// Names seen lately, each in the place that its hash gives it.
#[derive(Debug)]
pub(crate) struct Agents {
    names: Vec<Option<Arc<str>>>,
    hasher: RandomState,
}

impl Agents {
    pub fn new(hasher: RandomState) -> Self {
        Self { names: vec![None; SHARED], hasher }
    }

    fn share(&mut self, name: &[u8]) -> Arc<str> {
        let place = (self.hasher.hash_one(name) % SHARED as u64) as usize;
        let Some(place) = self.names.get_mut(place) else { return kept(name) };
        match place {
            Some(known) if known.as_bytes() == name => Arc::clone(known),
            other => Arc::clone(other.insert(kept(name))),
        }
    }
}

fn kept(name: &[u8]) -> Arc<str> {
    StoredText::new(name, NAME_BYTES).as_str().into()
}

impl Call {
    /// Keeps what a side says it is.
    pub(crate) fn note_agent(&mut self, ctx: &mut Context<'_>, seen: &Seen<'_, '_>, side: Side) {
        let name = seen.message.server().or_else(|| seen.message.user_agent()).filter(|name| !name.is_empty());
        let Some(name) = name else { return };
        let [caller, callee] = &mut self.agents;
        let place = if side == Side::Caller { caller } else { callee };
        // Of the branches of a fork, it is the one that answers.
        let answers = seen.code.is_some_and(|code| (200..300).contains(&code));
        if place.is_none() || (answers && place.as_ref().is_some_and(|known| known.as_bytes() != name)) {
            *place = Some(ctx.agents.share(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_are_one_text_and_a_name_that_was_pushed_out_is_made_anew() {
        let mut agents = Agents::new(RandomState::default());
        let (a, b) = (agents.share(b"Asterisk PBX 20"), agents.share(b"Asterisk PBX 20"));
        assert!(Arc::ptr_eq(&a, &b));
        (0..10_000).for_each(|n| drop(agents.share(format!("phone {n}").as_bytes())));
        assert_eq!(agents.names.len(), SHARED);
        assert_eq!(&*agents.share(b"Asterisk PBX 20"), &*a);
    }
}
