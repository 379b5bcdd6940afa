//! Frames to run programs on.

/// UDP over IPv4 in Ethernet, without checksums: nobody looks at them.
pub fn udp(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    let length = |n: usize| u16::try_from(n).unwrap_or(u16::MAX).to_be_bytes();
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    frame.extend(length(28 + payload.len()));
    frame.extend([0, 1, 0, 0, 64, 17, 0, 0, 198, 51, 100, 1, 203, 0, 113, 1]);
    frame.extend(src.to_be_bytes());
    frame.extend(dst.to_be_bytes());
    frame.extend(length(8 + payload.len()));
    frame.extend([0, 0]);
    frame.extend(payload);
    frame
}

/// 20 ms of PCMU (RFC 3550 5.1).
pub fn rtp(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend([0, 0, 0x51, 0x50]);
    packet.extend((0..160_u16).map(|i| (i ^ sequence) as u8));
    packet
}

/// RTP of stream `n` of many, each with an address, a port and an SSRC of its own.
pub fn rtp_of_stream(n: u32, sequence: u16) -> Vec<u8> {
    let mut frame = udp(30_000 + (n % 10_000) as u16 * 2, 30_002, &rtp(sequence));
    // Source address and SSRC.
    frame[28..30].copy_from_slice(&((n / 10_000) as u16).to_be_bytes());
    frame[50..54].copy_from_slice(&n.to_be_bytes());
    frame
}

/// A request of this many bytes.
pub fn sip(bytes: usize) -> Vec<u8> {
    let mut message = b"INVITE sip:bob@example.com SIP/2.0\r\nCall-ID: 1@a\r\nCSeq: 1 INVITE\r\nX-Padding: ".to_vec();
    message.resize(bytes - 4, b'a');
    message.extend(b"\r\n\r\n");
    message
}
