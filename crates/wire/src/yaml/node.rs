//! YAML events put together to a tree with places.
//!
//! The tree is built here and not by the parser's own loader, because that one
//! stops at the first duplicate key: here it is a finding like any other, and
//! the rest of the document is still read. Aliases share their node, so a file
//! cannot grow in memory; what a walk over them would visit is bounded.

use std::collections::BTreeMap;
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};
use watchkeep_model::document::Place;

/// Nodes that the aliases of one document may stand for. A document with more
/// is refused: it is a mistake or an attack.
pub(super) const ALIAS_NODES_MAX: usize = 100_000;

/// Lists and maps in one another. A deeper document is refused; the formats
/// need eight.
pub(super) const DEPTH_MAX: usize = 64;

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
    /// Nodes in it, itself and what its aliases stand for included.
    size: usize,
}

/// What a node holds.
#[derive(Debug)]
pub(super) enum Value {
    /// `plain` is text without quotes, which may mean a number, a truth value or nothing.
    Scalar {
        text: String,
        plain: bool,
    },
    Sequence(Vec<Rc<Node>>),
    /// In the order of the text; no key twice.
    Mapping(Vec<Entry>),
}

/// One key of a mapping with its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) node: Rc<Node>,
}

/// The hint where a key is written twice with one value, so that nothing is lost:
/// readers of other programs take it.
pub(super) const BOTH_SAY_THE_SAME: &str = "take one away: both say the same";

/// True of two single values that are written alike.
fn is_same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::Scalar { text, plain }, Value::Scalar { text: other_text, plain: other_plain }) => {
            text == other_text && plain == other_plain
        }
        _ => false,
    }
}

/// Something wrong with the YAML itself.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) place: Place,
    pub(super) rule: &'static str,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Node {
    /// True where nothing is written, or `null` or `~`.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The text of a scalar under a key, for labels.
    pub(super) fn text_at(&self, key: &str) -> Option<&str> {
        let Value::Mapping(entries) = &self.value else { return None };
        match &entries.iter().find(|entry| entry.key == key)?.node.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }
}

/// Reads a text that begins at `first_line` of its file into its documents.
/// A fault of the syntax ends the reading; the documents before it are kept.
pub(super) fn parse(text: &str, first_line: u32, faults: &mut Vec<Fault>) -> Vec<Rc<Node>> {
    let mut parser = Parser::new_from_str(text);
    let mut builder = Builder {
        first_line,
        faults,
        documents: Vec::new(),
        open: Vec::new(),
        anchors: BTreeMap::new(),
        alias_nodes: 0,
    };
    while let Some(event) = parser.next_event() {
        match event {
            Ok((Event::StreamEnd, _)) => break,
            Ok((event, span)) => {
                if builder.event(event, span.start).is_err() {
                    break;
                }
            }
            Err(error) => {
                let fault = syntax_fault(text, &error, builder.place(*error.marker()));
                builder.faults.push(fault);
                break;
            }
        }
    }
    builder.documents
}

/// The document cannot be read on; the fault is recorded.
struct Stop;

struct Builder<'f> {
    first_line: u32,
    faults: &'f mut Vec<Fault>,
    documents: Vec<Rc<Node>>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Rc<Node>>,
    alias_nodes: usize,
}

/// A list or map that is still being read.
struct Open {
    place: Place,
    anchor: usize,
    size: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Rc<Node>>),
    Mapping { entries: Vec<Entry>, places: BTreeMap<String, Place>, key: Option<(String, Place)> },
}

