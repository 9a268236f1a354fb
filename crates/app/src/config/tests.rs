//! What the configuration says when it is wrong, and what holds when it is right.

use std::path::Path;

use expect_test::{Expect, expect};

use super::{Config, LogConfig};

fn read(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Config::of(Some((Path::new("conf/watchkeep.toml"), text)), environment)
        .map_err(|e| e.to_string())
}

fn check_refused(text: &str, expected: Expect) {
    expected.assert_eq(&read(text, &[]).err().unwrap_or_else(|| "accepted".into()));
}

#[test]
fn nothing_is_enough() {
    let config = read("", &[]).ok().unwrap();
    assert!(
        matches!(&config.log, LogConfig::Embedded { folder } if folder == Path::new("conf/watchkeep-data"))
    );
    assert_eq!(config.cache.as_deref(), Some(Path::new("conf/watchkeep-data/cache")));
    assert_eq!(config.group, "watchkeep");
    assert_eq!(config.time, watchkeep_detection::settings::TimeSettings::default());
    assert_eq!(config.topics.partitions["summaries"], 4);
    assert_eq!(config.topics.named("windows"), "watchkeep.windows");
}

#[test]
fn the_dead_man_waits_at_least_until_partitions_are_idle() {
    let of = |text: &str| read(text, &[]).map(|config| config.time.dead_man_after.to_string());
    assert_eq!(of("[time]\nidle_after = \"30m\"\n"), Ok("30m".to_owned()));
    assert_eq!(of("[time]\nidle_after = \"1m\"\n"), Ok("10m".to_owned()));
    let refused = of("[time]\nidle_after = \"30m\"\ndead_man_after = \"20m\"\n").unwrap_err();
    assert!(refused.contains("must be at least time.idle_after"), "{refused}");
}

#[test]
fn a_folder_that_is_set_to_nothing_is_none() {
    let config = read("", &[("WATCHKEEP_CACHE__FOLDER", "")]).ok().unwrap();
    assert_eq!(config.cache.as_deref(), Some(Path::new("conf/watchkeep-data/cache")));
    let kafka = "[log]\nkind = \"kafka\"\nbootstrap = \"localhost:9092\"\n";
    let config = read(kafka, &[("WATCHKEEP_CACHE__FOLDER", "")]).ok().unwrap();
    assert_eq!(config.cache, None);
}

