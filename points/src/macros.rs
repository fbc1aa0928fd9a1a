//! The macros. Each declares its place as a static in the catalogue and asks the hooks where a simulation runs.

/// Declares `SITE`, the place of a macro.
#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "ios",
    target_os = "windows",
    target_os = "freebsd",
    target_os = "illumos"
))]
#[doc(hidden)]
#[macro_export]
macro_rules! __site {
    ($kind:ident, $name:expr) => {
        #[$crate::__private::linkme::distributed_slice($crate::CATALOGUE)]
        #[linkme(crate = $crate::__private::linkme)]
        static SITE: $crate::Site = $crate::Site {
            kind: $crate::Kind::$kind,
            name: $name,
            file: ::core::file!(),
            line: ::core::line!(),
            column: ::core::column!(),
            module: ::core::module_path!(),
        };
    };
}

/// Declares `SITE`, the place of a macro, where there is no catalogue.
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "ios",
    target_os = "windows",
    target_os = "freebsd",
    target_os = "illumos"
)))]
#[doc(hidden)]
#[macro_export]
macro_rules! __site {
    ($kind:ident, $name:expr) => {
        static SITE: $crate::Site = $crate::Site {
            kind: $crate::Kind::$kind,
            name: $name,
            file: ::core::file!(),
            line: ::core::line!(),
            column: ::core::column!(),
            module: ::core::module_path!(),
        };
    };
}

/// The list of captured values.
#[doc(hidden)]
#[macro_export]
macro_rules! __values {
    ($(($($value:tt)*))*) => {
        ::std::vec![$($crate::__value!($($value)*)),*]
    };
}

/// One captured value.
#[doc(hidden)]
#[macro_export]
macro_rules! __value {
    ($name:ident) => {
        (::core::stringify!($name), ::std::format!("{:?}", &$name))
    };
    ($name:ident = $value:expr) => {
        (::core::stringify!($name), ::std::format!("{:?}", &$value))
    };
}

/// A property with a condition.
#[doc(hidden)]
#[macro_export]
macro_rules! __property {
    ($kind:ident, $condition:expr, $name:literal $(, $value:ident $(= $of:expr)?)* $(,)?) => {{
        $crate::__site!($kind, $name);
        if $crate::active() {
            $crate::__private::property(&SITE, $condition, &|| {
                $crate::__values!($(($value $(= $of)?))*)
            });
        }
    }};
}

/// Whether a rare thing happens here now: in a simulation, sometimes; anywhere else, never.
///
/// As in FoundationDB there are two levels. Each run of a test enables each place with a chance of one in four, and an enabled place fires at
/// one visit in four, or at the share of visits that is given (0 to 1). So most runs have a few of the rare things, often, and a run that needs
/// two of them together, and none of the others, is not rare. The decisions are the run's: they are logged, replayed and
/// shrunk away where they do not matter.
///
/// ```
/// fn batch_size() -> usize {
///     if squall_points::buggify!() { 1 } else { 64 }
/// }
/// fn cache_is_cold() -> bool {
///     squall_points::buggify!(0.05)
/// }
/// assert_eq!(batch_size(), 64); // no simulation here
/// ```
#[macro_export]
macro_rules! buggify {
    () => {{
        $crate::__site!(Buggify, "");
        $crate::active() && $crate::__private::buggify(&SITE, ::core::option::Option::None)
    }};
    ($rate:expr) => {{
        $crate::__site!(Buggify, "");
        $crate::active() && $crate::__private::buggify(&SITE, ::core::option::Option::Some($rate))
    }};
}

