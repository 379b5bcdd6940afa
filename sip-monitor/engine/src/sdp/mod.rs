//! (skeleton)

/// Placeholder until `parsers` lands.
#[derive(Debug)]
pub struct Sdp<'a>(core::marker::PhantomData<&'a [u8]>);
