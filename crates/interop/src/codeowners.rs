//! CODEOWNERS of GitHub: who owns which paths, the last line that matches wins.
//!
//! Format: <https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners>.
//! A path becomes a subject by its folder: `/features/checkout/amount.yaml` is
//! `feature:checkout.amount`, and so for the other types of subjects. Lines
//! with a `*` or about a folder become patterns.

mod line;
mod write;

use watchkeep_model::charter::{CharterFields, Owners};
use watchkeep_model::directory::{Contact, User};
use watchkeep_model::document::{Diagnostic, Place};
use watchkeep_model::subject::SUBJECT_TYPES;

use crate::Options;
use crate::catalog::split;
use crate::gather::Gathering;
use crate::item::{At, Item, Sink, Value};
use crate::source::Source;
use line::{Line, subjects};

pub(crate) use write::write;

/// Endings of files that are no part of a subject's name.
const ENDINGS: [&str; 6] = [".yaml", ".yml", ".json", ".sql", ".py", ".md"];

/// The ending that is written.
const WRITTEN: &str = ".yaml";

/// The folder of a type of subjects.
fn folder(subject_type: &str) -> String {
    format!("{subject_type}s")
}

/// A rule for subjects, from one line.
#[derive(Clone, Debug)]
struct Rule {
    subject: String,
    owners: Vec<String>,
    item: Item,
}

pub(crate) fn read(sources: &[&Source], options: &Options, gathered: &mut Gathering) {
    for source in sources {
        let text = match source.text() {
            Ok(text) => text,
            Err(found) => {
                gathered.refuse(found);
                continue;
            }
        };
        let sink = Sink::new(&source.name);
        let mut rules: Vec<Rule> = Vec::new();
        for (number, written) in text.lines().enumerate() {
            let line = u32::try_from(number + 1).unwrap_or(u32::MAX);
            let item = Item::new(Place { line, column: 1 }, Value::Text(written.to_owned()));
            match Line::parse(written) {
                Ok(None) => {}
                Ok(Some(found)) => read_line(&found, &item, &sink, options, gathered, &mut rules),
                Err(message) => {
                    let finding: Diagnostic = source.finding(item.place, "line", message, None);
                    gathered.refuse([finding]);
                }
            }
        }
        emit(&source.name, &rules, &sink, gathered);
        gathered.absorb(sink);
    }
}

fn read_line(
    line: &Line,
    item: &Item,
    sink: &Sink,
    options: &Options,
    gathered: &mut Gathering,
    rules: &mut Vec<Rule>,
) {
    let at = At::root(item, sink).about(&line.pattern);
    let found = match subjects(&line.pattern) {
        Ok(found) => found,
        Err(why) => {
            at.lost(why);
            return;
        }
    };
    let mut owners = Vec::new();
    for written in &line.owners {
        match owner(written, options.org.as_deref()) {
            Some(name) => {
                if let Some(address) = name.strip_prefix("user:").filter(|bare| bare.contains('@'))
                {
                    let contacts = vec![Contact { tool: "email".into(), to: address.to_owned() }];
                    let user = User { contacts, ..User::default() };
                    gathered.user(sink.file(), &at, address, user);
                }
                owners.push(name);
            }
            None => {
                let message = format!("`{written}` is no owner");
                let hint = "write @user, @organisation/team or an address".to_owned();
                at.report("owner", message, Some(hint));
            }
        }
    }
    for subject in found {
        // The last line wins: what it covers as a whole holds no more.
        rules.retain(|before| {
            let holds = !covers(&subject, &before.subject);
            if !holds {
                let at = At::root(&before.item, sink).about(&before.subject);
                at.lost(&format!("line {} overrides it", item.place.line));
            }
            holds
        });
        rules.push(Rule { subject, owners: owners.clone(), item: item.clone() });
    }
}

