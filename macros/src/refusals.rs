//! Functions that cannot become tests, and arguments that do not go with them: told where and how. `expand` and `model` ask before they write anything.

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{FnArg, ItemFn};

use crate::arguments::Arguments;

/// The function that an attribute of squall's stands on, or the error in its place.
pub(crate) fn function(attribute: &str, item: TokenStream) -> Result<ItemFn, TokenStream> {
    syn::parse2(item.clone()).map_err(|error| {
        let message = format!("#[squall::{attribute}] stands on a function: {error}");
        let error = syn::Error::new(error.span(), message).to_compile_error();
        quote!(#error #item)
    })
}

/// An error before the function as it was, so that editors still know it.
pub(crate) fn before(error: &syn::Error, function: &ItemFn) -> TokenStream {
    let error = error.to_compile_error();
    quote!(#error #[allow(dead_code)] #function)
}

/// What holds for the function of a test, which is `bound` to a scenario file or is not.
pub(crate) fn check(arguments: &Arguments, bound: bool, function: &ItemFn) -> syn::Result<()> {
    check_plain("test", function)?;
    let sig = &function.sig;
    let wrong = |span, message: &str| Err(syn::Error::new(span, message));
    if let Some(dots) = &sig.variadic {
        return wrong(dots.span(), "a test takes nothing, or its `squall::Sim`");
    }
    for (number, input) in sig.inputs.iter().enumerate() {
        if let FnArg::Receiver(receiver) = input {
            return wrong(receiver.span(), "a test is a free function, not a method");
        }
        match (number, bound) {
            (0, _) | (1, true) => {}
            (_, false) => {
                return wrong(input.span(), "a test takes nothing, or its `squall::Sim`");
            }
            (_, true) => {
                let message =
                    "a test of a scenario takes its `squall::Sim` and its `squall::Scenario`";
                return wrong(input.span(), message);
            }
        }
    }
    if sig.asyncness.is_none()
        && let Some(span) = arguments.runtime_argument()
    {
        return wrong(
            span,
            "this is about the tokio runtime of an `async fn`, and the function is not async",
        );
    }
    Ok(())
}

/// What holds for every function that becomes a test; messages call it `what`.
pub(crate) fn check_plain(what: &str, function: &ItemFn) -> syn::Result<()> {
    let sig = &function.sig;
    let wrong = |span, message: &str| Err(syn::Error::new(span, message));
    if !sig.generics.params.is_empty() {
        return wrong(
            sig.generics.span(),
            &format!("a {what} has no generic parameters: nobody could say what they are"),
        );
    }
    if let Some(word) = &sig.constness {
        return wrong(word.span(), &format!("a {what} is not a const fn"));
    }
    if let Some(word) = &sig.unsafety {
        return wrong(word.span(), &format!("a {what} is not an unsafe fn"));
    }
    if let Some(abi) = &sig.abi {
        return wrong(abi.span(), &format!("a {what} is not an extern fn"));
    }
    let second = function.attrs.iter().find(|attr| {
        attr.path().segments.last().is_some_and(|segment| {
            ["test", "scenario", "model"]
                .iter()
                .any(|name| segment.ident == name)
        })
    });
    if let Some(second) = second {
        return wrong(
            second.span(),
            "#[squall::test], #[squall::scenario] and #[squall::model] make this a test already; remove the other attribute",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::expand::test;
    use proc_macro2::TokenStream;
    use quote::quote;

    #[test]
    fn misuse_is_told_where_and_how() {
        let plain = || {
            quote!(
                async fn f() {}
            )
        };
        let cases: [(TokenStream, TokenStream, &str); 29] = [
            (
                quote!(allow = "sleeping"),
                plain(),
                "`allow` is a list in quotes of: blocking_call",
            ),
            (
                quote!(seds = 5),
                plain(),
                "`seds` is no argument of squall::test; there are: seeds, budget",
            ),
            (
                quote!(seed = 5),
                plain(),
                "a test has no fixed seed; set SQUALL_SEED",
            ),
            (quote!(seeds), plain(), "`seeds` needs a value"),
            (quote!(seeds = 0), plain(), "`seeds` is from 1 to"),
            (quote!(seeds = "5"), plain(), "`seeds` is a whole number"),
            (
                quote!(seeds = 5, seeds = 6),
                plain(),
                "`seeds` is given twice",
            ),
            (quote!(audit = 101), plain(), "`audit` is from 0 to 100"),
            (
                quote!(max_time = "1 hour"),
                plain(),
                "`max_time` is a duration in quotes",
            ),
            (
                quote!(memory = "8GB"),
                plain(),
                "`memory` is a size in quotes",
            ),
            (
                quote!(hosts = "a"),
                plain(),
                "`hosts` is a list of names in quotes",
            ),
            (
                quote!(hosts = [1]),
                plain(),
                "`hosts` is a list of names in quotes",
            ),
            (
                quote!(isolation = "none"),
                plain(),
                "`isolation` is \\\"batch\\\" or \\\"process\\\"",
            ),
            (quote!(flavor = "threaded"), plain(), "`flavor` is "),
            (
                quote!(faults = "spurious_polls, crash"),
                plain(),
                "`faults` is a list in quotes of: spurious_polls",
            ),
            (
                quote!(cancel = "not a path"),
                plain(),
                "`cancel` is the path of an async function in quotes",
            ),
            (
                quote!(cancel = true),
                plain(),
                "`cancel` is the path of an async function in quotes",
            ),
            (
                quote!(faults = "spurious_polls"),
                quote!(
                    fn f() {}
                ),
                "the function is not async",
            ),
            (
                quote!(multi_thread),
                plain(),
                "write `flavor = \\\"multi_thread\\\"`",
            ),
            (
                quote!(worker_threads = 0),
                plain(),
                "`worker_threads` is at least 1",
            ),
            (
                quote!(flavor = "current_thread", worker_threads = 2),
                plain(),
                "`worker_threads` goes with",
            ),
            (
                quote!(worker_threads = 2, start_paused = true),
                plain(),
                "`start_paused` goes with",
            ),
            (
                quote!(flavor = "current_thread"),
                quote!(
                    fn f() {}
                ),
                "the function is not async",
            ),
            (
                quote!(),
                quote!(
                    async fn f<T>() {}
                ),
                "a test has no generic parameters",
            ),
            (
                quote!(),
                quote!(
                    async fn f(a: Sim, b: Sim) {}
                ),
                "a test takes nothing, or its `squall::Sim`",
            ),
            (
                quote!(),
                quote!(
                    async fn f(self) {}
                ),
                "a test is a free function",
            ),
            (
                quote!(),
                quote!(
                    unsafe fn f() {}
                ),
                "a test is not an unsafe fn",
            ),
            (
                quote!(),
                quote!(
                    #[tokio::test]
                    async fn f() {}
                ),
                "make this a test already",
            ),
            (
                quote!(),
                quote!(
                    struct S;
                ),
                "#[squall::test] stands on a function",
            ),
        ];
        for (arguments, item, message) in cases {
            let text = test(arguments, item).to_string();
            assert!(text.contains("compile_error"), "{text}");
            assert!(text.contains(message), "{message} is missing in {text}");
        }
    }
}
