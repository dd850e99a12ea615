//! Bytes over WebSocket, spoken with another implementation too.

use futures::{SinkExt, StreamExt};
use graft_transport::net::websocket::{self, PROTOCOL, UpgradeRefused, WebSocketFault, WebSocketOptions};
use graft_transport::net::{DialError, tcp};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::{self, Message};

use super::*;

fn listen(options: WebSocketOptions) -> (websocket::Listener, std::net::SocketAddr) {
    let listener = websocket::Listener::bind("127.0.0.1:0", options).expect("bound");
    let addr = listener.local_addr();
    (listener, addr)
}

/// Both ends of ours.
async fn pair() -> ((BoxedIo, Peer), (BoxedIo, Peer)) {
    let (listener, addr) = listen(WebSocketOptions::default());
    let (url, options) = (format!("ws://{addr}"), WebSocketOptions::default());
    ends(accept_one(listener), websocket::dial(&url, &options, LONG)).await
}

/// Another's client at our server.
async fn others_client(options: WebSocketOptions) -> (WebSocketStream<TcpStream>, BoxedIo) {
    let (listener, addr) = listen(options);
    let accepted = accept_one(listener);
    let mut request = format!("ws://{addr}/").into_client_request().expect("a request");
    request.headers_mut().insert("Sec-WebSocket-Protocol", PROTOCOL.parse().expect("a value"));
    let stream = TcpStream::connect(addr).await.expect("connected");
    let (client, _) = tokio_tungstenite::client_async(request, stream).await.expect("upgraded");
    (client, accepted.await.expect("no panic").expect("accepted").0)
}

/// Our client at another's server.
async fn others_server() -> (WebSocketStream<TcpStream>, BoxedIo) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let url = format!("ws://{}/", listener.local_addr().expect("an address"));
    let accept = async {
        let (stream, _) = listener.accept().await.expect("a connection");
        tokio_tungstenite::accept_hdr_async(stream, confirm).await.expect("upgraded")
    };
    let options = WebSocketOptions::default();
    let (server, ours) = tokio::join!(accept, websocket::dial(&url, &options, LONG));
    (server, ours.expect("dialled").0)
}

#[expect(clippy::result_large_err, reason = "the signature is the library's")]
fn confirm(
    _: &Request,
    mut response: Response,
) -> Result<Response, tungstenite::handshake::server::ErrorResponse> {
    response.headers_mut().insert("Sec-WebSocket-Protocol", PROTOCOL.parse().expect("a value"));
    Ok(response)
}

fn fault_of(error: &std::io::Error) -> WebSocketFault {
    *error.get_ref().and_then(|inner| inner.downcast_ref()).expect("a fault of WebSocket")
}

#[tokio::test]
async fn websocket_carries_bytes_and_knows_addresses() {
    let ((one, server), (other, client)) = pair().await;
    assert!(server.address.is_some() && client.address.is_some());
    assert_eq!((client.origin, client.tls), (None, None));
    carries_a_megabyte(one, other).await;
}

#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
#[tokio::test]
async fn websocket_over_tls_carries_bytes_and_knows_the_chain() {
    use graft_transport::net::tls::{TlsClientConfig, TlsServerConfig};

    use super::certificates::Authority;
    let authority = Authority::new("root");
    let ann = authority.client();
    let config = TlsServerConfig::mutual(&authority.server().identity(), &authority.roots());
    let options = WebSocketOptions::default().with_path("/calls");
    let listener = websocket::Listener::bind_tls("127.0.0.1:0", options.clone(), config).expect("bound");
    let url = format!("wss://localhost:{}/calls", listener.local_addr().port());
    let client = TlsClientConfig::new(&authority.roots()).with_identity(&ann.identity());
    let dial = websocket::dial_tls(&url, &options, &client, LONG);
    let ((one, _), (other, peer)) = ends(accept_one(listener), dial).await;
    assert_eq!(peer.tls.expect("TLS").certificates, ann.chain);
    carries_a_megabyte(one, other).await;
}

#[tokio::test]
async fn a_vectored_write_is_one_message_and_a_message_in_parts_is_a_stream() {
    for (mut theirs, mut ours) in [others_client(WebSocketOptions::default()).await, others_server().await] {
        let slices = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"message")];
        assert_eq!(ours.write_vectored(&slices).await.expect("written"), 11);
        ours.flush().await.expect("flushed");
        let message = next(&mut theirs).await;
        assert_eq!(message, Message::binary(&b"one message"[..]));

        for (bytes, opcode, last) in [
            (&b"in "[..], Data::Binary, false),
            (b"", Data::Continue, false),
            (b"par", Data::Continue, false),
            (b"ts", Data::Continue, true),
        ] {
            let frame = Frame::message(bytes, OpCode::Data(opcode), last);
            theirs.send(Message::Frame(frame)).await.expect("sent");
        }
        theirs.send(Message::binary(Vec::new())).await.expect("sent");
        theirs.send(Message::binary(vec![b'!'])).await.expect("sent");
        let mut got = [0; 9];
        ours.read_exact(&mut got).await.expect("read");
        assert_eq!(&got, b"in parts!");
    }
}

