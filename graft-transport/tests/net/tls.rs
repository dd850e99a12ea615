//! Whom TLS lets through and whom not.

use graft_transport::net::tls::{
    self, CertificateFault, TlsClientConfig, TlsConfigError, TlsFault, TlsIdentity, TlsRoots, TlsServerConfig,
};
use graft_transport::net::{DialError, tcp};
use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};

use super::certificates::{Authority, Days, Made, pem};
use super::streams::greeted;
use super::*;

fn listen(config: TlsServerConfig) -> (tls::Listener, std::net::SocketAddr) {
    let listener = tls::Listener::bind("127.0.0.1:0", config).expect("bound");
    let addr = listener.local_addr();
    (listener, addr)
}

/// What the client makes of a server that shows this.
async fn refusal(shown: &Made, roots: &TlsRoots, name: &str) -> (TlsFault, HandshakeError) {
    let (listener, addr) = listen(TlsServerConfig::new(&shown.identity()));
    let accepted = accept_one(listener);
    let error = tls::dial(addr, name, &TlsClientConfig::new(roots), LONG).await.err().expect("no stream");
    let DialError::Tls(fault) = error else { panic!("not of TLS: {error:?}") };
    (fault, accepted.await.expect("no panic").err().expect("no stream"))
}

#[tokio::test]
async fn tls_carries_bytes_and_knows_the_chain() {
    let authority = Authority::new("root");
    let server = authority.server();
    let (listener, addr) = listen(TlsServerConfig::new(&server.identity()));
    let client = TlsClientConfig::new(&authority.roots());
    let dial = tls::dial(addr, "localhost", &client, LONG);
    let ((one, of_server), (other, of_client)) = greeted(accept_one(listener), dial).await;
    let found = of_server.tls.expect("TLS");
    assert_eq!(found.certificates, server.chain);
    assert_eq!(found.alpn.as_deref(), Some(tls::ALPN));
    let found = of_client.tls.expect("TLS");
    assert!(found.certificates.is_empty(), "nobody asked the client");
    assert_eq!(found.alpn.as_deref(), Some(tls::ALPN));
    carries_a_megabyte(one, other).await;
}

#[tokio::test]
async fn a_client_refuses_each_certificate_for_its_own_reason() {
    let authority = Authority::new("root");
    let made = |name, days, usage| authority.certificate(name, days, usage);
    let stranger = Authority::new("stranger");
    let cases = [
        (made("elsewhere", Days::Now, ServerAuth), CertificateFault::WrongName, "wrong-name"),
        (made("localhost", Days::Past, ServerAuth), CertificateFault::Expired, "expired"),
        (made("localhost", Days::Future, ServerAuth), CertificateFault::NotYetValid, "not-yet-valid"),
        (made("localhost", Days::Now, ClientAuth), CertificateFault::WrongPurpose, "wrong-purpose"),
        (stranger.server(), CertificateFault::UnknownIssuer, "unknown-issuer"),
        (Made::self_signed(), CertificateFault::UnknownIssuer, "unknown-issuer"),
    ];
    for (shown, wanted, word) in cases {
        let (fault, told) = refusal(&shown, &authority.roots(), "localhost").await;
        assert_eq!((fault, fault.reason()), (TlsFault::Certificate(wanted), word));
        let HandshakeError::Tls(told) = told else { panic!("the server was not told: {told:?}") };
        assert!(matches!(told, TlsFault::Refused(_)), "{told:?}");
    }
    let (fault, _) = refusal(&authority.server(), &authority.roots(), "127.0.0.1").await;
    assert_eq!(fault.reason(), "wrong-name", "the certificate is for a name and not for this address");
}

