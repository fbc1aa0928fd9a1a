//! The pitfalls that practitioners name, each as a small service with the bug as it is usually written and its repaired twin, which
//! differs by a few lines. Nothing here knows of squall, but for a `gauge!`; the tests in `tests/pitfalls/` say what tells the two apart.
//!
//! | module | the bug |
//! |---|---|
//! | [`flash_sale`] | two replicas of a shop sell the same item |
//! | [`lock_order`] | two locks are taken in the other order, but only after a payment has failed twice |
//! | [`billing`] | nobody looks at what became of a task |
//! | [`connections`] | a request that is cancelled keeps its connection for ever |
//! | [`backpressure`] | a queue takes whatever comes, faster than it is emptied |
//! | [`retry_storm`] | retries keep a service down that would be up again |
//! | [`dead_letters`] | a message is acknowledged before it is a dead letter |
//! | [`rounding`] | a sum is rounded here and its parts there |
//! | [`editing`] | the last writer wins |
//! | [`batcher`] | each new item puts off the batch |
//! | [`consumer_lag`] | a consumer that takes no more when it has more to do |
//! | [`saga`] | a compensation that fails ends the compensations |
//! | [`event_loop`] | a call that blocks, in a task |

pub mod backpressure;
pub mod batcher;
pub mod billing;
pub mod connections;
pub mod consumer_lag;
pub mod dead_letters;
pub mod editing;
pub mod event_loop;
pub mod flash_sale;
pub mod lines;
pub mod lock_order;
pub mod retry_storm;
pub mod rounding;
pub mod saga;

/// Which of the twins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variant {
    /// With the bug.
    Broken,
    /// Without.
    Repaired,
}
