//! A session of one stage instance with Kafka.

use std::time::{Duration, Instant, SystemTime};

use watchkeep_model::position::Partition;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::log::{Event, Log, LogError, Record, Transaction};

use crate::fate::{Fate, Written, await_fate};
use crate::member::Member;
use crate::reader::KafkaReader;
use crate::settings::KafkaSettings;
use crate::transactions::{Broken, Failure, Transactions, unfinished};

/// Time that the end of a transaction may take to become visible. Past it
/// readers are shown what they can see: an open transaction of somebody else
/// may be in the way for longer.
const SETTLE_WAIT: Duration = Duration::from_secs(2);

/// Time that the end of a broken transaction may take to become visible where
/// nothing but its records can tell how it ended. Longer than the brokers keep
/// an open transaction of somebody else in the way.
const OUTCOME_WAIT: Duration = Duration::from_secs(30);

/// Time in which a group tells a member whose name a newer instance has taken:
/// a few heartbeats.
const VERDICT_WAIT: Duration = Duration::from_secs(3);

/// Time between two looks at whether it is.
const SETTLE_EVERY: Duration = Duration::from_millis(1);

/// Time between two looks at whether transactions of others have ended.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Time without another commit after which it is looked whether the last one
/// has its marks, and between two such looks.
const LOOK_AT_MARKS_EVERY: Duration = Duration::from_secs(2);

/// Time after which marks that are missing do not come any more. Brokers write
/// them within milliseconds of agreeing to a commit.
const MARKS_WAIT: Duration = Duration::from_secs(10);

/// Time beyond the timeout of transactions in which brokers end one that has
/// timed out: they look every 10 s where nothing else is configured.
const TIMED_OUT_WAIT: Duration = Duration::from_secs(20);

/// A session: a group member where it reads topics, and a transactional producer.
pub struct KafkaLog {
    settings: KafkaSettings,
    member: Option<Member>,
    transactions: Transactions,
    reader: KafkaReader,
    /// Names the commits of this session and no other.
    stamp: u128,
    commits: u64,
    /// The last commit, where it is not known yet that it has its marks, and
    /// when to look.
    unmarked: Option<Unmarked>,
}

