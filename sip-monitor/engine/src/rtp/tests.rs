//! RTP and RTCP on literal bytes, and `rtcp-types` as an oracle.

use rtcp_types::{Compound, Packet, ReceiverReport, ReportBlock as Block, RtcpPacketWriterExt, SenderReport};

use super::*;

#[test]
fn an_rtp_header_has_its_fields() {
    let bytes = [0x80, 0x88, 0x12, 0x34, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3];
    let header = RtpHeader::parse(&bytes).unwrap();
    assert_eq!((header.marker, header.payload_type, header.sequence), (true, 8, 0x1234));
    assert_eq!((header.timestamp, header.ssrc, header.payload), (160, 0xdead_beef, &[1u8, 2, 3][..]));
}

#[test]
fn csrcs_extension_and_padding_are_no_payload() {
    let fixed = [0xb2, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1];
    let bytes = [&fixed[..], &[9; 8], &[0xbe, 0xde, 0, 1], &[9; 4], b"pay", &[0, 0, 3]].concat();
    let header = RtpHeader::parse(&bytes).unwrap();
    assert_eq!((header.header_bytes, header.payload), (28, &b"pay"[..]));
    for length in 0..28 {
        assert_eq!(RtpHeader::parse(&bytes[..length]), None, "{length}");
    }
    assert_eq!(RtpHeader::parse(&[0x40; 20]), None);
}

#[test]
fn padding_that_says_nonsense_is_left_on() {
    let bytes = [&[0xa0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1][..], &[200, 200]].concat();
    assert_eq!(RtpHeader::parse(&bytes).unwrap().payload, [200, 200]);
}

#[test]
fn static_payload_types_are_those_of_rfc_3551() {
    assert_eq!(static_payload(0).map(|format| (format.name, format.clock_rate_hz)), Some(("PCMU", 8000)));
    assert_eq!(static_payload(9).map(|format| format.clock_rate_hz), Some(8000));
    assert_eq!(static_payload(10).map(|format| (format.clock_rate_hz, format.channels)), Some((44_100, 2)));
    assert_eq!((0..128).filter(|payload_type| static_payload(*payload_type).is_some()).count(), 24);
    assert_eq!(static_payload(96), None);
    assert_eq!(static_payload(72), None);
}

/// An SR of `ssrc` with one report block, written by the oracle.
fn sender_report(ssrc: u32, lost: u32) -> Vec<u8> {
    let block = Block::builder(0x0102_0304)
        .fraction_lost(128)
        .cumulative_lost(lost)
        .extended_sequence_number(0x0001_fffe)
        .interarrival_jitter(77)
        .last_sender_report_timestamp(0x1122_3344)
        .delay_since_last_sender_report_timestamp(65_536);
    let report = SenderReport::builder(ssrc)
        .ntp_timestamp(0x0102_0304_0506_0708)
        .rtp_timestamp(8_000)
        .packet_count(50)
        .octet_count(8_000)
        .add_report_block(block);
    written(&report)
}

fn written(packet: &impl RtcpPacketWriterExt) -> Vec<u8> {
    let mut bytes = vec![0; 512];
    let length = packet.write_into(&mut bytes).unwrap();
    bytes.truncate(length);
    bytes
}

fn packets(bytes: &[u8]) -> Vec<RtcpPacket<'_>> {
    Rtcp::parse(bytes).unwrap().collect()
}

#[test]
fn a_sender_report_has_its_block() {
    let bytes = sender_report(9, 5);
    let [packet] = &packets(&bytes)[..] else { panic!() };
    let RtcpPacket::SenderReport { ssrc: 9, info, reports } = packet else { panic!("{packet:?}") };
    assert_eq!((info.ntp, info.rtp_timestamp, info.packets, info.octets), (0x0102_0304_0506_0708, 8_000, 50, 8_000));
    let expected = ReportBlock {
        ssrc: 0x0102_0304,
        fraction_lost: 128,
        cumulative_lost: 5,
        highest_sequence: 0x0001_fffe,
        jitter_rtp_units: 77,
        last_sr: 0x1122_3344,
        delay_since_last_sr: 65_536,
    };
    assert_eq!(reports.collect::<Vec<_>>(), [expected]);
}

