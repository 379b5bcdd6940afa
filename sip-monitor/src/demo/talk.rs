//! Audio: an RTP packet of PCMU each 20 ms and a sender report each second, and an ear that takes what arrives.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// 160 samples at 8 kHz.
const PACKET_TIME: Duration = Duration::from_millis(20);
/// Packets from one sender report to the next: a second of them.
const REPORT_EVERY: u16 = 50;
/// Samples in a packet.
const SAMPLES: u32 = 160;

/// Where one side sends and hears.
pub struct Sockets {
    /// RTP.
    pub media: UdpSocket,
    /// RTCP, on the next port (RFC 3550 11).
    pub control: UdpSocket,
}

/// One side that talks or only listens, until dropped.
pub struct Talk {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Talk {
    /// Starts talking to `to`.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub fn start(sockets: Sockets, to: SocketAddr) -> Result<Self> {
        Self::spawn(sockets, Some(to))
    }

    /// Only listens: what arrives is taken, so that the socket does not overflow.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub fn listen(sockets: Sockets) -> Result<Self> {
        Self::spawn(sockets, None)
    }

    fn spawn(sockets: Sockets, to: Option<SocketAddr>) -> Result<Self> {
        sockets.media.set_nonblocking(true).context("a media socket")?;
        sockets.control.set_nonblocking(true).context("a media socket")?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("talk".into())
            .spawn(move || talk(&sockets, to, &stopped))
            .context("starting a thread")?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A talk ends within one packet time; a panic in it was already printed.
            let _ = thread.join();
        }
    }
}

fn talk(sockets: &Sockets, to: Option<SocketAddr>, stop: &AtomicBool) {
    let Sockets { media: socket, control: control_socket } = sockets;
    let control = to.map(|to| SocketAddr::new(to.ip(), to.port() + 1));
    // Like a real SSRC: chosen at random, one for each stream.
    let ssrc = RandomState::new().hash_one(to) as u32;
    let mut buffer = [0; 2048];
    let mut next = Instant::now();
    let mut sequence = 0_u16;
    while !stop.load(Ordering::Relaxed) {
        if let Some(to) = to {
            // ICMP errors surface here as "connection refused": a phone goes on talking.
            let _ = socket.send_to(&rtp_packet(sequence, ssrc), to);
            if let Some(control) = control.filter(|_| sequence % REPORT_EVERY == REPORT_EVERY - 1) {
                let _ = control_socket.send_to(&sender_report(sequence, ssrc), control);
            }
        }
        while socket.recv_from(&mut buffer).is_ok() || control_socket.recv_from(&mut buffer).is_ok() {}
        sequence = sequence.wrapping_add(1);
        next += PACKET_TIME;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// An RTP packet (RFC 3550 5.1) with PCMU (payload type 0, RFC 3551).
fn rtp_packet(sequence: u16, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * SAMPLES).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    // Voice is never the same twice: a payload that changes with each packet.
    packet.extend((0..SAMPLES).map(|i| (i * 7 + u32::from(sequence) * 13) as u8));
    packet
}

/// A sender report without report blocks (RFC 3550 6.4.1): so much was sent up to packet number `sequence`.
fn sender_report(sequence: u16, ssrc: u32) -> Vec<u8> {
    let packets = u32::from(sequence) + 1;
    let mut report = vec![0x80, 200, 0, 6];
    // The middle of the NTP timestamp is what counts: seconds since the stream began.
    let ntp_seconds = u32::from(sequence / REPORT_EVERY);
    for word in [ssrc, ntp_seconds, 0, packets * SAMPLES, packets, packets * SAMPLES] {
        report.extend(word.to_be_bytes());
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_20_ms_of_pcmu() {
        let packet = rtp_packet(2, 0x0102_0304);
        assert_eq!(packet[..12], [0x80, 0, 0, 2, 0, 0, 1, 0x40, 1, 2, 3, 4]);
        assert_eq!(packet.len(), 12 + 160);
    }

    #[test]
    fn a_sender_report_counts_what_was_sent() {
        use sip_monitor_engine::rtp::{Rtcp, RtcpPacket};
        let report = sender_report(99, 7);
        let parts: Vec<RtcpPacket<'_>> = Rtcp::parse(&report).expect("RTCP").collect();
        let [RtcpPacket::SenderReport { ssrc: 7, info, .. }] = parts.as_slice() else { panic!("{parts:?}") };
        assert_eq!((info.packets, info.octets, info.rtp_timestamp), (100, 16_000, 16_000));
    }
}
