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

fn configured(variables: &[(&str, &str)]) -> Config {
    Config::builder().environment(environment(variables)).build().unwrap()
}

async fn echoes(config: &Config, gateway: Option<&Gateway>) {
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

#[tokio::test]
async fn what_is_not_in_this_build_is_said_so() {
    for scheme in ["unix:/graft.sock", "tls://a.example:1", "ws://a.example:1/", "wss://a.example:1/"] {
        let word = scheme.split(':').next().unwrap();
        let config = configured(&[("GRAFT_ENDPOINT", scheme), ("GRAFT_LISTEN", scheme)]);
        let Err(error) = connect(&config, None).await else { panic!("{scheme}") };
        assert!(matches!(error, ConnectError::NotCompiledIn { scheme } if scheme == word), "{error}");
        assert!(error.to_string().contains(&format!("`{word}:`")));
        let Err(error) = Gateway::new().serve(&config) else { panic!("{scheme}") };
        assert!(matches!(error, ServeError::NotCompiledIn { scheme } if scheme == word), "{error}");
    }
    let config = configured(&[]);
    assert!(matches!(connect(&config, None).await, Err(ConnectError::NoGateway)));
    assert!(matches!(Gateway::new().serve(&config), Err(ServeError::NoListen)));
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
