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
            conf/watchkeep.toml:25: sinks.pager.secret_file: PagerDuty needs the integration's routing key
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

#[test]
fn each_sink_is_told_what_it_lacks() {
    check_refused(
        r#"
[sinks.pager]
tool = "pagerduty"

[sinks.alerts]
tool = "alertmanager"
give_up_after = "2d"
drill = "yes"

[sinks.hook]
tool = "webhook"
url = "ftp://example.com/hook"
username = "ada"

[sinks.chat]
tool = "slack"

[sinks.mail]
tool = "email"
url = "smtp://mail.example.com"
tls = "none"
username = "ada"
secret_env = "MAIL_PASSWORD"
secret_file = "mail.key"
takes = "all"

[sinks.other]
url = "https://example.com"

[sinks.odd]
tool = "pagerdty"

[sinks.clear]
tool = "alertmanager"
url = "http://ada:hush@alerts.example.com"
secret_file = "key"

[sinks."a b"]
tool = "slack"
"#,
        expect![[r#"
            conf/watchkeep.toml:3: sinks.pager.secret_file: PagerDuty needs the integration's routing key
            conf/watchkeep.toml:6: sinks.alerts.url: write the address, for example "http://alertmanager:9093"
            conf/watchkeep.toml:7: sinks.alerts.give_up_after: must be at least 1s and at most 1d
            conf/watchkeep.toml:8: sinks.alerts.drill: must be true or false, but is of type string
            conf/watchkeep.toml:12: sinks.hook.url: must begin with https:// or http://
            conf/watchkeep.toml:13: sinks.hook.username: webhook knows no names
            conf/watchkeep.toml:16: sinks.chat.url: give the webhook's address, which is a secret, by secret_file or secret_env, or else by url
            conf/watchkeep.toml:19: sinks.mail.from: write the sender, for example "Watchkeep <watchkeep@example.com>"
            conf/watchkeep.toml:20: sinks.mail.url: the password would cross the network in the clear: use smtps:// or STARTTLS
            conf/watchkeep.toml:23: sinks.mail.secret_env: set either secret_file or secret_env
            conf/watchkeep.toml:25: sinks.mail.takes: e-mail goes to addresses: use `addressed`
            conf/watchkeep.toml:27: sinks.other.tool: must be one of pagerduty, alertmanager, webhook, slack, email
            conf/watchkeep.toml:31: sinks.odd.tool = "pagerdty": must be one of pagerduty, alertmanager, webhook, slack, email; did you mean `pagerduty`?
            conf/watchkeep.toml:35: sinks.clear.url: must hold no password: set username, and secret_file or secret_env
            conf/watchkeep.toml:35: sinks.clear.url: the secret would cross the network in the clear: use https://
            conf/watchkeep.toml:38: sinks.a b: use letters, digits, `-` and `_`"#]],
    );
}

#[test]
fn sinks_come_from_file_and_environment_and_give_no_secret_away() {
    let config = read(
        r#"
[sinks.data-pager]
tool = "pagerduty"
to = ["flight-data"]
secret_file = "pager.key"

[sinks.chat]
tool = "slack"
url = "https://hooks.slack.com/services/T0/B0/hush-hush"
takes = "all"

[sinks.mail]
tool = "email"
url = "smtps://mail.example.com"
from = "Watchkeep <watchkeep@example.com>"
drill = true
"#,
        &[
            ("WATCHKEEP_SINKS__DATA_PAGER__GIVE_UP_AFTER", "1m"),
            ("WATCHKEEP_SINKS__ALERTS__TOOL", "alertmanager"),
            ("WATCHKEEP_SINKS__ALERTS__URL", "http://localhost:9093"),
            ("WATCHKEEP_SINKS__ALERTS__RESOLVE_TIMEOUT", "2m"),
        ],
    );
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    let sinks: Vec<_> = config.sinks.iter().map(|one| &one.sink).collect();
    let names: Vec<&str> = sinks.iter().map(|sink| &*sink.name).collect();
    assert_eq!(names, ["alerts", "chat", "data-pager", "mail"]);
    assert_eq!(sinks[0].refresh_every.map(|span| span.to_string()).as_deref(), Some("30s"));
    assert_eq!((sinks[1].takes_all, sinks[1].per_minute), (true, 60));
    assert_eq!(sinks[2].give_up_after.to_string(), "1m");
    assert_eq!(sinks[2].to, ["flight-data"]);
    assert!(sinks[3].drill && !sinks[2].drill);
    let shown = serde_json::to_string(&config.shown).unwrap();
    assert!(!shown.contains("hush"), "{shown}");
    assert!(shown.contains("https://hooks.slack.com/********"), "{shown}");

    for (variable, told) in [
        ("WATCHKEEP_SINKS__CHAT", "write WATCHKEEP_SINKS__NAME__KEY"),
        ("WATCHKEEP_SINKS__CHAT__TOL", "did you mean `tool`?"),
        ("WATCHKEEP_SINKS__CHAT__TAKES", "must be one of addressed, all"),
    ] {
        let wrong = read("", &[(variable, "x")]).err().unwrap();
        assert!(wrong.contains(told), "{wrong}");
    }
}

#[test]
fn addresses_are_shown_without_what_they_hold() {
    use super::sinks::{is_loopback, masked_url, port};
    for (url, shown) in [
        ("https://example.com", "https://example.com"),
        ("https://example.com/", "https://example.com"),
        ("https://ada:hush@example.com:8443/x?token=hush", "https://example.com:8443/********"),
        ("https://example.com?token=hush", "https://example.com/********"),
        ("hush", "********"),
    ] {
        assert_eq!(masked_url(url), shown);
    }
    assert!(is_loopback("http://[::1]:9093/x") && is_loopback("smtp://127.0.0.1:25"));
    assert!(!is_loopback("http://localhost.example.com"));
    assert_eq!((port("a:25/x"), port("[::1]:26"), port("a")), (Some(25), Some(26), None));
}
