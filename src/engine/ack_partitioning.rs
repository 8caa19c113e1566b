//! Which partitions of the ack topic the answer to a task can come to, so that one that is slow, or stands still, holds up only the
//! time-outs of tasks whose answers it may hold.
//!
//! The contract has answers keyed by their request's id, and clients turn a key into a partition in one of three partitioners. Nothing
//! makes a processor keep to that, so a processor is believed only after it has been seen to: until then, and for good once an
//! answer of it came to another partition, its answers can come to any.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    AckPartitions, Engine, EngineError, prepare::Arrival, prepare::PreparedAck, settlement::AckVerdict,
};
use crate::{
    domain::{
        backup::earlier,
        ids::{ProcessorId, RequestId},
        time::At,
    },
    store::AckWay,
};

/// The partitioners from a key to a partition, each a bit: Java's clients and those that follow them, librdkafka, and Go's oldest.
const PARTITIONERS: [fn(&[u8]) -> u32; 3] = [murmur2, crc32, fnv1a];
const ALL_PARTITIONERS: u8 = 0b111;

/// After so many answers to different requests, none of them elsewhere, a processor is believed. By chance that happens once in
/// some 10^12 processors that choose among six partitions.
const BELIEVED_AFTER: u32 = 16;

/// So many of a batch are looked at: enough to notice soon whoever does otherwise, and few enough to cost nothing.
const SAMPLE: usize = 32;

/// Partitions that were added are not known to producers at once: for so long nothing is learned from where answers come.
const SETTLES_WITHIN: std::time::Duration = std::time::Duration::from_secs(15 * 60);

/// A partition is behind when it has been read less far than another by so much.
const BEHIND: std::time::Duration = std::time::Duration::from_secs(5);

/// What this worker has seen of where a processor's answers come.
#[derive(Debug, Clone, Copy)]
struct Habit {
    /// The partitioners that all of them agree with.
    partitioners: u8,
    /// How many different requests they answered.
    seen: u32,
    last: RequestId,
    /// What the store has been told.
    told: Option<u8>,
}

/// What this worker has seen of all processors, with this many partitions.
#[derive(Debug, Default)]
pub(super) struct Habits {
    partitions: i32,
    of: BTreeMap<ProcessorId, Habit>,
}

/// Up to when the answers to a task have been read.
#[derive(Debug)]
pub(super) struct AcksSeen {
    /// All of them.
    least: At,
    /// Where some partition is behind: what the others allow.
    closer: Option<Closer>,
}

#[derive(Debug)]
struct Closer {
    /// Up to when each partition has been read, and no later than their number is known.
    partitions: Vec<At>,
    /// By processor: with how many partitions it was seen, and the partitioners that its answers agreed with.
    partitioners: HashMap<String, Vec<(i32, u8)>>,
}

impl AcksSeen {
    /// Up to when an answer of this processor to this request would have been seen.
    pub(super) fn until(&self, id: RequestId, processor: &ProcessorId) -> At {
        let closer = self.closer.as_ref();
        closer
            .and_then(|closer| closer.until(id, closer.partitioners.get(processor.as_str())?))
            .unwrap_or(self.least)
    }
}

impl Closer {
    /// `None`: it can come to any partition.
    fn until(&self, id: RequestId, partitioners: &[(i32, u8)]) -> Option<At> {
        let now = i32::try_from(self.partitions.len()).ok()?;
        // It has to be known as it is today; what it was asked before partitions were added may have been answered as it was then.
        if !partitioners.iter().any(|(partitions, _)| *partitions == now)
            || partitioners.iter().any(|(_, partitioners)| *partitioners == 0)
        {
            return None;
        }
        let key = id.to_string();
        let mut until: Option<At> = None;
        for (partitions, partitioners) in partitioners {
            for (n, way) in PARTITIONERS.iter().enumerate() {
                if partitioners & (1 << n) != 0 {
                    let partition = place(*way, key.as_bytes(), *partitions)?;
                    let seen = self.partitions.get(usize::try_from(partition).ok()?)?;
                    until = Some(until.map_or(*seen, |until| until.min(*seen)));
                }
            }
        }
        until
    }
}

