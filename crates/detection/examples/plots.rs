//! Draws the plots of `docs/statistics.md`: alarms among quiet windows, and among
//! windows that changed more and more.
//!
//! ```sh
//! cargo run --release --package watchkeep-detection --example plots -- docs/statistics
//! ```

#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the pure crate writes no files, but this program does"
)]

#[path = "../tests/trials/mod.rs"]
mod trials;

use std::fmt::Write as _;
use std::process::ExitCode;

use self::trials::{Alarms, Change, Law, Random, Shares, Trial, categories, numbers};

const TRIALS: u64 = 1_000;

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("plots FOLDER");
        return ExitCode::from(2);
    };
    for (name, svg) in [("level.svg", level()), ("power.svg", power())] {
        let path = format!("{folder}/{name}");
        if let Err(error) =
            std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, svg))
        {
            eprintln!("cannot write {path}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// One line of a plot: its name, colour, whether it is dashed, and points.
struct Line {
    name: String,
    colour: &'static str,
    dashed: bool,
    points: Vec<(f64, f64)>,
}

/// Alarms at 1 % by the size of the window, against 10,000 values.
fn level() -> String {
    let sizes = [12, 30, 100, 300, 1_000, 3_000, 10_000];
    let run = |n: usize, what: &str| -> Alarms {
        let trial = Trial { n, n_ref: 10_000, change: Change::NONE, level: 0.01 };
        let random = &mut Random::new(n as u64);
        match what {
            "normal" => numbers(Law::Normal, trial, TRIALS, random),
            "zero-inflated" => numbers(Law::ZeroInflated, trial, TRIALS, random),
            _ => categories(&Shares::zipf(200, 1.0), trial, TRIALS, random),
        }
    };
    let mut lines = Vec::new();
    for (what, colour) in
        [("normal", "#1b6ca8"), ("zero-inflated", "#2e8b57"), ("200 categories", "#c0392b")]
    {
        let alarms: Vec<(usize, Alarms)> = sizes.iter().map(|n| (*n, run(*n, what))).collect();
        let points = |of: fn(&Alarms) -> f64| {
            alarms.iter().map(|(n, a)| ((*n as f64).log10(), 100.0 * of(a))).collect()
        };
        let line = |name: String, dashed, points| Line { name, colour, dashed, points };
        lines.push(line(format!("{what}, judged"), false, points(|a| a.judged.share())));
        lines.push(line(format!("{what}, scipy"), true, points(|a| a.scipy.share())));
    }
    draw(
        &Axes {
            title: "Alarms among quiet windows at a level of 1 %",
            x: "values in the window (baseline: 10,000)",
            y: "alarms, % (cut at 3)",
            x_range: (1.0, 4.0),
            y_range: (0.0, 3.0),
            x_ticks: &[(1.0, "10"), (2.0, "100"), (3.0, "1,000"), (4.0, "10,000")],
            y_ticks: &[(0.0, "0"), (1.0, "1"), (2.0, "2"), (3.0, "3")],
        },
        &lines,
    )
}

/// Alarms at 1 % by the size of a change, 1,000 values against 10,000.
fn power() -> String {
    let shifts: Vec<f64> = (0..=8).map(|i| f64::from(i) * 0.03).collect();
    let mut lines = Vec::new();
    for (name, law, colour) in [
        ("shift, normal", Law::Normal, "#1b6ca8"),
        ("share of zeros", Law::ZeroInflated, "#2e8b57"),
    ] {
        let alarms: Vec<(f64, Alarms)> = shifts
            .iter()
            .map(|size| {
                let change = match law {
                    Law::ZeroInflated => Change { share: size * 0.5, ..Change::NONE },
                    _ => Change { shift: *size, ..Change::NONE },
                };
                let trial = Trial { n: 1_000, n_ref: 10_000, change, level: 0.01 };
                (*size, numbers(law, trial, TRIALS / 6, &mut Random::new(9)))
            })
            .collect();
        let points =
            |of: fn(&Alarms) -> f64| alarms.iter().map(|(x, a)| (*x, 100.0 * of(a))).collect();
        let line = |name: String, dashed, points| Line { name, colour, dashed, points };
        lines.push(line(format!("{name}, judged"), false, points(|a| a.judged.share())));
        lines.push(line(
            format!("{name}, scipy on raw values"),
            true,
            points(|a| a.scipy_raw.share()),
        ));
    }
    draw(
        &Axes {
            title: "Alarms among changed windows at a level of 1 %",
            x: "change (shift in standard deviations; twice the added share of zeros)",
            y: "alarms, %",
            x_range: (0.0, 0.24),
            y_range: (0.0, 100.0),
            x_ticks: &[(0.0, "0"), (0.06, "0.06"), (0.12, "0.12"), (0.18, "0.18"), (0.24, "0.24")],
            y_ticks: &[(0.0, "0"), (25.0, "25"), (50.0, "50"), (75.0, "75"), (100.0, "100")],
        },
        &lines,
    )
}

struct Axes<'a> {
    title: &'a str,
    x: &'a str,
    y: &'a str,
    x_range: (f64, f64),
    y_range: (f64, f64),
    x_ticks: &'a [(f64, &'a str)],
    y_ticks: &'a [(f64, &'a str)],
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 250.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 55.0;

fn draw(axes: &Axes<'_>, lines: &[Line]) -> String {
    let across = |x: f64| {
        let share = (x - axes.x_range.0) / (axes.x_range.1 - axes.x_range.0);
        LEFT + share * (WIDTH - LEFT - RIGHT)
    };
    let up = |y: f64| {
        let share = (y - axes.y_range.0) / (axes.y_range.1 - axes.y_range.0);
        HEIGHT - BOTTOM - share.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n<text x=\"{LEFT}\" y=\"22\" font-size=\"15\">{}</text>\n",
        axes.title
    );
    let text = |svg: &mut String, x: f64, y: f64, anchor: &str, words: &str| {
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>"
        );
    };
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    for (x, label) in axes.x_ticks {
        text(&mut svg, across(*x), bottom + 18.0, "middle", label);
    }
    for (y, label) in axes.y_ticks {
        let at = up(*y);
        text(&mut svg, LEFT - 8.0, at + 4.0, "end", label);
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>"
        );
    }
    text(&mut svg, LEFT, bottom + 40.0, "start", axes.x);
    text(&mut svg, LEFT, TOP - 4.0, "start", axes.y);
    for (at, line) in lines.iter().enumerate() {
        let points: Vec<String> =
            line.points.iter().map(|(x, y)| format!("{:.1},{:.1}", across(*x), up(*y))).collect();
        let dash = if line.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
        let y = TOP + 16.0 * at as f64 + 6.0;
        let (from, to) = (right + 10.0, right + 34.0);
        let stroke = format!("stroke=\"{}\" stroke-width=\"1.8\"{dash}", line.colour);
        let _ = writeln!(svg, "<polyline points=\"{}\" fill=\"none\" {stroke}/>", points.join(" "));
        let _ = writeln!(svg, "<line x1=\"{from}\" y1=\"{y}\" x2=\"{to}\" y2=\"{y}\" {stroke}/>");
        text(&mut svg, right + 40.0, y + 4.0, "start", &line.name);
    }
    svg.push_str("</svg>\n");
    svg
}
