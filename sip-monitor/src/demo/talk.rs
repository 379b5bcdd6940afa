//! Audio: an RTP packet of PCMU each 20 ms, and an ear that takes what arrives.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// 160 samples at 8 kHz.
const PACKET_TIME: Duration = Duration::from_millis(20);
/// Samples in a packet.
const SAMPLES: u32 = 160;

/// One side that talks or only listens, until dropped.
pub struct Talk {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Talk {
    /// Starts talking from `socket` to `to`.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub fn start(socket: UdpSocket, to: SocketAddr) -> Result<Self> {
        Self::spawn(socket, Some(to))
    }

    /// Only listens: what arrives is taken, so that the socket does not overflow.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub fn listen(socket: UdpSocket) -> Result<Self> {
        Self::spawn(socket, None)
    }

    fn spawn(socket: UdpSocket, to: Option<SocketAddr>) -> Result<Self> {
        socket.set_nonblocking(true).context("a media socket")?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("talk".into())
            .spawn(move || talk(&socket, to, &stopped))
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

fn talk(socket: &UdpSocket, to: Option<SocketAddr>, stop: &AtomicBool) {
    // Like a real SSRC: chosen at random, one for each stream.
    let ssrc = RandomState::new().hash_one(to) as u32;
    let mut buffer = [0; 2048];
    let mut next = Instant::now();
    let mut sequence = 0_u16;
    while !stop.load(Ordering::Relaxed) {
        if let Some(to) = to {
            // ICMP errors surface here as "connection refused": a phone goes on talking.
            let _ = socket.send_to(&rtp_packet(sequence, ssrc), to);
        }
        while socket.recv_from(&mut buffer).is_ok() {}
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_20_ms_of_pcmu() {
        let packet = rtp_packet(2, 0x0102_0304);
        assert_eq!(packet[..12], [0x80, 0, 0, 2, 0, 0, 1, 0x40, 1, 2, 3, 4]);
        assert_eq!(packet.len(), 12 + 160);
    }
}
