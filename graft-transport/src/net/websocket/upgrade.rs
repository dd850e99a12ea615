//! The handshake of RFC 6455, section 4, at both ends.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use graft_core::Peer;
use sha1::{Digest, Sha1};
use tokio::io::AsyncWriteExt;

use super::stream::MessageStream;
use super::{PROTOCOL, Role, WebSocketOptions};
use crate::net::http::{self, Fields, HEALTH, Request, TooLong};
use crate::net::{BoxedIo, DialError, HandshakeError, Io, Prefixed};

/// Why what answers at a URL is not a graft WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeRefused {
    /// It answered with this status. 403 is a refusal for the origin, 404 another path, 503 no place.
    #[error("it answered with HTTP status {0}")]
    Status(u16),
    /// It is a WebSocket, and did not confirm the subprotocol `graft.v1`.
    #[error("it is a WebSocket that did not confirm the subprotocol `graft.v1`")]
    WrongProtocol,
    /// It agreed and did not prove that it read the request as a WebSocket's, or asked for what was not offered.
    #[error("its answer is not that of a WebSocket to this request")]
    NoProof,
    /// Its answer is not HTTP, or over 8 KiB.
    #[error("its answer is not HTTP")]
    NotHttp,
}

/// What a `ws://` or `wss://` URL says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Url<'a> {
    /// Without the brackets of an IPv6 address.
    pub(super) host: &'a str,
    pub(super) port: u16,
    /// Host and port as written.
    authority: &'a str,
    /// Path and query; empty for `/`.
    target: &'a str,
}

impl<'a> Url<'a> {
    pub(super) fn parse(url: &'a str, scheme: &'static str, port: u16) -> Result<Self, DialError> {
        let wrong = |why| Err(DialError::Address(why));
        let Some((of_scheme, rest)) = url.split_at_checked(scheme.len()) else {
            return wrong("the URL is too short");
        };
        if !of_scheme.eq_ignore_ascii_case(scheme) {
            return wrong(match scheme {
                "wss://" => "the URL does not begin with `wss://`",
                _ => "the URL does not begin with `ws://`",
            });
        }
        // What is copied into a request must not be able to begin another line of it.
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) || rest.contains('#') {
            return wrong("the URL has a space, a fragment or letters beyond ASCII");
        }
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return wrong("the URL holds a user name; credentials travel inside graft");
        }
        let (host, written_port) = match authority.strip_prefix('[').and_then(|six| six.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':').or(rest.is_empty().then_some(""))),
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, Some("")),
            },
        };
        let port = match written_port {
            Some("") => Some(port),
            Some(digits) => digits.parse().ok(),
            None => None,
        };
        match port {
            Some(port) if !host.is_empty() && !authority.ends_with(':') => {
                Ok(Self { host, port, authority, target })
            }
            _ => wrong("the URL has no host, or a port that is none"),
        }
    }
}

/// The client's part: gives the stream back, ready for frames.
pub(super) async fn ask<IO: Io>(mut io: IO, url: &Url<'_>) -> Result<Prefixed<IO>, DialError> {
    let (key, slash) = (new_key(), if url.target.starts_with('/') { "" } else { "/" });
    let request = format!(
        "GET {slash}{} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n",
        url.target, url.authority
    );
    let exchange = async {
        io.write_all(request.as_bytes()).await?;
        io.flush().await?;
        http::read_head(&mut io).await
    };
    let refused = |why| Err(DialError::NotWebSocket(why));
    let Ok((head, rest)) = exchange.await.map_err(DialError::Disconnected)? else {
        return refused(UpgradeRefused::NotHttp);
    };
    match http::parse_response(&head) {
        None => refused(UpgradeRefused::NotHttp),
        Some((101, fields)) if !proves(&fields, &key) => refused(UpgradeRefused::NoProof),
        Some((101, fields)) if fields.only("Sec-WebSocket-Protocol") != Some(PROTOCOL) => {
            refused(UpgradeRefused::WrongProtocol)
        }
        Some((101, _)) => Ok(Prefixed::new(rest, io)),
        Some((status, _)) => refused(UpgradeRefused::Status(status)),
    }
}

fn proves(fields: &Fields<'_>, key: &str) -> bool {
    fields.lists("Upgrade", "websocket")
        && fields.lists("Connection", "Upgrade")
        && fields.only("Sec-WebSocket-Accept") == Some(&accept_key(key))
        && fields.all("Sec-WebSocket-Extensions").next().is_none()
}

