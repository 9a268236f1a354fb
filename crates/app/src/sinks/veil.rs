//! What a tool may repeat in its answer and nobody may read: a sink's secret,
//! in each way in which it travels, and the path and query of its address,
//! which for many webhooks are the secret.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use watchkeep_interop::sink::pagerduty;
use watchkeep_model::json::to_line;
use watchkeep_runtime::stage::deliver::Tool;

use crate::config::sinks::{Secret, SinkConfig};

/// What stands in the place of what is hidden.
const MASK: &str = "********";

/// Characters from which on a part of a path is hidden by itself: a token is
/// longer, a shorter word would be missed in what the tool says.
const PART_CHARS_MIN: usize = 6;

/// Texts of one sink that are hidden, longest first.
pub(super) struct Veil {
    hidden: Vec<String>,
}

impl Veil {
    /// What a sink has to hide.
    pub(super) fn of(config: &SinkConfig, secret: Option<&Secret>) -> Self {
        let mut hidden = Vec::new();
        let url = match (config.sink.tool, secret) {
            (Tool::Slack, Some(secret)) => secret.reveal(),
            _ => &config.url,
        };
        if url != pagerduty::URL_DEFAULT {
            hidden.extend(parts(url));
        }
        if let Some(secret) = secret.map(Secret::reveal) {
            hidden.push(secret.to_owned());
            // The key of a webhook is the base64 behind the name of its kind.
            hidden.extend(secret.strip_prefix("whsec_").map(str::to_owned));
            if let Some(username) = &config.username {
                // HTTP's basic credentials (RFC 7617, 2) and AUTH PLAIN (RFC 4616, 2).
                hidden.push(format!("{username}:{secret}"));
                hidden.push(format!("\0{username}\0{secret}"));
            }
        }
        Self::over_texts(&hidden)
    }

    /// Hides texts, in every spelling.
    pub(super) fn over_texts<T: AsRef<str>>(texts: &[T]) -> Self {
        let mut hidden: Vec<String> =
            texts.iter().flat_map(|text| spellings(text.as_ref())).collect();
        hidden.retain(|text| !text.is_empty());
        hidden.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        hidden.dedup();
        Self { hidden }
    }

    /// A text without what is hidden.
    pub(super) fn over(&self, text: String) -> String {
        self.hidden.iter().fold(text, |text, hidden| match text.contains(hidden.as_str()) {
            true => text.replace(hidden.as_str(), MASK),
            false => text,
        })
    }
}

/// The address as a whole, and what of it stands behind the host: together,
/// path and query by themselves, and their longer parts.
fn parts(url: &str) -> Vec<String> {
    let Some((_, rest)) = url.split_once("://") else { return vec![url.to_owned()] };
    let Some(at) = rest.find(['/', '?', '#']) else { return Vec::new() };
    let behind = &rest[at..];
    // A slash or a letter by itself says nothing, and stands everywhere.
    let says = |text: &&str| text.trim_matches('/').len() > 1;
    if !says(&behind) {
        return Vec::new();
    }
    let (path, query) = behind.split_once('?').unwrap_or((behind, ""));
    let mut all = vec![url.to_owned(), behind.to_owned()];
    for whole in [path, path.trim_matches('/'), query] {
        all.extend(Some(whole).filter(says).map(str::to_owned));
    }
    let long = path.split('/').filter(|part| part.chars().count() >= PART_CHARS_MIN);
    all.extend(long.map(str::to_owned));
    let values = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
    all.extend(values.filter(says).map(str::to_owned));
    all
}

/// A text as it is, and as headers, addresses, JSON and pages write it.
fn spellings(text: &str) -> Vec<String> {
    let mut all = vec![text.to_owned()];
    all.extend([STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD].map(|of| of.encode(text)));
    let lower = text.bytes().fold(String::new(), |mut hex, byte| {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    all.extend([lower.to_uppercase(), lower]);
    for keeps_slash in [false, true] {
        all.push(percent_encoded(text, keeps_slash));
    }
    all.push(percent_decoded(text));
    let json = to_line(&text);
    let json = json.trim_matches('"');
    all.extend([json.to_owned(), json.replace('/', "\\/")]);
    let page = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let page = page.replace('"', "&quot;");
    all.extend(["&#39;", "&#x27;"].map(|quote| page.replace('\'', quote)));
    all.push(page.replace('/', "&#x2F;"));
    all
}

/// RFC 3986, 2.1; reserved characters too, but for the slash where it is kept.
fn percent_encoded(text: &str, keeps_slash: bool) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if is_plain || (keeps_slash && byte == b'/') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = text.get(at + 1..at + 3).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match pair.filter(|_| bytes[at] == b'%') {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_and_the_credentials_are_hidden_however_they_are_written() {
        let path = "/services/T000/B000/SLACKTOPSECRET";
        let url = format!("https://hooks.example.com{path}?token=to%2Fken");
        let mut hidden: Vec<String> = parts(&url);
        hidden.extend(["ada:hu&sh/hush".to_owned(), "hu&sh/hush".to_owned()]);
        let veil = Veil::over_texts(&hidden);
        let basic = STANDARD.encode("ada:hu&sh/hush");
        let decoded = "no /services/T000/B000/SLACKTOPSECRET?token=to/ken".to_owned();
        for told in [
            format!("Cannot POST {path}"),
            format!("no route {}", &path[1..]),
            "token SLACKTOPSECRET is unknown".to_owned(),
            format!("{{\"path\": \"{}\"}}", path.replace('/', "\\/")),
            percent_encoded(path, false),
            "token to/ken, to%2Fken".to_owned(),
            decoded,
            format!("bad credentials: Basic {basic}"),
            "password hu&amp;sh/hush, hu%26sh%2Fhush".to_owned(),
        ] {
            let shown = veil.over(told.clone());
            for secret in ["SECRET", "B000", "ken", &basic, "hush"] {
                assert!(!shown.replace("token ", "").contains(secret), "{told}: {shown}");
            }
        }
        assert_eq!(veil.over("HTTP 503: full".into()), "HTTP 503: full");
        assert!(parts("https://example.com/").is_empty());
    }
}
