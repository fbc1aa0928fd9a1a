//! Properties as their users see them: each is broken by a planted bug and holds in the repaired twin. `fixtures` holds the tests
//! that are run, the files beside it the tests about them.

#[allow(dead_code)]
#[path = "../runner/drive.rs"]
mod drive;
mod fixtures;
mod kinds;
mod points;
mod violations;
