//! Who is accountable: the owner chain, every link tried and logged.
//!
//! primary → backup → feature view → group → system → domain → governance.
//! Reaching the last sets `unowned`.

use std::sync::Arc;

use watchkeep_model::charter::Charter;
use watchkeep_model::directory::Directory;
use watchkeep_model::incident::data::Link;
use watchkeep_model::time::Timestamp;

use crate::context::{Context, DEFAULT_POLICY};
use crate::decide::gates::share_a_team;
use crate::schedule::{Presence, answering_unless};

/// Parents of a system or domain that are asked; a longer line is taken to end there.
pub(crate) const PARENTS_MAX: usize = 8;

/// Who answers, and how that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    /// The person, `user:…`; `None` where even governance names nobody present.
    pub owner: Option<String>,
    /// True where the chain had to go to governance.
    pub unowned: bool,
    /// Every link that was tried, in order.
    pub links: Vec<Link>,
}

/// Goes down the chain of a charter at an instant. `open_incidents` tells how
/// many incidents a user looks after already: a primary at the limit of
/// `max_open` gives way to the backup, and answers nevertheless where the
/// backup cannot, for a busy owner is better than a stranger. Who is in a team
/// that the charter's independence class keeps apart is passed over.
pub fn resolve(
    charter: Option<&Charter>,
    context: &dyn Context,
    at: Timestamp,
    open_incidents: &dyn Fn(&str) -> u32,
) -> Resolution {
    let apart = charter.map(|charter| apart(context, charter)).unwrap_or_default();
    let mut chain = Chain { context, at, open_incidents, apart, links: Vec::new() };
    let found = charter.and_then(|charter| chain.owners(charter));
    match found {
        Some(owner) => Resolution { owner: Some(owner), unowned: false, links: chain.links },
        None => {
            let governance = context.directory_at(at).governance.clone();
            let owner = chain.ask("governance", governance.as_deref());
            Resolution { owner, unowned: true, links: chain.links }
        }
    }
}

/// The same for an incident about `root`. Where no charter is about it, that of
/// the first feature is asked, and the chain begins with why.
pub fn resolve_for(
    root: &str,
    charter: Option<&Charter>,
    context: &dyn Context,
    at: Timestamp,
    open_incidents: &dyn Fn(&str) -> u32,
) -> Resolution {
    let mut resolution = resolve(charter, context, at, open_incidents);
    if let Some(other) = charter.filter(|charter| charter.subject != root) {
        let outcome = format!("no charter is about it: that of {} is asked", other.subject);
        let link = Link { link: "root".to_owned(), tried: Some(root.to_owned()), outcome };
        resolution.links.insert(0, link);
    }
    resolution
}

/// The roles that the independence class of a charter keeps apart from its
/// owner, with who holds them.
fn apart(context: &dyn Context, charter: &Charter) -> Vec<(String, String)> {
    let fields = &charter.fields;
    let policy = context.policy(fields.policy.as_deref().unwrap_or(DEFAULT_POLICY));
    let class = fields.independence.as_deref();
    let rules = policy.zip(class).and_then(|(policy, class)| policy.independence.get(class));
    let roles = rules.map_or(&[][..], |rules| rules.owner_not_in_team_of.as_slice());
    let held = |role: &String| Some((role.clone(), fields.owners.get(role)?.to_owned()));
    roles.iter().filter_map(held).collect()
}

/// Why somebody may not answer although they could: a role that the charter's
/// independence class keeps apart is in a team with them.
pub(crate) fn conflict(
    charter: Option<&Charter>,
    context: &dyn Context,
    user: &str,
    at: Timestamp,
) -> Option<String> {
    let apart = charter.map(|charter| apart(context, charter)).unwrap_or_default();
    in_a_team_with(&apart, context, user, at)
}

