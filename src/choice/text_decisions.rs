//! The decisions of a choice log as text, between its header and its checksum: [`super::text`] reads and writes the rest.
//!
//! A section per domain, so that a change in one domain changes the lines of that one alone. A token is a decision:
//! `of/index@thread` for a thread that went on, `bound/value` for a number, `fN` for N bytes; `of/` and `bound/` are
//! left out where they are as before in the section, and `*N` repeats a decision.

use std::fmt::Write;

use super::Decision;
use super::log::{Flaw, Log, MAX_DECISIONS};
use super::text::{DOMAIN_NAMES, Reader};
use crate::kernel::Domain;

const WIDTH: usize = 96;

/// Writes the section of a domain.
pub(super) fn write(out: &mut String, domain: Domain, decisions: &[Decision]) {
    if decisions.is_empty() {
        return;
    }
    let bug = "squall bug: a String refused text";
    writeln!(
        out,
        "[{} {}]",
        DOMAIN_NAMES[domain as usize],
        decisions.len()
    )
    .expect(bug);
    let mut bounds = Bounds::default();
    let mut line = 0;
    for run in decisions.chunk_by(|a, b| a == b) {
        let start = out.len();
        match run[0] {
            Decision::Pick { of, index, thread } => {
                if bounds.pick.replace(of) != Some(of) {
                    write!(out, "{of}/").expect(bug);
                }
                write!(out, "{index}@{thread}").expect(bug);
            }
            Decision::Below { n, value } => {
                if bounds.below.replace(n) != Some(n) {
                    write!(out, "{n}/").expect(bug);
                }
                write!(out, "{value}").expect(bug);
            }
            Decision::Fill { len } => write!(out, "f{len}").expect(bug),
        }
        if run.len() > 1 {
            write!(out, "*{}", run.len()).expect(bug);
        }
        line += out.len() - start + 1;
        if line >= WIDTH {
            out.push('\n');
            line = 0;
        } else {
            out.push(' ');
        }
    }
    if line > 0 {
        out.pop();
        out.push('\n');
    }
}

/// The bounds that a token without one stands for.
#[derive(Default)]
struct Bounds {
    pick: Option<u32>,
    below: Option<u64>,
}

/// Reads all sections.
pub(super) fn read(reader: &mut Reader<'_>, log: &mut Log) -> Result<(), Flaw> {
    let mut least = 0;
    while let Some(line) = reader.next() {
        let Some((number, count)) = section_head(line) else {
            return Err(reader.flaw("a section such as `[schedule 3]` belongs here"));
        };
        let domain = Domain::ALL[number];
        if number < least {
            return Err(reader.flaw(format!(
                "the section {} stands out of order",
                DOMAIN_NAMES[number]
            )));
        }
        least = number + 1;
        if count > MAX_DECISIONS - log.len() {
            return Err(reader.flaw(format!(
                "a choice log holds at most {MAX_DECISIONS} decisions"
            )));
        }
        section(reader, log, domain, count)?;
    }
    Ok(())
}

fn section(
    reader: &mut Reader<'_>,
    log: &mut Log,
    domain: Domain,
    count: usize,
) -> Result<(), Flaw> {
    let mut bounds = Bounds::default();
    let mut left = count;
    while left > 0 {
        let Some(line) = reader.next() else {
            return Err(reader.flaw(format!(
                "{left} decisions are missing at the end of this section"
            )));
        };
        for token in line.split_ascii_whitespace() {
            let Some((decision, times)) = token_of(token, &mut bounds) else {
                return Err(reader.flaw(format!("`{token}` is no decision")));
            };
            if times > left {
                return Err(
                    reader.flaw(format!("this section has more than its {count} decisions"))
                );
            }
            left -= times;
            for _ in 0..times {
                log.push(domain, decision);
            }
        }
    }
    Ok(())
}
fn section_head(line: &str) -> Option<(usize, usize)> {
    let (name, count) = line.strip_prefix('[')?.strip_suffix(']')?.split_once(' ')?;
    Some((
        DOMAIN_NAMES.iter().position(|known| *known == name)?,
        count.parse().ok()?,
    ))
}

fn token_of(token: &str, bounds: &mut Bounds) -> Option<(Decision, usize)> {
    let (token, times) = match token.split_once('*') {
        Some((token, times)) => (token, times.parse().ok().filter(|&times| times > 0)?),
        None => (token, 1),
    };
    if let Some(len) = token.strip_prefix('f') {
        return Some((
            Decision::Fill {
                len: len.parse().ok()?,
            },
            times,
        ));
    }
    let (bound, rest) = match token.split_once('/') {
        Some((bound, rest)) => (Some(bound), rest),
        None => (None, token),
    };
    let decision = match rest.split_once('@') {
        Some((index, thread)) => {
            if let Some(bound) = bound {
                bounds.pick = Some(bound.parse().ok()?);
            }
            let (of, index) = (bounds.pick?, index.parse().ok()?);
            (index < of).then_some(Decision::Pick {
                of,
                index,
                thread: thread.parse().ok()?,
            })?
        }
        None => {
            if let Some(bound) = bound {
                bounds.below = Some(bound.parse().ok()?);
            }
            let (n, value) = (bounds.below?, rest.parse().ok()?);
            (value < n).then_some(Decision::Below { n, value })?
        }
    };
    Some((decision, times))
}
