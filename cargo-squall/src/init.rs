//! `cargo squall init`: a first test in a crate, and what its manifest needs for it. Nothing that is there is overwritten.

use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, InlineTable, Item, Table, Value, value};

/// What `cargo squall init` takes.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The package's `Cargo.toml`. Default: the one here.
    #[arg(long, value_name = "PATH", default_value = "Cargo.toml")]
    manifest_path: PathBuf,
    /// Take squall from this directory.
    #[arg(long, value_name = "DIR", conflicts_with = "git")]
    path: Option<String>,
    /// Take squall from this repository.
    #[arg(long, value_name = "URL")]
    git: Option<String>,
}

const TEST: &str = r#"//! A first test under squall: two clients at one server, each on a simulated host, under many schedules.
//! `cargo test --test squall` runs it; `cargo squall test --test squall` also permutes the tasks of each runtime.

use squall::Sim;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn serve() -> std::io::Result<()> {
    let listener = TcpListener::bind("0.0.0.0:80").await?;
    loop {
        let (mut socket, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut word = [0; 4];
            socket.read_exact(&mut word).await?;
            socket.write_all(&word).await
        });
    }
}

async fn ask(word: &[u8; 4]) -> std::io::Result<()> {
    let mut socket = TcpStream::connect("server:80").await?;
    socket.write_all(word).await?;
    let mut answer = [0; 4];
    socket.read_exact(&mut answer).await?;
    assert_eq!(answer, *word);
    Ok(())
}

#[squall::test]
async fn every_client_gets_its_own_word_back(sim: Sim) -> squall::Result {
    sim.host("server", serve);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (first, second) = tokio::join!(ask(b"ping"), ask(b"pong"));
    first?;
    second?;
    Ok(())
}
"#;

/// `cargo squall init`.
pub fn run(asked: &Arguments) -> Result<u8> {
    let manifest = &asked.manifest_path;
    let text = std::fs::read_to_string(manifest)
        .with_context(|| format!("cannot read {}", manifest.display()))?;
    let edited =
        edited(&text, asked).with_context(|| format!("{} stays as it is", manifest.display()))?;
    let test = manifest
        .parent()
        .unwrap_or(Path::new(""))
        .join("tests/squall.rs");
    if test.exists() {
        bail!("{} is there already, and stays as it is", test.display());
    }
    let directory = test.parent().context("no directory for the test")?;
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(&test, TEST))
        .with_context(|| format!("cannot write {}", test.display()))?;
    std::fs::write(manifest, edited)
        .with_context(|| format!("cannot write {}", manifest.display()))?;
    println!("{}: a first test", test.display());
    println!(
        "{}: squall and tokio for tests, and squall optimised",
        manifest.display()
    );
    println!("run it: cargo test --test squall");
    Ok(crate::status::HELD)
}

/// The manifest with what is missing in it.
fn edited(text: &str, asked: &Arguments) -> Result<String> {
    let mut manifest: DocumentMut = text.parse().context("it is no TOML")?;
    if !manifest.contains_key("package") {
        bail!("it has no [package]: say which with --manifest-path");
    }
    let dependencies = table(&mut manifest, "dev-dependencies")?;
    if !dependencies.contains_key("squall") {
        let mut squall = InlineTable::new();
        match (&asked.path, &asked.git) {
            (Some(path), _) => squall.insert("path", path.as_str().into()),
            (None, Some(git)) => squall.insert("git", git.as_str().into()),
            (None, None) => squall.insert("version", env!("CARGO_PKG_VERSION").into()),
        };
        dependencies["squall"] = value(squall);
    }
    if !dependencies.contains_key("tokio") {
        let mut tokio = InlineTable::new();
        tokio.insert("version", "1".into());
        let features = ["rt-multi-thread", "macros", "net", "time", "io-util"];
        tokio.insert("features", Value::Array(features.into_iter().collect()));
        dependencies["tokio"] = value(tokio);
    }
    // Of a workspace's member cargo ignores it, with a warning that says where it belongs.
    let mut at = manifest.as_table_mut();
    for name in ["profile", "dev", "package"] {
        let item = at.entry(name).or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        at = item
            .as_table_mut()
            .with_context(|| format!("`{name}` is no table"))?;
    }
    if !at.contains_key("squall") {
        let mut squall = Table::new();
        squall["opt-level"] = value(3);
        at["squall"] = Item::Table(squall);
    }
    Ok(manifest.to_string())
}

fn table<'a>(manifest: &'a mut DocumentMut, name: &str) -> Result<&'a mut Table> {
    let item = manifest
        .entry(name)
        .or_insert_with(|| Item::Table(Table::new()));
    item.as_table_mut()
        .with_context(|| format!("`{name}` is no table"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Arguments {
        Arguments {
            manifest_path: "Cargo.toml".into(),
            path: Some("../squall".to_owned()),
            git: None,
        }
    }

    #[test]
    fn what_is_there_stays() {
        let text = "[package] # mine\nname = \"x\"\n\n[dev-dependencies]\ntokio = \"1.40\"\n";
        let edited = edited(text, &asked()).unwrap();
        assert!(edited.starts_with(text.trim_end()), "{edited}");
        assert!(
            edited.contains("squall = { path = \"../squall\" }"),
            "{edited}"
        );
        assert!(
            edited.contains("[profile.dev.package.squall]\nopt-level = 3"),
            "{edited}"
        );
        assert_eq!(super::edited(&edited, &asked()).unwrap(), edited);
    }

    #[test]
    fn a_workspace_is_told_from_a_package() {
        assert!(edited("[workspace]\n", &asked()).is_err());
        assert!(edited("[package\n", &asked()).is_err());
    }
}
