//! A session of one stage instance with Kafka.

use std::time::{Duration, Instant, SystemTime};

use watchkeep_model::position::Partition;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::log::{Event, Log, LogError, Record, Transaction};

use crate::member::Member;
use crate::reader::KafkaReader;
use crate::settings::KafkaSettings;
use crate::transactions::{Failure, Transactions};

/// Time that the end of a transaction may take to become visible. Past it
/// readers are shown what they can see: an open transaction of somebody else
/// may be in the way for longer.
const SETTLE_WAIT: Duration = Duration::from_secs(2);

/// Time between two looks at whether it is.
const SETTLE_EVERY: Duration = Duration::from_millis(1);

/// A session: a group member where it reads topics, and a transactional producer.
pub struct KafkaLog {
    settings: KafkaSettings,
    member: Option<Member>,
    transactions: Transactions,
    reader: KafkaReader,
    /// Names the commits of this session and no other.
    stamp: u128,
    commits: u64,
}

impl KafkaLog {
    /// Takes the place of an earlier instance with the same transactional id
    /// and joins the group.
    ///
    /// # Errors
    /// [`LogError::NoTopic`] where one of the topics does not exist,
    /// [`LogError::Unavailable`] where no broker answers, or a fatal one, for
    /// a wrong property too.
    pub fn open(settings: &KafkaSettings) -> Result<Self, LogError> {
        let mut reader = KafkaReader::open(settings)?;
        for topic in &settings.topics {
            if reader.partition_count(topic)? == 0 {
                return Err(LogError::NoTopic(topic.clone()));
            }
        }
        // First the end of the earlier instance, then the positions: nothing
        // can be committed under the old name after they are read.
        let transactions = Transactions::take_over(settings)?;
        let member = if settings.topics.is_empty() { None } else { Some(Member::join(settings)?) };
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let settings = settings.clone();
        Ok(Self { settings, member, transactions, reader, stamp: since.as_nanos(), commits: 0 })
    }

    /// Waits until readers see what this session has committed to a partition:
    /// the brokers write the end of a transaction after they have agreed to it.
    fn settle(&mut self, partition: &Partition) -> Result<(), LogError> {
        let Some(written) = self.transactions.take_written(partition) else { return Ok(()) };
        let deadline = Instant::now() + SETTLE_WAIT;
        while self.reader.bounds(partition)?.1 <= written && Instant::now() < deadline {
            std::thread::sleep(SETTLE_EVERY);
        }
        Ok(())
    }

    /// The group says that another member has this one's name. A newer
    /// instance takes the transactional id before it joins, so where that is
    /// still ours there is none: the group has lost track of us, as it does
    /// when the answer to a join is lost with a broker. Then we join anew.
    fn rejoin(&mut self, why: String, handle: &mut dyn FnMut(Event<'_>)) -> Result<(), LogError> {
        let (Some(member), Some(topic)) = (&mut self.member, self.settings.topics.first()) else {
            return Err(LogError::Fenced(why));
        };
        let Some(group) = member.group() else { return Err(LogError::Fenced(why)) };
        let any = [(Partition::new(topic.as_str(), 0), 0)];
        self.transactions.still_holds(&member.offsets(&any, "")?, &group)?;
        tracing::warn!(why, "the group has lost track of this member: joining anew");
        member.revoke_all(handle);
        self.member = Some(Member::join(&self.settings)?);
        Ok(())
    }

    /// Finds out whether a commit of unknown outcome took place, from the
    /// marker that it leaves with the group's positions.
    fn resolve(
        &mut self,
        why: String,
        marker: &str,
        positions: &[(Partition, i64)],
    ) -> Result<(), LogError> {
        tracing::warn!(why, "the outcome of a commit is unknown: asking the group");
        // Ends the transaction, one way or the other.
        self.transactions.renew()?;
        let Some(member) = &mut self.member else {
            return Err(LogError::Fatal(format!(
                "cannot tell whether the last commit took place: {why}"
            )));
        };
        if member.recall(marker)? {
            member.committed(positions);
            return Ok(());
        }
        member.rewind();
        Err(LogError::Aborted(why))
    }
}

impl Log for KafkaLog {
    fn poll(
        &mut self,
        max_wait: TimeSpan,
        handle: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), LogError> {
        match &mut self.member {
            Some(member) => match member.poll(max_wait, handle) {
                Err(LogError::Fenced(why)) => self.rejoin(why, handle),
                outcome => outcome,
            },
            None => {
                std::thread::sleep(max_wait.to_std());
                Ok(())
            }
        }
    }

    fn commit(&mut self, transaction: Transaction) -> Result<(), LogError> {
        let Transaction { positions, records } = transaction;
        if positions.is_empty() && records.is_empty() {
            return Ok(());
        }
        let foreign = positions.iter().find(|(partition, _)| {
            !self.member.as_ref().is_some_and(|member| member.holds(partition))
        });
        if let Some((Partition { topic, partition }, _)) = foreign {
            let why = format!("{topic} {partition} is not assigned");
            if let Some(member) = &mut self.member {
                member.rewind();
            }
            return Err(LogError::Aborted(why));
        }
        self.commits += 1;
        let marker = format!("{}-{}", self.stamp, self.commits);
        let offsets = match &self.member {
            None => None,
            Some(member) => {
                let offsets = member.offsets(&positions, &marker)?;
                // The metadata of the group as of now: it says which generation this is.
                (offsets.count() > 0).then_some(offsets).zip(member.group())
            }
        };
        let failure = match self.transactions.run(records, offsets) {
            Ok(()) => {
                if let Some(member) = &mut self.member {
                    member.committed(&positions);
                }
                return Ok(());
            }
            Err(failure) => failure,
        };
        match failure {
            Failure::Ended(error) => Err(error),
            Failure::Unknown(why) => self.resolve(why, &marker, &positions),
            Failure::Aborted(why) => {
                if let Some(member) = &mut self.member {
                    member.rewind();
                }
                Err(LogError::Aborted(why))
            }
        }
    }

    fn seek(&mut self, partition: &Partition, offset: i64) -> Result<(), LogError> {
        match &mut self.member {
            Some(member) => member.seek(partition, offset),
            None => Err(LogError::Fatal("this session reads no topic".to_owned())),
        }
    }

    fn partition_count(&mut self, topic: &str) -> Result<i32, LogError> {
        self.reader.partition_count(topic)
    }

    fn bounds(&mut self, partition: &Partition) -> Result<(i64, i64), LogError> {
        self.settle(partition)?;
        self.reader.bounds(partition)
    }

    fn scan(
        &mut self,
        partition: &Partition,
        from: i64,
        to: i64,
        handle: &mut dyn FnMut(Record<'_>),
    ) -> Result<(), LogError> {
        self.settle(partition)?;
        self.reader.scan(partition, from, to, handle)
    }
}
