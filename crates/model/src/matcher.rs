//! Which incidents a silence is about.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

/// One condition on a label of an incident. Serialised as Alertmanager writes
/// it, `severity="warning"` or `root=~"dataset:.*"`; reads the same, with or
/// without the quotes, or a map of `name`, `value`, `is_equal`, `is_regex`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Matcher {
    /// The label, such as `root`, `owner` or `severity`.
    pub name: String,
    /// What it is compared with.
    pub value: String,
    /// False where the label must differ.
    pub is_equal: bool,
    /// True where the value is a regular expression for the whole label.
    pub is_regex: bool,
}

/// Why a text is no matcher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a matcher: write NAME=VALUE, NAME!=VALUE, NAME=~REGEX or NAME!~REGEX, for example root=dataset:weather"
)]
pub struct MatcherError(String);

impl std::str::FromStr for Matcher {
    type Err = MatcherError;

    fn from_str(text: &str) -> Result<Self, MatcherError> {
        let wrong = || MatcherError(text.chars().take(80).collect());
        let at = text.find(['=', '!']).ok_or_else(wrong)?;
        let (name, rest) = text.split_at(at);
        let operators =
            [("=~", true, true), ("!~", false, true), ("!=", false, false), ("=", true, false)];
        let (value, is_equal, is_regex) = operators
            .iter()
            .find_map(|(sign, equal, regex)| Some((rest.strip_prefix(sign)?, *equal, *regex)))
            .ok_or_else(wrong)?;
        let (name, value) = (name.trim(), value.trim());
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(plain) {
            return Err(wrong());
        }
        // `==` and the like are slips; a value that begins so stands in quotes.
        if value.starts_with(['=', '~', '!']) {
            return Err(wrong());
        }
        let value = match value.strip_prefix('"') {
            Some(_) => serde_json::from_str(value).map_err(|_| wrong())?,
            None => value.to_owned(),
        };
        Ok(Self { name: name.to_owned(), value, is_equal, is_regex })
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match (self.is_equal, self.is_regex) {
            (true, false) => "=",
            (false, false) => "!=",
            (true, true) => "=~",
            (false, true) => "!~",
        };
        write!(f, "{}{sign}{}", self.name, serde_json::Value::from(self.value.as_str()))
    }
}

impl Serialize for Matcher {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const fn yes() -> bool {
            true
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Map {
                name: String,
                value: String,
                #[serde(default = "yes", alias = "isEqual")]
                is_equal: bool,
                #[serde(default, alias = "isRegex")]
                is_regex: bool,
            },
        }
        match Form::deserialize(deserializer)? {
            Form::Text(text) => text.parse().map_err(de::Error::custom),
            Form::Map { name, value, is_equal, is_regex } => {
                Ok(Self { name, value, is_equal, is_regex })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_read_as_they_are_written() {
        for (text, shown) in [
            ("root=dataset:weather", "root=\"dataset:weather\""),
            ("severity != \"critical\"", "severity!=\"critical\""),
            ("root=~\"feature:a.*\"", "root=~\"feature:a.*\""),
            ("owner!~user:(ada|grace)", "owner!~\"user:(ada|grace)\""),
        ] {
            let matcher: Matcher = text.parse().unwrap();
            assert_eq!(matcher.to_string(), shown);
            assert_eq!(shown.parse(), Ok(matcher.clone()));
            assert_eq!(serde_json::from_value::<Matcher>(shown.into()).unwrap(), matcher);
        }
        let map = serde_json::json!({"name": "root", "value": "x", "isRegex": true});
        assert_eq!(serde_json::from_value::<Matcher>(map).unwrap().to_string(), "root=~\"x\"");
        for wrong in ["", "root", "=x", "a b=c", "root=\"x", "root!x", "kind==volume", "kind=!x"] {
            assert!(wrong.parse::<Matcher>().is_err(), "{wrong}");
        }
    }
}
