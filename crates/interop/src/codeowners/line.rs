//! Lines, and the subjects that their patterns mean.

use watchkeep_model::subject::SUBJECT_TYPES;

use super::{ENDINGS, typed};

/// A pattern with its owners.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) pattern: String,
    pub(super) owners: Vec<String>,
}

/// The beginning of a section: `^[NAME][2] @owner`, as GitLab has them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heading {
    pub(super) name: String,
    pub(super) is_optional: bool,
    /// How many have to approve, as it is written.
    pub(super) approvals: Option<String>,
    /// Who owns what the lines below name nobody for.
    pub(super) owners: Vec<String>,
}

/// What a line of the file is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// Empty, or a comment.
    Nothing,
    /// What comes below belongs to a section.
    Section(Heading),
    /// A rule.
    Rule(Line),
}

/// True where a text has sections, so that it is GitLab's: its lines may say
/// what GitHub does not take.
pub(super) fn has_sections(text: &str) -> bool {
    text.lines().any(|line| matches!(heading(line.trim()), Some(Ok(_))))
}

impl Written {
    /// Reads a line.
    ///
    /// # Errors
    /// The line is not taken there, and why.
    pub(super) fn parse(line: &str, is_gitlab: bool) -> Result<Self, String> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(Self::Nothing);
        }
        if let Some(heading) = heading(line) {
            return heading.map(Self::Section);
        }
        let mut words = words(line).into_iter();
        let Some(pattern) = words.next() else { return Ok(Self::Nothing) };
        if !is_gitlab && pattern.starts_with('!') {
            return Err("GitHub knows no `!` here: leave the line out".into());
        }
        if !is_gitlab && pattern.contains(['[', ']']) {
            return Err("GitHub knows no `[…]` here: write a line for each name".into());
        }
        if pattern.chars().any(char::is_control) {
            return Err("the pattern has control characters in it".into());
        }
        Ok(Self::Rule(Line { pattern, owners: words.collect() }))
    }
}

/// The beginning of a section; `None` for other lines.
fn heading(line: &str) -> Option<Result<Heading, String>> {
    let (is_optional, rest) = match line.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let rest = rest.strip_prefix('[')?;
    let Some((name, rest)) = rest.split_once(']') else {
        return Some(Err("a section is written `[name]`: the `]` is missing".into()));
    };
    let (approvals, rest) = match rest.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((count, rest))) => (Some(count.trim().to_owned()), rest),
        Some(None) => {
            return Some(Err("approvals are written `[name][2]`: the `]` is missing".into()));
        }
        None => (None, rest),
    };
    // `[a-z].yaml` is a pattern.
    if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
        return None;
    }
    let name = name.trim();
    if name.is_empty() {
        return Some(Err("the section has no name".into()));
    }
    let is_count = |text: &String| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    if approvals.as_ref().is_some_and(|text| !is_count(text)) {
        return Some(Err("approvals are a number, such as `[name][2]`".into()));
    }
    Some(Ok(Heading { name: name.to_owned(), is_optional, approvals, owners: words(rest) }))
}

/// The words of a line up to a comment; `\` keeps the next character as it is.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.extend(chars.next()),
            '#' if word.is_empty() => break,
            c if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// The subjects and patterns of subjects that a pattern of paths means.