fn in_a_team_with(
    apart: &[(String, String)],
    context: &dyn Context,
    user: &str,
    at: Timestamp,
) -> Option<String> {
    let shares = |holder: &str| share_a_team(context, holder, user, at);
    let (role, _) = apart.iter().find(|(_, holder)| shares(holder))?;
    Some(format!("has a conflict of interest: in a team with the {role}"))
}

/// The domain that a charter belongs to: its own or, where it names none, that
/// of its system or of the nearest system above.
pub fn domain_of<'a>(charter: &'a Charter, directory: &'a Directory) -> Option<&'a str> {
    let fields = &charter.fields;
    fields.domain.as_deref().or_else(|| directory.domain_of_system(fields.system.as_deref()?))
}

struct Chain<'a> {
    context: &'a dyn Context,
    at: Timestamp,
    open_incidents: &'a dyn Fn(&str) -> u32,
    /// Roles that whoever answers must not share a team with, and their holders.
    apart: Vec<(String, String)>,
    links: Vec<Link>,
}

impl Chain<'_> {
    fn owners(&mut self, charter: &Charter) -> Option<String> {
        let fields = &charter.fields;
        let (primary, backup) = (fields.owners.primary.as_deref(), fields.owners.backup.as_deref());
        match self.present(primary) {
            Ok(user) => match self.overload(&user) {
                None => return Some(self.notified("primary", primary, user)),
                Some(load) => {
                    self.note("primary", primary, load);
                    if let Ok(second) = self.present(backup)
                        && second != user
                        && self.overload(&second).is_none()
                    {
                        return Some(self.notified("backup", backup, second));
                    }
                    let why = self.present(backup).map_or_else(|why| why, |_| "busy too".into());
                    self.note("backup", backup, why);
                    return Some(self.notified("primary", primary, user));
                }
            },
            Err(why) => self.note("primary", primary, why),
        }
        self.ask("backup", backup)
            .or_else(|| self.view(fields.view.as_deref(), &charter.subject))
            .or_else(|| self.ask("group", fields.group.as_deref()))
            .or_else(|| self.systems(fields.system.as_deref()))
            .or_else(|| self.domains(domain_of(charter, self.context.directory_at(self.at))))
    }

    fn view(&mut self, view: Option<&str>, subject: &str) -> Option<String> {
        let Some(view) = view.filter(|view| *view != subject) else {
            self.note("view", None, "not set".into());
            return None;
        };
        let charter: Option<Arc<Charter>> = self.context.charter(view, self.at);
        match charter.and_then(|charter| charter.fields.owners.primary.clone()) {
            None => {
                self.note("view", Some(view), "has no owner".into());
                None
            }
            Some(owner) => self.ask("view", Some(&owner)),
        }
    }

    fn systems(&mut self, name: Option<&str>) -> Option<String> {
        let directory = self.context.directory_at(self.at);
        self.parents("system", name, |name| {
            directory.systems.get(name).map(|system| (system.owner.clone(), system.parent.clone()))
        })
    }

    fn domains(&mut self, name: Option<&str>) -> Option<String> {
        let directory = self.context.directory_at(self.at);
        self.parents("domain", name, |name| {
            directory.domains.get(name).map(|domain| (domain.owner.clone(), domain.parent.clone()))
        })
    }

    fn parents(
        &mut self,
        link: &str,
        name: Option<&str>,
        find: impl Fn(&str) -> Option<(Option<String>, Option<String>)>,
    ) -> Option<String> {
        let Some(first) = name else {
            self.note(link, None, "not set".into());
            return None;
        };
        let mut name = first.to_owned();
        for _ in 0..PARENTS_MAX {
            let bare = name.rsplit_once(':').map_or(name.as_str(), |(_, bare)| bare).to_owned();
            let Some((owner, parent)) = find(&bare) else {
                self.note(link, Some(&bare), format!("no such {link}"));
                return None;
            };
            match owner {
                None => self.note(link, Some(&bare), "has no owner".into()),
                Some(owner) => {
                    if let Some(user) = self.ask(link, Some(&owner)) {
                        return Some(user);
                    }
                }
            }
            name = parent?;
        }
        None
    }

    fn ask(&mut self, link: &str, name: Option<&str>) -> Option<String> {
        match self.present(name) {
            Ok(user) => Some(self.notified(link, name, user)),
            Err(why) => {
                self.note(link, name, why);
                None
            }
        }
    }

    fn present(&self, name: Option<&str>) -> Result<String, String> {
        let Some(name) = name else { return Err("not set".into()) };
        let barred = |user: &str| self.conflict(user);
        match answering_unless(self.context.directory_at(self.at), name, self.at, &barred) {
            Presence::Present(user) => Ok(user),
            Presence::Nobody(why) => Err(why),
        }
    }

    fn conflict(&self, user: &str) -> Option<String> {
        in_a_team_with(&self.apart, self.context, user, self.at)
    }

    fn overload(&self, user: &str) -> Option<String> {
        let limit = self.context.directory_at(self.at).user(user)?.max_open?;
        let open = (self.open_incidents)(user);
        (open >= limit).then(|| format!("has {open} open incidents, the limit is {limit}"))
    }

    fn notified(&mut self, link: &str, name: Option<&str>, user: String) -> String {
        let outcome =
            if name == Some(user.as_str()) { "answers".into() } else { format!("answers: {user}") };
        self.note(link, name, outcome);
        user
    }

    fn note(&mut self, link: &str, name: Option<&str>, outcome: String) {
        self.links.push(Link { link: link.to_owned(), tried: name.map(str::to_owned), outcome });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use watchkeep_model::charter::CharterFields;

    use super::*;
    use crate::registry::Registry;

    fn told(resolution: &Resolution) -> String {
        let link = |link: &Link| {
            format!("{} {}: {}", link.link, link.tried.as_deref().unwrap_or("-"), link.outcome)
        };
        resolution.links.iter().map(link).collect::<Vec<_>>().join("\n")
    }

    fn registry(directory: serde_json::Value) -> Registry {
        use watchkeep_model::document::{Documents, Located};
        let value: Directory = serde_json::from_value(directory).unwrap();
        let directories = vec![Located { value, ..Located::default() }];
        Registry::of_checked(Documents { directories, ..Documents::default() })
    }

    #[test]
    fn a_system_is_in_the_domain_of_the_system_above() {
        let registry = registry(json!({
            "users": {"ada": {}, "gov": {}},
            "systems": {"part": {"parent": "whole"}, "whole": {"domain": "shop"}},
            "domains": {"shop": {"owner": "user:ada"}},
            "governance": "user:gov"
        }));
        let fields = CharterFields { system: Some("part".into()), ..CharterFields::default() };
        let charter = Charter { subject: "feature:a".into(), fields, ..Charter::default() };
        assert_eq!(domain_of(&charter, registry.directory()), Some("shop"));
        let found = resolve(Some(&charter), &registry, Timestamp::MAX, &|_| 0);
        assert_eq!((found.owner.as_deref(), found.unowned), (Some("user:ada"), false));
        assert!(told(&found).ends_with(
            "system part: has no owner\nsystem whole: has no owner\ndomain user:ada: answers"
        ));
    }

    #[test]
    fn a_root_that_no_charter_is_about_is_told() {
        let registry = registry(json!({"users": {"ada": {}}}));
        let mut charter = Charter { subject: "feature:a".into(), ..Charter::default() };
        charter.fields.owners.primary = Some("user:ada".into());
        let of = |root: &str| {
            told(&resolve_for(root, Some(&charter), &registry, Timestamp::MAX, &|_| 0))
        };
        assert_eq!(of("feature:a"), "primary user:ada: answers");
        assert_eq!(
            of("dataset:d"),
            "root dataset:d: no charter is about it: that of feature:a is asked\n\
             primary user:ada: answers"
        );
    }
}
