//! A failure as one HTML file: no network, opens from a disk. `page/` holds its parts; this file puts them and the data together.

use serde::Serialize;

use super::timeline::Timeline;

/// What the page shows.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    pub(crate) test: String,
    pub(crate) headline: String,
    /// What the failure says for itself.
    pub(crate) message: String,
    pub(crate) held: bool,
    /// Name, value, and whether it is something to type into a shell.
    pub(crate) facts: Vec<(String, String, bool)>,
    pub(crate) story: String,
    /// The failure as it is printed.
    pub(crate) text: String,
    pub(crate) timeline: Timeline,
}

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPTS: [&str; 3] = [
    include_str!("page/model.js"),
    include_str!("page/draw.js"),
    include_str!("page/main.js"),
];

/// The file's text.
pub(crate) fn html(document: &Document) -> String {
    let data = serde_json::to_string(document).expect("squall bug: a report that is no JSON");
    // Nothing in a text may end the element that holds it.
    let data = data.replace('<', "\\u003c");
    let title = escaped(&format!("{}: {}", document.test, document.headline));
    let parts = [
        ("{{TITLE}}", title),
        ("{{STYLE}}", STYLE.to_owned()),
        ("{{DATA}}", data),
        // In a scope of its own: some of its names are the browser's, too.
        (
            "{{SCRIPT}}",
            format!("(() => {{\n{}}})();", SCRIPTS.concat()),
        ),
    ];
    let mut out =
        String::with_capacity(PAGE.len() + parts.iter().map(|(_, part)| part.len()).sum::<usize>());
    let mut rest = PAGE;
    for (mark, part) in &parts {
        let (before, after) = rest
            .split_once(mark)
            .expect("squall bug: a part of the page is missing");
        out.push_str(before);
        out.push_str(part);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// As it may stand in HTML.
fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            c => c.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
