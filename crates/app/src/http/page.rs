//! The page: features with owner and verdict, open breaches, incidents and who
//! was paged. One self-contained document that renews itself.

use std::fmt::Write as _;
use std::sync::PoisonError;

use super::App;
use crate::service::view::View;

const STYLE: &str = "body{font:14px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:72rem;\
padding:0 1rem;color:#1c2430;background:#fbfbf9}h1{font-size:1.3rem}h2{font-size:1rem;margin-top:2rem}\
table{border-collapse:collapse;width:100%}th{text-align:left;font-weight:600;color:#5b6675}\
th,td{padding:.25rem .75rem .25rem 0;border-bottom:1px solid #e4e4de;vertical-align:top}\
.bad{color:#a3271b;font-weight:600}.good{color:#22663b}.dim{color:#7b8594}\
td.n{font-variant-numeric:tabular-nums}";

/// The whole document.
pub(super) fn page(app: &App) -> String {
    let view = app.shared.view.lock().unwrap_or_else(PoisonError::into_inner);
    let ready = if app.shared.status.is_ready() { "watching" } else { "restoring" };
    let mut page = String::with_capacity(1 << 14);
    let story =
        if app.is_demo { " — demo: a minute of the story passes in a second" } else { "" };
    // Writing to a string cannot fail, here and below.
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"refresh\" content=\"2\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Watchkeep</title>\
         <style>{STYLE}</style></head><body><h1>Watchkeep <span class=\"dim\">{ready}, {}{story}</span></h1>",
        app.shared.clock.now(),
    );
    incidents(&mut page, &view);
    breaches(&mut page, &view);
    features(&mut page, app, &view);
    pages(&mut page, &view);
    page.push_str(
        "<p class=\"dim\">For programs: <a href=\"/v1/features\">features</a>, \
         <a href=\"/v1/incidents\">incidents</a>, <a href=\"/metrics\">metrics</a>.</p></body></html>",
    );
    page
}

fn incidents(page: &mut String, view: &View) {
    let mut all: Vec<_> = view.incidents.values().collect();
    all.sort_by_key(|incident| (incident.is_over(), std::cmp::Reverse(incident.opened_at)));
    let rows = all.iter().take(20).map(|incident| {
        let paged = incident.paged.last().map_or_else(
            || "nobody yet".to_owned(),
            |paged| format!("{} over {} ({})", paged.target, paged.channel, paged.reason),
        );
        let class = if incident.is_over() { "dim" } else { "bad" };
        vec![
            (class, [&[incident.state], &incident.flags[..]].concat().join(", ")),
            ("", incident.severity.to_owned()),
            ("", format!("{} of {}", incident.kind, incident.root)),
            ("", incident.affected_features.join(", ")),
            ("", incident.owner.clone().unwrap_or_else(|| "nobody".into())),
            ("", incident.step.clone()),
            ("", paged),
            ("dim", incident.opened_at.to_string()),
        ]
    });
    let head = ["state", "severity", "what", "affected", "answers", "step", "paged last", "opened"];
    table(page, "Incidents", &head, rows, "no incident yet");
}

fn breaches(page: &mut String, view: &View) {
    let rows = view.breaches.values().take(50).map(|breach| {
        vec![
            ("bad", breach.feature.clone()),
            ("", breach.expectation.clone()),
            ("", breach.severity.name().to_owned()),
            ("", breach.reason.clone()),
            ("dim", breach.window_end.to_string()),
        ]
    });
    let head = ["feature", "expectation", "severity", "why", "window until"];
    table(page, "Open breaches", &head, rows, "none");
}

fn features(page: &mut String, app: &App, view: &View) {
    let (lines, total) = app.features(view);
    let shown = lines.len();
    let rows = lines.into_iter().map(|line| {
        let class = match line.verdict {
            "bad" => "bad",
            "good" => "good",
            _ => "dim",
        };
        vec![
            ("", line.feature),
            (class, line.verdict.to_owned()),
            ("", line.owner.unwrap_or_else(|| "-".into())),
            ("n", line.count.to_string()),
            ("n", line.null_count.to_string()),
            ("", line.watched_by.join(", ")),
            ("dim", line.window_end.map(|end| end.to_string()).unwrap_or_default()),
        ]
    });
    let head =
        ["feature", "last verdict", "answers now", "count", "nulls", "watched by", "window until"];
    table(page, "Features", &head, rows, "no window is closed yet");
    if shown < total {
        let _ = write!(page, "<p class=\"dim\">{} more are not listed.</p>", total - shown);
    }
}

fn pages(page: &mut String, view: &View) {
    let rows = view.pages.iter().take(20).map(|message| {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        vec![
            ("dim", message.time.to_string()),
            ("", text(&message.target)),
            ("", text(&message.role)),
            ("", text(&message.channel)),
            ("", message.reason.clone()),
            ("", message.summary.clone()),
        ]
    });
    let head = ["at", "who", "as", "over", "why now", "what"];
    table(page, "Latest pages", &head, rows, "nobody was paged yet");
}

fn table(
    page: &mut String,
    title: &str,
    head: &[&str],
    rows: impl Iterator<Item = Vec<(&'static str, String)>>,
    empty: &str,
) {
    let _ = write!(page, "<h2>{title}</h2>");
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        let _ = write!(page, "<p class=\"dim\">{empty}</p>");
        return;
    }
    page.push_str("<table><tr>");
    for name in head {
        let _ = write!(page, "<th>{name}</th>");
    }
    page.push_str("</tr>");
    for row in rows {
        page.push_str("<tr>");
        for (class, text) in row {
            let _ = write!(page, "<td class=\"{class}\">{}</td>", escaped(&text));
        }
        page.push_str("</tr>");
    }
    page.push_str("</table>");
}

/// Names come from telemetry, so from anywhere.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_cannot_become_markup() {
        assert_eq!(super::escaped("<b a='\"&'>"), "&lt;b a=&#39;&quot;&amp;&#39;&gt;");
    }
}