/// Tags of YAML's core schema, `!!str` and its like.
const CORE_TAGS: [&str; 7] = ["str", "int", "float", "bool", "null", "map", "seq"];

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, marker: Marker) -> Result<(), Stop> {
        let place = self.place(marker);
        match event {
            Event::DocumentStart(_) => {
                self.anchors.clear();
                self.alias_nodes = 0;
            }
            Event::Scalar(text, style, anchor, tag) => {
                let tagged_as_text = self.check_tag(tag.as_deref(), place);
                let plain = style == ScalarStyle::Plain && !tagged_as_text;
                let value = Value::Scalar { text: text.into_owned(), plain };
                self.close(Rc::new(Node { place, value, size: 1 }), anchor, place);
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), place);
                self.start(place, anchor, Content::Sequence(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), place);
                let content =
                    Content::Mapping { entries: Vec::new(), places: BTreeMap::new(), key: None };
                self.start(place, anchor, content)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { place, anchor, size, content }) = self.open.pop() {
                    let value = match content {
                        Content::Sequence(items) => Value::Sequence(items),
                        Content::Mapping { entries, .. } => Value::Mapping(entries),
                    };
                    self.close(Rc::new(Node { place, value, size }), anchor, place);
                }
            }
            Event::Alias(anchor) => self.alias(anchor, place)?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn start(&mut self, place: Place, anchor: usize, content: Content) -> Result<(), Stop> {
        if self.open.len() == DEPTH_MAX {
            self.fault(
                place,
                "bound",
                format!("more than {DEPTH_MAX} lists and maps in one another"),
            );
            return Err(Stop);
        }
        self.open.push(Open { place, anchor, size: 1, content });
        Ok(())
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<(), Stop> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            self.fault(place, "syntax", "the alias stands inside of what it refers to");
            return Err(Stop);
        };
        self.alias_nodes = self.alias_nodes.saturating_add(node.size);
        if self.alias_nodes > ALIAS_NODES_MAX {
            self.fault(
                place,
                "bound",
                format!("the aliases of the document stand for more than {ALIAS_NODES_MAX} values"),
            );
            return Err(Stop);
        }
        self.close(node, 0, place);
        Ok(())
    }

    /// Puts a complete node where it belongs.
    fn close(&mut self, node: Rc<Node>, anchor: usize, place: Place) {
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return;
        };
        open.size = open.size.saturating_add(node.size);
        match &mut open.content {
            Content::Sequence(items) => items.push(node),
            Content::Mapping { entries, places, key } => match key.take() {
                None => {
                    let text = match &node.value {
                        Value::Scalar { text, .. } => text.clone(),
                        _ => {
                            // Kept under a key that no format has, so that it
                            // is reported once and its value is passed over.
                            self.faults.push(Fault {
                                place,
                                rule: "wrong_type",
                                message: "a list or a map cannot be a key".into(),
                                hint: None,
                            });
                            String::new()
                        }
                    };
                    *key = Some((text, place));
                }
                Some((text, key_place)) => match places.get(&text) {
                    _ if text.is_empty() => {}
                    Some(first) => {
                        // Entries stand in the order of the text.
                        let at = |place: Place| (place.line, place.column);
                        let known = entries.partition_point(|e| at(e.place) < at(*first));
                        let known = entries.get(known).filter(|entry| entry.key == text);
                        let is_same = known.is_some_and(|entry| is_same(&entry.node, &node));
                        let hint = if is_same { BOTH_SAY_THE_SAME } else { "keep one of them" };
                        self.faults.push(Fault {
                            place: key_place,
                            rule: "duplicate_key",
                            message: format!(
                                "`{text}` is written twice; the first is in line {}",
                                first.line
                            ),
                            hint: Some(hint.into()),
                        });
                    }
                    None => {
                        places.insert(text.clone(), key_place);
                        entries.push(Entry { key: text, place: key_place, node });
                    }
                },
            },
        }
    }

    /// True where the tag says that the value is text.
    fn check_tag(&mut self, tag: Option<&Tag>, place: Place) -> bool {
        match tag {
            // What else begins with `!!` is a language's own, as a class to make.
            Some(tag) if tag.is_yaml_core_schema() && CORE_TAGS.contains(&tag.suffix.as_str()) => {
                tag.suffix == "str"
            }
            Some(tag) => {
                self.fault(place, "unsupported", format!("the tag {tag} is not supported"));
                false
            }
            None => false,
        }
    }

    fn fault(&mut self, place: Place, rule: &'static str, message: impl Into<String>) {
        self.faults.push(Fault { place, rule, message: message.into(), hint: None });
    }

    fn place(&self, marker: Marker) -> Place {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place {
            line: number(marker.line()).saturating_add(self.first_line - 1),
            column: number(marker.col()).saturating_add(1),
        }
    }
}

/// The parser's error, with what people most often did wrong as a hint.
fn syntax_fault(text: &str, error: &ScanError, place: Place) -> Fault {
    let lines: Vec<&str> = text.lines().collect();
    let at = error.marker().line().saturating_sub(1).min(lines.len().saturating_sub(1));
    let line = lines.get(at).copied().unwrap_or_default();
    let indented_by_tab =
        |line: &str| line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t');
    let tab = [Some(at), at.checked_sub(1)]
        .into_iter()
        .flatten()
        .find(|at| lines.get(*at).is_some_and(|line| indented_by_tab(line)));
    if let Some(tab) = tab {
        let spaces = lines[tab].chars().position(|c| c == '\t').unwrap_or(0);
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let line = place.line.saturating_sub(number(at - tab));
        return Fault {
            place: Place { line, column: number(spaces).saturating_add(1) },
            rule: "syntax",
            message: "the line is indented with a tab".into(),
            hint: Some("indent with spaces".into()),
        };
    }
    let hint = if line.contains(":\t") {
        Some("write a space behind the colon, not a tab".into())
    } else if error.info().contains("anchor") && line.contains('*') {
        Some("put a text that begins with `*` in quotes".into())
    } else if line.matches(": ").count() > 1 && !line.contains('{') {
        Some("put a text that contains `: ` in quotes".into())
    } else {
        None
    };
    Fault { place, rule: "syntax", message: format!("not YAML: {}", error.info()), hint }
}
