//! What a connection knows of its other end.

use std::fmt;

use bytes::Bytes;

/// What a connection knows of its other end. The transport finds it out and never judges by it: whoever admits
/// or refuses reads it from a call's metadata.
///
/// Shared as `Arc<Peer>`, one for each connection. Its `Debug` holds no byte of a certificate.
///
/// ```
/// use graft_core::{Peer, TlsPeer};
/// let mut peer = Peer::at("192.0.2.1:4000");
/// peer.tls = Some(TlsPeer { certificates: vec![vec![0x30; 700].into()], alpn: None });
/// assert_eq!(peer.address.as_deref(), Some("192.0.2.1:4000"));
/// assert!(format!("{peer:?}").contains("[700 bytes]"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// Its network address as text, such as `192.0.2.1:4000`. Behind a proxy it is the proxy's.
    pub address: Option<String>,
    /// What TLS says of it; absent if the connection is not encrypted.
    pub tls: Option<TlsPeer>,
    /// What the kernel says of the process at the other end of a Unix socket.
    pub unix: Option<UnixPeer>,
    /// The web page for which a browser opened the connection, as the browser states it. Whoever is no browser
    /// may state any.
    pub origin: Option<String>,
}

/// What TLS says of a peer.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TlsPeer {
    /// The chain that the peer presented, its own certificate first, each in DER. It was verified against the
    /// roots that this end configured; a peer that was not asked for one has none.
    pub certificates: Vec<Bytes>,
    /// The application protocol (RFC 7301) that both ends agreed on.
    pub alpn: Option<Bytes>,
}

/// The process at the other end of a Unix socket, at the time when it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixPeer {
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// Its process, where the system tells. A number may belong to another process by the time it is read.
    pub pid: Option<i32>,
}

impl Peer {
    /// A peer of which only the address is known.
    pub fn at(address: impl Into<String>) -> Self {
        Self { address: Some(address.into()), ..Self::default() }
    }
}

impl fmt::Debug for TlsPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths: Vec<_> = self.certificates.iter().map(|der| format!("{} bytes", der.len())).collect();
        f.debug_struct("TlsPeer")
            .field("certificates", &format_args!("{} of [{}]", lengths.len(), lengths.join(", ")))
            .field("alpn", &self.alpn)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_how_many_certificates_there_are_and_none_of_their_bytes() {
        let tls = TlsPeer {
            certificates: vec![Bytes::from_static(b"secretive"), Bytes::from_static(b"bytes")],
            alpn: Some(Bytes::from_static(b"graft/1")),
        };
        let shown = format!("{tls:?}");
        assert_eq!(shown, r#"TlsPeer { certificates: 2 of [9 bytes, 5 bytes], alpn: Some(b"graft/1") }"#);
    }
}
