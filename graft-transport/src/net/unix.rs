//! Sockets in the file system, for processes of one machine.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::FutureExt;
use graft_core::{Peer, UnixPeer};
use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio::runtime::Handle;

use super::{BindError, BoxedIo, DialError, HandshakeError, HandshakeOptions, Listen};

/// Connections that the kernel holds until they are accepted; what tokio takes for its own listeners.
const BACKLOG: u32 = 1024;
/// The mode of a socket file: its owner alone may connect.
const PRIVATE: u32 = 0o600;

/// Connects to the socket at `path`, `within` a time.
///
/// # Errors
/// [`DialError::Unreachable`] or [`DialError::TimedOut`].
pub async fn dial(path: impl AsRef<Path>, within: Duration) -> Result<(BoxedIo, Peer), DialError> {
    let connect = async { UnixStream::connect(path).await.map_err(DialError::Unreachable) };
    let stream = super::dialled(within, connect).await?;
    let peer = peer_of(&stream);
    Ok((Box::new(stream), peer))
}

fn peer_of(stream: &UnixStream) -> Peer {
    let mut peer = Peer::default();
    // Without credentials the peer is nobody, and whoever admits by them refuses.
    peer.unix =
        stream.peer_cred().ok().map(|cred| UnixPeer { uid: cred.uid(), gid: cred.gid(), pid: cred.pid() });
    peer
}

/// An accepted connection on a Unix socket.
#[derive(Debug)]
pub struct Raw(UnixStream);

/// Listens on a socket file, which it removes when it is dropped.
#[derive(Debug)]
pub struct Listener {
    inner: UnixListener,
    path: PathBuf,
    file: FileId,
}

impl Listener {
    /// Listens at `path`, on the current tokio runtime. Only the own user may connect (mode 0600).
    ///
    /// A socket file of this user on which nobody listens is what a killed process left, and is replaced;
    /// anything else at that path stays as it is. Two processes that start in the same instant over one such
    /// left-over may replace each other's; one of them should be what starts the other.
    ///
    /// # Errors
    /// [`BindError`]; on [`BindError::InUse`] and [`BindError::Taken`] the path was not touched.
    pub fn bind(path: impl Into<PathBuf>) -> Result<Self, BindError> {
        Self::bind_with_mode(path, PRIVATE)
    }

    /// The same with another file mode, such as `0o660` for a group. The mode of the folder counts too.
    ///
    /// # Errors
    /// As [`Listener::bind`].
    pub fn bind_with_mode(path: impl Into<PathBuf>, mode: u32) -> Result<Self, BindError> {
        Handle::try_current().map_err(|_| BindError::NoRuntime)?;
        let path = path.into();
        clear(&path)?;
        let listen = || {
            let socket = UnixSocket::new_stream()?;
            socket.bind(&path)?;
            // Nobody can connect before it listens, so there is no moment with a wider mode.
            let restricted = fs::set_permissions(&path, Permissions::from_mode(mode));
            let listening = restricted.and_then(|()| {
                let file = FileId::of(&fs::symlink_metadata(&path)?);
                Ok((socket.listen(BACKLOG)?, file))
            });
            listening.inspect_err(|_| drop(fs::remove_file(&path)))
        };
        let (inner, file) = listen().map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse,
            _ => BindError::Address(error),
        })?;
        Ok(Self { inner, path, file })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Another process may have put its own there.
        if fs::symlink_metadata(&self.path).is_ok_and(|found| FileId::of(&found) == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Listen for Listener {
    type Raw = Raw;

    async fn accept(&self) -> io::Result<Raw> {
        self.inner.accept().await.map(|(stream, _)| Raw(stream))
    }

    async fn handshake(
        &self,
        Raw(stream): Raw,
        options: &HandshakeOptions,
    ) -> Result<(BoxedIo, Peer), HandshakeError> {
        let peer = peer_of(&stream);
        super::settle(options.within, super::graft_or_http(stream, peer, options)).await
    }

    fn turn_away(&self, Raw(stream): Raw, goodbye: &[u8]) {
        let _ = stream.try_write(goodbye);
    }
}

/// Which file it is, whatever its name.
#[derive(Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(found: &Metadata) -> Self {
        Self { device: found.dev(), inode: found.ino() }
    }
}

/// Removes what a killed process of this user left at `path`.
fn clear(path: &Path) -> Result<(), BindError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(BindError::Address(error)),
    };
    if !found.file_type().is_socket() || found.uid() != own_uid().map_err(BindError::Address)? {
        return Err(BindError::Taken);
    }
    if !is_stale(path) {
        return Err(BindError::InUse);
    }
    fs::remove_file(path).map_err(BindError::Address)
}

/// Whether nobody listens on the socket. A Unix socket refuses at once or not at all, so there is no waiting;
/// whatever is not a refusal counts as somebody.
fn is_stale(path: &Path) -> bool {
    match UnixStream::connect(path).now_or_never() {
        Some(Err(error)) => error.kind() == io::ErrorKind::ConnectionRefused,
        Some(Ok(_)) | None => false,
    }
}

/// The user that this process runs as, by the kernel's word on a socket of its own.
fn own_uid() -> io::Result<u32> {
    let (one, _other) = UnixStream::pair()?;
    Ok(one.peer_cred()?.uid())
}
