//! The stories of failing tests of threads: a column for each, calls with their places, what is folded. The tests that fail
//! are here too; the lines that are looked for bear a mark.

use super::drive::{Ran, command, outcome};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

const SOURCE: &str = include_str!("stories.rs");

/// The marked line, as a story names it.
#[track_caller]
fn at(mark: &str) -> String {
    let ends = format!("// {mark}");
    let line = SOURCE.lines().position(|line| line.ends_with(&ends));
    format!("stories.rs:{}", line.expect("there is such a mark") + 1)
}

fn run(fixture: &str, columns: &str) -> Ran {
    let name = format!("stories::{fixture}");
    let arguments = [name.as_str(), "--exact", "--ignored", "--nocapture"];
    outcome(
        &command(&arguments, &[("COLUMNS", columns)])
            .output()
            .unwrap(),
    )
}

/// The lines of the story.
fn story(ran: &Ran) -> Vec<&str> {
    let lines = ran.text.lines().skip_while(|line| *line != "  the story:");
    let story: Vec<&str> = lines
        .skip(1)
        .take_while(|line| line.starts_with("    "))
        .collect();
    assert!(!story.is_empty(), "no story in:\n{}", ran.text);
    story
}

/// What stands in a column, from top to bottom, as one text.
fn column(story: &[&str], number: usize) -> String {
    let cells = story
        .iter()
        .filter_map(|line| line.split(" | ").nth(number));
    let cells = cells.map(|cell| cell.trim_matches([' ', '|']));
    cells
        .filter(|cell| !cell.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn adds(count: &AtomicU32) {
    let before = count.load(SeqCst);
    thread::yield_now(); // the yield
    count.store(before + 1, SeqCst);
}

#[squall::test]
#[ignore]
fn threads_lose_an_update() {
    let count = Arc::new(AtomicU32::new(0));
    let workers = ["one", "other"].map(|name| {
        let count = count.clone();
        let named = thread::Builder::new().name(name.to_owned());
        named.spawn(move || adds(&count)).unwrap() // the start
    });
    for worker in workers {
        worker.join().unwrap(); // the join
    }
    assert_eq!(count.load(SeqCst), 2, "an update was lost"); // the panic
}

#[test]
fn a_race_of_threads_is_told_in_columns() {
    let ran = run("threads_lose_an_update", "100");
    ran.failed();
    let story = story(&ran);
    let heads: Vec<&str> = story[0].split(" | ").map(str::trim).collect();
    assert_eq!(heads, ["", "main", "one", "other"], "{}", ran.text);
    // Each thread yields in its own column, at the marked line.
    let yields = at("the yield");
    for number in [2, 3] {
        let text = column(&story, number);
        assert!(
            text.contains("yields") && text.contains(&yields),
            "{text} in:\n{}",
            ran.text
        );
    }
    ran.says(&["starts one", "starts other", &at("the start"), "panics: "]);
    // It ends with the panic, and fits a screen.
    let tail = story
        .iter()
        .rposition(|line| line.contains("panics: "))
        .unwrap();
    assert!(
        story[tail..].concat().contains(&at("the panic")),
        "{}",
        ran.text
    );
    assert!(story.len() <= 40, "{}", ran.text);
    assert!(
        story.iter().all(|line| line.chars().count() <= 100),
        "{}",
        ran.text
    );
}

#[squall::test]
#[ignore]
fn threads_lock_in_opposite_orders() {
    let locks = Arc::new([Mutex::new(0), Mutex::new(0)]);
    let workers = [0, 1].map(|first| {
        let locks = locks.clone();
        thread::spawn(move || {
            let _first = locks[first].lock().unwrap();
            thread::yield_now();
            let _second = locks[1 - first].lock().unwrap(); // the second lock
        })
    });
    for worker in workers {
        worker.join().unwrap();
    }
}

#[test]
fn a_deadlock_of_threads_shows_the_calls_and_their_places() {
    let ran = run("threads_lock_in_opposite_orders", "100");
    let waits = at("the second lock");
    let lines = story(&ran);
    for number in [2, 3] {
        let text = column(&lines, number);
        assert!(
            text.contains("waits in Mutex::lock (#"),
            "{text} in:\n{}",
            ran.text
        );
        assert!(text.ends_with(&waits), "{text} in:\n{}", ran.text);
    }
    assert!(
        column(&lines, 1).contains("waits for the end of thread 1"),
        "{}",
        ran.text
    );
}

#[squall::test]
#[ignore]
fn does_much_before_it_fails() {
    let workers: Vec<_> = (0..3)
        .map(|_| {
            thread::spawn(|| {
                for _ in 0..500 {
                    thread::yield_now();
                    thread::sleep(std::time::Duration::from_millis(1));
                }
            })
        })
        .collect();
    workers
        .into_iter()
        .for_each(|worker| worker.join().unwrap());
    panic!("in the end"); // the end
}

#[test]
fn a_long_story_is_folded() {
    let ran = run("does_much_before_it_fails", "100");
    let story = story(&ran);
    assert!(story.len() <= 60, "{} lines:\n{}", story.len(), ran.text);
    let folded = story
        .iter()
        .any(|line| line.contains(" steps with ") && line.contains(" switches"));
    assert!(folded, "{}", ran.text);
    assert!(
        story.last().unwrap().contains(&at("the end")),
        "{}",
        ran.text
    );
}

#[squall::test]
#[ignore]
fn has_many_threads() {
    let workers: Vec<_> = (0..9)
        .map(|_| {
            thread::spawn(|| {
                thread::yield_now();
            })
        })
        .collect(); // the starts
    workers
        .into_iter()
        .for_each(|worker| worker.join().unwrap());
    panic!("in the end");
}

#[test]
fn more_threads_than_columns_fit_are_named_row_by_row() {
    let ran = run("has_many_threads", "80");
    let story = story(&ran);
    assert!(
        story
            .iter()
            .any(|line| line.contains("thread 9 (") && line.contains(" | yields")),
        "{}",
        ran.text
    );
    assert!(
        story.iter().all(|line| line.chars().count() <= 80),
        "{}",
        ran.text
    );
}
