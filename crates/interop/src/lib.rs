//! Formats of other programs, both ways: registries and lineage in, alerts out.
//!
//! Nothing is translated yet. What other programs can read already is written
//! where the facts are: escalations carry CloudEvents attributes as record
//! headers (`ce_…`) and as the first fields of their JSON, in PagerDuty's words.
//! Backstage, ODCS, Feast, CODEOWNERS, OpenLineage and dbt on the way in, and
//! PagerDuty, Alertmanager and webhooks on the way out, get a module each when
//! they come; until then configuration and charter folders refuse them by name.
