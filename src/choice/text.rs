//! The text of a choice log. [`super::log`] reads and writes files with it.
//!
//! ```text
//! squall choice log 1
//! package: shop
//! ...
//! [schedule 3]
//! 3/1@4 0@2*2
//! [time 2]
//! 100/37 12 f16
//! checksum: 0123456789abcdef
//! ```
//!
//! This is version 1, which lists every decision. Version 2 tells a shrunk run by its departures; it differs in what stands
//! between header and checksum, see [`super::text_guide`]. The sections are [`super::text_decisions`]'s.

use std::fmt::Write;

use super::log::{Flaw, Header, Log};
use super::{text_decisions, text_guide};
use crate::explore::Profile;
use crate::kernel::Domain;

const MAGIC: &str = "squall choice log ";
/// The version of a log that lists every decision.
const VERSION: &str = "1";
/// The version of a log that lists departures.
const SHRUNK_VERSION: &str = "2";

/// The line that names the package, for messages.
pub(super) const PACKAGE_LINE: usize = 2;
/// The line that names the test, for messages.
pub(super) const TEST_LINE: usize = 4;

pub(super) const DOMAIN_NAMES: [&str; Domain::ALL.len()] = [
    "schedule", "network", "time", "faults", "traffic", "entropy", "user", "config",
];

/// Begins the line of a profile.
const PROFILE: &str = "profile: ";

pub(super) fn write(log: &Log) -> String {
    let version = match log.guide {
        None => VERSION,
        Some(_) => SHRUNK_VERSION,
    };
    let mut out = format!("{MAGIC}{version}\n");
    let Header {
        package,
        target,
        test,
        seed,
        strategy,
        profile,
        config,
        digest,
        signature,
    } = &log.header;
    for (key, value) in [
        ("package", escape(package)),
        ("target", escape(target)),
        ("test", escape(test)),
        ("seed", format!("{seed:#018x}")),
        ("strategy", strategy.to_string()),
        ("config", escape(config)),
        ("digest", format!("{digest:016x}")),
        ("signature", escape(signature)),
        ("omitted", log.omitted.to_string()),
    ] {
        writeln!(out, "{key}: {value}").expect("squall bug: a String refused text");
    }
    if *profile != Profile::default() {
        let profile = serde_json::to_string(profile).expect("squall bug: a profile is not JSON");
        writeln!(out, "{PROFILE}{profile}").expect("squall bug: a String refused text");
    }
    match &log.guide {
        Some(guide) => out.push_str(&text_guide::write(guide)),
        None => Domain::ALL
            .into_iter()
            .for_each(|domain| text_decisions::write(&mut out, domain, log.decisions(domain))),
    }
    let checksum = checksum(out.lines());
    writeln!(out, "checksum: {checksum:016x}").expect("squall bug: a String refused text");
    out
}

pub(super) fn read(text: &str) -> Result<Log, Flaw> {
    let lines: Vec<&str> = text.lines().collect();
    let flaw = |line: usize, what: &str| Flaw {
        line,
        what: what.to_owned(),
    };
    let version = lines.first().and_then(|line| line.strip_prefix(MAGIC));
    match version {
        Some(VERSION | SHRUNK_VERSION) => {}
        Some(other) => {
            let what = format!(
                "this choice log has version {other}, this squall reads versions {VERSION} and {SHRUNK_VERSION}"
            );
            return Err(Flaw { line: 1, what });
        }
        None => return Err(flaw(1, "this is not a squall choice log")),
    }
    let (last, body) = lines
        .split_last()
        .expect("squall bug: a checked text has no lines");
    let sum = last.strip_prefix("checksum: ").ok_or_else(|| {
        flaw(
            lines.len(),
            "the choice log is cut short: it does not end with its checksum",
        )
    })?;
    if u64::from_str_radix(sum, 16) != Ok(checksum(body.iter().copied())) {
        return Err(flaw(
            lines.len(),
            "the checksum does not fit: the choice log was damaged or edited",
        ));
    }

    let mut reader = Reader { lines: body, at: 1 };
    let package = reader.text("package")?;
    let target = reader.text("target")?;
    let test = reader.text("test")?;
    let seed = reader.parsed("seed", |value| {
        value
            .strip_prefix("0x")
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
    })?;
    let strategy = reader.parsed("strategy", |value| {
        crate::explore::Name::ALL
            .into_iter()
            .find(|name| name.as_str() == value)
    })?;
    let config = reader.text("config")?;
    let digest = reader.parsed("digest", |value| u64::from_str_radix(value, 16).ok())?;
    let signature = reader.text("signature")?;
    let omitted = reader.parsed("omitted", |value| value.parse().ok())?;
    let profile = reader.profile()?;
    let header = Header {
        package,
        target,
        test,
        seed,
        strategy,
        profile,
        config,
        digest,
        signature,
    };
    let mut log = Log::new(header);
    match version {
        Some(SHRUNK_VERSION) => {
            let before = reader.at;
            let guide = text_guide::read(&body[before..]).map_err(|(at, what)| Flaw {
                line: before.saturating_add(at).min(lines.len()),
                what,
            })?;
            log.guide = Some(guide);
        }
        _ => text_decisions::read(&mut reader, &mut log)?,
    }
    log.omitted = omitted;
    Ok(log)
}

