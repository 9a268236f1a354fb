//! A topic of several partitions read as one.

use std::collections::VecDeque;

use watchkeep_model::position::Partition;
use watchkeep_model::time::Timestamp;

use crate::log::{Log, LogError};

/// Offsets of a partition that are read ahead. It bounds the memory of a scan
/// and not what it reads.
const AHEAD_MAX: i64 = 4096;

/// One partition of the scan.
struct Head {
    partition: Partition,
    next: i64,
    end: i64,
    ahead: VecDeque<(i64, Timestamp, Vec<u8>)>,
}

/// Hands over all records that a topic holds as of now, in the order in which
/// the log took them: by timestamp, then partition; within a partition by
/// offset whatever the timestamps say.
///
/// # Errors
/// Those of the log.
pub(crate) fn scan(
    log: &mut dyn Log,
    topic: &std::sync::Arc<str>,
    handle: &mut dyn FnMut(&Partition, i64, &[u8]),
) -> Result<(), LogError> {
    let mut heads = Vec::new();
    for number in 0..log.partition_count(topic)? {
        let partition = Partition::new(topic.clone(), number);
        let (next, end) = log.settled(&partition)?;
        heads.push(Head { partition, next, end, ahead: VecDeque::new() });
    }
    loop {
        for head in &mut heads {
            head.fill(log)?;
        }
        let waiting = heads.iter_mut().filter_map(|head| Some((head.ahead.front()?.1, head)));
        let Some((_, first)) = waiting.min_by_key(|(at, _)| *at) else { return Ok(()) };
        if let Some((offset, _, value)) = first.ahead.pop_front() {
            handle(&first.partition, offset, &value);
        }
    }
}

impl Head {
    fn fill(&mut self, log: &mut dyn Log) -> Result<(), LogError> {
        while self.ahead.is_empty() && self.next < self.end {
            let to = self.end.min(self.next + AHEAD_MAX);
            let ahead = &mut self.ahead;
            log.scan(&self.partition, self.next, to, &mut |record| {
                ahead.push_back((record.offset, record.timestamp, record.value.to_vec()));
            })?;
            self.next = to;
        }
        Ok(())
    }
}
