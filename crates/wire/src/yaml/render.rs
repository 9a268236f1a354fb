//! Findings as people and programs read them.

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
    for diagnostic in diagnostics {
        one(&mut text, diagnostic, files);
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

fn one(text: &mut String, diagnostic: &Diagnostic, files: &[(String, String)]) {
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
    if let Some((source, caret)) = source_line(files, file, *line, *column) {
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
fn source_line(
    files: &[(String, String)],
    file: &str,
    line: u32,
    column: u32,
) -> Option<(String, usize)> {
    let (_, text) = files.iter().find(|(name, _)| name == file)?;
    let source = text.strip_prefix('\u{feff}').unwrap_or(text);
    let source = source.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
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
/// stands for each.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
