//! Standard output and standard error: tables, JSON, and pipes that close.

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};

use serde::Serialize;

/// How lists are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// The reader of standard output has closed it; the command ends quietly.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
pub(crate) struct Closed;

/// Buffered standard output.
pub(crate) struct Output(BufWriter<io::StdoutLock<'static>>);

impl Output {
    pub(crate) fn new() -> Self {
        Self(BufWriter::with_capacity(1 << 16, io::stdout().lock()))
    }

    /// Writes a line.
    ///
    /// # Errors
    /// [`Closed`], or what the system says.
    pub(crate) fn line(&mut self, text: impl std::fmt::Display) -> anyhow::Result<()> {
        closed(writeln!(self.0, "{text}"))
    }

    /// Writes a line for people: what others wrote in it moves no cursor.
    ///
    /// # Errors
    /// [`Closed`], or what the system says.
    pub(crate) fn say(&mut self, text: impl std::fmt::Display) -> anyhow::Result<()> {
        self.line(visible(&text.to_string(), true))
    }

    /// Writes text as it is.
    ///
    /// # Errors
    /// [`Closed`], or what the system says.
    pub(crate) fn text(&mut self, text: &str) -> anyhow::Result<()> {
        closed(self.0.write_all(text.as_bytes()))
    }

    /// Writes a value as indented JSON.
    ///
    /// # Errors
    /// [`Closed`], or what the system says.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        closed(serde_json::to_writer_pretty(&mut self.0, value).map_err(io::Error::from))?;
        self.line("")
    }

    /// Writes everything out; without it the end of a pipe is not noticed.
    ///
    /// # Errors
    /// [`Closed`], or what the system says.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        closed(self.0.flush())
    }
}

/// Text with every character made visible that a terminal obeys or that turns
/// the direction of writing: whoever gives a command could else repaint what
/// others read. `lines` keeps ends of lines and tabs.
pub(crate) fn visible(text: &str, lines: bool) -> Cow<'_, str> {
    let obeyed = |c: char| {
        let turns = matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || (c.is_control() && !(lines && matches!(c, '\n' | '\t')))
    };
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if obeyed(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// `1 error`, `2 errors`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// Seconds for people: the two largest units, such as `7h 1m`.
pub(crate) fn lasting(seconds: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    if seconds < 0 {
        return format!("-{}", lasting(seconds.saturating_neg()));
    }
    let first = UNITS.iter().position(|(size, _)| *size <= seconds).unwrap_or(UNITS.len() - 1);
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (size, unit) in UNITS.iter().skip(first).take(2) {
        parts.push(format!("{}{unit}", rest / size));
        rest %= size;
    }
    if parts.len() > 1 && parts[1].starts_with('0') {
        parts.pop();
    }
    parts.join(" ")
}

/// Turns a closed pipe into [`Closed`].
pub(crate) fn closed(result: io::Result<()>) -> anyhow::Result<()> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => anyhow::Error::new(Closed),
        _ => anyhow::Error::new(error).context("standard output"),
    })
}

/// One line of an error on standard error.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "watchkeep: {line}");
}

/// Rows under headings, aligned. The last column is not padded.
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(head: [&str; N]) -> Self {
        Self { head: head.map(str::to_owned).to_vec(), rows: Vec::new() }
    }

    /// The same with a head that is known at run time.
    pub(crate) fn of(head: &[&str]) -> Self {
        Self { head: head.iter().map(|cell| (*cell).to_owned()).collect(), rows: Vec::new() }
    }

    /// A row of as many cells as the head has.
    pub(crate) fn push(&mut self, cells: Vec<String>) {
        let shown = |cell: String| match visible(&cell, true) {
            Cow::Borrowed(_) => cell,
            Cow::Owned(shown) => shown,
        };
        self.rows.push(cells.into_iter().map(shown).collect());
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.push(cells.to_vec());
    }

    /// Writes it.
    ///
    /// # Errors
    /// Those of the output.
    pub(crate) fn print(&self, output: &mut Output) -> anyhow::Result<()> {
        output.text(&self.to_string())
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut widths: Vec<usize> = self.head.iter().map(|cell| cell.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in std::iter::once(&self.head).chain(&self.rows) {
            let mut line = String::new();
            for (width, cell) in widths.iter().zip(row) {
                let pad = width - cell.chars().count();
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', pad + 2));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A number with thin groups of three, for people.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_by_their_two_largest_units() {
        let all = [0, 45, 61, 3_600, 25_260, 320_410, -90].map(lasting);
        assert_eq!(all, ["0s", "45s", "1m 1s", "1h", "7h 1m", "3d 17h", "-1m 30s"]);
    }

    #[test]
    fn what_a_terminal_obeys_is_shown() {
        assert_eq!(visible("a\u{1b}[2J\u{202e}b", true), "a\\u{1b}[2J\\u{202e}b");
        assert_eq!(visible("two\nlines, ähnlich", true), "two\nlines, ähnlich");
        assert_eq!(visible("two\nlines", false), "two\\u{a}lines");
        let mut table = Table::new(["why"]);
        table.row(["\u{7}".to_owned()]);
        assert_eq!(table.to_string(), "why\n\\u{7}\n");
    }

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(["name", "n"]);
        table.row(["ä".into(), "1".into()]);
        table.row(["longer".into(), String::new()]);
        assert_eq!(table.to_string(), "name    n\nä       1\nlonger\n");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
