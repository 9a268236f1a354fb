//! A writer's schema compiled to the steps that read telemetry from it.

#![expect(clippy::inline_always, reason = "as in the cursor")]

use std::borrow::Cow;

use watchkeep_model::telemetry::{Status, Value};
use watchkeep_model::time::Timestamp;

use crate::avro::cursor::{Cursor, Fault, Read};
use crate::avro::shape::{Field, Node, NodeId, Shape, Unit};
use crate::telemetry::draft::{Draft, FEATURES_MAX, bad_instant, bad_status};
use crate::{Malformed, shown};

/// Steps for the records of one writer's schema.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    shape: Shape,
    /// One for each field of the record, or why the schema carries no telemetry.
    steps: Result<Vec<Step>, String>,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    node: NodeId,
    /// `None` passes over the field.
    target: Option<Target>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Feature,
    Features,
    EventTime,
    EventId,
    FeatureVersion,
    Value,
    MaterialisedAt,
    LatencyUs,
    Status,
}

impl Target {
    const ALL: [Self; 9] = [
        Self::Feature,
        Self::Features,
        Self::EventTime,
        Self::EventId,
        Self::FeatureVersion,
        Self::Value,
        Self::MaterialisedAt,
        Self::LatencyUs,
        Self::Status,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Feature => "feature",
            Self::Features => "features",
            Self::EventTime => "event_time",
            Self::EventId => "event_id",
            Self::FeatureVersion => "feature_version",
            Self::Value => "value",
            Self::MaterialisedAt => "materialised_at",
            Self::LatencyUs => "latency_us",
            Self::Status => "status",
        }
    }
}

/// Why a field could not be read: bytes that are no Avro, or a value that is
/// no telemetry. Boxed to keep the good path small.
enum Refused {
    Bytes(Box<Fault>),
    Value(Box<Malformed>),
}

impl From<Box<Fault>> for Refused {
    fn from(fault: Box<Fault>) -> Self {
        Self::Bytes(fault)
    }
}

impl From<Malformed> for Refused {
    #[cold]
    fn from(malformed: Malformed) -> Self {
        Self::Value(Box::new(malformed))
    }
}

impl Refused {
    /// `field` is the one at which the reader stopped; none at the record's end.
    #[cold]
    fn explain(self, field: Option<&str>) -> Malformed {
        match self {
            Self::Value(malformed) => *malformed,
            Self::Bytes(fault) => {
                let field = field.map_or(String::new(), |field| format!("{} ", shown(field)));
                Malformed::unreadable(format!(
                    "broken Avro: {field}{fault}; write the whole record by the schema that its first bytes name"
                ))
            }
        }
    }
}

impl Plan {
    pub(crate) fn of(shape: Shape) -> Self {
        let steps = steps_of(&shape);
        Self { shape, steps }
    }

