//! The calls into librdkafka that rdkafka does not offer: fetching a batch
//! through one queue. This is the only place with unsafe code.
#![allow(
    unsafe_code,
    reason = "a batch costs half the CPU of one call a message, and rdkafka offers no safe way to it"
)]

use std::ffi::{CStr, CString, c_void};
use std::ptr;
use std::slice;

use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;
use watchkeep_model::position::Partition;
use watchkeep_model::time::{TimeSpan, Timestamp};

/// A queue of a consumer that messages of many partitions are forwarded to.
/// It must be dropped before its consumer.
pub(crate) struct Queue {
    queue: *mut sys::rd_kafka_queue_t,
    client: *mut sys::rd_kafka_t,
}

// SAFETY: librdkafka's handles may be used from any thread; `&Queue` allows
// only calls that lock inside.
unsafe impl Send for Queue {}

// SAFETY: a message may be read and destroyed by any thread, and its batch
// alone has it.
unsafe impl Send for Batch {}

/// Messages fetched together, destroyed together.
pub(crate) struct Batch {
    messages: Vec<*mut sys::rd_kafka_message_t>,
    /// How many of them were taken.
    taken: usize,
}

/// One message of a batch.
pub(crate) struct Message<'a>(&'a sys::rd_kafka_message_t);

/// The address of a topic's handle: the same for all messages of one topic as
/// long as its consumer lives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TopicHandle(usize);

/// Whether the consumer is a member of its group, with a name and a
/// generation, as of now.
pub(crate) fn is_known_member<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> bool {
    // SAFETY: the client lives as long as its consumer; the metadata is ours
    // to destroy, and its name lives until then.
    unsafe {
        let metadata = sys::rd_kafka_consumer_group_metadata(consumer.client().native_ptr());
        if metadata.is_null() {
            return false;
        }
        let name = sys::rd_kafka_consumer_group_metadata_member_id(metadata);
        let has_name = !name.is_null() && !CStr::from_ptr(name).is_empty();
        let generation = sys::rd_kafka_consumer_group_metadata_generation_id(metadata);
        sys::rd_kafka_consumer_group_metadata_destroy(metadata);
        has_name && generation >= 0
    }
}

impl Queue {
    pub(crate) fn new<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Self {
        let client = consumer.client().native_ptr();
        // SAFETY: the client lives as long as its consumer, which outlives this queue.
        let queue = unsafe { sys::rd_kafka_queue_new(client) };
        assert!(!queue.is_null(), "rd_kafka_queue_new never answers with null");
        Self { queue, client }
    }

    /// Messages of this partition come through this queue from now on, also
    /// after it is assigned anew.
    pub(crate) fn forward(&self, partition: &Partition) {
        let Ok(topic) = CString::new(&*partition.topic) else { return };
        // SAFETY: client and queue are live; the partition's queue is a
        // reference of our own that is given back at once.
        unsafe {
            let source =
                sys::rd_kafka_queue_get_partition(self.client, topic.as_ptr(), partition.partition);
            if !source.is_null() {
                sys::rd_kafka_queue_forward(source, self.queue);
                sys::rd_kafka_queue_destroy(source);
            }
        }
    }

    /// Waits for one message and takes what else is there, `count` at most.
    pub(crate) fn fetch(&self, count: usize, wait: TimeSpan) -> Batch {
        let mut batch = Batch { messages: Vec::with_capacity(count), taken: 0 };
        self.fill(&mut batch, count, 0);
        let wait_ms = i32::try_from((wait.as_micros() + 999) / 1000).unwrap_or(i32::MAX);
        if batch.messages.is_empty() && wait_ms > 0 {
            // A fetch waits until it is full, so the wait is for one message alone.
            self.fill(&mut batch, 1, wait_ms);
            if !batch.messages.is_empty() {
                self.fill(&mut batch, count - 1, 0);
            }
        }
        batch
    }

