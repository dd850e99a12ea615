//! Both ends over each stream of bytes: what the callee learns of its peer, and why there is no connection.

#[cfg(feature = "tls-ring")]
#[path = "net/certificates.rs"]
#[allow(dead_code)] // the tests of the streams use the rest
mod certificates;
mod common;

use common::{bounded, call, options, serve};
use graft_core::{Peer, Router};
use graft_transport::conformance::{TestMethod, TestService};
use graft_transport::net::BindError;
use graft_transport::{ConnectError, Endpoint, RemoteChannel, Server};

fn endpoint(text: &str) -> Endpoint {
    text.parse().expect("an endpoint")
}

/// What the callee is told of who called over this channel.
async fn seen_by(service: &TestService, channel: RemoteChannel) -> Peer {
    bounded(call(&channel, TestMethod::Look, "")).await.expect("returns");
    service.counters().seen().expect("it was called").peer.expect("the channel knows its peer")
}

fn router(service: &TestService) -> Router {
    Router::default().with(std::sync::Arc::new(service.clone()))
}

#[tokio::test]
async fn the_callee_learns_the_address_over_tcp() {
    let service = TestService::default();
    let server = Server::tcp("127.0.0.1:0", router(&service), options()).expect("binds");
    let address = server.local_addr().expect("it is TCP");
    assert_eq!(server.endpoint(), Some(&endpoint(&format!("tcp://{address}"))));
    let channel = RemoteChannel::tcp(address, options()).await.expect("connects");
    let peer = seen_by(&service, channel).await;
    assert!(peer.address.is_some_and(|address| address.starts_with("127.0.0.1:")));
    assert_eq!((peer.tls, peer.unix, peer.origin), (None, None, None));
}

#[cfg(all(unix, feature = "unix"))]
#[tokio::test]
async fn the_callee_learns_the_user_over_a_unix_socket() {
    use std::os::unix::fs::MetadataExt;
    let path = std::env::temp_dir().join(format!("graft-channels-{}", std::process::id()));
    let service = TestService::default();
    let server = Server::unix(&path, router(&service), options()).expect("binds");
    let text = path.to_str().expect("UTF-8");
    assert_eq!(server.endpoint(), Some(&endpoint(&format!("unix:{text}"))));
    let channel = RemoteChannel::unix(&path, options()).await.expect("connects");
    let own = std::fs::metadata(&path).expect("there").uid();
    let peer = seen_by(&service, channel).await.unix.expect("the kernel tells");
    assert_eq!(peer.uid, own);
    assert!(peer.pid.is_none_or(|pid| pid as u32 == std::process::id()));
    server.shutdown().await;
    assert!(!path.exists(), "a socket file was left");
    let error = RemoteChannel::unix(&path, options()).await.expect_err("nobody listens");
    assert!(matches!(error, ConnectError::Dial(_)), "{error:?}");
}

