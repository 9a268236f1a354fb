//! The files of a replay. Each appears whole or not at all: it is written
//! beside its place and renamed at the end.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;
use watchkeep_model::anchor::AnchorChain;
use watchkeep_model::breach::Breach;
use watchkeep_model::escalation::Escalation;
use watchkeep_model::incident::Fact;
use watchkeep_model::json;
use watchkeep_model::reject::Reject;
use watchkeep_model::window::Window;
use watchkeep_runtime::replay::Sink;

use crate::input::Gauge;
use crate::progress::Progress;

/// Bytes that are gathered before a write.
const BUFFER_BYTES: usize = 1 << 17;

/// Writes one line for each fact.
pub(super) struct Files {
    windows: Pending,
    breaches: Pending,
    incidents: Pending,
    escalations: Pending,
    rejects: Pending,
    anchors: Pending,
    chain: AnchorChain,
    progress: Progress,
    gauges: Vec<Gauge>,
}

impl Files {
    /// Makes the folder and begins the files.
    ///
    /// # Errors
    /// What the system says, with the path.
    pub(super) fn create(
        folder: &Path,
        progress: Progress,
        gauges: Vec<Gauge>,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let pending = |name: &str| Pending::create(&folder.join(name));
        Ok(Self {
            windows: pending("windows.ndjson")?,
            breaches: pending("breaches.ndjson")?,
            incidents: pending("incidents.ndjson")?,
            escalations: pending("escalations.ndjson")?,
            rejects: pending("rejects.ndjson")?,
            anchors: pending("anchors.ndjson")?,
            chain: AnchorChain::default(),
            progress,
            gauges,
        })
    }

    /// Puts the files into their places.
    ///
    /// # Errors
    /// What the system says, with the path.
    pub(super) fn finish(mut self) -> anyhow::Result<Progress> {
        if let Some(last) = self.chain.take_last() {
            self.anchors.line(&last).with_context(|| self.anchors.place.display().to_string())?;
        }
        let Self { windows, breaches, incidents, escalations, rejects, anchors, progress, .. } =
            self;
        for pending in [windows, breaches, incidents, escalations, rejects, anchors] {
            pending.finish()?;
        }
        Ok(progress)
    }
}

impl Sink for Files {
    fn window(&mut self, window: &Window) -> io::Result<()> {
        self.windows.line(window)
    }

    fn breach(&mut self, breach: &Breach) -> io::Result<()> {
        self.breaches.line(breach)
    }

    fn fact(&mut self, fact: &Fact) -> io::Result<()> {
        self.incidents.line(fact)?;
        self.chain.add(fact);
        match self.chain.take_due() {
            Some(anchor) => self.anchors.line(&anchor),
            None => Ok(()),
        }
    }

    fn escalation(&mut self, escalation: &Escalation) -> io::Result<()> {
        self.escalations.line(escalation)
    }

    fn reject(&mut self, reject: &Reject) -> io::Result<()> {
        self.rejects.line(reject)
    }

    fn progress(&mut self, records: u64) {
        self.progress.tell(records, Gauge::share_of(&self.gauges));
    }
}

/// A file that is not in its place yet. Dropped before that, it is deleted.
struct Pending {
    writer: Option<BufWriter<File>>,
    beside: PathBuf,
    place: PathBuf,
}

impl Pending {
    fn create(place: &Path) -> anyhow::Result<Self> {
        let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let beside = place.with_file_name(format!(".{name}.{}", std::process::id()));
        let file = File::create(&beside).with_context(|| beside.display().to_string())?;
        let writer = Some(BufWriter::with_capacity(BUFFER_BYTES, file));
        Ok(Self { writer, beside, place: place.to_owned() })
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        json::write(writer, value)?;
        writer.write_all(b"\n")
    }

    fn finish(mut self) -> anyhow::Result<()> {
        let context = || self.place.display().to_string();
        if let Some(writer) = self.writer.take() {
            let file = writer.into_inner().map_err(io::IntoInnerError::into_error);
            file.with_context(context)?.sync_all().with_context(context)?;
            std::fs::rename(&self.beside, &self.place).with_context(context)?;
        }
        Ok(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.writer.take().is_some() {
            // Nothing can be done about a file that cannot be deleted.
            let _ = std::fs::remove_file(&self.beside);
        }
    }
}

/// Writes a file whole.
///
/// # Errors
/// What the system says, with the path.
pub(super) fn write_whole(
    place: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> anyhow::Result<()> {
    let mut pending = Pending::create(place)?;
    if let Some(writer) = &mut pending.writer {
        write(writer).with_context(|| place.display().to_string())?;
    }
    pending.finish()
}
