#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch))]
//! The kernel programs. On any other target than bpf this is an empty program, so that the workspace builds on stable.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
