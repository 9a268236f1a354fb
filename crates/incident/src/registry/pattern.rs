//! Subjects with stars. A star stands for any characters, none included.

/// True where the text is a pattern.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains('*')
}

/// What stands before the first star.
pub(super) fn literal_prefix(pattern: &str) -> &str {
    pattern.split('*').next().unwrap_or(pattern)
}

/// Characters that are no stars, in bytes.
pub(super) fn literal_length(pattern: &str) -> usize {
    pattern.len() - pattern.matches('*').count()
}

/// True where the pattern stands for the subject.
pub(crate) fn matches(pattern: &str, subject: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == subject };
    let Some(mut left) = subject.strip_prefix(first) else { return false };
    let (middle, last) = match rest.rsplit_once('*') {
        Some((middle, last)) => (middle, last),
        None => ("", rest),
    };
    // The earliest place for each part leaves the most for those after it.
    for part in middle.split('*').filter(|part| !part.is_empty()) {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.len() >= last.len() && left.ends_with(last)
}

/// True where some subject is matched by both patterns.
pub(super) fn overlap(a: &str, b: &str) -> bool {
    let tail = |pattern: &'_ str| pattern.rsplit('*').next().unwrap_or_default().to_owned();
    let (tail_a, tail_b) = (tail(a), tail(b));
    if !tail_a.ends_with(&tail_b) && !tail_b.ends_with(&tail_a) {
        return false;
    }
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    // reach[j]: the first i characters of `a` and the first j of `b` stand for
    // a common text. A star may also stand for nothing, or for whatever the
    // other pattern has.
    let mut reach = vec![false; b.len() + 1];
    reach[0] = true;
    for j in 0..b.len() {
        reach[j + 1] = reach[j] && b[j] == '*';
    }
    for &x in &a {
        let mut next = vec![false; b.len() + 1];
        next[0] = reach[0] && x == '*';
        for (j, &y) in b.iter().enumerate() {
            next[j + 1] = match (x, y) {
                ('*', '*') => reach[j] || reach[j + 1] || next[j],
                ('*', _) => reach[j + 1] || next[j],
                (_, '*') => next[j] || reach[j + 1],
                _ => reach[j] && x == y,
            };
        }
        reach = next;
    }
    reach[b.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_stand_for_any_characters() {
        for (pattern, subject, expected) in [
            ("feature:flight.*", "feature:flight.origin", true),
            ("feature:flight.*", "feature:flight.", true),
            ("feature:flight.*", "feature:flights", false),
            ("feature:*.price.*", "feature:ride.price.eur", true),
            ("feature:*.price.*", "feature:ride.price", false),
            ("*", "dataset:a", true),
            ("*a", "a", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*ab*b", "abab", true),
            ("a**b", "ab", true),
            ("a", "a", true),
            ("é*ü", "éü", true),
        ] {
            assert_eq!(matches(pattern, subject), expected, "{pattern} {subject}");
        }
    }

    #[test]
    fn patterns_overlap_where_one_subject_fits_both() {
        for (a, b, expected) in [
            ("feature:*.eur", "feature:price.*", true),
            ("feature:*.eur", "feature:*.usd", false),
            ("feature:a*", "feature:b*", false),
            ("feature:*a", "feature:*ba", true),
            ("feature:*", "dataset:*", false),
            ("a*c", "*b*", true),
        ] {
            assert_eq!(overlap(a, b), expected, "{a} {b}");
            assert_eq!(overlap(b, a), expected, "{b} {a}");
        }
    }

    /// The definition, by trying every length for each star.
    fn matches_slowly(pattern: &[u8], subject: &[u8]) -> bool {
        match pattern {
            [] => subject.is_empty(),
            [b'*', rest @ ..] => (0..=subject.len()).any(|n| matches_slowly(rest, &subject[n..])),
            [x, rest @ ..] => subject.first() == Some(x) && matches_slowly(rest, &subject[1..]),
        }
    }

    proptest! {
        #[test]
        fn matching_is_its_definition(pattern in "[ab*]{0,7}", subject in "[ab]{0,8}") {
            let expected = matches_slowly(pattern.as_bytes(), subject.as_bytes());
            prop_assert_eq!(matches(&pattern, &subject), expected);
        }

        #[test]
        fn patterns_that_match_one_subject_overlap(
            a in "[ab*]{0,7}", b in "[ab*]{0,7}", subject in "[ab]{0,6}",
        ) {
            if matches(&a, &subject) && matches(&b, &subject) {
                prop_assert!(overlap(&a, &b));
            }
        }
    }
}