/// A place with a name at which a test can have something happen: a delay, a panic, a pause, a count of the visits, and, where the macro is
/// told how to fail, an error. Nothing happens unless the test arms it, with `sim.fault_point("name")`.
///
/// With `async` before the name the place is an await, and a delay or pause lets other tasks go on; without it the thread waits. A closure
/// after the name makes what the surrounding function then *returns* of the error's text.
///
/// ```
/// use std::io;
///
/// fn append(log: &mut Vec<u8>, entry: &[u8]) -> io::Result<()> {
///     squall_points::fault_point!("log is full", |text: String| Err(io::Error::other(text)));
///     log.extend_from_slice(entry);
///     squall_points::fault_point!("after the write, before the sync");
///     Ok(())
/// }
///
/// async fn commit() -> io::Result<()> {
///     squall_points::fault_point!(async "between prepare and commit");
///     squall_points::fault_point!(async "commit fails", |text| Err(io::Error::other(text)));
///     Ok(())
/// }
/// append(&mut Vec::new(), b"x").unwrap();
/// # let _ = commit();
/// ```
#[macro_export]
macro_rules! fault_point {
    (async $name:literal) => {{
        $crate::__site!(Fault, $name);
        if $crate::active() {
            if let ::core::option::Option::Some(visit) =
                $crate::__private::visit_async(&SITE, false)
            {
                visit.await;
            }
        }
    }};
    (async $name:literal, $fail:expr) => {{
        $crate::__site!(Fault, $name);
        if $crate::active() {
            if let ::core::option::Option::Some(visit) = $crate::__private::visit_async(&SITE, true)
            {
                if let ::core::option::Option::Some(text) = visit.await {
                    return ($fail)(text);
                }
            }
        }
    }};
    ($name:literal) => {{
        $crate::__site!(Fault, $name);
        if $crate::active() {
            $crate::__private::visit(&SITE, false);
        }
    }};
    ($name:literal, $fail:expr) => {{
        $crate::__site!(Fault, $name);
        if $crate::active() {
            if let ::core::option::Option::Some(text) = $crate::__private::visit(&SITE, true) {
                return ($fail)(text);
            }
        }
    }};
}

/// The condition is true whenever a simulated run comes here. The first time it is not ends the run as a failure that is known by the name; the
/// values, `name` or `name = expression`, are captured then.
///
/// ```
/// let (stock, sold) = (3_i64, 2_i64);
/// squall_points::always!(stock >= 0, "the stock is never negative", stock, sold, left = stock - sold);
/// ```
#[macro_export]
macro_rules! always {
    ($($property:tt)*) => { $crate::__property!(Always, $($property)*) };
}

/// The condition is false whenever a simulated run comes here: [`always!`] turned round.
///
/// ```
/// let leaders = 1;
/// squall_points::never!(leaders > 1, "there are two leaders", leaders);
/// ```
#[macro_export]
macro_rules! never {
    ($($property:tt)*) => { $crate::__property!(Never, $($property)*) };
}

/// The condition is true at least once in all runs of a suite: the tests do come to what is of interest. Squall counts it; no command fails for
/// it yet. What a single test has to come to is stated with `Sim::sometimes`, which does fail that test.
///
/// ```
/// let retries = 0;
/// squall_points::sometimes!(retries > 2, "a request is retried more than twice", retries);
/// ```
#[macro_export]
macro_rules! sometimes {
    ($($property:tt)*) => { $crate::__property!(Sometimes, $($property)*) };
}

/// Some run of a suite comes here: [`sometimes!`] without a condition.
///
/// ```
/// squall_points::reachable!("the cache is rebuilt");
/// ```
#[macro_export]
macro_rules! reachable {
    ($($property:tt)*) => { $crate::__property!(Reachable, true, $($property)*) };
}

/// No simulated run comes here. Coming here ends the run as a failure that is known by the name. Other than std's `unreachable!` it
/// lets the program go on outside a simulation.
///
/// ```
/// let state = "open";
/// if state == "half" {
///     squall_points::unreachable_point!("the breaker is half open without a probe", state);
/// }
/// ```
#[macro_export]
macro_rules! unreachable_point {
    ($($property:tt)*) => { $crate::__property!(Unreachable, false, $($property)*) };
}

/// Something has this value now: the length of a queue, the connections in use. Its course over the run is kept for the report
/// of a simulation. The value is converted with `as f64`.
///
/// ```
/// let queue = vec![1, 2, 3];
/// squall_points::gauge!("orders that wait", queue.len());
/// ```
#[macro_export]
macro_rules! gauge {
    ($name:literal, $value:expr) => {{
        $crate::__site!(Gauge, $name);
        if $crate::active() {
            $crate::__private::gauge(&SITE, ($value) as f64);
        }
    }};
}
