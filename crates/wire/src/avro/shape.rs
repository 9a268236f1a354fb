//! A schema flattened for reading: nodes in a vector, names resolved.

use std::collections::BTreeMap;

use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, Name, NamespaceRef, UuidSchema};

/// Number of a node in its [`Shape`].
pub type NodeId = u32;

/// A schema ready for reading.
#[derive(Clone, Debug)]
pub struct Shape {
    nodes: Vec<Node>,
    least: Vec<usize>,
    root: NodeId,
}

/// One type of a schema. Logical types other than instants are their underlying type.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// null
    Null,
    /// boolean
    Boolean,
    /// int
    Int,
    /// long, with what it counts
    Long(Unit),
    /// float
    Float,
    /// double
    Double,
    /// bytes
    Bytes,
    /// string
    String,
    /// fixed of a size
    Fixed(usize),
    /// enum of symbols
    Enum(Vec<String>),
    /// union of branches
    Union(Vec<NodeId>),
    /// array of items
    Array(NodeId),
    /// map of items
    Map(NodeId),
    /// record
    Record(Record),
}

/// What a long counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Anything.
    Plain,
    /// Milliseconds since the epoch.
    TimestampMillis,
    /// Microseconds since the epoch.
    TimestampMicros,
    /// Nanoseconds since the epoch.
    TimestampNanos,
}

/// The fields of a record in the order of the bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The record's name without its namespace.
    pub name: String,
    /// In order.
    pub fields: Vec<Field>,
    /// Attribute `tuple`: as JSON it is an array of its fields' values.
    pub is_tuple: bool,
}

/// One field.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Name.
    pub name: String,
    /// Other names.
    pub aliases: Vec<String>,
    /// Type.
    pub node: NodeId,
    /// What stands for it where a value does not have it.
    pub default: Option<serde_json::Value>,
    /// Attribute `json`: the string is the text of a JSON value of any form.
    pub is_json: bool,
    /// Attribute `rest`: the text of a JSON object of all keys without a field.
    pub is_rest: bool,
}

impl Node {
    /// The name that people know the type by.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long(_) => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
            Self::Fixed(_) => "fixed",
            Self::Enum(_) => "enum",
            Self::Union(_) => "union",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Record(_) => "record",
        }
    }
}

impl Shape {
    /// Flattens a schema.
    pub fn of(schema: &Schema) -> Self {
        let mut builder = Builder { nodes: Vec::new(), names: BTreeMap::new() };
        let root = builder.add(schema, None);
        let nodes = builder.nodes;
        let least = (0..nodes.len()).map(|id| least_of(&nodes, id, 0)).collect();
        Self { nodes, least, root }
    }

    /// The type of the whole record.
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// A node.
    #[inline]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    /// The fewest bytes that a value of the type takes.
    pub fn least_bytes(&self, id: NodeId) -> usize {
        self.least[id as usize]
    }
}

/// Records nested in records without a union or list between; deeper ones
/// count as empty, which only weakens an early check.
const NESTED_RECORDS_MAX: u32 = 16;

fn least_of(nodes: &[Node], id: usize, depth: u32) -> usize {
    match &nodes[id] {
        Node::Null => 0,
        Node::Float => 4,
        Node::Double => 8,
        Node::Fixed(size) => *size,
        Node::Record(_) if depth >= NESTED_RECORDS_MAX => 0,
        // Saturating at a byte more than a record may have would do; the sum
        // of a schema's fields cannot overflow unless fixed sizes are absurd.
        Node::Record(record) => record.fields.iter().fold(0usize, |sum, field| {
            sum.saturating_add(least_of(nodes, field.node as usize, depth + 1))
        }),
        _ => 1,
    }
}

fn is_set(attributes: &BTreeMap<String, serde_json::Value>, name: &str) -> bool {
    attributes.get(name) == Some(&serde_json::Value::Bool(true))
}

struct Builder {
    nodes: Vec<Node>,
    names: BTreeMap<String, NodeId>,
}

impl Builder {
    fn push(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId::try_from(self.nodes.len() - 1).expect("a schema has fewer than 2^32 types")
    }

    /// A slot for a named type, known before its parts so that they can refer to it.
    fn reserve(&mut self, name: &Name, enclosing: NamespaceRef<'_>) -> NodeId {
        let id = self.push(Node::Null);
        self.names.insert(name.fullname(enclosing), id);
        id
    }

    fn add(&mut self, schema: &Schema, enclosing: NamespaceRef<'_>) -> NodeId {
        let node = match schema {
            Schema::Null => Node::Null,
            Schema::Boolean => Node::Boolean,
            Schema::Int | Schema::Date | Schema::TimeMillis => Node::Int,
            Schema::Long
            | Schema::TimeMicros
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => Node::Long(Unit::Plain),
            Schema::TimestampMillis => Node::Long(Unit::TimestampMillis),
            Schema::TimestampMicros => Node::Long(Unit::TimestampMicros),
            Schema::TimestampNanos => Node::Long(Unit::TimestampNanos),
            Schema::Float => Node::Float,
            Schema::Double => Node::Double,
            Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => Node::Bytes,
            Schema::String | Schema::Uuid(UuidSchema::String) => Node::String,
            Schema::Fixed(fixed)
            | Schema::Duration(fixed)
            | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
                return self.named(&fixed.name, enclosing, |_, _| Node::Fixed(fixed.size));
            }
            Schema::Decimal(decimal) => match &decimal.inner {
                InnerDecimalSchema::Bytes => Node::Bytes,
                InnerDecimalSchema::Fixed(fixed) => {
                    return self.named(&fixed.name, enclosing, |_, _| Node::Fixed(fixed.size));
                }
            },
            Schema::Enum(symbols) => {
                return self
                    .named(&symbols.name, enclosing, |_, _| Node::Enum(symbols.symbols.clone()));
            }
            Schema::Array(array) => Node::Array(self.add(&array.items, enclosing)),
            Schema::Map(map) => Node::Map(self.add(&map.types, enclosing)),
            Schema::Union(union) => Node::Union(
                union.variants().iter().map(|branch| self.add(branch, enclosing)).collect(),
            ),
            Schema::Record(record) => {
                return self.named(&record.name, enclosing, |builder, inner| {
                    let fields = record.fields.iter().map(|field| Field {
                        name: field.name.clone(),
                        aliases: field.aliases.clone(),
                        node: builder.add(&field.schema, inner),
                        default: field.default.clone(),
                        is_json: is_set(&field.custom_attributes, "json"),
                        is_rest: is_set(&field.custom_attributes, "rest"),
                    });
                    Node::Record(Record {
                        name: record.name.name().to_owned(),
                        fields: fields.collect(),
                        is_tuple: is_set(&record.attributes, "tuple"),
                    })
                });
            }
            // A name that the parser let pass without a definition cannot be
            // read; a fixed of the largest size refuses every record.
            Schema::Ref { name } => match self.names.get(&name.fullname(enclosing)) {
                Some(id) => return *id,
                None => Node::Fixed(usize::MAX),
            },
        };
        self.push(node)
    }

    fn named(
        &mut self,
        name: &Name,
        enclosing: NamespaceRef<'_>,
        build: impl FnOnce(&mut Self, NamespaceRef<'_>) -> Node,
    ) -> NodeId {
        let id = self.reserve(name, enclosing);
        let inner = name.namespace().or(enclosing);
        let node = build(self, inner);
        self.nodes[id as usize] = node;
        id
    }
}
