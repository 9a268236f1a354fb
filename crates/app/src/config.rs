//! `watchkeep.toml`: read once, checked whole, turned into values that the
//! rest of the program takes as arguments.
//!
//! Three layers, each over the one before: defaults, the file, and environment
//! variables `WATCHKEEP_SECTION__KEY`. What is wrong is told all at once, each
//! with its line. Which keys there are stands in [`keys`].

pub(crate) mod keys;
mod layers;
mod report;
pub(crate) mod sinks;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use watchkeep_detection::settings::TimeSettings;
use watchkeep_log_kafka::settings::{STRATEGIES, STRATEGY};
use watchkeep_model::time::TimeSpan;
use watchkeep_wire::fact::FactEncoding;
use watchkeep_wire::framing::AvroFraming;

use self::layers::{Layers, Origin};
pub(crate) use self::report::Shown;
use self::sinks::SinkConfig;

/// The file that is taken where `-c` is not given.
pub(crate) const FILE_DEFAULT: &str = "watchkeep.toml";

/// What is in force.
pub(crate) struct Config {
    /// Which log, and how to reach it.
    pub(crate) log: LogConfig,
    /// Name of the consumer groups without `-summarise` and so on.
    pub(crate) group: String,
    /// Topics and what is in them.
    pub(crate) topics: Topics,
    /// How event time is cut and waited for.
    pub(crate) time: TimeSettings,
    /// How often the summarise stage hands over.
    pub(crate) commit_interval: TimeSpan,
    /// Folder of snapshots: the one that is set, or one below the embedded
    /// log's, which can be written anyway. On Kafka nothing is written to a disk
    /// that nobody named.
    pub(crate) cache: Option<PathBuf>,
    /// The charter folder.
    pub(crate) charters: Option<PathBuf>,
    /// Where charters come from.
    pub(crate) charter_source: CharterSource,
    /// Where HTTP is served; always a loopback address.
    pub(crate) listen: SocketAddr,
    /// Folder of writers' schemas.
    pub(crate) schemas: Option<PathBuf>,
    /// Whether a record whose schema is not in that folder is waited for.
    pub(crate) waits_for_schemas: bool,
    /// Where escalations are sent.
    pub(crate) sinks: Vec<SinkConfig>,
    /// Every setting with its origin, for `config check`.
    pub(crate) shown: Vec<Shown>,
}

/// Where charters come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CharterSource {
    /// The folder, read once at the start.
    Folder,
    /// The charters topic, because it is set.
    Topic,
    /// Nothing is set: the charters topic of a log, none for files.
    Unset,
}

/// Which log.
pub(crate) enum LogConfig {
    /// A Kafka cluster.
    Kafka {
        /// Addresses, `host:port` with commas between.
        bootstrap: String,
        /// librdkafka properties; may hold secrets, so never printed.
        properties: BTreeMap<String, String>,
    },
    /// The embedded log.
    Embedded {
        /// Its folder.
        folder: PathBuf,
    },
}

/// Topics and what is in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topics {
    /// Where telemetry comes from.
    pub(crate) telemetry: Vec<String>,
    /// What every topic of ours begins with.
    pub(crate) prefix: String,
    /// Encoding of windows, breaches, incidents and escalations.
    pub(crate) encoding: Encoding,
    /// Partitions of each topic of ours, by its name without the prefix.
    pub(crate) partitions: BTreeMap<&'static str, i32>,
    /// How long windows and rejects are kept; `None` is for good.
    pub(crate) retention: Option<TimeSpan>,
    /// The same where a charter is a regulator's concern, at least as long.
    pub(crate) regulatory_retention: Option<TimeSpan>,
}

impl Topics {
    /// The full name of a topic of ours.
    pub(crate) fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// Encoding of facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Single object encoding, since there is no registry yet.
    Avro,
    /// One JSON object a record.
    Json,
}

impl Encoding {
    /// How facts are written to the log.
    pub(crate) const fn of_facts(self) -> FactEncoding {
        match self {
            Self::Json => FactEncoding::Json,
            Self::Avro => FactEncoding::Avro(AvroFraming::SingleObject),
        }
    }
}

/// Everything that is wrong with a configuration, one problem a line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ConfigError {
    /// The line of each, where it is one of the file, and the text.
    problems: Vec<(Option<usize>, String)>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<&str> = self.problems.iter().map(|(_, text)| text.as_str()).collect();
        f.write_str(&texts.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    fn add(&mut self, place: impl fmt::Display, what: impl fmt::Display) {
        let place = place.to_string();
        let line = place.rsplit_once(':').and_then(|(_, line)| line.parse().ok());
        self.problems.push((line, format!("{place}: {what}")));
    }
}

