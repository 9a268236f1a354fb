//! Which settings there are, what they are by default, and what they are for.
//! A new one needs a line here and a reader in [`super`].

/// What a setting may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// A list of texts; in the environment with commas between.
    Texts,
    /// A span such as `60s`.
    Span,
    /// A whole number, at least 1.
    Count,
    /// True or false.
    Flag,
    /// A file or folder; in the file relative to the file, in the environment
    /// to the current folder.
    Path,
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// `section.key`.
    pub(crate) path: &'static str,
    /// What it may be.
    pub(crate) kind: Kind,
    /// As it would be written; absent where there is none.
    pub(crate) default: Option<&'static str>,
    /// What it is for.
    pub(crate) meaning: &'static str,
}

const fn key(
    path: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    meaning: &'static str,
) -> Key {
    Key { path, kind, default, meaning }
}

/// Topics of Watchkeep's own, without the prefix, in the order of the flow.
/// Others write to responses and lineage.
pub(crate) const TOPICS: [&str; 12] = [
    "summaries",
    "windows",
    "breaches",
    "incidents",
    "anchors",
    "escalations",
    "responses",
    "rejects",
    "charters",
    "policies",
    "baselines",
    "lineage",
];

/// Every setting, in the order in which it is shown.
pub(crate) const KEYS: [Key; 35] = [
    key("log.kind", Kind::OneOf(&["embedded", "kafka"]), Some("embedded"), "which log"),
    key("log.bootstrap", Kind::Text, None, "Kafka's addresses, host:port with commas between"),
    key("log.folder", Kind::Path, Some("watchkeep-data"), "folder of the embedded log"),
    key("topics.telemetry", Kind::Texts, Some("feature.telemetry"), "where telemetry comes from"),
    key("topics.prefix", Kind::Text, Some("watchkeep."), "what every topic of ours begins with"),
    key(
        "topics.encoding",
        Kind::OneOf(&["avro", "json"]),
        Some("avro"),
        "encoding of windows, breaches, incidents and escalations",
    ),
    // Summaries scale with partitions; all other facts keep their total order.
    key(
        "topics.retention",
        Kind::Span,
        None,
        "how long Kafka keeps windows and rejects; without it for good",
    ),
    key(
        "topics.regulatory_retention",
        Kind::Span,
        None,
        "the same where a charter says driver: regulatory; without it for good",
    ),
    key("topics.partitions.summaries", Kind::Count, Some("4"), "partitions of the topic"),
    key("topics.partitions.windows", Kind::Count, Some("1"), "partitions of the topic"),
    key("topics.partitions.breaches", Kind::Count, Some("1"), "partitions of the topic"),
    key("topics.partitions.incidents", Kind::Count, Some("1"), "partitions of the topic"),
    key("topics.partitions.anchors", Kind::Count, Some("1"), "partitions of the topic"),
    key("topics.partitions.escalations", Kind::Count, Some("1"), "partitions of the topic"),
    key("topics.partitions.responses", Kind::Count, Some("1"), "partitions of the topic"),
    key("topics.partitions.rejects", Kind::Count, Some("1"), "partitions of the topic"),
    key("topics.partitions.charters", Kind::Count, Some("1"), "partitions of the topic"),
    key("topics.partitions.policies", Kind::Count, Some("1"), "partitions of the topic"),
    key("topics.partitions.baselines", Kind::Count, Some("1"), "partitions of the topic"),
    key("topics.partitions.lineage", Kind::Count, Some("1"), "partitions of the topic"),
    key("time.pane", Kind::Span, Some("60s"), "the smallest slice of event time"),
    key("time.out_of_orderness", Kind::Span, Some("30s"), "how far events may be out of order"),
    key("time.idle_after", Kind::Span, Some("30s"), "when a silent partition is passed over"),
    key("time.allowed_lateness", Kind::Span, Some("10m"), "how long a closed window takes events"),
    key("time.revise_every", Kind::Span, Some("10m"), "how often late events change a window"),
    key("time.max_future", Kind::Span, Some("5m"), "how far an event may be ahead of the broker"),
    key(
        "time.dead_man_after",
        Kind::Span,
        Some("10m"),
        "when telemetry that has stopped altogether is a platform breach, by default never before idle_after; 0s for never",
    ),
    key(
        "summarise.commit_interval",
        Kind::Span,
        Some("200ms"),
        "how often summaries are committed",
    ),
    key(
        "cache.folder",
        Kind::Path,
        None,
        "snapshots that make restarts quick, safe to delete; by default below log.folder, on Kafka none",
    ),
    key("charters.folder", Kind::Path, None, "the charter folder"),
    key(
        "charters.source",
        Kind::OneOf(&["folder", "topic"]),
        None,
        "where charters come from; by default the folder where one is set, else the topic",
    ),
    key("http.listen", Kind::Text, Some("127.0.0.1:9464"), "address of the page, metrics and API"),
    key("registry.url", Kind::Text, None, "a schema registry"),
    key("registry.folder", Kind::Path, None, "folder of writers' schemas, <id>.avsc"),
    key(
        "registry.unknown",
        Kind::OneOf(&["wait", "reject"]),
        Some("wait"),
        "a record whose schema is not in registry.folder: its partition waits, or it is rejected",
    ),
];

/// The free section: every librdkafka property passes through.
pub(crate) const KAFKA: &str = "log.kafka";

/// The section of sinks, one table for each.
pub(crate) const SINKS: &str = "sinks";

/// Properties that exactly-once processing rests on or that stand elsewhere.
pub(crate) const KAFKA_RESERVED: &[(&str, &str)] = &[
    ("bootstrap.servers", "set log.bootstrap"),
    ("metadata.broker.list", "set log.bootstrap"),
    ("transactional.id", "it is made from group.id, stage and instance"),
    ("enable.auto.commit", "positions are committed with the facts"),
    ("enable.auto.offset.store", "positions are committed with the facts"),
    ("isolation.level", "only committed records are read"),
    ("enable.idempotence", "transactions need it"),
    ("enable.partition.eof", "stages are told where a partition ends"),
    ("group.protocol", "members of a group take and give back partitions themselves"),
    ("auto.offset.reset", "a partition without a position is read from its beginning"),
];

/// The setting of a path.
pub(crate) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// True where the value of a librdkafka property must not be shown. By
/// pattern, so that properties of later versions are masked too; one too many
/// is better than one too few.
pub(crate) fn is_secret(property: &str) -> bool {
    const PARTS: [&str; 7] =
        ["password", "secret", "token", "credential", "jaas", "key.pem", "private"];
    let name = property.to_ascii_lowercase();
    PARTS.iter().any(|part| name.contains(part)) || name == "sasl.oauthbearer.config"
}
