//! Why there is no stream.

use std::io;

/// There is no stream to the address that was dialled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The address or URL is not of a form that can be dialled; it is the caller's to correct.
    #[error("the address cannot be dialled: {0}")]
    Address(&'static str),
    /// Nothing answers there; check that the server runs and that the address is its own.
    #[error("the address cannot be reached; check that the server runs there")]
    Unreachable(#[source] io::Error),
    /// The peer was reached and did not finish its part in time.
    #[error("the peer did not finish the handshake in time")]
    TimedOut,
    /// The connection ended in the middle of the handshake; the peer's log may say why.
    #[error("the connection ended before the handshake was done")]
    Disconnected(#[source] io::Error),
    /// TLS came to no agreement; the fault says which side refused what.
    #[cfg(feature = "_tls")]
    #[error("the TLS handshake failed")]
    Tls(#[source] super::tls::TlsFault),
    /// What answers there is not a graft WebSocket, or refuses this one.
    #[cfg(feature = "websocket")]
    #[error("the server does not speak graft over WebSocket at this URL")]
    NotWebSocket(#[source] super::websocket::UpgradeRefused),
}

/// An accepted connection did not become a stream. Only this connection is concerned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer sent a HTTP request, which was answered; nothing is left to do. 200 and 503 are answers about
    /// health; the others say what was wrong with the request: 403 is a web page of an origin that is not
    /// listed, 426 a request without an upgrade to WebSocket.
    #[error("a HTTP request was answered with {status}")]
    Answered {
        /// The status that was sent.
        status: u16,
    },
    /// The peer did not finish its part in time.
    #[error("the peer did not finish the handshake in time")]
    TimedOut,
    /// The peer went away in the middle.
    #[error("the connection ended before the handshake was done")]
    Disconnected(#[source] io::Error),
    /// TLS came to no agreement; the fault says which side refused what.
    #[cfg(feature = "_tls")]
    #[error("the TLS handshake failed")]
    Tls(#[source] super::tls::TlsFault),
}

/// Nothing is listening.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address cannot be listened on; check that it is this machine's and free.
    #[error("the address cannot be listened on; check that it is this machine's and free")]
    Address(#[source] io::Error),
    /// Somebody listens on that socket path already.
    #[error("somebody listens on that socket path already")]
    InUse,
    /// At that path stands something that is not a left-over socket of this user. It was not touched; choose
    /// another path, or remove it if it is yours to remove.
    #[error("at that path stands something that is not a left-over socket of this user; it was not touched")]
    Taken,
    /// This build has no listener for such an endpoint; enable the feature for it.
    #[error("a `{scheme}:` address is not compiled into this build; enable the feature for it")]
    NotCompiledIn {
        /// The scheme of the endpoint.
        scheme: &'static str,
    },
    /// The endpoint is of TLS, and it was not said who this end is.
    #[error("the address is one of TLS; give the certificate that this end shows")]
    NoTls,
    /// The endpoint is `local:`, where nobody listens: whoever is in the process needs no server.
    #[error("`local:` is this process, and nobody listens there; use a local channel")]
    Local,
    /// There is no tokio runtime here; bind from inside one.
    #[error("there is no tokio runtime here; bind from inside one")]
    NoRuntime,
}
