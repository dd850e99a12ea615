//! Generated code passes in a crate that denies what it can.
#![deny(warnings, missing_docs, unreachable_pub, unused, clippy::all, clippy::pedantic)]
#![forbid(unsafe_code)]

use graft_ugm::{Describe, Described, interface};
use serde::{Deserialize, Serialize};

/// Shadowed on purpose: generated code does not rely on what is in scope.
#[allow(dead_code)]
struct String;
#[allow(dead_code)]
struct Vec;
#[allow(dead_code, non_camel_case_types)]
struct Option;

#[derive(Serialize, Deserialize, Describe)]
#[describe(crate = "graft_ugm")]
enum Kind<T> {
    One(T),
    Two { r#type: T },
    #[allow(dead_code)]
    #[serde(rename = "3")]
    Three,
}

#[derive(Serialize, Deserialize, Describe)]
#[describe(crate = "graft_ugm")]
enum Nothing {}

struct Bank;

#[interface(crate = "graft_ugm")]
#[allow(unreachable_pub)]
impl Bank {
    pub async fn pay(&self, args: &str, service: u8, request: &[u8], body: Kind<u8>) -> Result<Kind<bool>, Nothing> {
        let _ = (args, service, request);
        Ok(match body {
            Kind::One(_) => Kind::One(true),
            _ => Kind::Two { r#type: false },
        })
    }

    #[deprecated]
    pub fn methods(&self, mut caller: u8, r#fn: (u8,)) -> u8 {
        caller += r#fn.0;
        caller
    }
}

fn main() {
    assert_eq!(Bank::interface().contract().methods().len(), 2);
}
