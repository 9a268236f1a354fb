//! `watchkeep demo`: a made-up shop, all stages on an embedded log, a page, and
//! the story told on the terminal as it happens.
//!
//! The story has a clock of its own, on which a minute passes in a second:
//! event times, deadlines and pages all go by it, so a minute of watching shows
//! what takes an hour.

mod telling;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::Context;
use watchkeep_model::response::{Command, Response};
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::log::Outgoing;
use watchkeep_simulator::generator::{Generator, Scenario, Settings};
use watchkeep_wire::telemetry::encode;

use self::telling::Teller;
use crate::Outcome;
use crate::charters;
use crate::cli::{Demo, StageName};
use crate::config::{Config, FILE_DEFAULT};
use crate::http;
use crate::output::Output;
use crate::service::clock::Clock;
use crate::service::{Plan, Service, Shared};
use crate::signals;
use crate::store::{Appender, Store};

/// Seconds of the story in a second.
const SPEED: i64 = 60;

/// Events for each second of the story.
const RATE_PER_S: u64 = 40;

/// Time between two batches of telemetry.
const FEED_EVERY: Duration = Duration::from_millis(50);

/// How long a stage waits before it looks at the story's clock.
const POLL_WAIT: TimeSpan = TimeSpan::from_micros(50_000);

/// The person on call answers after so much of the story.
const ANSWERS_AFTER: TimeSpan = TimeSpan::from_micros(45_000_000);

/// And has remediated so much later, when the trouble is over.
const REMEDIES_AFTER: TimeSpan = TimeSpan::from_micros(150_000_000);

const CONFIG: &str = include_str!("demo/watchkeep.toml");

const CHARTERS: [(&str, &str); 3] = [
    ("directory.yaml", include_str!("demo/charters/directory.yaml")),
    ("policy.yaml", include_str!("demo/charters/policy.yaml")),
    ("shop.yaml", include_str!("demo/charters/shop.yaml")),
];

/// # Errors
/// The folder cannot be used, the address is taken, or a stage ended.
pub(crate) fn run(arguments: &Demo) -> anyhow::Result<Outcome> {
    let temporary = match &arguments.folder {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("watchkeep-demo-").tempdir()?),
    };
    let folder = match (&arguments.folder, &temporary) {
        (Some(folder), _) => folder.clone(),
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => PathBuf::from("."),
    };
    prepare(&folder)?;
    let listener = match arguments.listen {
        Some(address) => http::listen(address)?,
        None => free_address()?,
    };
    let address = listener.local_addr()?;
    let file = folder.join(FILE_DEFAULT);
    // The environment is left out: the demo is the same everywhere.
    let config = Config::of(Some((&file, CONFIG)), std::iter::empty())?;
    let rules = charters::of_service(&config)?;
    let store = Store::open(&config)?;
    let settings = Settings {
        scenario: Scenario::Demo,
        events: None,
        rate_per_s: RATE_PER_S,
        out_of_orderness: TimeSpan::SECOND.times(8),
        ..Settings::default()
    };
    let clock = Clock::Story { begun: Instant::now(), start: settings.from, speed: SPEED };
    let plan = Plan {
        stages: BTreeSet::from(StageName::ALL),
        instance: "demo".to_owned(),
        clock,
        poll_wait: POLL_WAIT,
    };
    let teller = Teller::new(config.topics.clone(), settings.from);
    teller.introduce(address, &folder, &rules, clock.now())?;
    let mut service = Service::start(&config, store, rules, plan)?;
    let topic = config.topics.telemetry.first().cloned().unwrap_or_default();
    service.spawn("generator", move |shared| feed(shared, Generator::new(settings), &topic))?;
    service.spawn("teller", move |shared| teller.tell(shared))?;
    let span = arguments.span.map(TimeSpan::to_std);
    let span = span.or_else(|| arguments.seconds.map(|n| Duration::from_secs(u64::from(n))));
    signals::take()?;
    let served = http::serve_on(listener, &config, &service, span, true);
    let shared = service.shared.clone();
    let ended = service.end();
    served?;
    ended?;
    let view = shared.view.lock().unwrap_or_else(PoisonError::into_inner);
    let mut output = Output::new();
    telling::conclude(&mut output, &view, temporary.is_none().then_some(folder.as_path()))?;
    output.finish()?;
    let is_silent = span.is_some() && view.page_count == 0;
    Ok(if is_silent { Outcome::Found } else { Outcome::Fine })
}

