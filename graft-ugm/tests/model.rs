//! Contracts, their bytes and ids, and what the attribute puts into the guard part.
#![allow(missing_docs, unreachable_pub, clippy::panic)]

use std::fmt::Write;

use graft_core::{Effect, Exfil, MethodId, Name, OutputTrust, Role, Sensitivity};
use graft_ugm::{
    Contract, ContractError, Decimal, Describe, Described, Interface, Model, Tier, Type, interface,
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

/// Where a payment goes.
#[derive(Serialize, Deserialize, Describe)]
#[describe(crate = "graft_ugm")]
pub enum Refused {
    /// No such recipient.
    Unknown,
    Short {
        /// How much is missing.
        by: Decimal,
    },
}

#[derive(Clone, Serialize, Deserialize, Describe)]
#[describe(crate = "graft_ugm")]
#[serde(rename = "Tree")]
pub struct Node {
    children: Vec<Node>,
    names: std::collections::BTreeMap<String, (u8, [bool; 3])>,
}

pub struct Bank;

/// One account.
///
/// Of one customer.
#[interface(name = "acme.Bank", version = "1.2", crate = "graft_ugm")]
impl Bank {
    /// Sends money.
    #[interface(effect = "external-stateful", exfil = "payment", intent("pay", "send"), tier = "isolated")]
    #[interface(args(recipient = "destination", amount = "control"), scope = "bank:pay", scope = "bank")]
    #[interface(resources(arg = "recipient", pattern = "/own/**", trust = "trusted"))]
    #[deprecated(note = "use `send`")]
    pub fn send_money(&self, recipient: &str, amount: Decimal, r#type: Option<u8>) -> Result<u64, Refused> {
        let _ = (recipient, r#type);
        Err(Refused::Short { by: amount })
    }

    #[interface(effect = "read-only", trust = "structured", sensitivity = "secret", origin = "user")]
    #[interface(fields(subject = "untrusted"), credentials("pin"))]
    #[interface(vouches = true, vouches(subject = false))]
    #[interface(records(field = "sender", trust = "trusted", no_other_writer = "permissions"))]
    pub fn history(&self) -> Node {
        Node { children: Vec::new(), names: Default::default() }
    }

    pub fn bare(&self, tree: &Node) {
        let _ = tree;
    }
}

/// The same contract in another order, with other words around it.
mod same {
    use super::{Decimal, Node, Refused, interface};

    pub struct Bank;

    #[interface(name = "acme.Bank", version = "2", crate = "graft_ugm")]
    impl Bank {
        pub fn bare(&self, tree: Node) {
            drop(tree);
        }

        /// Another comment.
        #[interface(args(recipient = "query"))]
        pub async fn send_money(
            &self,
            recipient: String,
            amount: &Decimal,
            r#type: Option<Box<u8>>,
        ) -> Result<u64, Refused> {
            drop((recipient, amount, r#type));
            Err(Refused::Unknown)
        }

        pub fn history(&self) -> Box<Node> {
            Box::new(Node { children: Vec::new(), names: Default::default() })
        }
    }
}

/// One parameter has another type.
mod other {
    use super::{Decimal, Node, Refused, interface};

    pub struct Bank;

    #[interface(name = "acme.Bank", version = "1.2", crate = "graft_ugm")]
    impl Bank {
        pub fn bare(&self, tree: Node) {
            drop(tree);
        }

        pub fn send_money(
            &self,
            recipient: String,
            amount: Decimal,
            r#type: Option<u16>,
        ) -> Result<u64, Refused> {
            drop((recipient, amount, r#type));
            Err(Refused::Unknown)
        }

        pub fn history(&self) -> Node {
            Node { children: Vec::new(), names: Default::default() }
        }
    }
}

#[test]
fn the_guard_part_does_not_change_the_id_and_a_parameters_type_does() {
    let (bank, same, other) = (Bank::interface(), same::Bank::interface(), other::Bank::interface());
    assert_eq!(bank.contract(), same.contract());
    assert_eq!(bank.id(), same.id());
    assert_ne!(bank.guard_digest(), same.guard_digest());
    assert_ne!(bank.version(), same.version());
    assert_ne!(bank.id(), other.id());
}

#[test]
fn the_attribute_reaches_the_guard() {
    let guards = &Bank::interface().guard().methods;
    let [bare, history, send] = &guards[..] else { panic!("three methods") };
    assert_eq!(send.tool.name, Name::from_static("acme.Bank.send_money"));
    assert_eq!(send.tool.exfil, Exfil::Payment);
    assert_eq!(send.tool.effect, Effect::ExternalStateful);
    assert_eq!(send.tool.role("recipient"), Role::Destination);
    assert_eq!(send.tool.role("amount"), Role::Control);
    assert_eq!(send.tool.role("type"), Role::Content);
    assert_eq!(send.tool.intent, ["pay", "send"]);
    assert_eq!(send.tool.scopes, [Name::from_static("bank:pay"), Name::from_static("bank")]);
    assert_eq!((send.tier, send.doc.as_str()), (Tier::Isolated, "Sends money."));
    assert_eq!(send.deprecated.as_deref(), Some("use `send`"));
    assert_eq!(history.tool.trust, OutputTrust::Structured);
    assert_eq!(history.tool.sensitivity, Sensitivity::Secret);
    assert_eq!(history.tool.fields["subject"], OutputTrust::Untrusted);
    let vouches = [("*".to_owned(), true), ("subject".to_owned(), false)];
    assert_eq!(history.tool.vouches, vouches.into());
    let [resource] = &send.tool.resources[..] else { panic!("one rule") };
    assert_eq!((resource.arg.as_str(), resource.pattern.as_str()), ("recipient", "/own/**"));
    assert_eq!((resource.trust, resource.sensitivity), (Some(OutputTrust::Trusted), None));
    assert_eq!(history.tool.credentials, ["pin"]);
    assert_eq!(history.tool.records[0].no_other_writer.as_deref(), Some("permissions"));
    assert_eq!(history.tool.origin, graft_core::Origin::USER);
    assert_eq!(bare.tool, graft_core::ToolMetadata::new(Name::from_static("acme.Bank.bare")));
    let methods = Bank::methods();
    assert_eq!(methods[2].tool, send.tool);
    assert!(methods.iter().all(|method| method.interface == Bank::interface().id()));
}

#[test]
fn docs_come_from_doc_comments() {
    let bank = Bank::interface();
    assert_eq!(bank.guard().doc, "One account.\n\nOf one customer.");
    let docs = bank.guard().types.iter().find(|docs| docs.doc == "Where a payment goes.").expect("docs");
    assert_eq!(docs.members["Unknown"], "No such recipient.");
    assert_eq!(docs.members["Short.by"], "How much is missing.");
    assert_eq!(bank.guard().types.len(), bank.contract().types().len());
}

#[test]
fn method_ids_of_the_macro_are_those_of_the_core() {
    for method in Bank::interface().contract().methods() {
        assert_eq!(method.id, MethodId::of("acme.Bank", &method.name));
    }
}

#[test]
fn a_model_orders_interfaces_by_name_and_holds_each_contract_once() {
    let model = Model::default().with::<other::Bank>().with::<Bank>().with::<same::Bank>();
    assert_eq!(model.interfaces().len(), 2);
    assert_eq!(
        model.interface(Bank::interface().id()).and_then(Interface::version),
        same::Bank::interface().version()
    );
}

/// `GRAFT_BLESS=1 cargo test` writes the file anew.
#[test]
fn the_canonical_bytes_are_those_of_the_golden_file() {
    let bank = Bank::interface();
    let mut text = String::new();
    for method in bank.contract().methods() {
        let params: Vec<String> = method.params.iter().map(|p| format!("{} #{}", p.name, p.ty.0)).collect();
        let err = method.err.map_or_else(|| "-".to_owned(), |err| format!("#{}", err.0));
        let params = params.join(", ");
        writeln!(text, "method {} {} ({params}) -> #{}, {err}", method.name, method.id, method.ok.0)
            .expect("text");
    }
    for (id, ty) in bank.contract().types().iter() {
        writeln!(text, "type #{} {ty:?}", id.0).expect("text");
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    writeln!(text, "contract {}", hex(&bank.contract().to_bytes())).expect("text");
    writeln!(text, "id {}", bank.id()).expect("text");
    writeln!(text, "guard {}", hex(&bank.guard().to_bytes())).expect("text");
    writeln!(text, "guard-digest {}", hex(&bank.guard_digest())).expect("text");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/bank.txt");
    if std::env::var_os("GRAFT_BLESS").is_some() {
        std::fs::write(path, &text).expect("written");
    }
    assert_eq!(text, std::fs::read_to_string(path).expect("the golden file"));
}

#[test]
fn parse_then_print_gives_the_same_bytes() {
    for interface in [Bank::interface(), other::Bank::interface()] {
        let bytes = interface.contract().to_bytes();
        let parsed = Contract::from_bytes(&bytes).expect("a contract");
        assert_eq!(&parsed, interface.contract());
        assert_eq!(parsed.to_bytes(), bytes);
        assert_eq!(parsed.id(), interface.id());
        let guard = interface.guard().to_bytes();
        assert_eq!(&graft_ugm::Guard::from_bytes(&guard).expect("a guard part"), interface.guard());
    }
}

#[test]
fn a_contract_cut_short_or_prolonged_is_refused() {
    let mut bytes = Bank::interface().contract().to_bytes();
    for len in 0..bytes.len() {
        assert!(Contract::from_bytes(&bytes[..len]).is_err(), "cut at {len}");
    }
    bytes.push(0);
    assert_eq!(Contract::from_bytes(&bytes), Err(ContractError::NotCanonical));
    assert_eq!(Contract::from_bytes(&vec![0; Contract::MAX_LEN + 1]), Err(ContractError::TooLong));
}

proptest! {
    #[test]
    fn what_is_accepted_prints_as_it_was(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = Bank::interface().contract().to_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(contract) = Contract::from_bytes(&bytes) {
            prop_assert_eq!(contract.to_bytes(), bytes);
        }
    }
}

/// The contract of `t.m() -> #0` over these types.
fn over(types: &[Type]) -> Result<Contract, ContractError> {
    let mut bytes = vec![1, b't', 1, 1, b'm'];
    bytes.extend(MethodId::of("t", "m").0);
    bytes.extend([0, 0, 0]);
    bytes.extend(postcard::to_stdvec(types).expect("encodes"));
    Contract::from_bytes(&bytes)
}

#[test]
fn hostile_type_graphs_are_refused() {
    use graft_ugm::TypeId;
    let (one, two, nine) = (TypeId(1), TypeId(2), TypeId(9));
    assert!(over(&[Type::Option(one), Type::Unit]).is_ok());
    assert!(over(&[Type::List(TypeId(0))]).is_ok(), "a list of lists without end has the empty value");
    assert_eq!(over(&[]), Err(ContractError::UnknownType));
    assert_eq!(over(&[Type::Option(nine)]), Err(ContractError::UnknownType));
    assert_eq!(over(&[Type::Bool, Type::Bool]), Err(ContractError::TypeOrder));
    assert_eq!(over(&[Type::Tuple(vec![two, one]), Type::Bool, Type::Unit]), Err(ContractError::TypeOrder));
    assert_eq!(over(&[Type::List(one), Type::Unit]), Err(ContractError::ZeroSizeElement));
    assert_eq!(
        over(&[Type::List(one), Type::Tuple(vec![two, two]), Type::Array(TypeId(3), 0), Type::Bool]),
        Err(ContractError::ZeroSizeElement)
    );
    assert_eq!(over(&[Type::Map(one, two), Type::Bool, Type::U8]), Err(ContractError::MapKey));
    let chain: Vec<Type> = (1..4096).map(TypeId).map(Type::Option).chain([Type::Unit]).collect();
    assert!(over(&chain).is_ok());
    let longer: Vec<Type> = (1..4097).map(TypeId).map(Type::Option).chain([Type::Unit]).collect();
    assert_eq!(over(&longer), Err(ContractError::TooLong));
}

#[test]
fn a_tower_of_structs_without_bytes_costs_nothing_to_check() {
    use graft_ugm::TypeId;
    // Each of 60 pairs holds the next one twice: walked naively, 2^60 units.
    let pairs = (1..61).map(TypeId).map(|next| Type::Tuple(vec![next, next]));
    let contract = over(&pairs.chain([Type::Unit]).collect::<Vec<_>>()).expect("a contract");
    assert_eq!(graft_ugm::check(&[], contract.types(), TypeId(0)), Ok(()));
}

#[test]
fn methods_out_of_order_or_under_another_id_are_refused() {
    let mut bytes = vec![1, b't', 1, 1, b'm'];
    bytes.extend(MethodId::of("t", "n").0);
    bytes.extend([0, 0, 0, 1, 0]);
    assert_eq!(Contract::from_bytes(&bytes), Err(ContractError::MethodId));
    let method = |name: u8| {
        let mut bytes = vec![1, name];
        bytes.extend(MethodId::of("t", std::str::from_utf8(&[name]).expect("ASCII")).0);
        bytes.extend([0, 0, 0]);
        bytes
    };
    let two = |a, b| [vec![1, b't', 2], method(a), method(b), vec![1, 0]].concat();
    assert!(Contract::from_bytes(&two(b'a', b'b')).is_ok());
    assert_eq!(Contract::from_bytes(&two(b'b', b'a')), Err(ContractError::MethodOrder));
    assert_eq!(Contract::from_bytes(&two(b'a', b'a')), Err(ContractError::MethodOrder));
}
