//! What the folder of snapshots may do to its user: nothing. Whatever is
//! wrong with it is an answer, and after clearing it works again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use watchkeep_log_sled::cache::SledSnapshots;
use watchkeep_model::position::Partition;
use watchkeep_runtime::snapshot::{Save, SnapshotError, SnapshotStore};

/// Names the folder for the writer process.
const FOLDER: &str = "CACHE_FOLDER";

type Content = Option<(Vec<u8>, BTreeMap<Vec<u8>, Vec<u8>>)>;

fn partition(number: i32) -> Partition {
    Partition::new("w.summaries", number)
}

/// Save `number` of a run: some entries change in each, some never.
fn save(number: u32) -> Save {
    let entries = (0..60u32).filter(|name| number == 0 || name % 7 == number % 7);
    Save {
        header: number.to_be_bytes().to_vec(),
        entries: entries
            .map(|name| {
                let size = 100 + name as usize * 97;
                let bytes = (number * 31 + name).to_be_bytes();
                (format!("feature-{name}").into(), bytes.repeat(size / 4))
            })
            .collect(),
        forgotten: Vec::new(),
    }
}

fn expected(last: u32) -> Content {
    let mut entries = BTreeMap::new();
    for number in 0..=last {
        for (name, bytes) in save(number).entries {
            entries.insert(name.as_bytes().to_vec(), bytes);
        }
    }
    Some((save(last).header, entries))
}

fn read(store: &mut SledSnapshots, partition: &Partition) -> Result<Content, SnapshotError> {
    let Some(header) = store.header(partition)? else { return Ok(None) };
    let mut entries = BTreeMap::new();
    store.entries(partition, &mut |name, bytes| {
        entries.insert(name.to_vec(), bytes.to_vec());
    })?;
    Ok(Some((header, entries)))
}

#[test]
fn what_was_saved_is_there_after_a_restart_and_each_partition_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SledSnapshots::open(folder.path()).unwrap();
    assert_eq!(read(&mut store, &partition(0)), Ok(None));
    for number in 0..9 {
        store.save(&partition(0), save(number)).unwrap();
    }
    store.save(&partition(1), save(0)).unwrap();
    drop(store);
    let mut store = SledSnapshots::open(folder.path()).unwrap();
    assert_eq!(read(&mut store, &partition(0)), Ok(expected(8)));
    store.clear(&partition(0)).unwrap();
    assert_eq!(read(&mut store, &partition(0)), Ok(None));
    assert_eq!(read(&mut store, &partition(1)), Ok(expected(0)));
}

#[test]
fn past_windows_are_found_until_a_save_forgets_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SledSnapshots::open(folder.path()).unwrap();
    let window =
        |store: &mut SledSnapshots, number| store.window(&partition(number), b"k").unwrap();
    store.put_window(&partition(0), b"k", vec![1]).unwrap();
    assert_eq!([0, 1].map(|number| window(&mut store, number)), [Some(vec![1]), None]);
    store.save(&partition(0), save(0)).unwrap();
    drop(store);
    let mut store = SledSnapshots::open(folder.path()).unwrap();
    assert_eq!(window(&mut store, 0), Some(vec![1]));
    assert_eq!(read(&mut store, &partition(0)), Ok(expected(0)), "they are no entries");
    store.save(&partition(0), Save { forgotten: vec![b"k".to_vec()], ..save(0) }).unwrap();
    assert_eq!(window(&mut store, 0), None);
    store.put_window(&partition(0), b"k", vec![2]).unwrap();
    store.clear(&partition(0)).unwrap();
    assert_eq!(window(&mut store, 0), None);
}

#[test]
fn a_folder_that_somebody_holds_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut holder = SledSnapshots::open(folder.path()).unwrap();
    holder.save(&partition(0), save(0)).unwrap();
    let error = SledSnapshots::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("another process holds it"), "{error}");
    holder.save(&partition(0), save(1)).unwrap();
    assert_eq!(read(&mut holder, &partition(0)), Ok(expected(1)));
}