/// The server's part: upgrades, or answers like a web server that has nothing but health.
pub(super) async fn accept<IO: Io>(
    mut io: IO,
    mut peer: Peer,
    options: &WebSocketOptions,
    healthy: &(dyn Fn() -> bool + Send + Sync),
) -> Result<(BoxedIo, Peer), HandshakeError> {
    let head = http::read_head(&mut io).await.map_err(HandshakeError::Disconnected)?;
    let (status, rest) = match head {
        Err(TooLong) => (431, Vec::new()),
        Ok((head, rest)) => match judge(Request::parse(&head), options, healthy) {
            Ok(upgrade) => {
                io.write_all(upgrade.response.as_bytes()).await.map_err(HandshakeError::Disconnected)?;
                io.flush().await.map_err(HandshakeError::Disconnected)?;
                peer.origin = upgrade.origin;
                let io = Prefixed::new(rest, io);
                return Ok((Box::new(MessageStream::new(io, Role::Server, options.max_message)), peer));
            }
            Err(status) => (status, rest),
        },
    };
    http::respond(&mut Prefixed::new(rest, io), status).await.map_err(HandshakeError::Disconnected)?;
    Err(HandshakeError::Answered { status })
}

struct Upgrade {
    response: String,
    origin: Option<String>,
}

/// The answer to a request: an upgrade, or a status.
fn judge(
    request: Option<Request<'_>>,
    options: &WebSocketOptions,
    healthy: &(dyn Fn() -> bool + Send + Sync),
) -> Result<Upgrade, u16> {
    let Some(request) =
        request.as_ref().filter(|request| request.path == options.path && request.path != HEALTH)
    else {
        return Err(http::route(request.as_ref(), healthy));
    };
    if request.method != "GET" {
        return Err(405);
    }
    let fields = &request.fields;
    if !fields.lists("Upgrade", "websocket") || fields.only("Sec-WebSocket-Version") != Some("13") {
        return Err(426);
    }
    let key = fields.only("Sec-WebSocket-Key").filter(|key| is_key(key));
    let (Some(key), true, true) =
        (key, fields.lists("Connection", "Upgrade"), fields.lists("Sec-WebSocket-Protocol", PROTOCOL))
    else {
        return Err(400);
    };
    let mut stated = fields.all("Origin");
    let origin = match (stated.next(), stated.next()) {
        (None, _) => None,
        (Some(origin), None) if options.origins.iter().any(|listed| listed == origin) => {
            Some(origin.to_owned())
        }
        _ => return Err(403),
    };
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n",
        accept_key(key)
    );
    Ok(Upgrade { response, origin })
}

/// Whether it could be 16 bytes in base64.
fn is_key(key: &str) -> bool {
    key.len() == 24
        && key.ends_with("==")
        && key[..22].bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

/// What proves that a server read this key (RFC 6455, 4.2.2).
fn accept_key(key: &str) -> String {
    let digest =
        Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    base64(&digest)
}

/// Sixteen bytes that a cache in between has not seen; they are no secret.
fn new_key() -> String {
    let random = RandomState::new();
    let halves = [random.hash_one(0_u8).to_ne_bytes(), random.hash_one(1_u8).to_ne_bytes()];
    base64(halves.as_flattened())
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for i in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_that_of_the_rfc() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(is_key("dGhlIHNhbXBsZSBub25jZQ==") && is_key(&new_key()) && new_key() != new_key());
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_url_is_read_as_it_stands_or_refused() {
        let read =
            |url| Url::parse(url, "ws://", 80).map(|url| (url.host, url.port, url.authority, url.target));
        assert_eq!(read("ws://a.example").expect("a URL"), ("a.example", 80, "a.example", ""));
        assert_eq!(read("WS://a:81/b?c").expect("a URL"), ("a", 81, "a:81", "/b?c"));
        assert_eq!(read("ws://[::1]:81?c").expect("a URL"), ("::1", 81, "[::1]:81", "?c"));
        for wrong in [
            "",
            "ws:/",
            "wss://a",
            "ws://",
            "ws:///",
            "ws://a:",
            "ws://a:x",
            "ws://a:70000",
            "ws://[::1",
            "ws://[::1]x",
            "ws://u@a",
            "ws://a/ b",
            "ws://a/\r\nX: y",
            "ws://a/#b",
            "ws://\u{e4}/",
        ] {
            assert!(matches!(read(wrong), Err(DialError::Address(_))), "{wrong:?}");
        }
    }
}
