//! The service: one thread for each stage, one that follows what they publish,
//! and HTTP. `watchkeep run` and `watchkeep demo` both start it.

pub(crate) mod clock;
mod deliver;
mod measured;
mod snapshots;
mod stages;
pub(crate) mod status;
pub(crate) mod tail;
pub(crate) mod view;

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use watchkeep_model::position::Partition;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::log::LogError;
use watchkeep_runtime::rules::Rules;
use watchkeep_wire::schema_set::SchemaSet;

use self::clock::Clock;
use self::status::Status;
use self::view::View;
use crate::cli::{LogFormat, Run, StageName};
use crate::config::{Config, LogConfig};
use crate::store::Store;
use crate::{Outcome, charters, http, input, profiles, retention, signals};

/// How long the stages may take to end, from the moment that they are asked to,
/// so that the process is gone within 10 s. What takes longer, because no
/// broker answers, is cut off by the end of the process, which is as safe as
/// any crash.
const DRAIN_MAX: Duration = Duration::from_secs(8);

/// How long a log may not answer when the service starts: longer than brokers
/// are away in a restart of them all. Past it the service ends with the reason:
/// the address may be wrong.
const START_PATIENCE: Duration = Duration::from_secs(300);

/// Time between two tries.
const START_PAUSE: Duration = Duration::from_millis(500);

/// How long a stage waits for records before it looks around.
pub(crate) const POLL_WAIT: TimeSpan = TimeSpan::from_micros(500_000);

/// What is told where `RUST_LOG` does not say. Of librdkafka only what it warns
/// of, such as a broker that refuses the password.
const FILTER_DEFAULT: &str = "info,watchkeep_log_kafka=warn";

/// `watchkeep run`.
///
/// # Errors
/// The configuration, the log, or whatever ended a stage.
pub(crate) fn run(arguments: &Run) -> anyhow::Result<Outcome> {
    tell_in(arguments.log_format);
    signals::take()?;
    let config = Config::load_required(arguments.configured.file.as_deref())?;
    let mut stages: BTreeSet<StageName> = arguments.stages.iter().copied().collect();
    let is_told = arguments.stages == [StageName::Deliver];
    if config.sinks.is_empty() && stages.remove(&StageName::Deliver) && is_told {
        bail!("nothing to deliver to: there is no [sinks.NAME] in the configuration");
    }
    let rules = charters::of_service(&config)?;
    let store = Store::open(&config)?;
    if let LogConfig::Embedded { folder } = &config.log {
        if StageName::ALL.iter().any(|one| *one != StageName::Deliver && !stages.contains(one))
            || (!config.sinks.is_empty() && !stages.contains(&StageName::Deliver))
        {
            bail!(
                "an embedded log is held by one process, which runs all stages: leave --stages out"
            );
        }
        tracing::info!(folder = %folder.display(), "embedded log");
    }
    let plan = Plan {
        stages,
        instance: arguments.instance.clone(),
        clock: Clock::Wall,
        poll_wait: POLL_WAIT,
    };
    let captured = patiently(|| profiles::of_topic(&store, &config))?;
    let rules = rules.with_profiles(profiles::held(&captured)?);
    let service = Service::start(&config, store, rules, plan)?;
    let served = http::serve(&config, &service, None);
    let ended = service.end();
    served?;
    ended?;
    Ok(Outcome::Fine)
}

/// What to run and by which clock.
pub(crate) struct Plan {
    /// Which stages.
    pub(crate) stages: BTreeSet<StageName>,
    /// The instance's name in transactional ids.
    pub(crate) instance: String,
    /// The clock of escalations.
    pub(crate) clock: Clock,
    /// How long a stage waits for records before it looks around.
    pub(crate) poll_wait: TimeSpan,
}

