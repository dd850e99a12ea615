//! What goes through calls is looked for in everything that is recorded of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use graft::core::{DigestKey, MemoryRecorder};
use graft::dataflow::{DataFlowMode, DataFlowPolicy};
use graft::{Agent, CallError, Config, Fault, Headers, Items};

use crate::office::{ANN, FRIEND, OfficeClient, Remote, asking, begin, gateway, over};

/// A legal name, so that nothing but what records are made of keeps it out of them.
const CANARY: &str = "canary-7b1f";

fn code<T, E>(result: Result<T, CallError<E>>) -> Option<&'static str> {
    result.err().as_ref().and_then(CallError::fault).map(|fault: &Fault| fault.code().as_str())
}

/// Takes the canary through everything that a caller can do with it, and says how often it came back.
async fn through(office: &OfficeClient) -> usize {
    let mut back = 0;
    let mut saw = |text: &str| back += usize::from(text.contains(CANARY));
    let text = format!("{CANARY}@{CANARY}.example says {CANARY}");
    _ = office.send(FRIEND, &text).await;
    _ = office.send(CANARY, CANARY).await;
    _ = office.send_parts(BTreeMap::from([(CANARY.to_owned(), CANARY.to_owned())])).await;
    if let Err(CallError::Domain(error)) = office.file(&text).await {
        saw(&error.release(ANN).0);
    }
    assert_eq!(code(office.explode(CANARY).await), Some("internal"));
    tokio::select! {
        _ = office.hang(CANARY) => unreachable!("it never answers"),
        () = tokio::time::sleep(Duration::from_millis(50)) => {}
    }
    let mut copies = office.copies(&text).await.expect("begins");
    while let Some(Ok(copy)) = copies.next().await {
        saw(&copy.release(ANN).0);
    }
    drop(office.copies(&text).await.expect("begins"));
    let letters = Items::new(futures::stream::iter([CANARY.to_owned(), text.clone()]));
    if let Ok(read) = office.read_out(letters).await {
        saw(&read.release(ANN).0);
    }
    back
}

fn policies() -> [DataFlowPolicy; 4] {
    [DataFlowMode::Off, DataFlowMode::Shadow, DataFlowMode::Enforce]
        .map(DataFlowPolicy::new)
        .into_iter()
        .chain([asking()])
        .collect::<Vec<_>>()
        .try_into()
        .unwrap_or_else(|_| unreachable!("four"))
}

/// Everything that the records hold: what is not shown by `Debug` is the digits of digests.
fn all(log: &MemoryRecorder) -> String {
    format!("{:?}", log.events())
}

#[tokio::test]
async fn no_argument_result_prompt_credential_or_header_is_in_a_record_of_the_caller() {
    for policy in policies() {
        let log = Arc::new(MemoryRecorder::default());
        let agent = over(gateway().local()).data_flow_policy(policy).recorder(log.clone());
        let agent = agent.own_ids([CANARY]).on_ask(|_, question| assert!(!question.expose().is_empty()));
        let agent = agent.credential(graft::core::Credential::new(CANARY)).build();
        let run = agent.begin_run(&format!("mail {CANARY}")).expect("begins");
        run.ledger().record_trusted(graft::core::Speaker::User, CANARY);
        let mut headers = Headers::default();
        headers.set("baggage", &format!("tenant={CANARY}")).expect("a header");
        let caller = run.caller().with_headers(headers);
        let office = OfficeClient::new(caller);
        office.letters().await.expect("reads");
        assert_eq!(through(&office).await, 4, "it did not come back");
        run.end().expect("ends");
        assert!(log.events().len() > 10 && !all(&log).contains("canary"), "{}", all(&log));
    }
}

#[tokio::test]
async fn no_argument_result_or_credential_is_in_a_record_of_the_receiver() {
    let log = Arc::new(MemoryRecorder::default());
    let remote = Remote::new(log.clone(), Some("ann's token")).await;
    assert_eq!(through(&remote.office).await, 4, "it did not come back");
    let refused = Remote::new(log.clone(), Some(CANARY)).await;
    assert_eq!(code(refused.office.send(FRIEND, CANARY).await), Some("unauthenticated"));
    assert!(log.events().len() > 10 && !all(&log).contains("canary"), "{}", all(&log));
}

#[test]
fn no_value_of_a_configuration_is_in_a_record() {
    let log = Arc::new(MemoryRecorder::default());
    let key = DigestKey::new(b"9xk2;Qf_71zR-mPq0^vLwA83!dYtNe5c").expect("strong");
    let config = |host: &str| {
        let config = Config::builder().set("credential", format!("literal:{CANARY}"));
        config.set("endpoint", format!("tls://{host}.example:7000")).build().expect("is good")
    };
    let agent = Agent::from_config(&config(CANARY), gateway().local()).expect("has a credential");
    begin(&agent.recorder(log.clone()).digest_key(key.clone()).build());
    let wrong = Config::builder().set("timeout", CANARY).build().expect_err("is no duration");
    wrong.record(&*log, &graft::ManualClock::default(), ANN).expect("is recorded");
    assert!(log.events().len() > 3 && !all(&log).contains("canary"), "{}", all(&log));
    // The digest stands for it all the same.
    assert_eq!(config(CANARY).digest(&key), config(CANARY).digest(&key));
    assert_ne!(config(CANARY).digest(&key), config("other").digest(&key));
}