fn emit(file: &str, rules: &[Rule], sink: &Sink, gathered: &mut Gathering) {
    for (number, rule) in rules.iter().enumerate() {
        let at = At::root(&rule.item, sink).about(&rule.subject);
        let general =
            rules[..number].iter().filter(|before| covers(&before.subject, &rule.subject));
        if rule.owners.is_empty() {
            let why = match general.last() {
                Some(_) => {
                    "a charter cannot take an owner away: it has that of a more general line"
                }
                None => "a line without owners says nothing here",
            };
            at.lost(why);
            continue;
        }
        if general.clone().any(|before| before.owners.len() > rule.owners.len().min(3)) {
            at.assumed("owners", "backup and subscribers of a more general line hold here too");
        }
        // Two patterns with the same beginning are equally specific here.
        let beginning = |subject: &str| subject.split('*').next().map(str::to_owned);
        let equal = rules.iter().find(|other| {
            other.subject != rule.subject
                && other.subject.contains('*')
                && rule.subject.contains('*')
                && beginning(&other.subject) == beginning(&rule.subject)
        });
        if let Some(equal) = equal.filter(|equal| !covers(&rule.subject, &equal.subject)) {
            let line = equal.item.place.line;
            at.lost(&format!(
                "no more specific here than line {line}: a pattern weighs what comes before its `*`"
            ));
            continue;
        }
        let inner = rule.subject.strip_suffix('*').unwrap_or(&rule.subject).contains('*');
        if inner {
            let why = "where other lines match too, the longest beginning of a name wins here, the last line there";
            at.assumed("pattern", why);
        }
        let mut owners = rule.owners.iter().cloned();
        let fields = CharterFields {
            owners: Owners { primary: owners.next(), backup: owners.next(), ..Owners::default() },
            ..CharterFields::default()
        };
        let others: Vec<String> = owners.collect();
        let fields =
            CharterFields { subscribers: (!others.is_empty()).then_some(others), ..fields };
        gathered.charter(file, &at, &rule.subject, fields, serde_json::Map::new());
    }
}

/// A user or a team of GitHub, or an address.
fn owner(written: &str, org: Option<&str>) -> Option<String> {
    let Some(handle) = written.strip_prefix('@') else {
        let (name, host) = written.split_once('@')?;
        return (!name.is_empty() && host.contains('.')).then(|| format!("user:{written}"));
    };
    match handle.split_once('/') {
        Some((of, team)) if is_handle(of) && is_slug(team) => Some(match org {
            Some(org) if org.eq_ignore_ascii_case(of) => format!("group:{team}"),
            _ => format!("group:{handle}"),
        }),
        None if is_handle(handle) => Some(format!("user:{handle}")),
        _ => None,
    }
}

/// True for a name of a user or an organisation of GitHub.
fn is_handle(name: &str) -> bool {
    (1..=39).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// True for a name of a team.
fn is_slug(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// True where every name of the specific pattern is one of the general too.
fn covers(general: &str, specific: &str) -> bool {
    if !general.contains('*') {
        return general == specific;
    }
    let mut parts = general.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = specific.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// The type of a folder at the beginning of a path, and the rest.
fn typed(path: &str) -> Option<(&'static str, &str)> {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let known = SUBJECT_TYPES.iter().find(|known| folder(known) == first)?;
    Some((known, rest))
}

/// True for somebody that a line can name.
fn handle(name: &str, org: Option<&str>) -> Option<String> {
    match split(name) {
        ("user", bare) if bare.contains('@') => (owner(bare, None).as_deref() == Some(name)
            && !bare.contains([' ', '#']))
        .then(|| bare.to_owned()),
        ("user", bare) => is_handle(bare).then(|| format!("@{bare}")),
        ("group", bare) => {
            let team = match (bare.contains('/'), org) {
                (false, Some(org)) => format!("@{org}/{bare}"),
                _ => format!("@{bare}"),
            };
            (owner(&team, org).as_deref() == Some(name)).then_some(team)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_what_all_its_names_match() {
        for (general, specific) in [
            ("feature:*", "feature:a.*"),
            ("feature:a.*", "feature:a.b"),
            ("feature:*_sum", "feature:a*_sum"),
            ("feature:a", "feature:a"),
        ] {
            assert!(covers(general, specific), "{general} {specific}");
        }
        for (general, specific) in [
            ("feature:a.*", "feature:*"),
            ("feature:a", "feature:a.b"),
            ("feature:*_sum", "feature:*"),
            ("dataset:*", "feature:a"),
        ] {
            assert!(!covers(general, specific), "{general} {specific}");
        }
    }

    #[test]
    fn owners_are_users_teams_and_addresses() {
        let org = Some("shop");
        assert_eq!(owner("@ada", org).as_deref(), Some("user:ada"));
        assert_eq!(owner("@Shop/data", org).as_deref(), Some("group:data"));
        assert_eq!(owner("@other/data", org).as_deref(), Some("group:other/data"));
        assert_eq!(owner("ada@example.com", org).as_deref(), Some("user:ada@example.com"));
        for wrong in ["ada", "@", "@a/b/c", "ada@", "@a b"] {
            assert_eq!(owner(wrong, org), None, "{wrong}");
        }
    }
}
