//! The same table in every format has the same summaries.

use std::path::PathBuf;
use std::sync::Arc;

use ::parquet::column::writer::ColumnWriter;
use ::parquet::data_type::ByteArray;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use watchkeep_detection::baseline::content_hash;

use super::*;

const ROWS: usize = 500;

fn number(row: usize) -> Option<f64> {
    (!row.is_multiple_of(7)).then(|| (row * 37 % 101) as f64 / 8.0)
}

fn plan(row: usize) -> &'static str {
    ["basic", "plus", "pro, yearly"][row % 3]
}

fn csv_text() -> String {
    let mut text = "amount,plan\n".to_owned();
    for row in 0..ROWS {
        let number = number(row).map(|number| number.to_string()).unwrap_or_default();
        text += &format!("{number},\"{}\"\n", plan(row));
    }
    text
}

fn ndjson_text() -> String {
    let mut text = String::new();
    for row in 0..ROWS {
        let plan = plan(row);
        text += &match number(row) {
            Some(number) => format!("{{\"amount\":{number},\"plan\":\"{plan}\"}}\n"),
            None => format!("{{\"plan\":\"{plan}\"}}\n"),
        };
    }
    text
}

fn parquet_file(path: &Path) {
    let schema = "message t { optional double amount; required binary plan (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties =
        WriterProperties::builder().set_compression(::parquet::basic::Compression::SNAPPY).build();
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    while let Some(mut column) = group.next_column().unwrap() {
        match column.untyped() {
            ColumnWriter::DoubleColumnWriter(column) => {
                let levels: Vec<i16> =
                    (0..ROWS).map(|row| i16::from(number(row).is_some())).collect();
                let values: Vec<f64> = (0..ROWS).filter_map(number).collect();
                column.write_batch(&values, Some(&levels), None).unwrap();
            }
            ColumnWriter::ByteArrayColumnWriter(column) => {
                let values: Vec<ByteArray> = (0..ROWS).map(|row| plan(row).into()).collect();
                column.write_batch(&values, None, None).unwrap();
            }
            _ => unreachable!("the schema has no other column"),
        }
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

/// An Avro container file by hand (Avro 1.12, "Object Container Files"): only
/// the wire crate may use a library for it.
fn avro_file(path: &Path) {
    fn long(out: &mut Vec<u8>, n: i64) {
        let mut zigzag = ((n << 1) ^ (n >> 63)) as u64;
        while zigzag >= 0x80 {
            out.push(zigzag as u8 | 0x80);
            zigzag >>= 7;
        }
        out.push(zigzag as u8);
    }
    fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
        long(out, bytes.len() as i64);
        out.extend(bytes);
    }
    let schema = r#"{"type":"record","name":"t","fields":[
        {"name":"amount","type":["null","double"]},{"name":"plan","type":"string"}]}"#;
    let sync = [7; 16];
    let mut file = b"Obj\x01".to_vec();
    long(&mut file, 1);
    bytes(&mut file, b"avro.schema");
    bytes(&mut file, schema.as_bytes());
    long(&mut file, 0);
    file.extend(sync);
    let mut block = Vec::new();
    for row in 0..ROWS {
        match number(row) {
            None => long(&mut block, 0),
            Some(number) => {
                long(&mut block, 1);
                block.extend(number.to_le_bytes());
            }
        }
        bytes(&mut block, plan(row).as_bytes());
    }
    long(&mut file, ROWS as i64);
    bytes(&mut file, &block);
    file.extend(sync);
    std::fs::write(path, file).unwrap();
}

fn all_wanted() -> Wanted<'static> {
    Wanted { columns: Vec::new(), text: &[], delimiter: None }
}

fn hashes(path: &Path) -> Vec<(String, String)> {
    let set = read(path, &all_wanted()).unwrap();
    assert!(set.columns.values().all(|summary| summary.count == ROWS as u64));
    set.columns.iter().map(|(name, summary)| (name.clone(), content_hash(summary))).collect()
}

#[test]
fn every_format_gives_the_same_content() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    std::fs::write(place("t.csv"), csv_text()).unwrap();
    std::fs::write(place("t.tsv"), csv_text().replace(",\"", "\t\"").replacen(',', "\t", 1))
        .unwrap();
    std::fs::write(place("t.csv.zst"), zstd::encode_all(csv_text().as_bytes(), 1).unwrap())
        .unwrap();
    std::fs::write(place("t.ndjson"), ndjson_text()).unwrap();
    parquet_file(&place("t.parquet"));
    avro_file(&place("t.avro"));
    let expected = hashes(&place("t.csv"));
    assert_eq!(expected.len(), 2);
    for name in ["t.tsv", "t.csv.zst", "t.ndjson", "t.parquet", "t.avro"] {
        assert_eq!(hashes(&place(name)), expected, "{name}");
    }
}

fn error(name: &str, bytes: &[u8], columns: Vec<&str>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let failed = read(&path, &Wanted { columns, text: &[], delimiter: None });
    let text = format!("{:#}", failed.err().expect("it is refused"));
    text.replace(&folder.path().display().to_string(), "")
}