#[tokio::test]
async fn a_ping_is_answered_by_reading_alone() {
    for (mut theirs, mut ours) in [others_client(WebSocketOptions::default()).await, others_server().await] {
        theirs.send(Message::Ping(vec![7; 125].into())).await.expect("sent");
        theirs.send(Message::binary(&b"x"[..])).await.expect("sent");
        assert_eq!(ours.read_u8().await.expect("read"), b'x');
        let answer = next(&mut theirs).await;
        assert_eq!(answer, Message::Pong(vec![7; 125].into()));
    }
}

#[tokio::test]
async fn a_text_message_ends_the_connection_with_1003() {
    for (mut theirs, mut ours) in [others_client(WebSocketOptions::default()).await, others_server().await] {
        theirs.send(Message::binary(&b"before"[..])).await.expect("sent");
        theirs.send(Message::text("hello")).await.expect("sent");
        let mut got = Vec::new();
        let error = ours.read_to_end(&mut got).await.expect_err("refused");
        assert_eq!((&got[..], fault_of(&error)), (&b"before"[..], WebSocketFault::Text));
        assert!(ours.write(b"x").await.is_err(), "nothing follows a close");
        assert_eq!(closed_with(&mut theirs).await, Some(1003));
    }
}

async fn next(theirs: &mut WebSocketStream<TcpStream>) -> Message {
    let message = tokio::time::timeout(LONG, theirs.next()).await.expect("a message in time");
    message.expect("a message").expect("whole")
}

async fn closed_with(theirs: &mut WebSocketStream<TcpStream>) -> Option<u16> {
    match next(theirs).await {
        Message::Close(frame) => frame.map(|frame| frame.code.into()),
        other => panic!("no close: {other:?}"),
    }
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_connection_with_1009() {
    let (mut theirs, mut ours) = others_client(WebSocketOptions::default().with_max_message(70_000)).await;
    theirs.send(Message::binary(vec![1; 70_000])).await.expect("sent");
    ours.read_exact(&mut vec![0; 70_000]).await.expect("what is not over it");
    theirs.send(Message::binary(vec![1; 70_001])).await.expect("sent");
    let error = ours.read_u8().await.expect_err("refused");
    assert_eq!(fault_of(&error), WebSocketFault::TooBig);
    assert_eq!(closed_with(&mut theirs).await, Some(1009));
}

#[tokio::test]
async fn a_close_is_answered_and_ends_the_stream() {
    for (mut theirs, mut ours) in [others_client(WebSocketOptions::default()).await, others_server().await] {
        theirs.close(None).await.expect("closed");
        assert_eq!(ours.read(&mut [0; 8]).await.expect("an end"), 0);
        assert_eq!(closed_with(&mut theirs).await, Some(1000));
    }
    let (mut theirs, mut ours) = others_client(WebSocketOptions::default()).await;
    theirs.close(Some(CloseFrame { code: 1011.into(), reason: "".into() })).await.expect("closed");
    let error = ours.read_u8().await.expect_err("not a plain end");
    assert_eq!(fault_of(&error), WebSocketFault::Closed(1011));
}

#[tokio::test]
async fn an_end_without_a_close_is_told_apart() {
    let (theirs, mut ours) = others_client(WebSocketOptions::default()).await;
    drop(theirs);
    let error = ours.read_u8().await.expect_err("cut off");
    assert_eq!((error.kind(), fault_of(&error)), (std::io::ErrorKind::UnexpectedEof, WebSocketFault::CutOff));
}

#[tokio::test]
async fn shutting_down_closes_with_1000() {
    let (mut theirs, mut ours) = others_server().await;
    ours.write_all(b"last").await.expect("written");
    ours.shutdown().await.expect("shut down");
    assert_eq!(next(&mut theirs).await, Message::binary(&b"last"[..]));
    assert_eq!(closed_with(&mut theirs).await, Some(1000));
}

#[tokio::test]
async fn who_does_not_read_makes_the_writer_wait() {
    let ((mut one, _), (other, _)) = pair().await;
    let block = vec![0; 1 << 20];
    let mut sent = 0;
    while let Ok(n) = tokio::time::timeout(SHORT, one.write(&block)).await {
        sent += n.expect("written");
        assert!(sent < 64 << 20, "the writer keeps what nobody reads");
    }
    drop(other);
}

/// A request for an upgrade, with other lines at its end.
fn request(more: &str) -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graft.v1\r\n{more}\r\n"
    )
}

async fn status_for(options: &WebSocketOptions, request: &str) -> (u16, Accepted) {
    let (listener, addr) = listen(options.clone());
    let accepted = accept_one(listener);
    let mut stream = TcpStream::connect(addr).await.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.expect("an answer");
    drop(stream);
    let status = str::from_utf8(&status[9..]).expect("text").parse().expect("a status");
    (status, accepted.await.expect("no panic"))
}

