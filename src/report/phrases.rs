//! Events in a reader's words. `steps` asks for each event whether it is worth telling, and how.

use super::{Recorded, Site};
use crate::kernel::{About, Cause, Event, TaskReport, What};

/// Calls by which programs ask or arrange something, without effect on others.
const QUIET: [&str; 30] = [
    "clock_gettime",
    "gettimeofday",
    "time",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "fcntl",
    "ioctl",
    "getrandom",
    "sched_getaffinity",
    "pthread_once",
    "sigaction",
    "eventfd",
    "socketpair",
    "socket",
    "setsockopt",
    "getsockopt",
    "getsockname",
    "getpeername",
    "bind",
    "pthread_create",
    "pthread_mutex_init",
    "pthread_detach",
    "pthread_setname_np",
    "prctl",
    "futex_wait",
    "futex_wake",
    "close",
    "poll",
];

/// Calls whose result is how many bytes came in.
pub(super) const RECEIVES: [&str; 6] = ["read", "readv", "recv", "recvfrom", "recvmsg", "recvmmsg"];
/// Calls whose result is how many bytes went out.
pub(super) const SENDS: [&str; 6] = ["write", "writev", "send", "sendto", "sendmsg", "sendmmsg"];

/// What std prints about a panic, which is told as one.
const PANIC_TEXT: [&str; 2] = ["panicked at ", "note: run with `RUST_BACKTRACE"];

/// What an event says to a reader; `None` for what is of no interest. `site` is the event's place.
pub(super) fn phrase(all: &Recorded, event: &Event, site: Option<&Site>) -> Option<String> {
    match &event.what {
        What::ThreadBorn { thread } => {
            site.map(|_| format!("starts {}", thread_name(all, *thread)))
        }
        What::Call {
            name,
            result,
            error,
            about,
            ..
        } => call(name, *result, error.as_deref(), about, site?),
        What::Block { call, about, until } => Some(wait(all, call, about, *until, event.at, site?)),
        What::Wake {
            thread,
            about: About::Word { .. },
            cause: Cause::Call,
        } => site.map(|_| format!("wakes {}", thread_name(all, *thread))),
        What::Fault { text } => Some(text.clone()),
        What::Output { text, .. } if !PANIC_TEXT.iter().any(|sign| text.contains(sign)) => {
            let first = text.lines().find(|line| !line.trim().is_empty())?;
            Some(format!("prints \"{}\"", first.trim()))
        }
        What::Panic { message, .. } => {
            let first = message.lines().next().unwrap_or("");
            Some(format!("panics: {first}"))
        }
        What::Note { kind, data } => super::notes::phrase(kind, data),
        What::Wake { .. }
        | What::Access { .. }
        | What::TaskBorn { .. }
        | What::PollBegins { .. }
        | What::PollEnds { .. }
        | What::TaskDied { .. }
        | What::Awaits { .. }
        | What::CutShort
        | What::Kept
        | What::WakesTask { .. }
        | What::Releases { .. }
        | What::ThreadDied
        | What::Switch { .. }
        | What::TimeJump { .. }
        | What::TaskPicked { .. }
        | What::Budget { .. }
        | What::Round { .. }
        | What::Output { .. } => None,
    }
}

fn call(
    name: &str,
    result: i64,
    error: Option<&str>,
    about: &About,
    site: &Site,
) -> Option<String> {
    if QUIET.contains(&name) || matches!(error, Some("EAGAIN" | "EINTR")) {
        return None;
    }
    let of = match about {
        About::Nothing => String::new(),
        about => format!(" {about}"),
    };
    let receives = RECEIVES.contains(&name);
    let sends = SENDS.contains(&name);
    Some(match (name, error) {
        ("connect", None | Some("EINPROGRESS")) => format!("connects to{of}"),
        ("connect", Some(error)) => format!("cannot connect to{of}: {error}"),
        ("accept" | "accept4", None) => format!("accepts on{of}"),
        ("listen", None) => format!("listens on{of}"),
        ("shutdown", None) => format!("shuts down{of}"),
        ("clock_nanosleep" | "nanosleep", None) => "has slept".to_owned(),
        ("sched_yield", _) => "yields".to_owned(),
        (_, Some(error)) => format!("{name}{of} fails: {error}"),
        // What goes to an eventfd or a pipe wakes a runtime.
        _ if (receives || sends) && internal(about) => return None,
        _ if receives && result == 0 => format!("reads the end of{of}"),
        _ if receives => format!("reads {result} B from{of}"),
        _ if sends => format!("sends {result} B to{of}"),
        ("pthread_join", None) => "has joined it".to_owned(),
        _ if !site.via.is_empty() && name.starts_with("pthread_") => return None,
        _ => format!("{name}{of}"),
    })
}