#[tokio::test]
async fn a_chain_through_another_authority_is_believed_and_handed_up_whole() {
    let root = Authority::new("root");
    let mut server = root.server();
    server.chain.push(root.der.clone());
    let (listener, addr) = listen(TlsServerConfig::new(&server.identity()));
    let client = TlsClientConfig::new(&root.roots());
    let ((_, peer), _) = greeted(accept_one(listener), tls::dial(addr, "localhost", &client, LONG)).await;
    assert_eq!(peer.tls.expect("TLS").certificates, server.chain);
}

#[tokio::test]
async fn mutual_tls_hands_the_clients_chain_up() {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let ann = clients.client();
    let (listener, addr) = listen(TlsServerConfig::mutual(&servers.server().identity(), &clients.roots()));
    let client = TlsClientConfig::new(&servers.roots()).with_identity(&ann.identity());
    let dial = tls::dial(addr, "localhost", &client, LONG);
    let ((one, _), (other, peer)) = greeted(accept_one(listener), dial).await;
    assert_eq!(peer.tls.expect("TLS").certificates, ann.chain);
    carries_a_megabyte(one, other).await;
}

/// Both ends' view of a client that a server requiring certificates does not take.
async fn refused_client(
    client: TlsClientConfig,
    servers: &Authority,
    clients: &Authority,
) -> (TlsFault, TlsFault) {
    let (listener, addr) = listen(TlsServerConfig::mutual(&servers.server().identity(), &clients.roots()));
    let accepted = accept_one(listener);
    let (mut io, _) = tls::dial(addr, "localhost", &client, LONG).await.expect("the client's part is done");
    let error = io.read(&mut [0; 8]).await.expect_err("refused");
    let at_client = TlsFault::of(&error).expect("a fault of TLS");
    match accepted.await.expect("no panic").err().expect("no stream") {
        HandshakeError::Tls(at_server) => (at_client, at_server),
        other => panic!("not of TLS: {other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_requires_certificates_refuses_who_has_none_or_another_roots() {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let nobody = TlsClientConfig::new(&servers.roots());
    let (at_client, at_server) = refused_client(nobody.clone(), &servers, &clients).await;
    assert_eq!(at_server, TlsFault::NoCertificate);
    assert_eq!(at_client, TlsFault::Refused("certificate-required"));

    let stranger = nobody.clone().with_identity(&Authority::new("clients").client().identity());
    let (at_client, at_server) = refused_client(stranger, &servers, &clients).await;
    // Roots of one name: the key tells them apart.
    assert!(matches!(at_server, TlsFault::Certificate(_)), "{at_server:?}");
    assert!(matches!(at_client, TlsFault::Refused(_)), "{at_client:?}");

    let other = nobody.clone().with_identity(&Authority::new("others").client().identity());
    let (_, at_server) = refused_client(other, &servers, &clients).await;
    assert_eq!(at_server.reason(), "unknown-issuer");

    let expired = clients.certificate("ann", Days::Past, ClientAuth);
    let (at_client, at_server) =
        refused_client(nobody.clone().with_identity(&expired.identity()), &servers, &clients).await;
    assert_eq!((at_client, at_server.reason()), (TlsFault::Refused("expired"), "expired"));

    let purpose = clients.certificate("ann", Days::Now, ServerAuth);
    let (_, at_server) = refused_client(nobody.with_identity(&purpose.identity()), &servers, &clients).await;
    assert_eq!(at_server.reason(), "wrong-purpose");
}

#[tokio::test]
async fn what_does_not_speak_tls_is_told_apart() {
    let authority = Authority::new("root");
    let plain = tcp::Listener::bind("127.0.0.1:0").expect("bound");
    let addr = plain.local_addr();
    let serving = tokio::spawn(async move {
        let raw = plain.accept().await.expect("a connection");
        plain.turn_away(raw, b"SSH-2.0-something that is no TLS\r\n");
    });
    let client = TlsClientConfig::new(&authority.roots());
    let error = tls::dial(addr, "localhost", &client, LONG).await.err().expect("no stream");
    assert!(matches!(error, DialError::Tls(TlsFault::NotTls)), "{error:?}");
    serving.await.expect("no panic");

    let (listener, addr) = listen(TlsServerConfig::new(&authority.server().identity()));
    let accepted = accept_one(listener);
    let _ = answer_to(addr, b"GET /v1/health HTTP/1.1\r\n\r\n").await;
    let error = accepted.await.expect("no panic").err().expect("no stream");
    assert!(matches!(error, HandshakeError::Tls(TlsFault::NotTls)), "{error:?}");
}

#[tokio::test]
async fn half_a_tls_handshake_ends_in_time_at_both_ends() {
    let authority = Authority::new("root");
    let (listener, addr) = listen(TlsServerConfig::new(&authority.server().identity()));
    let accepted = accept_one_with(listener, options(SHORT));
    let mut stream = TcpStream::connect(addr).await.expect("connected");
    stream.write_all(&[22, 3, 1, 2]).await.expect("written");
    assert!(matches!(accepted.await.expect("no panic"), Err(HandshakeError::TimedOut)));

    let silent = tcp::Listener::bind("127.0.0.1:0").expect("bound");
    let client = TlsClientConfig::new(&authority.roots());
    let error = tls::dial(silent.local_addr(), "localhost", &client, SHORT).await.err().expect("no stream");
    assert!(matches!(error, DialError::TimedOut), "{error:?}");
}

#[tokio::test]
async fn a_name_that_is_none_is_not_dialled() {
    let client = TlsClientConfig::new(&Authority::new("root").roots());
    let listener = tcp::Listener::bind("127.0.0.1:0").expect("bound");
    let error = tls::dial(listener.local_addr(), "not a name", &client, LONG).await.err().expect("no stream");
    assert!(matches!(error, DialError::Address(_)), "{error:?}");
}

#[test]
fn pem_is_read_like_der_and_what_is_wrong_is_named() {
    let authority = Authority::new("root");
    let (one, two) = (authority.server(), authority.server());
    let (chain, key) = (pem("CERTIFICATE", &one.chain[0]), pem("PRIVATE KEY", &one.key));
    TlsRoots::from_pem(pem("CERTIFICATE", &authority.der).as_bytes()).expect("a root");
    TlsIdentity::from_pem(chain.as_bytes(), key.as_bytes()).expect("an identity");
    let both = format!("{key}{chain}");
    TlsIdentity::from_pem(both.as_bytes(), both.as_bytes()).expect("an identity from one text");

    let wrong = |chain: &str, key: &str| {
        TlsIdentity::from_pem(chain.as_bytes(), key.as_bytes()).expect_err("refused")
    };
    assert_eq!(wrong("", &key), TlsConfigError::NoCertificate);
    assert_eq!(wrong(&chain, ""), TlsConfigError::NoKey);
    assert_eq!(wrong(&chain, &pem("PRIVATE KEY", b"none")), TlsConfigError::BadKey);
    assert_eq!(wrong(&chain, &pem("PRIVATE KEY", &two.key)), TlsConfigError::KeyMismatch);
    assert_eq!(TlsRoots::from_der([]).expect_err("refused"), TlsConfigError::NoCertificate);
    let bad = TlsRoots::from_der([authority.der.clone(), b"none".to_vec()]).expect_err("refused");
    assert_eq!(bad, TlsConfigError::BadCertificate { index: 1 });
}

#[test]
fn debug_shows_no_key() {
    let authority = Authority::new("root");
    let identity = authority.server().identity();
    assert_eq!(format!("{identity:?}"), "TlsIdentity { certificates: 1, .. }");
    let client = TlsClientConfig::new(&authority.roots()).with_identity(&identity);
    assert_eq!(format!("{client:?}"), "TlsClientConfig { identified: true, .. }");
    let server = TlsServerConfig::mutual(&identity, &authority.roots());
    assert_eq!(format!("{server:?}"), "TlsServerConfig { mutual: true, .. }");
}
