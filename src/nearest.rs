//! Which of the names that there are somebody meant who wrote another one. `scenario`, the matrix of `check/history` and the
//! variables that `run` reads put it into their messages.

/// The name that is most like this one, if one is.
pub(crate) fn nearest<'a>(name: &str, among: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let found = among.map(|known| (distance(name, known), known)).min()?;
    let most = (name.chars().count() / 3).max(2);
    (found.0 <= most).then_some(found.1)
}

/// How many characters to insert, take out or replace to get from one name to the other.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}
