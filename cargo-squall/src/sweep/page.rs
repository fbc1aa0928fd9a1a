//! A sweep as one HTML file with plots, which needs nothing from elsewhere.

use super::Sweep;
use super::cell::{Cell, Measured, shown};
use super::plot::{COLOURS, Dash, Line, Plot, Point, Shown, svg};
use super::table::{self, HEADINGS};
use crate::suite::escaped;
use std::fmt::Write;

const STYLE: &str = "\
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif;background:light-dark(#fff,#0d1117);color:light-dark(#1f2328,#e6edf3)}\
body{max-width:75rem;margin:2rem auto;padding:0 1rem}main{display:grid;grid-template-columns:repeat(auto-fit,minmax(26rem,1fr));gap:1rem}\
figure{margin:0;border:1px solid #8884;border-radius:6px;padding:.5rem}figure>svg{width:100%;height:auto;display:block}\
figcaption{font-size:13px;display:flex;flex-wrap:wrap;gap:.2rem 1rem;padding-left:4rem}.key{width:28px;height:8px;vertical-align:middle}\
text{fill:currentColor;font-size:12px}.title{font-size:14px;font-weight:600}.tick{opacity:.75}.grid{stroke:#8884}\
.line{fill:none;stroke-width:2}.dashed{stroke-dasharray:7 4}.dotted{stroke-dasharray:2 4}.spread{fill:none;stroke-width:1;opacity:.6}.cross{fill:none;stroke-width:2}\
circle{stroke:light-dark(#fff,#0d1117);stroke-width:1}\
.c0{--c:light-dark(#0969da,#58a6ff)}.c1{--c:light-dark(#bc4c00,#f0883e)}.c2{--c:light-dark(#cf222e,#ff7b72)}\
.c3{--c:light-dark(#1a7f37,#3fb950)}.c4{--c:light-dark(#8250df,#bc8cff)}.c5{--c:light-dark(#9a6700,#d29922)}path[class*=c]{stroke:var(--c)}circle{fill:var(--c)}\
.grid{stroke:#8884!important}table{border-collapse:collapse;margin:1rem 0;width:100%}th,td{text-align:right;padding:.3rem .6rem;border-bottom:1px solid #8884;font-variant-numeric:tabular-nums}\
.bad{color:light-dark(#cf222e,#f85149)}code{font:13px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}";

/// The page.
pub fn of(sweep: &Sweep) -> String {
    let names: Vec<&str> = sweep
        .parameters
        .iter()
        .map(|listing| listing.name.as_str())
        .collect();
    let title = format!("squall: {} over {}", sweep.test, names.join(", "));
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><meta name=\"viewport\" content=\"width=device-width\">\
         <style>{STYLE}</style><h1>{test}</h1><p>{file}: {seeds} seeds for each of {cells} combinations of values.</p>",
        title = escaped(&title),
        test = escaped(&sweep.test),
        file = escaped(&sweep.scenario.display().to_string()),
        seeds = sweep.seeds,
        cells = sweep.cells.len(),
    );
    for traffic in table::traffics(sweep) {
        if let Some(traffic) = traffic {
            let _ = write!(html, "<h2>{}</h2><main>", escaped(traffic));
            plots(&mut html, sweep, traffic);
            html.push_str("</main>");
        }
        table(&mut html, sweep, traffic, &names);
    }
    let failures = table::failures(sweep);
    if !failures.is_empty() {
        html.push_str("<h2>Seeds that failed</h2><ul>");
        for (told, again) in failures {
            let _ = write!(
                html,
                "<li>{}<br><code>{}</code>",
                escaped(&told),
                escaped(&again)
            );
        }
        html.push_str("</ul>");
    }
    html.push_str("</html>\n");
    html
}

fn table(html: &mut String, sweep: &Sweep, traffic: Option<&str>, names: &[&str]) {
    html.push_str("<table><thead><tr>");
    for name in names.iter().chain(&HEADINGS) {
        let _ = write!(html, "<th>{}", escaped(name));
    }
    html.push_str("</thead><tbody>");
    for cell in &sweep.cells {
        html.push_str("<tr>");
        for (_, value) in &cell.values {
            let _ = write!(html, "<td>{}", escaped(&shown(value)));
        }
        for (heading, text) in HEADINGS.iter().zip(table::row(cell, traffic)) {
            let bad = *heading == "failed" && text != "0";
            let class = if bad { " class=\"bad\"" } else { "" };
            let _ = write!(html, "<td{class}>{}", escaped(&text));
        }
    }
    html.push_str("</tbody></table>");
}

/// The cells of a plot: those that differ in the parameter on its axis only are a series.
struct Series<'a> {
    /// The other parameters; empty where there are none.
    label: String,
    /// By the axis.
    cells: Vec<&'a Cell>,
}

