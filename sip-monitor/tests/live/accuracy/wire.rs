//! Sockets that send a script on time, and sockets whose kernel says when each datagram arrived.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::script::Script;

/// A datagram that arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// When the kernel got it, nanoseconds of the time of day.
    pub time_ns: i64,
    pub sequence: u16,
    pub ssrc: u32,
}

/// Sends each script from its socket to its address, each packet when it is due, from one CPU: on two, the kernel may
/// reorder them.
pub fn send(lines: Vec<(&UdpSocket, SocketAddr, &Script)>) -> Result<()> {
    stay_on_this_cpu()?;
    let mut due: Vec<(u64, &UdpSocket, SocketAddr, Vec<u8>)> = Vec::new();
    for (socket, to, script) in lines {
        due.extend(script.packets.iter().map(|packet| (packet.at_ns, socket, to, packet.bytes())));
    }
    // Stable: of one script, the order stays.
    due.sort_by_key(|(at_ns, ..)| *at_ns);
    let begin = Instant::now();
    for (at_ns, socket, to, bytes) in due {
        std::thread::sleep(Duration::from_nanos(at_ns).saturating_sub(begin.elapsed()));
        ensure!(socket.send_to(&bytes, to)? == bytes.len(), "a datagram was cut");
    }
    Ok(())
}

fn stay_on_this_cpu() -> Result<()> {
    // SAFETY: plain memory; the calls read and fill it.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(usize::try_from(libc::sched_getcpu()).unwrap_or(0), &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set)
    };
    ensure!(result == 0, "sched_setaffinity: {}", io::Error::last_os_error());
    Ok(())
}

/// A socket that keeps all that comes, with the time at which it came. It waits for nothing.
pub fn endpoint(at: SocketAddr) -> Result<UdpSocket> {
    const ROOM: libc::c_int = 8 << 20;
    let socket = UdpSocket::bind(at).with_context(|| format!("opening UDP {at}"))?;
    socket.set_nonblocking(true)?;
    for (option, value) in [(libc::SO_TIMESTAMPNS, 1), (libc::SO_RCVBUFFORCE, ROOM)] {
        // SAFETY: the value is an integer of the size given.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const value).cast(),
                size_of_val(&value) as libc::socklen_t,
            )
        };
        ensure!(result == 0, "socket option {option} of {at}: {}", io::Error::last_os_error());
    }
    Ok(socket)
}

/// Everything that has arrived, in order.
pub fn drain(socket: &UdpSocket) -> Result<Vec<Arrival>> {
    let mut all = Vec::new();
    while let Some(arrival) = receive(socket)? {
        all.push(arrival);
    }
    Ok(all)
}

fn receive(socket: &UdpSocket) -> Result<Option<Arrival>> {
    #[repr(align(8))]
    struct Control([u8; 128]);
    let mut bytes = [0_u8; 2_048];
    let mut control = Control([0; 128]);
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: a message header may be all zero; it points to memory that outlives the call.
    let (len, time) = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = control.0.len();
        let len = libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0);
        if len < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error.into()) };
        }
        let mut time = None;
        let mut next = libc::CMSG_FIRSTHDR(&raw const message);
        while !next.is_null() {
            if ((*next).cmsg_level, (*next).cmsg_type) == (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) {
                time = Some(libc::CMSG_DATA(next).cast::<libc::timespec>().read_unaligned());
            }
            next = libc::CMSG_NXTHDR(&raw const message, next);
        }
        (len.cast_unsigned(), time)
    };
    let time = time.context("the kernel gave no time stamp")?;
    let header: [u8; 12] = bytes.get(..12).filter(|_| len >= 12).context("no RTP header")?.try_into()?;
    Ok(Some(Arrival {
        time_ns: time.tv_sec * 1_000_000_000 + time.tv_nsec,
        sequence: u16::from_be_bytes([header[2], header[3]]),
        ssrc: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
    }))
}
