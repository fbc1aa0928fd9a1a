//! The text of a shrunk run in a choice log, version 2. [`super::text`] reads and writes the rest of the file.
//!
//! ```text
//! shrunk: 213 decisions with 41 switches to 73 with 5
//! [departures 3, offers left]
//! schedule switch 0.12 = 3 of 4
//! schedule task 0.5 = 2 of 3
//! network number 1.7 = 12 of 5000
//! [course 73 every 1]
//! 01ab ...
//! ```
//!
//! A departure names the area, the question, the entity that ran and how many such questions had come while it did, then
//! the answer. One line each, so that a change shows as what it is.

use std::fmt::Write;

use super::course::Course;
use super::guide::{Departure, Guide, Offer, Question, Size};
use super::log::MAX_DECISIONS;
use super::text::DOMAIN_NAMES;
use crate::kernel::Domain;

/// Begins the first line of a guide.
pub(super) const SHRUNK: &str = "shrunk: ";

const QUESTION_NAMES: [&str; Question::ALL.len()] = ["switch", "task", "number", "planned"];
const OFFER_NAMES: [&str; 2] = ["taken", "left"];
const WIDTH: usize = 96;

pub(super) fn write(guide: &Guide) -> String {
    let Guide {
        offer,
        departures,
        course,
        before,
        after,
    } = guide;
    let mut out = format!(
        "{SHRUNK}{} decisions with {} switches to {} with {}\n[departures {}, offers {}]\n",
        before.decisions,
        before.switches,
        after.decisions,
        after.switches,
        departures.len(),
        OFFER_NAMES[*offer as usize]
    );
    for departure in departures {
        let Departure {
            domain,
            question,
            who,
            nth,
            of,
            answer,
        } = departure;
        let (domain, question) = (
            DOMAIN_NAMES[*domain as usize],
            QUESTION_NAMES[*question as usize],
        );
        writeln!(out, "{domain} {question} {who}.{nth} = {answer} of {of}")
            .expect("squall bug: a String refused text");
    }
    let Course { total, every, .. } = course;
    writeln!(out, "[course {total} every {every}]").expect("squall bug: a String refused text");
    out.push_str(&course.text(WIDTH));
    out
}

/// Reads the lines of a guide. An error is the number of lines read, the wrong one included, and what is wrong with it.
pub(super) fn read(lines: &[&str]) -> Result<Guide, (usize, String)> {
    let mut lines = lines.iter().copied().enumerate();
    let mut next = |what: &str| {
        let Some((at, line)) = lines.next() else {
            return Err((usize::MAX, format!("{what} is missing")));
        };
        Ok((at + 1, line))
    };
    let (at, line) = next("the line `shrunk: ...`")?;
    let sizes = shrunk(line);
    let (before, after) =
        sizes.ok_or_else(|| (at, format!("the line `{SHRUNK}...` belongs here")))?;

    let (at, line) = next("the section of departures")?;
    let head = line
        .strip_prefix("[departures ")
        .and_then(|rest| rest.strip_suffix(']'))
        .and_then(|rest| rest.split_once(", offers "));
    let head = head.and_then(|(count, offer)| {
        let offer = OFFER_NAMES.iter().position(|name| *name == offer)?;
        Some((count.parse().ok()?, [Offer::Taken, Offer::Left][offer]))
    });
    let (count, offer): (usize, Offer) = head.ok_or_else(|| {
        let what = "the section `[departures N, offers taken]` belongs here";
        (at, what.to_owned())
    })?;
    if count > MAX_DECISIONS {
        return Err((
            at,
            format!("a choice log holds at most {MAX_DECISIONS} decisions"),
        ));
    }
    let mut departures = Vec::new();
    for _ in 0..count {
        let (at, line) = next("a departure")?;
        departures.push(departure(line).ok_or_else(|| (at, format!("`{line}` is no departure")))?);
    }

    let (at, line) = next("the section of the course")?;
    let head = line
        .strip_prefix("[course ")
        .and_then(|rest| rest.strip_suffix(']'));
    let head = head.and_then(|head| head.split_once(" every "));
    let head = head.and_then(|(total, every)| Some((total.parse().ok()?, every.parse().ok()?)));
    let (total, every) = head.ok_or_else(|| {
        (
            at,
            "the section `[course N every M]` belongs here".to_owned(),
        )
    })?;
    let mut marks = Vec::new();
    for (at, line) in lines {
        for word in line.split_ascii_whitespace() {
            let mark = u16::from_str_radix(word, 16)
                .map_err(|_| (at + 1, format!("`{word}` is no mark of a course")))?;
            marks.push(mark);
        }
    }
    Ok(Guide {
        offer,
        departures,
        course: Course {
            total,
            every,
            marks,
        },
        before,
        after,
    })
}

