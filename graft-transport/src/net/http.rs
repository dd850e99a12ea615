//! As much of HTTP/1.1 (RFC 9112) as is spoken before a session: reading one request's head, and short answers.
//!
//! Every connection carries one request at most and is closed after its answer. Answers name no version,
//! product or reason beyond the status.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::Prefixed;

/// The path that is answered without anybody having been admitted.
pub const HEALTH: &str = "/v1/health";
/// The longest head of a request or response in bytes.
pub const MAX_HEAD: usize = 8 << 10;
/// For how long and how many bytes an answer waits to be read. A socket closed over unread bytes is reset, and
/// the reset would overtake the answer.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES: u64 = 64 << 10;

/// Answers the one request that `io` holds, and ends the stream: [`HEALTH`] with 200 `ok` or 503 `not ok`, any
/// other path with 404, any other method than GET with 405, a head that is none with 400, a head over
/// [`MAX_HEAD`] with 431. Gives the status that was sent. The caller bounds it in time.
///
/// # Errors
/// What `io` says; `UnexpectedEof` if it ended before the request did.
///
/// ```
/// use graft_transport::net::{Prefixed, http};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let (mut asks, answers) = duplex(1024);
/// asks.write_all(b"/health HTTP/1.1\r\nHost: any\r\n\r\n").await?;
/// asks.shutdown().await?;
/// let status = http::answer(&mut Prefixed::new(&b"GET /v1"[..], answers), || true).await?;
/// let mut answer = String::new();
/// asks.read_to_string(&mut answer).await?;
/// assert_eq!(status, 200);
/// assert!(answer.ends_with("\r\n\r\nok"));
/// # std::io::Result::Ok(()) })?;
/// # std::io::Result::Ok(())
/// ```
pub async fn answer<IO: AsyncRead + AsyncWrite + Unpin>(
    io: &mut Prefixed<IO>,
    healthy: impl Fn() -> bool,
) -> io::Result<u16> {
    let status = match read_head(io).await? {
        Ok((head, _)) => route(Request::parse(&head).as_ref(), healthy),
        Err(TooLong) => 431,
    };
    respond(io, status).await?;
    Ok(status)
}

/// The status for a request that opens nothing.
pub(super) fn route(request: Option<&Request<'_>>, healthy: impl Fn() -> bool) -> u16 {
    match request {
        None => 400,
        Some(Request { path, .. }) if *path != HEALTH => 404,
        Some(Request { method, .. }) if *method != "GET" => 405,
        Some(_) if healthy() => 200,
        Some(_) => 503,
    }
}

/// Sends a whole answer and ends the stream.
pub(super) async fn respond<IO: AsyncRead + AsyncWrite + Unpin>(io: &mut IO, status: u16) -> io::Result<()> {
    let (phrase, more, body) = match status {
        200 => ("OK", "", "ok"),
        400 => ("Bad Request", "", ""),
        403 => ("Forbidden", "", ""),
        404 => ("Not Found", "", ""),
        405 => ("Method Not Allowed", "Allow: GET\r\n", ""),
        426 => ("Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", ""),
        431 => ("Request Header Fields Too Large", "", ""),
        _ => ("Service Unavailable", "", "not ok"),
    };
    let connection = if status == 426 { "Upgrade, close" } else { "close" };
    let answer = format!(
        "HTTP/1.1 {status} {phrase}\r\nConnection: {connection}\r\nCache-Control: no-store\r\n{more}\
         Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    io.write_all(answer.as_bytes()).await?;
    io.flush().await?;
    io.shutdown().await?;
    let _ = timeout(LINGER, tokio::io::copy(&mut io.take(LINGER_BYTES), &mut tokio::io::sink())).await;
    Ok(())
}

/// A head over [`MAX_HEAD`].
pub(super) struct TooLong;

/// Reads up to the empty line; what came after it is the second part.
pub(super) async fn read_head(
    io: &mut (impl AsyncRead + Unpin),
) -> io::Result<Result<(Vec<u8>, Vec<u8>), TooLong>> {
    const END: &[u8] = b"\r\n\r\n";
    let mut head = Vec::with_capacity(1024);
    loop {
        let looked_at = head.len().saturating_sub(END.len() - 1);
        if (&mut *io).take((MAX_HEAD - head.len()) as u64).read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(at) = head[looked_at..].windows(END.len()).position(|four| four == END) {
            let rest = head.split_off(looked_at + at + END.len());
            head.truncate(looked_at + at + 2);
            return Ok(Ok((head, rest)));
        }
        if head.len() == MAX_HEAD {
            return Ok(Err(TooLong));
        }
    }
}

/// The head of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) fields: Fields<'a>,
}

