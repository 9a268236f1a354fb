//! Names that must be typed, and names that must be known.

use watchkeep_model::charter::Owners;
use watchkeep_model::directory::{Directory, PERSON_TYPES};
use watchkeep_model::document::{Located, nearest};
use watchkeep_model::policy::NotifyTarget;
use watchkeep_model::subject::SUBJECT_TYPES;

use super::{Folder, Found, did_you_mean};
// The policy that exists without a document.
use crate::context::DEFAULT_POLICY;

pub(super) fn check(folder: &Folder<'_>, found: &mut Found) {
    let directory = folder.registry.directory();
    let mut names = Names { directory, found };
    for (number, place) in folder.charters.iter().enumerate() {
        charter(folder, &mut names, number, place);
    }
    for document in folder.directories {
        of_directory(&mut names, document);
    }
    for (number, document) in folder.lineage.iter().enumerate() {
        for (place, edge) in document.value.iter().enumerate() {
            for (end, name) in [("from", &edge.from), ("to", &edge.to)] {
                // There may be very many, and few have no type.
                if !is_typed(name, &SUBJECT_TYPES) {
                    let path = folder.edge_path(number, place);
                    names.node(document, &format!("{path}.{end}"), name);
                }
            }
        }
    }
    for document in folder.policies {
        let policy = &document.value;
        for (step, path) in policy.steps.iter().zip(document.items("steps")) {
            for (notify, path) in step.notify.iter().zip(document.items(&format!("{path}.notify")))
            {
                let (only, name): (&[&str], &str) = match &notify.target {
                    NotifyTarget::Role(_) => continue,
                    NotifyTarget::User(name) => (&["user"], name),
                    NotifyTarget::Group(name) => (&["group"], name),
                    NotifyTarget::Schedule(name) => (&["schedule"], name),
                };
                names.person(document, &format!("{path}.{}", only[0]), name, only);
            }
        }
        names.people(document, "on_exhausted.notify", &policy.on_exhausted.notify, &PERSON_TYPES);
    }
}

fn charter(folder: &Folder<'_>, names: &mut Names<'_>, number: usize, place: &Located<()>) {
    let document = &folder.registry.index.documents[number];
    let fields = &document.fields;
    names.subject(place, &document.subject);
    for role in Owners::ROLES {
        if let Some(name) = fields.owners.get(role) {
            names.person(place, &format!("owners.{role}"), name, &PERSON_TYPES);
        }
    }
    if let Some(name) = &fields.group {
        names.person(place, "group", name, &["group"]);
    }
    if let Some(name) = &fields.view {
        names.typed(place, "view", name, &["view"], "naming");
    }
    if let Some(list) = &fields.subscribers {
        names.people(place, "subscribers", list, &PERSON_TYPES);
    }
    for approval in fields.approvals.iter().flatten().zip(place.items("approvals")) {
        names.person(place, &format!("{}.by", approval.1), &approval.0.by, &PERSON_TYPES);
    }
    for (field, list) in [("upstream", &fields.upstream), ("consumers", &fields.consumers)] {
        for (name, path) in list.iter().flatten().zip(place.items(field)) {
            names.node(place, &path, name);
        }
    }
    if let Some(name) = &fields.system {
        names.system(place, "system", name);
    }
    if let Some(name) = &fields.domain {
        names.domain(place, "domain", name);
    }
    if let Some(name) = &fields.policy
        && name != DEFAULT_POLICY
        && folder.registry.policy(name).is_none()
    {
        let known = folder.registry.policies().map(|policy| policy.name.as_str());
        let hint = did_you_mean(name, known)
            .or_else(|| Some("write a document `kind: policy` of this name".to_owned()));
        names.found.error(
            place,
            "policy",
            "unknown_policy",
            format!("unknown policy `{name}`"),
            hint,
        );
    }
}

