//! The code of a model: one body for two engines. Which of the two it is written for is decided where squall is built: `squall` exports
//! [`for_kernel`] or, under `--cfg loom`, [`for_loom`] under the same name, so that the user's crate needs no `cfg` of its own.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Ident, ItemFn, LitBool, LitInt, ReturnType, Token};

use crate::arguments::literal;
use crate::{expand, refusals};

/// Every argument, in the order in which messages list them.
const KNOWN: &str = "preemption_bound, max_branches, max_executions, kernel, loom";

/// The arguments of one attribute.
#[derive(Default)]
struct Arguments {
    preemption_bound: Option<LitInt>,
    max_branches: Option<LitInt>,
    max_executions: Option<LitInt>,
    /// The place of `kernel = false`.
    without_kernel: Option<Span>,
    /// The place of `loom = false`.
    without_loom: Option<Span>,
    seen: Vec<String>,
}

impl Arguments {
    fn take(&mut self, name: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        let text = name.to_string();
        let number = |least: usize| -> syn::Result<Option<LitInt>> {
            let number: LitInt = literal(input, &text, "a whole number")?;
            if number.base10_parse::<usize>()? < least {
                let message = format!("`{text}` is at least {least}");
                return Err(syn::Error::new(number.span(), message));
            }
            Ok(Some(number))
        };
        let off = || -> syn::Result<Option<Span>> {
            let value: LitBool = literal(input, &text, "true or false")?;
            Ok((!value.value).then(|| name.span()))
        };
        match text.as_str() {
            "preemption_bound" => self.preemption_bound = number(0)?,
            "max_branches" => self.max_branches = number(1)?,
            "max_executions" => self.max_executions = number(1)?,
            "kernel" => self.without_kernel = off()?,
            "loom" => self.without_loom = off()?,
            "strategy" | "seeds" => {
                let message = format!(
                    "a model is searched exhaustively, and has no `{text}`: say `max_executions = N` to end the search early, or use #[squall::test]"
                );
                return Err(syn::Error::new(name.span(), message));
            }
            _ => {
                let message =
                    format!("`{text}` is no argument of squall::model; there are: {KNOWN}");
                return Err(syn::Error::new(name.span(), message));
            }
        }
        Ok(())
    }

    /// Arguments that contradict each other.
    fn check(&self) -> syn::Result<()> {
        let Some(span) = self.without_loom else {
            return Ok(());
        };
        if self.without_kernel.is_some() {
            let message = "with `kernel = false` and `loom = false` nothing runs the model: leave one of them out";
            return Err(syn::Error::new(span, message));
        }
        let looms = [
            ("preemption_bound", &self.preemption_bound),
            ("max_branches", &self.max_branches),
        ];
        for (name, number) in looms {
            if let Some(number) = number {
                let message = format!(
                    "`{name}` is for loom, and `loom = false` leaves loom out: remove one of them"
                );
                return Err(syn::Error::new(number.span(), message));
            }
        }
        Ok(())
    }
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut arguments = Arguments::default();
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            let text = name.to_string();
            if !input.peek(Token![=]) {
                let message = format!("`{text}` needs a value: `{text} = ...`");
                return Err(syn::Error::new(name.span(), message));
            }
            if arguments.seen.contains(&text) {
                return Err(syn::Error::new(
                    name.span(),
                    format!("`{text}` is given twice"),
                ));
            }
            input.parse::<Token![=]>()?;
            arguments.take(&name, input)?;
            arguments.seen.push(text);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        arguments.check()?;
        Ok(arguments)
    }
}

fn check(function: &ItemFn) -> syn::Result<()> {
    let sig = &function.sig;
    let wrong = |span, message: &str| Err(syn::Error::new(span, message));
    if let Some(word) = &sig.asyncness {
        return wrong(
            word.span(),
            "a model is a plain `fn`: loom runs threads. Remove `async`, or use #[squall::test] for code on a runtime",
        );
    }
    if !sig.inputs.is_empty() {
        return wrong(
            sig.inputs.span(),
            "a model takes nothing: what its threads share is made in its body, anew for each execution",
        );
    }
    if let ReturnType::Type(..) = &sig.output {
        return wrong(
            sig.output.span(),
            "a model returns nothing: say what must hold with assert! and unwrap",
        );
    }
    refusals::check_plain("model", function)
}