///
/// # Errors
/// Why there are none.
pub(super) fn subjects(pattern: &str) -> Result<Vec<String>, &'static str> {
    if matches!(pattern, "*" | "**" | "/" | "/*" | "/**" | "**/*") {
        return Ok(SUBJECT_TYPES.iter().map(|kind| format!("{kind}:*")).collect());
    }
    if pattern.starts_with('!') {
        return Err("a charter takes nobody's subjects away: what it covers keeps its owner");
    }
    if pattern.contains(['?', '[', ']']) {
        return Err("a pattern of subjects has no `?` and no `[…]`");
    }
    let path = pattern.strip_prefix('/').unwrap_or(pattern);
    let is_anchored = pattern.starts_with('/') || path.trim_end_matches('/').contains('/');
    // A folder of a type is at the top, where `features/` matches too.
    let Some((kind, rest)) = typed(path) else {
        return Err("it is about no folder of subjects, such as /features/");
    };
    if !is_anchored && !rest.is_empty() {
        return Err("it is about no folder of subjects, such as /features/");
    }
    let is_folder = rest.is_empty() || rest.ends_with('/');
    let rest = rest.trim_end_matches('/').replace("**", "*");
    let ending = ENDINGS.iter().find(|ending| rest.ends_with(*ending));
    let name = ending.map_or(&*rest, |ending| &rest[..rest.len() - ending.len()]);
    let mut name = name.replace('/', ".");
    while name.contains("**") || name.contains("*.*") {
        name = name.replace("**", "*").replace("*.*", "*");
    }
    if name.is_empty() || name == "*" {
        return Ok(vec![format!("{kind}:*")]);
    }
    if is_folder {
        return Ok(vec![format!("{kind}:{name}.*")]);
    }
    // Without an ending it is a file or a folder.
    let is_exact = !name.contains('*');
    let mut found = vec![format!("{kind}:{name}")];
    if is_exact && ending.is_none() {
        found.push(format!("{kind}:{name}.*"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_mean_subjects() {
        let of = |pattern: &str| subjects(pattern).map(|all| all.join(" ")).unwrap_or("-".into());
        for (pattern, expected) in [
            ("/features/", "feature:*"),
            ("features", "feature:*"),
            ("/features/checkout/", "feature:checkout.*"),
            ("/features/checkout/**", "feature:checkout.*"),
            ("/features/checkout/*.yaml", "feature:checkout.*"),
            ("/features/checkout/amount.yaml", "feature:checkout.amount"),
            ("features/checkout", "feature:checkout feature:checkout.*"),
            ("/datasets/raw.orders.sql", "dataset:raw.orders"),
            ("/features/*_sum.yaml", "feature:*_sum"),
            ("/docs/", "-"),
            ("*.sql", "-"),
            ("/features/a?.yaml", "-"),
        ] {
            assert_eq!(of(pattern), expected, "{pattern}");
        }
        assert_eq!(subjects("*").unwrap().len(), SUBJECT_TYPES.len());
    }

    #[test]
    fn lines_are_pattern_and_owners() {
        let text = r"/features/a\ b.yaml  @ada @shop/team # why";
        let Ok(Written::Rule(line)) = Written::parse(text, false) else { panic!("no rule") };
        assert_eq!(line.pattern, "/features/a b.yaml");
        assert_eq!(line.owners, ["@ada", "@shop/team"]);
        assert_eq!(Written::parse("  # nothing", false), Ok(Written::Nothing));
        for (wrong, is_wrong) in [("!x @a", true), ("[a-z].yaml @a", true), ("/x @a", false)] {
            assert_eq!(Written::parse(wrong, false).is_err(), is_wrong, "{wrong}");
            assert!(Written::parse(wrong, true).is_ok(), "{wrong}");
        }
    }

    #[test]
    fn sections_have_a_name_and_may_be_optional_with_approvals_and_owners() {
        let of = |text: &str| match Written::parse(text, true) {
            Ok(Written::Section(Heading { name, is_optional, approvals, owners })) => {
                let optional = if is_optional { "^" } else { "" };
                format!("{optional}{name} {} {owners:?}", approvals.unwrap_or_default())
            }
            Ok(_) => "-".into(),
            Err(why) => why,
        };
        for (text, expected) in [
            ("[Docs]", "Docs  []"),
            ("^[Data Base] @dba # all", r#"^Data Base  ["@dba"]"#),
            ("[Docs][2] @docs a@b.io", r#"Docs 2 ["@docs", "a@b.io"]"#),
            ("^[Docs][1]", "^Docs 1 []"),
            ("[Docs", "a section is written `[name]`: the `]` is missing"),
            ("[Docs][2", "approvals are written `[name][2]`: the `]` is missing"),
            ("[Docs][two]", "approvals are a number, such as `[name][2]`"),
            ("[] @ada", "the section has no name"),
            ("[a-z].yaml @ada", "-"),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }
}