#[test]
fn damaged_and_cut_files_are_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SledSnapshots::open(folder.path()).unwrap();
    for number in 0..9 {
        store.save(&partition(0), save(number)).unwrap();
    }
    drop(store);
    let files = files_below(folder.path());
    assert!(files.len() > 1, "{files:?}");
    let mut hits = 0;
    for file in &files {
        let length = std::fs::metadata(folder.path().join(file)).unwrap().len() as usize;
        for part in 0..8 {
            for cut in [false, true] {
                let copy = tempfile::tempdir().unwrap();
                for file in &files {
                    let to = copy.path().join(file);
                    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                    std::fs::copy(folder.path().join(file), to).unwrap();
                }
                let name = copy.path().join(file);
                let mut bytes = std::fs::read(&name).unwrap();
                let at = length / 8 * part;
                if cut {
                    bytes.truncate(at);
                } else {
                    let end = length.min(at + 64);
                    bytes[at..end].iter_mut().for_each(|byte| *byte ^= 0xA5);
                }
                std::fs::write(&name, bytes).unwrap();
                hits += usize::from(use_anyway(copy.path()));
            }
        }
    }
    assert!(hits > 0, "no damage hit anything");
}

/// Opens a damaged folder and goes on with it. True where something was amiss.
fn use_anyway(folder: &Path) -> bool {
    let mut store = SledSnapshots::open(folder).unwrap();
    let found = read(&mut store, &partition(0));
    if let Err(error) = &found {
        assert!(matches!(error, SnapshotError::Damaged(_)), "{error}");
    }
    let amiss = found != Ok(expected(8));
    if amiss {
        store.clear(&partition(0)).unwrap();
        assert_eq!(read(&mut store, &partition(0)), Ok(None));
        store.save(&partition(0), save(0)).unwrap();
        assert_eq!(read(&mut store, &partition(0)), Ok(expected(0)));
    }
    amiss
}

/// A test only where the variable is set: saves until the disk refuses, then
/// tells how the store answers.
#[test]
fn writer() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let mut store = SledSnapshots::open(&folder).unwrap();
    for number in 0..10_000 {
        // The first partition's saves replace each other, and how much of their
        // room sled takes back depends on its pace; those of all others stay, so
        // that the disk fills whatever it does.
        let further = partition(1 + i32::try_from(number).unwrap());
        let saved = store
            .save(&partition(0), save(number))
            .and_then(|()| store.save(&further, save(number)));
        if let Err(error) = saved {
            assert!(matches!(error, SnapshotError::Unavailable(_)), "{error}");
            assert!(error.to_string().contains(folder.to_str().unwrap()), "{error}");
            let again = store.save(&partition(0), save(number)).unwrap_err();
            assert!(matches!(again, SnapshotError::Unavailable(_)), "{again}");
            assert!(store.header(&partition(0)).is_err());
            return;
        }
    }
    panic!("the disk was never full");
}

#[test]
fn a_full_disk_ends_the_use_of_the_folder_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    // A limit on the size of files answers like a full disk, without one.
    let output = Command::new("bash")
        .arg("-c")
        .arg("trap '' XFSZ; ulimit -f 3000; exec \"$0\" --exact writer --nocapture")
        .arg(std::env::current_exe().unwrap())
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // With room again it is some save, or nothing, and goes on.
    let mut store = SledSnapshots::open(folder.path()).unwrap();
    match read(&mut store, &partition(0)) {
        Ok(Some((header, entries))) => {
            let last = u32::from_be_bytes(header.as_slice().try_into().unwrap());
            assert_eq!(Some((header, entries)), expected(last));
        }
        Ok(None) | Err(SnapshotError::Damaged(_)) => {}
        Err(error) => panic!("{error}"),
    }
    store.clear(&partition(0)).unwrap();
    store.save(&partition(0), save(0)).unwrap();
    assert_eq!(read(&mut store, &partition(0)), Ok(expected(0)));
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}
