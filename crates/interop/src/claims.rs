//! Which files of a folder are of a format, by a look at their text. A repository
//! holds many that are not: a folder is searched for those that are, and a file
//! that somebody names is read whatever it looks like.

use crate::{Format, Source};

/// Files of dbt that have fields of a properties file and set up a project.
const OF_DBT_PROJECTS: [&str; 5] =
    ["dbt_project", "packages", "dependencies", "profiles", "selectors"];

/// What a properties file of dbt describes, at the beginning of a line.
const OF_DBT_PROPERTIES: [&str; 6] =
    ["models:", "sources:", "seeds:", "snapshots:", "exposures:", "groups:"];

/// Members of which one is in each file of a format of JSON.
const OF_FEAST: [&str; 6] = [
    "\"featureViews\"",
    "\"onDemandFeatureViews\"",
    "\"streamFeatureViews\"",
    "\"dataSources\"",
    "\"featureServices\"",
    "\"entities\"",
];
const OF_DATAHUB: [&str; 2] = ["\"entityUrn\"", "\"proposedSnapshot\""];
const OF_OPENMETADATA: [&str; 3] =
    ["\"fullyQualifiedName\"", "\"upstreamEdges\"", "\"entityType\""];

impl Format {
    /// True where a file that was found in a folder looks like one of the format.
    pub fn claims(self, source: &Source) -> bool {
        let text = String::from_utf8_lossy(&source.bytes);
        let name = source.name.rsplit(['/', '\\']).next().unwrap_or_default();
        match self {
            // Found by its name alone.
            Self::Codeowners => true,
            Self::Backstage => is_of_backstage(name, &text),
            Self::Odcs => name.contains(".odcs.") || has_field(&text, "kind", "DataContract"),
            Self::Dbt => is_of_dbt(name, &text),
            Self::Feast => OF_FEAST.iter().any(|member| text.contains(member)),
            Self::Openlineage => text.contains("\"eventTime\""),
            Self::Datahub => OF_DATAHUB.iter().any(|member| text.contains(member)),
            Self::Openmetadata => OF_OPENMETADATA.iter().any(|member| text.contains(member)),
        }
    }
}

/// An entity, and no skeleton of which the scaffolder makes one.
fn is_of_backstage(name: &str, text: &str) -> bool {
    let is_named = ["catalog-info.yaml", "catalog-info.yml"].contains(&name);
    let is_skeleton = text.contains("${{");
    (is_named || has_field(text, "apiVersion", "backstage.io/")) && !is_skeleton
}

fn is_of_dbt(name: &str, text: &str) -> bool {
    if name.ends_with(".json") {
        let version = text.split_once("\"dbt_schema_version\"").map(|(_, rest)| rest);
        let url = version.and_then(|rest| rest.split('"').nth(1));
        return url.is_some_and(|url| url.contains("/manifest/") || url.contains("/sources/"));
    }
    let stem = name.trim_end_matches(".yaml").trim_end_matches(".yml");
    let is_of_project = OF_DBT_PROJECTS.contains(&stem);
    // Rules of Prometheus are in groups, too; those of dbt have owners.
    let is_meant = |key: &str| key != "groups:" || text.contains("owner:");
    let describes =
        |line: &str| OF_DBT_PROPERTIES.iter().any(|key| line.starts_with(key) && is_meant(key));
    !is_of_project && lines(text).any(describes)
}

/// True where a line has a field and a value in it.
fn has_field(text: &str, field: &str, value: &str) -> bool {
    lines(text).any(|line| line.contains(field) && line.contains(value))
}

/// Lines without what an editor puts before the first.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.trim_start_matches('\u{feff}').lines()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(format: Format, name: &str, text: &str) -> bool {
        format.claims(&Source { name: name.into(), bytes: text.into() })
    }

    #[test]
    fn files_of_a_repository_are_told_apart() {
        let entity = "# ours\napiVersion: backstage.io/v1alpha1\nkind: Component\n";
        assert!(claims(Format::Backstage, "a/x.yaml", entity));
        assert!(claims(
            Format::Backstage,
            "a/x.yaml",
            "{\"apiVersion\": \"backstage.io/v1beta1\"}"
        ));
        let template = "apiVersion: scaffolder.backstage.io/v1beta3\nkind: Template\n";
        assert!(claims(Format::Backstage, "t.yaml", template), "it is told of by its kind");
        assert!(claims(Format::Backstage, "x/catalog-info.yaml", "kind: Component\n"));
        for other in [
            "openapi: 3.0.0\n",
            "apiVersion: apps/v1\nkind: Deployment\n",
            "Resources:\n  a: !Ref b\n",
            "apiVersion: backstage.io/v1alpha1\nmetadata:\n  name: ${{ values.name }}\n",
        ] {
            assert!(!claims(Format::Backstage, "a.yaml", other), "{other}");
        }
        assert!(claims(Format::Odcs, "c.yaml", "kind: \"DataContract\"\napiVersion: v3.0.2\n"));
        assert!(claims(Format::Odcs, "c.odcs.yaml", "id: x\n"));
        assert!(!claims(Format::Odcs, "c.yaml", "kind: Deployment\n"));
        assert!(claims(Format::Dbt, "models/_models.yml", "version: 2\nmodels:\n  - name: a\n"));
        for (name, other) in [
            ("dbt_project.yml", "name: shop\nmodels:\n  shop: {}\n"),
            ("Taskfile.yml", "version: '3'\ntasks: {}\n"),
            ("alerts.yml", "groups:\n  - name: a\n    rules: []\n"),
            ("package.json", "{\"name\": \"x\"}"),
            (
                "target/run_results.json",
                "{\"dbt_schema_version\": \"https://x/dbt/run-results/v6.json\"}",
            ),
        ] {
            assert!(!claims(Format::Dbt, name, other), "{name}");
        }
        let manifest =
            "{\"metadata\":{\"dbt_schema_version\": \"https://x/dbt/manifest/v12.json\"}}";
        assert!(claims(Format::Dbt, "target/manifest.json", manifest));
        assert!(claims(Format::Codeowners, ".github/CODEOWNERS", ""));
        assert!(claims(Format::Openlineage, "r.ndjson", "{\"eventTime\":1,\"producer\":\"p\"}"));
        for (format, other) in [
            (Format::Feast, "{\"a\":1}"),
            (Format::Openlineage, "{\"feature\":\"x\",\"event_time\":1}"),
            (Format::Datahub, "[]"),
            (Format::Openmetadata, "{}"),
        ] {
            assert!(!claims(format, "x.json", other), "{}", format.name());
        }
    }
}
