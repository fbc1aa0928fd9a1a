//! One plot as SVG: lines over the values of a parameter, which stand side by side at equal distances whatever they are. Colours are classes, for the page to
//! set in light and dark.

use crate::suite::escaped;
use std::fmt::Write;

/// How a plot's values are written.
pub type Shown = fn(f64) -> String;

pub struct Plot<'a> {
    pub title: &'a str,
    /// The parameter.
    pub axis: &'a str,
    pub values: &'a [String],
    pub shown: Shown,
    /// Each step of the scale is ten times the one before.
    pub logarithmic: bool,
    pub lines: Vec<Line>,
}

pub struct Line {
    pub label: String,
    /// Lines of one colour belong together.
    pub colour: usize,
    pub dash: Dash,
    pub points: Vec<Point>,
}

#[derive(Clone, Copy)]
pub enum Dash {
    Solid,
    Dashed,
    Dotted,
}

/// What a line has for one value of the parameter.
#[derive(Clone, Default)]
pub struct Point {
    pub value: Option<f64>,
    /// From where to where it was, over the seeds.
    pub spread: Option<[f64; 2]>,
    /// Something is not in the value, and this says what.
    pub missing: Option<String>,
}

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 46.0;
/// The most colours that are told apart.
pub const COLOURS: usize = 6;

struct Scale {
    least: f64,
    most: f64,
    logarithmic: bool,
}

impl Scale {
    fn of(plot: &Plot<'_>) -> Scale {
        let points = || plot.lines.iter().flat_map(|line| &line.points);
        let all = points().flat_map(|point| {
            let spread = point.spread.into_iter().flatten();
            point.value.into_iter().chain(spread)
        });
        let all: Vec<f64> = all
            .filter(|value| !plot.logarithmic || *value > 0.0)
            .collect();
        let most = all.iter().copied().reduce(f64::max).unwrap_or(1.0);
        if plot.logarithmic {
            let least = all.iter().copied().reduce(f64::min).unwrap_or(1.0);
            let (low, high) = (least.log10().floor(), most.log10().ceil());
            return Scale {
                least: low,
                most: high.max(low + 1.0),
                logarithmic: true,
            };
        }
        Scale {
            least: 0.0,
            most: if most > 0.0 { most * 1.05 } else { 1.0 },
            logarithmic: false,
        }
    }

    fn y(&self, value: f64) -> f64 {
        let value = match self.logarithmic {
            true => value.max(f64::MIN_POSITIVE).log10().max(self.least),
            false => value,
        };
        let share = (value - self.least) / (self.most - self.least);
        HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
    }

    fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            let decades = self.least as i32..=self.most as i32;
            return decades.map(|power| 10_f64.powi(power)).collect();
        }
        let rough = self.most / 4.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * power);
        let step = step
            .into_iter()
            .find(|step| *step >= rough)
            .unwrap_or(power);
        (0..)
            .map(|n| f64::from(n) * step)
            .take_while(|tick| *tick <= self.most)
            .collect()
    }
}

/// The plot, with what each line is under it.
pub fn svg(plot: &Plot<'_>) -> String {
    let scale = Scale::of(plot);
    let count = plot.values.len().max(1) as f64;
    let x = |i: usize| LEFT + (i as f64 + 0.5) * (WIDTH - LEFT - RIGHT) / count;
    let title = escaped(plot.title);
    let mut out = format!(
        "<figure><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\"><text class=\"title\" x=\"{LEFT}\" y=\"18\">{title}</text>"
    );
    for tick in scale.ticks() {
        let y = scale.y(tick);
        let _ = write!(
            out,
            "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{}\"/><text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            y + 4.0,
            escaped(&(plot.shown)(tick))
        );
    }
    // More than fit side by side are left out.
    let every = (plot.values.len() / 12).max(1);
    for (i, value) in plot.values.iter().enumerate().step_by(every) {
        let _ = write!(
            out,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x(i),
            HEIGHT - BOTTOM + 18.0,
            escaped(value)
        );
    }
    let _ = write!(
        out,
        "<text class=\"axis\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        f64::midpoint(LEFT, WIDTH - RIGHT),
        HEIGHT - 8.0,
        escaped(plot.axis)
    );
    for line in &plot.lines {
        draw(&mut out, plot, line, &scale, &x);
    }
    out.push_str("</svg><figcaption>");
    for line in &plot.lines {
        let _ = write!(
            out,
            "<span><svg class=\"key\" viewBox=\"0 0 28 8\"><path class=\"{}\" d=\"M1 4H27\"/></svg> {}</span>",
            class(line),
            escaped(&line.label)
        );
    }
    out.push_str("</figcaption></figure>");
    out
}

fn class(line: &Line) -> String {
    let dash = match line.dash {
        Dash::Solid => "",
        Dash::Dashed => " dashed",
        Dash::Dotted => " dotted",
    };
    format!("line c{}{dash}", line.colour % COLOURS)
}

fn draw(out: &mut String, plot: &Plot<'_>, line: &Line, scale: &Scale, x: &dyn Fn(usize) -> f64) {
    let colour = line.colour % COLOURS;
    let mut path = String::new();
    let mut pen = 'M';
    for (i, point) in line.points.iter().enumerate() {
        match point.value {
            Some(value) => {
                let _ = write!(path, "{pen}{:.1} {:.1}", x(i), scale.y(value));
                pen = 'L';
            }
            // A gap.
            None => pen = 'M',
        }
    }
    let _ = write!(out, "<path class=\"{}\" d=\"{path}\"/>", class(line));
    for (i, point) in line.points.iter().enumerate() {
        let tip = |text: &str| {
            let at = plot.values.get(i).map_or("", String::as_str);
            escaped(&format!("{} {at}, {}: {text}", plot.axis, line.label))
        };
        if let Some([low, high]) = point.spread {
            let (x, low, high) = (x(i), scale.y(low), scale.y(high));
            let _ = write!(
                out,
                "<path class=\"spread c{colour}\" d=\"M{x:.1} {low:.1}V{high:.1}M{a:.1} {low:.1}H{b:.1}M{a:.1} {high:.1}H{b:.1}\"/>",
                a = x - 4.0,
                b = x + 4.0,
            );
        }
        if let Some(value) = point.value {
            let mut text = (plot.shown)(value);
            if let Some([low, high]) = point.spread {
                let _ = write!(text, " ({} to {})", (plot.shown)(low), (plot.shown)(high));
            }
            let _ = write!(
                out,
                "<circle class=\"c{colour}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\"><title>{}</title></circle>",
                x(i),
                scale.y(value),
                tip(&text)
            );
        }
        if let Some(missing) = &point.missing {
            let (x, y) = (x(i), TOP + 4.0);
            let _ = write!(
                out,
                "<path class=\"cross c{colour}\" d=\"M{:.1} {:.1}l10 10m0 -10l-10 10\"><title>{}</title></path>",
                x - 5.0,
                y - 5.0,
                tip(missing)
            );
        }
    }
}
