//! Removes the clsact qdisc that was made for a kernel without tcx, by netlink.

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

const RTM_DELQDISC: u16 = 37;
const NLM_F_REQUEST_ACK: u16 = 1 | 4;
const TC_H_CLSACT: u32 = 0xffff_fff1;
const TC_H_CLSACT_HANDLE: u32 = 0xffff_0000;

/// `struct nlmsghdr` and `struct tcmsg`.
#[repr(C)]
struct Request {
    len: u32,
    kind: u16,
    flags: u16,
    seq: u32,
    pid: u32,
    family: u8,
    pad: [u8; 3],
    ifindex: i32,
    handle: u32,
    parent: u32,
    info: u32,
}

/// Deletes the clsact qdisc of an interface and the filters on it.
pub(super) fn delete_clsact(ifindex: u32) -> io::Result<()> {
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor nobody else has.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let request = Request {
        len: size_of::<Request>() as u32,
        kind: RTM_DELQDISC,
        flags: NLM_F_REQUEST_ACK,
        seq: 1,
        pid: 0,
        family: 0,
        pad: [0; 3],
        ifindex: ifindex.cast_signed(),
        handle: TC_H_CLSACT_HANDLE,
        parent: TC_H_CLSACT,
        info: 0,
    };
    let mut answer = [0_u8; 256];
    // SAFETY: both buffers are as long as said.
    let received = unsafe {
        if libc::send(socket.as_raw_fd(), (&raw const request).cast(), size_of::<Request>(), 0) < 0 {
            return Err(io::Error::last_os_error());
        }
        libc::recv(socket.as_raw_fd(), answer.as_mut_ptr().cast(), answer.len(), 0)
    };
    // An acknowledgement: nlmsghdr (16 bytes), then 0 or a negative errno.
    match answer.get(16..20).and_then(|b| b.try_into().ok()).map(i32::from_ne_bytes) {
        Some(0) if received >= 20 => Ok(()),
        Some(code) if received >= 20 => Err(io::Error::from_raw_os_error(-code)),
        _ => Err(io::Error::last_os_error()),
    }
}
