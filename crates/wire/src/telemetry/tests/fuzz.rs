//! Random bytes and mutated records: whatever comes, an answer and no panic.
//!
//! Runs on stable Rust, because the mutations are seeded here. Compile with
//! `WATCHKEEP_FUZZ_RECORDS` set to a number for a longer run.

use watchkeep_model::telemetry::Telemetry;

use crate::avro::writer;
use crate::framing::{self, AvroFraming};
use crate::schema_set::SchemaSet;
use crate::schemas;
use crate::telemetry::{Decoder, RECORD_BYTES_MAX, encode};

/// Records of a short run: a second or two without optimisation.
const RECORDS: u64 = 200_000;

/// xorshift64*, Vigna 2016.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n.max(1)
    }
}

/// Pieces that find the corners of the grammars.
const PIECES: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"\"",
    b"\\u",
    b"\\ud800",
    b":",
    b",",
    b"null",
    b"-",
    b"1e999",
    b"NaN",
    b"\"feature\":",
    b"\"features\":{",
    b"\"event_time\":",
    b"\"value\":",
    b"\0",
    b"\xC3\x01",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x01",
    b"\x80",
    b"\xff",
    b"\xed\xa0\x80",
    b" ",
];

fn seeds() -> Vec<Vec<u8>> {
    let full = br#"{"feature":"checkout.amount","event_time":"2013-04-01T02:00:00.25+02:00","event_id":"e-1","feature_version":"3","value":12.5,"materialised_at":1364774400000000,"latency_us":900,"status":"stale","entity":"u","tags":{"a":"b\u00e9"}}"#;
    let batch =
        br#"{"features":{"a":1,"b":null,"c":"x\ud83d\ude00"},"event_time":0,"latency_us":5}"#;
    let mut seeds = vec![full.to_vec(), batch.to_vec()];
    let mut events = Vec::new();
    Decoder::new(SchemaSet::new()).decode(full, None, &mut events).unwrap();
    for framing in [AvroFraming::SingleObject, AvroFraming::Confluent(1)] {
        let mut avro = Vec::new();
        encode::to_avro(&events[0], framing, &mut avro);
        seeds.push(avro);
    }
    let mut avro = Vec::new();
    framing::write(
        &mut avro,
        AvroFraming::SingleObject,
        schemas::named("telemetry-batch").fingerprint,
    );
    writer::long(&mut avro, 2);
    for name in ["a", "b"] {
        writer::string(&mut avro, name);
        writer::long(&mut avro, 0);
    }
    avro.extend([0; 12]);
    seeds.push(avro);
    seeds
}

fn mutate(record: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(record.len() + 1);
        match random.below(6) {
            0 if at < record.len() => record[at] = random.next() as u8,
            1 if at < record.len() => record[at] ^= 1 << random.below(8),
            2 => record.truncate(at),
            3 if at < record.len() => drop(record.remove(at)),
            4 => {
                let piece = PIECES[random.below(PIECES.len())];
                record.splice(at..at, piece.iter().copied());
            }
            _ => {
                let end = (at + random.below(20)).min(record.len());
                let copied = record[at..end].to_vec();
                record.splice(at..at, copied);
            }
        }
    }
}

#[test]
fn whatever_comes_there_is_an_answer() {
    let wanted = option_env!("WATCHKEEP_FUZZ_RECORDS").and_then(|number| number.parse().ok());
    let records: u64 = wanted.unwrap_or(RECORDS);
    let mut schemas = SchemaSet::new();
    schemas.insert(1, schemas::named("telemetry").text).unwrap();
    let mut decoder = Decoder::new(schemas);
    let mut random = Random(0x57A7_C43E_E900_0005);
    let seeds = seeds();
    let mut read = 0;
    for number in 0..records {
        let mut record = seeds[random.below(seeds.len())].clone();
        if number % 16 == 0 {
            record = (0..random.below(80)).map(|_| random.next() as u8).collect();
        } else {
            mutate(&mut record, &mut random);
        }
        let mut out: Vec<Telemetry<'_>> = Vec::new();
        match decoder.decode(&record, None, &mut out) {
            Ok(()) => {
                assert!(!out.is_empty() && record.len() <= RECORD_BYTES_MAX);
                assert!(
                    out.iter()
                        .all(|event| event.event_time.is_writable() && !event.feature.is_empty())
                );
                read += 1;
            }
            Err(malformed) => assert!(out.is_empty() && !malformed.detail.is_empty()),
        }
        let mut out: Vec<Telemetry<'_>> = Vec::new();
        let _ = decoder.decode_line(&record, &mut out);
    }
    assert!(read > 0, "the mutations are too wild to test anything");
}
