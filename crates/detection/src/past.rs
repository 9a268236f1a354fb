//! Where past windows are kept: in the state, or in a store on a disk.
//!
//! Baselines of many features go back over many windows, more than memory
//! holds. What is kept of a window once it takes no more events is handed to a
//! store, and the state holds its start and a checksum alone, so that nothing
//! else is ever taken for it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_model::charter::WindowSpec;
use watchkeep_model::compact;
use watchkeep_model::identifier::sha256_of;
use watchkeep_model::summary::Summary;
use watchkeep_model::time::Timestamp;

/// Keeps past windows as bytes. Implemented by whoever keeps the snapshots of
/// the state, because the two belong together: what a snapshot knows of must be
/// found when the state is restored from it.
pub trait PastWindows: fmt::Debug + Send {
    /// Keeps bytes under a key; once more, the same ones.
    fn put(&mut self, key: &[u8], bytes: Vec<u8>);

    /// The bytes of a key; `None` where they are lost.
    fn get(&mut self, key: &[u8]) -> Option<Vec<u8>>;

    /// The key is not asked for any more by a state that is saved after this.
    fn forget(&mut self, key: Vec<u8>);

    /// What was found is not what was put, or nothing was. What is judged from
    /// now on is worthless: the state has to be folded anew from the log.
    fn is_wrong(&mut self);
}

/// The store of a stage, or none: then the state keeps everything itself.
pub(crate) type Store = Option<Box<dyn PastWindows>>;

/// The past windows of one shape of one subject.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Past {
    /// In the store: start and checksum, ascending, by version. Two words each,
    /// because there may be millions.
    stored: BTreeMap<Arc<str>, Vec<(Timestamp, u64)>>,
    /// In the state, where there is no store.
    here: BTreeMap<(Arc<str>, Timestamp), Box<[u8]>>,
}

/// Whose windows they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    pub(crate) feature: &'a str,
    pub(crate) window: WindowSpec,
}

impl Past {
    /// Keeps a window that takes no more events.
    pub(crate) fn put(
        &mut self,
        owner: Owner<'_>,
        version: &Arc<str>,
        start: Timestamp,
        window: &Summary,
        store: &mut Store,
    ) {
        let bytes = compact::encode(window);
        let Some(store) = store else {
            self.here.insert((version.clone(), start), bytes.into());
            return;
        };
        let key = owner.key(version, start);
        let check = checksum(&key, &bytes);
        let starts = self.stored.entry(version.clone()).or_default();
        match starts.binary_search_by_key(&start, |(start, _)| *start) {
            Ok(at) => starts[at].1 = check,
            Err(at) => starts.insert(at, (start, check)),
        }
        store.put(&key, bytes);
    }

    /// A window that was kept; `None` where there was none.
    pub(crate) fn get(
        &self,
        owner: Owner<'_>,
        version: &Arc<str>,
        start: Timestamp,
        store: &mut Store,
    ) -> Option<Summary> {
        if let Some(bytes) = self.here.get(&(version.clone(), start)) {
            return compact::decode(bytes);
        }
        let starts = self.stored.get(version)?;
        let at = starts.binary_search_by_key(&start, |(start, _)| *start).ok()?;
        let check = starts[at].1;
        let store = store.as_mut()?;
        let key = owner.key(version, start);
        let found = store.get(&key).filter(|bytes| checksum(&key, bytes) == check);
        let window = found.and_then(|bytes| compact::decode(&bytes));
        if window.is_none() {
            store.is_wrong();
        }
        window
    }

    /// The start of the earliest window of a version that is kept.
    pub(crate) fn first(&self, version: &Arc<str>) -> Option<Timestamp> {
        let stored = self.stored.get(version).and_then(|starts| starts.first());
        let here = self.here.range((version.clone(), Timestamp::MIN)..).next();
        let here = here.filter(|((of, _), _)| of == version).map(|((_, start), _)| *start);
        stored.map(|(start, _)| *start).into_iter().chain(here).min()
    }

    /// Lets go of windows that start before `start`.
    pub(crate) fn forget_before(&mut self, owner: Owner<'_>, start: Timestamp, store: &mut Store) {
        self.here.retain(|(_, at), _| *at >= start);
        for (version, starts) in &mut self.stored {
            let gone = starts.partition_point(|(at, _)| *at < start);
            for (at, _) in starts.drain(..gone) {
                if let Some(store) = store {
                    store.forget(owner.key(version, at));
                }
            }
        }
        self.stored.retain(|_, starts| !starts.is_empty());
    }
}

impl Owner<'_> {
    /// Those of one feature, version and shape lie together, by time. Lengths
    /// keep texts apart.
    fn key(&self, version: &str, start: Timestamp) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.feature.len() + version.len() + 32);
        let window = self.window.to_string();
        for text in [self.feature, version, &window] {
            key.extend((text.len() as u32).to_be_bytes());
            key.extend(text.as_bytes());
        }
        // The sign is turned, so that earlier ones are less as bytes too.
        key.extend((start.as_micros() ^ i64::MIN).to_be_bytes());
        key
    }
}

fn checksum(key: &[u8], bytes: &[u8]) -> u64 {
    let hash = sha256_of(&[key, bytes]);
    let (first, _) = hash.split_first_chunk().expect("8 of 32 bytes");
    u64::from_le_bytes(*first)
}

#[cfg(test)]
mod tests {
    use watchkeep_model::time::TimeSpan;

    use super::*;

    #[derive(Debug, Default)]
    struct Shelf {
        kept: BTreeMap<Vec<u8>, Vec<u8>>,
        lossy: bool,
    }

    impl PastWindows for Shelf {
        fn put(&mut self, key: &[u8], bytes: Vec<u8>) {
            self.kept.insert(key.to_vec(), bytes);
        }

        fn get(&mut self, key: &[u8]) -> Option<Vec<u8>> {
            self.kept.get(key).filter(|_| !self.lossy).cloned()
        }

        fn forget(&mut self, key: Vec<u8>) {
            self.kept.remove(&key);
        }

        fn is_wrong(&mut self) {
            assert!(self.lossy, "what was put is found");
        }
    }

    fn check(mut store: Store) -> Vec<bool> {
        let owner = Owner { feature: "f", window: WindowSpec::Tumbling { size: TimeSpan::HOUR } };
        let version: Arc<str> = "1".into();
        let at = |hour| Timestamp::from_micros(0) + TimeSpan::HOUR.times(hour);
        let mut past = Past::default();
        for hour in [3, 1, 2, -4] {
            let mut window = Summary::default();
            window.numbers.add(hour as f64);
            past.put(owner, &version, at(hour), &window, &mut store);
        }
        past.forget_before(owner, at(2), &mut store);
        (-5..5)
            .map(|hour| {
                let found = past.get(owner, &version, at(hour), &mut store);
                assert!(past.get(owner, &"2".into(), at(hour), &mut store).is_none());
                found.is_some_and(|window| window.numbers.max() == Some(hour as f64))
            })
            .collect()
    }

    #[test]
    fn windows_are_found_wherever_they_are_kept() {
        let expected: Vec<bool> = (-5..5).map(|hour| hour == 2 || hour == 3).collect();
        assert_eq!(check(None), expected);
        assert_eq!(check(Some(Box::<Shelf>::default())), expected);
        let lossy = Shelf { lossy: true, ..Shelf::default() };
        assert_eq!(check(Some(Box::new(lossy))), vec![false; 10]);
    }
}
