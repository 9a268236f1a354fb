//! The README's tour can be walked: its commands run in their order, in an
//! empty folder, and each ends well.

use std::fs;
use std::process::{Command, Stdio};

use watchkeep_tests::binary;

/// Opens a block of commands that are run; other blocks are only shown.
const OPENING: &str = "```sh tour\n";

#[test]
fn every_command_of_the_tour_ends_well() {
    let readme = fs::read_to_string(binary::root().join("README.md")).expect("the README");
    let mut commands = Vec::new();
    for block in readme.split(OPENING).skip(1) {
        let (block, _) = block.split_once("```").expect("a block has an end");
        commands.extend(block.lines());
    }
    assert!(commands.len() >= 8, "the tour has only {commands:?}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let programs = binary::path().parent().expect("the binary lies in a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    for command in commands {
        let output = Command::new("bash")
            .args(["-c", command])
            .current_dir(folder.path())
            .env("PATH", format!("{}:{path}", programs.display()))
            .stdin(Stdio::null())
            .output()
            .expect("bash can be run");
        let [printed, errors] =
            [&output.stdout, &output.stderr].map(|b| String::from_utf8_lossy(b));
        assert!(output.status.success(), "{command}\n{}\n{printed}\n{errors}", output.status);
    }
}