pub(super) struct Reader<'a> {
    lines: &'a [&'a str],
    /// How many lines have been read.
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn next(&mut self) -> Option<&'a str> {
        let line = self.lines.get(self.at).copied();
        self.at += usize::from(line.is_some());
        line
    }

    /// A flaw in the line that was read last.
    pub(super) fn flaw(&self, what: impl Into<String>) -> Flaw {
        Flaw {
            line: self.at,
            what: what.into(),
        }
    }

    fn parsed<T>(&mut self, key: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, Flaw> {
        let line = self.next();
        let value = line
            .and_then(|line| line.strip_prefix(key)?.strip_prefix(": "))
            .or_else(|| {
                // An empty value may have lost its trailing space to an editor.
                line.and_then(|line| line.strip_prefix(key))
                    .filter(|rest| *rest == ":")
                    .map(|_| "")
            });
        let Some(value) = value else {
            return Err(self.flaw(format!("the line `{key}: ...` belongs here")));
        };
        read(value).ok_or_else(|| self.flaw(format!("`{value}` is no {key}")))
    }

    fn text(&mut self, key: &str) -> Result<String, Flaw> {
        self.parsed(key, unescape)
    }

    /// The line that only logs of strategies that know something of the test have.
    fn profile(&mut self) -> Result<Profile, Flaw> {
        let line = self.lines.get(self.at);
        let Some(json) = line.and_then(|line| line.strip_prefix(PROFILE)) else {
            return Ok(Profile::default());
        };
        self.at += 1;
        serde_json::from_str(json)
            .map_err(|error| self.flaw(format!("this is no profile: {error}")))
    }
}

/// FNV-1a over the lines. It guards against damage, not against malice, and does not see whether a checkout has turned
/// the line ends into those of another system.
fn checksum<'a>(lines: impl Iterator<Item = &'a str>) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    lines.fold(0xcbf2_9ce4_8422_2325, |hash, line| {
        step(line.bytes().fold(hash, step), b'\n')
    })
}

