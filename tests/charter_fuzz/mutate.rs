//! Faults that are put into files: of bytes, of words and of lines, and whole
//! files that are built to be too much.

use super::random::Random;

/// Bytes that a mutated file may have; more only makes the campaign slow.
const LENGTH_MAX: usize = 1 << 20;

/// Words that find the corners of the formats.
const WORDS: [&str; 70] = [
    "null",
    "~",
    "\"\"",
    "''",
    "true",
    "yes",
    "NaN",
    ".nan",
    ".inf",
    "-.inf",
    "1e999",
    "-0.0",
    "1e-320",
    "0x7f",
    "0o17",
    "1_000",
    "-1",
    "0",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
    "0s",
    "1us",
    "1ms",
    "999999999999w",
    "-1h",
    "1.5h",
    "1h30m",
    "PT1H",
    "P1W",
    "1d",
    "2026-02-29",
    "2024-02-29",
    "0000-00-00",
    "9999-12-31",
    "10000-01-01",
    "-2026-01-01",
    "2026-01-01T24:00:00Z",
    "2026-06-30T23:59:60Z",
    "2026-01-01T00:00:00+99:00",
    "2026-01-01T00:00:00.0000001Z",
    "1970-01-01T00:00:00",
    "294247-01-10",
    "2026-1-1",
    "Europe/Zurich",
    "Etc/GMT+14",
    "Mars/Olympus",
    "UTC",
    "feature:",
    "feature:*",
    "*",
    "feature:**",
    "user:",
    "user:ada",
    "group:pricing",
    "schedule:night",
    "&a",
    "*a",
    "<<",
    "!!binary",
    "!x",
    "|",
    ">-",
    "{}",
    "[]",
    "\u{202e}\u{feff}\u{2028}",
    "ﬀ\u{301}😀",
];

/// Pieces that find the corners of the grammars.
const PIECES: [&str; 26] = [
    "{",
    "}",
    "[",
    "]",
    ": ",
    ", ",
    "- ",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "#",
    "\"",
    "'",
    "\\u0000",
    "\\ud800",
    "---\n",
    "...\n",
    "%YAML 9.9\n---\n",
    "? ",
    "\0",
    "\u{85}",
    "\u{feff}",
    "\n  ",
    "BEGIN:VEVENT\n",
    "\n ",
];

/// Lines of a calendar's recurrences that ask for much.
const RULES: [&str; 10] = [
    "RRULE:FREQ=SECONDLY",
    "RRULE:FREQ=SECONDLY;INTERVAL=0",
    "RRULE:FREQ=YEARLY;BYMONTHDAY=31;BYMONTH=2",
    "RRULE:FREQ=DAILY;COUNT=4294967295",
    "RRULE:FREQ=DAILY;UNTIL=99991231T235959Z",
    "RRULE:FREQ=MONTHLY;BYDAY=+53MO,-53SU;BYSETPOS=366",
    "RRULE:FREQ=MINUTELY;BYHOUR=25",
    "RDATE:00010101T000000Z,99991231T235959Z",
    "DTSTART;TZID=Europe/Zurich:20260329T023000",
    "DURATION:P9999999999W",
];

/// Puts one to four faults into a file; `other` is one to take pieces from.
pub fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    if random.below(64) == 0 {
        *bytes = built(random);
    }
    for _ in 0..=random.below(4) {
        match random.below(12) {
            0..3 => of_bytes(bytes, random),
            3..7 => of_words(bytes, random),
            7..10 => of_lines(bytes, other, random),
            10 => splice(bytes, random, other),
            _ => of_whole(bytes, random),
        }
        bytes.truncate(LENGTH_MAX);
    }
}

fn of_bytes(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    match random.below(6) {
        0 if at < bytes.len() => bytes[at] = random.draw().to_le_bytes()[0],
        1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        2 => bytes.truncate(at),
        3 => {
            let end = (at + random.below(40)).min(bytes.len());
            bytes.drain(at..end);
        }
        4 => insert(bytes, at, random.pick(&PIECES).as_bytes()),
        _ => {
            let end = (at + random.below(60)).min(bytes.len());
            let copied = bytes[at..end].to_vec();
            insert(bytes, random.below(at + 1), &copied);
        }
    }
}

