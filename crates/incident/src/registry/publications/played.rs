//! Commands about charters over a folder, as if it had been published: for a
//! replay, which has files and responses and no topic.

use std::collections::BTreeMap;

use watchkeep_model::charter::CharterDocument;
use watchkeep_model::document::Documents;
use watchkeep_model::response::Response;
use watchkeep_model::revision::{PublicationSize, Revision, RevisionKind};
use watchkeep_model::time::TimeSpan;

use super::decide::Desk;
use super::{Contents, Publications, Taken, changes};
use crate::registry::Registry;
use crate::registry::index::ALWAYS;

/// Who published the folder.
const FOLDER: &str = "system:folder";

/// What came of commands over a folder.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// The folder with what was approved, each change from its approval on.
    pub documents: Documents,
    /// The rules that forbade commands, by the command's identifier.
    pub forbidden: BTreeMap<String, String>,
}

/// Decides commands at their own time, in its order. `read` gives the documents
/// of a proposal, or what is wrong with them.
pub fn played<'r>(
    folder: &Documents,
    commands: impl IntoIterator<Item = &'r Response>,
    pane: TimeSpan,
    read: &dyn Fn(&Response) -> Result<Vec<CharterDocument>, String>,
) -> Played {
    let mut topic = Topic::of(folder);
    let mut commands: Vec<&Response> = commands.into_iter().collect();
    commands.sort_by_key(|command| command.at);
    let mut forbidden = BTreeMap::new();
    for command in commands {
        let registry = Registry::of_checked(topic.publications.newest().documents());
        let desk = Desk { publications: &topic.publications, registry: &registry, pane };
        match desk.decide(command, read(command), command.at) {
            Ok(decided) => decided.revisions.into_iter().for_each(|fact| topic.take(fact)),
            Err(rule) => _ = forbidden.insert(command.id(), rule.to_string()),
        }
    }
    Played { documents: topic.publications.newest().documents(), forbidden }
}

/// What would be the charters topic.
struct Topic {
    publications: Publications,
    next: i64,
}

impl Topic {
    /// The folder as the first publication, which is in force always.
    fn of(folder: &Documents) -> Self {
        let mut topic = Self { publications: Publications::default(), next: 0 };
        let fact = |kind, name: &str, content| Revision {
            publication: FOLDER.to_owned(),
            kind,
            name: name.to_owned(),
            at: ALWAYS,
            by: FOLDER.to_owned(),
            effective_from: None,
            base: None,
            change_ticket: None,
            rationale: None,
            cause: None,
            content,
        };
        let mut size = PublicationSize::default();
        for difference in changes(&Contents::default(), folder, true) {
            let fact = fact(difference.kind, &difference.name, difference.after);
            if fact.kind == RevisionKind::Policy {
                size.policies += 1;
                topic.publications.take_policy(fact);
            } else {
                size.charters += 1;
                topic.take(fact);
            }
        }
        let base = topic.publications.head();
        let content = serde_json::to_value(size).unwrap_or_default();
        let head = fact(RevisionKind::Publication, FOLDER, content);
        topic.take(Revision { base: Some(base), ..head });
        topic
    }

    fn take(&mut self, fact: Revision) {
        let taken = self.publications.take(self.next, fact);
        debug_assert_eq!(taken, Taken::Yes, "there is one writer");
        self.next += 1;
    }
}
