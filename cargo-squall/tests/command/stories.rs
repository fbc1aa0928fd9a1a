//! The stories of failing tests whose tasks are known: columns, awaits with their lines, who holds what. The tests that fail
//! are in the fixture's `stories.rs`, and the lines that are looked for bear a mark there.

use crate::drive::{Ran, squall_at, squall_with};

const SOURCE: &str = include_str!("../fixtures/orders/tests/stories.rs");

/// The marked line, as a story names it.
#[track_caller]
fn at(mark: &str) -> String {
    let ends = format!("// {mark}");
    let line = SOURCE.lines().position(|line| line.ends_with(&ends));
    format!("stories.rs:{}", line.expect("there is such a mark") + 1)
}

/// Runs one of the tests, with COLUMNS wide enough that no cell wraps.
fn run(test: &str) -> Ran {
    let arguments = [
        "test",
        "--locked",
        "--test",
        "stories",
        "--",
        "--exact",
        "--ignored",
        test,
    ];
    squall_with(&arguments, &[("COLUMNS", "200")]).ended(1)
}

/// The cells of a story, row by row, as (column, text); titles come first.
fn cells(ran: &Ran) -> Vec<(usize, String)> {
    let lines = ran.text.lines().skip_while(|line| *line != "  the story:");
    let lines = lines.skip(1).take_while(|line| line.contains(" | "));
    let cells = lines.flat_map(|line| {
        let cells = line.split(" | ").skip(1).enumerate();
        cells
            .filter(|(_, text)| !text.trim_matches([' ', '|']).is_empty())
            .map(|(column, text)| (column, text.trim_matches([' ', '|']).to_owned()))
            .collect::<Vec<_>>()
    });
    cells.filter(|(_, text)| !text.starts_with("---")).collect()
}

/// How often the story goes from one column to another.
fn switches(cells: &[(usize, String)]) -> usize {
    let titles = 1 + cells.iter().map(|(column, _)| *column).max().unwrap_or(0);
    let rows = &cells[titles..];
    rows.windows(2).filter(|two| two[0].0 != two[1].0).count()
}

#[test]
fn a_lost_update_shows_who_gave_way_between_reading_and_writing() {
    let ran = run("lost_update");
    let cells = cells(&ran);
    let titles = [
        "main".to_owned(),
        format!("task 1 ({})", at("the first spawn")),
        format!("task 2 ({})", at("the second spawn")),
    ];
    for (column, title) in titles.into_iter().enumerate() {
        assert_eq!(cells[column], (column, title), "{}", ran.text);
    }
    let gives_way = format!("Receiver::recv  {} -->", at("the receive"));
    let preempted = cells.iter().position(|(_, text)| *text == gives_way);
    let preempted = preempted.unwrap_or_else(|| panic!("nobody gives way in:\n{}", ran.text));
    // The other task comes through meanwhile.
    let (column, _) = cells[preempted];
    let meanwhile = &cells[preempted + 1..];
    let through = format!("Receiver::recv, ends  {}", at("the receive"));
    assert!(
        meanwhile
            .iter()
            .any(|(other, text)| *other == 3 - column && *text == through),
        "{}",
        ran.text
    );
    let panics = cells
        .iter()
        .filter(|(column, text)| *column == 0 && text.starts_with("panics: "));
    assert_eq!(panics.count(), 1, "{}", ran.text);
    assert!(
        cells.last().unwrap().1.ends_with(&at("the panic")),
        "{}",
        ran.text
    );
    assert!(switches(&cells) <= 12, "{}", ran.text);
}

#[test]
fn a_deadlock_of_tasks_names_awaits_holders_and_the_cycle() {
    let ran = run("opposite_locks");
    let lock = at("the second lock");
    ran.says(&[
        &format!(
            "    main awaits JoinHandle at {} (opposite_locks)\n",
            at("the join")
        ),
        &format!("awaits Mutex::lock #1 at {lock} (locking), which task "),
        &format!("awaits Mutex::lock #2 at {lock} (locking), which task "),
        "    so task 1 waits for task 2, which waits for task 1: none of them can ever go on\n",
    ]);
    // The runtime's own thread has nothing to say.
    assert!(!ran.text.contains("mio::"), "{}", ran.text);
    let cells = cells(&ran);
    for task in [1, 2] {
        let waits = cells.iter().rfind(|(column, _)| *column == task).unwrap();
        assert!(
            waits.1.contains("awaits Mutex::lock #") && waits.1.ends_with(&lock),
            "{}",
            ran.text
        );
    }
    assert!(switches(&cells) <= 12, "{}", ran.text);
    let page = ran
        .text
        .lines()
        .skip_while(|line| !line.contains(" failed with seed "));
    let page = page
        .take_while(|line| !line.starts_with("replay: "))
        .count();
    assert!(page <= 40, "{page} lines:\n{}", ran.text);
}

#[test]
fn who_waits_for_ever_is_told_with_the_innermost_await() {
    let ran = run("waits_for_ever");
    ran.says(&[&format!(
        "    main awaits Receiver::recv at {} (never)\n",
        at("the quiet receive")
    )]);
    // The task that came through does not wait.
    assert!(!ran.text.contains("task 1 awaits"), "{}", ran.text);
}

#[test]
fn single_accesses_to_memory_are_told_where_they_are_points() {
    let arguments = [
        "test",
        "--locked",
        "--points",
        "memory",
        "--test",
        "stories",
        "--",
        "--ignored",
    ];
    let ran = squall_at("memory", &arguments, &[("COLUMNS", "200")]).ended(1);
    let cells = cells(&ran);
    let of = |column: usize, start: &str| {
        let told = |(at, text): &(usize, String)| *at == column && text.contains(start);
        let at = cells.iter().position(told);
        at.unwrap_or_else(|| panic!("no {start} in column {column} of:\n{}", ran.text))
    };
    // Both read before either writes.
    let last_read = of(1, "load #").max(of(2, "load #"));
    let first_write = of(1, "store #").min(of(2, "store #"));
    assert!(last_read < first_write, "{}", ran.text);
    // What std does for its own purposes is not told.
    assert!(!ran.text.contains("Arc::clone"), "{}", ran.text);
    assert!(switches(&cells) <= 12, "{}", ran.text);
}
