//! Ports in contracts, their bytes, and hostile ones.

use std::fmt::Write;
use std::sync::Arc;

use futures::{StreamExt, stream};
use graft_core::port::Import;
use graft_core::{
    Body, CallId, EncodedBody, FaultCode, Incoming, Label, Metadata, MethodId, Outgoing, ReplyKind, Request,
    RunId,
};
use graft_ugm::{Contract, ContractError, Described, Type, TypeId};

use crate::common::now;
use crate::service::{Account, Desk, Listener};

/// `GRAFT_BLESS=1 cargo test` writes the file anew.
#[test]
fn the_canonical_bytes_are_those_of_the_golden_file() {
    let mut text = String::new();
    for interface in [Desk::interface(), Account::interface(), Listener::interface()] {
        for method in interface.contract().methods() {
            let params: Vec<String> =
                method.params.iter().map(|param| format!("{} #{}", param.name, param.ty.0)).collect();
            writeln!(text, "method {} ({}) -> #{}", method.name, params.join(", "), method.ok.0)
                .expect("text");
        }
        for (id, ty) in interface.contract().types().iter() {
            writeln!(text, "type #{} {ty:?}", id.0).expect("text");
        }
        let bytes = interface.contract().to_bytes();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "contract {hex}\nid {}", interface.id()).expect("text");
        assert_eq!(Contract::from_bytes(&bytes).as_ref(), Ok(interface.contract()));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/desk.txt");
    if std::env::var_os("GRAFT_BLESS").is_some() {
        std::fs::write(path, &text).expect("written");
    }
    assert_eq!(text, std::fs::read_to_string(path).expect("the golden file"));
}

/// The contract of `t.m() -> #0, error` over these types.
fn over(types: &[Type], error: Option<TypeId>) -> Result<Contract, ContractError> {
    let mut bytes = vec![1, b't', 1, 1, b'm'];
    bytes.extend(MethodId::of("t", "m").0);
    bytes.extend([0, 0]);
    bytes.extend(postcard(&error));
    bytes.extend(postcard(&types));
    Contract::from_bytes(&bytes)
}

fn postcard<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut out = Outgoing::default();
    out.encode(value).expect("encodes");
    out.into_bytes().to_vec()
}

#[test]
fn a_port_stands_for_itself_in_a_contract_and_nowhere_else() {
    let (one, handle) = (TypeId(1), Type::Handle(Listener::NAME));
    assert!(
        over(&[Type::Items(one), Type::Unit], None).is_ok(),
        "an item may be nothing: it still comes by itself"
    );
    assert!(over(std::slice::from_ref(&handle), None).is_ok());
    assert_eq!(over(&[Type::Items(one), handle.clone()], None), Err(ContractError::Port));
    assert_eq!(over(&[Type::Items(one), Type::Items(TypeId(2)), Type::U8], None), Err(ContractError::Port));
    assert_eq!(over(&[Type::Option(one), handle.clone()], None), Err(ContractError::Port));
    assert_eq!(over(&[Type::Tuple(vec![one]), handle.clone()], None), Err(ContractError::Port));
    assert_eq!(over(&[Type::Unit, handle], Some(one)), Err(ContractError::Port));
}

/// Calls `method` with `bytes` and, beside them, a stream of `items`.
fn invoke(method: &str, bytes: &[u8], items: &[&[u8]]) -> Result<Vec<u8>, FaultCode> {
    let meta = Metadata::new(RunId([0; 16]), CallId(0));
    let (label, mut reply, mut kind) = (Label::default(), Outgoing::default(), ReplyKind::Ok);
    let request = Request::new(Desk::interface().id(), MethodId::of("Desk", method), &meta, &label);
    let items: Vec<_> = items.iter().map(|item| Ok(item.to_vec().into())).collect();
    let args =
        Incoming { bytes: bytes.to_vec().into(), ports: vec![Import::Items(stream::iter(items).boxed())] };
    let body = Body::Encoded(EncodedBody { args, reply: &mut reply, kind: &mut kind });
    now(Arc::new(Desk::default()).dispatcher().invoke(request, body)).map_err(|fault| fault.code())?;
    Ok(reply.into_bytes().to_vec())
}

#[test]
fn hostile_ports_and_items_are_typed_errors() {
    assert_eq!(invoke("sum", &[5, 0], &[&[1], &[2]]), Ok(vec![8]));
    // A position that is not there, twice, or of another kind.
    assert_eq!(invoke("sum", &[5, 1], &[]), Err(FaultCode::InvalidArgument));
    assert_eq!(invoke("sum", &[5, 0x80, 0], &[]), Err(FaultCode::InvalidArgument));
    assert_eq!(invoke("each", &[1, 0], &[]), Err(FaultCode::InvalidArgument));
    // An item that has another shape than the contract says: overlong, too long, cut short.
    let refused = postcard(&"invalid_argument");
    for item in [&[0x80, 0][..], &[1, 1], &[0x80], &[]] {
        assert_eq!(invoke("sum", &[5, 0], &[&[1], item]), Ok(refused.clone()), "{item:?}");
    }
}
