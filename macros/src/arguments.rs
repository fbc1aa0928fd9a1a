//! Reading the arguments of `#[squall::test]`. Each is checked here as far as its text goes, with the error at its place.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Ident, Lit, LitInt, LitStr, Path, Token};

use crate::units;

/// Every argument, in the order in which messages list them.
const KNOWN: &str = "seeds, budget, strategy, isolation, jobs, audit, watchdog, memory, cpus, descriptors, hosts, \
                     max_time, max_steps, faults, cancel, allow, detect, and tokio's flavor, worker_threads, start_paused, unhandled_panic, name, crate";

/// Which runtime the test asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    CurrentThread,
    MultiThread,
    Local,
}

/// The arguments of one attribute.
#[derive(Default)]
pub(crate) struct Arguments {
    /// Calls on `squall::Settings`, each beginning with a dot.
    pub(crate) settings: TokenStream,
    /// The place of the argument that puts the body under faults.
    pub(crate) faults: Option<Span>,
    /// The check of a body that is dropped at one of its awaits.
    pub(crate) cancel: Option<Path>,
    pub(crate) flavor: Option<(Flavor, Span)>,
    pub(crate) worker_threads: Option<LitInt>,
    pub(crate) start_paused: Option<(bool, Span)>,
    pub(crate) unhandled_panic: Option<(Ident, Span)>,
    pub(crate) name: Option<LitStr>,
    pub(crate) tokio: Option<Path>,
    seen: Vec<String>,
}

impl Arguments {
    /// The place of an argument that only a runtime can obey.
    pub(crate) fn runtime_argument(&self) -> Option<Span> {
        let spans = [
            self.faults,
            self.cancel.as_ref().map(Spanned::span),
            self.flavor.map(|(_, span)| span),
            self.worker_threads.as_ref().map(LitInt::span),
            self.start_paused.map(|(_, span)| span),
            self.unhandled_panic.as_ref().map(|(_, span)| *span),
            self.name.as_ref().map(LitStr::span),
            self.tokio.as_ref().map(Spanned::span),
        ];
        spans.into_iter().flatten().next()
    }

