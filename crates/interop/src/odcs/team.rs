//! Teams and their members as owners, and the other way round.

use serde_json::{Map, Value, json};
use watchkeep_model::charter::Owners;
use watchkeep_model::directory::{Contact, Group, User};

use crate::catalog::split;
use crate::gather::{Gathering, is_name};
use crate::item::At;

/// Roles of members by the role of a charter; the first is written.
const ROLES: [(&str, &[&str]); 7] = [
    ("primary", &["owner", "data owner", "product owner", "data product owner", "primary"]),
    ("backup", &["backup", "deputy", "co-owner", "backup owner"]),
    ("data_steward", &["data steward", "steward"]),
    ("architect", &["architect", "data architect"]),
    ("business_owner", &["business owner"]),
    ("reviewer", &["reviewer"]),
    ("executive", &["executive", "sponsor", "executive sponsor"]),
];

/// What a contract's team comes to.
#[derive(Debug, Default)]
pub(super) struct Team {
    pub(super) owners: Map<String, Value>,
    pub(super) group: Option<String>,
}

/// Reads `team`: a list of members (3.0) or a name with members (3.1).
pub(super) fn read(file: &str, contract: &At<'_>, gathered: &mut Gathering) -> Team {
    let mut team = Team::default();
    let Some(at) = contract.get("team") else { return team };
    let is_list = matches!(at.item.value, crate::item::Value::List(_));
    let members = if is_list { at.items() } else { at.list("members") };
    let mut users = Vec::new();
    for member in members {
        // Version 3.0 also had lists of teams.
        if member.item.peek("members").is_some() {
            member.lost("a contract has one team");
            continue;
        }
        let Some(username) = member.required("username") else { continue };
        if !is_name(&member, &username) {
            continue;
        }
        let is_typed = matches!(split(&username).0, "user" | "group" | "schedule");
        let name = if is_typed { username.clone() } else { format!("user:{username}") };
        if let Some(out) = member.text("dateOut") {
            member.lost(&format!("left the team on {out}"));
            continue;
        }
        if let Some(bare) = name.strip_prefix("user:") {
            let mut user = User { name: member.text("name"), ..User::default() };
            if bare.contains('@') {
                user.contacts.push(Contact { tool: "email".into(), to: bare.to_owned() });
            }
            gathered.user(file, &member, bare, user);
            users.push(name.clone());
        }
        let Some(written) = member.text("role") else { continue };
        let role = written.to_ascii_lowercase().replace(['_', '-'], " ");
        let known = ROLES.iter().find(|(_, roles)| roles.contains(&role.as_str()));
        match known {
            Some((role, _)) if !team.owners.contains_key(*role) => {
                team.owners.insert((*role).to_owned(), name.into());
            }
            Some(_) => member.lose("role", "a charter has one holder of each role"),
            None => member.lose("role", "a charter has no such role"),
        }
    }
    if is_list {
        return team;
    }
    if let Some(name) = at.text("name") {
        if !is_name(&at, &name) {
            return team;
        }
        gathered.group(file, &at, &name, Group { lead: None, members: users });
        let group = format!("group:{name}");
        if !team.owners.contains_key("primary") {
            at.assumed("team", "the team owns what none of its members does");
            team.owners.insert("primary".into(), group.clone().into());
        }
        team.group = Some(group);
    }
    team
}

/// Writes owners and group as a team; nothing where there is neither.
pub(super) fn write(
    owners: &Owners,
    group: Option<&str>,
    name_of: impl Fn(&str) -> Option<String>,
) -> Option<Value> {
    let mut members = Vec::new();
    for (role, words) in ROLES {
        if let Some(holder) = owners.get(role) {
            let bare = holder.strip_prefix("user:").filter(|bare| split(bare).0.is_empty());
            let mut member = json!({"username": bare.unwrap_or(holder), "role": words[0]});
            if let Some(name) = bare.and_then(&name_of) {
                member["name"] = name.into();
            }
            members.push(member);
        }
    }
    let mut team = Map::new();
    if let Some(group) = group {
        team.insert("name".into(), split(group).1.into());
    }
    if !members.is_empty() {
        team.insert("members".into(), members.into());
    }
    (!team.is_empty()).then_some(Value::Object(team))
}
