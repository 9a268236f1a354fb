//! Any text is answered.

use proptest::prelude::*;

use super::*;

/// Pieces that mean something to YAML or to the formats.
const PIECES: [&str; 44] = [
    "kind: ",
    "charter",
    "directory",
    "policy",
    "lineage",
    "subject: ",
    "feature:a.*",
    "\n",
    "\n  ",
    "\n    ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    ": ",
    "? ",
    "&a ",
    "*a",
    "!t ",
    "!!str ",
    "|\n",
    ">-\n",
    "\"",
    "'",
    "\\x41",
    "# c",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "<<: ",
    "\t",
    "~",
    "expectations:\n  - ",
    "window: 1h",
    "steps:\n  - ",
    "users:\n  ada: ",
    "9",
    "\u{feff}",
    "é",
    "\u{2028}",
    "\r",
    "\0",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_characters(text in "\\PC{0,200}") {
        let files = [("a.yaml".to_owned(), text)];
        let (_, found) = read(&files);
        let _ = render(&found, &files, Format::Text);
    }

    #[test]
    fn any_pieces(pieces in proptest::collection::vec(0..PIECES.len(), 0..60)) {
        let text: String = pieces.into_iter().map(|at| PIECES[at]).collect();
        let files = [("a.yaml".to_owned(), text)];
        let (documents, found) = read(&files);
        let again = read(&files);
        prop_assert_eq!((&documents, &found), (&again.0, &again.1));
        let _ = render(&found, &files, Format::Text);
    }

    #[test]
    fn damaged_examples(at in 0_usize..3000, cut in 0_usize..40, piece in 0..PIECES.len()) {
        let text = include_str!("../../../../../examples/charters/policy.yaml");
        let mut chars: Vec<char> = text.chars().collect();
        let at = at.min(chars.len());
        let end = (at + cut).min(chars.len());
        chars.splice(at..end, PIECES[piece].chars());
        let files = [("a.yaml".to_owned(), chars.into_iter().collect::<String>())];
        let (_, found) = read(&files);
        let _ = render(&found, &files, Format::Text);
    }
}
