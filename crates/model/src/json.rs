//! Canonical JSON: keys in the order of the type, no spaces, numbers as RFC
//! 8785 writes them (the shortest text that reads back the same; `1`, not `1.0`).

use std::cell::RefCell;
use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;

/// Bytes that are kept for the next line of [`with_line`].
const LINE_KEPT_MAX: usize = 1 << 20;

/// One line without its newline.
///
/// # Panics
/// Where a map has keys that are no text, which no type of this crate has.
pub fn to_line<T: Serialize + ?Sized>(value: &T) -> String {
    let mut bytes = Vec::with_capacity(512);
    write(&mut bytes, value).expect("writing to memory cannot fail");
    String::from_utf8(bytes).expect("serde_json writes UTF-8")
}

/// Hands the line of [`to_line`] over without keeping it: facts are hashed by
/// the hundred thousand, and a text of its own for each costs more than to write it.
///
/// # Panics
/// Where `use_it` asks for another line.
pub fn with_line<T: Serialize + ?Sized, R>(value: &T, use_it: impl FnOnce(&str) -> R) -> R {
    thread_local! {
        static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    LINE.with_borrow_mut(|line| {
        line.clear();
        write(line, value).expect("writing to memory cannot fail");
        let result = use_it(std::str::from_utf8(line).expect("serde_json writes UTF-8"));
        line.shrink_to(LINE_KEPT_MAX);
        result
    })
}

/// Writes one value without a newline.
///
/// # Errors
/// Those of the writer.
pub fn write<T: Serialize + ?Sized>(writer: &mut impl io::Write, value: &T) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(writer, Canonical);
    value.serialize(&mut serializer).map_err(io::Error::from)
}

struct Canonical;

impl Formatter for Canonical {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(ryu_js::Buffer::new().format_finite(value).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::to_line;

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        assert_eq!(
            to_line(&[1.0, 0.1, -0.0, 1e21, 1e-7, 123_456.5]),
            "[1,0.1,0,1e+21,1e-7,123456.5]"
        );
        assert_eq!(to_line(&f64::NAN), "null");
    }
}
