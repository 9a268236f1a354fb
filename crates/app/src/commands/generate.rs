//! `watchkeep generate`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use watchkeep_simulator::generator::{Generator, Settings};
use watchkeep_wire::telemetry::encode;

use crate::Outcome;
use crate::cli::Generate;
use crate::output::{Output, counted};
use crate::progress::Progress;

/// Level of zstd; more costs time and saves little on such lines.
const ZSTD_LEVEL: i32 = 3;

/// # Errors
/// The file cannot be written.
pub(super) fn run(arguments: &Generate) -> anyhow::Result<Outcome> {
    let defaults = Settings::default();
    let mut generator = Generator::new(Settings {
        scenario: arguments.scenario,
        features: arguments.features,
        events: Some(arguments.events),
        rate_per_s: arguments.rate,
        seed: arguments.seed,
        from: arguments.from.unwrap_or(defaults.from),
        zipf: arguments.zipf,
        out_of_orderness: arguments.out_of_orderness,
    });
    let Some(path) = &arguments.out else {
        let mut output = Output::new();
        while let Some(generated) = generator.generate() {
            output.line(encode::to_json(&generated.event))?;
        }
        output.finish()?;
        return Ok(Outcome::Fine);
    };
    let mut progress = Progress::new("events");
    let context = || path.display().to_string();
    let mut writer = Packed::create(path).with_context(context)?;
    // Fewer than are made where the scenario silences a feature.
    let mut written = 0_u64;
    while let Some(generated) = generator.generate() {
        written += 1;
        let mut line = encode::to_json(&generated.event);
        line.push('\n');
        writer.write(line.as_bytes()).with_context(context)?;
        let made = generator.made();
        if made.is_multiple_of(10_000) {
            progress.tell(made, Some(made as f64 / arguments.events as f64));
        }
    }
    writer.finish().with_context(context)?;
    progress.finish();
    let mut output = Output::new();
    output.line(format_args!("{} in {}", counted(written, "event"), path.display()))?;
    output.finish()?;
    Ok(Outcome::Fine)
}

/// A file that is packed by its suffix.
enum Packed {
    Plain(BufWriter<File>),
    Gzip(flate2::write::GzEncoder<BufWriter<File>>),
    Zstd(zstd::Encoder<'static, BufWriter<File>>),
}

impl Packed {
    fn create(path: &Path) -> std::io::Result<Self> {
        let file = BufWriter::with_capacity(1 << 16, File::create(path)?);
        Ok(match path.extension().and_then(|suffix| suffix.to_str()) {
            Some("gz") => {
                Self::Gzip(flate2::write::GzEncoder::new(file, flate2::Compression::default()))
            }
            Some("zst") => Self::Zstd(zstd::Encoder::new(file, ZSTD_LEVEL)?),
            _ => Self::Plain(file),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(writer) => writer.write_all(bytes),
            Self::Gzip(writer) => writer.write_all(bytes),
            Self::Zstd(writer) => writer.write_all(bytes),
        }
    }

    fn finish(self) -> std::io::Result<()> {
        match self {
            Self::Plain(mut writer) => writer.flush(),
            Self::Gzip(writer) => writer.finish()?.flush(),
            Self::Zstd(writer) => writer.finish()?.flush(),
        }
    }
}