    /// Reads the record that begins at byte `start` into an empty draft.
    pub(crate) fn read<'a>(
        &self,
        bytes: &'a [u8],
        start: usize,
        draft: &mut Draft<'a>,
    ) -> Result<(), Malformed> {
        let steps = match &self.steps {
            Ok(steps) => steps,
            Err(why) => {
                return Err(Malformed::invalid(format!(
                    "the writer's schema carries no telemetry: {why}"
                )));
            }
        };
        let mut cursor = Cursor::new(bytes, start);
        for (number, step) in steps.iter().enumerate() {
            let read = match step.target {
                None => cursor.skip(&self.shape, step.node, 0).map_err(Refused::Bytes),
                Some(target) => self.take(&mut cursor, step.node, target, draft),
            };
            if let Err(refused) = read {
                return Err(refused.explain(self.field_name(number)));
            }
        }
        cursor.end().map_err(|fault| Refused::Bytes(fault).explain(None))
    }

    /// The name that the writer's schema gives a field.
    #[cold]
    fn field_name(&self, number: usize) -> Option<&str> {
        match self.shape.node(self.shape.root()) {
            Node::Record(record) => record.fields.get(number).map(|field| field.name.as_str()),
            _ => None,
        }
    }

    #[inline(always)]
    fn take<'a>(
        &self,
        cursor: &mut Cursor<'a>,
        node: NodeId,
        target: Target,
        draft: &mut Draft<'a>,
    ) -> Result<(), Refused> {
        match target {
            Target::Feature => draft.feature = self.text(cursor, node, target)?.map(Cow::Borrowed),
            Target::EventId => draft.event_id = self.text(cursor, node, target)?.map(Cow::Borrowed),
            Target::FeatureVersion => {
                draft.feature_version = self.text(cursor, node, target)?.map(Cow::Borrowed);
            }
            Target::Value => {
                draft.value = Some(self.value(cursor, node, target.name())?);
            }
            Target::EventTime => draft.event_time = self.instant(cursor, node, target)?,
            Target::MaterialisedAt => draft.materialised_at = self.instant(cursor, node, target)?,
            Target::LatencyUs => draft.latency_us = self.latency(cursor, node)?,
            Target::Status => draft.status = self.status(cursor, node)?,
            Target::Features => {
                let mut aside = cursor.clone();
                self.features(&mut aside, node, draft)?;
                *cursor = aside;
            }
        }
        Ok(())
    }

    /// The type that the value really has, past unions.
    #[inline(always)]
    fn resolve(&self, cursor: &mut Cursor<'_>, id: NodeId) -> Read<&Node> {
        match self.shape.node(id) {
            // A union holds no union, so one step is enough.
            Node::Union(branches) => {
                let branch = cursor.branch(branches)?;
                Ok(self.shape.node(branch))
            }
            node => Ok(node),
        }
    }

    #[inline(always)]
    fn text<'a>(
        &self,
        cursor: &mut Cursor<'a>,
        id: NodeId,
        target: Target,
    ) -> Result<Option<&'a str>, Refused> {
        match self.resolve(cursor, id)? {
            Node::String => Ok(Some(cursor.string()?)),
            Node::Null => Ok(None),
            other => Err(wrong_type(target, other, "a string").into()),
        }
    }

    #[inline(always)]
    fn instant(
        &self,
        cursor: &mut Cursor<'_>,
        id: NodeId,
        target: Target,
    ) -> Result<Option<Timestamp>, Refused> {
        let node = self.resolve(cursor, id)?;
        let micros = match node {
            Node::Null => return Ok(None),
            Node::Long(unit) => {
                let number = cursor.long()?;
                match unit {
                    Unit::Plain | Unit::TimestampMicros => Some(number),
                    Unit::TimestampMillis => number.checked_mul(1000),
                    Unit::TimestampNanos => Some(number.div_euclid(1000)),
                }
            }
            Node::String => {
                let text = cursor.string()?;
                let at = text
                    .parse::<Timestamp>()
                    .map_err(|error| Malformed::invalid(format!("`{}`: {error}", target.name())))?;
                Some(at.as_micros())
            }
            other => {
                return Err(
                    wrong_type(target, other, "a long of logical type timestamp-micros").into()
                );
            }
        };
        match micros.map(Timestamp::from_micros) {
            Some(at) if at.is_writable() => Ok(Some(at)),
            _ => Err(bad_instant(target.name(), None).into()),
        }
    }

    #[inline(always)]
    fn latency(&self, cursor: &mut Cursor<'_>, id: NodeId) -> Result<Option<u64>, Refused> {
        let number = match self.resolve(cursor, id)? {
            Node::Null => return Ok(None),
            Node::Long(_) => cursor.long()?,
            Node::Int => i64::from(cursor.int()?),
            other => return Err(wrong_type(Target::LatencyUs, other, "a long").into()),
        };
        match u64::try_from(number) {
            Ok(latency_us) => Ok(Some(latency_us)),
            Err(_) => Err(Malformed::invalid(format!(
                "`latency_us` is {number}: write whole microseconds, 0 or more"
            ))
            .into()),
        }
    }

    #[inline(always)]
    fn status(&self, cursor: &mut Cursor<'_>, id: NodeId) -> Result<Option<Status>, Refused> {
        let text = match self.resolve(cursor, id)? {
            Node::Null => return Ok(None),
            Node::Enum(symbols) => symbols[cursor.symbol(symbols.len())?].as_str(),
            Node::String => cursor.string()?,
            other => return Err(wrong_type(Target::Status, other, "an enum or a string").into()),
        };
        match text.parse() {
            Ok(status) => Ok(Some(status)),
            Err(_) => Err(bad_status(text, None).into()),
        }
    }

    #[inline(always)]
    fn value<'a>(
        &self,
        cursor: &mut Cursor<'a>,
        id: NodeId,
        field: &str,
    ) -> Result<Value<'a>, Refused> {
        Ok(match self.resolve(cursor, id)? {
            Node::Null => Value::Null,
            Node::Double => Value::Number(cursor.double()?),
            Node::Float => Value::Number(f64::from(cursor.float()?)),
            Node::Long(_) => Value::Number(cursor.long()? as f64),
            Node::Int => Value::Number(f64::from(cursor.int()?)),
            Node::Boolean => Value::Boolean(cursor.boolean()?),
            Node::String => Value::Text(Cow::Borrowed(cursor.string()?)),
            // The symbol lives in the schema, not in the record.
            Node::Enum(symbols) => {
                Value::Text(Cow::Owned(symbols[cursor.symbol(symbols.len())?].clone()))
            }
            other => {
                return Err(Malformed::invalid(format!(
                    "`{field}` is a {}: a value is null, a double, float, long, int, boolean, string or enum",
                    other.type_name()
                ))
                .into());
            }
        })
    }

    #[inline(never)]
    fn features<'a>(
        &self,
        cursor: &mut Cursor<'a>,
        id: NodeId,
        draft: &mut Draft<'a>,
    ) -> Result<(), Refused> {
        let item = match self.resolve(cursor, id)? {
            Node::Null => return Ok(()),
            Node::Map(item) => *item,
            other => return Err(wrong_type(Target::Features, other, "a map of values").into()),
        };
        let least = self.shape.least_bytes(item) + 1;
        let mut features = Vec::new();
        loop {
            let block = cursor.block(least)?;
            if block.count == 0 {
                cursor.end_block(block)?;
                break;
            }
            for _ in 0..block.count {
                if features.len() == FEATURES_MAX {
                    return Err(crate::telemetry::draft::too_many_features().into());
                }
                let name = cursor.string()?;
                features.push((Cow::Borrowed(name), self.value(cursor, item, name)?));
            }
            cursor.end_block(block)?;
        }
        draft.features = Some(features);
        Ok(())
    }
}