#[test]
fn cumulative_loss_is_signed() {
    let bytes = sender_report(9, 0x00ff_ffff);
    assert_eq!(packets(&bytes)[0].reports().next().unwrap().cumulative_lost, -1);
    let bytes = sender_report(9, 0x007f_ffff);
    assert_eq!(packets(&bytes)[0].reports().next().unwrap().cumulative_lost, 8_388_607);
    let bytes = sender_report(9, 0x0080_0000);
    assert_eq!(packets(&bytes)[0].reports().next().unwrap().cumulative_lost, -8_388_608);
}

#[test]
fn a_compound_gives_its_packets_in_order() {
    let sdes = [&[0x81, 202, 0, 4][..], &[0, 0, 0, 9, 2, 1, b'n', 1, 3, b'a', b'@', b'h', 0, 0, 0, 0]].concat();
    let feedback = [0x8f, 206, 0, 2, 0, 0, 0, 9, 0, 0, 0, 7];
    let app = [&[0x80, 204, 0, 2, 0, 0, 0, 9][..], b"name"].concat();
    let other = [0x80, 209, 0, 0];
    let bye = [&[0x81, 203, 0, 2, 0, 0, 0, 9, 3][..], b"end"].concat();
    let bytes = [sender_report(9, 0), sdes, feedback.to_vec(), app, other.to_vec(), bye].concat();
    let read = packets(&bytes);
    assert_eq!(read.len(), 6);
    assert!(matches!(read[1], RtcpPacket::SourceDescription { ssrc: 9, cname: Some(b"a@h") }));
    assert!(matches!(read[2], RtcpPacket::Feedback { packet_type: 206, format: 15, ssrc: 9, media_ssrc: 7 }));
    assert!(matches!(read[3], RtcpPacket::App { ssrc: 9, name: [b'n', b'a', b'm', b'e'] }));
    assert!(matches!(read[4], RtcpPacket::Other { packet_type: 209 }));
    assert!(matches!(read[5], RtcpPacket::Bye { ssrc: 9, count: 1, reason: Some(b"end") }));
    assert_eq!(read.iter().filter_map(RtcpPacket::sender).collect::<Vec<_>>(), [9; 5]);
}

#[test]
fn voip_metrics_are_read_and_unavailable_is_none() {
    let metrics = [
        0, 0, 0, 7, 12, 3, 200, 1, 0, 100, 1, 0, 0, 60, 0, 40, 0xec, 0xc4, 16, 127, 93, 127, 41, 127, 0, 0, 0, 60, 0,
        120, 0, 200,
    ];
    let bytes = [&[0x80, 207, 0, 13, 0, 0, 0, 9][..], &[4, 0, 0, 2], &[0; 8], &[7, 0, 0, 8], &metrics].concat();
    let [RtcpPacket::ExtendedReport { ssrc: 9, blocks }] = packets(&bytes)[..] else { panic!() };
    let blocks: Vec<_> = blocks.collect();
    let [XrBlock::Other(4), XrBlock::VoipMetrics(read)] = blocks[..] else { panic!("{blocks:?}") };
    assert_eq!((read.ssrc, read.loss_rate, read.discard_rate, read.burst_density), (7, 12, 3, 200));
    assert_eq!((read.burst_duration_ms, read.gap_duration_ms, read.round_trip_delay_ms), (100, 256, 60));
    assert_eq!((read.r_factor, read.mos_lq_tenths, read.mos_cq_tenths), (Some(93), Some(41), None));
    assert_eq!((read.jitter_buffer_nominal_ms, read.jitter_buffer_maximum_ms), (60, 120));
}

