//! Asks hosts whether the links of a charter folder still lead anywhere.
//!
//! Only hosts that somebody has allowed are asked, and a redirect to another
//! one is not followed: a charter must not make this machine call others.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::Mutex;
use std::time::Duration;

use ureq::http::{Response, Uri};
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Body};
use watchkeep_incident::registry::DeadLinks;

use crate::config::sinks::is_loopback;

/// How long one request may take, name and connection included.
const PATIENCE: Duration = Duration::from_secs(5);

/// Redirects within a host that are followed.
const REDIRECTS_MAX: usize = 5;

/// Requests in a row that a host may leave without an answer. Its other links
/// are not asked for any more, and are as dead as those.
const SILENT_MAX: usize = 3;

/// Hosts that are asked at the same time, one request each.
const HOSTS_AT_ONCE: usize = 8;

/// Links that are asked for. The rest is told as not looked at.
const LINKS_MAX: usize = 10_000;

/// What came of looking.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// Links that lead nowhere.
    pub(crate) dead: DeadLinks,
    /// Links that were not asked for, by their host: it is not allowed, or they
    /// hold a name to sign in with.
    pub(crate) elsewhere: BTreeMap<String, usize>,
    /// Links beyond the most that are asked for.
    pub(crate) beyond: usize,
}

/// Asks for each link whose host is allowed: `wiki.example.com` is that host,
/// `*.example.com` any below it.
pub(crate) fn look(links: BTreeSet<String>, allowed: &[String]) -> Looked {
    let mut looked = Looked::default();
    let mut hosts: BTreeMap<String, Vec<(String, Uri)>> = BTreeMap::new();
    let mut count = 0;
    for link in links {
        let uri = match link.parse::<Uri>() {
            Ok(uri) if uri.host().is_some_and(|host| !host.is_empty()) => uri,
            _ => {
                looked.dead.insert(link, "it is no address".to_owned());
                continue;
            }
        };
        let host = host(&uri);
        // A name and password in a link are nothing to send around.
        let has_name = uri.authority().is_some_and(|whole| whole.as_str().contains('@'));
        if has_name || !allowed.iter().any(|pattern| is_allowed(pattern, &host)) {
            *looked.elsewhere.entry(host).or_default() += 1;
        } else if count == LINKS_MAX {
            looked.beyond += 1;
        } else {
            count += 1;
            hosts.entry(host).or_default().push((link, uri));
        }
    }
    let work = Mutex::new(hosts.into_values());
    let dead = Mutex::new(&mut looked.dead);
    std::thread::scope(|scope| {
        for _ in 0..HOSTS_AT_ONCE {
            scope.spawn(|| {
                while let Some(links) = work.lock().ok().and_then(|mut work| work.next()) {
                    let found = of_host(&links);
                    if let Ok(mut dead) = dead.lock() {
                        dead.extend(found);
                    }
                }
            });
        }
    });
    looked
}

/// The dead ones among the links of one host.
fn of_host(links: &[(String, Uri)]) -> DeadLinks {
    let agent = agent(links.first().is_some_and(|(link, _)| is_loopback(link)));
    let mut dead = DeadLinks::new();
    let mut silent = 0;
    for (link, uri) in links {
        if silent == SILENT_MAX {
            dead.insert(link.clone(), "its host does not answer".to_owned());
            continue;
        }
        match ask(&agent, uri) {
            Ok(None) => silent = 0,
            Ok(Some(why)) => {
                silent = 0;
                dead.insert(link.clone(), why);
            }
            Err(why) => {
                silent += 1;
                dead.insert(link.clone(), why);
            }
        }
    }
    dead
}

fn agent(is_loopback: bool) -> Agent {
    let tls = TlsConfig::builder()
        .provider(TlsProvider::NativeTls)
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    let builder = Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .tls_config(tls)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("watchkeep/", env!("CARGO_PKG_VERSION")));
    let builder = if is_loopback { builder.proxy(None) } else { builder };
    builder.build().into()
}

/// Why the address is dead, where it is.
///
/// # Errors
/// Why there was no answer.
fn ask(agent: &Agent, uri: &Uri) -> Result<Option<String>, String> {
    let mut at = uri.clone();
    for _ in 0..=REDIRECTS_MAX {
        let mut response = agent.head(at.clone()).call().map_err(|error| unsent(&error))?;
        // Many a server knows no HEAD, or treats it as something else.
        if response.status().as_u16() >= 400 {
            response = agent.get(at.clone()).call().map_err(|error| unsent(&error))?;
        }
        let status = response.status().as_u16();
        return Ok(match status {
            300..400 => match redirected(&at, &response) {
                Some(next) if host(&next) == host(&at) => {
                    at = next;
                    continue;
                }
                // Often a page to sign in. Whether the link is dead only that
                // host could tell.
                _ => None,
            },
            // Whoever may see it is told more.
            401 | 403 | 407 | 429 => None,
            400.. => Some(format!("HTTP {status}")),
            _ => None,
        });
    }
    Ok(Some(format!("more than {REDIRECTS_MAX} redirects")))
}

/// The address that an answer redirects to.
fn redirected(from: &Uri, response: &Response<Body>) -> Option<Uri> {
    let location = response.headers().get("location")?.to_str().ok()?;
    let (scheme, authority) = (from.scheme_str()?, from.authority()?);
    if location.contains("://") {
        return location.parse().ok();
    }
    let text = match location {
        _ if location.starts_with("//") => format!("{scheme}:{location}"),
        _ if location.starts_with('/') => format!("{scheme}://{authority}{location}"),
        _ => {
            let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{scheme}://{authority}{folder}/{location}")
        }
    };
    text.parse().ok()
}

/// The host of an address, in small letters.
fn host(uri: &Uri) -> String {
    uri.host().unwrap_or_default().to_ascii_lowercase()
}

fn is_allowed(pattern: &str, host: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    match pattern.strip_prefix("*.") {
        Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
        None => pattern == host,
    }
}

/// Why nothing came back.
fn unsent(error: &ureq::Error) -> String {
    use ureq::Error as E;
    match error {
        E::Timeout(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        E::HostNotFound => "the host is not found".to_owned(),
        E::ConnectionFailed => "no connection".to_owned(),
        E::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
            "the connection is refused".to_owned()
        }
        E::Io(error) => error.to_string(),
        E::Tls(why) => format!("TLS: {why}"),
        E::NativeTls(error) => format!("TLS: {error}"),
        E::Protocol(_) => "the answer is no HTTP".to_owned(),
        _ => "the request failed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_allowed_by_its_name_or_by_what_it_lies_below() {
        for (pattern, host, expected) in [
            ("wiki.example.com", "wiki.example.com", true),
            ("Wiki.Example.com", "wiki.example.com", true),
            ("example.com", "wiki.example.com", false),
            ("*.example.com", "wiki.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "badexample.com", false),
            ("*", "example.com", false),
        ] {
            assert_eq!(is_allowed(pattern, host), expected, "{pattern} {host}");
        }
    }
}
