//! Run events as facts of the lineage: what they show of jobs and datasets at
//! their time, for whoever looks for what is to blame.
//!
//! Facets that are read: `errorMessage` of runs, `ownership` of jobs and
//! datasets, and of datasets `dataQualityAssertions`, `schema`,
//! `outputStatistics`, `dataQualityMetrics` and `symlinks`. The others say
//! nothing about who is to blame. Statistics are read as checks: that there are
//! rows, that a column is not empty, that it is there and of which type.

use std::collections::BTreeMap;

use serde::Deserialize;
use watchkeep_model::lineage::{
    Assertion, COLUMN_HAS_TYPE, COLUMN_IS_THERE, Ownership, ROWS_ARE_THERE, RunEvent, RunState,
    ShownRun, VALUES_ARE_THERE,
};
use watchkeep_model::subject::has_type;
use watchkeep_model::time::Timestamp;

use super::bare;

/// Bytes of one event. Events with columns of wide tables are large; a larger
/// one is a mistake.
pub const EVENT_BYTES_MAX: usize = 16 << 20;

/// Characters of an error message that are kept.
const MESSAGE_CHARS_MAX: usize = 500;

/// Columns of a dataset that are looked at; further ones are not.
const COLUMNS_MAX: usize = 500;

/// Other names of a dataset that are looked at.
const ALIASES_MAX: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    event_type: Option<String>,
    event_time: Option<String>,
    run: Option<Run>,
    job: Option<Job>,
    dataset: Option<Dataset>,
    #[serde(default)]
    inputs: Vec<Dataset>,
    #[serde(default)]
    outputs: Vec<Dataset>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    run_id: String,
    #[serde(default)]
    facets: Facets,
}

