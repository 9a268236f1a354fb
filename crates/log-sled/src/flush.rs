//! Waits for sled's writes, also where sled would wait for ever.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// When a flush is asked for again for the first time. Each further time comes
/// after twice as long, so that a disk that is only slow sees few of them.
const SLOW: Duration = Duration::from_millis(500);

/// Longest time between two.
const SLOW_MAX: Duration = Duration::from_secs(60);

/// Returns when all that was written to the tree so far is in the file.
///
/// A write of sled 0.34.7 that fails does not always wake who waits for it: a
/// flush on a disk that became full may never return. Whoever asks after the
/// failure is told of it, and wakes the others; so the flush is asked for again
/// from another thread where the first takes long.
///
/// # Errors
/// Those of the write, also where another thread's write failed. A panic of
/// sled's goes on here.
pub(crate) fn flush(tree: &sled::Tree) -> sled::Result<()> {
    let (answer, answers) = mpsc::channel();
    let mut wait = SLOW;
    loop {
        let (tree, answer) = (tree.clone(), answer.clone());
        let ask = move || {
            let flushed = catch_unwind(AssertUnwindSafe(|| tree.flush().map(drop)));
            // Before the answer, after which the store may be closed.
            drop(tree);
            let _ = answer.send(flushed);
        };
        std::thread::Builder::new().name("flush".to_owned()).spawn(ask)?;
        match answers.recv_timeout(wait) {
            Ok(flushed) => return flushed.unwrap_or_else(|panic| resume_unwind(panic)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                wait = (wait * 2).min(SLOW_MAX);
            }
        }
    }
}