#[test]
fn a_cut_compound_keeps_what_was_whole() {
    let whole = [sender_report(9, 0), vec![0x81, 203, 0, 1, 0, 0, 0, 9]].concat();
    let sr = whole.len() - 8;
    for length in 0..whole.len() {
        let cut = Rtcp::parse(&whole[..length]).map(Iterator::count);
        let expected = match length {
            0..4 => Err(NotRtcp),
            4..28 => Ok(0),
            _ => Ok(1),
        };
        assert_eq!(cut, expected, "{length}");
        let blocks =
            Rtcp::parse(&whole[..length]).map_or(0, |compound| compound.map(|packet| packet.reports().count()).sum());
        assert_eq!(blocks, usize::from(length >= sr), "{length}");
    }
}

#[test]
fn reduced_size_and_padded_packets_are_read() {
    let feedback = [0x81, 205, 0, 2, 0, 0, 0, 9, 0, 0, 0, 7];
    assert!(matches!(packets(&feedback)[..], [RtcpPacket::Feedback { format: 1, .. }]));
    let padded = [0xa1, 203, 0, 2, 0, 0, 0, 9, 0, 0, 0, 4];
    assert!(matches!(packets(&padded)[..], [RtcpPacket::Bye { ssrc: 9, reason: None, .. }]));
}

#[test]
fn rtp_is_no_rtcp() {
    assert_eq!(Rtcp::parse(&[0x80, 0, 0, 1, 0, 0, 0, 1]).err(), Some(NotRtcp));
    assert_eq!(Rtcp::parse(&[0x00, 200, 0, 1, 0, 0, 0, 1]).err(), Some(NotRtcp));
}

proptest::proptest! {
    #[test]
    fn rtcp_types_reads_the_same(
        ssrc in 1..=u32::MAX,
        blocks in proptest::collection::vec(
            (proptest::arbitrary::any::<(u32, u8, u32, u32, u32, u32)>(), 0..0x0100_0000u32), 0..=31),
        is_sender: bool,
    ) {
        let built = |((ssrc, fraction, highest, jitter, last_sr, delay), lost): &((u32, u8, u32, u32, u32, u32), u32)| {
            Block::builder(*ssrc)
                .fraction_lost(*fraction)
                .cumulative_lost(*lost)
                .extended_sequence_number(*highest)
                .interarrival_jitter(*jitter)
                .last_sender_report_timestamp(*last_sr)
                .delay_since_last_sender_report_timestamp(*delay)
        };
        let mut bytes = vec![0; 1024];
        let length = if is_sender {
            blocks.iter().fold(SenderReport::builder(ssrc), |report, block| report.add_report_block(built(block))).write_into(&mut bytes)
        } else {
            blocks.iter().fold(ReceiverReport::builder(ssrc), |report, block| report.add_report_block(built(block))).write_into(&mut bytes)
        };
        bytes.truncate(length.unwrap());

        let theirs: Vec<_> = Compound::parse(&bytes).unwrap().map(Result::unwrap).collect();
        let ours = packets(&bytes);
        proptest::prop_assert_eq!(ours.len(), theirs.len());
        let same = |our: &[ReportBlock], their: &[Block<'_>]| {
            our.len() == their.len() && our.iter().zip(their).all(|(our, their)| {
                (our.ssrc, our.fraction_lost) == (their.ssrc(), their.fraction_lost())
                    && our.cumulative_lost.cast_unsigned() & 0x00ff_ffff == their.cumulative_lost()
                    && our.highest_sequence == their.extended_sequence_number()
                    && our.jitter_rtp_units == their.interarrival_jitter()
                    && our.last_sr == their.last_sender_report_timestamp()
                    && our.delay_since_last_sr == their.delay_since_last_sender_report_timestamp()
            })
        };
        let our_blocks: Vec<_> = ours[0].reports().collect();
        proptest::prop_assert_eq!(ours[0].sender(), Some(ssrc));
        match &theirs[0] {
            Packet::Sr(report) => proptest::prop_assert!(same(&our_blocks, &report.report_blocks().collect::<Vec<_>>())),
            Packet::Rr(report) => proptest::prop_assert!(same(&our_blocks, &report.report_blocks().collect::<Vec<_>>())),
            other => proptest::prop_assert!(false, "{:?}", other),
        }
    }
}
