//! What the grammar takes, what it refuses and where; and that nothing makes it panic.

use super::{Comparison, Limit, Metric, Names, Thresholds};
use proptest::prelude::*;
use std::time::Duration;

fn parsed(text: &str) -> Thresholds {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn refused(text: &str, marked: &str, words: &[&str]) {
    let error = text.parse::<Thresholds>().expect_err(text);
    assert_eq!(&text[error.span()], marked, "{error}");
    let said = error.to_string();
    for word in words {
        assert!(said.contains(word), "{word} is missing in:\n{said}");
    }
}

#[test]
fn each_metric_is_read() {
    let ms = Duration::from_millis;
    let all = [
        ("p99<800ms", Metric::percentile(99.0).less_than(ms(800))),
        (
            "p99.99 <= 1.5s",
            Metric::percentile(99.99).at_most(ms(1500)),
        ),
        (
            "p(99.9, buy) < 1 s",
            Metric::percentile(99.9).of("buy").less_than(ms(1000)),
        ),
        (
            "p(50)(buy) < 1s",
            Metric::percentile(50.0).less_than(ms(1000)),
        ),
        ("min > 0", Metric::min().more_than(ms(0))),
        ("max < 1min", Metric::max().less_than(ms(60_000))),
        ("mean < 1m", Metric::mean().less_than(ms(60_000))),
        ("count >= 1_000", Metric::count().at_least(1000)),
        (
            "rate > 10rps",
            Metric::rate().more_than(super::super::rps(10)),
        ),
        ("throughput > 10 /s", Metric::throughput().more_than(10)),
        (
            "error_rate(buy) < 2%",
            Metric::error_rate().of("buy").less_than(0.02),
        ),
        ("error_rate < 0.02", Metric::error_rate().less_than(0.02)),
        ("errors == 0", Metric::errors().is(Comparison::Equal, 0)),
        (
            "errors(timeout) < 5",
            Metric::errors_of("timeout").less_than(5),
        ),
        (
            "errors(timeout, buy) < 5",
            Metric::errors_of("timeout").of("buy").less_than(5),
        ),
        (
            "errors(*, buy) < 5",
            Metric::errors().of("buy").less_than(5),
        ),
        (
            "errors(\"sold out\") < 5",
            Metric::errors_of("sold out").less_than(5),
        ),
        (
            "dropped != 1",
            Metric::dropped().is(Comparison::NotEqual, 1),
        ),
        ("in_flight < 100", Metric::in_flight().less_than(100)),
        ("retries(buy) < 9", Metric::retries().of("buy").less_than(9)),
        ("budget < 100%", Metric::budget().less_than(1)),
        ("recovery < 10s", Metric::recovery().less_than(ms(10_000))),
        (
            "queue(backlog:shop) < 1000",
            Metric::queue("backlog:shop").less_than(1000),
        ),
        (
            "lag(consumer) < 5s",
            Metric::lag("consumer").less_than(ms(5000)),
        ),
    ];
    for (text, typed) in all {
        if text == "p(50)(buy) < 1s" {
            refused(text, "(", &["an operator was expected"]);
            continue;
        }
        assert_eq!(parsed(text).list()[0], typed, "{text}");
        // What is printed reads back as the same.
        assert_eq!(parsed(&typed.to_string()).list(), [typed], "{text}");
    }
    assert_eq!(parsed("lag < 5h").to_string(), "lag < 5h");
    assert_eq!(
        parsed("p99<1ms,\n p50 <1us ").to_string(),
        "p99 < 1ms, p50 < 1us"
    );
}

#[test]
fn what_is_wrong_is_marked_and_mended() {
    refused("", "", &["the expression is empty", "such as"]);
    refused("p99 < 1s,", "", &["missing after the comma"]);
    refused(
        "eror_rate < 2%",
        "eror_rate",
        &["there is no metric", "`error_rate`"],
    );
    refused(
        "frobnication < 2%",
        "frobnication",
        &["metrics are p50 to p99.99, min"],
    );
    refused("p101 < 1s", "101", &["from 0 to 100"]);
    refused("p9x < 1s", "9x", &["from 0 to 100"]);
    refused("p < 1s", "p", &["which percentile?"]);
    refused("p(buy) < 1s", "buy", &["from 0 to 100"]);
    refused("p99 = 1s", "=", &["equality is written `==`"]);
    refused("p99 1s", "1", &["operator", "< <= > >= == !="]);
    refused("p99 <", "", &["a number was expected", "such as 800ms"]);
    refused("p99 < 800", "800", &["the unit is missing", "ms"]);
    refused(
        "p99 < 800 parsecs",
        "parsecs",
        &["does not fit", "ns, us, ms"],
    );
    refused("p99 < 1.2.3s", "1.2.3", &["not a number"]);
    refused("count < 5ms", "ms", &["does not fit", "without a unit"]);
    refused("error_rate < 2", "2", &["at most 1", "written 2%"]);
    refused("queue < 5", "queue", &["which queue?"]);
    refused("queue(a, b) < 5", "b", &["no such argument"]);
    refused("recovery(buy) < 5s", "buy", &["no such argument"]);
    refused("p99(buy < 5s", "<", &["a comma or a closing bracket"]);
    refused("p99(buy", "(", &["not closed"]);
    refused("p99(", "(", &["not closed"]);
    refused("p99() < 5s", ")", &["a name was expected"]);
    refused("p99(\"buy < 5s", "\"", &["quote is not closed"]);
    refused("p99 < 5s; p50 < 1s", ";", &["separated by commas"]);
    refused("p99 < 5s p50 < 1s", "p", &["separated by commas"]);
}

#[test]
fn the_caret_stands_under_the_error() {
    let error = "p50 < 1s,\n\tcöunt < 5ms"
        .parse::<Thresholds>()
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("\n  \tcöunt < 5ms\n  \t^^^^^\n  the nearest is `count`"),
        "{text}"
    );
    assert_eq!(format!("{error:?}"), text);
}

