//! The way into a test: on the coordinator's side and on the zygote's it leads through the same call of the user's code, and
//! parts here.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::failure::{Failure, Summary};
use super::origin::Origin;
use super::settings::{Resolved, Settings};
use super::start::Body;
use super::{command, coordinator, env, listing, protocol, unusable, zygote};

/// Runs a test: as its coordinator, or, in a process that was started for it, as its zygote, and then for good.
pub(super) fn execute(
    origin: &Origin,
    settings: &Settings,
    body: Box<Body>,
) -> Result<Summary, Failure> {
    listing::keep();
    if crate::kernel::in_simulation() {
        return Err(unusable(
            &origin.test,
            "a squall test cannot be started inside another's simulation",
        ));
    }
    let body = command::canary().unwrap_or(body);
    let mut past = Past::of(&origin.test);
    let birth = std::env::var(protocol::ZYGOTE).ok();
    let birth: Option<protocol::Birth> = match birth.map(|text| serde_json::from_str(&text)) {
        None => None,
        Some(Ok(birth)) => Some(birth),
        Some(Err(_)) => {
            let why = format!("{} is for squall's own use; unset it", protocol::ZYGOTE);
            return Err(unusable(&origin.test, why));
        }
    };
    if let Some(birth) = &birth
        && birth.test == origin.test
        && let Some(earlier) = birth.earlier.get(past.results.len())
    {
        // The coordinator has been through this one; the zygote is for a later one.
        past.add(earlier.clone());
        return earlier.clone();
    }
    let refused = |failure| {
        let result = Err(failure);
        if birth.is_none() {
            command::ended(origin.name(), Duration::ZERO, &result);
        }
        result
    };
    let environment = match env::Environment::read() {
        Ok(environment) => environment,
        Err(error) => return refused(unusable(&origin.test, error)),
    };
    let resolved = match Resolved::new(settings, &environment, origin.failures()) {
        Ok(resolved) => resolved,
        Err(error) => return refused(unusable(&origin.test, error)),
    };
    match birth {
        Some(birth) if birth.test == origin.test && birth.scenario != origin.fingerprint => {
            let why = "its scenario file changed while it ran; run it again";
            Err(unusable(&origin.test, why))
        }
        Some(birth) if birth.test == origin.test => zygote::serve(&birth, resolved, body),
        Some(birth) => {
            let why = format!("this process was started to run {}", birth.test);
            Err(unusable(&origin.test, why))
        }
        None => {
            let since = Instant::now();
            let result = coordinator::run(origin, &resolved, &past.results);
            command::ended(origin.name(), since.elapsed(), &result);
            past.add(result.clone());
            result
        }
    }
}

/// The runs of one test that this process has come through: a test may have several builders.
struct Past {
    test: String,
    results: Vec<Result<Summary, Failure>>,
}

static PASTS: Mutex<Vec<Past>> = Mutex::new(Vec::new());

impl Past {
    /// How much of a failure's text is kept: the past goes into an environment variable.
    const TEXT: usize = 2000;

    fn of(test: &str) -> Self {
        let mut pasts = PASTS.lock().unwrap_or_else(PoisonError::into_inner);
        match pasts.iter().position(|past| past.test == test) {
            Some(at) => pasts.swap_remove(at),
            None => Past {
                test: test.to_owned(),
                results: Vec::new(),
            },
        }
    }

    fn add(&mut self, mut result: Result<Summary, Failure>) {
        if let Err(failure) = &mut result {
            failure.text = failure.text.chars().take(Self::TEXT).collect();
        }
        self.results.push(result);
    }
}

impl Drop for Past {
    fn drop(&mut self) {
        let past = Past {
            test: std::mem::take(&mut self.test),
            results: std::mem::take(&mut self.results),
        };
        let mut pasts = PASTS.lock().unwrap_or_else(PoisonError::into_inner);
        pasts.push(past);
    }
}
