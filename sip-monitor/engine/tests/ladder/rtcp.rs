//! RTCP compounds (RFC 3550 6) from one line: `RTCP sr|rr|bye ssrc=1 of=2 fraction=255 lost=500 highest=1000 packets=250`.

use super::Result;
use super::field::Fields;

/// Options of an `RTCP` line.
pub const OPTIONS: [&str; 15] = [
    "sr", "rr", "bye", "ssrc", "of", "fraction", "lost", "highest", "packets", "jitter", "octets", "link", "ntp",
    "lsr", "dlsr",
];

/// The bytes of a compound: a report, the mandatory CNAME, and BYE where asked for.
pub fn compound(fields: &Fields) -> Result<Vec<u8>> {
    let ssrc = number(fields, "ssrc", 1)?;
    let of = fields.option("of").map(|_| number(fields, "of", 0)).transpose()?;
    let block = match of {
        None => Vec::new(),
        Some(of) => {
            let fraction_and_lost = (number(fields, "fraction", 0)? << 24) | (number(fields, "lost", 0)? & 0x00ff_ffff);
            let (lsr, dlsr) = (number(fields, "lsr", 0)?, number(fields, "dlsr", 0)?);
            let words = [of, fraction_and_lost, number(fields, "highest", 0)?, number(fields, "jitter", 0)?, lsr, dlsr];
            words.iter().flat_map(|w| w.to_be_bytes()).collect()
        }
    };
    let count = u8::from(of.is_some());
    let is_sender = fields.option("sr").is_some();
    let mut bytes = Vec::new();
    let mut body = ssrc.to_be_bytes().to_vec();
    if is_sender {
        let packets = number(fields, "packets", 0)?;
        // The middle of the NTP timestamp is what a receiver names (LSR).
        let ntp = number(fields, "ntp", 0)?;
        let words = [ntp >> 16, ntp << 16, 0, packets, number(fields, "octets", packets.saturating_mul(160))?];
        body.extend(words.iter().flat_map(|w| w.to_be_bytes()));
    }
    body.extend(block);
    packet(&mut bytes, count, if is_sender { 200 } else { 201 }, &body);
    let mut cname = ssrc.to_be_bytes().to_vec();
    cname.extend([1, 5, b'a', b'@', b'b', b'.', b'c', 0]);
    packet(&mut bytes, 1, 202, &cname);
    if fields.option("bye").is_some() {
        packet(&mut bytes, 1, 203, &ssrc.to_be_bytes());
    }
    Ok(bytes)
}

fn packet(bytes: &mut Vec<u8>, count: u8, packet_type: u8, body: &[u8]) {
    let words = u16::try_from(body.len() / 4).unwrap_or(u16::MAX);
    bytes.extend([0x80 | count, packet_type]);
    bytes.extend(words.to_be_bytes());
    bytes.extend(body);
}

fn number(fields: &Fields, key: &str, default: u32) -> Result<u32> {
    let Some(text) = fields.option(key) else { return Ok(default) };
    ssrc(text)
}

/// A number, decimal or with `0x`.
pub fn ssrc(text: &str) -> Result<u32> {
    let parsed = text.strip_prefix("0x").map_or_else(|| text.parse(), |hex| u32::from_str_radix(hex, 16));
    parsed.map_err(|_| format!("{text:?} is no number"))
}

#[cfg(test)]
mod tests {
    use rtcp_types::{Compound, Packet};

    use super::*;

    #[test]
    fn another_parser_reads_what_is_written() {
        let fields =
            Fields::parse_with("sr bye ssrc=7 of=9 fraction=255 lost=500 highest=1000 packets=250", &OPTIONS).unwrap();
        let bytes = compound(&fields).unwrap();
        let packets: Vec<_> = Compound::parse(&bytes).unwrap().map(|p| p.unwrap()).collect();
        let [Packet::Sr(sr), Packet::Sdes(_), Packet::Bye(_)] = &packets[..] else { panic!("{packets:?}") };
        let block = sr.report_blocks().next().unwrap();
        assert_eq!((sr.ssrc(), sr.packet_count(), block.ssrc()), (7, 250, 9));
        assert_eq!(
            (block.fraction_lost(), block.cumulative_lost(), block.extended_sequence_number()),
            (255, 500, 1_000)
        );
    }
}
