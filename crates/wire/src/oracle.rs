//! `apache-avro` as the oracle of tests: records without framing.

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;

/// Reads one record; panics where the oracle cannot or where bytes are left.
pub(crate) fn read(schema: &Schema, mut bytes: &[u8]) -> Value {
    let reader = GenericDatumReader::builder(schema).build().expect("the schema is whole");
    let value = reader.read_value(&mut bytes).expect("the oracle reads the record");
    assert!(bytes.is_empty(), "{} bytes are left", bytes.len());
    value
}

/// Writes one record.
pub(crate) fn write(schema: &Schema, value: Value) -> Vec<u8> {
    let writer = GenericDatumWriter::builder(schema).build().expect("the schema is whole");
    writer.write_value_to_vec(value).expect("the oracle writes the record")
}
