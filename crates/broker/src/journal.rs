//! A log of JSON lines in the data folder: what a coordinator must not forget.
//!
//! A line is written before a request is answered, so what was answered survives the end of the process. A torn last
//! line, of a process that died while it wrote, is dropped; the log is written anew at every start, and when it has
//! grown to several times what it holds.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

/// The log is written anew when it has this many lines more than it must.
pub(crate) const SURPLUS_MAX: usize = 10_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    lines: usize,
    bytes: u64,
}

/// The lines of a log, the oldest first; none when there is no file.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Vec<T>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut all = Vec::new();
    let mut lines = text.split_inclusive(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        let number = all.len() + 1;
        match serde_json::from_slice(line) {
            Ok(line) => all.push(line),
            Err(_) if lines.peek().is_none() => {
                tracing::warn!(path = %path.display(), number, "a torn last line is dropped");
            }
            Err(error) => {
                let why = format!("{}: line {number}: {error}", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
        }
    }
    Ok(all)
}

impl Journal {
    /// Writes lines to a new file that takes the place of the old one.
    pub(crate) fn create<T: Serialize>(
        path: &Path,
        lines: impl IntoIterator<Item = T>,
    ) -> io::Result<Self> {
        let (text, lines) = encode(lines)?;
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(Self { path: path.to_owned(), file, lines, bytes: text.len() as u64 })
    }

    /// Adds lines: all or none, as a torn line may only be the last one.
    pub(crate) fn append<T: Serialize>(
        &mut self,
        lines: impl IntoIterator<Item = T>,
    ) -> io::Result<()> {
        let (text, lines) = encode(lines)?;
        let written = self.file.write_all(&text);
        if written.is_err() {
            self.file.set_len(self.bytes)?;
        } else {
            self.bytes += text.len() as u64;
            self.lines += lines;
        }
        written
    }

    /// Where the log is, if it holds many more lines than the `held` that it must.
    pub(crate) fn overgrown(&self, held: usize) -> Option<PathBuf> {
        (self.lines > held + SURPLUS_MAX).then(|| self.path.clone())
    }
}

fn encode<T: Serialize>(lines: impl IntoIterator<Item = T>) -> io::Result<(Vec<u8>, usize)> {
    let mut text = Vec::new();
    let mut count = 0;
    for line in lines {
        serde_json::to_writer(&mut text, &line)?;
        text.push(b'\n');
        count += 1;
    }
    Ok((text, count))
}
