//! CODEOWNERS of GitHub and GitLab: who owns which paths, the last line that
//! matches wins, in each section of GitLab by itself.
//!
//! Formats: <https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners>,
//! <https://docs.gitlab.com/user/project/codeowners/reference>.
//! A path becomes a subject by its folder: `/features/checkout/amount.yaml` is
//! `feature:checkout.amount`, and so for the other types of subjects. Lines
//! with a `*` or about a folder become patterns.

mod line;
mod sections;
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
use line::{Line, Written, has_sections, subjects};
use sections::Sections;

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
    /// The first is the primary, the second the backup.
    owners: Vec<String>,
    /// Subscribers, whoever else is one.
    informed: Vec<String>,
    section: usize,
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
        let owning = Owning { org: options.org.as_deref(), is_gitlab: has_sections(text) };
        let mut sections = Sections::new();
        let mut rules: Vec<Rule> = Vec::new();
        for (number, written) in text.lines().enumerate() {
            let line = u32::try_from(number + 1).unwrap_or(u32::MAX);
            let item = Item::new(Place { line, column: 1 }, Value::Text(written.to_owned()));
            match Written::parse(written, owning.is_gitlab) {
                Ok(Written::Nothing) => {}
                Ok(Written::Section(heading)) => {
                    let at = At::root(&item, &sink).about(&format!("[{}]", heading.name));
                    let owners = owning.all(&heading.owners, &at, gathered);
                    sections.begin(&heading, owners, &at);
                }
                Ok(Written::Rule(found)) => {
                    let at = At::root(&item, &sink);
                    read_line(&found, &at, &owning, &sections, gathered, &mut rules);
                }
                Err(message) => {
                    let finding: Diagnostic = source.finding(item.place, "line", message, None);
                    gathered.refuse([finding]);
                }
            }
        }
        emit(&source.name, &sections.joined(rules), &sink, gathered);
        gathered.absorb(sink);
    }
}

/// How owners are written.
struct Owning<'a> {
    org: Option<&'a str>,
    is_gitlab: bool,
}

impl Owning<'_> {
    /// The names of owners as they are here.
    fn all(&self, written: &[String], at: &At<'_>, gathered: &mut Gathering) -> Vec<String> {
        let mut owners = Vec::new();
        for written in written {
            if self.is_gitlab && written.starts_with("@@") {
                at.lost_field("owner", &format!("`{written}` is a role there, and nobody by name"));
                continue;
            }
            let Some(name) = owner(written, self.org, self.is_gitlab) else {
                let message = format!("`{written}` is no owner");
                let hint = "write @user, @organisation/team or an address".to_owned();
                at.report("owner", message, Some(hint));
                continue;
            };
            if let Some(address) = name.strip_prefix("user:").filter(|bare| bare.contains('@')) {
                let contacts = vec![Contact { tool: "email".into(), to: address.to_owned() }];
                let user = User { contacts, ..User::default() };
                gathered.user(at.file(), at, address, user);
            }
            owners.push(name);
        }
        owners
    }
}

fn read_line(
    line: &Line,
    at: &At<'_>,
    owning: &Owning<'_>,
    sections: &Sections,
    gathered: &mut Gathering,
    rules: &mut Vec<Rule>,
) {
    let at = at.about(&line.pattern);
    let found = match subjects(&line.pattern) {
        Ok(found) => found,
        Err(why) => {
            at.lost(why);
            return;
        }
    };
    let owners = match &line.owners[..] {
        [] => sections.section().owners.clone(),
        written => owning.all(written, &at, gathered),
    };
    let section = sections.current;
    for subject in found {
        // The last line wins: what it covers as a whole holds no more.
        rules.retain(|before| {
            let holds = before.section != section || !covers(&subject, &before.subject);
            if !holds {
                let before = at.of(&before.item).about(&before.subject);
                before.lost(&format!("line {} overrides it", at.place().line));
            }
            holds
        });
        let (owners, item) = (owners.clone(), at.item.clone());
        rules.push(Rule { subject, owners, informed: Vec::new(), section, item });
    }
}

fn emit(file: &str, rules: &[Rule], sink: &Sink, gathered: &mut Gathering) {
    for rule in rules {
        let at = At::root(&rule.item, sink).about(&rule.subject);
        let is_general =
            |other: &&Rule| other.subject != rule.subject && covers(&other.subject, &rule.subject);
        let general = rules.iter().filter(is_general);
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
        let others: Vec<String> = owners.chain(rule.informed.iter().cloned()).collect();
        let fields =
            CharterFields { subscribers: (!others.is_empty()).then_some(others), ..fields };
        gathered.charter(file, &at, &rule.subject, fields, serde_json::Map::new());
    }
}

/// A user or a team of GitHub, or an address. Groups of GitLab may be below
/// others; without a `/` they cannot be told from users there.
fn owner(written: &str, org: Option<&str>, is_gitlab: bool) -> Option<String> {
    let Some(handle) = written.strip_prefix('@') else {
        let (name, host) = written.split_once('@')?;
        return (!name.is_empty() && host.contains('.')).then(|| format!("user:{written}"));
    };
    match handle.split_once('/') {
        Some((of, team)) if is_handle(of) && is_team(team, is_gitlab) => Some(match org {
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

/// True for what comes after the first `/` of a team's name.
fn is_team(name: &str, is_gitlab: bool) -> bool {
    let mut parts = name.split('/');
    let has_more = parts.clone().count() > 1;
    (is_gitlab || !has_more) && parts.all(is_slug)
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
        ("user", bare) if bare.contains('@') => (owner(bare, None, false).as_deref() == Some(name)
            && !bare.contains([' ', '#']))
        .then(|| bare.to_owned()),
        ("user", bare) => is_handle(bare).then(|| format!("@{bare}")),
        ("group", bare) => {
            let team = match (bare.contains('/'), org) {
                (false, Some(org)) => format!("@{org}/{bare}"),
                _ => format!("@{bare}"),
            };
            (owner(&team, org, false).as_deref() == Some(name)).then_some(team)
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
        assert_eq!(owner("@ada", org, false).as_deref(), Some("user:ada"));
        assert_eq!(owner("@Shop/data", org, false).as_deref(), Some("group:data"));
        assert_eq!(owner("@other/data", org, false).as_deref(), Some("group:other/data"));
        assert_eq!(owner("ada@example.com", org, false).as_deref(), Some("user:ada@example.com"));
        assert_eq!(owner("@shop/data/raw", org, true).as_deref(), Some("group:data/raw"));
        for wrong in ["ada", "@", "@a/b/c", "ada@", "@a b"] {
            assert_eq!(owner(wrong, org, false), None, "{wrong}");
        }
    }
}