/// The threads and what they share.
pub(crate) struct Service {
    pub(crate) shared: Arc<Shared>,
    threads: Vec<(&'static str, JoinHandle<()>)>,
}

/// What the threads of a service share.
pub(crate) struct Shared {
    /// The log.
    pub(crate) store: Store,
    /// The rules.
    pub(crate) rules: Rules,
    /// The clock of escalations.
    pub(crate) clock: Clock,
    /// What the stages tell.
    pub(crate) status: Arc<Status>,
    /// What the log tells.
    pub(crate) view: Mutex<View>,
    stop: AtomicBool,
    /// When that was set.
    stopped_at: OnceLock<Instant>,
    failure: Mutex<Option<String>>,
}

impl Shared {
    /// True when the threads are to end.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Asks the threads to commit what they have and to end. The first call counts.
    pub(crate) fn stop(&self) {
        self.stopped_at.get_or_init(Instant::now);
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Ends the service for a reason; the first one counts.
    fn fail(&self, stage: &str, why: &str) {
        tracing::error!(stage, why, "ended");
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert_with(|| format!("{stage}: {why}"));
        self.stop();
    }

    /// Waits, but not past the end of the service.
    fn pause(&self, span: Duration) {
        const STEP: Duration = Duration::from_millis(50);
        let until = Instant::now() + span;
        while !self.is_stopping() && Instant::now() < until {
            std::thread::sleep(STEP.min(until.saturating_duration_since(Instant::now())));
        }
    }
}

impl Service {
    /// Checks the topics and starts the threads.
    ///
    /// # Errors
    /// A topic is missing, the log does not answer, a schema cannot be used.
    pub(crate) fn start(
        config: &Config,
        store: Store,
        rules: Rules,
        plan: Plan,
    ) -> anyhow::Result<Self> {
        patiently(|| check_topics(config, &store))?;
        patiently(|| check_panes(config, &store))?;
        patiently(|| charters::follow(&rules, &mut store.reader()?))?;
        patiently(|| charters::follow_runs(&rules, &mut store.reader()?))?;
        if rules.position() == Some(0) {
            tracing::warn!(
                "no charters: set charters.folder or run `watchkeep charters publish`, or nothing \
                 is ever judged"
            );
        }
        for topic in patiently(|| retention::hold(&config.topics, &store, &rules.registry()))? {
            tracing::info!(topic, "kept for longer: a charter says `driver: regulatory`");
        }
        let shared = Arc::new(Shared {
            store,
            rules,
            clock: plan.clock,
            status: Arc::new(Status::default()),
            view: Mutex::new(View::default()),
            stop: AtomicBool::new(false),
            stopped_at: OnceLock::new(),
            failure: Mutex::new(None),
        });
        let mut service = Self { shared, threads: Vec::new() };
        let begun = clock::now();
        for stage in &plan.stages {
            if *stage == StageName::Deliver && config.sinks.is_empty() {
                continue;
            }
            service.shared.status.expect(stage.name());
            let setting = stages::Setting::of(config, *stage, &plan, schemas(config)?)?;
            service.spawn(stage.name(), move |shared| setting.run(shared))?;
        }
        let topics = config.topics.clone();
        service.spawn("follow", move |shared| tail::follow(shared, &topics, begun))?;
        Ok(service)
    }

    /// Starts a thread of the service.
    ///
    /// # Errors
    /// The system has no more threads.
    pub(crate) fn spawn(
        &mut self,
        name: &'static str,
        run: impl FnOnce(&Shared) + Send + 'static,
    ) -> anyhow::Result<()> {
        let shared = self.shared.clone();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // A panic must not leave the other stages working for nobody.
            let work = std::panic::AssertUnwindSafe(|| run(&shared));
            if std::panic::catch_unwind(work).is_err() {
                shared.fail(name, "a broken invariant; this is a fault of Watchkeep's");
            }
        })?;
        self.threads.push((name, thread));
        Ok(())
    }

