//! A nightly run whose shards write to one bucket: `cargo-squall` with its feature `s3`, against s3s-fs on loopback.

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const KEY: &str = "squall";
const SECRET: &str = "no-secret-at-all";

/// Serves the folder's buckets from threads of its own; returns the endpoint.
fn serve(folder: &Path) -> String {
    let mut service = S3ServiceBuilder::new(FileSystem::new(folder).unwrap());
    service.set_auth(SimpleAuth::from_single(KEY, SECRET));
    let service = service.build();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let service = service.clone();
                tokio::spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    // A client that goes away is not this server's concern.
                    let _ = builder
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
    });
    endpoint
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Builds the command with the feature; returns its path.
fn build() -> PathBuf {
    let messages = Command::new(env!("CARGO"))
        .args(["build", "-p", "cargo-squall", "--features", "s3"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(workspace())
        .output()
        .unwrap();
    assert!(
        messages.status.success(),
        "{}",
        String::from_utf8_lossy(&messages.stderr)
    );
    let text = String::from_utf8(messages.stdout).unwrap();
    let mut built = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| Some(PathBuf::from(message["executable"].as_str()?)));
    built.next_back().expect("cargo says what it built")
}

#[test]
fn shards_write_to_one_bucket_and_a_later_night_goes_on() {
    let command = build();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("bucket")).unwrap();
    let endpoint = serve(folder.path());
    let run = |arguments: &[&str]| {
        let output = Command::new(&command)
            .arg("squall")
            .args(arguments)
            .current_dir(workspace().join("cargo-squall/tests/fixtures/night"))
            .env("AWS_ENDPOINT", &endpoint)
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "nowhere")
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("SQUALL_AUDIT", "0")
            .env("SQUALL_JOBS", "1")
            .env("SQUALL_SHRINK", "off")
            .output()
            .unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), told, said)
    };
    let night = |store: &str, shard: &str| {
        let words = ["nightly", "--commit", "c1", "--seeds", "24", "--json"];
        let (code, told, said) = run(&[&words[..], &["--store", store, "--shard", shard]].concat());
        assert!(matches!(code, Some(0 | 1)), "{code:?}: {said}");
        told
    };
    let joined = |store: &str| -> Value {
        let (code, told, said) = run(&["merge", "--json", store]);
        assert_eq!(code, Some(1), "{said}");
        let joined: Value = serde_json::from_str(&told).unwrap();
        let seeds = |test: &Value| (test["test"].clone(), test["seeds"].clone());
        let hits = |one: &Value| (one["signature"].clone(), one["count"].clone());
        let tests = joined["tests"].as_array().unwrap().iter().map(seeds);
        let failures = joined["failures"].as_array().unwrap().iter().map(hits);
        serde_json::to_value((tests.collect::<Vec<_>>(), failures.collect::<Vec<_>>())).unwrap()
    };

    let bucket = "s3://bucket/shop/nightly";
    for shard in ["0/2", "1/2"] {
        night(bucket, shard);
    }
    let local = folder.path().join("local");
    let local = local.to_str().unwrap();
    night(local, "0/1");
    assert_eq!(joined(bucket), joined(local));

    // Nothing is left but what failed, whose log comes out of the bucket.
    let again = night(bucket, "0/1");
    let kinds = |kind: &str| again.matches(&format!("\"kind\":\"{kind}\"")).count();
    assert!(kinds("replay") >= 1 && kinds("slice") == 0, "{again}");
    let (code, _, said) = run(&["merge", bucket, "--into", &format!("{local}-copy")]);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(joined(&format!("{local}-copy")), joined(bucket));

    // Whom the server does not let in is told so before anything is built.
    let (code, _, said) = run(&["merge", "s3://elsewhere/x"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("cannot list s3://elsewhere/x"), "{said}");
}
