//! Recordings for SIPp to play: a voice that talks on, and one with silence suppression.

use std::ops::Range;
use std::path::Path;

use anyhow::Result;

/// Milliseconds of voice in a packet, and samples.
const PACKET_MS: u32 = 20;
const PACKET_SAMPLES: u32 = 160;

/// Writes `talks.pcap`, 16 s of voice, and `pauses.pcap`: after 3 s a packet of comfort noise (RFC 3389) and silence, longer
/// than what counts as media that stopped, before the voice goes on.
pub fn write(folder: &Path) -> Result<()> {
    std::fs::write(folder.join("talks.pcap"), pcap(&[0..16_000], false))?;
    std::fs::write(folder.join("pauses.pcap"), pcap(&[0..3_000, 14_500..16_000], true))?;
    Ok(())
}

/// Voice in these spans of milliseconds; each but the last one ends in comfort noise, where that is asked for.
fn pcap(spans: &[Range<u32>], comfort_noise: bool) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(0xa1b2_c3d4_u32.to_le_bytes());
    out.extend([2, 0, 4, 0]);
    for n in [0, 0, 262_144_u32, 1] {
        out.extend(n.to_le_bytes());
    }
    let mut sequence = 0_u16;
    for (index, span) in spans.iter().enumerate() {
        for at_ms in span.clone().step_by(PACKET_MS as usize) {
            let voice: Vec<u8> =
                (0..PACKET_SAMPLES).map(|n| ((at_ms + n).wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            write_packet(&mut out, at_ms, &rtp(0, at_ms == span.start, sequence, at_ms, &voice));
            sequence += 1;
        }
        if comfort_noise && index + 1 < spans.len() {
            // One byte: the level of the noise, -50 dBov.
            write_packet(&mut out, span.end, &rtp(13, false, sequence, span.end, &[50]));
            sequence += 1;
        }
    }
    out
}

fn rtp(payload_type: u8, begins: bool, sequence: u16, at_ms: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type | if begins { 0x80 } else { 0 }];
    packet.extend(sequence.to_be_bytes());
    packet.extend((at_ms / PACKET_MS * PACKET_SAMPLES).to_be_bytes());
    packet.extend(0x5a5a_0001_u32.to_be_bytes());
    packet.extend(payload);
    packet
}

/// A record of the file: the datagram in IPv4 in Ethernet, with addresses that SIPp replaces.
fn write_packet(out: &mut Vec<u8>, at_ms: u32, payload: &[u8]) {
    let udp_len = (8 + payload.len()) as u16;
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    frame.extend((20 + udp_len).to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    for n in [6_000, 6_000, udp_len, 0] {
        frame.extend(n.to_be_bytes());
    }
    frame.extend(payload);
    for n in [at_ms / 1_000, at_ms % 1_000 * 1_000, frame.len() as u32, frame.len() as u32] {
        out.extend(n.to_le_bytes());
    }
    out.extend(frame);
}
