//! A file beside the store with the number of the last commit that was
//! acknowledged.
//!
//! sled takes damage at the end of its own log for a write that a crash has
//! torn, and goes on without it. So a store that holds less than this file says
//! has lost acknowledged commits, and one that holds more than one commit beyond
//! it has lost this file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The file's name in the log's folder.
pub(crate) const NAME: &str = "acknowledged";

/// Bytes of the file: the number and its complement, both big-endian.
const BYTES: usize = 16;

/// The number that was noted last; 0 where the file is new.
pub(crate) fn read(file: &File) -> Result<u64, String> {
    let length = file.metadata().map_err(|error| format!("{NAME}: {error}"))?.len();
    if length == 0 {
        return Ok(0);
    }
    let mut bytes = [0; BYTES];
    file.read_exact_at(&mut bytes, 0).map_err(|error| format!("{NAME}: {error}"))?;
    let (number, complement) = bytes.split_at(BYTES / 2);
    let [number, complement] = [number, complement]
        .map(|half| half.iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte)));
    if number == !complement && length == BYTES as u64 {
        Ok(number)
    } else {
        Err(format!("the file {NAME} was altered"))
    }
}

/// Notes a number. A process that is killed leaves the old or the new one: the
/// system takes so few bytes at once.
pub(crate) fn write(file: &File, number: u64) -> io::Result<()> {
    let mut bytes = [0; BYTES];
    bytes[..BYTES / 2].copy_from_slice(&number.to_be_bytes());
    bytes[BYTES / 2..].copy_from_slice(&(!number).to_be_bytes());
    file.write_all_at(&bytes, 0)
}
