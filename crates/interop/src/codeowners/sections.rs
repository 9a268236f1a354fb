//! Sections of GitLab: each has rules of its own, and the owners of all of them
//! hold.

use std::cmp::Reverse;

use super::line::Heading;
use super::{Rule, covers};
use crate::item::At;

/// Rules that are looked at by themselves. The first has no name: what comes
/// before any heading.
#[derive(Debug, Default)]
pub(super) struct Section {
    name: String,
    is_optional: bool,
    /// Who owns what a line names nobody for.
    pub(super) owners: Vec<String>,
}

/// The sections of a file, and the one that lines belong to.
#[derive(Debug)]
pub(super) struct Sections {
    all: Vec<Section>,
    pub(super) current: usize,
}

impl Sections {
    pub(super) fn new() -> Self {
        Self { all: vec![Section::default()], current: 0 }
    }

    /// Begins a section, or goes on with the one of the same name: names are the
    /// same in upper and lower case, and what is required anywhere is required.
    pub(super) fn begin(&mut self, heading: &Heading, owners: Vec<String>, at: &At<'_>) {
        if heading.is_optional {
            at.assumed("optional", "its owners are informed where a section that is not has some");
        }
        if heading.approvals.is_some() {
            at.lost_field("approvals", "how many have to agree is said by `sign_offs` of a policy");
        }
        let name = heading.name.to_lowercase();
        let found = self.all.iter().skip(1).position(|section| section.name == name);
        match found {
            Some(before) => {
                self.current = before + 1;
                let section = &mut self.all[self.current];
                section.is_optional &= heading.is_optional;
                section.owners = owners;
            }
            None => {
                self.current = self.all.len();
                self.all.push(Section { name, is_optional: heading.is_optional, owners });
            }
        }
    }

    /// The section that lines belong to.
    pub(super) fn section(&self) -> &Section {
        &self.all[self.current]
    }

    /// A rule for each subject with the owners of all sections: in each the last
    /// line that covers the subject holds. Who is named most nearly comes first.
    /// Whom optional sections name comes after the others, and is informed.
    pub(super) fn joined(&self, rules: Vec<Rule>) -> Vec<Rule> {
        if self.all.len() == 1 {
            return rules;
        }
        let mut joined: Vec<Rule> = Vec::new();
        for rule in &rules {
            if joined.iter().any(|before| before.subject == rule.subject) {
                continue;
            }
            let mut whole = Rule { owners: Vec::new(), informed: Vec::new(), ..rule.clone() };
            let of_section = |number: usize| {
                let rules = rules.iter().filter(move |other| other.section == number);
                rules.filter(|other| covers(&other.subject, &rule.subject)).last()
            };
            let mut holding: Vec<&Rule> = (0..self.all.len()).filter_map(of_section).collect();
            let is_optional = |rule: &Rule| self.all[rule.section].is_optional;
            holding.sort_by_key(|rule| (is_optional(rule), Reverse(weight(&rule.subject))));
            for last in holding {
                let is_informed = is_optional(last) && !whole.owners.is_empty();
                for owner in &last.owners {
                    if whole.owners.contains(owner) || whole.informed.contains(owner) {
                        continue;
                    }
                    let list = if is_informed { &mut whole.informed } else { &mut whole.owners };
                    list.push(owner.clone());
                }
            }
            joined.push(whole);
        }
        joined
    }
}

/// How near a rule is to what it covers: as patterns of charters weigh.
fn weight(subject: &str) -> usize {
    subject.find('*').unwrap_or(usize::MAX)
}
