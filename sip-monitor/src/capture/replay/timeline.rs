//! Frames of several files in the order of time, and which files belong together.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use sip_monitor_engine::Timestamp;

use super::file::{CaptureFile, Frame};
use super::link;
use super::survey::Survey;

/// Files further apart than this are different captures. Parts of one capture (`tcpdump -C`, `-G`) follow each other at
/// once, or after the silence of a quiet host.
const APART: Duration = Duration::from_secs(60);

/// Files of one capture.
#[derive(Debug, Default)]
struct Capture {
    files: Vec<CaptureFile>,
    hosts: BTreeSet<IpAddr>,
    first: Timestamp,
    last: Timestamp,
}

impl Capture {
    /// Whether `other` is a part of it: about the same time, and a host in common where any is known.
    fn takes(&self, other: &Self) -> bool {
        let near = other.first.since(self.last) <= APART && self.first.since(other.last) <= APART;
        near && (self.hosts.is_empty() || other.hosts.is_empty() || !self.hosts.is_disjoint(&other.hosts))
    }

    fn of(file: CaptureFile, sip_ports: &[u16]) -> Self {
        // Frames of one file need not be in order.
        let times = || file.frames.iter().map(|frame| Timestamp::from_unix_ns(frame.time_ns));
        let (first, last) = (times().min().unwrap_or_default(), times().max().unwrap_or_default());
        let timeline = Timeline::new(vec![file]);
        let hosts = timeline.survey(sip_ports).hosts.into_keys().collect();
        Self { files: timeline.files, hosts, first, last }
    }
}

/// Splits files into captures: those of about the same time and of the same hosts are one. What is open at the end of a
/// capture is open, not silent for the years up to the next.
#[must_use]
pub fn captures(files: Vec<CaptureFile>, sip_ports: &[u16]) -> Vec<Vec<CaptureFile>> {
    if files.len() < 2 {
        return vec![files];
    }
    let mut parts: Vec<Capture> = files.into_iter().map(|file| Capture::of(file, sip_ports)).collect();
    parts.sort_by_key(|part| part.first);
    let mut out: Vec<Capture> = Vec::new();
    for part in parts {
        match out.iter_mut().rfind(|capture| capture.takes(&part)) {
            Some(capture) => {
                capture.last = capture.last.max(part.last);
                capture.hosts.extend(part.hosts);
                capture.files.extend(part.files);
            }
            None => out.push(part),
        }
    }
    out.into_iter().map(|capture| capture.files).collect()
}

/// Frames of several files in the order of time, equal times in the order of the files and within them.
#[derive(Debug)]
pub struct Timeline {
    files: Vec<CaptureFile>,
    order: Vec<Place>,
    /// For each file the number of its first interface in the common list.
    first_link: Vec<u16>,
}

/// Where a frame stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    time_ns: i64,
    index: u32,
    file: u16,
}

/// One frame of a timeline.
#[derive(Clone, Copy, Debug)]
pub struct TimedFrame<'a> {
    /// Its place in its file.
    pub frame: Frame,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// `LINKTYPE_*`.
    pub link_type: u32,
    /// Index into [`Timeline::link_names`].
    pub link: u16,
}

impl Timeline {
    /// Puts the frames of `files` in order.
    #[must_use]
    pub fn new(files: Vec<CaptureFile>) -> Self {
        let mut order = Vec::with_capacity(files.iter().map(|f| f.frames.len()).sum());
        let mut first_link = Vec::with_capacity(files.len());
        let mut links = 0_u16;
        for (number, file) in files.iter().enumerate() {
            first_link.push(links);
            links = links.saturating_add(u16::try_from(file.interfaces.len()).unwrap_or(u16::MAX));
            let file_number = u16::try_from(number).unwrap_or(u16::MAX);
            order.extend(file.frames.iter().zip(0..).map(|(f, index)| Place {
                time_ns: f.time_ns,
                index,
                file: file_number,
            }));
        }
        order.sort_by_key(|p| p.time_ns);
        Self { files, order, first_link }
    }

    /// The frames, earliest first.
    pub fn frames(&self) -> impl Iterator<Item = TimedFrame<'_>> {
        self.order.iter().filter_map(|place| {
            let number = usize::from(place.file);
            let file = self.files.get(number)?;
            let frame = *file.frames.get(place.index as usize)?;
            let link_type = file.interfaces.get(usize::from(frame.interface))?.link_type;
            let link = self.first_link.get(number)?.saturating_add(frame.interface);
            Some(TimedFrame { frame, bytes: file.frame(&frame), link_type, link })
        })
    }

    /// Names of the interfaces of all files; empty where a file does not tell.
    #[must_use]
    pub fn link_names(&self) -> Vec<String> {
        self.files.iter().flat_map(|f| f.interfaces.iter().map(|i| i.name.clone())).collect()
    }

    /// First and last time.
    #[must_use]
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let (first, last) = (self.order.first()?, self.order.last()?);
        Some((Timestamp::from_unix_ns(first.time_ns), Timestamp::from_unix_ns(last.time_ns)))
    }

    /// Looks at every frame once.
    #[must_use]
    pub fn survey(&self, sip_ports: &[u16]) -> Survey {
        let mut survey = Survey::default();
        for timed in self.frames() {
            if let Ok(network) = link::network(timed.link_type, timed.bytes) {
                survey.look_at(&network, timed.frame.hint, sip_ports);
            }
        }
        survey
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::{Hint, Interface};
    use super::*;

    /// A SIP request between two hosts at each of these seconds, as raw IP.
    fn file(host: u8, seconds: &[i64]) -> CaptureFile {
        let sip = b"OPTIONS sip:a@b SIP/2.0\r\n\r\n";
        let mut packet =
            vec![0x45, 0, 0, 28 + sip.len() as u8, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, host, 203, 0, 113, host];
        packet.extend([0x13, 0xc4, 0x13, 0xc4, 0, 8 + sip.len() as u8, 0, 0]);
        packet.extend(sip);
        let len = packet.len() as u32;
        let frame = |s: &i64| Frame {
            time_ns: s * 1_000_000_000,
            start: 0,
            len,
            interface: 0,
            hint: Hint::Unknown,
            cut: false,
        };
        CaptureFile {
            bytes: packet,
            frames: seconds.iter().map(frame).collect(),
            interfaces: vec![Interface { name: String::new(), link_type: 101 }],
            ..CaptureFile::default()
        }
    }

    fn shape(files: Vec<CaptureFile>) -> Vec<usize> {
        captures(files, &[5060]).iter().map(Vec::len).collect()
    }

    #[test]
    fn parts_of_one_capture_stay_together_in_any_order() {
        assert_eq!(shape(vec![file(1, &[110, 200]), file(1, &[1, 100]), file(1, &[50, 90])]), [3]);
    }

    #[test]
    fn captures_of_other_days_are_captures_of_their_own() {
        assert_eq!(shape(vec![file(1, &[1, 10]), file(1, &[86_400]), file(1, &[5, 30])]), [2, 1]);
    }

    #[test]
    fn captures_of_other_hosts_are_captures_of_their_own() {
        assert_eq!(shape(vec![file(1, &[1, 10]), file(2, &[5, 86_400]), file(1, &[20])]), [2, 1]);
    }

    #[test]
    fn one_file_is_one_capture_whatever_it_holds() {
        assert_eq!(shape(vec![file(1, &[])]), [1]);
        assert_eq!(shape(vec![file(1, &[1, 1_000_000])]), [1]);
    }
}
