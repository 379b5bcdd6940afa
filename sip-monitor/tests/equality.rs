//! Replay is kept honest: the same frames go through the real programs and through their twin in user space, and the two
//! lists of Records, and of the Packets made of them, must be equal.
mod support;

use std::{fs, io::Read, path::Path};

use foldhash::fast::FixedState;
use pcap_file::{DataLink, pcap::PcapReader, pcapng::PcapNgReader};
use sip_monitor::capture::{
    decode::{Decoder, DecoderConfig},
    object::LoadOptions,
    record::Record,
    softkernel::{SoftKernel, SoftKernelConfig},
    sweep::{Fate, Sweeper},
};
use sip_monitor_common::{Counter, Direction};
use support::{Kernel, Program_, frames::*};

const SECOND_NS: u64 = 1_000_000_000;
/// `BPF_PROG_TEST_RUN` takes no longer frame for tc.
const LONGEST_FOR_TC: usize = 3_712;
/// The interface of a test run is loopback.
const IFINDEX: u32 = 1;

type Frames = Vec<(u64, Vec<u8>)>;

/// Runs the frames through both and compares.
fn compare(kernel: &mut Kernel, name: &str, program: Program_, frames: &Frames) {
    // Verifying the programs takes longer than a capture: one kernel serves several, emptied in between.
    for record in kernel.streams() {
        kernel.forget(&record.key);
    }
    let before = kernel.counters();
    let direction = if program == Program_::TcEgress { Direction::Out } else { Direction::In };
    let mut soft = SoftKernel::new(SoftKernelConfig { merge_links: false, ..SoftKernelConfig::default() });
    let mut sweeper = Sweeper::new(FixedState::with_seed(1));
    let (mut real, mut twin) = (Vec::new(), Vec::new());
    let mut swept_at = frames.first().map_or(0, |f| f.0);
    for (time_ns, frame) in frames {
        while *time_ns >= swept_at + SECOND_NS {
            swept_at = (swept_at + SECOND_NS).max(time_ns.saturating_sub(time_ns.wrapping_sub(swept_at) % SECOND_NS));
            sweep(kernel, &mut sweeper, swept_at, &mut real);
            soft.sweep(swept_at, &mut twin);
        }
        if frame.len() < 14 || (program != Program_::XdpIngress && frame.len() > LONGEST_FOR_TC) {
            continue;
        }
        if !kernel.run(program, *time_ns, frame) {
            continue;
        }
        real.extend(kernel.drain());
        soft.handle_ethernet(*time_ns, IFINDEX, direction, frame, &mut twin);
    }
    let end = swept_at + 3 * SECOND_NS;
    sweep(kernel, &mut sweeper, end, &mut real);
    soft.sweep(end, &mut twin);

    let (real, twin) = (without_cpu(real), without_cpu(twin));
    for (i, (a, b)) in real.iter().zip(&twin).enumerate() {
        assert_eq!(a, b, "{name} {program:?}: record {i}");
    }
    assert_eq!(real.len(), twin.len(), "{name} {program:?}");
    assert_eq!(packets(&real), packets(&twin), "{name} {program:?}");
    for counter in Counter::ALL {
        let counted = kernel.counters().get(*counter) - before.get(*counter);
        assert_eq!(counted, soft.counters().get(*counter), "{name} {program:?}: {counter:?}");
    }
    assert_eq!(kernel.counters().unexplained(), 0, "{name} {program:?}");
}

/// What the daemon does with the kernel's map once a second.
fn sweep(kernel: &mut Kernel, sweeper: &mut Sweeper<FixedState>, now_ns: u64, out: &mut Vec<Record>) {
    let mut reports = Vec::new();
    for record in kernel.streams() {
        match sweeper.judge(now_ns, &record.key, &record.state) {
            Fate::Keep => {}
            Fate::Forget => kernel.forget(&record.key),
            Fate::Report => {
                let mut report = record;
                report.header.ktime_ns = now_ns;
                reports.push(report);
            }
        }
    }
    sweeper.finish();
    reports.sort_by_key(|r| (r.state.first_ns, r.key));
    out.extend(reports.into_iter().map(|r| Record::Stream(Box::new(r))));
}

fn without_cpu(mut records: Vec<Record>) -> Vec<Record> {
    for record in &mut records {
        match record {
            Record::Bytes { header, .. } => header.cpu = 0,
            Record::Stream(stream) => stream.header.cpu = 0,
        }
    }
    records
}

