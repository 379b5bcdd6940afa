//! The alerts file: JSON lines, appended with one `write` each, reopened when it was renamed.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use sip_monitor_engine::Output;

use super::jsonl;
use crate::cli::exit::{Code, Failure};

/// An open alerts file.
#[derive(Debug)]
pub(super) struct AlertsFile {
    path: PathBuf,
    file: File,
}

impl AlertsFile {
    /// Opens `path` for appending, makes it where it is not there yet.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().append(true).create(true).open(path).map_err(|e| {
            let code = if e.kind() == io::ErrorKind::PermissionDenied { Code::NoPermission } else { Code::Io };
            Failure::new(code, format!("alerts file {}: {e}", path.display()))
                .fix("make its directory, or name another file with --alerts-file")
        })?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Opens the same path again. The old file stays open until that has worked, so that no line is lost.
    pub(super) fn reopen(&mut self) -> Result<(), Failure> {
        *self = Self::open(&self.path)?;
        Ok(())
    }

    /// Appends one line.
    pub(super) fn write(&mut self, output: &Output) -> io::Result<()> {
        jsonl::write(&mut self.file, output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_monitor_engine::record::MessageRecord;
    use sip_monitor_engine::time::Timestamp;

    #[test]
    fn rename_and_reopen_loses_no_line() {
        let dir = std::env::temp_dir().join(format!("sip-monitor-file-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (path, old) = (dir.join("alerts.jsonl"), dir.join("alerts.jsonl.1"));
        let line = Output::Message(Box::new(MessageRecord {
            schema: 1,
            ts: Timestamp::ZERO,
            src: String::new(),
            dst: String::new(),
            transport: "udp".into(),
            method: None,
            code: None,
            call_id: None,
            cseq: None,
            faults: vec![],
            retransmission: false,
        }));
        let mut file = AlertsFile::open(&path).unwrap();
        file.write(&line).unwrap();
        std::fs::rename(&path, &old).unwrap();
        file.write(&line).unwrap();
        file.reopen().unwrap();
        file.write(&line).unwrap();
        let lines = |p: &Path| std::fs::read_to_string(p).unwrap().lines().count();
        assert_eq!((lines(&old), lines(&path)), (2, 1));
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_directory_that_is_not_there_is_told_with_its_fix() {
        let failure = AlertsFile::open(Path::new("/nonexistent/alerts.jsonl")).unwrap_err();
        assert_eq!(failure.code, Code::Io);
        assert!(failure.to_string().contains("--alerts-file"));
    }
}
