//! What a translation lost or took for granted.

use serde::Serialize;

/// Why there is a [`Note`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// The other side has no place for it; it is not in the result.
    NotCarried,
    /// The source does not say it; the result does.
    Assumed,
}

impl NoteKind {
    /// The name used in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotCarried => "not carried",
            Self::Assumed => "assumed",
        }
    }
}

/// One field of one subject that a translation did not carry, or made up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Note {
    /// What happened.
    pub kind: NoteKind,
    /// The file of an import; empty in an export.
    pub file: String,
    /// Line in that file, from 1; 0 where there is none.
    pub line: u32,
    /// Subject or name in the words of the source.
    pub subject: String,
    /// Path of the field in the words of the source.
    pub field: String,
    /// Why.
    pub why: String,
}

impl Note {
    /// Of an export.
    pub(crate) fn not_carried(subject: &str, field: &str, why: &str) -> Self {
        Self {
            kind: NoteKind::NotCarried,
            file: String::new(),
            line: 0,
            subject: subject.to_owned(),
            field: field.to_owned(),
            why: why.to_owned(),
        }
    }
}

/// By file and line, then by what they are about; each once.
pub(crate) fn sort(notes: &mut Vec<Note>) {
    notes.sort_by(|a, b| {
        (&a.file, a.line, a.kind, &a.subject, &a.field, &a.why)
            .cmp(&(&b.file, b.line, b.kind, &b.subject, &b.field, &b.why))
    });
    notes.dedup();
}
