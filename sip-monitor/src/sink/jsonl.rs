//! One JSON object a line.

use std::io::{self, Write};

use sip_monitor_engine::Output;

/// Writes one line with one `write`, so that lines of several writers of one file do not mix.
///
/// # Errors
/// What the writer says.
pub fn write(writer: &mut (impl Write + ?Sized), output: &Output) -> io::Result<()> {
    let mut line = serde_json::to_vec(output).map_err(io::Error::other)?;
    line.push(b'\n');
    writer.write_all(&line)
}
