//! Where a channel goes or a server listens, as one line of text.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::str::FromStr;

/// The longest text of an endpoint, in bytes.
pub const MAX_ENDPOINT: usize = 1024;

/// The longest path of a Unix socket, in bytes: what the address structure of macOS holds, 5 less than that of
/// Linux, so that a configuration is good on both.
pub const MAX_SOCKET_PATH: usize = 103;

/// An address in one of the forms that graft knows.
///
/// | text | what |
/// | --- | --- |
/// | `local:` | this process |
/// | `tcp://host:port` | TCP |
/// | `tls://host:port` | TLS over TCP |
/// | `unix:/path` | the Unix socket of this absolute path; `unix:///path` says the same |
/// | `ws://host:port/path` | WebSocket; without a port it is 80 |
/// | `wss://host:port/path` | WebSocket over TLS; without a port it is 443 |
///
/// A host is a name in ASCII, an IPv4 address, or an IPv6 address in brackets. The syntax is that of RFC 3986,
/// without user names, queries and fragments: credentials have a place of their own, out of logs. Printing gives
/// the canonical form, in which scheme and name are in lower case and the port and the path are always there.
///
/// It is exhaustive on purpose: who connects should not compile until a new form is thought of.
///
/// ```
/// use graft_transport::Endpoint;
/// let endpoint: Endpoint = "WSS://Calls.Example/graft".parse()?;
/// assert_eq!(endpoint.to_string(), "wss://calls.example:443/graft");
/// let Endpoint::Wss(web) = endpoint else { unreachable!() };
/// assert_eq!((web.address().host(), web.address().port(), web.path()), ("calls.example", 443, "/graft"));
/// # Ok::<(), graft_transport::EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// This process.
    Local,
    /// TCP.
    Tcp(HostPort),
    /// TLS over TCP.
    Tls(HostPort),
    /// A Unix socket.
    Unix(SocketPath),
    /// WebSocket.
    Ws(WebAddress),
    /// WebSocket over TLS.
    Wss(WebAddress),
}

/// A host and a port, as `(host, port)` made for `ToSocketAddrs`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    host: String,
    port: u16,
}

/// The absolute path of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SocketPath(String);

/// A host, a port and the path of a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WebAddress {
    address: HostPort,
    path: String,
}

/// Why a text is no endpoint. Holds nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Longer than [`MAX_ENDPOINT`].
    #[error("it is over 1024 bytes")]
    TooLong,
    /// It begins with none of the known schemes.
    #[error("it begins with none of `local:`, `tcp://`, `tls://`, `unix:/`, `ws://`, `wss://`")]
    Scheme,
    /// Something stands behind `local:`.
    #[error("nothing may stand behind `local:`")]
    Local,
    /// A user name or password.
    #[error("a user name or password has no place in an address; give a credential by itself")]
    UserInfo,
    /// No host, or one that is neither a name nor an address.
    #[error("the host must be a name in ASCII, an IPv4 address, or an IPv6 address in brackets")]
    Host,
    /// There is no port.
    #[error("the port is missing")]
    NoPort,
    /// The port is not a number up to 65535.
    #[error("the port must be a number from 0 to 65535")]
    Port,
    /// A path, where the form has none.
    #[error("nothing may stand behind the port")]
    Path,
    /// A query or fragment.
    #[error("an address has no `?` and no `#`; give a credential by itself")]
    Query,
    /// The path of a WebSocket has a character that must be percent-encoded.
    #[error("the path must be in the characters of a URL, others percent-encoded")]
    WebPath,
    /// The path of a socket is not absolute, too long, or has a control character.
    #[error("the path of a socket must be absolute, at most 103 bytes, and without control characters")]
    SocketPath,
}

impl Endpoint {
    /// The word before the colon.
    pub const fn scheme(&self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Tcp(_) => "tcp",
            Self::Tls(_) => "tls",
            Self::Unix(_) => "unix",
            Self::Ws(_) => "ws",
            Self::Wss(_) => "wss",
        }
    }

    /// The port, of the forms that have one. 0 is one that a server takes as "any free port".
    pub const fn port(&self) -> Option<u16> {
        match self {
            Self::Local | Self::Unix(_) => None,
            Self::Tcp(address) | Self::Tls(address) => Some(address.port),
            Self::Ws(web) | Self::Wss(web) => Some(web.address.port),
        }
    }

    /// The same with another port, where the form has one.
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        let other = |web: WebAddress| WebAddress { address: web.address.with_port(port), ..web };
        match self {
            Self::Local | Self::Unix(_) => self,
            Self::Tcp(address) => Self::Tcp(address.with_port(port)),
            Self::Tls(address) => Self::Tls(address.with_port(port)),
            Self::Ws(web) => Self::Ws(other(web)),
            Self::Wss(web) => Self::Wss(other(web)),
        }
    }
}

impl HostPort {
    /// The name or address, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The same host with another port: for a server that took a free one.
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        Self { port, ..self }
    }
}

impl SocketPath {
    /// The path.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl WebAddress {
    /// Host and port.
    pub const fn address(&self) -> &HostPort {
        &self.address
    }