#[test]
fn every_mistake_is_told_with_its_line() {
    check_refused(
        r#"
[log]
kind = "kafca"
bootstap = "localhost:9092"

[topics]
telemetry = "feature.telemetry"
partitions = 3

[time]
pane = 60
out_of_orderness = "30 s"
revise_every = "90s"

[chaters]
folder = "x"

[registry]
url = "http://localhost:8081"

[http]
listen = "0.0.0.0:9464"

[sinks.pager]
tool = "pagerduty"
secret_fle = "x"
"#,
        expect![[r#"
            conf/watchkeep.toml:3: log.kind = "kafca": must be one of embedded, kafka; did you mean `kafka`?
            conf/watchkeep.toml:4: unknown key `bootstap` in [log]: did you mean `bootstrap`?
            conf/watchkeep.toml:7: topics.telemetry: must be a list of texts, for example ["feature.telemetry"], but is of type string
            conf/watchkeep.toml:8: `topics.partitions` is a section: write `[topics.partitions]`
            conf/watchkeep.toml:11: time.pane: must be a duration in quotes, for example "60s", but is of type integer
            conf/watchkeep.toml:12: time.out_of_orderness: `30 s` is not a duration: write a whole number and one of ms, s, m, h, d, w, for example 10m
            conf/watchkeep.toml:13: time.revise_every = 90s: must be a multiple of the pane, 1m
            conf/watchkeep.toml:15: unknown key `chaters`: did you mean `charters`?
            conf/watchkeep.toml:19: a schema registry is not supported yet: put the schemas into `[registry] folder`
            conf/watchkeep.toml:22: http.listen = "0.0.0.0:9464": listening beyond the loopback interface is not supported yet (there are no tokens to guard it)
            conf/watchkeep.toml:24: sink tool pagerduty is not supported yet
            conf/watchkeep.toml:26: unknown key `secret_fle`: did you mean `secret_file`?"#]],
    );
}

#[test]
fn broken_toml_has_a_line() {
    check_refused(
        "[log]\nkind = \"embedded\n",
        expect!["conf/watchkeep.toml:2: not TOML: invalid basic string, expected `\"`"],
    );
}

#[test]
fn kafka_needs_an_address_and_keeps_what_is_its_own() {
    check_refused(
        "[log]\nkind = \"kafka\"\n[log.kafka]\nenable.auto.commit = true\n",
        expect![[r#"
            conf/watchkeep.toml:2: log.kind = "kafka" needs log.bootstrap, for example "localhost:9092"
            conf/watchkeep.toml:4: log.kafka.enable.auto.commit is Watchkeep's own business: positions are committed with the facts"#]],
    );
}

#[test]
fn a_cache_on_kafka_is_where_somebody_says() {
    let kafka = "[log]\nkind = \"kafka\"\nbootstrap = \"k:9092\"\n";
    assert_eq!(read(kafka, &[]).ok().unwrap().cache, None);
    let config = read(&format!("{kafka}[cache]\nfolder = \"snap\"\n"), &[]).ok().unwrap();
    assert_eq!(config.cache.as_deref(), Some(Path::new("conf/snap")));
}

#[test]
fn the_environment_has_the_last_word_and_mistakes_in_it_are_told() {
    let config = read(
        "[time]\npane = \"30s\"\n[charters]\nfolder = \"charters\"\n",
        &[
            ("WATCHKEEP_TIME__PANE", "10s"),
            ("WATCHKEEP_TOPICS__TELEMETRY", "a, b"),
            ("WATCHKEEP_TOPICS__PARTITIONS__SUMMARIES", "8"),
            ("WATCHKEEP_LOG__KIND", "kafka"),
            ("WATCHKEEP_LOG__BOOTSTRAP", "k:9092"),
            ("WATCHKEEP_LOG__KAFKA__SASL_PASSWORD", "hush"),
            ("WATCHKEEP_LOG__KAFKA__GROUP_ID", "mine"),
            ("HOME", "/root"),
        ],
    )
    .ok()
    .unwrap();
    assert_eq!(config.time.pane.to_string(), "10s");
    assert_eq!(config.topics.telemetry, ["a", "b"]);
    assert_eq!(config.topics.partitions["summaries"], 8);
    assert_eq!(config.charters.as_deref(), Some(Path::new("conf/charters")));
    assert_eq!(config.group, "mine");
    let LogConfig::Kafka { bootstrap, properties } = &config.log else { panic!("not Kafka") };
    assert_eq!((bootstrap.as_str(), properties["sasl.password"].as_str()), ("k:9092", "hush"));
    let shown = serde_json::to_string(&config.shown).unwrap();
    assert!(!shown.contains("hush") && shown.contains("WATCHKEEP_TIME__PANE"), "{shown}");

    let wrong = read("", &[("WATCHKEEP_TIME__PAN", "10s")]).err().unwrap();
    expect!["WATCHKEEP_TIME__PAN: unknown key `time.pan`: did you mean `WATCHKEEP_TIME__PANE`?"]
        .assert_eq(&wrong);
}

#[test]
fn secrets_are_known_by_their_names() {
    for name in [
        "sasl.password",
        "ssl.key.password",
        "ssl.keystore.password",
        "ssl.key.pem",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.config",
    ] {
        assert!(super::keys::is_secret(name), "{name}");
    }
    for name in ["sasl.username", "ssl.ca.location", "ssl.key.location", "fetch.wait.max.ms"] {
        assert!(!super::keys::is_secret(name), "{name}");
    }
}