fn of_directory(names: &mut Names<'_>, document: &Located<Directory>) {
    let value = &document.value;
    for (name, group) in &value.groups {
        if let Some(lead) = &group.lead {
            names.person(document, &format!("groups.{name}.lead"), lead, &["user"]);
        }
        names.people(document, &format!("groups.{name}.members"), &group.members, &["user"]);
    }
    for (name, schedule) in &value.schedules {
        let paths = document.items(&format!("schedules.{name}.layers"));
        for (layer, path) in schedule.layers.iter().zip(paths) {
            names.people(document, &format!("{path}.users"), &layer.users, &["user"]);
        }
        let paths = document.items(&format!("schedules.{name}.overrides"));
        for (exception, path) in schedule.overrides.iter().zip(paths) {
            if let Some(user) = &exception.user {
                names.person(document, &format!("{path}.user"), user, &["user"]);
            }
        }
    }
    for (of, path) in value.absences.iter().zip(document.items("absences")) {
        names.person(document, &format!("{path}.user"), &of.user, &["user"]);
    }
    for (of, path) in value.overrides.iter().zip(document.items("overrides")) {
        names.person(document, &format!("{path}.schedule"), &of.schedule, &["schedule"]);
        if let Some(user) = &of.exception.user {
            names.person(document, &format!("{path}.user"), user, &["user"]);
        }
    }
    for (name, system) in &value.systems {
        let path = |field: &str| format!("systems.{name}.{field}");
        if let Some(owner) = &system.owner {
            names.person(document, &path("owner"), owner, &PERSON_TYPES);
        }
        if let Some(domain) = &system.domain {
            names.domain(document, &path("domain"), domain);
        }
        if let Some(parent) = &system.parent {
            names.system(document, &path("parent"), parent);
        }
    }
    for (name, domain) in &value.domains {
        let path = |field: &str| format!("domains.{name}.{field}");
        if let Some(owner) = &domain.owner {
            names.person(document, &path("owner"), owner, &PERSON_TYPES);
        }
        if let Some(parent) = &domain.parent {
            names.domain(document, &path("parent"), parent);
        }
    }
    if let Some(name) = &value.governance {
        names.person(document, "governance", name, &PERSON_TYPES);
    }
}

struct Names<'a> {
    directory: &'a Directory,
    found: &'a mut Found,
}

