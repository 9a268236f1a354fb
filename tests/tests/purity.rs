//! The bans of the pure crates hold: each kind of impurity, planted in a file
//! of its own, is found by clippy under the crates' own `clippy.toml`.
//!
//! Without this a misspelt path in that file would forbid nothing, silently.

use std::fs;
use std::path::Path;
use std::process::Command;

/// (what a pure crate may not do, the words that clippy must find it by).
const PLANTED: [(&str, &str); 23] = [
    ("std::time::SystemTime::now()", "method `std::time::SystemTime::now`"),
    ("std::time::Instant::now()", "method `std::time::Instant::now`"),
    ("std::thread::spawn(|| ())", "method `std::thread::spawn`"),
    ("std::thread::scope(|_| ())", "method `std::thread::scope`"),
    ("std::thread::sleep(std::time::Duration::ZERO)", "method `std::thread::sleep`"),
    ("std::env::var(\"HOME\")", "method `std::env::var`"),
    ("std::env::vars()", "method `std::env::vars`"),
    ("std::env::args()", "method `std::env::args`"),
    ("std::env::current_dir()", "method `std::env::current_dir`"),
    ("std::fs::read(\"x\")", "method `std::fs::read`"),
    ("std::fs::write(\"x\", \"y\")", "method `std::fs::write`"),
    ("std::fs::rename(\"x\", \"y\")", "method `std::fs::rename`"),
    ("std::path::Path::new(\"x\").exists()", "method `std::path::Path::exists`"),
    ("std::fs::File::open(\"x\")", "type `std::fs::File`"),
    ("std::net::TcpStream::connect(\"x\")", "type `std::net::TcpStream`"),
    ("std::net::UdpSocket::bind(\"x\")", "type `std::net::UdpSocket`"),
    ("std::process::Command::new(\"x\")", "type `std::process::Command`"),
    ("std::process::exit(1)", "method `std::process::exit`"),
    ("std::collections::HashMap::<u8, u8>::new()", "type `std::collections::HashMap`"),
    ("std::collections::HashSet::<u8>::new()", "type `std::collections::HashSet`"),
    ("std::hash::RandomState::new()", "type `std::hash::RandomState`"),
    ("println!()", "use of `println!`"),
    ("eprintln!()", "use of `eprintln!`"),
];

/// What the same crates may well do, so that the test can fail both ways.
const ALLOWED: [&str; 3] = [
    "std::collections::BTreeMap::<u8, u8>::new()",
    "std::time::Duration::from_secs(1)",
    "std::path::Path::new(\"x\").join(\"y\")",
];

/// Clippy's words about a function with this body, under the bans.
fn clippy(expression: &str) -> String {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("planted.rs");
    let text =
        format!("//! Planted.\n/// Planted.\npub fn planted() {{\n    let _ = {expression};\n}}\n");
    fs::write(&file, text).expect("the temporary folder takes a file");
    let output = Command::new("clippy-driver")
        .env("CLIPPY_CONF_DIR", root.join("crates/model"))
        .args(["--crate-type", "lib", "--edition", "2024", "--emit", "metadata", "--out-dir"])
        .arg(folder.path())
        .args(["-Wclippy::disallowed_methods", "-Wclippy::disallowed_types"])
        .args(["-Wclippy::print_stdout", "-Wclippy::print_stderr", "-Aclippy::let_unit_value"])
        .arg(&file)
        .output()
        .expect("clippy is part of the toolchain: `rustup component add clippy`");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "`{expression}` does not compile:\n{words}");
    assert!(!words.contains("does not refer to"), "a ban names nothing:\n{words}");
    words
}

#[test]
fn whatever_a_pure_crate_may_not_do_is_found() {
    for (planted, found_by) in PLANTED {
        let words = clippy(planted);
        assert!(words.contains(found_by), "`{planted}` is not found:\n{words}");
    }
}

#[test]
fn what_it_may_do_is_left_alone() {
    for allowed in ALLOWED {
        let words = clippy(allowed);
        assert!(!words.contains("disallowed"), "`{allowed}`:\n{words}");
    }
}
