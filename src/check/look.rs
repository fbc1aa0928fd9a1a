//! Looks: how a property gets at what it is about. A closure that returns the value, or one that returns a future of it.

use std::fmt::Debug;
use std::pin::Pin;

/// A future on the thread that looks.
pub(crate) type Looking<V> = Pin<Box<dyn Future<Output = V>>>;

/// A way of getting a value.
pub enum Looker<V> {
    /// At once.
    Plain(Box<dyn FnMut() -> V + Send>),
    /// With calls into the system under test.
    Asynchronous(Box<dyn FnMut() -> Looking<V> + Send>),
}

impl<V> std::fmt::Debug for Looker<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Looker::Plain(_) => "Plain",
            Looker::Asynchronous(_) => "Asynchronous",
        })
    }
}

/// Marks closures that return the value.
#[derive(Debug)]
pub struct Plain<V>(std::marker::PhantomData<V>);

/// Marks closures that return a future of it.
#[derive(Debug)]
pub struct Asynchronous<F>(std::marker::PhantomData<F>);

/// How a property gets at what it is about: a closure that returns the value, or a future of it. The value is shown with `Debug`
/// where the property does not hold. `How` is found by the compiler.
#[diagnostic::on_unimplemented(
    message = "a property cannot look at things with `{Self}`",
    label = "must be a closure without arguments that returns a value that is `Debug`, or a future of one, and be Send + 'static"
)]
pub trait Look<How>: Send + 'static {
    /// What it gets.
    type Value: Debug + 'static;

    /// The closure, boxed.
    fn looker(self) -> Looker<Self::Value>;
}

impl<F, V> Look<Plain<V>> for F
where
    F: FnMut() -> V + Send + 'static,
    V: Debug + 'static,
{
    type Value = V;

    fn looker(self) -> Looker<V> {
        Looker::Plain(Box::new(self))
    }
}

impl<F, Fut> Look<Asynchronous<Fut>> for F
where
    F: FnMut() -> Fut + Send + 'static,
    Fut: Future + 'static,
    Fut::Output: Debug + 'static,
{
    type Value = Fut::Output;

    fn looker(mut self) -> Looker<Fut::Output> {
        Looker::Asynchronous(Box::new(move || Box::pin(self())))
    }
}

/// What may stand for whether something holds.
pub trait Condition: Debug {
    /// Whether it does.
    fn holds(&self) -> bool;
}

impl Condition for bool {
    fn holds(&self) -> bool {
        *self
    }
}

/// It holds if it is `Ok`; the error says what is amiss.
impl<T: Debug, E: Debug> Condition for Result<T, E> {
    fn holds(&self) -> bool {
        self.is_ok()
    }
}

/// It holds if there is something.
impl<T: Debug> Condition for Option<T> {
    fn holds(&self) -> bool {
        self.is_some()
    }
}
