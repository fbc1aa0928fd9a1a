//! The page in a browser: `cargo test --lib page_in_a_browser -- --ignored --nocapture` looks for Chromium, or takes the one that
//! `CHROMIUM` names. A script in the page does what a person would, and sends back what it saw.

use super::{Document, html};
use crate::kernel::{About, Event, ThreadFacts, What, Wire};
use crate::report::{Place, Recorded, Site, timeline};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// What a person would do, in JavaScript. Errors of the page are caught by a listener that comes before all of it.
const HANDS: &str = include_str!("tests.js");

/// A run of so many events: threads on two hosts that send each other messages, with faults and samples.
fn recorded(events: u64) -> Recorded {
    const THREADS: u32 = 12;
    let wire = |i: u64, client| Wire {
        number: (i % 5) as u32 + 1,
        client,
    };
    let call = |i: u64, name: &'static str, client: bool| What::Call {
        name: name.into(),
        result: 64,
        error: None,
        about: About::Object(format!("peer {}", i % 5)),
        wire: Some(wire(i, client)),
    };
    let mut all = Vec::new();
    for i in 0..events {
        let thread = (i * 7 % u64::from(THREADS)) as u32;
        let what = match i % 10 {
            0 => call(i / 10, "send", true),
            1 => call(i / 10, "recv", false),
            2 => What::Switch {
                to: (thread + 1) % THREADS,
                preempted: i % 40 == 2,
            },
            3 => What::Note {
                kind: "sample".into(),
                data: format!(r#"{{"series":"in flight","value":{}}}"#, i * 31 % 97),
            },
            4 if i % 5000 == 4 => What::Note {
                kind: "fault.begin".into(),
                data: format!(r#"{{"id":{i},"what":"partition </script> & co","hosts":["a"]}}"#),
            },
            4 if i % 5000 == 2504 => What::Note {
                kind: "fault.end".into(),
                data: format!(r#"{{"id":{}}}"#, i - 2500),
            },
            5 => What::Block {
                call: "futex".into(),
                about: About::Clock,
                until: None,
            },
            6 => What::Output {
                fd: 1,
                text: format!("line {i}"),
            },
            _ => call(i / 10, "clock_gettime", true),
        };
        all.push(Event {
            at: i * 1_000 + i % 17,
            host: (thread % 2) as u16,
            thread,
            task: None,
            what,
            stack: Some((i % 3) as u32),
            decisions: i / 2,
            digest: i,
        });
    }
    let site = |line| {
        Some(Site {
            place: Place {
                function: "shop::buy".to_owned(),
                file: "src/shop.rs".to_owned(),
                line,
            },
            via: String::new(),
            callers: Vec::new(),
        })
    };
    Recorded {
        events: all,
        sites: (1..4).map(site).collect(),
        hosts: vec!["test".to_owned(), "shop".to_owned()],
        threads: (0..THREADS)
            .map(|i| ThreadFacts {
                name: format!("worker {i}"),
                host: (i % 2) as u16,
            })
            .collect(),
        tasks: Vec::new(),
    }
}

fn document(events: u64) -> Document {
    Document {
        test: "a <b>test</b>".to_owned(),
        headline: "panicked & said </title>".to_owned(),
        message: "</script><script>document.title = 'taken over'</script>".to_owned(),
        held: false,
        facts: vec![("replay".to_owned(), "SQUALL_SEED=0x1".to_owned(), true)],
        story: "a | b".to_owned(),
        text: String::new(),
        timeline: timeline(&recorded(events)),
    }
}

#[test]
fn texts_stay_texts() {
    let page = html(&document(100));
    assert_eq!(
        page.matches("</script>").count(),
        2,
        "those of the page itself"
    );
    assert!(page.contains("<title>a &lt;b&gt;test&lt;/b&gt;: panicked"));
    assert!(!page.contains("{{"), "a part is missing");
    let line = timeline(&recorded(10_000));
    let messages = line.arrows.iter().filter(|arrow| arrow.0 == 0).count();
    assert_eq!(messages, 1000, "each message arrives once");
    assert_eq!((line.windows.len(), line.series.len()), (2, 1));
}

#[test]
#[ignore = "needs Chromium"]
fn page_in_a_browser() {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let chromium = named.unwrap_or_else(|| PathBuf::from("/usr/bin/chromium"));
    assert!(
        chromium.is_file(),
        "no browser: install Debian's chromium, or name one in CHROMIUM"
    );
    let directory = std::env::temp_dir().join(format!("squall-page-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let errors = "<script>window.errors = []; addEventListener('error', e => errors.push(e.message)); \
                  console.error = (...a) => errors.push(a.join(' '));</script>";
    let page = html(&document(100_000));
    let page = page.replacen("<head>", &format!("<head>{errors}"), 1);
    let page = page.replacen("</body>", &format!("<script>{HANDS}</script></body>"), 1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut browser = Command::new(&chromium)
        .args("--headless --no-sandbox --disable-gpu --disable-quic --no-first-run".split(' '))
        .args(
            "--disable-background-networking --disable-component-update --disable-sync".split(' '),
        )
        .args(["--window-size=1400,1200", "--remote-debugging-port=0"])
        .arg(format!(
            "--user-data-dir={}",
            directory.join("profile").display()
        ))
        .arg(format!("http://127.0.0.1:{port}/"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (send, receive) = mpsc::channel();
    let page = Arc::new(page);
    std::thread::spawn(move || {
        // A browser opens connections in advance, so none may wait for another.
        for stream in listener.incoming().flatten() {
            let (page, send) = (page.clone(), send.clone());
            std::thread::spawn(move || match serve(stream, &page) {
                Ok(body) if !body.is_empty() => send.send(body).ok(),
                _ => None,
            });
        }
    });
    let found = receive.recv_timeout(Duration::from_secs(120));
    let _ = browser.kill();
    let _ = browser.wait();
    let _ = std::fs::remove_dir_all(&directory);
    let found = found.expect("the page did not come to its end within two minutes");
    println!("{found}");
    let found: serde_json::Value = serde_json::from_str(&found).expect("what was found is JSON");
    assert_eq!(found["errors"].as_array().map(Vec::len), Some(0), "{found}");
    assert_eq!(found["failed"].as_array().map(Vec::len), Some(0), "{found}");
    assert!(found["checks"].as_u64() >= Some(12), "{found}");
}

/// Answers a request with the page; returns the request's body, which is empty unless it says what was found.
fn serve(stream: TcpStream, page: &str) -> io::Result<String> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line)? > 2 {
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        page.len()
    );
    // The browser may have gone away.
    let _ = reader
        .get_mut()
        .write_all(format!("{head}{page}").as_bytes());
    String::from_utf8(body).map_err(io::Error::other)
}