impl Engine {
    /// Up to when acks have been read: the least of the ack topic's partitions, and no later than their number is known.
    pub(super) async fn acks_seen(&self) -> Result<AcksSeen, EngineError> {
        let AckPartitions { count, at, .. } = self.ack_partitions();
        let positions = self.store.positions(&self.cluster).await?;
        let of_acks: HashMap<i32, At> = positions
            .iter()
            .filter(|position| position.topic == *self.ack_topic)
            .map(|position| (position.partition, position.seen_until))
            .collect();
        // A partition that has never reported may hold anything.
        let of = |partition| of_acks.get(&partition).copied().unwrap_or_default().min(at);
        let partitions: Vec<At> = (0..count).map(of).collect();
        let most = partitions.iter().copied().max().unwrap_or_default();
        let least = partitions.iter().copied().min().unwrap_or_default();
        if least >= earlier(most, BEHIND) {
            return Ok(AcksSeen { least, closer: None });
        }
        let mut partitioners: HashMap<String, Vec<(i32, u8)>> = HashMap::new();
        for known in self.store.ack_ways(&self.cluster, &self.ack_topic).await? {
            partitioners
                .entry(known.processor)
                .or_default()
                .push((known.partitions, known.ways));
        }
        let closer = Some(Closer {
            partitions,
            partitioners,
        });
        Ok(AcksSeen { least, closer })
    }

    /// Learns from where answers came, and remembers what is new. That an answer was settled does not depend on it.
    pub(super) async fn learn_partitioners(
        &self,
        arrivals: &[Arrival<PreparedAck>],
        verdicts: &[AckVerdict],
    ) {
        let news = self.new_partitioners(arrivals, verdicts);
        if news.is_empty() {
            return;
        }
        match self.store.note_ack_ways(&news).await {
            Ok(()) => {
                let mut habits = self.habits();
                for told in &news {
                    let habit = habits
                        .of
                        .iter_mut()
                        .find(|(processor, _)| processor.as_str() == told.processor);
                    if let Some((_, habit)) = habit {
                        habit.told = Some(told.ways);
                    }
                }
            }
            // It is told again with the next batch.
            Err(error) => tracing::warn!(%error, "where answers come could not be remembered"),
        }
    }

    fn new_partitioners(&self, arrivals: &[Arrival<PreparedAck>], verdicts: &[AckVerdict]) -> Vec<AckWay> {
        let AckPartitions { count, grown, .. } = self.ack_partitions();
        if count == 0 || grown.is_some_and(|grown| self.clock.now().since(grown) < SETTLES_WITHIN) {
            return Vec::new();
        }
        let mut habits = self.habits();
        if habits.partitions != count {
            *habits = Habits {
                partitions: count,
                of: BTreeMap::new(),
            };
        }
        for (arrival, verdict) in arrivals.iter().zip(verdicts).take(SAMPLE) {
            // A forger may write any name to any partition.
            if let (Some(origin), Ok(prepared), AckVerdict::Counted { .. } | AckVerdict::Repeated) =
                (&arrival.origin, &arrival.content, verdict)
            {
                habits.learn(&prepared.ack.processor, prepared.ack.request_id, origin.partition);
            }
        }
        let news = habits.of.iter().filter(|(_, habit)| habit.is_news());
        news.map(|(processor, habit)| AckWay {
            cluster: self.cluster.clone(),
            topic: Arc::clone(&self.ack_topic),
            partitions: count,
            processor: processor.as_str().to_owned(),
            ways: habit.partitioners,
        })
        .collect()
    }
}

impl Habits {
    fn learn(&mut self, processor: &ProcessorId, id: RequestId, partition: i32) {
        let key = id.to_string();
        let partitioners = PARTITIONERS
            .iter()
            .enumerate()
            .filter(|(_, way)| place(**way, key.as_bytes(), self.partitions) == Some(partition))
            .fold(0, |partitioners, (n, _)| partitioners | 1 << n);
        match self.of.get_mut(processor) {
            Some(habit) => {
                habit.partitioners &= partitioners;
                // Repeats of one answer say nothing new.
                habit.seen = habit.seen.saturating_add(u32::from(habit.last != id));
                habit.last = id;
            }
            None => {
                let habit = Habit {
                    partitioners: partitioners & ALL_PARTITIONERS,
                    seen: 1,
                    last: id,
                    told: None,
                };
                self.of.insert(processor.clone(), habit);
            }
        }
    }
}

impl Habit {
    fn is_news(&self) -> bool {
        (self.partitioners == 0 || self.seen >= BELIEVED_AFTER) && self.told != Some(self.partitioners)
    }
}

/// The partition of a key.
fn place(way: fn(&[u8]) -> u32, key: &[u8], partitions: i32) -> Option<i32> {
    let count = u32::try_from(partitions).ok().filter(|count| *count > 0)?;
    i32::try_from(way(key) % count).ok()
}

