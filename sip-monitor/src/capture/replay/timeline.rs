//! Frames of several files in the order of time, and which files belong together.

use std::time::Duration;

use sip_monitor_engine::Timestamp;

use super::file::{CaptureFile, Frame};
use super::link;
use super::survey::Survey;

/// Files further apart than this are different captures. Parts of one capture (`tcpdump -C`, `-G`) follow each other at
/// once, or after the silence of a quiet host.
const APART: Duration = Duration::from_secs(60);

/// Splits files into captures: those that overlap or follow each other closely are one, and what is open at its end is
/// open, not silent for the years up to the next.
#[must_use]
pub fn captures(mut files: Vec<CaptureFile>) -> Vec<Vec<CaptureFile>> {
    // Frames of one file need not be in order.
    let span = |f: &CaptureFile| {
        let times = || f.frames.iter().map(|frame| frame.time_ns);
        (times().min().unwrap_or(i64::MIN), times().max().unwrap_or(i64::MIN))
    };
    files.sort_by_key(|f| span(f).0);
    let mut out: Vec<Vec<CaptureFile>> = Vec::new();
    let mut end = i64::MIN;
    for file in files {
        let (first, last) = span(&file);
        let is_apart = Timestamp::from_unix_ns(first).since(Timestamp::from_unix_ns(end)) > APART && end != i64::MIN;
        match out.last_mut() {
            Some(capture) if !is_apart => capture.push(file),
            _ => out.push(vec![file]),
        }
        end = end.max(last);
    }
    out
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
    use super::super::file::Hint;
    use super::*;

    fn file(seconds: &[i64]) -> CaptureFile {
        let frame = |s: &i64| Frame {
            time_ns: s * 1_000_000_000,
            start: 0,
            len: 0,
            interface: 0,
            hint: Hint::Unknown,
            cut: false,
        };
        CaptureFile { frames: seconds.iter().map(frame).collect(), ..CaptureFile::default() }
    }

    fn shape(files: Vec<CaptureFile>) -> Vec<usize> {
        captures(files).iter().map(Vec::len).collect()
    }

    #[test]
    fn parts_of_one_capture_stay_together_in_any_order() {
        assert_eq!(shape(vec![file(&[110, 200]), file(&[0, 100]), file(&[50, 90])]), [3]);
    }

    #[test]
    fn captures_of_other_days_are_captures_of_their_own() {
        assert_eq!(shape(vec![file(&[0, 10]), file(&[86_400]), file(&[5, 30])]), [2, 1]);
    }

    #[test]
    fn a_file_without_frames_joins_another() {
        assert_eq!(shape(vec![file(&[]), file(&[1_000])]), [2]);
        assert_eq!(shape(vec![file(&[])]), [1]);
        assert_eq!(shape(vec![]), [0; 0]);
    }
}