fn steps_of(shape: &Shape) -> Result<Vec<Step>, String> {
    let Node::Record(record) = shape.node(shape.root()) else {
        return Err(format!("it is a {}, not a record", shape.node(shape.root()).type_name()));
    };
    let mut steps: Vec<Step> =
        record.fields.iter().map(|field| Step { node: field.node, target: None }).collect();
    for target in Target::ALL {
        if let Some(at) = position_of(&record.fields, target.name()) {
            steps[at].target = Some(target);
        }
    }
    let has = |wanted: Target| steps.iter().any(|step| step.target == Some(wanted));
    if !has(Target::EventTime) {
        return Err("it has no field `event_time`".to_owned());
    }
    if !has(Target::Feature) && !has(Target::Features) {
        return Err("it has no field `feature` and no field `features`".to_owned());
    }
    Ok(steps)
}

/// A field is ours by its name or, where no field has the name, by an alias.
/// So an existing schema is fitted to ours by aliases, without new records.
fn position_of(fields: &[Field], name: &str) -> Option<usize> {
    fields
        .iter()
        .position(|field| field.name == name)
        .or_else(|| fields.iter().position(|field| field.aliases.iter().any(|alias| alias == name)))
}

fn wrong_type(target: Target, found: &Node, wanted: &str) -> Malformed {
    Malformed::invalid(format!(
        "`{}` is a {} in the writer's schema: {wanted} is expected",
        target.name(),
        found.type_name()
    ))
}
