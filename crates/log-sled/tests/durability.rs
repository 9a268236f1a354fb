//! What the embedded log promises when its process is killed, its disk is
//! full or its files are damaged. Processes are this program itself, told by
//! an environment variable to be a writer.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use watchkeep_log_sled::store::SledStore;
use watchkeep_model::position::Partition;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::log::{Event, Log, LogError, Outgoing, Transaction};

/// Partitions that each commit of the writer goes to.
const PARTITIONS: i32 = 4;

/// Names the folder for the writer process.
const FOLDER: &str = "DURABILITY_FOLDER";

fn commit(log: &mut dyn Log, number: i64) -> Result<(), LogError> {
    // Now and then a commit that is larger than the store's own segments.
    let size = if number % 7 == 0 { 200_000 } else { 300 };
    let records = (0..PARTITIONS).map(|partition| Outgoing {
        topic: "out".into(),
        partition: Some(partition),
        key: None,
        value: number.to_be_bytes().iter().copied().cycle().take(size).collect(),
        headers: vec![],
    });
    let positions = (0..PARTITIONS).map(|p| (Partition::new("in", p), number)).collect();
    log.commit(Transaction { positions, records: records.collect() })
}

fn open(folder: &Path) -> Result<(SledStore, Box<dyn Log>), LogError> {
    let store = SledStore::open(folder)?;
    store.create_topic("in", PARTITIONS)?;
    store.create_topic("out", PARTITIONS)?;
    let log = store.session("g", &["in"], "i")?;
    Ok((store, Box::new(log)))
}

/// The position that every partition of the group stands at.
fn position(log: &mut dyn Log) -> i64 {
    let mut positions = Vec::new();
    log.poll(TimeSpan::ZERO, &mut |event| {
        if let Event::Assigned { position, .. } = event {
            positions.push(position);
        }
    })
    .unwrap();
    assert_eq!(positions.len(), usize::try_from(PARTITIONS).unwrap());
    assert!(positions.windows(2).all(|pair| pair[0] == pair[1]), "a torn commit: {positions:?}");
    positions[0]
}

/// Checks that exactly the commits 1 to `last` are there.
fn check(store: &SledStore, last: i64) {
    for number in 0..PARTITIONS {
        let mut found = Vec::new();
        store
            .read(&Partition::new("out", number), 0, i64::MAX, &mut |entry| {
                let bytes = entry.value[..8].try_into().unwrap();
                assert!(entry.value.chunks_exact(8).all(|chunk| chunk == bytes));
                found.push(i64::from_be_bytes(bytes));
            })
            .unwrap();
        assert_eq!(found, (1..=last).collect::<Vec<_>>());
    }
}

/// The writer: goes on from where the store stands and tells every commit
/// that was acknowledged. A test only where the variable is not set.
#[test]
fn writer() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let (_store, mut log) = open(&folder).unwrap();
    let mut number = position(log.as_mut());
    let mut out = std::io::stdout();
    loop {
        number += 1;
        let line = match commit(log.as_mut(), number) {
            Ok(()) => format!("committed {number}\n"),
            Err(error) => format!("refused {number} {error}\n"),
        };
        out.write_all(line.as_bytes()).unwrap();
        out.flush().unwrap();
        if line.starts_with("refused") {
            return;
        }
    }
}

fn writer_command(folder: &Path, before: &str) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new("bash");
    command
        .arg("-c")
        .arg(format!("{before} exec \"$0\" --exact writer --nocapture"))
        .arg(program)
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

#[test]
fn a_killed_process_loses_no_acknowledged_commit_and_tears_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 1..=12 {
        let mut child = writer_command(folder.path(), "").spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines {
            let line = line.unwrap();
            if let Some((_, number)) = line.split_once("committed ") {
                acknowledged = number.parse().unwrap();
                if acknowledged % 60 >= round * 4 {
                    // SIGKILL, in the middle of whatever the next commit does.
                    child.kill().unwrap();
                    break;
                }
            }
        }
        child.wait().unwrap();
        let (store, mut log) = open(folder.path()).unwrap();
        let last = position(log.as_mut());
        assert!(last >= acknowledged, "{acknowledged} was acknowledged, {last} is there");
        // The commit under way may have reached the disk, no later one.
        assert!(last <= acknowledged + 20, "{acknowledged} was acknowledged, {last} is there");
        check(&store, last);
        drop(log);
    }
    assert!(acknowledged > 0);
}

#[test]
fn a_full_disk_refuses_the_commit_and_tears_none() {
    let folder = tempfile::tempdir().unwrap();
    // A limit on the size of files answers like a full disk, without one.
    let output = writer_command(folder.path(), "trap '' XFSZ; ulimit -f 1500;").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let refused = text.lines().find(|line| line.contains("refused")).unwrap_or_else(|| {
        panic!("the disk was never full: {text}");
    });
    assert!(refused.contains(folder.path().to_str().unwrap()), "{refused}");
    let committed = text.lines().filter_map(|line| line.split_once("committed "));
    let acknowledged = committed.map(|(_, number)| number.parse::<i64>().unwrap()).max().unwrap();
    let (store, mut log) = open(folder.path()).unwrap();
    let last = position(log.as_mut());
    assert!(last >= acknowledged, "{acknowledged} was acknowledged, {last} is there");
    check(&store, last);
    // With room again it goes on.
    commit(log.as_mut(), last + 1).unwrap();
    check(&store, last + 1);
}

#[test]
fn damaged_files_are_an_error_that_names_the_folder_and_never_other_data() {
    let folder = tempfile::tempdir().unwrap();
    {
        let (_store, mut log) = open(folder.path()).unwrap();
        position(log.as_mut());
        for number in 1..=60 {
            commit(log.as_mut(), number).unwrap();
        }
    }
    let mut detected = 0;
    for part in 1..12 {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), copy.path());
        let name = copy.path().join("sled").join("db");
        let mut bytes = std::fs::read(&name).unwrap();
        let at = bytes.len() / 12 * part;
        bytes[at..at + 64].fill(0xA5);
        std::fs::write(&name, bytes).unwrap();
        match read_all(copy.path()) {
            // Bytes that nothing refers to any more.
            Ok(counts) => assert_eq!(counts, [60; 4], "records went missing without a word"),
            Err(LogError::Fatal(why)) => {
                detected += 1;
                assert!(why.contains(copy.path().to_str().unwrap()), "{why}");
                assert!(why.contains("damaged"), "{why}");
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(detected > 0, "no damage hit anything");
}

/// How many records each partition holds, all as they were written.
fn read_all(folder: &Path) -> Result<[i64; 4], LogError> {
    let (store, mut log) = open(folder)?;
    let mut counts = [0; 4];
    for (number, count) in (0..).zip(&mut counts) {
        store.read(&Partition::new("out", number), 0, i64::MAX, &mut |entry| {
            *count += 1;
            assert_eq!(entry.value[..8], i64::to_be_bytes(*count), "other data");
        })?;
    }
    assert_eq!(position(log.as_mut()), 60);
    Ok(counts)
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