/// As Kafka's own client has it (32 bits, seed 0x9747b28c), without the sign.
fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ u32::try_from(key.len()).unwrap_or(u32::MAX);
    let (words, rest) = key.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    for (n, byte) in rest.iter().enumerate().rev() {
        hash ^= u32::from(*byte) << (8 * n);
        if n == 0 {
            hash = hash.wrapping_mul(M);
        }
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    (hash ^ (hash >> 15)) & 0x7fff_ffff
}

/// CRC-32, as zlib has it. Bit by bit: a key is short, and few are looked at.
fn crc32(key: &[u8]) -> u32 {
    !key.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

/// FNV-1a of 32 bits, taken for a signed number whose sign is dropped.
fn fnv1a(key: &[u8]) -> u32 {
    let hash = key.iter().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    hash.cast_signed().unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the clients themselves say: Kafka's own test of murmur2, zlib's check value, and FNV's published vectors.
    #[test]
    fn keys_go_where_the_clients_put_them() {
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(
                murmur2(key.as_bytes()),
                hash.cast_unsigned() & 0x7fff_ffff,
                "{key}"
            );
        }
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(fnv1a(b"a"), 0xe40c_292c_u32.cast_signed().unsigned_abs());
        assert_eq!(fnv1a(b"foobar"), 0xbf9c_f968_u32.cast_signed().unsigned_abs());
    }

    fn id(n: u128) -> RequestId {
        RequestId(uuid::Uuid::from_u128(n))
    }

    fn crm() -> ProcessorId {
        ProcessorId::new("crm").unwrap()
    }

    fn habits() -> Habits {
        Habits {
            partitions: 6,
            of: BTreeMap::new(),
        }
    }

    fn partition_of(way: usize, n: u128) -> i32 {
        place(PARTITIONERS[way], id(n).to_string().as_bytes(), 6).unwrap()
    }

    #[test]
    fn ack_route_is_trusted_until_broken_then_never_again() {
        let mut habits = habits();
        for n in 1..u128::from(BELIEVED_AFTER) {
            habits.learn(&crm(), id(n), partition_of(1, n));
            // A repeat says nothing new.
            habits.learn(&crm(), id(n), partition_of(1, n));
            assert!(!habits.of[&crm()].is_news(), "{n}");
        }
        let last = u128::from(BELIEVED_AFTER);
        habits.learn(&crm(), id(last), partition_of(1, last));
        assert!(habits.of[&crm()].is_news());
        assert_eq!(habits.of[&crm()].partitioners, 0b010);
        let elsewhere = (partition_of(1, 99) + 1) % 6;
        habits.learn(&crm(), id(99), elsewhere);
        habits.learn(&crm(), id(100), partition_of(1, 100));
        assert_eq!(habits.of[&crm()].partitioners, 0);
        assert!(habits.of[&crm()].is_news());
    }

    fn seen(partitioners: &[(i32, u8)], slow: i32) -> AcksSeen {
        let partitions = (0..6).map(|n| At::from_millis(if n == slow { 5 } else { 100 }));
        AcksSeen {
            least: At::from_millis(5),
            closer: Some(Closer {
                partitions: partitions.collect(),
                partitioners: [("crm".to_owned(), partitioners.to_vec())].into(),
            }),
        }
    }

    #[test]
    fn a_slow_partition_holds_up_only_what_can_be_answered_there() {
        for slow in 0..6 {
            for n in 1..50 {
                let until = seen(&[(6, 0b010)], slow).until(id(n), &crm());
                let is_its = partition_of(1, n) == slow;
                assert_eq!(until.millis(), if is_its { 5 } else { 100 }, "{slow} {n}");
                let until = seen(&[(6, 0b011)], slow).until(id(n), &crm());
                let is_its = is_its || partition_of(0, n) == slow;
                assert_eq!(until.millis(), if is_its { 5 } else { 100 }, "{slow} {n}");
            }
        }
    }

    #[test]
    fn whoever_is_not_known_may_answer_anywhere() {
        for partitioners in [&[][..], &[(6, 0)], &[(4, 0b010)], &[(4, 0), (6, 0b010)]] {
            for n in 1..50 {
                assert_eq!(
                    seen(partitioners, 3).until(id(n), &crm()).millis(),
                    5,
                    "{partitioners:?}"
                );
            }
        }
        let stranger = ProcessorId::new("stranger").unwrap();
        assert_eq!(seen(&[(6, 0b010)], 3).until(id(1), &stranger).millis(), 5);
    }
}