impl<'a> Request<'a> {
    /// Reads a head without its last empty line. `None` is a head that is none; nothing is guessed.
    pub(super) fn parse(head: &'a [u8]) -> Option<Self> {
        let (first, fields) = split_head(head)?;
        let mut words = first.split(' ');
        let (method, path, version) = (words.next()?, words.next()?, words.next()?);
        let whole = words.next().is_none()
            && is_token(method)
            && path.starts_with('/')
            && path.bytes().all(|byte| byte.is_ascii_graphic())
            && matches!(version, "HTTP/1.1" | "HTTP/1.0");
        whole.then_some(Self { method, path, fields })
    }
}

/// The status and the fields of a response's head.
#[cfg(feature = "websocket")]
pub(super) fn parse_response(head: &[u8]) -> Option<(u16, Fields<'_>)> {
    let (first, fields) = split_head(head)?;
    let status = first.strip_prefix("HTTP/1.1 ")?.get(..3)?;
    status.bytes().all(|byte| byte.is_ascii_digit()).then_some((status.parse().ok()?, fields))
}

fn split_head(head: &[u8]) -> Option<(&str, Fields<'_>)> {
    let text = str::from_utf8(head).ok()?.strip_suffix("\r\n")?;
    // The only control characters are the ends of lines, and tabs within values.
    let clean = text.split("\r\n").all(|line| line.chars().all(|c| c == '\t' || !c.is_control()));
    let (first, fields) = text.split_once("\r\n").unwrap_or((text, ""));
    let fields = fields.split("\r\n").filter(|line| !line.is_empty()).map(|line| {
        let (name, value) = line.split_once(':')?;
        is_token(name).then_some((name, value.trim_matches([' ', '\t'])))
    });
    let fields: Option<_> = fields.collect();
    clean.then_some((first, Fields(fields?)))
}

/// A name by RFC 9110, 5.6.2.
fn is_token(name: &str) -> bool {
    let of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(of_token)
}

/// The header fields, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fields<'a>(Vec<(&'a str, &'a str)>);

#[cfg(feature = "websocket")]
impl<'a> Fields<'a> {
    /// Every value of a field.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// The value of a field that stands once.
    pub(super) fn only(&self, name: &str) -> Option<&'a str> {
        let mut all = self.all(name);
        all.next().filter(|_| all.next().is_none())
    }

    /// Whether a list, over all fields of the name, has an entry.
    pub(super) fn lists(&self, name: &str, entry: &str) -> bool {
        self.all(name).flat_map(|list| list.split(',')).any(|one| one.trim().eq_ignore_ascii_case(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_stands_or_not_at_all() {
        let whole = Request::parse(b"GET /a?b HTTP/1.1\r\nHost:x \r\nA-b:\t1,2\r\n").expect("a request");
        assert_eq!((whole.method, whole.path), ("GET", "/a?b"));
        assert_eq!(whole.fields, Fields(vec![("Host", "x"), ("A-b", "1,2")]));
        for none in [
            &b""[..],
            b"\r\n",
            b"GET / HTTP/1.1",
            b"GET  / HTTP/1.1\r\n",
            b"GET / HTTP/1.1 \r\n",
            b"GET / HTTP/2.0\r\n",
            b"GET http://a/ HTTP/1.1\r\n",
            b"G(T / HTTP/1.1\r\n",
            b"GET /\x7f HTTP/1.1\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n",
            b"GET / HTTP/1.1\r\nHost : x\r\n",
            b"GET / HTTP/1.1\r\n folded: x\r\n",
            b"GET / HTTP/1.1\r\na: x\ny: z\r\n",
            b"GET / HTTP/1.1\r\na: \xff\r\n",
        ] {
            assert_eq!(Request::parse(none), None, "{}", none.escape_ascii());
        }
    }

    #[test]
    fn nothing_but_health_is_answered() {
        let route = |head: &str, healthy| route(Request::parse(head.as_bytes()).as_ref(), || healthy);
        assert_eq!(route("GET /v1/health HTTP/1.1\r\n", true), 200);
        assert_eq!(route("GET /v1/health HTTP/1.1\r\n", false), 503);
        for path in [
            "/",
            "/v1",
            "/v1/health/",
            "/v1/health?a",
            "/V1/health",
            "/v1//health",
            "/v1/%68ealth",
            "/v1/ready",
        ] {
            assert_eq!(route(&format!("GET {path} HTTP/1.1\r\n"), true), 404, "{path}");
        }
        for method in ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT", "get", "X"] {
            assert_eq!(route(&format!("{method} /v1/health HTTP/1.1\r\n"), true), 405, "{method}");
        }
    }

    #[cfg(feature = "websocket")]
    #[test]
    fn a_field_that_must_stand_once_may_not_stand_twice() {
        let head = b"GET / HTTP/1.1\r\nOrigin: a\r\norigin: b\r\nConnection: keep-alive\r\nCONNECTION: x, Upgrade\r\n";
        let fields = Request::parse(head).expect("a request").fields;
        assert_eq!(fields.only("origin"), None);
        assert_eq!(fields.all("Origin").collect::<Vec<_>>(), ["a", "b"]);
        assert!(fields.lists("connection", "upgrade") && !fields.lists("connection", "grade"));
    }
}
