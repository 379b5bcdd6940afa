//! Golden captures: made by the project's own code, replayed, and compared line by line with what is committed.
//!
//! `UPDATE_GOLDEN=1 cargo test -p sip-monitor --test golden` writes captures and expectations anew; what each capture must
//! raise stands in the code (`fixtures/scenes.rs`) and is checked even then.

mod fixtures;

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use fixtures::scenes::{GOLDEN, Golden};
use sip_monitor::capture::replay::{Options, file, replay};
use sip_monitor_engine::config::{Emit, EngineConfig};
use sip_monitor_engine::{Output, Timestamp};

/// Where captures and expectations are; with `UPDATE_GOLDEN` the captures are made anew first, by whichever test comes
/// here first.
fn folder() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        if is_update() {
            for golden in GOLDEN {
                std::fs::write(folder.join(golden.file), (golden.make)()).unwrap();
            }
        }
        folder
    });
    &FOLDER
}

/// All outputs of a golden capture, with messages or without.
fn outputs(capture: &Path, local: Option<&str>, messages: bool) -> Vec<Output> {
    let engine = EngineConfig {
        emit: Emit { calls: true, events: true, streams: true, registrations: true, peers: true, messages },
        ..EngineConfig::default()
    };
    let local = local.map(|l| l.parse().unwrap()).into_iter().collect();
    let options = Options { engine, local, sip_ports: vec![5060, 5061], max_streams: 65_536 };
    let mut out = Vec::new();
    replay(vec![file::read(capture).unwrap()], &options, |o| {
        out.push(o);
        Ok::<(), std::convert::Infallible>(())
    })
    .unwrap();
    out
}

fn lines(outputs: &[Output]) -> String {
    outputs.iter().map(|o| serde_json::to_string(o).unwrap() + "\n").collect()
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

fn expectation(golden: &Golden) -> PathBuf {
    let stem = golden.file.split('.').next().unwrap();
    folder().join(format!("{stem}.jsonl"))
}

fn is_update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

#[test]
fn committed_captures_are_what_the_code_makes() {
    for golden in GOLDEN {
        let (path, made) = (folder().join(golden.file), (golden.make)());
        let committed = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", golden.file));
        assert!(unpacked(&committed) == unpacked(&made), "{} differs: UPDATE_GOLDEN=1 writes it anew", golden.file);
    }
}

#[test]
fn each_capture_raises_its_alerts_and_no_other() {
    let mut wrong = Vec::new();
    for golden in GOLDEN {
        let outputs = outputs(&folder().join(golden.file), Some(golden.local), false);
        let alerts: BTreeSet<(&str, &str)> = outputs
            .iter()
            .filter_map(|o| if let Output::Alert(a) = o { Some((a.code.as_str(), a.cause.as_str())) } else { None })
            .collect();
        if alerts != golden.alerts.iter().copied().collect() {
            wrong.push(format!("{}: {alerts:?} instead of {:?}", golden.file, golden.alerts));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_capture_gives_the_committed_lines() {
    let mut wrong = Vec::new();
    for golden in GOLDEN {
        let ours = lines(&outputs(&folder().join(golden.file), Some(golden.local), false));
        let path = expectation(golden);
        if is_update() {
            std::fs::write(&path, &ours).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        if let Some((n, (a, b))) = ours
            .lines()
            .map(Some)
            .chain(std::iter::repeat(None))
            .zip(expected.lines().map(Some).chain(std::iter::repeat(None)))
            .take(ours.lines().count().max(expected.lines().count()))
            .enumerate()
            .find(|(_, (a, b))| a != b)
        {
            wrong.push(format!(
                "{} line {}:\n  ours      {}\n  committed {}",
                golden.file,
                n + 1,
                a.unwrap_or("nothing"),
                b.unwrap_or("nothing")
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_same_capture_gives_the_same_lines_twice() {
    for golden in GOLDEN {
        let path = folder().join(golden.file);
        assert!(lines(&outputs(&path, None, true)) == lines(&outputs(&path, None, true)), "{}", golden.file);
    }
}

#[test]
fn the_local_address_is_guessed_right_or_the_verdict_is_the_same() {
    for golden in GOLDEN {
        let path = folder().join(golden.file);
        let codes = |local| -> BTreeSet<String> {
            let outputs = outputs(&path, local, false);
            outputs.iter().filter_map(|o| if let Output::Alert(a) = o { Some(a.code.clone()) } else { None }).collect()
        };
        assert_eq!(codes(None), codes(Some(golden.local)), "{}", golden.file);
    }
}

#[test]
fn the_five_good_calls_are_told_alike() {
    let mut told = Vec::new();
    for golden in GOLDEN.iter().filter(|g| g.file.starts_with("good-call")) {
        let outputs = outputs(&folder().join(golden.file), Some(golden.local), false);
        let [call] = &outputs
            .iter()
            .filter_map(|o| if let Output::Call(c) = o { Some(c) } else { None })
            .collect::<Vec<_>>()[..]
        else {
            panic!("{}: one call", golden.file)
        };
        let streams: Vec<(u64, u64, u64)> = outputs
            .iter()
            .filter_map(|o| if let Output::Stream(s) = o { Some((s.packets, s.lost, s.expected)) } else { None })
            .collect();
        let ms = |at: Option<Timestamp>| at.map(|t| t.since(call.invited_at.unwrap()).as_millis());
        told.push((golden.file, (call.final_code, call.state, ms(call.answered_at), ms(call.ended_at), streams)));
    }
    assert_eq!(told.len(), 5);
    for (file, facts) in &told {
        assert_eq!(*facts, told[0].1, "{file} against {}", told[0].0);
    }
}

#[test]
fn another_reader_finds_the_same_frames() {
    for golden in GOLDEN.iter().filter(|g| g.file.ends_with(".pcap.gz")) {
        let path = folder().join(golden.file);
        let ours = file::read(&path).unwrap();
        let bytes = unpacked(&std::fs::read(&path).unwrap());
        let mut theirs = pcap_file::pcap::PcapReader::new(&bytes[..]).unwrap();
        for frame in &ours.frames {
            let packet = theirs.next_packet().unwrap().unwrap();
            assert_eq!(u128::try_from(frame.time_ns).unwrap(), packet.timestamp.as_nanos());
            assert_eq!(ours.frame(frame), &packet.data[..]);
        }
        assert!(theirs.next_packet().is_none(), "{}", golden.file);
    }
}
