//! From a configuration to calls.

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use graft::core::{Channel, Credential, Fault, FaultCode, Request, TypedBody};
use graft::{
    Agent, Clearance, Config, ConnectError, Endpoint, Gateway, Label, Name, ServeError, connect, interface,
};

use crate::environment;

/// Echoes.
pub struct Echo;

#[interface]
impl Echo {
    /// Gives back what it was given.
    #[interface(effect = "pure")]
    pub fn echo(&self, text: &str) -> String {
        text.to_owned()
    }
}

pub fn configured(variables: &[(&str, &str)]) -> Config {
    Config::builder().environment(environment(variables)).build().unwrap()
}

pub async fn echoes(config: &Config, gateway: Option<&Gateway>) {
    let channel = connect(config, gateway).await.unwrap();
    let run = Agent::from_config(config, channel).unwrap().build().begin_run("say hello").unwrap();
    let said = EchoClient::new(run.caller()).echo("hello").await.unwrap();
    assert_eq!(said.release(Name::from_static("test")).0, "hello");
}

#[tokio::test]
async fn the_same_program_calls_in_its_process_or_over_tcp_by_configuration_alone() {
    let gateway = Gateway::new().host(Arc::new(Echo));
    echoes(&configured(&[]), Some(&gateway)).await;

    let server = gateway.serve(&configured(&[("GRAFT_LISTEN", "tcp://127.0.0.1:0")])).unwrap();
    let endpoint = server.endpoint().unwrap().to_string();
    assert_ne!(server.endpoint().unwrap().port(), Some(0));
    let remote = configured(&[("GRAFT_ENDPOINT", &endpoint)]);
    echoes(&remote, None).await;
    echoes(&remote, Some(&Gateway::new())).await;
    server.shutdown().await;
    assert!(matches!(connect(&remote, None).await, Err(ConnectError::Failed(_))));
}

#[tokio::test]
async fn the_configured_limits_hold_at_both_ends() {
    let gateway = Gateway::new().host(Arc::new(Echo));
    let listen = ("GRAFT_LISTEN", "tcp://127.0.0.1:0");
    let short = ("GRAFT_LIMITS_MAX_FRAME", "1 KiB");
    for (at_server, at_caller, arrives) in
        [(&[][..], &[][..], true), (&[short], &[], false), (&[], &[short], false)]
    {
        let server = gateway.serve(&configured(&[&[listen], at_server].concat())).unwrap();
        let endpoint = server.endpoint().unwrap().to_string();
        let config = configured(&[&[("GRAFT_ENDPOINT", &*endpoint)], at_caller].concat());
        let channel = connect(&config, None).await.unwrap();
        let run = Agent::from_config(&config, channel).unwrap().build().begin_run("say hello").unwrap();
        let echoed = EchoClient::new(run.caller()).echo(&"x".repeat(4096)).await;
        assert_eq!(echoed.is_ok(), arrives, "{at_server:?} {at_caller:?}");
    }
}

#[cfg(all(unix, feature = "unix"))]
#[tokio::test]
async fn a_unix_socket_is_for_the_own_user_and_goes_away() {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::temp_dir().join(format!("graft-config-{}.sock", std::process::id()));
    let endpoint = format!("unix:{}", path.to_str().unwrap());
    let config = configured(&[("GRAFT_LISTEN", &endpoint), ("GRAFT_ENDPOINT", &endpoint)]);
    let server = Gateway::new().host(Arc::new(Echo)).serve(&config).unwrap();
    assert_eq!(server.endpoint(), config.listen());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    echoes(&config, None).await;
    server.shutdown().await;
    assert!(!path.exists());
}

#[cfg(feature = "websocket")]
#[tokio::test]
async fn a_websocket_is_where_it_was_configured() {
    let gateway = Gateway::new().host(Arc::new(Echo));
    let server = gateway.serve(&configured(&[("GRAFT_LISTEN", "ws://127.0.0.1:0/graft")])).unwrap();
    let endpoint = server.endpoint().unwrap().to_string();
    assert!(endpoint.ends_with("/graft") && !endpoint.contains(":0/"), "{endpoint}");
    echoes(&configured(&[("GRAFT_ENDPOINT", &endpoint)]), None).await;
}

