//! Roots, identities and the two configurations.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore, ServerConfig};

use super::{ALPN, HTTP};

#[cfg(not(any(feature = "tls-ring", feature = "tls-aws-lc")))]
compile_error!("TLS needs a provider: turn on the feature `tls-ring` or `tls-aws-lc`");

fn provider() -> Arc<CryptoProvider> {
    #[cfg(not(feature = "tls-ring"))]
    use tokio_rustls::rustls::crypto::aws_lc_rs as chosen;
    #[cfg(feature = "tls-ring")]
    use tokio_rustls::rustls::crypto::ring as chosen;
    Arc::new(chosen::default_provider())
}

/// What a host gave cannot be used for TLS. It is the host's to correct; no byte of what it gave is in here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// There is no certificate in what was given.
    #[error("there is no certificate in what was given")]
    NoCertificate,
    /// A certificate cannot be read, or cannot be a root.
    #[error("certificate {index}, counted from 0, cannot be read or cannot be a root")]
    BadCertificate {
        /// Which one, counted from 0.
        index: usize,
    },
    /// There is no private key in what was given.
    #[error("there is no private key in what was given; PKCS #8, PKCS #1 and SEC 1 are read")]
    NoKey,
    /// The private key cannot be read, or is of a kind that is not supported.
    #[error("the private key cannot be read or is of a kind that is not supported")]
    BadKey,
    /// The private key is not that of the first certificate.
    #[error("the private key is not that of the first certificate")]
    KeyMismatch,
}

/// Whom this end believes: the certificates at the top of the chains that it takes.
///
/// They are those that the host gives and no others; the system's are not read.
#[derive(Clone, Debug)]
pub struct TlsRoots(Arc<RootCertStore>);

impl TlsRoots {
    /// Every `CERTIFICATE` of a PEM text.
    ///
    /// # Errors
    /// [`TlsConfigError::NoCertificate`] or [`TlsConfigError::BadCertificate`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, TlsConfigError> {
        Self::of(certificates(pem)?)
    }

    /// The same from DER.
    ///
    /// # Errors
    /// As [`TlsRoots::from_pem`].
    pub fn from_der(certificates: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, TlsConfigError> {
        Self::of(certificates.into_iter().map(CertificateDer::from).collect())
    }

    fn of(certificates: Vec<CertificateDer<'static>>) -> Result<Self, TlsConfigError> {
        let mut store = RootCertStore::empty();
        for (index, der) in certificates.into_iter().enumerate() {
            store.add(der).map_err(|_| TlsConfigError::BadCertificate { index })?;
        }
        if store.is_empty() { Err(TlsConfigError::NoCertificate) } else { Ok(Self(Arc::new(store))) }
    }
}

/// Who this end is: its certificate chain and the private key of the first certificate.
#[derive(Clone)]
pub struct TlsIdentity(Arc<CertifiedKey>);

impl TlsIdentity {
    /// A chain, own certificate first, and a key, each from a PEM text; it may be the same text.
    ///
    /// # Errors
    /// [`TlsConfigError`], which says what is missing, cannot be read or does not fit.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsConfigError> {
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsConfigError::NoKey)?;
        Self::of(certificates(chain)?, key)
    }

    /// The same from DER; the key in PKCS #8, PKCS #1 or SEC 1.
    ///
    /// # Errors
    /// As [`TlsIdentity::from_pem`].
    pub fn from_der(chain: impl IntoIterator<Item = Vec<u8>>, key: Vec<u8>) -> Result<Self, TlsConfigError> {
        let key = PrivateKeyDer::try_from(key).map_err(|_| TlsConfigError::BadKey)?;
        Self::of(chain.into_iter().map(CertificateDer::from).collect(), key)
    }

    fn of(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, TlsConfigError> {
        if chain.is_empty() {
            return Err(TlsConfigError::NoCertificate);
        }
        CertifiedKey::from_der(chain, key, &provider()).map(|key| Self(Arc::new(key))).map_err(|error| {
            match error {
                Error::InconsistentKeys(_) => TlsConfigError::KeyMismatch,
                Error::InvalidCertificate(_) => TlsConfigError::BadCertificate { index: 0 },
                _ => TlsConfigError::BadKey,
            }
        })
    }

    fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(self.0.clone()))
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").field("certificates", &self.0.cert.len()).finish_non_exhaustive()
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let read = CertificateDer::pem_slice_iter(pem).enumerate();
    read.map(|(index, der)| der.map_err(|_| TlsConfigError::BadCertificate { index })).collect()
}