fn internal(about: &About) -> bool {
    match about {
        About::Object(text) => {
            ["an eventfd", "epoll", "a timerfd", "a Unix socket"].contains(&text.as_str())
        }
        About::Nothing => true,
        About::Word { .. } | About::Clock | About::Join(_) => false,
    }
}

fn wait(
    all: &Recorded,
    call: &str,
    about: &About,
    until: Option<u64>,
    now: u64,
    site: &Site,
) -> String {
    let how = match (site.via.as_str(), about) {
        (_, About::Join(thread)) => {
            return format!("waits for the end of {}", thread_name(all, *thread));
        }
        ("", About::Clock) | ("sleep", _) => return format!("sleeps {}", duration(until, now)),
        ("", about) => format!("waits in {call} for {about}"),
        (via, About::Word { number, .. }) => format!("waits in {via} (#{number})"),
        (via, About::Object(text)) if !text.starts_with("epoll") => {
            format!("waits in {via} for {text}")
        }
        (via, _) => format!("waits in {via}"),
    };
    match until {
        Some(_) => format!("{how}, at most {}", duration(until, now)),
        None => how,
    }
}

fn duration(until: Option<u64>, now: u64) -> String {
    let ns = until.unwrap_or(now).saturating_sub(now);
    crate::run::show_nanoseconds(ns)
}

/// A thread as a story names it.
pub(super) fn thread_name(all: &Recorded, thread: u32) -> String {
    match all
        .threads
        .get(thread as usize)
        .map(|facts| facts.name.as_str())
    {
        Some("main") if thread == 0 => "main".to_owned(),
        Some(name) if !name.is_empty() && name != "main" => {
            let twins = all
                .threads
                .iter()
                .filter(|facts| facts.name == name)
                .count();
            match twins {
                1 => name.to_owned(),
                _ => format!("{name} {thread}"),
            }
        }
        _ => format!("thread {thread}"),
    }
}

/// A task as a story names it: its own name, or its number.
pub(super) fn task_name(all: &Recorded, task: u32) -> String {
    match task_of(all, task).and_then(|facts| facts.name.as_deref()) {
        Some(name) => name.to_owned(),
        None => format!("task {task}"),
    }
}

pub(super) fn task_of(all: &Recorded, task: u32) -> Option<&TaskReport> {
    all.tasks.iter().find(|facts| facts.entity == task)
}

/// The file's name and the line of a place that has its path and its column too.
pub(super) fn short_place(place: &str) -> &str {
    let file = place.rsplit('/').next().unwrap_or(place);
    match file.matches(':').count() {
        2 => file.rsplit_once(':').map_or(file, |(short, _)| short),
        _ => file,
    }
}

/// Memory is accessed by the program itself, by an atomic operation of its own, or by a lock; `None` for what other parts
/// of std do on its behalf.
pub(super) fn access(site: &Site, write: bool, number: u32) -> Option<String> {
    let via = site.via.as_str();
    let operation = via
        .rsplit("::")
        .next()
        .unwrap_or(via)
        .trim_start_matches("atomic_");
    let atomic = [
        "load",
        "store",
        "swap",
        "compare_exchange",
        "compare_exchange_weak",
    ]
    .contains(&operation)
        || operation.starts_with("fetch_");
    let lock = ["Mutex", "RwLock", "Condvar"]
        .iter()
        .any(|kind| via.starts_with(kind));
    match via {
        "" if write => Some(format!("writes #{number}")),
        "" => Some(format!("reads #{number}")),
        _ if atomic => Some(format!("{operation} #{number}")),
        via if lock => Some(format!("{via} #{number}")),
        _ => None,
    }
}

/// Something was awaited, and was there.
pub(super) fn leaf(site: &Site, lock: Option<u32>) -> String {
    let via = match site.via.as_str() {
        "" => "polls on",
        via => via,
    };
    match lock {
        Some(lock) => format!("{via} #{lock}"),
        None => via.to_owned(),
    }
}

/// Something is awaited that is not there.
pub(super) fn awaits(site: &Site, lock: Option<u32>) -> String {
    match site.via.as_str() {
        "" => "awaits".to_owned(),
        _ => format!("awaits {}", leaf(site, lock)),
    }
}