impl Names<'_> {
    fn people<T>(&mut self, document: &Located<T>, field: &str, list: &[String], types: &[&str]) {
        for (name, path) in list.iter().zip(document.items(field)) {
            self.person(document, &path, name, types);
        }
    }

    /// The typed name of somebody in the directory.
    fn person<T>(&mut self, document: &Located<T>, field: &str, name: &str, types: &[&str]) {
        if !self.typed(document, field, name, types, "naming") {
            return;
        }
        let Some((kind, bare)) = name.split_once(':') else { return };
        if self.is_known(kind, bare) {
            return;
        }
        let (rule, known): (&'static str, Vec<&String>) = match kind {
            "user" => ("unknown_user", self.directory.users.keys().collect()),
            "group" => ("unknown_group", self.directory.groups.keys().collect()),
            _ => ("unknown_schedule", self.directory.schedules.keys().collect()),
        };
        let hint = nearest(bare, known.into_iter().map(String::as_str))
            .map(|near| format!("did you mean `{kind}:{near}`?"))
            .or_else(|| Some(format!("write it under `{kind}s` of a directory")));
        self.found.error(document, field, rule, format!("unknown {kind} `{bare}`"), hint);
    }

    fn system<T>(&mut self, document: &Located<T>, field: &str, name: &str) {
        if !self.directory.systems.contains_key(name) {
            let known: Vec<&str> = self.directory.systems.keys().map(String::as_str).collect();
            self.bare(document, field, name, "system", "unknown_system", &known);
        }
    }

    fn domain<T>(&mut self, document: &Located<T>, field: &str, name: &str) {
        if !self.directory.domains.contains_key(name) {
            let known: Vec<&str> = self.directory.domains.keys().map(String::as_str).collect();
            self.bare(document, field, name, "domain", "unknown_domain", &known);
        }
    }

    /// A name without a type that is not among the known ones.
    fn bare<T>(
        &mut self,
        document: &Located<T>,
        field: &str,
        name: &str,
        what: &str,
        rule: &'static str,
        known: &[&str],
    ) {
        let untyped = name.split_once(':').map(|(_, bare)| bare);
        let hint = match untyped {
            Some(bare) if known.contains(&bare) => Some(format!("write `{bare}`, without a type")),
            _ => did_you_mean(name, known.iter().copied())
                .or_else(|| Some(format!("write it under `{what}s` of a directory"))),
        };
        self.found.error(document, field, rule, format!("unknown {what} `{name}`"), hint);
    }

    fn subject(&mut self, document: &Located<()>, name: &str) {
        // `*` and `*.price` match whatever type.
        if name.split(':').next().is_some_and(|kind| kind.contains('*')) {
            return;
        }
        if !self.typed(document, "subject", name, &SUBJECT_TYPES, "naming") {
            return;
        }
        let Some((kind, bare)) = name.split_once(':') else { return };
        if let Some((second, rest)) = bare.split_once(':')
            && SUBJECT_TYPES.contains(&second)
        {
            let message = format!("`{name}` has two types, and nothing is ever called so");
            let hint = Some(format!("write `{second}:{rest}` or `{kind}:{rest}`"));
            self.found.error(document, "subject", "naming", message, hint);
        } else if let Some(unseen) = bare.chars().find(|c| is_unseen(*c)) {
            let message = format!(
                "the name has the character U+{:04X} in it, which cannot be seen",
                u32::from(unseen)
            );
            let hint = Some("write the name anew".to_owned());
            self.found.warning(document, "subject", "naming", message, hint);
        } else if bare.contains(char::is_whitespace) {
            let message =
                format!("`{name}` has a space in it, which names of telemetry seldom have");
            self.found.warning(document, "subject", "naming", message, None);
        }
    }

    /// A node of the lineage.
    fn node<T>(&mut self, document: &Located<T>, field: &str, name: &str) {
        self.typed(document, field, name, &SUBJECT_TYPES, "lineage_type");
    }

    /// True where the name has one of the types; else that is a finding.
    fn typed<T>(
        &mut self,
        document: &Located<T>,
        field: &str,
        name: &str,
        types: &[&str],
        rule: &'static str,
    ) -> bool {
        if is_typed(name, types) {
            return true;
        }
        let (message, hint) = match name.split_once(':') {
            Some((kind, "")) => {
                let hint = self.example(types);
                (format!("`{kind}:` has a type and no name"), hint)
            }
            Some((kind, bare)) => {
                let hint = match types {
                    // The same name of another type is a guess only if there is one.
                    [one] if PERSON_TYPES.contains(one) => self
                        .is_known(one, bare)
                        .then(|| format!("write `{one}:{bare}`"))
                        .or_else(|| self.example(types)),
                    [one] => Some(format!("write `{one}:{bare}`")),
                    _ => nearest(kind, types.iter().copied())
                        .map(|near| format!("did you mean `{near}:{bare}`?"))
                        .or_else(|| self.example(types)),
                };
                (format!("`{name}` is no {}", either(types)), hint)
            }
            None => {
                let guess = self.guess(name, types);
                let hint = Some(format!("write `{guess}:{name}`"));
                (format!("`{name}` has no type: {}", either(types)), hint)
            }
        };
        self.found.error(document, field, rule, message, hint);
        false
    }

    /// A name of the directory as an example, where people or groups are asked for.
    fn example(&self, types: &[&str]) -> Option<String> {
        let known = types.iter().find_map(|kind| {
            let name = match *kind {
                "user" => self.directory.users.keys().next(),
                "group" => self.directory.groups.keys().next(),
                "schedule" => self.directory.schedules.keys().next(),
                _ => None,
            };
            Some(format!("{kind}:{}", name?))
        });
        known.map(|name| format!("write a {} of the directory, such as `{name}`", either(types)))
    }

    /// True where the directory has the name.
    fn is_known(&self, kind: &str, bare: &str) -> bool {
        match kind {
            "user" => self.directory.users.contains_key(bare),
            "group" => self.directory.groups.contains_key(bare),
            "schedule" => self.directory.schedules.contains_key(bare),
            _ => false,
        }
    }

    /// The type that a name without one was probably meant to have.
    fn guess<'t>(&self, name: &str, types: &[&'t str]) -> &'t str {
        types
            .iter()
            .find(|kind| self.is_known(kind, name))
            .or(types.first())
            .copied()
            .unwrap_or_default()
    }
}

/// True for a name with one of the types.
fn is_typed(name: &str, types: &[&str]) -> bool {
    name.split_once(':').is_some_and(|(kind, bare)| types.contains(&kind) && !bare.is_empty())
}

/// Control characters, and those that take no room: a name that has one looks
/// like another and is not.
fn is_unseen(character: char) -> bool {
    let takes_no_room = matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    );
    character.is_control() || takes_no_room
}

/// `user, group or schedule`.
fn either(types: &[&str]) -> String {
    match types {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
