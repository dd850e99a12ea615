//! Calls from generated client to user code and back, with and without encoding.
#![allow(missing_docs, unreachable_pub, clippy::panic)]

mod common;

use std::sync::{Arc, Mutex};

use common::{callers, now};
use graft_core::{CallError, Labeled, Name};
use graft_ugm::{Decimal, Describe, Described, interface};
use serde::{Deserialize, Serialize};

/// A bank with one account.
#[derive(Default)]
pub struct Bank {
    paid: Mutex<Vec<String>>,
}

/// Why a payment fails.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Describe)]
#[describe(crate = "graft_ugm")]
pub enum BankError {
    /// The recipient is not known.
    Unknown { recipient: String },
    /// Too little money.
    Short(Decimal),
}

#[interface(name = "acme.Bank", version = "1.2", crate = "graft_ugm")]
impl Bank {
    pub fn open() -> Self {
        Self::default()
    }

    /// Pays somebody.
    ///
    /// At once.
    #[interface(effect = "external-stateful", exfil = "payment", intent("pay", "send"), scope = "bank:pay")]
    #[interface(args(recipient = "destination", amount = "control"))]
    pub async fn send_money(
        &self,
        recipient: &str,
        amount: Decimal,
        tags: &[String],
        subject: &Option<String>,
    ) -> Result<u64, BankError> {
        if recipient == "nobody" {
            return Err(BankError::Unknown { recipient: recipient.to_owned() });
        }
        if amount.as_str().len() > 4 {
            return Err(BankError::Short(amount));
        }
        let mut paid = self.paid.lock().expect("no panic");
        paid.push(format!("{recipient} {amount} {tags:?} {subject:?}"));
        Ok(paid.len() as u64)
    }

    /// What has been paid.
    #[interface(effect = "read-only", sensitivity = "secret", trust = "structured")]
    pub fn paid(&self) -> Vec<String> {
        self.paid.lock().expect("no panic").clone()
    }

    pub fn reset(&self) {
        self.of_the_crate();
        self.paid.lock().expect("no panic").clear();
    }

    #[interface(skip)]
    pub fn anything<T: Clone>(&mut self, value: T) -> T {
        value.clone()
    }

    pub(crate) fn of_the_crate(&self) {}
}

fn bare<T>(labeled: Labeled<T>) -> T {
    labeled.release(Name::from_static("test")).0
}

#[test]
fn a_call_is_the_same_with_and_without_encoding() {
    for caller in callers(Arc::new(Bank::open()).dispatcher()) {
        let bank = BankClient::new(caller);
        now(bank.reset()).expect("returns");
        let tags = ["a".to_owned()];
        let amount: Decimal = "10.5".parse().expect("decimal");
        let count = now(bank.send_money("ann", amount.clone(), &tags, &None)).expect("returns");
        assert_eq!(bare(count), 1);
        let Err(CallError::Domain(error)) = now(bank.send_money("nobody", amount, &tags, &None)) else {
            panic!("a typed error")
        };
        assert_eq!(bare(error), BankError::Unknown { recipient: "nobody".into() });
        let paid = now(bank.paid()).expect("returns");
        assert_eq!(paid.label().sensitivity(), graft_core::Sensitivity::Secret);
        assert_eq!(bare(paid), [r#"ann 10.5 ["a"] None"#]);
    }
}