#[test]
fn names_that_do_not_exist_are_refused() {
    let names = Names {
        operations: vec!["buy".into(), "browse".into()],
        gauges: vec!["orders".into()],
    };
    let check = |text: &str| {
        parsed(text)
            .check(&names)
            .map_err(|error| error.to_string())
    };
    assert_eq!(
        check("p99(buy) < 1s, queue(orders) < 5, p99 < 1s, lag < 1s"),
        Ok(())
    );
    let error = check("p99 < 1s, p99(browze) < 1s").unwrap_err();
    let expected = "there is no operation `browze`\n  p99 < 1s, p99(browze) < 1s\n                ^^^^^^\n  the nearest is `browse`";
    assert_eq!(error, expected);
    let error = check("queue(stock) < 5").unwrap_err();
    assert!(error.ends_with("^^^^^\n  there are `orders`"), "{error}");
    // Typed ones are checked in the same way.
    let typed = super::Wanted::thresholds(Metric::lag("order").less_than(Duration::ZERO)).unwrap();
    let error = typed.check(&names).unwrap_err().to_string();
    assert!(error.contains("lag(order) < 0ns\n      ^^^^^"), "{error}");
}

#[test]
#[should_panic(expected = "the limit 5 does not fit p99, which is a time")]
fn a_typed_limit_of_another_kind_is_refused() {
    let _ = Metric::percentile(99.0).less_than(5);
}

#[test]
fn limits_are_written_as_they_are_read() {
    assert_eq!(Limit::Share(0.02).to_string(), "2%");
    assert_eq!(Limit::Share(0.001).to_string(), "0.1%");
    assert_eq!(
        Limit::Time(Duration::from_millis(1500)).to_string(),
        "1500ms"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_makes_the_reader_panic(text in "\\PC*") {
        if let Err(error) = text.parse::<Thresholds>() {
            // The place can be shown, too.
            let _ = error.to_string();
        }
    }

    #[test]
    fn nothing_like_an_expression_makes_it_panic(
        text in "((p|p99|p99\\.9|errors|queue|lag|error_rate|rate|µ|\\n)( |\\(|\\)|,|\"|\\*|buy|ö|<|<=|==|=|!|1|99\\.9|_|\\.|ms|%|rps|/s){0,8}){0,4}"
    ) {
        match text.parse::<Thresholds>() {
            Err(error) => drop(error.to_string()),
            Ok(read) => prop_assert_eq!(parsed(&read.to_string()), read),
        }
    }
}
