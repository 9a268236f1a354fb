//! SIGTERM and Ctrl-C, from the first moment of a service on.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

/// The signal that asked for the end.
static ASKED: OnceLock<&'static str> = OnceLock::new();

/// True from when somebody waits for [`asked`].
static IS_AWAITED: AtomicBool = AtomicBool::new(false);

/// Time between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Takes the signals from now on. Until [`asked`] is called there is nothing to
/// commit, and one of them ends the process well, whatever it waits for. To be
/// called once.
///
/// # Errors
/// The system refuses.
pub(crate) fn take() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("taking signals")?;
    // Here and not in the thread, so that none is missed.
    let (mut terminated, mut interrupted) = {
        let _entered = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    let wait = move || {
        let name = runtime.block_on(async {
            tokio::select! {
                _ = terminated.recv() => "SIGTERM",
                _ = interrupted.recv() => "interrupted",
            }
        });
        // First this and then the question: whoever waits from now on sees it.
        let _ = ASKED.set(name);
        if !IS_AWAITED.load(Ordering::SeqCst) {
            tracing::info!("{name}: nothing has begun yet");
            std::process::exit(0);
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
    Ok(())
}

/// Ready when a signal has asked for the end, with its name.
pub(crate) async fn asked() -> &'static str {
    IS_AWAITED.store(true, Ordering::SeqCst);
    loop {
        if let Some(name) = ASKED.get() {
            return name;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