/// A Parquet file with two columns of one name, as data frames can be written.
fn twice_named() -> Vec<u8> {
    let schema = parse_message_type("message t { required int32 a; required int32 a; }");
    let mut file = Vec::new();
    let schema = Arc::new(schema.unwrap());
    SerializedFileWriter::new(&mut file, schema, Arc::default()).unwrap().close().unwrap();
    file
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let shown = [
        error("a.csv", b"a,b\n1,2\n3\n", vec![]),
        error("a.csv", b"a,a\n1,2\n", vec![]),
        error("a.csv", b"a,b\n", vec![]),
        error("a.csv", b"a,b\n1,2\n", vec!["c"]),
        error("a.csv", b"a,b\n1,\n", vec!["b"]),
        error("a.ndjson", b"{\"a\":1}\n[1]\n", vec![]),
        error("a.txt", b"a;b\n1;2\n", vec![]),
        error("a.ndjson", b"{\"a\":[1]}\n", vec!["a"]),
        error("a.ndjson", b"{\"a\":[1]}\n", vec![]),
        error("a.parquet", b"PAR1 and nothing more", vec![]),
        error("a.avro", b"Obj\x01 and nothing more", vec![]),
        error("empty.ndjson", b"", vec![]),
        error("a.csv", b"a;b\n1,5;2\n", vec![]),
        error("a.tsv", b"a,b\n1,2\n", vec![]),
        error("a.csv", b"a,b\n1,\"2,5\"\n2,\"3,0\"\n", vec![]),
        error("a.csv", b"a,b\n1,1\nNA,2\n2,3\n", vec![]),
        error("a.parquet", b"a,b\n1,2\n", vec![]),
        error("a.parquet", &twice_named(), vec![]),
    ];
    expect_test::expect![[r#"
        /a.csv: fix the line, or export the file anew: CSV error: record 2 (line: 3, byte: 8): found record with 1 fields, but the previous record has 2 fields
        /a.csv: line 1: two columns are called `a`: rename one of them
        /a.csv: there is no row in it
        /a.csv: there is no column `c`
        /a.csv: column `b`: it has no value
        /a.ndjson:2: no object: a key for each column is needed
        /a.txt:1: no JSON (expected value at line 1 column 1); a text file of another kind is told by its suffix, .csv or .tsv
        /a.ndjson: column `a`: row 1 holds a list; a feature's value is a number, a boolean or a string
        /a.ndjson: no column of it holds numbers, booleans or strings
        /a.parquet: no Parquet file that can be read; snappy, zstd and gzip are unpacked: Parquet error: Invalid Parquet file. Corrupt footer
        /a.avro: malformed: no Avro container file: Cannot convert i64 to usize: -49
        /empty.ndjson: there is no row in it
        /a.csv: line 1: the names `a;b` seem to be parted by a semicolon, which the suffix does not tell: add --delimiter ';'
        /a.tsv: line 1: the names `a,b` seem to be parted by a comma, which the suffix does not tell: add --delimiter ','
        /a.csv: column `b`: every cell is a number with a decimal comma, which would be text: export it with a point, or say that it is text with --text b
        /a.csv: column `a`: its cells are numbers but for 1 such as `NA`, which would make them text: leave cells without a value empty, or say that it is text with --text a
        /a.parquet: no Parquet file: it does not begin with PAR1
        /a.parquet: two columns are called `a`: rename one of them"#]].assert_eq(&shown.join("\n"));
}

#[test]
fn a_delimiter_that_is_given_holds_for_any_text_file() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["t.csv", "t.txt"] {
        let path = folder.path().join(name);
        std::fs::write(&path, "a;b\n1;x,y\n2;z\n").unwrap();
        let wanted = Wanted { columns: Vec::new(), text: &[], delimiter: Some(b';') };
        let set = read(&path, &wanted).unwrap();
        assert_eq!(set.columns["a"].numbers.count(), 2, "{name}");
        assert_eq!(set.columns["b"].categories.total(), 2, "{name}");
    }
}

#[test]
fn columns_of_text_files_are_numbers_where_every_cell_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    // Column `e` could be numbers with a mark for none, but is said to be text; the
    // one without a name is an index.
    let rows = "a,b,c,d,e,\n1,1,01,True,NA,0\n,x,02,FALSE,1,1\n2.5e3,2,,true,2,2\n";
    std::fs::write(&path, rows).unwrap();
    let text = ["c".to_owned(), "e".to_owned()];
    let set = read(&path, &Wanted { columns: Vec::new(), text: &text, delimiter: None }).unwrap();
    let counts = |name: &str| {
        let summary = &set.columns[name];
        (summary.numbers.count(), summary.categories.total(), summary.null_count)
    };
    assert_eq!(["a", "b", "c", "d"].map(counts), [(2, 0, 1), (0, 3, 0), (0, 2, 1), (0, 3, 0)]);
    assert_eq!(set.columns["d"].categories.distinct(), 2);
    assert_eq!(counts("e"), (0, 3, 0));
    assert_eq!(
        set.left_out.into_iter().collect::<Vec<_>>(),
        [("".into(), "it has no name".into())]
    );
}