fn plots(html: &mut String, sweep: &Sweep, traffic: &str) {
    // The one with the most values; of those that have as many the first.
    let numbers = 0..sweep.parameters.len();
    let axis = numbers
        .rev()
        .max_by_key(|i| sweep.parameters[*i].values.len());
    let axis = axis.unwrap_or(0);
    let parameter = &sweep.parameters[axis];
    let values: Vec<String> = parameter.values.iter().map(shown).collect();
    let mut series: Vec<Series<'_>> = Vec::new();
    for cell in &sweep.cells {
        let others = cell.values.iter().enumerate().filter(|(i, _)| *i != axis);
        let others: Vec<String> = others
            .map(|(_, (name, value))| format!("{name}={}", shown(value)))
            .collect();
        let label = others.join(" ");
        match series.iter_mut().find(|series| series.label == label) {
            Some(series) => series.cells.push(cell),
            None => series.push(Series {
                label,
                cells: vec![cell],
            }),
        }
    }
    let several = series.len() > 1;
    let line = |series: (usize, &Series<'_>),
                what: (usize, &str, Dash),
                point: &dyn Fn(&Cell, &Measured) -> Point| {
        let (number, Series { label, cells }) = series;
        let (colour, name, dash) = what;
        let of = |cell: &&Cell| {
            cell.traffic
                .get(traffic)
                .map_or_else(Point::default, |measured| point(cell, measured))
        };
        Line {
            label: match several {
                true => format!("{label} {name}").trim().to_owned(),
                false => name.to_owned(),
            },
            // With several series a colour is one of them, else one of the figures.
            colour: if several { number } else { colour } % COLOURS,
            dash: if several { dash } else { Dash::Solid },
            points: cells.iter().map(of).collect(),
        }
    };
    let mut plot = |title: &str, shown: Shown, logarithmic: bool, lines: Vec<Line>| {
        html.push_str(&svg(&Plot {
            title,
            axis: &parameter.name,
            values: &values,
            shown,
            logarithmic,
            lines,
        }));
    };
    let each = |what: &[(usize, &str, Dash)],
                point: &dyn Fn(usize, &Cell, &Measured) -> Point|
     -> Vec<Line> {
        let all = series.iter().enumerate();
        all.flat_map(|series| {
            what.iter()
                .enumerate()
                .map(move |(i, what)| line(series, *what, &move |cell, of| point(i, cell, of)))
        })
        .collect()
    };
    let throughput = each(
        &[(0, "mean, least and most of the seeds", Dash::Solid)],
        &|_, _, of| Point {
            value: of.spread().map(|[mean, ..]| mean),
            spread: of.spread().map(|[_, least, most]| [least, most]),
            missing: None,
        },
    );
    plot(
        "requests that ended well, in a second",
        table::figure,
        false,
        throughput,
    );
    let shares = [0.5, 0.9, 0.99];
    let percentiles = [
        (0, "p50", Dash::Dotted),
        (1, "p90", Dash::Dashed),
        (2, "p99", Dash::Solid),
    ];
    let latencies = each(&percentiles, &|i, _, of| {
        value(of.quantile(shares[i]).map(|ns| ns as f64))
    });
    plot("latency", nanoseconds, true, latencies);
    let kinds = [
        (2, "requests that ended in errors", Dash::Solid),
        (4, "seeds that failed", Dash::Dashed),
    ];
    let errors = each(&kinds, &|i, cell, of| {
        value(Some(match i {
            0 => of.error_rate(),
            _ => cell.failed as f64 / cell.runs.max(1) as f64,
        }))
    });
    plot("errors", table::percent, false, errors);
    let disturbed = |cell: &Cell| {
        cell.traffic
            .get(traffic)
            .is_some_and(|of| !of.recoveries.is_empty())
    };
    if sweep.cells.iter().any(disturbed) {
        let times = [(3, "median", Dash::Dashed), (5, "longest", Dash::Solid)];
        let recovery = each(&times, &|i, _, of| {
            let (took, not) = of.recovery();
            let all = of.recoveries.len();
            Point {
                value: took.map(|took| took[i] as f64),
                spread: None,
                missing: (i == 1 && not > 0).then(|| format!("not recovered in {not} of {all}")),
            }
        });
        plot(
            "recovery after a disturbance (a cross: not always)",
            nanoseconds,
            false,
            recovery,
        );
    }
}

fn value(value: Option<f64>) -> Point {
    Point {
        value,
        ..Point::default()
    }
}

fn nanoseconds(ns: f64) -> String {
    table::latency(ns as u64)
}

#[cfg(test)]
mod tests {
    use super::super::cell::tests::cell;
    use super::super::grid::Listing;
    use super::*;

    #[test]
    fn a_page_has_plots_a_table_and_what_failed() {
        let sweep = Sweep {
            scenario: "shop.toml".into(),
            test: "a_sale".to_owned(),
            seeds: 2,
            parameters: vec![Listing {
                name: "pool".to_owned(),
                values: vec![4.into(), 8.into()],
            }],
            cells: vec![cell(4, 100, 20), cell(8, 200, 10)],
        };
        let html = of(&sweep);
        assert_eq!(html.matches("<figure>").count(), 4);
        // A line of two points, and the same place for each value in all plots.
        assert!(html.contains("d=\"M174.5 "), "{html}");
        assert!(html.contains("pool 8, p99: 10 ms"), "{html}");
        assert!(html.contains("not recovered in 1 of 2"), "{html}");
        assert!(html.contains("p99 &lt; 1s &amp; more"), "{html}");
        assert!(!html.contains("http"), "nothing from elsewhere: {html}");
    }
}
