//! Writing the code of a test: a plain `#[test]` function around the user's own, which calls the runner.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Attribute, ItemFn, LitStr, Token};

use crate::arguments::{Arguments, Flavor};
use crate::refusals::{before, check, function};

/// The expansion of `#[squall::test]`.
pub(crate) fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = match function("test", item) {
        Ok(function) => function,
        Err(error) => return error,
    };
    let expanded = syn::parse2(arguments).and_then(|arguments| expand(&arguments, None, &function));
    expanded.unwrap_or_else(|error| before(&error, &function))
}

/// The expansion of `#[squall::scenario]`: a test that is bound to a file.
pub(crate) fn scenario(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = match function("scenario", item) {
        Ok(function) => function,
        Err(error) => return error,
    };
    let expanded = syn::parse2(arguments)
        .and_then(|Bound { file, arguments }| expand(&arguments, Some(&file), &function));
    expanded.unwrap_or_else(|error| before(&error, &function))
}

/// What `#[squall::scenario]` takes: the path of the file, and what `#[squall::test]` takes.
struct Bound {
    file: LitStr,
    arguments: Arguments,
}

impl Parse for Bound {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let form = "the path of the scenario file in quotes, from the directory of Cargo.toml, such as \"scenarios/sale.toml\"";
        let file: LitStr = input
            .parse()
            .map_err(|error| syn::Error::new(error.span(), format!("first comes {form}")))?;
        if file.value().is_empty() {
            return Err(syn::Error::new(file.span(), format!("this is {form}")));
        }
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
        Ok(Bound {
            file,
            arguments: input.parse()?,
        })
    }
}

