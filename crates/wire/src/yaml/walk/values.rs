//! Single values: text, names out of a few, numbers, spans and instants.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use watchkeep_model::document::{Place, nearest};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::super::node::{Node, Value};
use super::{Walk, shorten};
use crate::telemetry::FEATURE_BYTES_MAX;

/// Longest name of anything: telemetry's longest with its type before it.
const NAME_BYTES_MAX: usize = "feature:".len() + FEATURE_BYTES_MAX;

impl Walk<'_> {
    /// Text. What YAML takes for a number or a truth value must be in quotes.
    pub(in crate::yaml) fn text(&mut self, node: &Node) -> Option<String> {
        match &node.value {
            Value::Scalar { text, plain } => {
                if *plain && means_more_than_text(text) {
                    let hint = format!("write it in quotes: \"{text}\"");
                    let message = format!("`{text}` is not text");
                    self.report(node.place, "wrong_type", message, Some(hint));
                    return None;
                }
                if text.trim().is_empty() {
                    let hint = Some("write one, or take the line away".to_owned());
                    self.report(node.place, "wrong_value", "the text is empty", hint);
                    return None;
                }
                Some(text.clone())
            }
            _ => self.wrong_type(node, "text", "write one text"),
        }
    }

    /// The name of something, which others refer to.
    pub(in crate::yaml) fn name(&mut self, node: &Node) -> Option<String> {
        let name = self.text(node)?;
        self.is_short(&name, node.place).then_some(name)
    }

    /// A list of names.
    pub(in crate::yaml) fn names(&mut self, node: &Node) -> Option<Vec<String>> {
        self.list(node, Self::name)
    }

    /// False, with a finding, where a name is longer than telemetry may have one.
    pub(in crate::yaml) fn is_short(&mut self, name: &str, place: Place) -> bool {
        let bytes = name.len();
        if bytes > NAME_BYTES_MAX {
            let message = format!("the name has {bytes} bytes and may have {NAME_BYTES_MAX}");
            self.report(place, "bound", message, None);
        }
        bytes <= NAME_BYTES_MAX
    }

    /// A list of texts.
    pub(in crate::yaml) fn texts(&mut self, node: &Node) -> Option<Vec<String>> {
        self.list(node, Self::text)
    }

    /// A list of categories. Telemetry may have an empty one, in quotes here.
    pub(in crate::yaml) fn categories(&mut self, node: &Node) -> Option<Vec<String>> {
        self.list(node, |w, node| match &node.value {
            Value::Scalar { text, plain: false } => Some(text.clone()),
            _ => w.text(node),
        })
    }

    /// One of a few names.
    pub(in crate::yaml) fn choice<T: Clone>(
        &mut self,
        node: &Node,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let Value::Scalar { text, .. } = &node.value else {
            return self.wrong_type(node, "a name", "write one of the known names");
        };
        if let Some((_, value)) = choices.iter().find(|(name, _)| name == text) {
            return Some(value.clone());
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let hint = match nearest(text, names.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => "write one of these".to_owned(),
        };
        let message = format!("`{}` is none of {}", shorten(text), names.join(", "));
        self.report(node.place, "wrong_value", message, Some(hint));
        None
    }

    /// A whole number.
    pub(in crate::yaml) fn integer(
        &mut self,
        node: &Node,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let text = self.number_text(node, "a whole number")?;
        let value = text.parse::<u64>().ok().filter(|n| range.contains(n));
        if value.is_none() {
            let message = match *range.end() {
                u64::MAX => format!(
                    "`{}` is not a whole number of at least {}",
                    shorten(text),
                    range.start()
                ),
                end => format!(
                    "`{}` is not a whole number from {} to {end}",
                    shorten(text),
                    range.start()
                ),
            };
            let hint = match text.parse::<i128>() {
                Ok(wrong) if wrong < i128::from(*range.start()) => {
                    format!("write {} or more", range.start())
                }
                Ok(_) => format!("write {} or less", range.end()),
                Err(_) => format!("write it in digits alone, such as {}", range.start()),
            };
            self.report(node.place, "wrong_value", message, Some(hint));
        }
        value
    }

    /// The same for fields of 32 bits.
    pub(in crate::yaml) fn small(
        &mut self,
        node: &Node,
        range: RangeInclusive<u32>,
    ) -> Option<u32> {
        let value = self.integer(node, u64::from(*range.start())..=u64::from(*range.end()))?;
        u32::try_from(value).ok()
    }

    /// A finite number.
    pub(in crate::yaml) fn number(&mut self, node: &Node) -> Option<f64> {
        let text = self.number_text(node, "a number")?;
        let value = parse_number(text);
        if value.is_none() {
            self.report(
                node.place,
                "wrong_type",
                format!("`{}` is not a number", shorten(text)),
                None,
            );
        }
        value
    }

    /// A number above 0.
    pub(in crate::yaml) fn positive_number(&mut self, node: &Node) -> Option<f64> {
        let value = self.number(node)?;
        if value > 0.0 {
            return Some(value);
        }
        let hint = Some("write for example 0.1".to_owned());
        self.report(node.place, "wrong_value", format!("{value} is not above 0"), hint);
        None
    }

    /// A number from 0 to 1.
    pub(in crate::yaml) fn share(&mut self, node: &Node) -> Option<f64> {
        let value = self.number(node)?;
        if (0.0..=1.0).contains(&value) {
            return Some(value);
        }
        let hint = match value > 1.0 && value <= 100.0 {
            true => percent(value),
            false => "write for example 0.05".to_owned(),
        };
        let message = format!("{value} is not a share from 0 to 1");
        self.report(node.place, "wrong_value", message, Some(hint));
        None
    }

    /// A number between 0 and 1, neither of them.
    pub(in crate::yaml) fn probability(&mut self, node: &Node) -> Option<f64> {
        let value = self.number(node)?;
        if value > 0.0 && value < 1.0 {
            return Some(value);
        }
        let hint = match value > 1.0 && value < 100.0 {
            true => percent(value),
            false => "write a number above 0 and below 1".to_owned(),
        };
        let message = format!("{value} is not between 0 and 1");
        self.report(node.place, "wrong_value", message, Some(hint));
        None
    }

    /// A truth value.
    pub(in crate::yaml) fn boolean(&mut self, node: &Node) -> Option<bool> {
        match &node.value {
            Value::Scalar { text, plain: true } if text == "true" => Some(true),
            Value::Scalar { text, plain: true } if text == "false" => Some(false),
            _ => self.wrong_type(node, "true or false", "write true or false, without quotes"),
        }
    }

    /// A span of time; nothing (`0s`) is one.
    pub(in crate::yaml) fn span(&mut self, node: &Node) -> Option<TimeSpan> {
        let meant = match &node.value {
            Value::Scalar { text, .. } => meant_span(text),
            _ => None,
        };
        let hint = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "write it as 60s, 10m, 1h or 1d".to_owned(),
        };
        self.parsed(node, "a duration", &hint)
    }

    /// A span of time of more than nothing.
    pub(in crate::yaml) fn positive_span(&mut self, node: &Node) -> Option<TimeSpan> {
        let span = self.span(node)?;
        if span == TimeSpan::ZERO {
            let hint = Some("write for example 10m".to_owned());
            self.report(node.place, "wrong_value", "the duration must be more than nothing", hint);
            return None;
        }
        Some(span)
    }

    /// An instant.
    pub(in crate::yaml) fn instant(&mut self, node: &Node) -> Option<Timestamp> {
        self.parsed(node, "an instant", "write it as 2013-05-06 or 2013-05-06T14:00:00Z")
    }

    /// Text that a type knows how to read.
    pub(in crate::yaml) fn parsed<T: FromStr<Err: Display>>(
        &mut self,
        node: &Node,
        what: &str,
        hint: &str,
    ) -> Option<T> {
        let Value::Scalar { text, .. } = &node.value else {
            return self.wrong_type(node, what, hint);
        };
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.report(node.place, "wrong_value", error.to_string(), Some(hint.to_owned()));
                None
            }
        }
    }

    fn number_text<'n>(&mut self, node: &'n Node, wanted: &str) -> Option<&'n str> {
        match &node.value {
            Value::Scalar { text, plain: true } => Some(text),
            Value::Scalar { text, .. } if parse_number(text).is_some() => {
                self.wrong_type(node, wanted, "write it without quotes")
            }
            _ => self.wrong_type(node, wanted, "write a number"),
        }
    }
}

