//! Reads Avro from a slice. Lengths and counts are claims: each is checked
//! against the bytes that are there before anything is done with it, so no
//! claim makes the reader allocate, wait or panic.
//!
//! The small functions are inlined always: each field of each record goes
//! through several of them, and inlined the position stays in a register.

#![expect(clippy::inline_always, reason = "see above: half of the time of a record")]

use std::fmt;

use crate::avro::shape::{Node, NodeId, Shape};

/// Nested records, arrays, maps and unions. Deeper input is refused, so that a
/// recursive schema cannot exhaust the stack.
pub const DEPTH_MAX: u32 = 64;

/// A position in the bytes of one record.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// What is wrong and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Byte of the record at which the faulty item begins.
    pub at: usize,
    /// What is wrong.
    pub kind: FaultKind,
}

/// What can be wrong with Avro bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The bytes end inside an item.
    Truncated,
    /// A number takes more than its 32 or 64 bits.
    Overlong,
    /// A boolean is neither 0 nor 1.
    Boolean(u8),
    /// A length is negative.
    NegativeLength(i64),
    /// A length is larger than what is left.
    LengthBeyondEnd(i64),
    /// A block count is larger than what is left could hold.
    CountBeyondEnd(i64),
    /// A block does not end where its size says.
    BlockSize,
    /// A union has no such branch.
    UnionIndex(i64),
    /// An enum has no such symbol.
    EnumIndex(i64),
    /// A string is not UTF-8.
    Utf8,
    /// More than [`DEPTH_MAX`] levels.
    TooDeep,
    /// Bytes follow the record.
    Trailing(usize),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: ", self.at)?;
        match self.kind {
            FaultKind::Truncated => f.write_str("the record ends in the middle of an item"),
            FaultKind::Overlong => f.write_str("a number is longer than its type allows"),
            FaultKind::Boolean(byte) => write!(f, "a boolean is {byte}, neither 0 nor 1"),
            FaultKind::NegativeLength(n) => write!(f, "a length is {n}"),
            FaultKind::LengthBeyondEnd(n) => {
                write!(f, "a length of {n} reaches beyond the record's end")
            }
            FaultKind::CountBeyondEnd(n) => {
                write!(f, "a block of {n} items cannot fit into the rest of the record")
            }
            FaultKind::BlockSize => f.write_str("a block does not end where its size says"),
            FaultKind::UnionIndex(n) => write!(f, "the union has no branch {n}"),
            FaultKind::EnumIndex(n) => write!(f, "the enum has no symbol {n}"),
            FaultKind::Utf8 => f.write_str("a string is not UTF-8"),
            FaultKind::TooDeep => write!(f, "nested deeper than {DEPTH_MAX} levels"),
            FaultKind::Trailing(n) => write!(f, "{n} bytes follow the record"),
        }
    }
}

/// Boxed, because faults are rare and a small result is returned in registers.
pub type Read<T> = Result<T, Box<Fault>>;

impl Fault {
    /// A fault, for returning.
    #[cold]
    pub fn boxed(at: usize, kind: FaultKind) -> Box<Self> {
        Box::new(Self { at, kind })
    }
}