impl Config {
    /// Reads the file (the default one where none is named and it is there)
    /// and the environment.
    ///
    /// # Errors
    /// Everything that is wrong, in one error.
    pub(crate) fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let default = Path::new(FILE_DEFAULT);
        let file = file.or_else(|| default.exists().then_some(default));
        let text = match file {
            None => None,
            Some(path) => Some((path, crate::input::read_text(path)?)),
        };
        let file = text.as_ref().map(|(path, text)| (*path, text.as_str()));
        Ok(Self::of(file, environment())?)
    }

    /// The defaults and the environment, whatever lies in this folder: a
    /// replay must not depend on where it is started.
    ///
    /// # Errors
    /// What is wrong with the environment.
    pub(crate) fn without_file() -> anyhow::Result<Self> {
        Ok(Self::of(None, environment())?)
    }

    /// As [`Config::load`], but there must be a file: a service that starts
    /// from nothing but defaults would surprise whoever mistyped its name.
    ///
    /// # Errors
    /// There is no file, or what is wrong with it.
    pub(crate) fn load_required(file: Option<&Path>) -> anyhow::Result<Self> {
        if file.is_none() && !Path::new(FILE_DEFAULT).exists() {
            anyhow::bail!(
                "no configuration: name one with -c FILE, or write {FILE_DEFAULT} in this folder"
            );
        }
        Self::load(file)
    }

    /// From a text and an environment.
    ///
    /// # Errors
    /// Everything that is wrong, in one error.
    pub(crate) fn of(
        file: Option<(&Path, &str)>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut errors = ConfigError::default();
        let layers = Layers::read(file, environment, &mut errors);
        let config = checked(&layers, &mut errors);
        match config {
            Some(config) if errors.problems.is_empty() => Ok(config),
            _ => {
                // As the file is read; what has no line comes first.
                errors.problems.sort_by_key(|(line, _)| *line);
                Err(errors)
            }
        }
    }
}

/// Variables whose names and values are text; others are no settings.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn checked(layers: &Layers, errors: &mut ConfigError) -> Option<Config> {
    let mut time = TimeSettings {
        pane: layers.span("time.pane", errors),
        out_of_orderness: layers.span("time.out_of_orderness", errors),
        idle_after: layers.span("time.idle_after", errors),
        allowed_lateness: layers.span("time.allowed_lateness", errors),
        revise_every: layers.span("time.revise_every", errors),
        max_future: layers.span("time.max_future", errors),
        dead_man_after: layers.span("time.dead_man_after", errors),
    };
    if !layers.is_written("time.dead_man_after") {
        // Nothing is dead before it is idle.
        time.dead_man_after = time.dead_man_after.max(time.idle_after);
    }
    let time = time
        .checked()
        .map_err(|error| errors.add(layers.place(&format!("time.{}", error.name)), error))
        .ok();
    let commit_interval = layers.span("summarise.commit_interval", errors);
    if commit_interval <= TimeSpan::ZERO || commit_interval > TimeSpan::MINUTE {
        let what = "summarise.commit_interval: must be more than 0s and at most 1m";
        errors.add(layers.place("summarise.commit_interval"), what);
    }
    let telemetry = layers.texts("topics.telemetry");
    if telemetry.is_empty() {
        errors.add(layers.place("topics.telemetry"), "topics.telemetry: name at least one topic");
    }
    let mut kept = |path: &str| layers.is_set(path).then(|| layers.span(path, errors));
    let (retention, regulatory_retention) =
        (kept("topics.retention"), kept("topics.regulatory_retention"));
    let topics = Topics {
        telemetry,
        prefix: layers.text("topics.prefix").unwrap_or_default(),
        encoding: match layers.text("topics.encoding").as_deref() {
            Some("json") => Encoding::Json,
            _ => Encoding::Avro,
        },
        partitions: keys::TOPICS
            .iter()
            .map(|topic| (*topic, layers.count(&format!("topics.partitions.{topic}"), errors)))
            .collect(),
        retention,
        regulatory_retention,
    };
    check_retention(layers, &topics, errors);
    check_topic_names(layers, &topics, errors);
    if layers.is_set("registry.url") {
        errors.add(
            layers.place("registry.url"),
            "a schema registry is not supported yet: put the schemas into `[registry] folder`",
        );
    }
    let (group, log) = log(layers, errors);
    let listen = listen(layers, errors);
    let sinks = sinks::checked(layers, errors);
    let log = log?;
    let cache = layers.path("cache.folder").or_else(|| match &log {
        LogConfig::Embedded { folder } => Some(folder.join("cache")),
        LogConfig::Kafka { .. } => None,
    });
    Some(Config {
        log,
        cache,
        group,
        topics,
        time: time?,
        commit_interval,
        charter_source: match layers.text("charters.source").as_deref() {
            Some("topic") => CharterSource::Topic,
            Some(_) => CharterSource::Folder,
            None if layers.is_set("charters.folder") => CharterSource::Folder,
            None => CharterSource::Unset,
        },
        charters: layers.path("charters.folder"),
        listen: listen?,
        schemas: layers.path("registry.folder"),
        waits_for_schemas: layers.text("registry.unknown").as_deref() == Some("wait"),
        sinks,
        shown: report::shown(layers),
    })
}