#[tokio::test]
async fn what_is_not_in_this_build_is_said_so() {
    let tls = cfg!(feature = "_tls");
    for (endpoint, is_in) in [
        ("unix:/graft.sock", cfg!(all(unix, feature = "unix"))),
        ("tls://a.example:1", tls),
        ("ws://a.example:1/", cfg!(feature = "websocket")),
        ("wss://a.example:1/", tls && cfg!(feature = "websocket")),
    ] {
        if is_in {
            continue;
        }
        let word = endpoint.split(':').next().unwrap();
        let config = configured(&[("GRAFT_ENDPOINT", endpoint), ("GRAFT_LISTEN", endpoint)]);
        let Err(error) = connect(&config, None).await else { panic!("{endpoint}") };
        assert!(matches!(error, ConnectError::NotCompiledIn { scheme } if scheme == word), "{error}");
        assert!(error.to_string().contains(&format!("`{word}:`")));
        let Err(error) = Gateway::new().serve(&config) else { panic!("{endpoint}") };
        assert!(matches!(error, ServeError::NotCompiledIn { scheme } if scheme == word), "{error}");
    }
    let config = configured(&[]);
    assert!(matches!(connect(&config, None).await, Err(ConnectError::NoGateway)));
    assert!(matches!(Gateway::new().serve(&config), Err(ServeError::NoListen)));
}

#[tokio::test]
async fn a_credential_goes_to_another_machine_only_where_nobody_can_read_it() {
    let refused = |endpoint: &'static str, more: &'static [(&str, &str)]| async move {
        // Nobody answers at these addresses; what counts is whether anybody is asked.
        let soon = ("GRAFT_LIMITS_HANDSHAKE_TIMEOUT", "20 ms");
        let config = configured(&[&[("GRAFT_ENDPOINT", endpoint), soon], more].concat());
        let Err(error) = connect(&config, None).await else { panic!("{endpoint}") };
        matches!(error, ConnectError::CredentialInClear)
    };
    const CREDENTIAL: &[(&str, &str)] = &[("GRAFT_CREDENTIAL", "t")];
    for endpoint in
        ["tcp://192.0.2.1:1", "tcp://[2001:db8::1]:1", "tcp://a.localhost.example:1", "ws://192.0.2.1/"]
    {
        assert!(refused(endpoint, CREDENTIAL).await, "{endpoint}");
    }
    assert!(!refused("tcp://192.0.2.1:1", &[]).await, "there is no credential");
    let allowed = &[("GRAFT_CREDENTIAL", "t"), ("GRAFT_CREDENTIAL_IN_CLEAR", "true")];
    assert!(!refused("tcp://192.0.2.1:1", allowed).await, "it is said to be good");
    for endpoint in [
        "tcp://127.0.0.1:1",
        "tcp://127.9.9.9:1",
        "tcp://[::1]:1",
        "tcp://[::ffff:127.0.0.1]:1",
        "tcp://LOCALHOST:1",
        "ws://127.0.0.1:1/",
        "unix:/graft-nobody",
        "tls://192.0.2.1:1",
        "wss://192.0.2.1/",
    ] {
        assert!(!refused(endpoint, CREDENTIAL).await, "{endpoint}");
    }
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let config =
        configured(&[("GRAFT_ENDPOINT", "tcp://127.0.0.1:1"), ("GRAFT_LISTEN", "tcp://127.0.0.1:0")]);
    let refused = futures::executor::block_on(connect(&config, None));
    assert!(matches!(refused, Err(ConnectError::NoRuntime)));
    assert!(matches!(Gateway::new().serve(&config), Err(ServeError::Failed(_))));
}

/// Keeps what it was shown, and answers nothing.
#[derive(Default)]
struct Shown(Mutex<Option<(Option<Credential>, bool)>>);

impl Channel for Shown {
    fn clearance(&self) -> Clearance {
        Clearance::CHANNEL
    }

    fn call<'a>(
        &'a self,
        request: Request<'a>,
        _: &'a mut dyn TypedBody,
    ) -> BoxFuture<'a, Result<Label, Fault>> {
        let meta = request.meta;
        *self.0.lock().unwrap() = Some((meta.credential.clone(), meta.deadline.is_some()));
        Box::pin(std::future::ready(Err(Fault::new(FaultCode::Unavailable, meta.trace.trace))))
    }

    fn health(&self) -> BoxFuture<'_, Result<bool, FaultCode>> {
        Box::pin(std::future::ready(Ok(true)))
    }
}

#[tokio::test]
async fn an_agent_sends_the_configured_credential_within_the_configured_time() {
    let shown = Arc::new(Shown::default());
    let config = configured(&[("GRAFT_CREDENTIAL", "env:TOKEN"), ("TOKEN", "t")]);
    let run = Agent::from_config(&config, shown.clone()).unwrap().build().begin_run("say hello").unwrap();
    assert!(EchoClient::new(run.caller()).echo("hello").await.is_err());
    assert_eq!(*shown.0.lock().unwrap(), Some((Some(Credential::new("t")), true)));
    let config = configured(&[("GRAFT_CREDENTIAL", "env:TOKEN")]);
    assert!(Agent::from_config(&config, shown).is_err());
    assert_eq!(*configured(&[]).endpoint(), Endpoint::Local);
}