fn shrunk(line: &str) -> Option<(Size, Size)> {
    let (before, after) = line.strip_prefix(SHRUNK)?.split_once(" to ")?;
    let (decisions, switches) = before
        .strip_suffix(" switches")?
        .split_once(" decisions with ")?;
    let size = |decisions: &str, switches: &str| {
        Some(Size {
            decisions: decisions.parse().ok()?,
            switches: switches.parse().ok()?,
        })
    };
    let before = size(decisions, switches)?;
    let (decisions, switches) = after.split_once(" with ")?;
    Some((before, size(decisions, switches)?))
}

fn departure(line: &str) -> Option<Departure> {
    let (head, answer) = line.split_once(" = ")?;
    let mut words = head.split(' ');
    let (domain, question, key) = (words.next()?, words.next()?, words.next()?);
    let (who, nth) = key.split_once('.')?;
    let (answer, of) = answer.split_once(" of ")?;
    let domain = DOMAIN_NAMES.iter().position(|name| *name == domain)?;
    let question = QUESTION_NAMES.iter().position(|name| *name == question)?;
    words.next().is_none().then_some(Departure {
        domain: Domain::ALL[domain],
        question: Question::ALL[question],
        who: who.parse().ok()?,
        nth: nth.parse().ok()?,
        of: of.parse().ok()?,
        answer: answer.parse().ok()?,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::choice::Decision;
    use proptest::prelude::*;

    prop_compose! {
        pub(crate) fn guide()(
            departures in proptest::collection::vec(
                (0..Domain::ALL.len(), 0..3usize, any::<(u32, u32, u64, u64)>()),
                0..40,
            ),
            left: bool,
            asked in 0u64..600,
            sizes in any::<[u64; 4]>(),
        ) -> Guide {
            let departure = |(domain, question, (who, nth, of, answer)): (usize, usize, _)| Departure {
                domain: Domain::ALL[domain],
                question: Question::ALL[question],
                who,
                nth,
                of,
                answer,
            };
            let run: Vec<_> = (0..asked).map(|n| (Domain::Time, Decision::Below { n: n + 1, value: 0 })).collect();
            let [a, b, c, d] = sizes;
            Guide {
                offer: if left { Offer::Left } else { Offer::Taken },
                departures: departures.into_iter().map(departure).collect(),
                course: Course::of(&run, 0),
                before: Size { decisions: a, switches: b },
                after: Size { decisions: c, switches: d },
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(guide in guide()) {
            let text = write(&guide);
            let lines: Vec<&str> = text.lines().collect();
            prop_assert_eq!(read(&lines), Ok(guide));
        }

        #[test]
        fn no_text_makes_the_reader_panic(body in "(?s)[a-z0-9.= \\[\\]\n]{0,200}") {
            let text = format!("{SHRUNK}2 decisions with 1 switches to 1 with 0\n[departures 3, offers left]\n{body}");
            let _ = read(&text.lines().collect::<Vec<_>>());
        }
    }
}
