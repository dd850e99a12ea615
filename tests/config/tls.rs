//! The configured files of TLS.

use std::path::PathBuf;
use std::sync::Arc;

use graft::config::Config;
use graft::{ConnectError, Gateway, ServeError, TlsFileError, connect};

use crate::certificates::{Authority, Made, pem};
use crate::connect::{Echo, configured, echoes};

/// A folder of files that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("graft-tls-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn identity(&self, name: &str, made: &Made) -> (String, String) {
        let chain = self.file(&format!("{name}.pem"), pem("CERTIFICATE", &made.chain[0]));
        (chain, self.file(&format!("{name}.key"), pem("PRIVATE KEY", &made.key)))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn with(address: (&str, &str), roots: Option<&str>, identity: Option<&(String, String)>) -> Config {
    let mut variables = vec![address];
    variables.extend(roots.map(|roots| ("GRAFT_TLS_ROOTS", roots)));
    if let Some((certificate, key)) = identity {
        variables.extend([("GRAFT_TLS_CERTIFICATE", &**certificate), ("GRAFT_TLS_KEY", &**key)]);
    }
    configured(&variables)
}

#[tokio::test]
async fn one_configuration_makes_both_ends_of_tls_and_of_mutual_tls() {
    let folder = Folder::new("both");
    let authority = Authority::new("root");
    let roots = folder.file("roots.pem", pem("CERTIFICATE", &authority.der));
    let server_identity = folder.identity("server", &authority.server());
    let client_identity = folder.identity("client", &authority.client());
    let gateway = Gateway::new().host(Arc::new(Echo));
    let listens = if cfg!(feature = "websocket") {
        &["tls://localhost:0", "wss://localhost:0/graft"][..]
    } else {
        &["tls://localhost:0"]
    };
    for listen in listens {
        let listen = ("GRAFT_LISTEN", *listen);
        let server = gateway.serve(&with(listen, None, Some(&server_identity))).unwrap();
        let endpoint = server.endpoint().unwrap().to_string();
        echoes(&with(("GRAFT_ENDPOINT", &endpoint), Some(&roots), None), None).await;

        let server = gateway.serve(&with(listen, Some(&roots), Some(&server_identity))).unwrap();
        let endpoint = server.endpoint().unwrap().to_string();
        let address = ("GRAFT_ENDPOINT", &*endpoint);
        echoes(&with(address, Some(&roots), Some(&client_identity)), None).await;
        let nobody = connect(&with(address, Some(&roots), None), None).await;
        assert!(matches!(nobody, Err(ConnectError::Failed(_))), "a client without a certificate got in");
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_files_is_named_by_its_key() {
    let folder = Folder::new("wrong");
    let authority = Authority::new("root");
    let (certificate, key) = folder.identity("one", &authority.server());
    let (_, other_key) = folder.identity("two", &authority.server());
    let nothing = folder.file("nothing.pem", "hunter2-canary");
    let long = folder.file("long.pem", vec![b'x'; (1 << 20) + 1]);
    let nowhere = folder.0.join("nowhere").to_str().unwrap().to_owned();

    let endpoint = ("GRAFT_ENDPOINT", "tls://localhost:1");
    let client = |roots: Option<&str>| {
        let config = with(endpoint, roots, None);
        async move {
            match connect(&config, None).await {
                Err(ConnectError::Tls(error)) => error,
                Err(error) => panic!("{error}"),
                Ok(_) => panic!("connected"),
            }
        }
    };
    assert!(matches!(client(None).await, TlsFileError::Missing { key: "tls.roots" }));
    assert!(matches!(client(Some(&nowhere)).await, TlsFileError::Unreadable { key: "tls.roots", .. }));
    assert!(matches!(client(Some(&long)).await, TlsFileError::TooLong { key: "tls.roots" }));
    let error = client(Some(&nothing)).await;
    assert!(matches!(error, TlsFileError::Wrong { key: "tls.roots", .. }), "{error:?}");
    let printed = format!("{error} {error:?}");
    assert!(!printed.contains("canary") && !printed.contains("nothing.pem"), "{printed}");

    let listen = ("GRAFT_LISTEN", "tls://localhost:0");
    let server = |identity: Option<(&str, &str)>| {
        let identity = identity.map(|(certificate, key)| (certificate.to_owned(), key.to_owned()));
        match Gateway::new().serve(&with(listen, None, identity.as_ref())) {
            Err(ServeError::Tls(error)) => error,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("serves"),
        }
    };
    assert!(matches!(server(None), TlsFileError::Missing { key: "tls.certificate" }));
    for (chain, key, named) in [
        (&nothing, &key, "tls.certificate"),
        (&certificate, &nothing, "tls.key"),
        (&certificate, &other_key, "tls.key"),
    ] {
        let error = server(Some((chain, key)));
        assert!(matches!(error, TlsFileError::Wrong { key, .. } if key == named), "{error:?}");
    }
}
