//! Interfaces as the network namespace of the calling thread has them. By system calls, not by /sys: that shows the
//! namespace it was mounted in.

use std::{
    collections::BTreeMap,
    ffi::{CStr, CString},
    io,
    mem::MaybeUninit,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    ptr,
};

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Administratively up.
    pub up: bool,
    /// Loopback.
    pub loopback: bool,
    /// Frames have an Ethernet header.
    pub ethernet: bool,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// All interfaces, by name.
///
/// # Errors
/// What getifaddrs says.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let mut first: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: fills the pointer or says that it did not.
    if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut all: BTreeMap<String, Interface> = BTreeMap::new();
    let mut next = first;
    while !next.is_null() {
        // SAFETY: the list is ours until freeifaddrs, and `next` is one of its entries.
        let entry = unsafe { &*next };
        // SAFETY: every entry has a name.
        let name = unsafe { CStr::from_ptr(entry.ifa_name) }.to_string_lossy().into_owned();
        let flags = entry.ifa_flags.cast_signed();
        let interface = all.entry(name.clone()).or_insert_with(|| Interface { name, ..Interface::default() });
        interface.up |= flags & libc::IFF_UP != 0;
        interface.loopback |= flags & libc::IFF_LOOPBACK != 0;
        // SAFETY: the address, where there is one, is as long as its family says.
        unsafe { note_address(interface, entry.ifa_addr) };
        next = entry.ifa_next;
    }
    // SAFETY: what getifaddrs gave.
    unsafe { libc::freeifaddrs(first) };
    for interface in all.values_mut() {
        interface.index = index_of(&interface.name).unwrap_or(interface.index);
    }
    // Labels of secondary addresses ("eth0:1") are no interfaces.
    Ok(all.into_values().filter(|i| i.index != 0).collect())
}

/// # Safety
/// `address` is null or a socket address of its family's length.
unsafe fn note_address(interface: &mut Interface, address: *const libc::sockaddr) {
    if address.is_null() {
        return;
    }
    // SAFETY: by the contract.
    match i32::from(unsafe { (*address).sa_family }) {
        libc::AF_PACKET => {
            // SAFETY: by its family.
            let link = unsafe { ptr::read_unaligned(address.cast::<libc::sockaddr_ll>()) };
            interface.ethernet = matches!(link.sll_hatype, libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK);
            interface.index = link.sll_ifindex.cast_unsigned();
        }
        libc::AF_INET => {
            // SAFETY: by its family.
            let v4 = unsafe { ptr::read_unaligned(address.cast::<libc::sockaddr_in>()) };
            interface.addresses.push(IpAddr::V4(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr))));
        }
        libc::AF_INET6 => {
            // SAFETY: by its family.
            let v6 = unsafe { ptr::read_unaligned(address.cast::<libc::sockaddr_in6>()) };
            interface.addresses.push(IpAddr::V6(Ipv6Addr::from(v6.sin6_addr.s6_addr)));
        }
        _ => {}
    }
}

/// The index of an interface, `None` where there is none of that name.
#[must_use]
pub fn index_of(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    // SAFETY: a string that ends in zero.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => None,
        index => Some(index),
    }
}

/// Whether a device stands behind it: a network card, physical or given to a virtual machine, and no veth, bridge or
/// tunnel. Native XDP on those costs their peers the offloads.
#[must_use]
pub fn is_hardware(name: &str) -> bool {
    const GDRVINFO: u32 = 3;
    /// `struct ethtool_drvinfo`.
    #[repr(C)]
    struct DriverInfo {
        cmd: u32,
        driver: [u8; 32],
        version: [u8; 32],
        firmware: [u8; 32],
        bus: [u8; 32],
        rest: [u8; 64],
    }
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return false;
    }
    // SAFETY: a descriptor nobody else has.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut info = MaybeUninit::<DriverInfo>::zeroed();
    let mut request = MaybeUninit::<libc::ifreq>::zeroed();
    // SAFETY: both are plain memory and may be all zero; the request points to `info` only during the call.
    let answered = unsafe {
        (*info.as_mut_ptr()).cmd = GDRVINFO;
        let to = &mut (*request.as_mut_ptr()).ifr_name;
        for (to, from) in to[..libc::IFNAMSIZ - 1].iter_mut().zip(name.bytes()) {
            *to = from.cast_signed();
        }
        (*request.as_mut_ptr()).ifr_ifru.ifru_data = info.as_mut_ptr().cast();
        libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, request.as_mut_ptr()) == 0
    };
    // SAFETY: zeroed, then filled by the kernel.
    let bus = unsafe { info.assume_init() }.bus;
    let bus = bus.split(|b| *b == 0).next().unwrap_or_default();
    answered && !bus.is_empty() && !matches!(bus, b"N/A" | b"tap" | b"tun")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_there_and_no_hardware() {
        let all = interfaces().expect("getifaddrs");
        let lo = all.iter().find(|i| i.loopback).expect("every namespace has a loopback");
        assert_eq!(index_of(&lo.name), Some(lo.index));
        assert!(!is_hardware(&lo.name));
        assert_eq!(index_of("no such interface"), None);
    }
}
