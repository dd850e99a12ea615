//! `GET /v1/health` and nothing else, on every listener.

use graft_transport::net::http::MAX_HEAD;
use graft_transport::net::{HandshakeError, Listen, tcp};

use super::*;

async fn status_of(accepted: JoinHandle<Accepted>) -> u16 {
    match accepted.await.expect("no panic") {
        Err(HandshakeError::Answered { status }) => status,
        other => panic!("not answered: {:?}", other.err()),
    }
}

/// Asks over a plain socket: the status by both ends, and the body.
async fn ask(
    listener: impl Listen,
    addr: std::net::SocketAddr,
    options: &HandshakeOptions,
    request: &str,
) -> (u16, String) {
    let accepted = accept_one_with(listener, options.clone());
    let answer = answer_to(addr, request.as_bytes()).await;
    let status = status_of(accepted).await;
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an empty line");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    assert!(
        !answer.to_lowercase().contains("graft") && !head.contains("Server"),
        "it names itself: {answer}"
    );
    (status, body.to_owned())
}

async fn says_ok_and_not_ok_and_nothing_else<L: Listen>(listen: impl Fn() -> (L, std::net::SocketAddr)) {
    let (healthy, options) = switch();
    let ask = async |request: &str| {
        let (listener, addr) = listen();
        ask(listener, addr, &options, request).await
    };
    let health = "GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(ask(health).await, (200, "ok".to_owned()));
    healthy.store(false, Ordering::Relaxed);
    assert_eq!(ask(health).await, (503, "not ok".to_owned()));
    for path in
        ["/v1", "/v1/", "/v1/health/", "/v1/health?", "/v1/healthy", "/health", "/metrics", "/v1/graft"]
    {
        assert_eq!(ask(&format!("GET {path} HTTP/1.1\r\n\r\n")).await, (404, String::new()), "{path}");
    }
    for method in ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"] {
        let request = format!("{method} /v1/health HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
        assert_eq!(ask(&request).await, (405, String::new()), "{method}");
    }
    for broken in ["GET\r\n\r\n", "GET /v1/health\r\n\r\n", "G /v1/health HTTP/1.1\r\nx\r\n\r\n"] {
        assert_eq!(ask(broken).await.0, 400, "{broken}");
    }
    let long = format!("GET /v1/health HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(MAX_HEAD));
    assert_eq!(ask(&long).await.0, 431);
}

async fn half_a_request_ends_in_time<L: Listen>(listener: L, addr: std::net::SocketAddr) {
    let accepted = accept_one_with(listener, options(SHORT));
    let answer = answer_to(addr, b"GET /v1/health HTTP/1.1\r\nHost: ").await;
    assert_eq!(answer, "", "nothing is answered to half a request");
    let error = accepted.await.expect("no panic").err().expect("no stream");
    assert!(matches!(error, HandshakeError::TimedOut), "{error:?}");
}

fn on_tcp() -> (tcp::Listener, std::net::SocketAddr) {
    let listener = tcp::Listener::bind("127.0.0.1:0").expect("bound");
    let addr = listener.local_addr();
    (listener, addr)
}

#[tokio::test]
async fn tcp_answers_health_and_nothing_else() {
    says_ok_and_not_ok_and_nothing_else(on_tcp).await;
}

#[tokio::test]
async fn tcp_gives_up_on_half_a_request() {
    let (listener, addr) = on_tcp();
    half_a_request_ends_in_time(listener, addr).await;
}

#[tokio::test]
async fn a_request_that_comes_byte_by_byte_is_answered() {
    let (listener, addr) = on_tcp();
    let accepted = accept_one(listener);
    let mut stream = TcpStream::connect(addr).await.expect("connected");
    stream.set_nodelay(true).expect("set");
    for byte in b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n" {
        stream.write_all(&[*byte]).await.expect("written");
        tokio::task::yield_now().await;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.ends_with("\r\n\r\nok"));
    assert_eq!(status_of(accepted).await, 200);
}

#[cfg(feature = "websocket")]
fn on_websocket() -> (graft_transport::net::websocket::Listener, std::net::SocketAddr) {
    let listener =
        graft_transport::net::websocket::Listener::bind("127.0.0.1:0", Default::default()).expect("bound");
    let addr = listener.local_addr();
    (listener, addr)
}

#[cfg(feature = "websocket")]
#[tokio::test]
async fn websocket_answers_health_and_nothing_else() {
    says_ok_and_not_ok_and_nothing_else(on_websocket).await;
}

#[cfg(feature = "websocket")]
#[tokio::test]
async fn websocket_gives_up_on_half_a_request() {
    let (listener, addr) = on_websocket();
    half_a_request_ends_in_time(listener, addr).await;
}

#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
mod over_tls {
    use graft_transport::net::tls::{self, TlsClientConfig, TlsServerConfig};

    use super::*;
    use crate::certificates::Authority;

    #[tokio::test]
    async fn tls_answers_health() {
        let authority = Authority::new("root");
        let (healthy, options) = switch();
        for (ok, wanted) in [(true, (200, "ok")), (false, (503, "not ok"))] {
            healthy.store(ok, Ordering::Relaxed);
            let config = TlsServerConfig::new(&authority.server().identity());
            let listener = tls::Listener::bind("127.0.0.1:0", config).expect("bound");
            let addr = listener.local_addr();
            let accepted = accept_one_with(listener, options.clone());
            let client = TlsClientConfig::new(&authority.roots());
            let (mut io, _) = tls::dial(addr, "localhost", &client, LONG).await.expect("dialled");
            io.write_all(b"GET /v1/health HTTP/1.1\r\n\r\n").await.expect("written");
            io.flush().await.expect("flushed");
            let mut answer = String::new();
            io.read_to_string(&mut answer).await.expect("an answer that ends as TLS should");
            assert_eq!((status_of(accepted).await, answer.split_once("\r\n\r\n").expect("a body").1), wanted);
        }
    }
}