struct Unmarked {
    since: Instant,
    look_at: Instant,
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
        let transactions = Transactions::take_over(settings).map_err(|e| name(settings, e))?;
        let member = if settings.topics.is_empty() { None } else { Some(Member::join(settings)?) };
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let settings = settings.clone();
        let stamp = since.as_nanos();
        Ok(Self { settings, member, transactions, reader, stamp, commits: 0, unmarked: None })
    }

    /// Looks whether the last commit has its marks, when no other has followed
    /// for a while. Without them its positions are pending: the group tells
    /// nobody where it stands, this session comes to no partition, and so to no
    /// commit that would finish them.
    fn look_at_marks(&mut self) -> Result<(), LogError> {
        let now = Instant::now();
        let Some(unmarked) = &mut self.unmarked else { return Ok(()) };
        if now < unmarked.look_at {
            return Ok(());
        }
        unmarked.look_at = now + LOOK_AT_MARKS_EVERY;
        let is_late = now.duration_since(unmarked.since) > MARKS_WAIT;
        match self.transactions.is_unfinished(&mut self.reader) {
            Ok(false) => self.unmarked = None,
            // A poll of an unavailable log is tried again; here another
            // session has to begin.
            Ok(true) if is_late => return Err(LogError::Aborted(unfinished().to_string())),
            // Brokers that are away are waited for elsewhere.
            Ok(true) | Err(LogError::Unavailable(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(())
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
        let Some(group) = member.last_group() else { return Err(LogError::Fenced(why)) };
        let any = [(Partition::new(topic.as_str(), 0), 0)];
        self.transactions.still_holds(&member.offsets(&any, "")?, &group)?;
        tracing::warn!(why, "the group has lost track of this member: joining anew");
        member.revoke_all(handle);
        self.member = Some(Member::join(&self.settings)?);
        Ok(())
    }

    /// Goes on after a transaction whose producer cannot: makes another
    /// producer, which ends the transaction one way or the other, and finds
    /// out which. The group's positions tell by the marker that a commit
    /// leaves with them; where none were part of it, its records tell.
    fn resolve(
        &mut self,
        broken: Broken,
        marker: Option<&str>,
        positions: &[(Partition, i64)],
    ) -> Result<(), LogError> {
        let Broken { why, may_hold, may_be_expired } = broken;
        tracing::warn!(why, may_hold, "a transaction broke off: going on with another producer");
        if let Some(member) = self.member.as_mut().filter(|_| may_be_expired) {
            // A newer instance joins in our name; then we must not take the
            // transactional id back from it.
            member.await_verdict(VERDICT_WAIT)?;
        }
        let written = self.transactions.written();
        self.transactions.renew()?;
        let mut is_there = false;
        if let (Some(member), Some(marker), true) = (&self.member, marker, may_hold) {
            // What readers are shown was committed. The group may not know of
            // it: its mark was left out there, and its positions are to be
            // finished, or another member has gone on from them already.
            let offsets = member.offsets(positions, marker)?;
            // Of a commit without records the marker tells.
            is_there = !written.is_empty()
                && await_fate(&mut self.reader, &written, OUTCOME_WAIT)? == Fate::Shown;
            if is_there {
                self.transactions.acknowledge(&offsets, &written);
            }
        }
        self.transactions.settle_positions()?;
        let holds = match (&mut self.member, marker) {
            // Read in any case: they are where delivery begins again.
            (Some(member), Some(marker)) => (member.recall(marker)? || is_there) && may_hold,
            _ => may_hold && self.is_shown(&written, &why)?,
        };
        let Some(member) = &mut self.member else {
            return if holds { Ok(()) } else { Err(LogError::Aborted(why)) };
        };
        if holds {
            member.committed(positions);
            return Ok(());
        }
        member.rewind();
        Err(LogError::Aborted(why))
    }

    /// Whether readers are shown what an ended transaction wrote.
    fn is_shown(&mut self, written: &[Written], why: &str) -> Result<bool, LogError> {
        // A commit is asked for when all records are taken, so without any
        // there was nothing that could hold.
        let Some(Written { partition, last, .. }) = written.first() else { return Ok(false) };
        match await_fate(&mut self.reader, written, OUTCOME_WAIT)? {
            Fate::Shown => Ok(true),
            Fate::NotShown => Ok(false),
            Fate::Unknown => {
                let Partition { topic, partition } = partition;
                Err(LogError::Fatal(format!(
                    "cannot tell whether a commit took place ({why}): look whether {topic} \
                     {partition} holds its record at offset {last} before anything is tried again"
                )))
            }
        }
    }

    /// Takes a transaction to its end, whichever that is.
    fn transact(&mut self, transaction: Transaction) -> Result<(), LogError> {
        let Transaction { positions, records } = transaction;
        self.commits += 1;
        let marker = format!("{}-{}", self.stamp, self.commits);
        let offsets = match &self.member {
            None => None,
            Some(member) => {
                let offsets = member.offsets(&positions, &marker)?;
                // The metadata of the group as of now: it says which generation this is.
                match (offsets.count(), member.group()) {
                    (0, _) => None,
                    (_, Some(group)) => Some((offsets, group)),
                    (_, None) => return self.aborted("the group has ended this membership"),
                }
            }
        };
        let marker = offsets.is_some().then_some(marker);
        match self.transactions.run(&mut self.reader, records, offsets) {
            Ok(()) => {
                if let Some(member) = &mut self.member {
                    member.committed(&positions);
                    let since = Instant::now();
                    let look_at = since + LOOK_AT_MARKS_EVERY;
                    self.unmarked = Some(Unmarked { since, look_at });
                }
                Ok(())
            }
            Err(Failure::Ended(error)) => Err(error),
            Err(Failure::Broken(broken)) => self.resolve(broken, marker.as_deref(), &positions),
            Err(Failure::Aborted(why)) => self.aborted(&why),
        }
    }

    /// Nothing holds: delivery goes back to the committed positions.
    fn aborted(&mut self, why: &str) -> Result<(), LogError> {
        if let Some(member) = &mut self.member {
            member.rewind();
        }
        Err(LogError::Aborted(why.to_owned()))
    }
}

/// Tells of a newer instance by the names that it has taken: most often
/// somebody has begun a second one with the names of the first.
fn name(settings: &KafkaSettings, error: LogError) -> LogError {
    let LogError::Fenced(why) = error else { return error };
    let KafkaSettings { transactional_id: id, group, .. } = settings;
    LogError::Fenced(format!(
        "another process has taken the transactional id {id} of the group {group}. If none \
         should have: give every instance of a stage a name of its own (--instance), and every \
         deployment on the same brokers a group.id of its own in [log.kafka]. Kafka says: {why}"
    ))
}

fn no_topic_read() -> LogError {
    LogError::Fatal("this session reads no topic".to_owned())
}

impl Log for KafkaLog {
    fn poll(
        &mut self,
        max_wait: TimeSpan,
        handle: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), LogError> {
        self.look_at_marks()?;
        let Some(member) = &mut self.member else {
            std::thread::sleep(max_wait.to_std());
            return Ok(());
        };
        match member.poll(&mut self.reader, max_wait, handle) {
            Err(LogError::Fenced(why)) => {
                self.rejoin(why, handle).map_err(|error| name(&self.settings, error))
            }
            outcome => outcome,
        }
    }

    fn commit(&mut self, transaction: Transaction) -> Result<(), LogError> {
        if transaction.positions.is_empty() && transaction.records.is_empty() {
            return Ok(());
        }
        let foreign = transaction.positions.iter().find(|(partition, _)| {
            !self.member.as_ref().is_some_and(|member| member.holds(partition))
        });
        if let Some((Partition { topic, partition }, _)) = foreign {
            let why = format!("{topic} {partition} is not assigned");
            return self.aborted(&why);
        }
        self.transact(transaction).map_err(|error| name(&self.settings, error))
    }

    fn seek(&mut self, partition: &Partition, offset: i64) -> Result<(), LogError> {
        match &mut self.member {
            Some(member) => member.seek(partition, offset),
            None => Err(no_topic_read()),
        }
    }

    fn pause(&mut self, partition: &Partition, offset: i64) -> Result<(), LogError> {
        match &mut self.member {
            Some(member) => member.pause(partition, offset),
            None => Err(no_topic_read()),
        }
    }

    fn resume(&mut self, partition: &Partition) -> Result<(), LogError> {
        match &mut self.member {
            Some(member) => member.resume(partition),
            None => Err(no_topic_read()),
        }
    }

    fn is_spare(&self) -> bool {
        self.member.as_ref().is_some_and(Member::is_spare)
    }

    fn partition_count(&mut self, topic: &str) -> Result<i32, LogError> {
        self.transactions.partition_count(topic)
    }

    fn bounds(&mut self, partition: &Partition) -> Result<(i64, i64), LogError> {
        self.settle(partition)?;
        self.reader.bounds(partition)
    }

    fn settled(&mut self, partition: &Partition) -> Result<(i64, i64), LogError> {
        self.settle(partition)?;
        let written = self.reader.written_end(partition)?;
        let deadline = Instant::now() + self.settings.transaction_timeout() + TIMED_OUT_WAIT;
        loop {
            let (first, end) = self.reader.bounds(partition)?;
            if end >= written {
                return Ok((first, end));
            }
            if Instant::now() >= deadline {
                let Partition { topic, partition } = partition;
                return Err(LogError::Unavailable(format!(
                    "a transaction has been open in {topic} {partition} from offset {end} on for \
                     longer than brokers leave one open: if it stays so, kafka-transactions.sh \
                     find-hanging --broker-id N names it and abort ends it"
                )));
            }
            std::thread::sleep(LOOK_AGAIN_AFTER);
        }
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
