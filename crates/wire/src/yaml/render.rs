//! Findings as people and programs read them.

use std::collections::BTreeMap;
use std::fmt::Write;

use watchkeep_model::document::{Diagnostic, Level};

/// How findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As compilers do: place, message, the line with a caret, a hint; a count at the end.
    Text,
    /// A JSON array with the fields of [`Diagnostic`].
    Json,
}

/// Columns of a source line that are shown around a finding.
const LINE_CHARS_MAX: usize = 120;

/// Writes findings. `files` are the names and texts that were read; a file
/// that is not among them is shown without its line. Ends with a line break
/// unless there is nothing to say.
pub fn render(diagnostics: &[Diagnostic], files: &[(String, String)], format: Format) -> String {
    if format == Format::Json {
        // The fields are texts, numbers and names: nothing in them can fail.
        let mut json = serde_json::to_string_pretty(diagnostics).unwrap_or_default();
        json.push('\n');
        return json;
    }
    let mut text = String::new();
    let mut sources = Sources { files, lines: BTreeMap::new() };
    for diagnostic in diagnostics {
        one(&mut text, diagnostic, &mut sources);
    }
    let errors = diagnostics.iter().filter(|d| d.severity == Level::Error).count();
    let warnings = diagnostics.len() - errors;
    let count = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
    let summary = match (errors, warnings) {
        (0, 0) => return text,
        (0, _) => count(warnings, "warning"),
        (_, 0) => count(errors, "error"),
        _ => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    };
    text.push_str(&summary);
    text.push('\n');
    text
}

/// The texts that were read, in lines. Many findings are about one file, and
/// each is shown with its line.
struct Sources<'f> {
    files: &'f [(String, String)],
    lines: BTreeMap<&'f str, Vec<&'f str>>,
}

impl<'f> Sources<'f> {
    fn line(&mut self, file: &str, line: u32) -> Option<&'f str> {
        if !self.lines.contains_key(file) {
            let (name, text) = self.files.iter().find(|(name, _)| name == file)?;
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            self.lines.insert(name, text.lines().collect());
        }
        let place = usize::try_from(line).ok()?.checked_sub(1)?;
        self.lines.get(file)?.get(place).copied()
    }
}

fn one(text: &mut String, diagnostic: &Diagnostic, sources: &mut Sources<'_>) {
    let Diagnostic { file, line, column, document, field, rule, severity, message, hint } =
        diagnostic;
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}[{rule}]: {}", severity.name(), printable(message));
    let _ = write!(text, "  --> {file}:{line}:{column}");
    if !document.is_empty() || !field.is_empty() {
        let place: Vec<String> = [document, field]
            .iter()
            .filter(|part| !part.is_empty())
            .map(|part| printable(part))
            .collect();
        let _ = write!(text, " ({})", place.join(", "));
    }
    text.push('\n');
    if let Some((source, caret)) =
        sources.line(file, *line).and_then(|source| around(source, *column))
    {
        let gutter = line.to_string().len();
        let _ = writeln!(text, "{:gutter$} |", "");
        let _ = writeln!(text, "{line} | {source}");
        let _ = writeln!(text, "{:gutter$} | {:caret$}^", "", "");
    }
    if let Some(hint) = hint {
        let _ = writeln!(text, "  = {}", printable(hint));
    }
    text.push('\n');
}

/// The source line, cut around the column, and the caret's distance from its start.
fn around(source: &str, column: u32) -> Option<(String, usize)> {
    let chars: Vec<char> = source.chars().collect();
    let at = usize::try_from(column).ok()?.checked_sub(1)?;
    if at > chars.len() {
        return None;
    }
    let start = if at < LINE_CHARS_MAX { 0 } else { at - LINE_CHARS_MAX / 2 };
    let shown: String = chars.iter().skip(start).take(LINE_CHARS_MAX).collect();
    Some((printable(&shown), at - start))
}

/// Control characters would move the caret or the reader's terminal; a space
/// stands for each. Those that turn the direction of writing would show another
/// line than the one that is read; a mark stands for each.
fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            char::REPLACEMENT_CHARACTER
        }
        _ if c.is_control() => ' ',
        _ => c,
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_the_line_around_is_marked() {
        assert_eq!(printable("a\u{202e}b\u{2066}c\td"), "a\u{fffd}b\u{fffd}c d");
    }
}
