//! Charts as inline SVG: bars, columns over time, lines over time. Each has a
//! title and a description for those who hear it; the figures themselves are
//! in a table below it.

use std::fmt::Write as _;

use super::html::{escaped, table};

/// A chart and the table of its figures.
pub(super) struct Chart {
    pub(super) title: &'static str,
    /// What it shows, in a sentence.
    pub(super) says: String,
    pub(super) kind: Kind,
    pub(super) head: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

/// What is drawn.
pub(super) enum Kind {
    /// A bar from 0 to 1 for each name.
    Shares(Vec<(String, f64)>),
    /// Stacked counts for each instant, in the order of the names.
    Columns { names: Vec<&'static str>, parts: Vec<(String, Vec<u64>)> },
    /// Shares over time, gaps where there is no figure.
    Lines { names: [&'static str; 2], parts: Vec<(String, [Option<f64>; 2])> },
}

const WIDTH: f64 = 880.0;
const LEFT: f64 = 60.0;
const HEIGHT: f64 = 220.0;
const BOTTOM: f64 = 190.0;
const TOP: f64 = 30.0;
/// Of an instant's name, with room to spare.
const NAME_WIDTH: f64 = 80.0;
/// Fills in the order of the names; their patterns of use never rest on colour
/// alone, for every chart has its table.
const FILLS: [&str; 5] = ["two", "three", "one", "four", "grey"];

impl Chart {
    pub(super) fn write(&self, html: &mut String, number: usize) {
        let (title, says) = (escaped(self.title), escaped(&self.says));
        let (height, drawn) = match &self.kind {
            Kind::Shares(bars) => shares(bars),
            Kind::Columns { names, parts } => (HEIGHT, columns(names, parts)),
            Kind::Lines { names, parts } => (HEIGHT, lines(names, parts)),
        };
        let _ = writeln!(
            html,
            "<figure>\n<figcaption>{title}</figcaption>\n<svg role=\"img\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\" aria-labelledby=\"c{number}t c{number}d\">\n\
             <title id=\"c{number}t\">{title}</title>\n<desc id=\"c{number}d\">{says}</desc>\n{drawn}</svg>\n\
             <details><summary>The figures</summary>"
        );
        table(html, &self.head, &self.rows);
        html.push_str("</details>\n</figure>\n");
    }
}

fn shares(bars: &[(String, f64)]) -> (f64, String) {
    const STEP: f64 = 24.0;
    let (left, full) = (320.0, WIDTH - 320.0 - 80.0);
    let mut svg = String::new();
    for (row, (name, share)) in bars.iter().enumerate() {
        let y = row as f64 * STEP + 4.0;
        let width = full * share.clamp(0.0, 1.0);
        let (end, base, right) = (left - 8.0, y + 13.0, left + full + 8.0);
        let name = escaped(&shortened(name));
        let _ = writeln!(
            svg,
            "<text x=\"{end}\" y=\"{base}\" text-anchor=\"end\">{name}</text>\
             <rect x=\"{left}\" y=\"{y}\" width=\"{full}\" height=\"16\" fill=\"none\" class=\"axis\"/>\
             <rect x=\"{left}\" y=\"{y}\" width=\"{width:.1}\" height=\"16\" class=\"one\"/>\
             <text x=\"{right}\" y=\"{base}\">{}</text>",
            percent(*share),
        );
    }
    (bars.len().max(1) as f64 * STEP + 8.0, svg)
}

fn columns(names: &[&'static str], parts: &[(String, Vec<u64>)]) -> String {
    let most = parts.iter().map(|(_, counts)| counts.iter().sum::<u64>()).max().unwrap_or(0).max(1);
    let mut svg =
        axes(&["0".to_owned(), most.to_string()], parts.iter().map(|(at, _)| at.as_str()));
    let step = (WIDTH - LEFT) / parts.len().max(1) as f64;
    for (column, (_, counts)) in parts.iter().enumerate() {
        let x = LEFT + column as f64 * step + step * 0.15;
        let mut y = BOTTOM;
        for (index, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let height = (BOTTOM - TOP) * *count as f64 / most as f64;
            y -= height;
            let fill = FILLS[index % FILLS.len()];
            let (width, name) = (step * 0.7, names.get(index).copied().unwrap_or_default());
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" class=\"{fill}\">\
                 <title>{count} {}</title></rect>",
                escaped(name),
            );
        }
    }
    svg + &legend(names)
}

fn lines(names: &[&'static str; 2], parts: &[(String, [Option<f64>; 2])]) -> String {
    let all = parts.iter().flat_map(|(_, shares)| shares.iter().flatten());
    // Rounded down, so that a small loss is not drawn as a large one.
    let least = all.fold(1.0_f64, |least, share| least.min(*share));
    let least = ((least * 10.0).floor() / 10.0).clamp(0.0, 0.9);
    let mut svg =
        axes(&[percent(least), "100 %".to_owned()], parts.iter().map(|(at, _)| at.as_str()));
    let step = (WIDTH - LEFT) / parts.len().max(1) as f64;
    for (line, class) in ["one", "two"].iter().enumerate() {
        let mut path = String::new();
        let mut is_drawn = false;
        for (column, (_, shares)) in parts.iter().enumerate() {
            let Some(share) = shares[line] else {
                is_drawn = false;
                continue;
            };
            let x = LEFT + (column as f64 + 0.5) * step;
            let y = BOTTOM - (BOTTOM - TOP) * (share - least) / (1.0 - least);
            let _ = write!(path, "{}{x:.1} {y:.1} ", if is_drawn { "L" } else { "M" });
            let _ =
                writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" class=\"{class}\"/>");
            is_drawn = true;
        }
        let _ = writeln!(svg, "<path d=\"{}\" class=\"{class}\"/>", path.trim_end());
    }
    let marks = [(names[0], "one"), (names[1], "two")];
    svg + &marked(&marks)
}

/// A line below, the least and the most at its side, instants under it.
fn axes<'a>(ends: &[String; 2], instants: impl ExactSizeIterator<Item = &'a str>) -> String {
    let mut svg = format!(
        "<line x1=\"{LEFT}\" y1=\"{BOTTOM}\" x2=\"{WIDTH}\" y2=\"{BOTTOM}\" class=\"axis\"/>\
         <line x1=\"{LEFT}\" y1=\"{TOP}\" x2=\"{WIDTH}\" y2=\"{TOP}\" class=\"axis\"/>\n"
    );
    let at = LEFT - 8.0;
    for (y, text) in [(BOTTOM + 4.0, &ends[0]), (TOP + 4.0, &ends[1])] {
        let _ = writeln!(svg, "<text x=\"{at}\" y=\"{y}\" text-anchor=\"end\">{text}</text>");
    }
    let (count, y) = (instants.len(), BOTTOM + 18.0);
    let step = (WIDTH - LEFT) / count.max(1) as f64;
    // Names that would run into each other are left out.
    let every = count.div_ceil(10).max(1);
    for (column, text) in instants.enumerate().filter(|(column, _)| column % every == 0) {
        // A name is wider than a narrow column: that of the last stays inside.
        let x = (LEFT + (column as f64 + 0.5) * step).min(WIDTH - NAME_WIDTH / 2.0);
        let text = escaped(text);
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{text}</text>");
    }
    svg
}

fn legend(names: &[&'static str]) -> String {
    let marks: Vec<(&str, &str)> =
        names.iter().enumerate().map(|(index, name)| (*name, FILLS[index % FILLS.len()])).collect();
    marked(&marks)
}

fn marked(marks: &[(&str, &str)]) -> String {
    let mut svg = String::new();
    for (index, (name, class)) in marks.iter().enumerate() {
        let x = LEFT + index as f64 * 150.0;
        let (text, name) = (x + 18.0, escaped(name));
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"6\" width=\"12\" height=\"12\" class=\"{class}\"/><text x=\"{text}\" y=\"16\">{name}</text>"
        );
    }
    svg
}

/// Letters of a name that fit beside a bar.
const LETTERS_MAX: usize = 46;

fn shortened(name: &str) -> String {
    match name.chars().count() {
        0..=LETTERS_MAX => name.to_owned(),
        _ => name.chars().take(LETTERS_MAX - 1).chain(['…']).collect(),
    }
}

/// A share for people, in percent with two digits.
pub(super) fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}