#[derive(Deserialize)]
struct Job {
    #[serde(default)]
    namespace: String,
    name: String,
    #[serde(default)]
    facets: Facets,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dataset {
    #[serde(default)]
    namespace: String,
    name: String,
    #[serde(default)]
    facets: Facets,
    #[serde(default)]
    input_facets: Facets,
    #[serde(default)]
    output_facets: Facets,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Facets {
    error_message: Option<ErrorMessage>,
    ownership: Option<OwnershipFacet>,
    data_quality_assertions: Option<AssertionsFacet>,
    schema: Option<SchemaFacet>,
    output_statistics: Option<Statistics>,
    data_quality_metrics: Option<Statistics>,
    symlinks: Option<Symlinks>,
}

#[derive(Deserialize)]
struct SchemaFacet {
    #[serde(default)]
    fields: Vec<Field>,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    r#type: Option<String>,
}

impl Field {
    /// The type without its size and in one spelling: a text may become longer.
    fn kind(&self) -> Option<String> {
        let kind = self.r#type.as_deref()?;
        let kind = kind.split('(').next().unwrap_or(kind).trim().to_ascii_lowercase();
        (!kind.is_empty()).then_some(kind)
    }
}

/// How much there is, as far as a run tells.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statistics {
    row_count: Option<u64>,
    #[serde(default)]
    column_metrics: BTreeMap<String, ColumnMetrics>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ColumnMetrics {
    null_count: Option<u64>,
}

/// Other names of the same dataset.
#[derive(Deserialize)]
struct Symlinks {
    #[serde(default)]
    identifiers: Vec<Identifier>,
}

#[derive(Deserialize)]
struct Identifier {
    #[serde(default)]
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
struct ErrorMessage {
    message: String,
}

#[derive(Deserialize)]
struct OwnershipFacet {
    #[serde(default)]
    owners: Vec<Owner>,
}

#[derive(Deserialize)]
struct Owner {
    name: String,
    r#type: Option<String>,
}

#[derive(Deserialize)]
struct AssertionsFacet {
    #[serde(default)]
    assertions: Vec<AssertionRead>,
}

#[derive(Deserialize)]
struct AssertionRead {
    assertion: String,
    success: bool,
    column: Option<String>,
    severity: Option<String>,
}

impl AssertionRead {
    /// False where whoever wrote the check wants to be warned only.
    fn is_grave(&self) -> bool {
        let severity = self.severity.as_deref().unwrap_or_default();
        !["warn", "warning", "info"].iter().any(|light| severity.eq_ignore_ascii_case(light))
    }
}

/// Reads one event. `is_known` tells which typed names the charters and
/// lineage documents use: a job or dataset is that one of them which has its
/// name, its namespace and name with a dot or a slash between, or its name
/// with its type; else what an import calls
/// it, its namespace and name with a slash.
///
/// # Errors
/// What is missing or wrong, in a sentence.
pub fn run_event(line: &[u8], is_known: &dyn Fn(&str) -> bool) -> Result<RunEvent, String> {
    Ok(shown_run(line)?.known_as(is_known))
}

/// Reads one event, whose nodes may get the names of charters later.
///
/// # Errors
/// What is missing or wrong, in a sentence.
pub fn shown_run(line: &[u8]) -> Result<ShownRun, String> {
    if line.len() > EVENT_BYTES_MAX {
        return Err(format!("the event has more than {} MiB", EVENT_BYTES_MAX >> 20));
    }
    let event: Event = serde_json::from_slice(line)
        .map_err(|error| format!("this is no OpenLineage event: {error}"))?;
    let at = event.event_time.as_deref().ok_or("the event has no `eventTime`")?;
    let at: Timestamp = at.parse().map_err(|_| {
        format!("`eventTime` is not an instant such as 2024-05-01T12:00:00Z: `{at}`")
    })?;
    let state = match event.event_type.as_deref() {
        Some("START" | "RUNNING") => RunState::Started,
        Some("COMPLETE") => RunState::Completed,
        Some("FAIL") => RunState::Failed,
        Some("ABORT") => RunState::Aborted,
        // Job and dataset events, which have no run, describe and no more.
        Some("OTHER") | None => RunState::Other,
        Some(other) => {
            return Err(format!(
                "`eventType` is one of START, RUNNING, COMPLETE, FAIL, ABORT, OTHER: `{other}`"
            ));
        }
    };
    if event.job.is_none() && event.dataset.is_none() {
        return Err("the event has neither a `job` nor a `dataset`".into());
    }
    if event.run.is_none() && state != RunState::Other {
        return Err("the event has an `eventType` and no `run`".into());
    }
    let event_of_run = RunEvent {
        at,
        job: String::new(),
        run: event.run.as_ref().map(|run| run.run_id.clone()).unwrap_or_default(),
        state,
        message: None,
        inputs: Vec::new(),
        outputs: Vec::new(),
        assertions: Vec::new(),
        owners: Vec::new(),
    };
    let (other_names, same_as) = (BTreeMap::new(), BTreeMap::new());
    let mut shown = ShownRun { event: event_of_run, other_names, same_as };
    let failed = event.run.and_then(|run| run.facets.error_message);
    shown.event.message =
        failed.map(|error| error.message.chars().take(MESSAGE_CHARS_MAX).collect());
    if let Some(job) = event.job {
        let node = named(&mut shown, "pipeline", &job.namespace, &job.name);
        own(&mut shown, &node, job.facets.ownership);
        shown.event.job = node;
    }
    for input in event.inputs {
        let node = dataset(&mut shown, input);
        shown.event.inputs.push(node);
    }
    for output in event.outputs {
        let node = dataset(&mut shown, output);
        shown.event.outputs.push(node);
    }
    if let Some(described) = event.dataset {
        let node = dataset(&mut shown, described);
        if shown.event.job.is_empty() {
            // The fact is about a node; it has no job to tell of.
            shown.event.job = node;
        }
    }
    Ok(shown)
}

/// The node of a dataset, after taking what its facets say.
fn dataset(shown: &mut ShownRun, dataset: Dataset) -> String {
    let is_typed = has_type(&dataset.name);
    let node = named(shown, "dataset", &dataset.namespace, &dataset.name);
    for facets in [dataset.facets, dataset.input_facets, dataset.output_facets] {
        own(shown, &node, facets.ownership);
        let aliases = facets.symlinks.map(|facet| facet.identifiers).unwrap_or_default();
        for Identifier { namespace, name } in aliases.iter().take(ALIASES_MAX) {
            let forms = forms("dataset", namespace, name);
            shown.other_names.entry(node.clone()).or_default().extend(forms);
            if !is_typed && !namespace.is_empty() {
                let same = format!("dataset:{}", bare(namespace, name));
                shown.same_as.entry(node.clone()).or_default().push(same);
            }
        }
        let mut check = |assertion: &str, column: Option<String>, success| {
            let assertion = assertion.to_owned();
            shown.event.assertions.push(Assertion {
                node: node.clone(),
                assertion,
                column,
                success,
            });
        };
        let fields = facets.schema.map(|facet| facet.fields).unwrap_or_default();
        for field in fields.into_iter().take(COLUMNS_MAX) {
            if let Some(kind) = field.kind() {
                check(&format!("{COLUMN_HAS_TYPE}{kind}"), Some(field.name.clone()), true);
            }
            check(COLUMN_IS_THERE, Some(field.name), true);
        }
        for statistics in facets.output_statistics.into_iter().chain(facets.data_quality_metrics) {
            let Some(rows) = statistics.row_count else { continue };
            check(ROWS_ARE_THERE, None, rows > 0);
            for (column, metrics) in statistics.column_metrics.into_iter().take(COLUMNS_MAX) {
                if let Some(nulls) = metrics.null_count.filter(|_| rows > 0) {
                    check(VALUES_ARE_THERE, Some(column), nulls < rows);
                }
            }
        }
        let checks = facets.data_quality_assertions.map(|facet| facet.assertions);
        let checks = checks.unwrap_or_default().into_iter().filter(AssertionRead::is_grave);
        for AssertionRead { assertion, success, column, .. } in checks {
            let check = Assertion { node: node.clone(), assertion, column, success };
            shown.event.assertions.push(check);
        }
    }
    node
}

fn own(shown: &mut ShownRun, node: &str, facet: Option<OwnershipFacet>) {
    for Owner { name, r#type } in facet.map(|facet| facet.owners).unwrap_or_default() {
        shown.event.owners.push(Ownership { node: node.to_owned(), owner: name, role: r#type });
    }
}

/// What a job or dataset is called where nobody knows it; what else it may be
/// called is noted.
fn named(shown: &mut ShownRun, kind: &str, namespace: &str, name: &str) -> String {
    if has_type(name) {
        return name.to_owned();
    }
    let node = if namespace.is_empty() {
        format!("{kind}:{name}")
    } else {
        format!("{kind}:{}", bare(namespace, name))
    };
    shown.other_names.entry(node.clone()).or_insert_with(|| forms(kind, namespace, name));
    node
}

/// Typed names that charters may have for a job or dataset.
fn forms(kind: &str, namespace: &str, name: &str) -> Vec<String> {
    let kinds: &[&str] = if kind == "dataset" {
        &["dataset", "view", "feature", "model", "dashboard"]
    } else {
        &[kind]
    };
    let forms = kinds.iter().flat_map(|kind| {
        [
            format!("{kind}:{name}"),
            format!("{kind}:{namespace}.{name}"),
            format!("{kind}:{namespace}/{name}"),
        ]
    });
    forms.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<RunEvent, String> {
        run_event(line.as_bytes(), &|name| ["dataset:bts.on_time", "view:status"].contains(&name))
    }

    #[test]
    fn a_failed_run_says_what_it_reads_writes_and_what_went_wrong() {
        let event = read(
            r#"{"eventType":"FAIL","eventTime":"2024-05-01T14:00:00+02:00","producer":"x","schemaURL":"y",
            "run":{"runId":"r1","facets":{"errorMessage":{"message":"disk full","programmingLanguage":"SQL"},"other":{}}},
            "job":{"namespace":"airflow","name":"hourly","facets":{"ownership":{"owners":[{"name":"team:data","type":"MAINTAINER"}]}}},
            "inputs":[{"namespace":"bts","name":"on_time","inputFacets":{"dataQualityAssertions":{"assertions":[{"assertion":"not_null","success":false,"column":"tail"}]}}}],
            "outputs":[{"namespace":"pg","name":"status","facets":{"schema":{"fields":[]}}},{"namespace":"pg","name":"new"}]}"#,
        )
        .unwrap();
        assert_eq!(event.at, "2024-05-01T12:00:00Z".parse().unwrap());
        assert_eq!((event.job.as_str(), event.run.as_str()), ("pipeline:airflow/hourly", "r1"));
        assert_eq!((event.state, event.message.as_deref()), (RunState::Failed, Some("disk full")));
        assert_eq!(event.inputs, ["dataset:bts.on_time"]);
        assert_eq!(event.outputs, ["view:status", "dataset:pg/new"]);
        assert_eq!(event.assertions[0].node, "dataset:bts.on_time");
        assert_eq!(event.owners[0].owner, "team:data");
    }

    #[test]
    fn statistics_and_schemas_are_checks_and_symlinks_names() {
        let event = read(
            r#"{"eventType":"COMPLETE","eventTime":"2024-05-01T12:00:00Z","run":{"runId":"r1"},"job":{"namespace":"a","name":"b"},
            "inputs":[{"namespace":"s3://x","name":"a/b","facets":{"symlinks":{"identifiers":[{"namespace":"bts","name":"on_time","type":"TABLE"}]}},
              "inputFacets":{"dataQualityMetrics":{"rowCount":9,"columnMetrics":{"tail":{"nullCount":9},"origin":{"nullCount":1}}}}}],
            "outputs":[{"namespace":"pg","name":"status","facets":{"schema":{"fields":[{"name":"tail","type":"text"}]}},"outputFacets":{"outputStatistics":{"rowCount":0,"size":1}}}]}"#,
        )
        .unwrap();
        assert_eq!(event.inputs, ["dataset:bts.on_time"]);
        let told = |a: &Assertion| {
            format!("{} {} {:?} {}", a.node, a.assertion, a.column.as_deref(), a.success)
        };
        let told: Vec<String> = event.assertions.iter().map(told).collect();
        assert_eq!(
            told,
            [
                "dataset:bts.on_time there are rows None true",
                "dataset:bts.on_time there are values Some(\"origin\") true",
                "dataset:bts.on_time there are values Some(\"tail\") false",
                "view:status column has type text Some(\"tail\") true",
                "view:status column is there Some(\"tail\") true",
                "view:status there are rows None false",
            ]
        );
    }

    #[test]
    fn events_without_a_run_describe() {
        let event = read(
            r#"{"eventTime":"2024-05-01T12:00:00Z","dataset":{"namespace":"bts","name":"on_time","facets":{"ownership":{"owners":[{"name":"ada"}]}}}}"#,
        )
        .unwrap();
        assert_eq!((event.job.as_str(), event.state), ("dataset:bts.on_time", RunState::Other));
        assert_eq!(event.owners[0].node, "dataset:bts.on_time");
    }

    #[test]
    fn what_is_no_event_is_refused_with_the_reason() {
        let why = |line: &str| read(line).unwrap_err();
        assert!(why("{").contains("no OpenLineage event"));
        assert!(why("{}").contains("`eventTime`"));
        assert!(why(r#"{"eventTime":"yesterday"}"#).contains("not an instant"));
        assert!(why(r#"{"eventTime":"2024-05-01T12:00:00Z"}"#).contains("neither"));
        let job = r#""job":{"namespace":"a","name":"b"}"#;
        let with =
            |more: &str| why(&format!(r#"{{"eventTime":"2024-05-01T12:00:00Z",{more}{job}}}"#));
        assert!(with(r#""eventType":"DONE","#).contains("one of START"));
        assert!(with(r#""eventType":"START","#).contains("no `run`"));
    }
}