fn parse_number(text: &str) -> Option<f64> {
    let is_decimal = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    text.parse::<f64>().ok().filter(|value| is_decimal && value.is_finite())
}

/// True where YAML 1.2 reads a plain text as something other than text.
pub(in crate::yaml) fn means_more_than_text(text: &str) -> bool {
    matches!(
        text,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" | ".nan" | ".NaN" | ".inf" | "-.inf"
    ) || parse_number(text).is_some()
}

/// What a share in percent is, without the digits that a division makes up.
fn percent(value: f64) -> String {
    format!("{value} % is {}", (value * 1e10).round() / 1e12)
}

/// The duration that `90 days` or `5 min` was meant to be.
fn meant_span(text: &str) -> Option<TimeSpan> {
    let text = text.trim();
    let (count, word) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let word = word.trim().to_ascii_lowercase();
    let unit = match word.strip_suffix('s').filter(|word| word.len() > 1).unwrap_or(&word) {
        "ms" | "milli" | "millisecond" => "ms",
        "s" | "sec" | "second" => "s",
        "m" | "min" | "minute" => "m",
        "h" | "hr" | "hour" => "h",
        "d" | "day" => "d",
        "w" | "wk" | "week" => "w",
        _ => return None,
    };
    format!("{count}{unit}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_in_words_is_understood() {
        let meant = |text: &str| meant_span(text).map(|span| span.to_string());
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            ["90 days", "5 min", "1 Hour", "250 ms", "2wks", "10s"].map(meant),
            ["90d", "5m", "1h", "250ms", "2w", "10s"].map(some)
        );
        assert_eq!(["days", "", "3 months", "1.5 h", "-1 day"].map(meant), [const { None }; 5]);
    }
}