/// How a client speaks TLS.
///
/// ```
/// use graft_transport::net::tls::{TlsClientConfig, TlsConfigError, TlsIdentity, TlsRoots};
/// fn configure(roots: &[u8], chain: &[u8], key: &[u8]) -> Result<TlsClientConfig, TlsConfigError> {
///     // Without an identity it is a client that a server cannot ask who it is.
///     let client = TlsClientConfig::new(&TlsRoots::from_pem(roots)?);
///     Ok(client.with_identity(&TlsIdentity::from_pem(chain, key)?))
/// }
/// assert_eq!(configure(b"", b"", b"").unwrap_err(), TlsConfigError::NoCertificate);
/// ```
#[derive(Clone)]
pub struct TlsClientConfig {
    pub(super) graft: Arc<ClientConfig>,
    #[cfg(feature = "websocket")]
    pub(super) web: Arc<ClientConfig>,
}

impl TlsClientConfig {
    /// A client that believes `roots` and shows no certificate.
    pub fn new(roots: &TlsRoots) -> Self {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("either provider has both versions")
            .with_root_certificates(roots.0.clone())
            .with_no_client_auth();
        Self::of(config)
    }

    /// The same, showing a certificate to servers that ask for one.
    #[must_use]
    pub fn with_identity(self, identity: &TlsIdentity) -> Self {
        let mut config = ClientConfig::clone(&self.graft);
        config.client_auth_cert_resolver = identity.resolver();
        Self::of(config)
    }

    fn of(mut config: ClientConfig) -> Self {
        config.resumption = Resumption::disabled();
        let with = |protocol: &[u8]| {
            let mut config = config.clone();
            config.alpn_protocols = vec![protocol.to_vec()];
            Arc::new(config)
        };
        Self {
            graft: with(ALPN),
            #[cfg(feature = "websocket")]
            web: with(HTTP),
        }
    }
}

impl fmt::Debug for TlsClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identified = self.graft.client_auth_cert_resolver.has_certs();
        f.debug_struct("TlsClientConfig").field("identified", &identified).finish_non_exhaustive()
    }
}

/// How a server speaks TLS.
#[derive(Clone)]
pub struct TlsServerConfig {
    pub(super) graft: Arc<ServerConfig>,
    #[cfg(feature = "websocket")]
    pub(super) web: Arc<ServerConfig>,
    mutual: bool,
}

impl TlsServerConfig {
    /// A server that shows `identity` and asks clients for nothing.
    pub fn new(identity: &TlsIdentity) -> Self {
        Self::of(identity, None)
    }

    /// Mutual TLS: a client without a certificate that a chain leads from to `clients` gets no further than
    /// the handshake, not even to health. Who of those it is, the peer's certificates say.
    pub fn mutual(identity: &TlsIdentity, clients: &TlsRoots) -> Self {
        Self::of(identity, Some(clients))
    }

    fn of(identity: &TlsIdentity, clients: Option<&TlsRoots>) -> Self {
        let provider = provider();
        let verifier = match clients {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(roots) => WebPkiClientVerifier::builder_with_provider(roots.0.clone(), provider.clone())
                .build()
                .expect("there is a root, and no list of revoked ones to be wrong"),
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("either provider has both versions")
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(identity.resolver());
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        let with = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            Arc::new(config)
        };
        Self {
            // Health is asked in HTTP.
            graft: with(&[ALPN, HTTP]),
            #[cfg(feature = "websocket")]
            web: with(&[HTTP]),
            mutual: clients.is_some(),
        }
    }
}

impl fmt::Debug for TlsServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServerConfig").field("mutual", &self.mutual).finish_non_exhaustive()
    }
}
