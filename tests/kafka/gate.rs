//! Stands between a lone node and itself, where the marks of ended
//! transactions pass: a coordinator answers that a commit holds, and tells the
//! leaders of the partitions afterwards. What is held back here is what a
//! broker that dies between the two never wrote.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The request `WriteTxnMarkers` by its key in Kafka's protocol.
const WRITE_MARKS: [u8; 2] = 27_i16.to_be_bytes();

/// No request between brokers of tests is longer.
const REQUEST_MAX: u32 = 64 << 20;

/// Lets everything pass until it is told to wait for the marks of a topic.
#[derive(Clone, Debug)]
pub struct Gate {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Open,
    /// Marks of this topic are waited for.
    Armed(String),
    /// Nothing passes.
    Shut,
}

impl Gate {
    /// Takes connections at a port of loopback and makes each of them to another.
    ///
    /// # Errors
    /// The port is not free.
    pub(super) fn open(at: u16, to: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", at))?;
        let shared = Arc::new(Shared::default());
        let gate = Self { shared: shared.clone() };
        // Ends with the program: nothing wakes it while no one connects.
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                // The node may be away; whoever connects tries again.
                let Ok(far) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                let shared = shared.clone();
                thread::spawn(move || pass(&near, &far, &shared));
            }
        });
        Ok(gate)
    }

    /// Shuts at the next marks of a topic, theirs and all that come later.
    pub fn arm(&self, topic: &str) {
        *self.lock() = State::Armed(topic.to_owned());
    }

    /// Waits until marks are held back; false where none came in time.
    pub fn await_marks(&self, max: Duration) -> bool {
        let is_waiting = |state: &mut State| !matches!(state, State::Shut);
        let state = self.lock();
        let waited = self.shared.changed.wait_timeout_while(state, max, is_waiting);
        matches!(*waited.unwrap_or_else(PoisonError::into_inner).0, State::Shut)
    }

    /// Lets everything pass again, but for what was held back: that is gone.
    pub fn reopen(&self) {
        *self.lock() = State::Open;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request passes.
    fn lets_pass(&self, request: &[u8]) -> bool {
        let mut state = self.lock();
        if let State::Armed(topic) = &*state
            && request.starts_with(&WRITE_MARKS)
            && request.windows(topic.len()).any(|bytes| bytes == topic.as_bytes())
        {
            *state = State::Shut;
            self.changed.notify_all();
        }
        !matches!(*state, State::Shut)
    }
}

/// Takes requests one way and their answers the other, until either end closes.
fn pass(near: &TcpStream, far: &TcpStream, shared: &Shared) {
    thread::scope(|both| {
        both.spawn(|| {
            let _ = io::copy(&mut &*far, &mut &*near);
            close(near, far);
        });
        while let Ok(request) = next(near) {
            // A connection that has lost a request says nothing more.
            if !shared.lets_pass(&request) || send(far, &request).is_err() {
                break;
            }
        }
        close(near, far);
    });
}

fn close(near: &TcpStream, far: &TcpStream) {
    let _ = near.shutdown(Shutdown::Both);
    let _ = far.shutdown(Shutdown::Both);
}

/// The next request without its length.
fn next(mut from: &TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > REQUEST_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut request = vec![0; usize::try_from(length).unwrap_or_default()];
    from.read_exact(&mut request)?;
    Ok(request)
}

fn send(mut to: &TcpStream, request: &[u8]) -> io::Result<()> {
    let length = u32::try_from(request.len()).unwrap_or(u32::MAX);
    to.write_all(&length.to_be_bytes())?;
    to.write_all(request)
}