    /// The path, which begins with `/`, percent-encoded as it was given.
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// Without the flow and scope that only IPv6 has.
impl From<SocketAddr> for HostPort {
    fn from(addr: SocketAddr) -> Self {
        Self { host: addr.ip().to_string(), port: addr.port() }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let bounded = |length| if length > MAX_ENDPOINT { Err(EndpointError::TooLong) } else { Ok(()) };
        bounded(text.len())?;
        let endpoint = parse(text)?;
        // With a port and a path added it may be longer, and what is printed must be good too.
        bounded(endpoint.to_string().len())?;
        Ok(endpoint)
    }
}

fn parse(text: &str) -> Result<Endpoint, EndpointError> {
    let (scheme, rest) = text.split_once(':').ok_or(EndpointError::Scheme)?;
    let scheme = scheme.to_ascii_lowercase();
    match &*scheme {
        "local" if rest.is_empty() => return Ok(Endpoint::Local),
        "local" => return Err(EndpointError::Local),
        "unix" => return socket_path(rest).map(Endpoint::Unix),
        _ => {}
    }
    let rest = rest.strip_prefix("//").ok_or(EndpointError::Scheme)?;
    match &*scheme {
        "tcp" => host_port(rest).map(Endpoint::Tcp),
        "tls" => host_port(rest).map(Endpoint::Tls),
        "ws" => web_address(rest, 80).map(Endpoint::Ws),
        "wss" => web_address(rest, 443).map(Endpoint::Wss),
        _ => Err(EndpointError::Scheme),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.scheme();
        match self {
            Self::Local => f.write_str("local:"),
            Self::Tcp(address) | Self::Tls(address) => write!(f, "{scheme}://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.0),
            Self::Ws(web) | Self::Wss(web) => write!(f, "{scheme}://{}{}", web.address, web.path),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Taken as it is: nothing in it is decoded.
fn socket_path(rest: &str) -> Result<SocketPath, EndpointError> {
    let path = match rest.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        // Here a host would stand.
        Some(_) => return Err(EndpointError::SocketPath),
        None => rest,
    };
    // A second slash would be read as the beginning of a host when it is printed.
    let good = path.starts_with('/')
        && !path.starts_with("//")
        && path.len() > 1
        && path.len() <= MAX_SOCKET_PATH
        && !path.contains(char::is_control);
    good.then(|| SocketPath(path.to_owned())).ok_or(EndpointError::SocketPath)
}

fn host_port(rest: &str) -> Result<HostPort, EndpointError> {
    let (address, behind) = split(rest)?;
    if !behind.is_empty() {
        return Err(EndpointError::Path);
    }
    let (host, port) = address;
    Ok(HostPort { host, port: port.ok_or(EndpointError::NoPort)? })
}

fn web_address(rest: &str, default_port: u16) -> Result<WebAddress, EndpointError> {
    let ((host, port), path) = split(rest)?;
    if !is_path(path) {
        return Err(EndpointError::WebPath);
    }
    let path = if path.is_empty() { "/" } else { path }.to_owned();
    Ok(WebAddress { address: HostPort { host, port: port.unwrap_or(default_port) }, path })
}

type Authority = (String, Option<u16>);

/// Host and port, and what stands behind them.
fn split(rest: &str) -> Result<(Authority, &str), EndpointError> {
    if rest.contains(['?', '#']) {
        return Err(EndpointError::Query);
    }
    let (authority, behind) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(EndpointError::UserInfo);
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(inside) => {
            let (address, port) = inside.split_once(']').ok_or(EndpointError::Host)?;
            let address: Ipv6Addr = address.parse().map_err(|_| EndpointError::Host)?;
            (address.to_string(), port)
        }
        None => {
            let (name, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            (host_name(name)?, port)
        }
    };
    let port = match port {
        "" => None,
        port => Some(port.strip_prefix(':').and_then(number).ok_or(EndpointError::Port)?),
    };
    Ok(((host, port), behind))
}

/// Digits alone: the standard parser would take a sign too.
fn number(digits: &str) -> Option<u16> {
    digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A name of labels, or an IPv4 address.
///
/// A name whose last label is a number is an IPv4 address or nothing, as in the URL standard of the WHATWG: system
/// resolvers read `127.1` and `0x7f000001` as addresses too, and not all alike.
fn host_name(name: &str) -> Result<String, EndpointError> {
    let last = name.rsplit('.').next().unwrap_or_default();
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(last) || last.starts_with("0x") || last.starts_with("0X") {
        let address: Ipv4Addr = name.parse().map_err(|_| EndpointError::Host)?;
        return Ok(address.to_string());
    }
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(inner);
    let good = name.len() <= 253 && name.split('.').all(label);
    good.then(|| name.to_ascii_lowercase()).ok_or(EndpointError::Host)
}

/// `path-abempty` of RFC 3986.
fn is_path(path: &str) -> bool {
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let good = match byte {
            b'%' => (0..2).all(|_| bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit())),
            _ => byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte),
        };
        if !good {
            return false;
        }
    }
    true
}
