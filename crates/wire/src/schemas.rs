//! The schemas of every topic, compiled into the binary.

use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::rabin::Rabin;

use crate::avro::shape::Shape;

/// A schema that this version reads and writes.
#[derive(Debug)]
pub struct Embedded {
    /// The file's name in `schemas/` without `.avsc`.
    pub name: &'static str,
    /// The file's text.
    pub text: &'static str,
    /// CRC-64-AVRO of the parsing canonical form.
    pub fingerprint: u64,
    /// For reading and writing.
    pub(crate) shape: Shape,
}

macro_rules! sources {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../schemas/", $name, ".avsc")))),*]
    };
}

static EMBEDDED: LazyLock<Vec<Embedded>> = LazyLock::new(|| {
    let sources = sources!["telemetry", "telemetry-batch"];
    let embed = |(name, text)| {
        let schema = Schema::parse_str(text).expect("embedded schemas are checked by tests");
        Embedded { name, text, fingerprint: fingerprint(&schema), shape: Shape::of(&schema) }
    };
    sources.into_iter().map(embed).collect()
});

/// Every embedded schema, in the order of the flow.
pub fn all() -> &'static [Embedded] {
    &EMBEDDED
}

/// The schema of a name.
///
/// # Panics
/// There is none; names are constants of this crate.
pub fn named(name: &str) -> &'static Embedded {
    all()
        .iter()
        .find(|schema| schema.name == name)
        .expect("the name is one of the embedded schemas")
}

/// The CRC-64-AVRO fingerprint of a schema's parsing canonical form.
pub fn fingerprint(schema: &Schema) -> u64 {
    let digest = schema.fingerprint::<Rabin>();
    let bytes = digest.bytes.first_chunk::<8>().expect("the fingerprint has 64 bits");
    u64::from_le_bytes(*bytes)
}
