//! Reading the embedded log while its service holds it: the service is asked
//! over HTTP, a page of records at a time.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use watchkeep_model::position::Partition;
use watchkeep_model::time::Timestamp;
use watchkeep_runtime::log::LogError;

use super::StoredRecord;
use crate::commands::produce::get;

/// Topics that a service reads out, without their prefix: what incidents and
/// charters are told from, and what proves it.
pub(crate) const READ_OUT: [&str; 7] =
    ["incidents", "anchors", "breaches", "windows", "charters", "policies", "lineage"];

/// Where a service reads its topics out.
pub(crate) const PATH: &str = "/v1/topics";

/// Records of one page.
pub(crate) const RECORDS_MAX: i64 = 5_000;

/// Bytes of the records of one page, unless the first has more.
pub(crate) const BYTES_MAX: usize = 4 << 20;

/// A page of a partition.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Page {
    /// Partitions of the topic.
    pub(crate) partitions: i32,
    /// The first offset that the partition holds.
    pub(crate) first: i64,
    /// Behind its last one.
    pub(crate) end: i64,
    /// Where the next page begins.
    pub(crate) next: i64,
    /// The records, by offset.
    pub(crate) records: Vec<Line>,
}

/// A record of a page.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    offset: i64,
    timestamp: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    /// Base64.
    value: String,
}

impl From<&StoredRecord> for Line {
    fn from(record: &StoredRecord) -> Self {
        Self {
            offset: record.offset,
            timestamp: record.timestamp,
            content_type: record.content_type.clone(),
            value: STANDARD.encode(&record.value),
        }
    }
}

/// A service that holds the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Through {
    address: SocketAddr,
}

impl Through {
    /// The service at an address.
    pub(crate) const fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// # Errors
    /// The service does not answer, or does not read this topic out.
    pub(super) fn partition_count(self, topic: &str) -> Result<i32, LogError> {
        self.page(&Partition::new(topic, 0), 0, 0).map(|page| page.partitions)
    }

    /// # Errors
    /// The service does not answer, or does not read this topic out.
    pub(super) fn bounds(self, partition: &Partition) -> Result<(i64, i64), LogError> {
        self.page(partition, 0, 0).map(|page| (page.first, page.end))
    }

    /// # Errors
    /// The service does not answer, or does not read this topic out.
    pub(super) fn read(
        self,
        partition: &Partition,
        mut from: i64,
        to: i64,
    ) -> Result<Vec<StoredRecord>, LogError> {
        let mut records = Vec::new();
        while from < to {
            let page = self.page(partition, from, to)?;
            for line in page.records {
                let value = STANDARD.decode(&line.value).map_err(|_| unreadable("a value"))?;
                let Line { offset, timestamp, content_type, .. } = line;
                records.push(StoredRecord { offset, timestamp, value, content_type });
            }
            if page.next <= from {
                break;
            }
            from = page.next;
        }
        Ok(records)
    }

    fn page(self, partition: &Partition, from: i64, to: i64) -> Result<Page, LogError> {
        let Partition { topic, partition } = partition;
        let path = format!("{PATH}/{topic}?partition={partition}&from={from}&to={to}");
        let told =
            get(self.address, &path).map_err(|error| LogError::Fatal(format!("{error:#}")))?;
        serde_json::from_str(&told).map_err(|_| unreadable("an answer"))
    }
}

fn unreadable(what: &str) -> LogError {
    let why = format!("the service that holds the log answered {what} that cannot be read");
    LogError::Fatal(why)
}
