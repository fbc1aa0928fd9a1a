//! Colours and figures as people see them. `anstream` leaves colours out where standard error is no terminal, or `NO_COLOR` is set.

use anstyle::{AnsiColor, Color, Style};

/// As it is.
pub const PLAIN: Style = Style::new();
/// What matters.
pub const STRONG: Style = Style::new().bold();
/// Held.
pub const GOOD: Style = Style::new()
    .bold()
    .fg_color(Some(Color::Ansi(AnsiColor::Green)));
/// Failed.
pub const BAD: Style = Style::new()
    .bold()
    .fg_color(Some(Color::Ansi(AnsiColor::Red)));

/// Left out.
pub const WARNING: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Yellow)));

/// Nanoseconds for people.
pub fn time(ns: u64) -> String {
    let seconds = ns as f64 / 1e9;
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7_200.0 => format!("{:.1} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_have_the_unit_that_fits() {
        let shown = [
            5_000_000,
            90_000_000_000,
            600_000_000_000,
            864_000_000_000_000,
        ]
        .map(super::time);
        assert_eq!(shown, ["5 ms", "90.0 s", "10.0 min", "10.0 days"]);
    }
}
