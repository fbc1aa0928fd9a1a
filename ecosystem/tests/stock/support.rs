//! What several families share: a stopwatch on the clock the program sees, listeners, certificates.
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// Milliseconds as a `Duration`.
pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Measures by the program's own monotonic clock: virtual time under Squall.
pub struct Stopwatch(Instant);

impl Stopwatch {
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Asserts that between `low` and `high` have passed since the start.
    #[track_caller]
    pub fn within(&self, low: Duration, high: Duration) {
        let passed = self.0.elapsed();
        assert!(
            low <= passed && passed <= high,
            "took {passed:?}, expected {low:?} to {high:?}"
        );
    }
}

/// A listener on a free loopback port, and its address.
pub async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("local address");
    (listener, address)
}

/// How many are inside at once, and the most there ever were.
#[derive(Default)]
pub struct Gauge {
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl Gauge {
    pub fn enter(&self) -> Inside<'_> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(now, Ordering::SeqCst);
        Inside(self)
    }

    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::SeqCst)
    }
}

/// One entry into a `Gauge`; leaves when dropped.
pub struct Inside<'a>(&'a Gauge);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A certificate authority made for one test, and one server certificate for `localhost` signed by it.
pub struct Certificates {
    pub authority_pem: String,
    pub authority: rustls::pki_types::CertificateDer<'static>,
    pub chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    pub key: rustls::pki_types::PrivateKeyDer<'static>,
}

impl Certificates {
    pub fn for_localhost() -> Self {
        use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

        let mut params = CertificateParams::new([]).expect("authority parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("authority key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("authority certificate");

        let key = KeyPair::generate().expect("server key");
        let server = CertificateParams::new(["localhost".to_string(), "127.0.0.1".to_string()])
            .expect("server parameters")
            .signed_by(&key, &authority)
            .expect("server certificate");
        Self {
            authority_pem: authority.pem(),
            authority: authority.der().clone(),
            chain: vec![server.der().clone()],
            key: rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        }
    }

    /// Server side, offering `protocols` through ALPN in this order.
    pub fn server(&self, protocols: &[&str]) -> rustls::ServerConfig {
        let mut config = rustls::ServerConfig::builder_with_provider(ring())
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .expect("server configuration");
        config.alpn_protocols = alpn(protocols);
        config
    }

    /// Client side, trusting this authority alone.
    pub fn client(&self, protocols: &[&str]) -> rustls::ClientConfig {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.authority.clone()).expect("root certificate");
        let mut config = rustls::ClientConfig::builder_with_provider(ring())
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn(protocols);
        config
    }
}

pub fn ring() -> std::sync::Arc<rustls::crypto::CryptoProvider> {
    std::sync::Arc::new(rustls::crypto::ring::default_provider())
}

fn alpn(protocols: &[&str]) -> Vec<Vec<u8>> {
    protocols.iter().map(|p| p.as_bytes().to_vec()).collect()
}
