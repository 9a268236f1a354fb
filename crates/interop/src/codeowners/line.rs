//! Lines, and the subjects that their patterns mean.

use watchkeep_model::subject::SUBJECT_TYPES;

use super::{ENDINGS, typed};

/// A pattern with its owners.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) pattern: String,
    pub(super) owners: Vec<String>,
}

impl Line {
    /// Reads a line; `None` for an empty one and a comment.
    ///
    /// # Errors
    /// GitHub does not take the line, and why.
    pub(super) fn parse(line: &str) -> Result<Option<Self>, String> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        if line.starts_with('[') || line.starts_with("^[") {
            return Err("sections are GitLab's: write the lines without them".into());
        }
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
        let mut words = words.into_iter();
        let Some(pattern) = words.next() else { return Ok(None) };
        if pattern.starts_with('!') {
            return Err("GitHub knows no `!` here: leave the line out".into());
        }
        if pattern.contains(['[', ']']) {
            return Err("GitHub knows no `[…]` here: write a line for each name".into());
        }
        if pattern.chars().any(char::is_control) {
            return Err("the pattern has control characters in it".into());
        }
        Ok(Some(Self { pattern, owners: words.collect() }))
    }
}

/// The subjects and patterns of subjects that a pattern of paths means.
///
/// # Errors
/// Why there are none.
pub(super) fn subjects(pattern: &str) -> Result<Vec<String>, &'static str> {
    if matches!(pattern, "*" | "**" | "/" | "/*" | "/**" | "**/*") {
        return Ok(SUBJECT_TYPES.iter().map(|kind| format!("{kind}:*")).collect());
    }
    if pattern.contains('?') {
        return Err("a pattern of subjects has no `?`");
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
        let line = Line::parse(r"/features/a\ b.yaml  @ada @shop/team # why").unwrap().unwrap();
        assert_eq!(line.pattern, "/features/a b.yaml");
        assert_eq!(line.owners, ["@ada", "@shop/team"]);
        assert_eq!(Line::parse("  # nothing"), Ok(None));
        assert!(Line::parse("!x @a").is_err() && Line::parse("[Section] @a").is_err());
    }
}
