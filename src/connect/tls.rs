//! The configured files of TLS.

/// Why the configured files of TLS cannot be used. It names the key and neither the path nor a byte of the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFileError {
    /// The address is one of TLS, and the file that it needs is not configured.
    #[error("`{key}` is not set, and a TLS address needs it")]
    Missing {
        /// The key that names the file.
        key: &'static str,
    },
    /// The file cannot be read.
    #[error("the file that `{key}` names cannot be read")]
    Unreadable {
        /// The key that names the file.
        key: &'static str,
        /// What the system says.
        #[source]
        error: std::io::Error,
    },
    /// The file is over 1 MiB.
    #[error("the file that `{key}` names is over 1 MiB; is it the right one?")]
    TooLong {
        /// The key that names the file.
        key: &'static str,
    },
    /// What is in the file is not what it should be.
    #[cfg(feature = "_tls")]
    #[error("the file that `{key}` names is not as it should be")]
    Wrong {
        /// The key that names the file.
        key: &'static str,
        /// What is wrong with it.
        #[source]
        error: graft_transport::net::tls::TlsConfigError,
    },
}

#[cfg(feature = "_tls")]
pub(super) use files::{client, server};

#[cfg(feature = "_tls")]
mod files {
    use std::fs::File;
    use std::io::Read;
    use std::path::Path;

    use graft_transport::net::tls::{
        TlsClientConfig, TlsConfigError, TlsIdentity, TlsRoots, TlsServerConfig,
    };
    use zeroize::Zeroizing;

    use super::TlsFileError;
    use crate::config::TlsFiles;

    const ROOTS: &str = "tls.roots";
    const CERTIFICATE: &str = "tls.certificate";
    const KEY: &str = "tls.key";
    /// The longest file, in bytes.
    const MAX_FILE: usize = 1 << 20;

    /// A client that believes the configured roots and shows the configured certificate, if there is one.
    pub(in super::super) fn client(files: TlsFiles<'_>) -> Result<TlsClientConfig, TlsFileError> {
        let config = TlsClientConfig::new(&roots(files.roots.ok_or(TlsFileError::Missing { key: ROOTS })?)?);
        Ok(match files.identity {
            Some(paths) => config.with_identity(&identity(paths)?),
            None => config,
        })
    }

    /// A server that shows the configured certificate, and asks clients for theirs if there are roots.
    pub(in super::super) fn server(files: TlsFiles<'_>) -> Result<TlsServerConfig, TlsFileError> {
        let identity = identity(files.identity.ok_or(TlsFileError::Missing { key: CERTIFICATE })?)?;
        Ok(match files.roots {
            Some(path) => TlsServerConfig::mutual(&identity, &roots(path)?),
            None => TlsServerConfig::new(&identity),
        })
    }

    fn roots(path: &Path) -> Result<TlsRoots, TlsFileError> {
        TlsRoots::from_pem(&read(ROOTS, path)?).map_err(|error| TlsFileError::Wrong { key: ROOTS, error })
    }

    fn identity((certificate, key): (&Path, &Path)) -> Result<TlsIdentity, TlsFileError> {
        let (chain, key) = (read(CERTIFICATE, certificate)?, read(KEY, key)?);
        TlsIdentity::from_pem(&chain, &key).map_err(|error| {
            let key = match error {
                TlsConfigError::NoCertificate | TlsConfigError::BadCertificate { .. } => CERTIFICATE,
                _ => KEY,
            };
            TlsFileError::Wrong { key, error }
        })
    }

    /// The file, wiped when it is dropped. There is room for all of it from the beginning, so that growing leaves
    /// no copies.
    fn read(key: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsFileError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE + 64));
        let read = File::open(path).and_then(|file| file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes));
        match read.map_err(|error| TlsFileError::Unreadable { key, error })? {
            length if length > MAX_FILE => Err(TlsFileError::TooLong { key }),
            _ => Ok(bytes),
        }
    }
}