/// Text as a single line.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('\r', "\\r")
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                '\\' => '\\',
                _ => return None,
            },
            c => c,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Decision;
    use crate::choice::log::tests::header;
    use crate::explore;
    use proptest::prelude::*;

    fn decision() -> impl Strategy<Value = (usize, Decision)> {
        let pick = (2u32..6)
            .prop_flat_map(|of| (Just(of), 0..of, 0u32..9))
            .prop_map(|(of, index, thread)| Decision::Pick { of, index, thread });
        let below = prop_oneof![Just(1u64), 2u64..5, 1u64..]
            .prop_flat_map(|n| (Just(n), 0..n))
            .prop_map(|(n, value)| Decision::Below { n, value });
        let fill = (0u64..40).prop_map(|len| Decision::Fill { len });
        (0..Domain::ALL.len(), prop_oneof![pick, below, fill])
    }

    prop_compose! {
        fn log()(
            seed: u64,
            digest: u64,
            omitted: u64,
            words in proptest::array::uniform5("(?s).{0,30}"),
            points in 0u64..3,
            strategy in proptest::sample::select(&explore::Name::ALL[..]),
            decisions in proptest::collection::vec((decision(), 1usize..4), 0..200),
            guide in proptest::option::of(crate::choice::text_guide::tests::guide()),
        ) -> Log {
            let target_of = |n: u64| crate::explore::Target { sites: vec![n, u64::MAX], counts: vec![3] };
            let targets = (1..points).map(target_of).collect();
            let profile = Profile { points, targets, all: vec![7; points as usize], sites: vec![points] };
            let [package, target, test, config, signature] = words;
            let mut log = Log::new(Header { package, target, test, seed, strategy, profile, config, digest, signature });
            log.guide = guide;
            for ((domain, decision), times) in decisions {
                if log.guide.is_some() {
                    break;
                }
                for _ in 0..times {
                    log.push(Domain::ALL[domain], decision);
                }
            }
            log.omitted = omitted;
            log
        }
    }

    /// Puts the right checksum under a text that was changed.
    fn sealed(body: &str) -> String {
        format!("{body}checksum: {:016x}\n", checksum(body.lines()))
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(log in log()) {
            prop_assert_eq!(read(&write(&log)), Ok(log));
        }

        #[test]
        fn a_checkout_may_change_the_line_ends(log in log()) {
            // A lone carriage return inside a value is escaped, so this touches line ends only.
            prop_assert_eq!(read(&write(&log).replace('\n', "\r\n")), Ok(log));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "(?s).{0,400}", body in "(?s)[0-9a-f@*/ \\[\\]\n]{0,200}") {
            let _ = read(&text);
            let _ = read(&sealed(&text));
            let start = write(&Log::new(header(1, explore::Name::Random)));
            let start = start.rsplit_once("checksum").unwrap().0;
            let _ = read(&sealed(&format!("{start}{body}")));
            let _ = read(&sealed(&format!("{start}[schedule 9]\n{body}\n")));
        }

        #[test]
        fn a_cut_or_a_changed_byte_is_noticed(log in log(), at: proptest::sample::Index, byte in b' '..b'~') {
            let text = write(&log);
            let cut = (0..=at.index(text.len() - 1)).rev().find(|&i| text.is_char_boundary(i)).unwrap();
            prop_assert!(read(&text[..cut]).is_err());
            let mut bytes = text.clone().into_bytes();
            let at = at.index(bytes.len() - 1);
            if bytes[at] != byte && bytes[at] != b'\n' {
                bytes[at] = byte;
                if let Ok(changed) = String::from_utf8(bytes) {
                    prop_assert!(read(&changed).is_err());
                }
            }
        }
    }

    #[test]
    fn flaws_are_told_by_line() {
        let good = write(&Log::new(header(1, explore::Name::Random)));
        let body = good.rsplit_once("checksum").unwrap().0;
        let flaw = |text: &str| read(text).unwrap_err().to_string();
        assert_eq!(flaw(""), "line 1: this is not a squall choice log");
        assert_eq!(
            flaw("squall choice log 3\n"),
            "line 1: this choice log has version 3, this squall reads versions 1 and 2"
        );
        assert_eq!(
            flaw(body),
            "line 10: the choice log is cut short: it does not end with its checksum"
        );
        assert_eq!(
            flaw(&good.replace("cpus=4", "cpus=5")),
            "line 11: the checksum does not fit: the choice log was damaged or edited"
        );
        let wrong_strategy = body.replace("strategy: random", "strategy: best");
        assert_eq!(
            flaw(&sealed(&wrong_strategy)),
            "line 6: `best` is no strategy"
        );
        let without_seed = body.replace("seed: 0x", "sed: 0x");
        assert_eq!(
            flaw(&sealed(&without_seed)),
            "line 5: the line `seed: ...` belongs here"
        );
        assert_eq!(
            flaw(&sealed(&format!("{body}[time 2]\n5/5 1\n"))),
            "line 12: `5/5` is no decision"
        );
        assert_eq!(
            flaw(&sealed(&format!("{body}[time 2]\n5/4\n"))),
            "line 12: 1 decisions are missing at the end of this section"
        );
        assert_eq!(
            flaw(&sealed(&format!(
                "{body}[time 99999999999]\n5/4*99999999999\n"
            ))),
            "line 11: a choice log holds at most 262144 decisions"
        );
    }

    #[test]
    fn the_text_is_compact() {
        let mut log = Log::new(header(1, explore::Name::Random));
        for (of, index, thread) in [(3, 1, 4), (3, 0, 2), (3, 0, 2), (2, 1, 4)] {
            log.push(Domain::Schedule, Decision::Pick { of, index, thread });
        }
        log.push(Domain::Time, Decision::Below { n: 100, value: 37 });
        log.push(Domain::Time, Decision::Below { n: 100, value: 12 });
        log.push(Domain::Time, Decision::Fill { len: 16 });
        let text = log.to_text();
        assert!(
            text.contains("[schedule 4]\n3/1@4 0@2*2 2/1@4\n[time 3]\n100/37 12 f16\nchecksum: "),
            "{text}"
        );
    }
}