fn packets(records: &[Record]) -> Vec<String> {
    let mut decoder = Decoder::new(DecoderConfig::default());
    let mut out = Vec::new();
    for record in records {
        decoder.handle_record(record, &mut |packet| out.push(format!("{packet:?}")));
    }
    out
}

fn everywhere(name: &str, frames: &Frames) {
    let Some(mut kernel) = Kernel::load(LoadOptions::default()) else { return };
    for program in [Program_::XdpIngress, Program_::TcIngress, Program_::TcEgress] {
        compare(&mut kernel, name, program, frames);
    }
}

/// Frames 20 ms apart.
fn spaced(frames: Vec<Vec<u8>>) -> Frames {
    frames.into_iter().zip(0_u64..).map(|(frame, n)| (SECOND_NS + n * 20_000_000, frame)).collect()
}

#[test]
fn every_shape_of_frame_is_seen_alike() {
    let mut all = Vec::new();
    let invite = sip(400);
    let bare = ipv4(17, 7, 0, &udp(5060, 5060, &invite));
    for tags in
        [&[0x0800][..], &[0x8100, 0x0800], &[0x88a8, 0x8100, 0x0800], &[0x8100, 0x8100, 0x8100, 0x0800], &[0x0806]]
    {
        all.push(ethernet(tags, &bare));
    }
    all.push(ethernet(&[0x0800], &ipv4_with_options(17, 8, 0, &[1; 40], &udp(5060, 5060, &invite))));
    // Ethernet padding behind the IP packet is no payload.
    let mut padded = ethernet(&[0x0800], &ipv4(17, 9, 0, &udp(5060, 5060, b"\r\n\r\n")));
    padded.resize(60, 0);
    all.push(padded);
    // IPv6: hop-by-hop, routing, destination options, authentication; seven of them are too many.
    let extension = |next: u8, words: u8| {
        let mut e = vec![next, words];
        e.resize((usize::from(words) + 1) * 8, 0);
        e
    };
    let mut chain = [extension(43, 0), extension(60, 2), extension(51, 1), vec![17, 4]].concat();
    chain.resize(chain.len() + 22, 0);
    chain.extend(udp(5060, 5060, &invite));
    all.push(ethernet(&[0x86dd], &ipv6(0, &chain)));
    let mut long = Vec::new();
    for _ in 0..7 {
        long.extend(extension(60, 0));
    }
    long.extend(udp(5060, 5060, &invite));
    all.push(ethernet(&[0x86dd], &ipv6(60, &long)));
    // By first bytes, on any port.
    for start in [
        "SIP/2.0 200 OK\r\n",
        "\r\n\r\nBYE sip:a@b SIP/2.0\r\n",
        "REGISTER sip:b SIP/2.0\r\n",
        "SUBSCRIBE sip:a SIP/2.0\r\n",
        "REGISTERX sip:b",
        "GET / HTTP/1.1\r\n\r\n",
        "INVITE",
        "\r\n\r\n\r\n\r\n\r\nACK sip:a@b SIP/2.0",
        "INFO sip:a@b SIP/2.0\r\n",
    ] {
        all.push(udp4(1024, 1025, start.as_bytes()));
        all.push(udp6(1024, 1025, start.as_bytes()));
    }
    // STUN, DTLS, RTP-like DNS, empty, RTCP in all forms.
    all.push(udp4(3478, 3479, &[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]));
    all.push(udp4(3478, 3479, &[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    all.push(udp4(53, 3479, &[0x80; 40]));
    all.push(udp4(1, 2, &[]));
    all.push(udp4(5060, 2, &[]));
    all.push(udp4(40_001, 40_001, &rtcp()));
    all.push(udp4(40_001, 40_001, &[0x80, 201, 0, 1, 1, 2, 3, 4]));
    all.push(udp4(40_001, 40_001, &[0x80, 201, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8]));
    all.push(udp4(40_001, 40_001, &[0x80, 204, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8]));
    // TCP of SIP ports with payload, SYN, bare ACK; of others.
    for (port, flags, payload) in [(5060, 0x18, &invite[..]), (5060, 2, &[][..]), (5060, 16, &[]), (80, 0x18, &invite)]
    {
        all.push(ethernet(&[0x0800], &ipv4(6, 1, 0, &tcp(40_000, port, flags, payload))));
        all.push(ethernet(&[0x86dd], &ipv6(6, &tcp(40_000, port, flags, payload))));
    }
    // ICMP errors and others.
    for (kind, code, protocol, quoted) in [
        (3, 3, 17, udp(40_000, 40_002, &[])),
        (3, 3, 6, tcp(40_000, 5060, 2, &[])),
        (3, 3, 6, tcp(40_000, 80, 2, &[])),
        (8, 0, 17, udp(1, 2, &[])),
    ] {
        let mut icmp = vec![kind, code, 0, 0, 0, 0, 0, 0];
        icmp.extend(ipv4(protocol, 3, 0, &quoted[..8]));
        all.push(ethernet(&[0x0800], &ipv4(1, 5, 0, &icmp)));
        let mut icmp6 = vec![if kind == 3 { 1 } else { 128 }, 4, 0, 0, 0, 0, 0, 0];
        icmp6.extend(ipv6(protocol, &quoted));
        all.push(ethernet(&[0x86dd], &ipv6(58, &icmp6)));
    }
    all.push(ethernet(&[0x0800], &ipv4(47, 5, 0, &[0; 20])));
    everywhere("shapes", &spaced(all));
}

#[test]
fn frames_cut_at_every_length_are_seen_alike_and_never_stop_a_program() {
    let whole = [
        ethernet(&[0x88a8, 0x8100, 0x0800], &ipv4(17, 7, 0, &udp(5060, 5060, &sip(80)))),
        udp6(40_000, 40_002, &rtp(8, 1, 160, 7)[..40]),
        ethernet(&[0x0800], &ipv4(6, 1, 0, &tcp(40_000, 5060, 0x18, &sip(60)))),
    ];
    let cut = whole.iter().flat_map(|frame| (14..=frame.len()).map(|n| frame[..n].to_vec())).collect();
    everywhere("cut", &spaced(cut));
}

#[test]
fn fragments_are_put_together_alike() {
    let invite = udp(5060, 5060, &sip(3_000));
    let rtp_whole = udp(40_000, 40_002, &[&rtp(8, 1, 160, 7)[..], &[7; 2_000]].concat());
    let mut all = Vec::new();
    for (id, datagram) in [(1_u16, &invite), (2, &rtp_whole)] {
        let pieces: Vec<&[u8]> = datagram.chunks(1_480).collect();
        for (i, piece) in pieces.iter().enumerate() {
            let more = i + 1 < pieces.len();
            let flags = (i * 1_480 / 8) as u16 | if more { 0x2000 } else { 0 };
            all.push(ethernet(&[0x0800], &ipv4(17, id, flags, piece)));
            let mut extended = vec![17, 0];
            extended.extend(((i * 1_480) as u16 | u16::from(more)).to_be_bytes());
            extended.extend(u32::from(id).to_be_bytes());
            extended.extend(*piece);
            all.push(ethernet(&[0x86dd], &ipv6(44, &extended)));
        }
    }
    let frames = spaced(all);
    everywhere("fragments", &frames);
    let mut soft = SoftKernel::new(SoftKernelConfig::default());
    let mut records = Vec::new();
    for (time_ns, frame) in &frames {
        soft.handle_ethernet(*time_ns, 0, Direction::In, frame, &mut records);
    }
    let whole = packets(&records).iter().filter(|p| p.contains("Udp(")).count();
    assert_eq!(whole, 2, "one INVITE over each IP version; fragmented RTP is no signalling");
}

#[test]
fn rtp_with_loss_repeats_reordering_wrap_and_restart_is_counted_alike() {
    let mut sequence: Vec<u16> = (0..300_u16).map(|n| 65_400_u16.wrapping_add(n)).collect();
    sequence.remove(250);
    sequence.remove(40);
    sequence.insert(60, sequence[58]);
    sequence.swap(100, 102);
    sequence.swap(180, 195);
    sequence.extend(20_000..20_080);
    sequence.push(40_000);
    sequence.extend(20_080..20_100);
    let mut frames = Vec::new();
    for (n, s) in sequence.iter().enumerate() {
        let at = SECOND_NS + n as u64 * 20_000_000 + u64::from(*s % 7) * 300_000;
        let payload_type = if n % 50 == 49 {
            13
        } else if n > 200 {
            101
        } else {
            8
        };
        let timestamp = u32::from(*s).wrapping_mul(160);
        frames.push((at, udp4(40_000, 40_002, &rtp(payload_type, *s, timestamp, 0xdead_beef))));
        frames.push((at + 1_000, udp6(40_004, 40_006, &rtp(0, *s, timestamp, 1))));
        if n % 100 == 0 {
            // A look-alike: never two in sequence.
            frames.push((at + 2_000, udp4(5_000, 6_000, &rtp(5, s.wrapping_mul(977), timestamp, u32::from(*s)))));
        }
    }
    // Silence, so that the look-alikes are forgotten, then speech again.
    let last = frames.last().unwrap().0;
    for n in 0..60_u16 {
        let at = last + 15 * SECOND_NS + u64::from(n) * 20_000_000;
        frames.push((at, udp4(40_000, 40_002, &rtp(8, 20_100 + n, 3_000_000 + u32::from(n) * 160, 0xdead_beef))));
    }
    everywhere("rtp", &frames);
}

#[test]
fn long_datagrams_go_up_in_parts_alike() {
    let frames = spaced([9_000, 8_164, 8_165, 65_507].map(|n| udp4(5060, 5060, &sip(n))).into_iter().collect());
    let Some(mut kernel) = Kernel::load(LoadOptions::default()) else { return };
    compare(&mut kernel, "long", Program_::XdpIngress, &frames);
}

#[test]
fn noise_is_seen_alike() {
    let mut state = 0x1234_5678_9abc_def0_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let seeds = [
        udp4(5060, 40_000, &sip(120)),
        udp6(40_000, 40_002, &rtp(8, 1, 160, 7)),
        udp4(40_001, 40_001, &rtcp()),
        ethernet(&[0x8100, 0x0800], &ipv4(6, 1, 0, &tcp(40_000, 5060, 0x18, &sip(60)))),
        ethernet(
            &[0x86dd],
            &ipv6(0, &[&[44, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 9][..], &udp(1, 2, &sip(60))].concat()),
        ),
    ];
    let mut frames = Vec::new();
    for _ in 0..3_000 {
        let mut frame = seeds[random() as usize % seeds.len()].clone();
        for _ in 0..1 + random() % 4 {
            let at = 12 + random() as usize % 60;
            if let Some(byte) = frame.get_mut(at) {
                *byte = random() as u8;
            }
        }
        frame.truncate(14 + random() as usize % frame.len());
        frames.push(frame);
    }
    everywhere("noise", &spaced(frames));
}

#[test]
fn fixture_captures_are_seen_alike() {
    let Some(mut kernel) = Kernel::load(LoadOptions::default()) else { return };
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for path in captures(&golden) {
        fixture(&mut kernel, &path);
    }
    let corpus = std::env::var_os("SIP_MONITOR_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus"), Into::into);
    let foreign = captures(&corpus.join("pcaps"));
    if foreign.is_empty() {
        eprintln!("skipped: no corpus");
    }
    for path in foreign {
        fixture(&mut kernel, &path);
    }
}

fn captures(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path());
    let mut all: Vec<_> =
        entries.filter(|p| p.extension().is_some_and(|e| e == "pcap" || e == "pcapng" || e == "gz")).collect();
    all.sort();
    all
}

fn fixture(kernel: &mut Kernel, path: &Path) {
    let mut frames = read(path);
    frames.sort_by_key(|f| f.0);
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    compare(kernel, &name, Program_::XdpIngress, &frames);
    compare(kernel, &name, Program_::TcEgress, &frames);
}

/// Ethernet frames of a capture; of other link types none.
fn read(path: &Path) -> Frames {
    let mut bytes = fs::read(path).expect("readable");
    if path.extension().is_some_and(|e| e == "gz") {
        let packed = std::mem::take(&mut bytes);
        flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut bytes).expect("gzip");
    }
    let mut frames = Vec::new();
    if let Ok(mut reader) = PcapReader::new(&bytes[..]) {
        if reader.header().datalink == DataLink::ETHERNET {
            while let Some(Ok(packet)) = reader.next_packet() {
                frames.push((packet.timestamp.as_nanos() as u64, packet.data.into_owned()));
            }
        }
        return frames;
    }
    let Ok(mut reader) = PcapNgReader::new(&bytes[..]) else { return frames };
    while let Some(Ok(block)) = reader.next_block() {
        let block = block.into_owned();
        if let Some(packet) = block.into_enhanced_packet()
            && reader.interfaces().get(packet.interface_id as usize).is_some_and(|i| i.linktype == DataLink::ETHERNET)
        {
            frames.push((packet.timestamp.as_nanos() as u64, packet.data.into_owned()));
        }
    }
    frames
}
