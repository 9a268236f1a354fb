//! The windows of an expectation: `1h`, or a map of kind, size, hop and gap.

use watchkeep_model::charter::WindowSpec;
use watchkeep_model::time::TimeSpan;

use super::super::node::{Node, Value};
use super::super::walk::{Map, Walk};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tumbling,
    Hopping,
    Session,
}

const KINDS: [(&str, Kind); 3] =
    [("tumbling", Kind::Tumbling), ("hopping", Kind::Hopping), ("session", Kind::Session)];

impl Kind {
    /// Its fields beside `kind`, all of them needed.
    const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Tumbling => &["size"],
            Self::Hopping => &["size", "hop"],
            Self::Session => &["gap"],
        }
    }
}

pub(super) fn window(w: &mut Walk<'_>, node: &Node) -> Option<WindowSpec> {
    if matches!(node.value, Value::Scalar { .. }) {
        return w.positive_span(node).map(|size| WindowSpec::Tumbling { size });
    }
    let map = w.mapping(node, &["kind", "size", "hop", "gap"])?;
    let kind = w.required(map, "kind", |w, node| w.choice(node, &KINDS))?;
    for name in ["size", "hop", "gap"] {
        if let (Some(entry), false) = (map.get(name), kind.fields().contains(&name)) {
            let named = KINDS.iter().find(|(_, of)| *of == kind).map_or("", |(name, _)| name);
            w.within(name, |w| {
                let message = format!("a {named} window has no `{name}`");
                let hint = format!("it has {}", kind.fields().join(" and "));
                w.report(entry.place, "unknown_field", message, Some(hint));
            });
        }
    }
    match kind {
        Kind::Tumbling => {
            w.required(map, "size", Walk::positive_span).map(|size| WindowSpec::Tumbling { size })
        }
        Kind::Hopping => {
            let size = w.required(map, "size", Walk::positive_span);
            let hop = w.required(map, "hop", Walk::positive_span);
            hopping(w, map, size?, hop?)
        }
        Kind::Session => {
            w.required(map, "gap", Walk::positive_span).map(|gap| WindowSpec::Session { gap })
        }
    }
}

/// Between windows that are further apart than they are long, events are in none.
fn hopping(w: &mut Walk<'_>, map: Map<'_>, size: TimeSpan, hop: TimeSpan) -> Option<WindowSpec> {
    if hop <= size {
        return Some(WindowSpec::Hopping { size, hop });
    }
    let place = map.get("hop").map_or(map.place, |entry| entry.node.place);
    w.within("hop", |w| {
        let message = format!(
            "a hop of {hop} is longer than the size of {size}: events would be in no window"
        );
        let hint = format!("write a hop of at most {size}");
        w.report(place, "wrong_value", message, Some(hint));
    });
    None
}