/// Where words stand: letters, digits and what is in names and numbers.
fn words(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let is_word =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"_.:/@+-*".contains(byte) || *byte >= 0x80;
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| is_word(byte)).count();
        if length > 0 {
            found.push(at..at + length);
        }
        at += length.max(1);
    }
    found
}

fn of_words(bytes: &mut Vec<u8>, random: &mut Random) {
    let places = words(bytes);
    if places.is_empty() {
        return;
    }
    let one = places[random.below(places.len())].clone();
    let other = places[random.below(places.len())].clone();
    match random.below(4) {
        0 => {
            let copied = bytes[other].to_vec();
            bytes.splice(one, copied);
        }
        1 if one.end <= other.start => {
            let (a, b) = (bytes[one.clone()].to_vec(), bytes[other.clone()].to_vec());
            bytes.splice(other, a);
            bytes.splice(one, b);
        }
        2 => {
            // A number with another digit, or many.
            let digits = "9".repeat(1 + random.below(40));
            insert(bytes, one.end, digits.as_bytes());
        }
        _ => {
            bytes.splice(one, random.pick(&WORDS).bytes());
        }
    }
}

fn of_lines(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let mut lines: Vec<Vec<u8>> =
        bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    let at = random.below(lines.len());
    let to = random.below(lines.len());
    match random.below(7) {
        _ if lines.is_empty() => {}
        0 => lines.swap(at, to),
        1 => {
            let line = lines[at].clone();
            lines.insert(to, line);
        }
        2 => drop(lines.remove(at)),
        3 => insert(&mut lines[at], 0, &b" "[..].repeat(1 + random.below(4))),
        4 => insert(&mut lines[at], 0, b"\t"),
        5 => lines.insert(at, format!("{}\n", random.pick(&RULES)).into_bytes()),
        _ => {
            let others: Vec<&[u8]> = other.split_inclusive(|b| *b == b'\n').collect();
            let first = random.below(others.len());
            let count = random.below(20);
            let taken = others.into_iter().skip(first).take(count).map(<[u8]>::to_vec);
            lines.splice(at..at, taken);
        }
    }
    *bytes = lines.concat();
}

fn splice(bytes: &mut Vec<u8>, random: &mut Random, other: &[u8]) {
    let (cut, from) = (random.below(bytes.len() + 1), random.below(other.len() + 1));
    bytes.truncate(cut);
    bytes.extend_from_slice(&other[from..]);
}

/// Another encoding, other line ends, or a huge word.
fn of_whole(bytes: &mut Vec<u8>, random: &mut Random) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    *bytes = match random.below(6) {
        0 => [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat(),
        1 => {
            [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
        }
        2 => text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect(),
        3 => text.replace('\n', "\r").into_bytes(),
        4 => text.replace('\n', "\r\n").into_bytes(),
        _ => {
            let places = words(bytes);
            let huge = "x".repeat(1 << random.below(17));
            let mut bytes = bytes.clone();
            if !places.is_empty() {
                bytes.splice(places[random.below(places.len())].clone(), huge.bytes());
            }
            bytes
        }
    };
}

/// A file that is small and stands for much, or is deep, or is long.
fn built(random: &mut Random) -> Vec<u8> {
    let n = 1 << random.below(15);
    match random.below(10) {
        0 => {
            let mut text = String::from("kind: lineage\na: &a [x, x, x, x, x, x, x, x, x]\n");
            for (name, of) in ('b'..='z').zip('a'..='z') {
                let of = format!("*{of}, ").repeat(9);
                text.push_str(&format!("{name}: &{name} [{of}]\n"));
            }
            text
        }
        1 => "[".repeat(n),
        2 => "{a: ".repeat(n),
        3 => (0..n.min(1_000)).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect(),
        4 => "- ".repeat(n),
        5 => "? ".repeat(n),
        6 => "---\n".repeat(n),
        7 => format!("kind: charter\nsubject: feature:{}\n", "*a".repeat(n)),
        8 => (0..n)
            .map(|i| format!("kind: charter\nsubject: feature:*{i}\ntier: 1\n---\n"))
            .collect(),
        _ => {
            let edges = (0..n).map(|i| format!("{{from: dataset:d{i}, to: dataset:d{}}}, ", i + 1));
            format!("kind: lineage\nedges: [{}]\n", edges.collect::<String>())
        }
    }
    .into_bytes()
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}