#[tokio::test]
async fn a_strangers_page_is_refused_and_a_listed_one_let_in() {
    let none = WebSocketOptions::default();
    assert_eq!(status_for(&none, &request("")).await.0, 101, "programs send no origin");
    let listed = none.clone().with_origin("https://app.example").with_origin("http://localhost:8080");
    let cases = [
        (&none, "https://app.example", 403),
        (&none, "null", 403),
        (&listed, "https://app.example", 101),
        (&listed, "http://localhost:8080", 101),
        (&listed, "https://evil.example", 403),
        (&listed, "https://app.example.evil.example", 403),
        (&listed, "https://app.example:444", 403),
        (&listed, "http://app.example", 403),
        (&listed, "", 403),
        (&listed, "https://app.example\r\nOrigin: https://app.example", 403),
    ];
    for (options, origin, wanted) in cases {
        let (status, accepted) = status_for(options, &request(&format!("Origin: {origin}\r\n"))).await;
        assert_eq!(status, wanted, "{origin}");
        match accepted {
            Ok((_, peer)) => assert_eq!(peer.origin.as_deref(), Some(origin)),
            Err(HandshakeError::Answered { status }) => assert_eq!(status, 403),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_no_upgrade_to_graft_is_answered_briefly() {
    let options = WebSocketOptions::default();
    let good = request("");
    for (wanted, wrong) in [
        (426, "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned()),
        (426, good.replace("Upgrade: websocket", "Upgrade: h2c")),
        (426, good.replace("Version: 13", "Version: 8")),
        (400, good.replace("Protocol: graft.v1", "Protocol: chat")),
        (400, good.replace("Sec-WebSocket-Protocol: graft.v1\r\n", "")),
        (400, good.replace("nonce", "n").replace("dGhl", "")),
        (400, good.replace("Connection: Upgrade", "Connection: close")),
        (400, request("broken line\r\n")),
        (404, good.replace("GET /", "GET /elsewhere")),
        (404, good.replace("GET / HTTP", "POST /x HTTP")),
        (405, good.replace("GET ", "POST ")),
        (200, good.replace("GET /", "GET /v1/health")),
    ] {
        let (status, accepted) = status_for(&options, &wrong).await;
        assert_eq!(status, wanted, "{wrong}");
        assert!(matches!(accepted, Err(HandshakeError::Answered { status }) if status == wanted));
    }
    let several = good.replace("Protocol: graft.v1", "Protocol: chat, graft.v1");
    assert_eq!(status_for(&options, &several).await.0, 101);
}

#[tokio::test]
async fn bytes_right_behind_the_request_are_part_of_the_stream() {
    let (listener, addr) = listen(WebSocketOptions::default());
    let accepted = accept_one(listener);
    let mut stream = TcpStream::connect(addr).await.expect("connected");
    let frame = [0x82, 0x82, 0, 0, 0, 0, b'h', b'i'];
    stream.write_all(&[request("").as_bytes(), &frame].concat()).await.expect("written");
    let (mut io, _) = accepted.await.expect("no panic").expect("accepted");
    let mut got = [0; 2];
    io.read_exact(&mut got).await.expect("read");
    assert_eq!(&got, b"hi");
}

/// What our client makes of a server that answers with this.
async fn made_of(answer: &'static str) -> DialError {
    let listener = tcp::Listener::bind("127.0.0.1:0").expect("bound");
    let url = format!("ws://{}/", listener.local_addr());
    let serving = tokio::spawn(async move {
        let raw = listener.accept().await.expect("a connection");
        listener.turn_away(raw, answer.as_bytes());
    });
    let error = websocket::dial(&url, &WebSocketOptions::default(), LONG).await.err().expect("no stream");
    serving.await.expect("no panic");
    error
}

#[tokio::test]
async fn a_server_that_is_not_ours_is_told_apart() {
    let cases = [
        ("HTTP/1.1 404 Not Found\r\n\r\n", UpgradeRefused::Status(404)),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", UpgradeRefused::Status(403)),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", UpgradeRefused::NoProof),
        (
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: graft.v1\r\n\r\n",
            UpgradeRefused::NoProof,
        ),
        ("220 mail.example ESMTP\r\n\r\n", UpgradeRefused::NotHttp),
    ];
    for (answer, wanted) in cases {
        let error = made_of(answer).await;
        assert!(matches!(error, DialError::NotWebSocket(why) if why == wanted), "{answer}: {error:?}");
    }

    // Another's server that knows no subprotocol.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let url = format!("ws://{}/", listener.local_addr().expect("an address"));
    let accept = async {
        let (stream, _) = listener.accept().await.expect("a connection");
        tokio_tungstenite::accept_async(stream).await.expect("upgraded")
    };
    let options = WebSocketOptions::default();
    let (_server, ours) = tokio::join!(accept, websocket::dial(&url, &options, LONG));
    let error = ours.err().expect("no stream");
    assert!(matches!(error, DialError::NotWebSocket(UpgradeRefused::WrongProtocol)), "{error:?}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let listener = tcp::Listener::bind("127.0.0.1:0").expect("bound");
    let url = format!("ws://{}/", listener.local_addr());
    let error = websocket::dial(&url, &WebSocketOptions::default(), SHORT).await.err().expect("no stream");
    assert!(matches!(error, DialError::TimedOut), "{error:?}");
}
