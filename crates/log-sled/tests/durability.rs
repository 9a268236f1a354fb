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

/// Threads of sled may hold a folder for a moment after it was closed.
fn opened(folder: &Path) -> Result<SledStore, LogError> {
    for _ in 0..500 {
        match SledStore::open(folder) {
            Err(LogError::Fatal(why)) if why.contains("another process holds it") => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            other => return other,
        }
    }
    SledStore::open(folder)
}

fn open(folder: &Path) -> Result<(SledStore, Box<dyn Log>), LogError> {
    let store = opened(folder)?;
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

/// What is done to one file of a log.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// One bit is turned over.
    Flip,
    /// 64 bytes become others.
    Fill,
    /// A block of 4 KiB becomes zeros.
    Zero,
    /// The file ends here.
    Cut,
    /// The file is gone.
    Gone,
}

impl Damage {
    const INSIDE: [Self; 4] = [Self::Flip, Self::Fill, Self::Zero, Self::Cut];

    fn inflict(self, file: &Path, at: usize) {
        let mut bytes = std::fs::read(file).unwrap();
        // The file may be a second name of the original.
        std::fs::remove_file(file).unwrap();
        let mut fill = |count: usize, value: u8| {
            let end = bytes.len().min(at + count);
            bytes[at..end].fill(value);
        };
        match self {
            Self::Flip => bytes[at] ^= 1 << (at % 8),
            Self::Fill => fill(64, 0xA5),
            Self::Zero => fill(4096, 0),
            Self::Cut => bytes.truncate(at),
            Self::Gone => return,
        }
        std::fs::write(file, bytes).unwrap();
    }
}

/// Every file of a folder, by its path in it, ascending.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn damaged_files_are_an_error_that_says_what_to_do_and_never_other_data() {
    let folder = tempfile::tempdir().unwrap();
    for part in 0..3 {
        // Opened anew in between, so that there are older parts too.
        let (_store, mut log) = open(folder.path()).unwrap();
        position(log.as_mut());
        (part * 20 + 1..=part * 20 + 20).for_each(|number| commit(log.as_mut(), number).unwrap());
    }
    let files = files(folder.path());
    let mut cases = Vec::new();
    for file in &files {
        let length = std::fs::metadata(folder.path().join(file)).unwrap().len();
        let length = usize::try_from(length).unwrap();
        let name = file.to_str().unwrap();
        let places = if name == "sled/db" { 12 } else { 1 };
        // Of the many blobs some are enough.
        if name.starts_with("sled/blobs") && cases.len() % 7 != 0 {
            cases.push((file, Damage::Gone, 0));
            continue;
        }
        for place in 0..places {
            let at = length / places * place + length / places / 2;
            cases.extend(Damage::INSIDE.map(|damage| (file, damage, at)));
        }
        cases.push((file, Damage::Gone, 0));
    }
    let mut detected = 0;
    for (file, damage, at) in &cases {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), copy.path());
        damage.inflict(&copy.path().join(file), *at);
        let what = format!("{damage:?} of {} at {at}", file.display());
        match read_all(copy.path()) {
            // Bytes that nothing refers to any more, or that can be done without.
            Ok(counts) => {
                assert_eq!(counts, [60; 4], "{what}: records went missing without a word");
            }
            Err(LogError::Fatal(why)) => {
                detected += 1;
                assert!(why.contains(copy.path().to_str().unwrap()), "{what}: {why}");
                assert!(why.contains("damaged") && why.contains("restore"), "{what}: {why}");
            }
            Err(error) => panic!("{what}: {error}"),
        }
    }
    assert!(detected > cases.len() / 4, "only {detected} of {} hit anything", cases.len());
}

#[test]
fn a_snapshot_that_was_never_finished_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    {
        let (_store, mut log) = open(folder.path()).unwrap();
        position(log.as_mut());
        (1..=9).for_each(|number| commit(log.as_mut(), number).unwrap());
    }
    // What a full disk or a kill leaves behind while sled writes one.
    let unfinished = folder.path().join("sled/snap.00000000000FFFFF.generating");
    std::fs::write(&unfinished, b"half").unwrap();
    let (store, mut log) = open(folder.path()).unwrap();
    assert_eq!(position(log.as_mut()), 9);
    check(&store, 9);
    // While somebody holds the log it is left alone.
    std::fs::write(&unfinished, b"half").unwrap();
    assert!(open(folder.path()).is_err());
    assert!(unfinished.exists(), "it may be another process's, being written");
}

#[test]
fn a_log_without_its_note_of_what_was_acknowledged_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    {
        let (_store, mut log) = open(folder.path()).unwrap();
        position(log.as_mut());
        (1..=9).for_each(|number| commit(log.as_mut(), number).unwrap());
    }
    for damage in [Damage::Gone, Damage::Flip, Damage::Fill, Damage::Cut] {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), copy.path());
        damage.inflict(&copy.path().join("acknowledged"), 5);
        let Err(LogError::Fatal(why)) = read_all(copy.path()) else {
            panic!("{damage:?} went unnoticed");
        };
        assert!(why.contains("damaged") && why.contains("acknowledged"), "{damage:?}: {why}");
    }
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
        } else if from.ends_with("blobs") {
            // Written once and never again: a second name will do.
            std::fs::hard_link(entry.path(), target).unwrap();
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
