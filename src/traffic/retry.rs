//! What a client does when a request fails: tries again, at once or later, without end or within a budget.

use std::sync::Arc;
use std::time::Duration;

/// When a failed attempt is repeated.
///
/// ```
/// use squall::traffic::{Retry, millis, secs};
/// let storm = Retry::immediate(10);
/// let polite = Retry::exponential(4, millis(100)).cap(secs(5)).jitter().budget(0.1);
/// # let _ = (storm, polite);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    most: u32,
    first: Duration,
    doubles: bool,
    cap: Duration,
    jitter: bool,
    budget: Option<f64>,
    never: Vec<Arc<str>>,
}

/// Retries that a budget allows whatever the number of requests.
const ALWAYS: f64 = 10.0;

impl Retry {
    fn new(most: u32, first: Duration, doubles: bool) -> Retry {
        Retry {
            most,
            first,
            doubles,
            cap: Duration::MAX,
            jitter: false,
            budget: None,
            never: Vec::new(),
        }
    }

    /// Not at all.
    pub fn never() -> Retry {
        Retry::new(0, Duration::ZERO, false)
    }

    /// Up to `most` times, without a pause.
    pub fn immediate(most: u32) -> Retry {
        Retry::new(most, Duration::ZERO, false)
    }

    /// Up to `most` times, each after the same pause.
    pub fn fixed(most: u32, pause: Duration) -> Retry {
        Retry::new(most, pause, false)
    }

    /// Up to `most` times, after `first` and then twice as long each time.
    pub fn exponential(most: u32, first: Duration) -> Retry {
        Retry::new(most, first, true)
    }

    /// No pause is longer than this.
    pub fn cap(mut self, longest: Duration) -> Retry {
        self.cap = longest;
        self
    }

    /// Each pause is drawn between zero and what it would be ("full jitter", M. Brooker, "Exponential Backoff And Jitter", AWS
    /// Architecture Blog, 2015).
    pub fn jitter(mut self) -> Retry {
        self.jitter = true;
        self
    }

    /// All clients together repeat at most this share of the requests so far, and ten more: the retry budget of Finagle and of
    /// the SRE book (chapter 21).
    ///
    /// # Panics
    /// If it is negative or not a number.
    pub fn budget(mut self, share: f64) -> Retry {
        assert!(
            share >= 0.0,
            "a retry budget is a share of the requests, 0 or more, not {share}"
        );
        self.budget = Some(share);
        self
    }

    /// Errors of this kind are answers and not repeated: "sold out", say.
    pub fn unless(mut self, kind: &str) -> Retry {
        self.never.push(kind.into());
        self
    }

    /// Whether another attempt is allowed after `attempts` that failed, the last with an error of this kind, where all clients have
    /// repeated `retries` attempts at `requests` requests so far.
    pub(super) fn allows(&self, attempts: u32, kind: &str, retries: u64, requests: u64) -> bool {
        let within = self
            .budget
            .is_none_or(|share| (retries as f64) < ALWAYS + share * requests as f64);
        attempts <= self.most && within && !self.never.iter().any(|never| **never == *kind)
    }

    /// The pause after `attempts` attempts.
    pub(super) fn pause(&self, attempts: u32, below: &mut dyn FnMut(u64) -> u64) -> Duration {
        let doublings = match self.doubles {
            true => attempts.saturating_sub(1).min(40),
            false => 0,
        };
        let whole = self.first.as_nanos() << doublings;
        let whole = u64::try_from(whole.min(self.cap.as_nanos())).unwrap_or(u64::MAX);
        match self.jitter && whole > 0 {
            // The plainest pause is the whole one.
            true => Duration::from_nanos(whole - below(whole)),
            false => Duration::from_nanos(whole),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_cap() {
        let ms = Duration::from_millis;
        let retry = Retry::exponential(9, ms(100)).cap(ms(500));
        let pauses: Vec<Duration> = (1..6).map(|n| retry.pause(n, &mut |_| 0)).collect();
        assert_eq!(pauses, [ms(100), ms(200), ms(400), ms(500), ms(500)]);
        let jittered = retry.jitter();
        assert_eq!(jittered.pause(1, &mut |_| 0), ms(100));
        assert_eq!(jittered.pause(1, &mut |n| n - 1), Duration::from_nanos(1));
        assert!(Retry::exponential(u32::MAX, Duration::MAX).pause(u32::MAX, &mut |_| 0) > ms(1));
    }

    #[test]
    fn a_budget_bounds_the_retries_of_all() {
        let retry = Retry::immediate(3).budget(0.1).unless("sold out");
        assert!(retry.allows(1, "timeout", 0, 0) && retry.allows(3, "timeout", 0, 0));
        assert!(!retry.allows(4, "timeout", 0, 0));
        assert!(!retry.allows(1, "sold out", 0, 0));
        assert!(retry.allows(1, "timeout", 109, 1000));
        assert!(!retry.allows(1, "timeout", 110, 1000));
        assert!(!Retry::never().allows(1, "timeout", 0, 9));
    }
}
