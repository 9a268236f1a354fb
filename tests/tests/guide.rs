//! The guide can be followed: its commands run in their order in one shell,
//! and what it shows is what they print.

use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use watchkeep_tests::binary;

/// Opens a block of commands that are run; others are only shown.
const COMMANDS: &str = "```sh guide\n";
/// Opens what the block of commands right before prints.
const SHOWN: &str = "```text\n";
/// Stands for what is left out: within a line, or as a line of its own.
const LEFT_OUT: char = '…';
/// Printed between the blocks, so that each is held against its own output.
const FENCE: &str = "----8<----";

/// A block of commands, and what the guide says that it prints.
struct Block<'a> {
    commands: &'a str,
    shown: Option<&'a str>,
}

fn blocks(guide: &str) -> Vec<Block<'_>> {
    let block = |text| {
        let (commands, rest) = str::split_once(text, "```\n").expect("a block has an end");
        let shown = rest.strip_prefix(SHOWN).and_then(|shown| shown.split_once("```"));
        Block { commands, shown: shown.map(|(shown, _)| shown) }
    };
    guide.split(COMMANDS).skip(1).map(block).collect()
}

/// One blank for each run of them: columns are as wide as their widest cell.
fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the parts stand in the line in their order; the first at its
/// beginning and the last at its end.
fn fits(line: &str, pattern: &str) -> bool {
    let parts: Vec<String> = pattern.split(LEFT_OUT).map(squeezed).collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    let mut rest = match line.strip_prefix(first.as_str()) {
        Some(rest) if parts.len() > 1 => rest,
        Some(rest) => return rest.is_empty(),
        None => return false,
    };
    for part in &parts[1..parts.len() - 1] {
        match rest.find(part.as_str()) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

/// The first line of the guide that is not printed after those before it.
fn missing<'a>(printed: &str, shown: &'a str) -> Option<&'a str> {
    let mut lines = printed.lines().map(squeezed);
    shown.lines().find(|pattern| {
        let is_gap = pattern.chars().all(|c| c == LEFT_OUT || c.is_whitespace());
        !is_gap && !lines.any(|line| fits(&line, pattern))
    })
}

#[test]
fn the_guide_runs_as_written_and_prints_what_it_shows() {
    let guide = std::fs::read_to_string(binary::root().join("docs/guide.md")).expect("the guide");
    let blocks = blocks(&guide);
    assert!(blocks.len() >= 9, "the guide has only {} blocks", blocks.len());

    // Laid out as a reader has it, but for what the commands write.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("project");
    std::fs::create_dir(&root).expect("an empty folder");
    symlink(binary::root().join("examples"), root.join("examples")).expect("a link");
    symlink(binary::shared(""), folder.path().join("shared")).expect("a link");

    let fence = format!("\necho '{FENCE}'\n");
    let commands: Vec<&str> = blocks.iter().map(|block| block.commands).collect();
    let script = format!("set -e\n{}", commands.join(&fence));
    let programs = binary::path().parent().expect("the binary lies in a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(&root)
        .env("PATH", format!("{}:{path}", programs.display()))
        .stdin(Stdio::null())
        .output()
        .expect("bash can be run");
    let [printed, errors] = [&output.stdout, &output.stderr].map(|b| String::from_utf8_lossy(b));
    assert!(output.status.success(), "{}\n{printed}\n{errors}", output.status);

    let printed: Vec<&str> = printed.split(FENCE).collect();
    assert_eq!(printed.len(), blocks.len());
    for (block, printed) in blocks.iter().zip(printed) {
        let line = block.shown.and_then(|shown| missing(printed, shown));
        assert_eq!(line, None, "is not printed by\n{}\nwhich prints\n{printed}", block.commands);
    }
}

#[test]
fn what_is_left_out_is_told_from_what_is_wrong() {
    let printed = "a  1\nb  2   x\nc  3";
    assert_eq!(missing(printed, "a 1\n…\nc 3"), None);
    assert_eq!(missing(printed, "b … x"), None);
    assert_eq!(missing(printed, "b 2 …\nc 3"), None);
    assert_eq!(missing(printed, "c 3\na 1"), Some("a 1"), "the order counts");
    assert_eq!(missing(printed, "b 2"), Some("b 2"), "the whole line counts");
    assert_eq!(missing(printed, "b … y"), Some("b … y"));
    assert_eq!(missing(printed, "d …"), Some("d …"));
}