#[cfg(feature = "websocket")]
#[tokio::test]
async fn a_websocket_is_at_its_path_only() {
    use graft_transport::net::DialError;
    use graft_transport::net::websocket::WebSocketOptions;
    let web = WebSocketOptions::default().with_path("/graft");
    let server = Server::websocket("127.0.0.1:0", web.clone(), Router::default(), options()).expect("binds");
    let address = server.local_addr().expect("it is TCP");
    assert_eq!(server.endpoint(), Some(&endpoint(&format!("ws://{address}/graft"))));
    RemoteChannel::websocket(&format!("ws://{address}/graft"), &web, options()).await.expect("connects");
    let elsewhere = endpoint(&format!("ws://{address}/other"));
    let error = RemoteChannel::dial(&elsewhere, &options().into()).await.expect_err("there is none");
    assert!(matches!(error, ConnectError::Dial(DialError::NotWebSocket(_))), "{error:?}");
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_had_says_why() {
    let local = RemoteChannel::dial(&Endpoint::Local, &options().into()).await;
    assert!(matches!(local, Err(ConnectError::Local)), "{local:?}");
    let local = Server::bind(&Endpoint::Local, Router::default(), &options().into());
    assert!(matches!(local, Err(BindError::Local)));
    for (text, is_in) in [
        ("unix:/graft-nobody", cfg!(all(unix, feature = "unix"))),
        ("ws://127.0.0.1:1/", cfg!(feature = "websocket")),
        ("tls://127.0.0.1:1", cfg!(feature = "_tls")),
        ("wss://127.0.0.1:1/", cfg!(all(feature = "_tls", feature = "websocket"))),
    ] {
        let endpoint = endpoint(text);
        let error = RemoteChannel::dial(&endpoint, &options().into()).await.expect_err("nobody is there");
        let refused = matches!(error, ConnectError::NotCompiledIn { scheme } if scheme == endpoint.scheme());
        assert_eq!(refused, !is_in, "{text}: {error:?}");
        if is_in && matches!(endpoint, Endpoint::Tls(_) | Endpoint::Wss(_)) {
            assert!(matches!(error, ConnectError::NoTls), "{text}: {error:?}");
            let bound = Server::bind(&endpoint, Router::default(), &options().into());
            assert!(matches!(bound, Err(BindError::NoTls)), "{text}");
        } else if !is_in {
            let bound = Server::bind(&endpoint, Router::default(), &options().into());
            assert!(matches!(bound, Err(BindError::NotCompiledIn { scheme }) if scheme == endpoint.scheme()));
        }
    }
    let (server, _) = serve(options());
    let taken = Server::bind(server.endpoint().expect("TCP"), Router::default(), &options().into());
    assert!(matches!(taken, Err(BindError::Address(_))));
}

#[cfg(feature = "tls-ring")]
mod over_tls {
    use super::certificates::{Authority, Days, Made};
    use super::*;
    use graft_transport::DialOptions;
    use graft_transport::net::DialError;
    use graft_transport::net::tls::{CertificateFault, TlsClientConfig, TlsFault, TlsServerConfig};
    use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};

    fn serve_tls(scheme: &str, service: &TestService, tls: TlsServerConfig) -> Server {
        let options = graft_transport::BindOptions::from(options()).with_tls(tls);
        Server::bind(&endpoint(&format!("{scheme}://localhost:0")), router(service), &options).expect("binds")
    }

    async fn dial(server: &Server, client: TlsClientConfig) -> Result<RemoteChannel, ConnectError> {
        let options = DialOptions::from(options()).with_tls(client);
        bounded(RemoteChannel::dial(server.endpoint().expect("it was bound to one"), &options)).await
    }

    fn schemes() -> &'static [&'static str] {
        if cfg!(feature = "websocket") { &["tls", "wss"] } else { &["tls"] }
    }

    #[tokio::test]
    async fn the_callee_learns_the_clients_certificate() {
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        let ann = clients.client();
        for scheme in schemes() {
            let service = TestService::default();
            let tls = TlsServerConfig::mutual(&servers.server().identity(), &clients.roots());
            let server = serve_tls(scheme, &service, tls);
            assert_ne!(server.endpoint().and_then(Endpoint::port), Some(0));
            let client = TlsClientConfig::new(&servers.roots()).with_identity(&ann.identity());
            let channel = dial(&server, client).await.expect("connects");
            assert!(!channel.peer().tls.as_ref().expect("TLS").certificates.is_empty());
            let peer = seen_by(&service, channel).await.tls.expect("TLS");
            assert_eq!(peer.certificates, ann.chain, "{scheme}");
        }
    }

    #[tokio::test]
    async fn a_certificate_that_does_not_hold_is_a_typed_error() {
        let authority = Authority::new("root");
        let made = |name, days, usage| authority.certificate(name, days, usage);
        for (shown, wanted) in [
            (made("elsewhere", Days::Now, ServerAuth), CertificateFault::WrongName),
            (made("localhost", Days::Past, ServerAuth), CertificateFault::Expired),
            (Made::self_signed(), CertificateFault::UnknownIssuer),
        ] {
            for scheme in schemes() {
                let service = TestService::default();
                let server = serve_tls(scheme, &service, TlsServerConfig::new(&shown.identity()));
                let error =
                    dial(&server, TlsClientConfig::new(&authority.roots())).await.expect_err("refused");
                let ConnectError::Dial(DialError::Tls(TlsFault::Certificate(fault))) = error else {
                    unreachable!("{scheme}: {error:?}")
                };
                assert_eq!(fault, wanted, "{scheme}");
            }
        }
    }

    #[tokio::test]
    async fn a_client_that_the_server_does_not_take_gets_no_connection() {
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        let nobody = TlsClientConfig::new(&servers.roots());
        let expired = clients.certificate("ann", Days::Past, ClientAuth);
        let late = nobody.clone().with_identity(&expired.identity());
        let cases = [(nobody, "certificate-required"), (late, "expired")];
        for ((client, wanted), scheme) in
            cases.iter().flat_map(|case| schemes().iter().map(move |scheme| (case, scheme)))
        {
            let service = TestService::default();
            let tls = TlsServerConfig::mutual(&servers.server().identity(), &clients.roots());
            let server = serve_tls(scheme, &service, tls);
            let error = dial(&server, client.clone()).await.expect_err("refused");
            let ConnectError::Dial(DialError::Tls(TlsFault::Refused(why))) = error else {
                unreachable!("{error:?}")
            };
            assert_eq!(why, *wanted, "{scheme}");
            assert!(service.counters().seen().is_none());
        }
    }
}