    fn take(&mut self, name: &str, span: Span, input: ParseStream<'_>) -> syn::Result<()> {
        match name {
            "seeds" | "max_steps" => self.number::<u64>(name, span, 1..=u64::MAX, input),
            "jobs" => self.number::<u32>(name, span, 1..=1024, input),
            "audit" => self.number::<u32>(name, span, 0..=100, input),
            "cpus" => self.number::<u32>(name, span, 1..=1024, input),
            "descriptors" => self.number::<u32>(name, span, 1..=1 << 20, input),
            "budget" | "watchdog" | "max_time" => {
                let form = "a duration in quotes: a whole number and a unit (ns, us, ms, s, m, h or d), such as \"30s\"";
                let text: LitStr = literal(input, name, form)?;
                let error = || syn::Error::new(text.span(), format!("`{name}` is {form}"));
                let ns = units::nanoseconds(&text.value()).ok_or_else(error)?;
                self.setting(name, span, quote!(::core::time::Duration::from_nanos(#ns)));
                Ok(())
            }
            "memory" => {
                let form = "a size in quotes: a whole number and a unit (KiB, MiB, GiB or TiB), such as \"8GiB\", or \"none\"";
                let text: LitStr = literal(input, name, form)?;
                let error = || syn::Error::new(text.span(), format!("`{name}` is {form}"));
                let read = match text.value().as_str() {
                    "none" => quote!(::core::option::Option::None),
                    size => {
                        let bytes = units::bytes(size).ok_or_else(error)?;
                        quote!(::core::option::Option::Some(#bytes))
                    }
                };
                self.setting(name, span, read);
                Ok(())
            }
            "strategy" => {
                let text: LitStr = literal(input, name, "the name of a strategy in quotes")?;
                let read =
                    quote_spanned!(text.span()=> const { ::squall::__private::strategy(#text) });
                self.setting(name, span, read);
                Ok(())
            }
            "isolation" => {
                let text: LitStr = literal(input, name, "\"batch\" or \"process\"")?;
                let variant = match text.value().as_str() {
                    "batch" => quote!(Batch),
                    "process" => quote!(Process),
                    _ => {
                        return Err(syn::Error::new(
                            text.span(),
                            "`isolation` is \"batch\" or \"process\"",
                        ));
                    }
                };
                self.setting(name, span, quote!(::squall::Isolation::#variant));
                Ok(())
            }
            "hosts" => self.hosts(span, input),
            "faults" => self.faults(span, input),
            "allow" | "detect" => self.detectors(name, span, input),
            "cancel" => {
                let form = "the path of an async function in quotes, which checks what a dropped body leaves behind";
                let text: LitStr = literal(input, name, form)?;
                let path = text.parse();
                self.cancel =
                    Some(path.map_err(|_| {
                        syn::Error::new(text.span(), format!("`{name}` is {form}"))
                    })?);
                Ok(())
            }
            _ => self.take_tokio(name, span, input),
        }
    }

    /// What `#[tokio::test]` knows too.
    fn take_tokio(&mut self, name: &str, span: Span, input: ParseStream<'_>) -> syn::Result<()> {
        match name {
            "flavor" => {
                let text: LitStr = literal(input, name, "the name of a runtime flavor in quotes")?;
                let flavor = match text.value().as_str() {
                    "current_thread" => Flavor::CurrentThread,
                    "multi_thread" => Flavor::MultiThread,
                    "local" => Flavor::Local,
                    _ => {
                        let message =
                            "`flavor` is \"current_thread\", \"multi_thread\" or \"local\"";
                        return Err(syn::Error::new(text.span(), message));
                    }
                };
                self.flavor = Some((flavor, span));
            }
            "worker_threads" => {
                let number: LitInt = literal(input, name, "a number of workers")?;
                if number.base10_parse::<usize>()? == 0 {
                    return Err(syn::Error::new(
                        number.span(),
                        "`worker_threads` is at least 1",
                    ));
                }
                self.worker_threads = Some(number);
            }
            "start_paused" => {
                let value: syn::LitBool = literal(input, name, "true or false")?;
                self.start_paused = Some((value.value, span));
            }
            "unhandled_panic" => {
                let text: LitStr = literal(input, name, "\"ignore\" or \"shutdown_runtime\"")?;
                let variant = match text.value().as_str() {
                    "ignore" => "Ignore",
                    "shutdown_runtime" => "ShutdownRuntime",
                    _ => {
                        let message = "`unhandled_panic` is \"ignore\" or \"shutdown_runtime\"";
                        return Err(syn::Error::new(text.span(), message));
                    }
                };
                self.unhandled_panic = Some((Ident::new(variant, text.span()), span));
            }
            "name" => self.name = Some(literal(input, name, "a name in quotes")?),
            "crate" => {
                let text: LitStr = literal(input, name, "the path of the tokio crate in quotes")?;
                self.tokio = Some(text.parse()?);
            }
            "seed" => {
                let message = "a test has no fixed seed; set SQUALL_SEED to run one, or `seeds = N` for how many";
                return Err(syn::Error::new(span, message));
            }
            _ => {
                let message =
                    format!("`{name}` is no argument of squall::test; there are: {KNOWN}");
                return Err(syn::Error::new(span, message));
            }
        }
        Ok(())
    }

    fn number<T>(
        &mut self,
        name: &str,
        span: Span,
        range: std::ops::RangeInclusive<T>,
        input: ParseStream<'_>,
    ) -> syn::Result<()>
    where
        T: std::str::FromStr<Err: std::fmt::Display> + PartialOrd + std::fmt::Display,
    {
        let number: LitInt = literal(input, name, "a whole number")?;
        if !range.contains(&number.base10_parse::<T>()?) {
            let message = format!("`{name}` is from {} to {}", range.start(), range.end());
            return Err(syn::Error::new(number.span(), message));
        }
        self.setting(name, span, quote!(#number));
        Ok(())
    }

    fn hosts(&mut self, span: Span, input: ParseStream<'_>) -> syn::Result<()> {
        let form = "`hosts` is a list of names in quotes, such as [\"a\", \"b\"]";
        let array: syn::ExprArray = input
            .parse()
            .map_err(|error| syn::Error::new(error.span(), form))?;
        let mut names = Vec::new();
        for element in &array.elems {
            match element {
                Expr::Lit(ExprLit {
                    lit: Lit::Str(name),
                    ..
                }) => names.push(name),
                other => return Err(syn::Error::new_spanned(other, form)),
            }
        }
        self.setting("hosts", span, quote!([#(#names),*]));
        Ok(())
    }

    fn faults(&mut self, span: Span, input: ParseStream<'_>) -> syn::Result<()> {
        let form = "a list in quotes of: spurious_polls, rotate_wakers";
        let text: LitStr = literal(input, "faults", form)?;
        let mut kinds = Vec::new();
        for kind in text.value().split(',') {
            kinds.push(match kind.trim() {
                "spurious_polls" => Ident::new("SPURIOUS_POLLS", text.span()),
                "rotate_wakers" => Ident::new("ROTATE_WAKERS", text.span()),
                _ => return Err(syn::Error::new(text.span(), format!("`faults` is {form}"))),
            });
        }
        self.setting("faults", span, quote!(#(::squall::Faults::#kinds)|*));
        self.faults = Some(span);
        Ok(())
    }

    fn detectors(&mut self, name: &str, span: Span, input: ParseStream<'_>) -> syn::Result<()> {
        const DETECTORS: [(&str, &str); 9] = [
            ("blocking_call", "BlockingCall"),
            ("lock_across_await", "LockAcrossAwait"),
            ("unobserved_panic", "UnobservedPanic"),
            ("dropped_error", "DroppedError"),
            ("stalled_task", "StalledTask"),
            ("futurelock", "Futurelock"),
            ("leaked_tasks", "LeakedTasks"),
            ("leaked_threads", "LeakedThreads"),
            ("leaked_descriptors", "LeakedDescriptors"),
        ];
        let form = format!(
            "a list in quotes of: {}",
            DETECTORS.map(|(name, _)| name).join(", ")
        );
        let text: LitStr = literal(input, name, &form)?;
        let mut kinds = Vec::new();
        for kind in text.value().split(',') {
            let known = DETECTORS.iter().find(|(name, _)| *name == kind.trim());
            let Some((_, variant)) = known else {
                return Err(syn::Error::new(text.span(), format!("`{name}` is {form}")));
            };
            let variant = Ident::new(variant, text.span());
            kinds.push(quote!(::squall::Detectors::from(::squall::Detector::#variant)));
        }
        self.setting(name, span, quote!(#(#kinds)|*));
        Ok(())
    }

    fn setting(&mut self, name: &str, span: Span, value: TokenStream) {
        let method = Ident::new(name, span);
        self.settings.extend(quote!(.#method(#value)));
    }

    /// Arguments that contradict each other.
    fn check(&self) -> syn::Result<()> {
        let one_thread =
            |flavor| matches!(flavor, Some((Flavor::CurrentThread | Flavor::Local, _)));
        if let Some(workers) = &self.worker_threads
            && one_thread(self.flavor)
        {
            let message = "`worker_threads` goes with `flavor = \"multi_thread\"`";
            return Err(syn::Error::new(workers.span(), message));
        }
        let threads =
            self.worker_threads.is_some() || matches!(self.flavor, Some((Flavor::MultiThread, _)));
        for (name, span) in [
            ("start_paused", self.start_paused.map(|(_, span)| span)),
            (
                "unhandled_panic",
                self.unhandled_panic.as_ref().map(|(_, span)| *span),
            ),
        ] {
            if let Some(span) = span.filter(|_| threads) {
                let message = format!("`{name}` goes with `flavor = \"current_thread\"`");
                return Err(syn::Error::new(span, message));
            }
        }
        Ok(())
    }
}

/// The value of an argument, a literal of one kind.
pub(crate) fn literal<T: Parse>(input: ParseStream<'_>, name: &str, form: &str) -> syn::Result<T> {
    let error = |span| syn::Error::new(span, format!("`{name}` is {form}"));
    let fork = input.fork();
    match fork.parse::<T>() {
        Ok(_) => input.parse(),
        Err(_) => {
            let expr: syn::Result<Expr> = input.parse();
            Err(error(
                expr.map_or_else(|error| error.span(), |expr| expr.span()),
            ))
        }
    }
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut arguments = Arguments::default();
        while !input.is_empty() {
            // `crate` is a keyword, and an argument.
            let (name, span) = if input.peek(Token![crate]) {
                ("crate".to_owned(), input.parse::<Token![crate]>()?.span())
            } else {
                let ident: Ident = input.parse()?;
                (ident.to_string(), ident.span())
            };
            if !input.peek(Token![=]) {
                let message = match name.as_str() {
                    "current_thread" | "multi_thread" | "local" => {
                        format!("write `flavor = \"{name}\"`")
                    }
                    _ => format!("`{name}` needs a value: `{name} = ...`"),
                };
                return Err(syn::Error::new(span, message));
            }
            if arguments.seen.contains(&name) {
                return Err(syn::Error::new(span, format!("`{name}` is given twice")));
            }
            input.parse::<Token![=]>()?;
            arguments.take(&name, span, input)?;
            arguments.seen.push(name);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        arguments.check()?;
        Ok(arguments)
    }
}