/// Writes charters and configuration, so that the other commands can be tried
/// on the same folder. Files of an earlier demo are replaced, its log begins anew.
fn prepare(folder: &Path) -> anyhow::Result<()> {
    let context = || folder.display().to_string();
    let log = folder.join("log");
    // Only what an earlier demo wrote is replaced: a service's folder holds its log.
    let file = folder.join(FILE_DEFAULT);
    let is_ours = std::fs::read_to_string(&file).is_ok_and(|text| text == CONFIG);
    if !is_ours && (file.exists() || log.exists() || folder.join("charters").exists()) {
        anyhow::bail!(
            "{}: this folder is not an earlier demo's: name an empty or a new one",
            folder.display()
        );
    }
    if log.exists() {
        // The story starts at its beginning; an old log would be ahead of it.
        std::fs::remove_dir_all(&log).with_context(|| log.display().to_string())?;
    }
    let charters = folder.join("charters");
    std::fs::create_dir_all(&charters).with_context(context)?;
    for (name, text) in CHARTERS {
        std::fs::write(charters.join(name), text).with_context(context)?;
    }
    std::fs::write(folder.join(FILE_DEFAULT), CONFIG).with_context(context)
}

/// The usual address, or any that is free.
fn free_address() -> anyhow::Result<std::net::TcpListener> {
    http::listen(([127, 0, 0, 1], 9464).into())
        .or_else(|_| http::listen(([127, 0, 0, 1], 0).into()))
}

/// Appends what has arrived by the story's clock, and answers some pages.
fn feed(shared: &Shared, mut generator: Generator, topic: &str) {
    let Ok(mut appender) = shared.store.appender() else { return };
    let topic: std::sync::Arc<str> = topic.into();
    while !shared.is_stopping() {
        let now = shared.clock.now();
        if let Err(error) = feed_until(now, &mut generator, &topic, &mut appender) {
            tracing::error!(%error, "generator");
            return;
        }
        std::thread::sleep(FEED_EVERY);
    }
}

fn feed_until(
    now: watchkeep_model::time::Timestamp,
    generator: &mut Generator,
    topic: &std::sync::Arc<str>,
    appender: &mut Appender,
) -> Result<(), watchkeep_runtime::log::LogError> {
    while generator.next_arrival() <= now {
        let Some(generated) = generator.generate() else { break };
        let record = Outgoing {
            topic: topic.clone(),
            partition: None,
            key: Some(generated.event.feature.as_bytes().to_vec()),
            value: encode::to_json(&generated.event).into_bytes(),
            headers: Vec::new(),
        };
        appender.append(record, Some(generated.arrives_at))?;
    }
    appender.flush()
}

/// What the person who was paged about the catalog writes: so that the story
/// has one incident that is answered beside those that climb.
fn answers(incident: &str, by: &str, at: watchkeep_model::time::Timestamp) -> [Response; 2] {
    let response = |command, at, rationale: &str| Response {
        incident: Some(incident.to_owned()),
        rationale: Some(rationale.to_owned()),
        ..Response::new(at, by, command)
    };
    [
        response(Command::Acknowledge, at, "looking at the catalog store"),
        response(Command::Remediate, at + REMEDIES_AFTER, "added a replica of the catalog store"),
    ]
}

#[cfg(test)]
mod tests {
    use watchkeep_model::document::Level;
    use watchkeep_simulator::generator::{Generator, Scenario, Settings};

    use super::{CHARTERS, CONFIG, Config};
    use crate::charters::Folder;

    #[test]
    fn the_charters_of_the_demo_are_without_fault_and_cover_every_feature() {
        let config =
            Config::of(Some((std::path::Path::new("d/w.toml"), CONFIG)), std::iter::empty());
        let pane = config.unwrap().time.pane;
        let files = CHARTERS.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec();
        let folder = Folder::of(files, pane);
        let errors: Vec<_> =
            folder.diagnostics.iter().filter(|d| d.severity == Level::Error).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        let mut generator =
            Generator::new(Settings { scenario: Scenario::Demo, ..Settings::default() });
        for _ in 0..1_000 {
            let generated = generator.generate().unwrap();
            let subject = watchkeep_model::subject::typed(&generated.event.feature);
            let charter = folder.registry.charter(&subject, generated.arrives_at);
            assert!(charter.is_some_and(|c| c.fields.owners.primary.is_some()), "{subject}");
        }
    }
}