fn log(layers: &Layers, errors: &mut ConfigError) -> (String, Option<LogConfig>) {
    let mut properties = layers.kafka();
    for (name, instead) in keys::KAFKA_RESERVED {
        if properties.remove(*name).is_some() {
            let place = layers.place(&format!("log.kafka.{name}"));
            errors.add(place, format!("log.kafka.{name} is Watchkeep's own business: {instead}"));
        }
    }
    if let Some(strategy) = properties.get(STRATEGY)
        && !STRATEGIES.contains(&strategy.as_str())
    {
        let place = layers.place(&format!("log.kafka.{STRATEGY}"));
        let known = STRATEGIES.join(", ");
        errors.add(place, format!("log.kafka.{STRATEGY} = \"{strategy}\" is none of {known}"));
    }
    let group = properties.remove("group.id").unwrap_or_else(|| "watchkeep".to_owned());
    let log = match layers.text("log.kind").as_deref() {
        Some("kafka") => match layers.text("log.bootstrap") {
            Some(bootstrap) => Some(LogConfig::Kafka { bootstrap, properties }),
            None => {
                let what =
                    "log.kind = \"kafka\" needs log.bootstrap, for example \"localhost:9092\"";
                errors.add(layers.place("log.kind"), what);
                None
            }
        },
        _ => layers.path("log.folder").map(|folder| LogConfig::Embedded { folder }),
    };
    (group, log)
}

fn listen(layers: &Layers, errors: &mut ConfigError) -> Option<SocketAddr> {
    let place = layers.place("http.listen");
    let text = layers.text("http.listen")?;
    let text =
        text.strip_prefix("localhost:").map_or(text.clone(), |port| format!("127.0.0.1:{port}"));
    let Ok(address) = text.parse::<SocketAddr>() else {
        let what = format!(
            "http.listen = \"{text}\": write an address and a port, for example \"127.0.0.1:9464\""
        );
        errors.add(place, what);
        return None;
    };
    if !address.ip().is_loopback() {
        // Whoever reaches the page may read who is paged and feed telemetry.
        let what = format!(
            "http.listen = \"{text}\": listening beyond the loopback interface is not supported yet (there are no tokens to guard it)"
        );
        errors.add(place, what);
        return None;
    }
    Some(address)
}

/// Records are kept for some time, and no shorter where a regulator asks for them.
fn check_retention(layers: &Layers, topics: &Topics, errors: &mut ConfigError) {
    let (path, longer) = ("topics.retention", "topics.regulatory_retention");
    if topics.retention.is_some_and(|span| span < TimeSpan::HOUR) {
        errors.add(layers.place(path), format!("{path}: must be at least 1h"));
    }
    let is_shorter = topics
        .regulatory_retention
        .is_some_and(|longer| topics.retention.is_none_or(|s| longer < s));
    if is_shorter {
        errors.add(layers.place(longer), format!("{longer}: must not be shorter than {path}"));
    }
}

/// Kafka's rule for names of topics, which the embedded log shares.
fn check_topic_names(layers: &Layers, topics: &Topics, errors: &mut ConfigError) {
    const NAME_CHARS_MAX: usize = 249;
    let legal = |name: &str| {
        let chars = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        chars && name.len() <= NAME_CHARS_MAX && !matches!(name, "." | "..")
    };
    let must = "use letters, digits, `.`, `_` and `-`, at most 249 of them";
    for topic in &topics.telemetry {
        let place = layers.place("topics.telemetry");
        if topic.is_empty() || !legal(topic) {
            errors.add(place, format!("topics.telemetry: `{topic}` is no name of a topic: {must}"));
        } else if keys::TOPICS.iter().any(|ours| topics.named(ours) == *topic) {
            errors.add(
                place,
                format!("topics.telemetry: `{topic}` is a topic that Watchkeep writes"),
            );
        }
    }
    if !legal(&topics.prefix) {
        let what = format!("topics.prefix: `{}` cannot begin a name: {must}", topics.prefix);
        errors.add(layers.place("topics.prefix"), what);
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Environment(variable) => f.write_str(variable),
        }
    }
}
