//! Names of DataHub: `urn:li:dataset:(urn:li:dataPlatform:hive,raw.orders,PROD)`.

/// Types of entities that are subjects, with the type they are; the first of a
/// type is written. `(entity type, type of subject, aspect with its properties)`
pub(super) const ENTITIES: [(&str, &str, &str); 9] = [
    ("dataset", "dataset", "datasetProperties"),
    ("dataJob", "pipeline", "dataJobInfo"),
    ("dataFlow", "pipeline", "dataFlowInfo"),
    ("mlFeature", "feature", "mlFeatureProperties"),
    ("mlFeatureTable", "view", "mlFeatureTableProperties"),
    ("mlModel", "model", "mlModelProperties"),
    ("dashboard", "dashboard", "dashboardInfo"),
    ("chart", "dashboard", "chartInfo"),
    ("dataProduct", "service", "dataProductProperties"),
];

/// The platform and environment of what is written.
pub(super) const PLATFORM: &str = "watchkeep";
pub(super) const ENVIRONMENT: &str = "PROD";

/// Type and parts of an urn; brackets within brackets are one part.
pub(super) fn parse(urn: &str) -> Option<(&str, Vec<&str>)> {
    let (kind, rest) = urn.strip_prefix("urn:li:")?.split_once(':')?;
    let Some(inner) = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else {
        return (!rest.is_empty()).then(|| (kind, vec![rest]));
    };
    let (mut parts, mut depth, mut start) = (Vec::new(), 0u32, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => {
                parts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    Some((kind, parts))
}

/// The subject that an urn means, and the type of the entity.
pub(super) fn subject(urn: &str) -> Option<(String, &'static str)> {
    let (kind, parts) = parse(urn)?;
    let (entity, subject, _) = ENTITIES.iter().find(|(entity, ..)| *entity == kind)?;
    let name = match (*entity, &parts[..]) {
        // Platform, name, environment.
        ("dataset" | "mlModel", [platform, name, environment]) => {
            if *environment == ENVIRONMENT && is_ours(platform) {
                (*name).to_owned()
            } else {
                let platform = platform.rsplit(':').next().unwrap_or_default();
                match *environment {
                    ENVIRONMENT => format!("{platform}/{name}"),
                    other => format!("{platform}/{name}/{}", other.to_ascii_lowercase()),
                }
            }
        }
        // The flow's urn, and the job.
        ("dataJob", [flow, job]) => {
            let (_, parts) = parse(flow)?;
            match parts[..] {
                [PLATFORM, PLATFORM, _] => (*job).to_owned(),
                [_, flow, _] => format!("{flow}.{job}"),
                _ => return None,
            }
        }
        ("dataFlow", [_, flow, _]) => (*flow).to_owned(),
        ("mlFeature", [table, name]) if *table == PLATFORM => (*name).to_owned(),
        ("mlFeature", [table, name]) => format!("{table}.{name}"),
        ("mlFeatureTable" | "dashboard" | "chart", [platform, name]) => {
            if is_ours(platform) || !platform.starts_with("urn:") {
                (*name).to_owned()
            } else {
                format!("{}/{name}", platform.rsplit(':').next().unwrap_or_default())
            }
        }
        ("dataProduct", [name]) => (*name).to_owned(),
        _ => return None,
    };
    (!name.is_empty()).then(|| (format!("{subject}:{name}"), *entity))
}

fn is_ours(platform: &str) -> bool {
    platform == format!("urn:li:dataPlatform:{PLATFORM}")
}

/// The urn that a subject is written with, and the type of the entity.
pub(super) fn of(kind: &str, name: &str) -> Option<(String, &'static str)> {
    let (entity, ..) = ENTITIES.iter().find(|(_, subject, _)| *subject == kind)?;
    let platform = format!("urn:li:dataPlatform:{PLATFORM}");
    let urn = match *entity {
        "dataset" | "mlModel" => format!("urn:li:{entity}:({platform},{name},{ENVIRONMENT})"),
        "dataJob" => {
            format!("urn:li:dataJob:(urn:li:dataFlow:({PLATFORM},{PLATFORM},{ENVIRONMENT}),{name})")
        }
        "mlFeature" => format!("urn:li:mlFeature:({PLATFORM},{name})"),
        "mlFeatureTable" => format!("urn:li:mlFeatureTable:({platform},{name})"),
        "dashboard" => format!("urn:li:dashboard:({PLATFORM},{name})"),
        _ => format!("urn:li:{entity}:{name}"),
    };
    Some((urn, entity))
}

/// The typed name of an owner.
pub(super) fn person(urn: &str) -> Option<String> {
    match parse(urn)? {
        ("corpuser", parts) => Some(format!("user:{}", parts.join(","))),
        ("corpGroup", parts) => Some(format!("group:{}", parts.join(","))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urns_are_subjects() {
        let of = |urn: &str| subject(urn).map_or("-".to_owned(), |(name, _)| name);
        for (urn, expected) in [
            (
                "urn:li:dataset:(urn:li:dataPlatform:hive,raw.orders,PROD)",
                "dataset:hive/raw.orders",
            ),
            ("urn:li:dataset:(urn:li:dataPlatform:s3,a,DEV)", "dataset:s3/a/dev"),
            (
                "urn:li:dataset:(urn:li:dataPlatform:watchkeep,raw.orders,PROD)",
                "dataset:raw.orders",
            ),
            ("urn:li:dataJob:(urn:li:dataFlow:(airflow,orders,prod),load)", "pipeline:orders.load"),
            ("urn:li:mlFeature:(drivers,rate)", "feature:drivers.rate"),
            ("urn:li:dashboard:(looker,sales)", "dashboard:sales"),
            ("urn:li:tag:pii", "-"),
            ("urn:li:dataset:(a,b)", "-"),
            ("nonsense", "-"),
        ] {
            assert_eq!(of(urn), expected, "{urn}");
        }
    }
}