impl<'a> Cursor<'a> {
    /// Reads `bytes` from `at` on.
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at: at.min(bytes.len()) }
    }

    /// The next byte's number.
    pub fn position(&self) -> usize {
        self.at
    }

    #[inline(always)]
    fn fault<T>(&self, kind: FaultKind) -> Read<T> {
        Err(Fault::boxed(self.at, kind))
    }

    #[inline(always)]
    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Ends the record.
    ///
    /// # Errors
    /// Bytes are left.
    pub fn end(&self) -> Read<()> {
        if self.left() == 0 { Ok(()) } else { self.fault(FaultKind::Trailing(self.left())) }
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// Fewer are left.
    #[inline(always)]
    pub fn take(&mut self, n: usize) -> Read<&'a [u8]> {
        match self.bytes.get(self.at..).and_then(|rest| rest.get(..n)) {
            Some(taken) => {
                self.at += n;
                Ok(taken)
            }
            None => self.fault(FaultKind::Truncated),
        }
    }

    /// A long: zigzag, seven bits a byte.
    ///
    /// # Errors
    /// Truncated or longer than 64 bits.
    #[inline(always)]
    pub fn long(&mut self) -> Read<i64> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(unzigzag(u64::from(byte)))
            }
            _ => {
                // The position goes in and out by value: a cursor whose address
                // no call takes lives in registers.
                let (value, at) = long_of_many_bytes(self.bytes, self.at)?;
                self.at = at;
                Ok(value)
            }
        }
    }

    /// An int.
    ///
    /// # Errors
    /// Truncated or beyond 32 bits.
    #[inline(always)]
    pub fn int(&mut self) -> Read<i32> {
        let at = self.at;
        i32::try_from(self.long()?).map_err(|_| Fault::boxed(at, FaultKind::Overlong))
    }

    /// A boolean.
    ///
    /// # Errors
    /// Truncated, or neither 0 nor 1.
    #[inline(always)]
    pub fn boolean(&mut self) -> Read<bool> {
        let at = self.at;
        match self.take(1)?[0] {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Fault::boxed(at, FaultKind::Boolean(other))),
        }
    }

    /// A float.
    ///
    /// # Errors
    /// Truncated.
    #[inline(always)]
    pub fn float(&mut self) -> Read<f32> {
        let bytes = self.take(4)?;
        Ok(f32::from_le_bytes(bytes.try_into().expect("four bytes were taken")))
    }

    /// A double.
    ///
    /// # Errors
    /// Truncated.
    #[inline(always)]
    pub fn double(&mut self) -> Read<f64> {
        let bytes = self.take(8)?;
        Ok(f64::from_le_bytes(bytes.try_into().expect("eight bytes were taken")))
    }

    /// Bytes or the bytes of a string.
    ///
    /// # Errors
    /// A negative length or one beyond the end.
    #[inline(always)]
    pub fn bytes(&mut self) -> Read<&'a [u8]> {
        let at = self.at;
        let length = self.long()?;
        let Ok(n) = usize::try_from(length) else {
            return Err(Fault::boxed(at, FaultKind::NegativeLength(length)));
        };
        if n > self.left() {
            return Err(Fault::boxed(at, FaultKind::LengthBeyondEnd(length)));
        }
        self.take(n)
    }

    /// A string.
    ///
    /// # Errors
    /// As [`Cursor::bytes`], or not UTF-8.
    #[inline(always)]
    pub fn string(&mut self) -> Read<&'a str> {
        let at = self.at;
        std::str::from_utf8(self.bytes()?).map_err(|_| Fault::boxed(at, FaultKind::Utf8))
    }

    /// The branch of a union of `branches`.
    ///
    /// # Errors
    /// There is no such branch.
    #[inline(always)]
    pub fn branch(&mut self, branches: &[NodeId]) -> Read<NodeId> {
        let at = self.at;
        let index = self.long()?;
        usize::try_from(index)
            .ok()
            .and_then(|i| branches.get(i).copied())
            .ok_or_else(|| Fault::boxed(at, FaultKind::UnionIndex(index)))
    }

    /// The index of an enum of `symbols` symbols.
    ///
    /// # Errors
    /// There is no such symbol.
    #[inline(always)]
    pub fn symbol(&mut self, symbols: usize) -> Read<usize> {
        let at = self.at;
        let index = self.long()?;
        usize::try_from(index)
            .ok()
            .filter(|i| *i < symbols)
            .ok_or_else(|| Fault::boxed(at, FaultKind::EnumIndex(index)))
    }

    /// The head of a block of an array or map; a count of 0 ends it. `least`
    /// is the smallest number of bytes of one item, at least 1 for the check to bite.
    ///
    /// # Errors
    /// The count or the size cannot be true.
    pub fn block(&mut self, least: usize) -> Read<Block> {
        let at = self.at;
        let claimed = self.long()?;
        let mut end = None;
        if claimed < 0 {
            let size_at = self.at;
            let size = self.long()?;
            match usize::try_from(size) {
                Err(_) => return Err(Fault::boxed(size_at, FaultKind::NegativeLength(size))),
                Ok(n) if n > self.left() => {
                    return Err(Fault::boxed(size_at, FaultKind::LengthBeyondEnd(size)));
                }
                Ok(n) => end = Some(self.at + n),
            }
        }
        let count = claimed.unsigned_abs();
        let room = (self.left() / least.max(1)) as u64;
        if least > 0 && count > room {
            return Err(Fault::boxed(at, FaultKind::CountBeyondEnd(claimed)));
        }
        Ok(Block { count, end })
    }

    /// Checks that a block that told its size ended there.
    ///
    /// # Errors
    /// It did not.
    pub fn end_block(&self, block: Block) -> Read<()> {
        match block.end {
            Some(end) if end != self.at => self.fault(FaultKind::BlockSize),
            _ => Ok(()),
        }
    }

    /// Passes over one value.
    ///
    /// # Errors
    /// The bytes are no such value.
    #[inline(always)]
    pub fn skip(&mut self, shape: &Shape, id: NodeId, depth: u32) -> Read<()> {
        // Most of what is passed over is an optional string.
        if let Node::Union(branches) = shape.node(id) {
            let branch = self.branch(branches)?;
            return match shape.node(branch) {
                Node::Null => Ok(()),
                Node::String => self.bytes().map(drop),
                _ => self.skip_aside(shape, branch, depth + 1),
            };
        }
        self.skip_aside(shape, id, depth)
    }

    /// With a cursor of its own, so that this one may stay in registers.
    fn skip_aside(&mut self, shape: &Shape, id: NodeId, depth: u32) -> Read<()> {
        let mut aside = self.clone();
        aside.skip_any(shape, id, depth)?;
        self.at = aside.at;
        Ok(())
    }

    #[inline(never)]
    fn skip_any(&mut self, shape: &Shape, id: NodeId, depth: u32) -> Read<()> {
        if depth >= DEPTH_MAX {
            return self.fault(FaultKind::TooDeep);
        }
        match shape.node(id) {
            Node::Null => {}
            Node::Boolean => {
                self.boolean()?;
            }
            Node::Int => {
                self.int()?;
            }
            Node::Long(_) => {
                self.long()?;
            }
            Node::Float => {
                self.take(4)?;
            }
            Node::Double => {
                self.take(8)?;
            }
            Node::Bytes | Node::String => {
                self.bytes()?;
            }
            Node::Fixed(size) => {
                self.take(*size)?;
            }
            Node::Enum(symbols) => {
                self.symbol(symbols.len())?;
            }
            Node::Union(branches) => {
                let branch = self.branch(branches)?;
                self.skip(shape, branch, depth + 1)?;
            }
            Node::Array(item) => self.skip_blocks(shape, *item, false, depth + 1)?,
            Node::Map(item) => self.skip_blocks(shape, *item, true, depth + 1)?,
            Node::Record(record) => {
                for field in &record.fields {
                    self.skip(shape, field.node, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    fn skip_blocks(&mut self, shape: &Shape, item: NodeId, keyed: bool, depth: u32) -> Read<()> {
        let least = shape.least_bytes(item) + usize::from(keyed);
        loop {
            let block = self.block(least)?;
            if block.count == 0 {
                return self.end_block(block);
            }
            if let Some(end) = block.end {
                self.at = end;
                continue;
            }
            // Items of no bytes: any number of them is nothing to read.
            if least == 0 {
                continue;
            }
            for _ in 0..block.count {
                if keyed {
                    self.bytes()?;
                }
                self.skip(shape, item, depth)?;
            }
        }
    }
}

/// The head of a block.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Items; 0 ends the array or map.
    pub count: u64,
    /// Where the block ends, if it says.
    pub end: Option<usize>,
}

fn long_of_many_bytes(bytes: &[u8], at: usize) -> Read<(i64, usize)> {
    let rest = &bytes[at..];
    let mut raw = 0u64;
    for (i, &byte) in rest.iter().take(10).enumerate() {
        // The tenth byte carries the 64th bit alone.
        if i == 9 && byte > 1 {
            return Err(Fault::boxed(at, FaultKind::Overlong));
        }
        raw |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Ok((unzigzag(raw), at + i + 1));
        }
    }
    let kind = if rest.len() >= 10 { FaultKind::Overlong } else { FaultKind::Truncated };
    Err(Fault::boxed(at, kind))
}

const fn unzigzag(raw: u64) -> i64 {
    (raw >> 1).cast_signed() ^ -((raw & 1).cast_signed())
}
