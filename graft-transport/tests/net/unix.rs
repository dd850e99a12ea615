//! What a listener on a socket file may touch.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use graft_transport::net::{BindError, DialError, unix};

use super::streams::greeted;
use super::*;

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("graft-net-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("s")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_unix_socket_carries_bytes_and_knows_the_process() {
    let folder = Folder::new("carries");
    let listener = unix::Listener::bind(folder.socket()).expect("bound");
    assert_eq!(listener.path(), folder.socket());
    let ((one, server), (other, client)) =
        greeted(accept_one(listener), unix::dial(folder.socket(), LONG)).await;
    for peer in [server, client] {
        let process = peer.unix.expect("credentials");
        let own = fs::metadata(&folder.0).expect("there");
        assert_eq!(process.uid, std::os::unix::fs::MetadataExt::uid(&own));
        assert!(process.pid.is_none_or(|pid| pid as u32 == std::process::id()));
        assert_eq!(peer.address, None);
    }
    carries_a_megabyte(one, other).await;
}

#[tokio::test]
async fn the_file_is_for_its_owner_and_goes_away() {
    let folder = Folder::new("mode");
    let mode = || fs::metadata(folder.socket()).expect("there").permissions().mode() & 0o777;
    let listener = unix::Listener::bind(folder.socket()).expect("bound");
    assert_eq!(mode(), 0o600);
    drop(listener);
    assert!(!folder.socket().exists());
    let _listener = unix::Listener::bind_with_mode(folder.socket(), 0o660).expect("bound again");
    assert_eq!(mode(), 0o660);
}

#[tokio::test]
async fn a_left_over_socket_is_replaced() {
    let folder = Folder::new("stale");
    // The standard library's listener leaves its file, like a process that was killed.
    drop(std::os::unix::net::UnixListener::bind(folder.socket()).expect("bound"));
    assert!(folder.socket().exists());
    let listener = unix::Listener::bind(folder.socket()).expect("replaced");
    greeted(accept_one(listener), unix::dial(folder.socket(), LONG)).await;
}

#[tokio::test]
async fn a_socket_in_use_is_left_alone() {
    let folder = Folder::new("used");
    let first = unix::Listener::bind(folder.socket()).expect("bound");
    let error = unix::Listener::bind(folder.socket()).expect_err("in use");
    assert!(matches!(error, BindError::InUse), "{error:?}");
    // The attempt was a connection, which is gone by now.
    drop(first.accept().await.expect("the attempt"));
    greeted(accept_one(first), unix::dial(folder.socket(), LONG)).await;
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() {
    let folder = Folder::new("taken");
    fs::write(folder.socket(), b"precious").expect("written");
    let error = unix::Listener::bind(folder.socket()).expect_err("taken");
    assert!(matches!(error, BindError::Taken), "{error:?}");
    assert_eq!(fs::read(folder.socket()).expect("still there"), b"precious");

    // Nor is what a link leads to.
    let (target, link) = (folder.0.join("target"), folder.0.join("link"));
    drop(std::os::unix::net::UnixListener::bind(&target).expect("bound"));
    std::os::unix::fs::symlink(&target, &link).expect("linked");
    assert!(matches!(unix::Listener::bind(&link), Err(BindError::Taken)));
    assert!(target.exists() && fs::symlink_metadata(&link).is_ok());
}

#[tokio::test]
async fn a_file_that_somebody_else_put_there_stays() {
    let folder = Folder::new("other");
    let listener = unix::Listener::bind(folder.socket()).expect("bound");
    fs::rename(folder.socket(), folder.0.join("moved")).expect("moved");
    fs::write(folder.socket(), b"another's").expect("written");
    drop(listener);
    assert!(folder.socket().exists());
}

#[tokio::test]
async fn a_path_without_a_listener_is_unreachable() {
    let folder = Folder::new("nobody");
    let error = unix::dial(folder.socket(), LONG).await.err().expect("no stream");
    assert!(matches!(error, DialError::Unreachable(_)), "{error:?}");
}

#[tokio::test]
async fn a_left_over_socket_of_another_user_is_left_alone() {
    let folder = Folder::new("foreign");
    drop(std::os::unix::net::UnixListener::bind(folder.socket()).expect("bound"));
    // Only root can give a file away; for others there is nothing to try.
    if std::os::unix::fs::chown(folder.socket(), Some(12_345), None).is_ok() {
        let error = unix::Listener::bind(folder.socket()).expect_err("another's");
        assert!(matches!(error, BindError::Taken), "{error:?}");
        assert!(folder.socket().exists());
    }
}
