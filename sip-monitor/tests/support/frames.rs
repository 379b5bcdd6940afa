//! Frames made by hand.

/// UDP over IPv4 in Ethernet.
pub fn udp4(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    ethernet(&[0x0800], &ipv4(17, 0, 0, &udp(src, dst, payload)))
}

/// UDP over IPv6 in Ethernet, behind extension headers given as (next header value of the header before, bytes).
pub fn udp6(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    ethernet(&[0x86dd], &ipv6(17, &udp(src, dst, payload)))
}

/// Ethernet with tags: all EtherTypes from the outside in.
pub fn ethernet(types: &[u16], l3: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for (i, ethertype) in types.iter().enumerate() {
        frame.extend(ethertype.to_be_bytes());
        if i + 1 < types.len() {
            frame.extend((100 + i as u16).to_be_bytes());
        }
    }
    frame.extend(l3);
    frame
}

/// UDP.
pub fn udp(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    let mut p = Vec::new();
    p.extend(src.to_be_bytes());
    p.extend(dst.to_be_bytes());
    p.extend((8 + payload.len() as u16).to_be_bytes());
    p.extend([0, 0]);
    p.extend(payload);
    p
}

/// TCP with flags.
pub fn tcp(src: u16, dst: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut p = Vec::new();
    p.extend(src.to_be_bytes());
    p.extend(dst.to_be_bytes());
    p.extend([0, 0, 0, 7, 0, 0, 0, 9, 0x50, flags, 0x10, 0x20, 0, 0, 0, 0]);
    p.extend(payload);
    p
}

/// IPv4 from 10.0.0.1 to 10.0.0.2; the flags word holds fragmentation.
pub fn ipv4(protocol: u8, id: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
    ipv4_with_options(protocol, id, flags, &[], payload)
}

/// IPv4 with options, padded by the caller to words.
pub fn ipv4_with_options(protocol: u8, id: u16, flags: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let header = 20 + options.len();
    let mut p = vec![0x40 | (header / 4) as u8, 0xb8];
    p.extend(((header + payload.len()) as u16).to_be_bytes());
    p.extend(id.to_be_bytes());
    p.extend(flags.to_be_bytes());
    p.extend([63, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    p.extend(options);
    p.extend(payload);
    p
}

/// IPv6 from fd00::1 to fd00::2.
pub fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut p = vec![0x6b, 0x80, 0, 0];
    p.extend((payload.len() as u16).to_be_bytes());
    p.extend([next, 62]);
    for last in [1, 2] {
        p.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    p.extend(payload);
    p
}

/// RTP with 160 bytes of payload that differs from packet to packet.
pub fn rtp(payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
    let mut p = vec![0x80, payload_type];
    p.extend(sequence.to_be_bytes());
    p.extend(timestamp.to_be_bytes());
    p.extend(ssrc.to_be_bytes());
    p.extend((0..160_u32).map(|i| (i.wrapping_mul(u32::from(sequence) + 7) >> 3) as u8));
    p
}

/// A SIP request of about this many bytes.
pub fn sip(bytes: usize) -> Vec<u8> {
    let mut p = b"INVITE sip:bob@example.com SIP/2.0\r\nCall-ID: 1@a\r\nCSeq: 1 INVITE\r\nX-Pad: ".to_vec();
    while p.len() + 4 < bytes {
        p.push(b'a' + (p.len() % 23) as u8);
    }
    p.extend(b"\r\n\r\n");
    p
}

/// An RTCP sender report without report blocks.
pub fn rtcp() -> Vec<u8> {
    let mut p = vec![0x80, 200, 0, 6];
    p.extend([0x11; 24]);
    p
}
