//! Connections that are lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use graft::{Agent, FaultCode, Gateway, connect, interface};

use crate::connect::configured;

/// Counts how often it is asked.
#[derive(Default)]
pub struct Clerk(AtomicU32);

#[interface]
impl Clerk {
    /// May be asked again.
    #[interface(effect = "read-only", idempotent)]
    pub fn look(&self) -> u32 {
        self.0.fetch_add(1, Relaxed)
    }

    /// May not.
    #[interface(effect = "external-stateful")]
    pub fn book(&self) -> u32 {
        self.0.fetch_add(1, Relaxed)
    }
}

const SOON: [(&str, &str); 4] = [
    ("GRAFT_RECONNECT_BACKOFF_MIN", "1 ms"),
    ("GRAFT_RECONNECT_BACKOFF_MAX", "10 ms"),
    ("GRAFT_RETRY_BACKOFF_MIN", "100 ms"),
    ("GRAFT_RETRY_BACKOFF_MAX", "200 ms"),
];

/// Loses the connection, makes a call while nobody listens, and listens again, in the meantime or when it ended.
async fn across_a_restart(attempts: &str, is_marked: bool, meanwhile: bool) -> Result<u32, FaultCode> {
    let gateway = Gateway::new().host(Arc::new(Clerk::default()));
    let server = gateway.serve(&configured(&[("GRAFT_LISTEN", "tcp://127.0.0.1:0")])).unwrap();
    let endpoint = server.endpoint().unwrap().to_string();
    let config = configured(
        &[&SOON[..], &[("GRAFT_ENDPOINT", &endpoint), ("GRAFT_RETRY_ATTEMPTS", attempts)]].concat(),
    );
    let channel = connect(&config, None).await.unwrap();
    let run = Agent::from_config(&config, channel).unwrap().build().begin_run("look").unwrap();
    let clerk = ClerkClient::new(run.caller());
    assert!(clerk.look().await.is_ok());
    server.shutdown().await;

    let call = async {
        let called = if is_marked { clerk.look().await } else { clerk.book().await };
        let called = called.map(|n| n.release(graft::Name::from_static("test")).0);
        called.map_err(|error| error.fault().unwrap().code())
    };
    let listen = || gateway.serve(&configured(&[("GRAFT_LISTEN", &endpoint)])).unwrap();
    let (called, _server) = match meanwhile {
        true => {
            let later = tokio::time::sleep(Duration::from_millis(150));
            futures::future::join(call, async {
                later.await;
                listen()
            })
            .await
        }
        false => (call.await, listen()),
    };
    // Whatever became of that call, later ones find the server.
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    while clerk.book().await.is_err() {
        assert!(tokio::time::Instant::now() < end, "the connection was not made anew");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    called
}

#[tokio::test]
async fn a_marked_call_is_made_again_and_no_other() {
    assert_eq!(across_a_restart("10", true, true).await, Ok(1));
    assert_eq!(across_a_restart("10", false, false).await, Err(FaultCode::Unavailable));
    assert_eq!(across_a_restart("1", true, false).await, Err(FaultCode::Unavailable));
}
