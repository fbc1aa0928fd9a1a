//! The attribute macros of squall, which are documented where `squall` exports them. `arguments` reads what is in an
//! attribute, `expand` writes the code, `model` does both for models, and `units` is about literals.

mod arguments;
mod expand;
mod model;
mod refusals;
mod units;

use proc_macro::TokenStream;

/// See `squall::scenario`, under which name this is used and documented.
#[proc_macro_attribute]
pub fn scenario(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::scenario(arguments.into(), item.into()).into()
}

/// See `squall::test`, under which name this is used and documented.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::test(arguments.into(), item.into()).into()
}

/// See `squall::model`, under which name this is used and documented.
#[proc_macro_attribute]
pub fn model(arguments: TokenStream, item: TokenStream) -> TokenStream {
    model::for_kernel(arguments.into(), item.into()).into()
}

/// `squall::model` where squall is built with `--cfg loom`.
#[proc_macro_attribute]
pub fn model_under_loom(arguments: TokenStream, item: TokenStream) -> TokenStream {
    model::for_loom(arguments.into(), item.into()).into()
}

/// `squall::test` and `squall::scenario` where squall is built with `--cfg loom`.
#[proc_macro_attribute]
pub fn without_kernel(_: TokenStream, item: TokenStream) -> TokenStream {
    model::without_kernel(item.into()).into()
}
