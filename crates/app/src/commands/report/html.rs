//! A report as one HTML page that needs nothing from elsewhere: no script, no
//! style sheet, no font. It reads on paper, in the dark and aloud.

use std::fmt::Write as _;

use super::charts::Chart;
use super::page::Section;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --line: #c9ced6; --faint: #f3f5f8;
  --one: #1f5fae; --two: #b3541e; --three: #6b4fa0; --four: #2e7d32; --grey: #6b7480; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --paper: #14171b; --line: #434a54;
  --faint: #1e2329; --one: #7fb2f0; --two: #f0a06a; --three: #bda5ea; --four: #86cf8a; --grey: #9aa3ae; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 72rem; margin: 0 auto; padding: 1rem 1.5rem 4rem; }
h1 { font-size: 1.7rem; margin-bottom: 0; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1rem; padding: 0; list-style: none; }
a { color: var(--one); } a:focus-visible { outline: 3px solid var(--two); outline-offset: 2px; }
.wide { overflow-x: auto; } table { border-collapse: collapse; min-width: 40%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } tbody tr:nth-child(even) { background: var(--faint); }
figure { margin: 1.2rem 0; } figcaption { font-weight: 600; } svg { max-width: 100%; height: auto; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; } .axis { stroke: var(--line); }
.one { fill: var(--one); } .two { fill: var(--two); } .three { fill: var(--three); } .four { fill: var(--four); }
.grey { fill: var(--grey); } path.one, path.two { fill: none; stroke-width: 2.5; } path.one { stroke: var(--one); }
path.two { stroke: var(--two); stroke-dasharray: 6 4; }
@media print { nav { display: none; } body { max-width: none; } }
";

/// The whole page.
pub(super) fn page(title: &str, span: &str, charts: &[Chart], sections: &[Section]) -> String {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}, {span}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<h1>{title}</h1>\n<p>{span}</p>\n</header>\n",
        title = escaped(title),
        span = escaped(span),
    );
    html.push_str("<nav aria-label=\"Sections\">\n<ul>\n");
    for (number, section) in sections.iter().enumerate() {
        let _ = writeln!(html, "<li><a href=\"#s{number}\">{}</a></li>", escaped(section.title));
    }
    html.push_str("</ul>\n</nav>\n<main>\n");
    for (number, section) in sections.iter().enumerate() {
        write_section(&mut html, number, section);
        // The charts show what the first section says in words.
        if number == 0 {
            charts.iter().enumerate().for_each(|(number, chart)| chart.write(&mut html, number));
        }
    }
    html.push_str("</main>\n</body>\n</html>\n");
    html
}

fn write_section(html: &mut String, number: usize, section: &Section) {
    let title = escaped(section.title);
    let _ = writeln!(
        html,
        "<section aria-labelledby=\"s{number}\">\n<h2 id=\"s{number}\">{title}</h2>"
    );
    for text in &section.text {
        let _ = writeln!(html, "<p>{}</p>", escaped(text));
    }
    if section.rows.is_empty() && !section.head.is_empty() {
        html.push_str("<p>None.</p>\n");
    } else if !section.head.is_empty() {
        table(html, &section.head, &section.rows);
    }
    html.push_str("</section>\n");
}

/// A table whose first column names its rows.
pub(super) fn table(html: &mut String, head: &[&str], rows: &[Vec<String>]) {
    html.push_str("<div class=\"wide\" tabindex=\"0\">\n<table>\n<thead><tr>");
    for cell in head {
        let _ = write!(html, "<th scope=\"col\">{}</th>", escaped(cell));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        html.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            // A figure and its sign stay on one line.
            let cell = escaped(cell).replace(" %", "&nbsp;%");
            let _ = match column {
                0 => write!(html, "<th scope=\"row\">{cell}</th>"),
                _ => write!(html, "<td>{cell}</td>"),
            };
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table>\n</div>\n");
}

/// Text as it may stand between tags and in attributes.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_features_cannot_become_markup() {
        let section = Section {
            title: "Features",
            text: vec!["a & b".into()],
            head: vec!["feature"],
            rows: vec![vec!["<script>alert('x')</script>".into()]],
        };
        let page = page("T", "s", &[], &[section]);
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)"), "{page}");
        assert!(page.contains("<p>a &amp; b</p>") && !page.contains("<script"));
    }
}