    fn fill(&self, batch: &mut Batch, count: usize, wait_ms: i32) {
        batch.messages.reserve(count);
        let held = batch.messages.len();
        // SAFETY: the vector has room for `count` more pointers, of which
        // librdkafka writes as many as it answers; each is a message that is
        // ours to destroy.
        unsafe {
            let end = batch.messages.as_mut_ptr().add(held);
            let got = sys::rd_kafka_consume_batch_queue(self.queue, wait_ms, end, count);
            let got = usize::try_from(got).unwrap_or(0);
            batch.messages.set_len(held + got);
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the queue is ours and is not used any more.
        unsafe { sys::rd_kafka_queue_destroy(self.queue) }
    }
}

impl Batch {
    /// True where no message is left to take.
    pub(crate) fn is_empty(&self) -> bool {
        self.taken == self.messages.len()
    }

    /// The next message.
    pub(crate) fn take(&mut self) -> Option<Message<'_>> {
        let message = *self.messages.get(self.taken)?;
        self.taken += 1;
        // SAFETY: every pointer came from librdkafka and lives until `drop`.
        Some(Message(unsafe { &*message }))
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        for message in &self.messages {
            // SAFETY: each message is destroyed once, and nothing borrows it any more.
            unsafe { sys::rd_kafka_message_destroy(*message) }
        }
    }
}

impl<'a> Message<'a> {
    /// The error that comes in place of a record, the end of a partition among them.
    pub(crate) fn error(&self) -> Option<RDKafkaErrorCode> {
        match self.0.err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => None,
            error => Some(error.into()),
        }
    }

    pub(crate) fn topic_handle(&self) -> TopicHandle {
        TopicHandle(self.0.rkt as usize)
    }

    pub(crate) fn topic(&self) -> String {
        if self.0.rkt.is_null() {
            return String::new();
        }
        // SAFETY: the message holds a reference to its topic, whose name lives with it.
        let name = unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(self.0.rkt)) };
        name.to_string_lossy().into_owned()
    }

    pub(crate) fn partition(&self) -> i32 {
        self.0.partition
    }

    pub(crate) fn offset(&self) -> i64 {
        self.0.offset
    }

    pub(crate) fn timestamp(&self) -> Timestamp {
        // SAFETY: the message is live; the kind of its time is not asked for.
        let millis = unsafe { sys::rd_kafka_message_timestamp(self.0, ptr::null_mut()) };
        Timestamp::from_millis(millis.max(0))
    }

    pub(crate) fn key(&self) -> Option<&'a [u8]> {
        bytes(self.0.key, self.0.key_len)
    }

    /// What a record carries; for an error, its text.
    pub(crate) fn value(&self) -> &'a [u8] {
        bytes(self.0.payload, self.0.len).unwrap_or_default()
    }

    /// The first header of this name.
    pub(crate) fn header(&self, name: &CStr) -> Option<&'a [u8]> {
        let headers = self.native_headers()?;
        let (mut value, mut length) = (ptr::null(), 0);
        // SAFETY: the headers live with the message, the name ends in a zero.
        let found = unsafe {
            sys::rd_kafka_header_get(headers, 0, name.as_ptr(), &raw mut value, &raw mut length)
        };
        (found == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR)
            .then(|| bytes(value, length).unwrap_or_default())
    }

    /// All headers in order.
    pub(crate) fn headers(&self) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        let Some(headers) = self.native_headers() else { return all };
        loop {
            let (mut name, mut value, mut length) = (ptr::null(), ptr::null(), 0);
            // SAFETY: the headers live with the message; past the last one the
            // answer is an error and nothing is written.
            let found = unsafe {
                sys::rd_kafka_header_get_all(
                    headers,
                    all.len(),
                    &raw mut name,
                    &raw mut value,
                    &raw mut length,
                )
            };
            if found != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                return all;
            }
            // SAFETY: a found header has a name that ends in a zero.
            let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
            all.push((name, bytes(value, length).unwrap_or_default().to_vec()));
        }
    }

    fn native_headers(&self) -> Option<*mut sys::rd_kafka_headers_t> {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is live; librdkafka parses its headers on the first call.
        let found = unsafe { sys::rd_kafka_message_headers(self.0, &raw mut headers) };
        (found == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).then_some(headers)
    }
}

fn bytes<'a>(start: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: callers pass what librdkafka says of a live message; the
    // lifetime is bound to it by the signatures above.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start.cast::<u8>(), length) })
}