    /// Lets every thread commit what it has and end. One that does not in time
    /// is left behind: what it has not committed is read again.
    ///
    /// # Errors
    /// Why the service failed.
    pub(crate) fn end(self) -> anyhow::Result<()> {
        self.shared.stop();
        let asked = self.shared.stopped_at.get().copied().unwrap_or_else(Instant::now);
        for (name, thread) in self.threads {
            while !thread.is_finished() && asked.elapsed() < DRAIN_MAX {
                std::thread::sleep(Duration::from_millis(10));
            }
            if thread.is_finished() {
                // Panics are told as failures.
                let _ = thread.join();
            } else {
                tracing::warn!(
                    stage = name,
                    "did not end in time: what it has not committed will be read again"
                );
            }
        }
        let failure = self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        match failure {
            Some(why) => bail!(why),
            None => Ok(()),
        }
    }
}

/// Checks again where the log does not answer: a service that is started while
/// a broker is away waits for it, as one that runs does.
fn patiently<T>(check: impl Fn() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let until = Instant::now() + START_PATIENCE;
    loop {
        match check() {
            Err(error)
                if matches!(error.downcast_ref(), Some(LogError::Unavailable(_)))
                    && Instant::now() < until =>
            {
                tracing::warn!(%error, "waiting for the log");
                std::thread::sleep(START_PAUSE);
            }
            outcome => return outcome,
        }
    }
}

fn check_topics(config: &Config, store: &Store) -> anyhow::Result<()> {
    let mut reader = store.reader()?;
    let owned = crate::config::keys::TOPICS.iter().map(|name| config.topics.named(name));
    let all: Vec<String> = config.topics.telemetry.iter().cloned().chain(owned).collect();
    let mut missing = Vec::new();
    for topic in all {
        if reader.partition_count(&topic)? == 0 {
            missing.push(topic);
        }
    }
    if !missing.is_empty() {
        bail!("topics are missing: {}; run `watchkeep topics create`", missing.join(", "));
    }
    Ok(())
}

/// Panes are fixed for a deployment; a clear word at the start is better than
/// a stage that stops at the first old batch.
fn check_panes(config: &Config, store: &Store) -> anyhow::Result<()> {
    let partition = Partition::new(config.topics.named("summaries"), 0);
    let mut reader = store.reader()?;
    let (first, end) = reader.bounds(&partition)?;
    let to = end.min(first + 1);
    let Some(record) = reader.read(&partition, first, to)?.into_iter().next() else {
        return Ok(());
    };
    let batch = watchkeep_wire::summary_batch::decode(&record.value)
        .with_context(|| format!("{} at offset {first}", partition.topic))?;
    if batch.pane != config.time.pane {
        bail!(
            "time.pane = {} but {} was begun with {}: set it back, or begin with another topics.prefix",
            config.time.pane,
            partition.topic,
            batch.pane
        );
    }
    Ok(())
}

/// The writers' schemas of the configured folder, and the embedded ones.
///
/// # Errors
/// The folder cannot be read, or a file in it is no schema.
pub(crate) fn schemas(config: &Config) -> anyhow::Result<SchemaSet> {
    config.schemas.as_deref().map_or_else(|| Ok(SchemaSet::new()), schemas_in)
}

fn schemas_in(folder: &Path) -> anyhow::Result<SchemaSet> {
    let files = schema_files(folder)?;
    let texts = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    SchemaSet::from_files(texts).with_context(|| folder.display().to_string())
}

/// The same while records wait for a schema. A file that is broken, or only
/// half written yet, must not keep the others from being known.
fn usable_schemas_in(folder: &Path) -> anyhow::Result<SchemaSet> {
    let files = schema_files(folder)?;
    let texts = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let (set, unusable) = SchemaSet::from_usable_files(texts);
    for error in unusable {
        tracing::warn!(folder = %folder.display(), %error, "a writer's schema cannot be used");
    }
    Ok(set)
}

fn schema_files(folder: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for path in input::files_below(folder, &[".avsc"])? {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        files.push((name.unwrap_or_default(), input::read_text(Path::new(&path))?));
    }
    Ok(files)
}

/// Log lines on standard error; `RUST_LOG` chooses which.
fn tell_in(format: LogFormat) {
    use tracing_subscriber::EnvFilter;
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER_DEFAULT));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // Another subscriber can only be there in tests.
    let _ = match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