fn expand(
    arguments: &Arguments,
    file: Option<&LitStr>,
    function: &ItemFn,
) -> syn::Result<TokenStream> {
    check(arguments, file.is_some(), function)?;
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
    } = function;
    let (outer, inner) = parted(attrs);
    let name = &sig.ident;
    let settings = settings(arguments);
    let inputs = sig.inputs.iter().enumerate();
    let argument: Vec<TokenStream> = inputs
        .map(|(number, input)| match number {
            0 => quote_spanned!(input.span()=> start.sim(),),
            _ => quote_spanned!(input.span()=> scenario.clone(),),
        })
        .collect();
    let mut call = quote!(#name(#(#argument)*));
    if arguments.faults.is_some() {
        call = quote!(start.stressed(#call));
    }
    if let Some(check) = &arguments.cancel {
        call = quote_spanned! {check.span()=>
            ::squall::__private::cancelled(#call, async |cancelled| #check(#(#argument)* cancelled).await)
        };
    }
    let body = match sig.asyncness {
        Some(_) => on_runtime(arguments, &call),
        None => quote!(::squall::__private::outcome(#call)),
    };
    let (scenario, run) = match file {
        None => (
            quote!(::core::option::Option::None),
            quote! {
                ::squall::__private::test(
                    &SITE,
                    #settings,
                    |start: &::squall::__private::Start| #body,
                );
            },
        ),
        Some(file) => (
            quote!(::core::option::Option::Some(#file)),
            quote! {
                ::squall::__private::scenario(
                    &SITE,
                    #file,
                    #settings,
                    |start: &::squall::__private::Start, scenario: &::squall::Scenario| #body,
                );
            },
        ),
    };
    let site = site(function, &scenario, &quote!(::core::option::Option::None));
    Ok(quote! {
        #(#outer)*
        #[::core::prelude::v1::test]
        #vis fn #name() {
            #(#inner)*
            #sig #block
            #site
            #run
        }
    })
}

/// The static `SITE`: where the test stands, in the catalogue of all tests.
pub(crate) fn site(function: &ItemFn, scenario: &TokenStream, model: &TokenStream) -> TokenStream {
    let function_name = function.sig.ident.to_string();
    let has = |name| function.attrs.iter().any(|attr| attr.path().is_ident(name));
    let (ignored, should_panic) = (has("ignore"), has("should_panic"));
    quote! {
        #[cfg_attr(
            target_os = "linux",
            ::squall::__private::linkme::distributed_slice(::squall::__private::TESTS),
            linkme(crate = ::squall::__private::linkme)
        )]
        static SITE: ::squall::__private::Site = ::squall::__private::Site {
            module: ::core::module_path!(),
            function: #function_name,
            file: ::core::file!(),
            line: ::core::line!(),
            scenario: #scenario,
            model: #model,
            package: ::core::env!("CARGO_PKG_NAME"),
            manifest_dir: ::core::env!("CARGO_MANIFEST_DIR"),
            crate_name: ::core::env!("CARGO_CRATE_NAME"),
            bin_name: ::core::option_env!("CARGO_BIN_NAME"),
            integration: ::core::option_env!("CARGO_TARGET_TMPDIR").is_some(),
            ignored: #ignored,
            should_panic: #should_panic,
            debug: ::core::cfg!(debug_assertions),
        };
    }
}

/// Attributes that speak to the compiler or the test harness about the test, and the others, which belong to the user's function.
pub(crate) fn parted(attrs: &[Attribute]) -> (Vec<&Attribute>, Vec<&Attribute>) {
    const OUTER: [&str; 10] = [
        "cfg",
        "cfg_attr",
        "ignore",
        "should_panic",
        "doc",
        "allow",
        "warn",
        "deny",
        "forbid",
        "expect",
    ];
    let outer = |attr: &&Attribute| OUTER.iter().any(|name| attr.path().is_ident(name));
    attrs.iter().partition(outer)
}

fn settings(arguments: &Arguments) -> TokenStream {
    let calls = &arguments.settings;
    let workers = &arguments.worker_threads;
    let fixed_to_one_thread =
        arguments.start_paused.is_some() || arguments.unhandled_panic.is_some();
    let flavor = match (arguments.flavor, workers) {
        (Some((Flavor::CurrentThread | Flavor::Local, _)), _) => quote!(CurrentThread),
        (_, Some(workers)) => quote!(MultiThread(::core::option::Option::Some(#workers))),
        (Some((Flavor::MultiThread, _)), None) => quote!(MultiThread(::core::option::Option::None)),
        // tokio allows these on its default flavor, which is current_thread.
        (None, None) if fixed_to_one_thread => quote!(CurrentThread),
        (None, None) => return quote!(::squall::Settings::new() #calls),
    };
    quote!(::squall::Settings::new() #calls .flavor(::squall::Flavor::#flavor))
}

/// The call of an async body, on a runtime built as `#[tokio::test]` builds its own.
fn on_runtime(arguments: &Arguments, call: &TokenStream) -> TokenStream {
    let tokio = match &arguments.tokio {
        Some(path) => quote!(#path),
        None => quote!(::squall::__private::tokio),
    };
    // A tokio that the test names need not be the one that squall knows.
    let hooks = match &arguments.tokio {
        Some(_) => TokenStream::new(),
        None => quote!(::squall::__private::hook(&mut builder);),
    };
    let mut options = TokenStream::new();
    if let Some((paused, _)) = arguments.start_paused {
        options.extend(quote!(builder.start_paused(#paused);));
    }
    if let Some((variant, _)) = &arguments.unhandled_panic {
        options.extend(quote!(builder.unhandled_panic(#tokio::runtime::UnhandledPanic::#variant);));
    }
    if let Some(name) = &arguments.name {
        options.extend(quote!(builder.name(#name);));
    }
    let local = matches!(arguments.flavor, Some((Flavor::Local, _)));
    let build = match local {
        true => quote!(builder.build_local(::core::default::Default::default())),
        false => quote!(builder.build()),
    };
    quote! {{
        let mut builder = match start.workers() {
            ::core::option::Option::None => #tokio::runtime::Builder::new_current_thread(),
            ::core::option::Option::Some(workers) => {
                let mut builder = #tokio::runtime::Builder::new_multi_thread();
                builder.worker_threads(workers);
                builder
            }
        };
        builder.enable_all();
        #hooks
        #options
        match #build {
            ::core::result::Result::Ok(runtime) => {
                let returned = runtime.block_on(start.body(#call));
                ::core::mem::drop(runtime);
                ::squall::__private::outcome(returned)
            }
            ::core::result::Result::Err(error) => ::core::result::Result::Err(
                ::std::format!("the tokio runtime could not be built: {error}"),
            ),
        }
    }}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(arguments: TokenStream, item: TokenStream) -> String {
        test(arguments, item).to_string()
    }

    #[test]
    fn tokios_arguments_reach_its_builder() {
        let text = expanded(
            quote!(
                start_paused = true,
                unhandled_panic = "shutdown_runtime",
                name = "x",
                crate = "my::tokio"
            ),
            quote!(
                async fn f() {}
            ),
        );
        for part in [
            "builder . start_paused (true)",
            "my :: tokio :: runtime :: UnhandledPanic :: ShutdownRuntime",
            "builder . name (\"x\")",
            "my :: tokio :: runtime :: Builder :: new_current_thread",
            "Flavor :: CurrentThread",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        let text = expanded(
            quote!(flavor = "local"),
            quote!(
                async fn f() {}
            ),
        );
        assert!(text.contains("build_local"), "{text}");
        let text = expanded(
            quote!(worker_threads = 3),
            quote!(
                async fn f() {}
            ),
        );
        assert!(
            text.contains("MultiThread (:: core :: option :: Option :: Some (3))"),
            "{text}"
        );
    }

    #[test]
    fn faults_and_cancellation_wrap_the_call() {
        let text = expanded(
            quote!(
                faults = "rotate_wakers, spurious_polls",
                cancel = "checks::holds"
            ),
            quote!(
                async fn f(sim: Sim) {}
            ),
        );
        for part in [
            "faults (:: squall :: Faults :: ROTATE_WAKERS | :: squall :: Faults :: SPURIOUS_POLLS)",
            "cancelled (start . stressed (f (start . sim () ,)) , async",
            "checks :: holds (start . sim () , cancelled) . await",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }

    #[test]
    fn attributes_go_where_they_are_understood() {
        let item = quote! {
            #[doc = "d"] #[should_panic(expected = "x")] #[ignore] #[cfg(a)] #[instrument]
            pub async fn f(sim: Sim) -> Result { Ok(()) }
        };
        let text = expanded(quote!(seeds = 5, max_time = "1h"), item);
        let (outside, inside) = text.split_once("pub fn f ()").expect("a test function");
        for part in [
            "should_panic",
            "ignore",
            "cfg (a)",
            "doc = \"d\"",
            "prelude :: v1 :: test",
        ] {
            assert!(outside.contains(part), "{part} is missing in {outside}");
        }
        assert!(
            inside.contains("# [instrument] async fn f (sim : Sim)"),
            "{inside}"
        );
        assert!(inside.contains("ignored : true"), "{inside}");
        assert!(
            inside.contains("Settings :: new () . seeds (5)"),
            "{inside}"
        );
        assert!(
            inside.contains("Duration :: from_nanos (3600000000000u64)"),
            "{inside}"
        );
    }
}
