//! Files as lines: plain, `.gz` or `.zst`, or standard input.

use std::collections::BTreeSet;
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

/// Lines of a file or of standard input, unpacked where they are packed.
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
            let name = "standard input".to_owned();
            let packed = BufReader::with_capacity(BUFFER_BYTES, io::stdin());
            let reader = unpacked(packed).with_context(|| name.clone())?;
            return Ok(Self { name, reader, next: 0, read, size: None });
        }
        let file = File::open(path).with_context(|| name.clone())?;
        let metadata = file.metadata().with_context(|| name.clone())?;
        if metadata.is_dir() {
            bail!("{name}: is a folder");
        }
        let size = metadata.is_file().then_some(metadata.len());
        let packed = BufReader::with_capacity(BUFFER_BYTES, Counted { file, read: read.clone() });
        // The suffix alone is enough, so that an empty file of that name is refused too.
        let reader = match suffix(path) {
            "avro" => bail!("{name}: {NO_AVRO_FILES}"),
            "parquet" => bail!("{name}: {NO_PARQUET}"),
            _ => unpacked(packed).with_context(|| name.clone())?,
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
            // The end of the line and no more: a line that is refused is kept as it came.
            if line.pop_if(|byte| *byte == b'\n').is_some() {
                line.pop_if(|byte| *byte == b'\r');
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

/// The bytes of a file, unpacked where it is packed.
///
/// # Errors
/// What the system says, with the file's name.
pub(crate) fn open_unpacked(path: &Path) -> anyhow::Result<Box<dyn BufRead + Send>> {
    let name = || path.display().to_string();
    let file = File::open(path).with_context(name)?;
    unpacked(BufReader::with_capacity(BUFFER_BYTES, file)).with_context(name)
}

/// What a packed stream begins with. No line of telemetry begins so, and a
/// stream from a pipe has no suffix that could tell.
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const AVRO_FILE_MAGIC: &[u8] = b"Obj\x01";
const PARQUET_MAGIC: &[u8] = b"PAR1";

const NO_AVRO_FILES: &str = "Avro container files are not supported yet";
const NO_PARQUET: &str = "Parquet files are not supported yet";

/// Unpacks a stream by its first bytes.
///
/// # Errors
/// A packing that is not supported, or what the system says.
fn unpacked(stream: impl BufRead + Send + 'static) -> anyhow::Result<Box<dyn BufRead + Send>> {
    let (begin, stream) = beginning(stream)?;
    let is = |magic: &[u8]| begin.starts_with(magic);
    if is(GZIP_MAGIC) {
        let unpacked = flate2::bufread::MultiGzDecoder::new(stream);
        return Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked)));
    }
    if is(ZSTD_MAGIC) {
        let unpacked = zstd::Decoder::with_buffer(stream)?;
        return Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked)));
    }
    if is(AVRO_FILE_MAGIC) {
        bail!(NO_AVRO_FILES);
    }
    if is(PARQUET_MAGIC) {
        bail!(NO_PARQUET);
    }
    Ok(Box::new(stream))
}

/// The first bytes of a stream, at most four, and the whole of it again: a
/// pipe may hand out fewer at once than its writer has written.
///
/// # Errors
/// What the system says.
fn beginning(mut stream: impl BufRead) -> io::Result<(Vec<u8>, impl BufRead)> {
    let mut begin = Vec::new();
    stream.by_ref().take(4).read_to_end(&mut begin)?;
    Ok((begin.clone(), io::Cursor::new(begin).chain(stream)))
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

/// Fails for a pipe, a device or a socket: of what lies in a folder nobody
/// expects a command to wait for ever.
///
/// # Errors
/// What the system says, with the file's name.
pub(crate) fn require_regular(path: &Path) -> anyhow::Result<()> {
    let name = || path.display().to_string();
    if !std::fs::metadata(path).with_context(name)?.is_file() {
        bail!("{}: this is no regular file, and reading it may never end", name());
    }
    Ok(())
}

/// The bytes of a file, one more than `max` at most.
///
/// # Errors
/// What the system says, with the file's name.
pub(crate) fn read_bounded(path: &Path, max: usize) -> anyhow::Result<Vec<u8>> {
    let name = || path.display().to_string();
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(name)?;
    // What the system says of the size may be out of date, or nothing (`/proc`).
    file.take(max as u64 + 1).read_to_end(&mut bytes).with_context(name)?;
    Ok(bytes)
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
    if !folder.exists() {
        let at = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        bail!(
            "there is no folder {}: paths of settings count from their file's folder",
            at.display()
        );
    }
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    // Links may lead back to a folder that is read already.
    let mut visited = BTreeSet::new();
    while let Some(folder) = waiting.pop() {
        let context = || folder.display().to_string();
        if !visited.insert(std::fs::canonicalize(&folder).with_context(context)?) {
            continue;
        }
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
    fn a_line_loses_its_end_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.ndjson");
        std::fs::write(&file, "one\r\r\ntwo\r\nthree\r").unwrap();
        let expected = [(0, "one\r"), (1, "two"), (2, "three\r")];
        assert_eq!(lines_of(&file), expected.map(|(n, l)| (n, l.to_owned())));
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
        let gzip = encoder.finish().unwrap();
        std::fs::write(&packed, &gzip).unwrap();
        assert_eq!(lines_of(&packed), expected);
        // The bytes tell, not the name: a pipe has none.
        let misnamed = folder.path().join("b.ndjson");
        std::fs::write(&misnamed, gzip).unwrap();
        assert_eq!(lines_of(&misnamed), expected);
        std::fs::write(&misnamed, b"{}").unwrap();
        assert_eq!(lines_of(&misnamed), [(0, "{}".to_owned())]);
        std::fs::write(&misnamed, b"").unwrap();
        assert_eq!(lines_of(&misnamed), []);
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.avro");
        std::fs::write(&path, b"Obj").unwrap();
        let error = Lines::open(&path).err().unwrap().to_string();
        assert!(error.ends_with("a.avro: Avro container files are not supported yet"), "{error}");
        let path = folder.path().join("a.ndjson");
        std::fs::write(&path, b"PAR1....PAR1").unwrap();
        let error = format!("{:#}", Lines::open(&path).err().unwrap());
        assert!(error.ends_with("a.ndjson: Parquet files are not supported yet"), "{error}");
    }
}
