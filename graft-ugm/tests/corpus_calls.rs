//! Every kind of described value crosses a call both ways, with and without encoding.
#![allow(missing_docs, unreachable_pub, private_interfaces, clippy::panic, clippy::result_large_err)]

mod common;
#[path = "common/corpus.rs"]
#[allow(dead_code)]
mod corpus;

use std::sync::Arc;

use common::{callers, now};
use corpus::{Everything, Maps, Node, Shape, everything, list, maps};
use futures::{StreamExt, TryStreamExt, stream};
use graft_core::{
    Body, CallError, CallId, EncodedBody, FaultCode, Incoming, Label, Leaf, Leaves, Metadata, MethodId, Name,
    Outgoing, Path, ReplyKind, Request, RunId,
};
use graft_ugm::{Described, Items, interface};
use proptest::prelude::*;

/// Gives back what it gets.
pub struct Echo;

#[interface(crate = "graft_ugm")]
impl Echo {
    pub async fn everything(&self, value: &Everything) -> Everything {
        value.clone()
    }

    pub fn fails(&self, value: Everything) -> Result<(), Everything> {
        Err(value)
    }

    pub fn maps(&self, value: Maps) -> Result<Maps, String> {
        Ok(value)
    }

    pub fn tree(&self, value: Node<Shape>) -> Option<Box<Node<Shape>>> {
        value.next
    }

    pub fn each(&self, values: Items<Everything>) -> Items<Everything> {
        values
    }

    pub fn nothing(&self) {}
}

fn released<T>(value: graft_core::Labeled<T>) -> T {
    value.release(Name::from_static("test")).0
}

/// Compared as bytes: a NaN is not equal to itself.
fn bytes<T: serde::Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("encodes")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_goes_in_comes_out(value in everything(), maps in maps()) {
        for caller in callers(Arc::new(Echo).dispatcher()) {
            let echo = EchoClient::new(caller);
            let same = released(now(echo.everything(&value)).expect("returns"));
            prop_assert_eq!(bytes(&same), bytes(&value));
            let Err(CallError::Domain(error)) = now(echo.fails(value.clone())) else { panic!("a typed error") };
            prop_assert_eq!(bytes(&released(error)), bytes(&value));
            prop_assert_eq!(&released(now(echo.maps(maps.clone())).expect("returns")), &maps);
            let items = now(echo.each(Items::new(stream::iter([value.clone(), value.clone()])))).expect("returns");
            let items: Vec<_> = now(items.map_ok(released).try_collect()).expect("items");
            prop_assert_eq!(bytes(&items), bytes(&[&value, &value].to_vec()));
            now(echo.nothing()).expect("returns");
        }
    }
}

#[test]
fn a_value_too_deep_for_the_wire_is_a_typed_error_and_not_a_crash() {
    let deep = || list(vec![Shape::Unit; 5000]);
    let [typed, encoded] = callers(Arc::new(Echo).dispatcher()).map(EchoClient::new);
    assert!(now(typed.tree(deep())).is_ok(), "nothing is encoded");
    let error = now(encoded.tree(deep())).expect_err("too deep");
    assert_eq!(error.fault().expect("a fault").code(), FaultCode::InvalidArgument);
}

/// What the dispatcher says to these bytes, without a client.
fn invoke(method: MethodId, args: &[u8]) -> Result<(ReplyKind, Vec<u8>), FaultCode> {
    let (mut reply, mut kind) = (Outgoing::default(), ReplyKind::Ok);
    let meta = Metadata::new(RunId([0; 16]), CallId(0));
    let label = Label::default();
    let request = Request::new(Echo::interface().id(), method, &meta, &label);
    let body = Body::Encoded(EncodedBody {
        args: Incoming::new(args.to_vec().into()),
        reply: &mut reply,
        kind: &mut kind,
    });
    let dispatcher = Arc::new(Echo).dispatcher();
    now(dispatcher.invoke(request, body)).map_err(|fault| fault.code())?;
    Ok((kind, reply.to_bytes().to_vec()))
}

#[test]
fn hostile_bytes_and_unknown_methods_are_typed_errors() {
    let nothing = MethodId::of("Echo", "nothing");
    assert_eq!(invoke(nothing, &[]), Ok((ReplyKind::Ok, Vec::new())));
    assert_eq!(invoke(nothing, &[0]), Err(FaultCode::InvalidArgument));
    assert_eq!(invoke(MethodId([0; 8]), &[]), Err(FaultCode::NotFound));
    assert_eq!(invoke(MethodId::of("Echo", "tree"), &[1; 400_000]), Err(FaultCode::InvalidArgument));
    let maps = Maps { by_name: [("a".to_owned(), vec![1])].into(), by_number: [(1, Shape::Unit)].into() };
    let args = bytes(&maps);
    assert_eq!(invoke(MethodId::of("Echo", "maps"), &args), Ok((ReplyKind::Ok, args.clone())));
    for len in 0..args.len() {
        assert_eq!(invoke(MethodId::of("Echo", "maps"), &args[..len]), Err(FaultCode::InvalidArgument));
    }
}

/// Another Rust type of the same contract: a client that was built elsewhere.
mod elsewhere {
    use super::{Everything, Items, Maps, Node, Shape, StreamExt, interface};

    pub struct Echo;

    #[interface(crate = "graft_ugm")]
    impl Echo {
        pub async fn everything(&self, value: Everything) -> Box<Everything> {
            Box::new(value)
        }

        pub fn fails(&self, value: Box<Everything>) -> Result<(), Everything> {
            Err(*value)
        }

        pub fn maps(&self, value: Maps) -> Result<Maps, String> {
            Ok(value)
        }

        pub fn tree(&self, value: Node<Shape>) -> Option<Node<Shape>> {
            value.next.map(|next| *next)
        }

        pub fn each(&self, values: Items<Box<Everything>>) -> Items<Everything> {
            Items::try_new(values.map(|value| value.map(|value| *value)))
        }

        pub fn nothing(&self) {}
    }
}

#[test]
fn other_rust_types_of_the_same_contract_understand_each_other() {
    assert_eq!(elsewhere::Echo::interface().id(), Echo::interface().id());
    for caller in callers(Arc::new(Echo).dispatcher()) {
        let echo = elsewhere::EchoClient::new(caller);
        let next = released(now(echo.tree(list(vec![Shape::New(7)]))).expect("returns"));
        assert_eq!(next.expect("a next one").value, Shape::Unit);
        assert!(now(echo.each(Items::new(stream::empty()))).is_ok());
    }
}

#[test]
fn leaves_carry_serde_names_and_variants() {
    let value = Node { value: Shape::Struct { a: Some(true), b: vec![] }, next: None };
    let mut seen = Vec::new();
    value.visit(&Path::ROOT, &mut |path, leaf| {
        let leaf = if let Leaf::Variant(name) = leaf { name.to_owned() } else { format!("{leaf:?}") };
        seen.push(format!("{path} {leaf}"));
    });
    assert_eq!(
        seen,
        ["$['value'] Struct", "$['value']['a'] Bool(true)", "$['value']['b'] EmptyList", "$['next'] Empty"]
    );
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let scalars =
        proptest::strategy::ValueTree::current(&corpus::scalars().new_tree(&mut runner).expect("a value"));
    let mut paths = Vec::new();
    scalars.visit(&Path::ROOT, &mut |path, _| paths.push(path.to_string()));
    assert_eq!(paths[0], "$['yesOrNo']");
    assert_eq!(paths.last().expect("one"), "$['amount']");
    assert_eq!(paths.len(), 10);
}
