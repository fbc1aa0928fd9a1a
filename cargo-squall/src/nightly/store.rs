//! Where records, logs and reports are kept: a folder, or a bucket by its URL. Objects are only ever added.

use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, prefix::PrefixStore};
use std::sync::Arc;
use tokio::runtime::Runtime;

/// How many objects are read side by side.
const SIDE_BY_SIDE: usize = 32;

/// An open store.
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    runtime: Runtime,
    shown: String,
}

impl Store {
    /// Opens the store at a folder's path or a URL. A folder is made unless it is there.
    pub fn open(place: &str) -> Result<Store> {
        let objects = match place.split_once("://") {
            Some(_) => by_url(place)?,
            None => {
                std::fs::create_dir_all(place)
                    .with_context(|| format!("cannot make the folder {place}"))?;
                let folder = LocalFileSystem::new_with_prefix(place)
                    .with_context(|| format!("cannot use the folder {place}"))?;
                Arc::new(folder.with_fsync(true)) as Arc<dyn ObjectStore>
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot build a runtime")?;
        Ok(Store {
            objects,
            runtime,
            shown: place.to_owned(),
        })
    }

    /// How it was named.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Adds an object as a whole or not at all. One that is there stays as it is.
    pub fn add(&self, key: &str, bytes: Vec<u8>) -> Result<()> {
        let create = PutOptions::from(PutMode::Create);
        let path = Path::from(key);
        let put = self.objects.put_opts(&path, bytes.into(), create);
        match self.runtime.block_on(put) {
            Ok(_) | Err(Error::AlreadyExists { .. }) => Ok(()),
            Err(error) => {
                Err(error).with_context(|| format!("cannot write {key} to {}", self.shown))
            }
        }
    }

    /// Reads an object.
    pub fn read(&self, key: &str) -> Result<Vec<u8>> {
        self.runtime.block_on(self.get(key.to_owned()))
    }

    /// The keys that begin with these segments, in order.
    pub fn keys(&self, under: &str) -> Result<Vec<String>> {
        let prefix = Path::from(under);
        let list = self.objects.list(Some(&prefix));
        let keys = list.map_ok(|found| found.location.to_string());
        let keys = self.runtime.block_on(keys.try_collect::<Vec<_>>());
        let mut keys = keys.with_context(|| format!("cannot list {}", self.shown))?;
        keys.sort();
        Ok(keys)
    }

    /// Reads these, in their order.
    pub fn read_all(&self, keys: Vec<String>) -> Result<Vec<(String, Vec<u8>)>> {
        let reading = stream::iter(keys).map(|key| async move {
            let bytes = self.get(key.clone()).await?;
            anyhow::Ok((key, bytes))
        });
        self.runtime
            .block_on(reading.buffered(SIDE_BY_SIDE).try_collect())
    }

    async fn get(&self, key: String) -> Result<Vec<u8>> {
        let path = Path::from(key.as_str());
        let read = async { self.objects.get(&path).await?.bytes().await };
        let bytes = read
            .await
            .with_context(|| format!("cannot read {key} from {}", self.shown))?;
        Ok(bytes.to_vec())
    }
}

fn by_url(place: &str) -> Result<Arc<dyn ObjectStore>> {
    let url = url::Url::parse(place).with_context(|| format!("{place} is no URL"))?;
    let scheme = url.scheme();
    let feature = match scheme {
        "file" => None,
        "s3" | "s3a" => Some(("s3", cfg!(feature = "s3"))),
        "gs" => Some(("gcs", cfg!(feature = "gcs"))),
        _ => bail!(
            "a store is a folder, or a URL that begins with s3://, gs:// or file://; not {scheme}://"
        ),
    };
    if let Some((feature, false)) = feature {
        bail!(
            "this cargo-squall was built without {scheme}:// stores: install it again with `cargo install cargo-squall --features {feature}`"
        );
    }
    // Which TLS is used; an error says that this has been settled before.
    #[cfg(feature = "cloud")]
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Credentials, region and endpoint come from the environment, as the services' own tools read them.
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.to_str()?.to_ascii_lowercase();
        let ours = name.starts_with("aws_") || name.starts_with("google_");
        ours.then_some((name, value.to_str()?.to_owned()))
    });
    let (objects, path) = object_store::parse_url_opts(&url, variables)
        .with_context(|| format!("cannot use the store {place}"))?;
    if scheme == "file" {
        let folder = url.to_file_path();
        let Ok(folder) = folder else {
            bail!("{place} names no folder of this machine");
        };
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    Ok(Arc::new(PrefixStore::new(objects, path)))
}