/// Which function this is, or the error in its place.
fn read(arguments: TokenStream, item: TokenStream) -> Result<(Arguments, ItemFn), TokenStream> {
    let function = refusals::function("model", item)?;
    let arguments = syn::parse2::<Arguments>(arguments)
        .and_then(|arguments| check(&function).map(|()| arguments));
    match arguments {
        Ok(arguments) => Ok((arguments, function)),
        Err(error) => Err(refusals::before(&error, &function)),
    }
}

/// The expansion of `#[squall::model]` where the kernel is: a test under its exhaustive search.
pub(crate) fn for_kernel(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let (arguments, function) = match read(arguments, item) {
        Ok(read) => read,
        Err(error) => return error,
    };
    let (kernel, loom) = (
        arguments.without_kernel.is_none(),
        arguments.without_loom.is_none(),
    );
    let engines = quote! {
        ::core::option::Option::Some(::squall::__private::Engines { kernel: #kernel, loom: #loom })
    };
    let site = expand::site(&function, &quote!(::core::option::Option::None), &engines);
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
    } = &function;
    let name = &sig.ident;
    let (outer, inner) = expand::parted(attrs);
    let marked = attrs.iter().any(|attr| attr.path().is_ident("ignore"));
    let left_out = arguments.without_kernel.filter(|_| !marked).map(
        |_| quote!(#[ignore = "loom alone runs this model (kernel = false): cargo squall model"]),
    );
    let seeds = arguments
        .max_executions
        .map(|number| quote!(.seeds(#number)));
    quote! {
        #(#outer)*
        #left_out
        #[::core::prelude::v1::test]
        #vis fn #name() {
            #(#inner)*
            #sig #block
            #site
            ::squall::__private::model(
                &SITE,
                ::squall::Settings::new()
                    .strategy(const { ::squall::__private::strategy("exhaustive") }) #seeds,
                #name,
            );
        }
    }
}

/// The expansion of `#[squall::model]` under `--cfg loom`. What loom does not run is not even compiled for it.
pub(crate) fn for_loom(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let (arguments, function) = match read(arguments, item) {
        Ok(read) => read,
        Err(error) => return error,
    };
    if arguments.without_loom.is_some() {
        return ignored(&function, "the kernel alone runs this model (loom = false)");
    }
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
    } = &function;
    let name = &sig.ident;
    let function_name = name.to_string();
    let (outer, inner) = expand::parted(attrs);
    let option = |number: &Option<LitInt>| match number {
        Some(number) => quote!(::core::option::Option::Some(#number)),
        None => quote!(::core::option::Option::None),
    };
    let (preemption_bound, max_branches, max_executions) = (
        option(&arguments.preemption_bound),
        option(&arguments.max_branches),
        option(&arguments.max_executions),
    );
    quote! {
        #(#outer)*
        #[::core::prelude::v1::test]
        #vis fn #name() {
            #(#inner)*
            #sig #block
            ::squall::__private::model(
                &::squall::__private::Model {
                    module: ::core::module_path!(),
                    function: #function_name,
                    package: ::core::env!("CARGO_PKG_NAME"),
                    preemption_bound: #preemption_bound,
                    max_branches: #max_branches,
                    max_executions: #max_executions,
                },
                #name,
            );
        }
    }
}

/// The expansion of a test of the kernel's under `--cfg loom`: libtest says that it is not run, and why.
pub(crate) fn without_kernel(item: TokenStream) -> TokenStream {
    match syn::parse2::<ItemFn>(item.clone()) {
        Ok(function) => ignored(&function, "there is no kernel under --cfg loom"),
        Err(error) => {
            let error = error.to_compile_error();
            quote!(#error #item)
        }
    }
}

fn ignored(function: &ItemFn, why: &str) -> TokenStream {
    let (vis, name) = (&function.vis, &function.sig.ident);
    // Another reason would be the second.
    let outer = function
        .attrs
        .iter()
        .filter(|attr| ["cfg", "doc"].iter().any(|name| attr.path().is_ident(name)));
    quote! {
        #(#outer)*
        #[::core::prelude::v1::test]
        #[ignore = #why]
        #vis fn #name() {
            ::core::panic!(#why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misuse_is_told_where_and_how() {
        let plain = || {
            quote!(
                fn f() {}
            )
        };
        let cases: [(TokenStream, TokenStream, &str); 15] = [
            (
                quote!(bound = 2),
                plain(),
                "`bound` is no argument of squall::model; there are: preemption_bound",
            ),
            (
                quote!(strategy = "pct"),
                plain(),
                "a model is searched exhaustively, and has no `strategy`: say `max_executions = N`",
            ),
            (quote!(loom), plain(), "`loom` needs a value"),
            (quote!(loom = 1), plain(), "`loom` is true or false"),
            (
                quote!(max_branches = "x"),
                plain(),
                "`max_branches` is a whole number",
            ),
            (
                quote!(max_executions = 0),
                plain(),
                "`max_executions` is at least 1",
            ),
            (
                quote!(loom = true, loom = false),
                plain(),
                "`loom` is given twice",
            ),
            (
                quote!(loom = false, kernel = false),
                plain(),
                "nothing runs the model",
            ),
            (
                quote!(loom = false, preemption_bound = 2),
                plain(),
                "`preemption_bound` is for loom",
            ),
            (
                quote!(),
                quote!(
                    async fn f() {}
                ),
                "a model is a plain `fn`",
            ),
            (
                quote!(),
                quote!(
                    fn f(sim: Sim) {}
                ),
                "a model takes nothing",
            ),
            (
                quote!(),
                quote!(
                    fn f() -> u8 {
                        5
                    }
                ),
                "a model returns nothing",
            ),
            (
                quote!(),
                quote!(
                    fn f<T>() {}
                ),
                "a model has no generic parameters",
            ),
            (
                quote!(),
                quote!(
                    #[test]
                    fn f() {}
                ),
                "make this a test already",
            ),
            (
                quote!(),
                quote!(
                    struct S;
                ),
                "#[squall::model] stands on a function",
            ),
        ];
        for expansion in [for_kernel, for_loom] {
            for (arguments, item, message) in cases.clone() {
                let text = expansion(arguments, item).to_string();
                assert!(text.contains("compile_error"), "{text}");
                assert!(text.contains(message), "{message} is missing in {text}");
            }
        }
    }

    #[test]
    fn each_engine_gets_what_is_its_own() {
        let item = || {
            quote! {
                #[doc = "d"] #[should_panic] fn f() { g(); }
            }
        };
        let has = |text: &str, parts: &[&str]| {
            for part in parts {
                assert!(text.contains(part), "{part} is missing in {text}");
            }
        };
        let arguments = quote!(max_executions = 9, preemption_bound = 3);
        let kernel = for_kernel(arguments.clone(), item()).to_string();
        has(
            &kernel,
            &[
                "strategy (\"exhaustive\")",
                ". seeds (9)",
                "kernel : true , loom : true",
                "should_panic : true",
            ],
        );
        let loom = for_loom(arguments, item()).to_string();
        has(
            &loom,
            &[
                "# [should_panic]",
                "preemption_bound : :: core :: option :: Option :: Some (3)",
                "max_executions : :: core :: option :: Option :: Some (9)",
                "max_branches : :: core :: option :: Option :: None",
            ],
        );

        let kernel = for_kernel(quote!(loom = false), item()).to_string();
        has(&kernel, &["kernel : true , loom : false"]);
        let loom = for_loom(quote!(loom = false), item()).to_string();
        has(&loom, &["ignore = \"the kernel alone runs this model"]);
        assert!(!loom.contains("g ()"), "its body need not compile: {loom}");
        let kernel = for_kernel(quote!(kernel = false), item()).to_string();
        has(&kernel, &["ignore = \"loom alone runs this model"]);
        let test = without_kernel(quote!(
            async fn f(sim: Sim) {
                g()
            }
        ))
        .to_string();
        has(&test, &["fn f ()", "there is no kernel under --cfg loom"]);
        assert!(!test.contains("g ()"), "{test}");
    }
}
