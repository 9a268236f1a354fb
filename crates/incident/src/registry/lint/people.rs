//! People who have left and are still named.

use watchkeep_model::charter::Owners;
use watchkeep_model::directory::Directory;
use watchkeep_model::document::Located;

use super::{Folder, Found};

pub(super) fn check(folder: &Folder<'_>, found: &mut Found) {
    let directory = folder.registry.directory();
    for (number, place) in folder.charters.iter().enumerate() {
        let owners = &folder.registry.index.documents[number].fields.owners;
        for role in Owners::ROLES {
            if let Some(name) = owners.get(role) {
                departed(directory, found, place, &format!("owners.{role}"), name);
            }
        }
        let subscribers = folder.registry.index.documents[number].fields.subscribers.iter();
        for (name, path) in subscribers.flatten().zip(place.items("subscribers")) {
            departed(directory, found, place, &path, name);
        }
    }
    for document in folder.directories {
        of_directory(directory, found, document);
    }
    if directory.governance.is_none()
        && let Some(document) = folder.directories.first()
    {
        let message = "a breach that nobody in the owner chain answers for pages nobody";
        let hint = Some("name `governance: group:…`, the last link of every chain".to_owned());
        found.warning(document, "", "no_governance", message, hint);
    }
}

fn of_directory(directory: &Directory, found: &mut Found, document: &Located<Directory>) {
    let value = &document.value;
    for (name, group) in &value.groups {
        if let Some(lead) = &group.lead {
            departed(directory, found, document, &format!("groups.{name}.lead"), lead);
        }
    }
    for (name, schedule) in &value.schedules {
        if schedule.layers.is_empty() && schedule.overrides.is_empty() {
            let field = format!("schedules.{name}");
            empty(found, document, &field, format!("the rota {name} names nobody"));
        }
        let paths = document.items(&format!("schedules.{name}.layers"));
        for (layer, path) in schedule.layers.iter().zip(paths) {
            if layer.users.is_empty() {
                let field = format!("{path}.users");
                empty(found, document, &field, format!("a layer of the rota {name} names nobody"));
            }
            for (user, path) in layer.users.iter().zip(document.items(&format!("{path}.users"))) {
                departed(directory, found, document, &path, user);
            }
        }
    }
    let systems = value.systems.iter().map(|(name, system)| ("systems", name, &system.owner));
    let domains = value.domains.iter().map(|(name, domain)| ("domains", name, &domain.owner));
    for (map, name, owner) in systems.chain(domains) {
        if let Some(owner) = owner {
            departed(directory, found, document, &format!("{map}.{name}.owner"), owner);
        }
    }
    if let Some(name) = &value.governance {
        departed(directory, found, document, "governance", name);
    }
}

fn empty(found: &mut Found, document: &Located<Directory>, field: &str, message: String) {
    let hint = Some("name people as `users: [user:…]`, or take it away".to_owned());
    found.warning(document, field, "empty_rota", message, hint);
}

/// A user who is not active any more, or a group of nobody but such.
fn departed<T>(
    directory: &Directory,
    found: &mut Found,
    document: &Located<T>,
    field: &str,
    name: &str,
) {
    let left = |user: &str| directory.user(user).is_some_and(|user| !user.active);
    let message = match name.split_once(':') {
        Some(("user", _)) if left(name) => format!("{name} is not active any more"),
        Some(("group", _)) => match directory.group(name) {
            Some(group) => {
                let mut people = group.lead.iter().chain(&group.members).peekable();
                if people.peek().is_none() || !people.all(|user| left(user)) {
                    return;
                }
                format!("nobody of {name} is active any more")
            }
            None => return,
        },
        _ => return,
    };
    let hint = Some("name who has taken over".to_owned());
    found.warning(document, field, "departed_owner", message, hint);
}
