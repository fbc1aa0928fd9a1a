//! Behaviours in files: what is read, and what is refused with the name of the field and what would do.

use squall::dependency::{BrownOut, Window};
use squall::{Behaviour, FailureMode, Latency, Sim};
use std::time::Duration;

fn read(text: &str) -> Result<Behaviour, String> {
    toml::from_str(text).map_err(|e| e.to_string())
}

#[test]
fn everything_can_be_written() {
    let (ms, s) = (Duration::from_millis, Duration::from_secs);
    let text = r#"
        latency = { log_normal = { median = "40ms", sigma = 0.4 } }
        errors = { reset = 0.01, "status 503" = 0.02, "drip 16 per 100ms" = 0.005 }
        outages = [
            { at = "60s", lasts = "10s" },
            { at = "5s", lasts = "1s", since = "start" },
        ]
        flapping = { period = "10m", up = 0.9 }
        rate_limit = { calls = 100, per = "1s", burst = 20 }
        capacity = { slots = 8, queue = 50, overflow = "reset" }
        cold_start = { lasts = "20s", slower = 5.0 }

        [[brown_outs]]
        at = "2m"
        lasts = "30s"
        slower = 10
        errors = { timeout = 0.1 }

        [[brown_outs]]
        at = "1h"
        latency = "2s"
    "#;
    let expected = Behaviour::healthy()
        .latency(Latency::log_normal(ms(40), 0.4))
        .error(FailureMode::Status(503), 0.02)
        .error(FailureMode::Reset, 0.01)
        .error(
            FailureMode::Drip {
                bytes: 16,
                every: ms(100),
            },
            0.005,
        )
        .outage(Window::at(s(60)).lasting(s(10)))
        .outage(Window::at(s(5)).lasting(s(1)).since_start())
        .brown_out(
            BrownOut::new(Window::at(s(120)).lasting(s(30)))
                .slower(10.0)
                .error(FailureMode::Timeout, 0.1),
        )
        .brown_out(BrownOut::new(Window::at(s(3600))).latency(s(2)))
        .flapping(s(600), 0.9)
        .rate_limit_with_burst(100, s(1), 20)
        .capacity_or(8, 50, FailureMode::Reset)
        .cold_start(s(20), 5.0);
    assert_eq!(read(text), Ok(expected));
    assert_eq!(read(""), Ok(Behaviour::healthy()));
}

#[test]
fn latencies_can_be_written() {
    let ms = Duration::from_millis;
    for (text, latency) in [
        ("\"20ms\"", Latency::fixed(ms(20))),
        ("\"0ms\"", Latency::fixed(ms(0))),
        ("{ fixed = \"1s\" }", Latency::fixed(ms(1000))),
        (
            "{ uniform = [\"0s\", \"5ms\"] }",
            Latency::uniform(ms(0)..=ms(5)),
        ),
        (
            "{ exponential = { least = \"1ms\", mean = \"9ms\" } }",
            Latency::exponential(ms(1), ms(9)),
        ),
        (
            "{ recorded = [\"3ms\", \"1ms\"] }",
            Latency::recorded([ms(3), ms(1)]),
        ),
        (
            "{ bimodal = { usual = \"1ms\", other = { uniform = [\"1s\", \"2s\"] }, share = 0.02 } }",
            Latency::bimodal(
                Latency::fixed(ms(1)),
                Latency::uniform(ms(1000)..=ms(2000)),
                0.02,
            ),
        ),
    ] {
        let expected = Behaviour::healthy().latency(latency);
        assert_eq!(read(&format!("latency = {text}")), Ok(expected), "{text}");
    }
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    for (text, words) in [
        (
            "latancy = \"1ms\"",
            &["unknown field `latancy`", "`latency`"][..],
        ),
        ("latency = 5", &["a duration in quotes"]),
        ("latency = \"5\"", &["\"5\" is no duration", "such as 30s"]),
        ("latency = \"1.5s\"", &["\"1.5s\" is no duration"]),
        (
            "latency = { normal = \"1s\" }",
            &["unknown variant `normal`", "`log_normal`"],
        ),
        (
            "latency = { uniform = [\"2s\", \"1s\"] }",
            &["the shortest time comes first"],
        ),
        (
            "latency = { log_normal = { median = \"1s\", sigma = 9.0 } }",
            &["log_normal.sigma", "0 to 4"],
        ),
        (
            "latency = { log_normal = { median = \"1s\", sigma = 1.0, mean = \"2s\" } }",
            &["unknown field `mean`"],
        ),
        (
            "latency = { recorded = [] }",
            &["recorded: at least one time"],
        ),
        (
            "errors = { rest = 0.1 }",
            &["there is no failure \"rest\"", "`reset`"],
        ),
        (
            "errors = { reset = 1.5 }",
            &["errors.reset: a share is a number from 0 to 1, not 1.5"],
        ),
        (
            "errors = { reset = nan }",
            &["errors.reset: a share is a number"],
        ),
        (
            "errors = { \"status 200\" = 0.1 }",
            &["400 to 599, not 200"],
        ),
        ("errors = { \"drip 0 per 1s\" = 0.1 }", &["at least 1 byte"]),
        (
            "errors = { refused = 0.1 }",
            &["errors.refused", "use outages, flapping or break_with"],
        ),
        (
            "errors = { reset = 0.6, empty = 0.6 }",
            &["errors: the shares add up to 1.2"],
        ),
        (
            "errors = { \"slow 1s\" = 0.1, \"slow 1000ms\" = 0.1 }",
            &["`slow 1s` is there twice"],
        ),
        ("outages = [{ lasts = \"1s\" }]", &["missing field `at`"]),
        (
            "outages = [{ at = \"1s\", lasts = \"0s\" }]",
            &["outages[0].lasts", "such as 10s"],
        ),
        (
            "outages = [{ at = \"1s\", until = \"2s\" }]",
            &["unknown field `until`", "`lasts`"],
        ),
        (
            "outages = [{ at = \"1s\", since = \"boot\" }]",
            &["unknown variant `boot`", "`start`"],
        ),
        (
            "brown_outs = [{ at = \"1s\" }]",
            &["brown_outs[0]: it changes nothing"],
        ),
        (
            "brown_outs = [{ at = \"1s\", slower = 2.0 }]",
            &["brown_outs[0].slower", "set `latency`"],
        ),
        (
            "brown_outs = [{ at = \"1s\", errors = { reset = -0.1 } }]",
            &["brown_outs[0].errors.reset", "not -0.1"],
        ),
        (
            "flapping = { period = \"1ms\", up = 0.5 }",
            &["flapping.period", "at least 2ms"],
        ),
        (
            "flapping = { period = \"1s\", up = 1.0 }",
            &["flapping.up", "less than 1, not 1"],
        ),
        (
            "rate_limit = { calls = 0, per = \"1s\" }",
            &["rate_limit.calls: at least 1"],
        ),
        (
            "rate_limit = { calls = 5, per = \"0s\" }",
            &["rate_limit.per", "such as 1s"],
        ),
        (
            "rate_limit = { calls = 5, per = \"1s\", burst = 9 }",
            &["rate_limit.burst", "which is 5, not 9"],
        ),
        (
            "capacity = { slots = 0, queue = 1 }",
            &["capacity.slots: at least 1"],
        ),
        ("capacity = { slots = 1 }", &["missing field `queue`"]),
        (
            "capacity = { slots = 1, queue = 1, overflow = \"refused\" }",
            &["capacity.overflow"],
        ),
        (
            "latency = \"1ms\"\ncold_start = { lasts = \"1s\", slower = 0.5 }",
            &["cold_start.slower", "from 1 to"],
        ),
        (
            "cold_start = { lasts = \"1s\", slower = 2.0 }",
            &["cold_start.slower", "set `latency`"],
        ),
    ] {
        let error = read(text).expect_err(text);
        for word in words {
            assert!(
                error.contains(word),
                "{text}: `{word}` is missing in\n{error}"
            );
        }
    }
}

