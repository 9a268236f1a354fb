//! Files as lines: plain, `.gz` or `.zst`, or standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};

/// Bytes of one line. A longer one is no telemetry by any measure, and reading
/// on would fill the memory, so the command stops and names the line.
const LINE_BYTES_MAX: usize = 64 << 20;

/// Bytes that are read ahead.
const BUFFER_BYTES: usize = 1 << 17;

/// Lines of a file, unpacked by its suffix.
pub(crate) struct Lines {
    name: String,
    reader: Box<dyn BufRead + Send>,
    /// The next line, counted from 0.
    next: i64,
    read: Arc<AtomicU64>,
    size: Option<u64>,
}

impl Lines {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    /// What the system says, with the file's name.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let read = Arc::new(AtomicU64::new(0));
        if name == "-" {
            let reader = Box::new(BufReader::with_capacity(BUFFER_BYTES, io::stdin()));
            return Ok(Self { name: "standard input".into(), reader, next: 0, read, size: None });
        }
        let file = File::open(path).with_context(|| name.clone())?;
        let metadata = file.metadata().with_context(|| name.clone())?;
        if metadata.is_dir() {
            bail!("{name}: is a folder");
        }
        let size = metadata.is_file().then_some(metadata.len());
        let counted = BufReader::with_capacity(BUFFER_BYTES, Counted { file, read: read.clone() });
        let reader: Box<dyn BufRead + Send> = match suffix(path) {
            "gz" => {
                let unpacked = flate2::bufread::MultiGzDecoder::new(counted);
                Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked))
            }
            "zst" => {
                let unpacked = zstd::Decoder::with_buffer(counted).with_context(|| name.clone())?;
                Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked))
            }
            "avro" => bail!("{name}: Avro container files are not supported yet"),
            "parquet" => bail!("{name}: Parquet files are not supported yet"),
            _ => Box::new(counted),
        };
        Ok(Self { name, reader, next: 0, read, size })
    }

    /// Reads the next line that is not empty, without its line break, and
    /// tells its number, counted from 0; `None` at the end.
    ///
    /// # Errors
    /// What the system or the unpacking says, with file and line.
    pub(crate) fn read(&mut self, line: &mut Vec<u8>) -> io::Result<Option<i64>> {
        loop {
            line.clear();
            let mut limited = (&mut self.reader).take(LINE_BYTES_MAX as u64 + 1);
            let count = limited.read_until(b'\n', line).map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("{}: line {}: {error}", self.name, self.next + 1),
                )
            })?;
            if count == 0 {
                return Ok(None);
            }
            if count > LINE_BYTES_MAX {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!(
                        "{}: line {} has more than {} MiB: this is not a file of telemetry lines",
                        self.name,
                        self.next + 1,
                        LINE_BYTES_MAX >> 20
                    ),
                ));
            }
            let number = self.next;
            self.next += 1;
            while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                line.pop();
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(number));
            }
        }
    }

    /// How much of the file is read, 0 to 1, where its size is known.
    pub(crate) fn share(&self) -> Option<f64> {
        self.gauge().share()
    }

    /// A view of how much is read that outlives the borrow of the lines.
    pub(crate) fn gauge(&self) -> Gauge {
        Gauge { read: self.read.clone(), size: self.size.unwrap_or(0) }
    }
}

/// How much of a file is read.
#[derive(Clone, Debug)]
pub(crate) struct Gauge {
    read: Arc<AtomicU64>,
    /// 0 where it is not known.
    size: u64,
}

impl Gauge {
    fn share(&self) -> Option<f64> {
        Self::share_of(std::slice::from_ref(self))
    }

    /// How much of several files is read, 0 to 1, where all sizes are known.
    pub(crate) fn share_of(gauges: &[Self]) -> Option<f64> {
        let size: u64 = gauges.iter().map(|gauge| gauge.size).sum();
        let read: u64 = gauges.iter().map(|gauge| gauge.read.load(Ordering::Relaxed)).sum();
        let known = size > 0 && gauges.iter().all(|gauge| gauge.size > 0);
        known.then(|| (read as f64 / size as f64).min(1.0))
    }
}

/// Counts what has been read of a file, packed as it is.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

fn suffix(path: &Path) -> &str {
    path.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default()
}

/// A whole text file.
///
/// # Errors
/// What the system says, with the file's name.
pub(crate) fn read_text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// Files below a folder that end in one of the suffixes, by name.
///
/// # Errors
/// What the system says, with the folder's name.
pub(crate) fn files_below(folder: &Path, suffixes: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        let context = || folder.display().to_string();
        for entry in std::fs::read_dir(&folder).with_context(context)? {
            let path = entry.with_context(context)?.path();
            let hidden =
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if hidden {
                continue;
            }
            if path.is_dir() {
                waiting.push(path);
            } else if suffixes.iter().any(|suffix| path.to_string_lossy().ends_with(suffix)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn lines_of(path: &Path) -> Vec<(i64, String)> {
        let mut lines = Lines::open(path).unwrap();
        let (mut line, mut all) = (Vec::new(), Vec::new());
        while let Some(number) = lines.read(&mut line).unwrap() {
            all.push((number, String::from_utf8(line.clone()).unwrap()));
        }
        all
    }

    #[test]
    fn lines_are_the_same_however_a_file_is_packed() {
        let folder = tempfile::tempdir().unwrap();
        let text = b"{\"a\":1}\n\n  \r\n{\"b\":2}\r\n{\"c\":3}";
        let expected =
            [(0, "{\"a\":1}"), (3, "{\"b\":2}"), (4, "{\"c\":3}")].map(|(n, l)| (n, l.to_owned()));
        let plain = folder.path().join("a.ndjson");
        std::fs::write(&plain, text).unwrap();
        assert_eq!(lines_of(&plain), expected);
        let packed = folder.path().join("a.ndjson.zst");
        std::fs::write(&packed, zstd::encode_all(&text[..], 3).unwrap()).unwrap();
        assert_eq!(lines_of(&packed), expected);
        let packed = folder.path().join("a.ndjson.gz");
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        std::fs::write(&packed, encoder.finish().unwrap()).unwrap();
        assert_eq!(lines_of(&packed), expected);
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.avro");
        std::fs::write(&path, b"Obj").unwrap();
        let error = Lines::open(&path).err().unwrap().to_string();
        assert!(error.ends_with("a.avro: Avro container files are not supported yet"), "{error}");
    }
}
