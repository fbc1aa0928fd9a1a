//! The attribute macros of squall, which are documented where `squall` exports them. `arguments` reads what is in an
//! attribute, `expand` writes the code, and `units` is about its literals.

mod arguments;
mod expand;
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
