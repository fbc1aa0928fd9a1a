//! Scenario files that cannot be used: a hundred made by hand in `bad/`, each of which says in its first line where it is wrong and how
//! that is told, and any number made by chance from good ones. None of them may panic. Choice logs likewise.

mod bad;
mod chance;
mod schema;