#[test]
fn modes_are_text_and_back() {
    for mode in FailureMode::ALL {
        assert_eq!(mode.to_string().parse(), Ok(mode));
    }
    assert_eq!(
        "slow 90s".parse(),
        Ok(FailureMode::Slow(Duration::from_secs(90)))
    );
    let names: Vec<&str> = FailureMode::ALL.iter().map(|mode| mode.name()).collect();
    assert!(names.contains(&"status") && names.contains(&"refused"));
}

/// What is wrong in code is a panic that says what would do, where it is used.
#[test]
fn misuse_is_a_panic_with_a_mend() {
    type Misuse = fn(Sim);
    let table: [(Misuse, &str); 6] = [
        (
            |sim| {
                _ = sim.dependency(
                    "d",
                    Behaviour::healthy().error(FailureMode::Reset, 2.0),
                    |(): ()| async {},
                )
            },
            "the dependency \"d\" cannot behave so: errors.reset: a share is a number from 0 to 1, not 2",
        ),
        (
            |sim| {
                let d = sim.dependency("d", Behaviour::healthy(), |(): ()| async {});
                d.set(Behaviour::healthy().capacity(0, 0));
            },
            "the dependency \"d\" cannot behave so: capacity.slots: at least 1 slot",
        ),
        (
            |sim| {
                let d = sim.dependency("d", Behaviour::healthy(), |(): ()| async {});
                d.break_with(FailureMode::Status(200));
            },
            "the dependency \"d\" cannot be broken with `status 200`",
        ),
        (
            |sim| {
                let d = sim.dependency("d", Behaviour::healthy(), |(): ()| async {});
                d.break_some_with(FailureMode::Refused, 0.5);
            },
            "`refused` is a state of the whole dependency",
        ),
        (
            |sim| {
                for _ in 0..2 {
                    sim.dependency("d", Behaviour::healthy(), |(): ()| async {});
                }
            },
            "there is a dependency \"d\" already",
        ),
        (
            |sim| {
                use squall::dependency::FailureTarget;
                let host = sim.host("h", || async {});
                host.break_with(FailureMode::Malformed);
            },
            "the host \"h\" runs a program of its own and cannot be made to fail with `malformed`",
        ),
    ];
    for (misuse, words) in table {
        let settings = squall::Settings::default().seeds(1).keep_failures(false);
        let builder = squall::Builder::new().settings(settings.shrink(None));
        let failure = builder.run(move |sim| async move { misuse(sim) });
        let failure = failure.expect_err(words).to_string();
        assert!(
            failure.contains(words),
            "`{words}` is missing in\n{failure}"
        );
    }
}
