//! `graft audit check-proof` and `witness`: what a log hands out, looked at by somebody who has neither log nor key.

use graft::audit::{
    AuditSigner, ConsistencyBundle, Frontier, KeyName, Leaf, ProofBundle, WitnessRequest, WitnessSigner,
    prove_consistency, prove_inclusion,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::common::Folder;

const CHECK: [&str; 5] = ["audit", "check-proof", "proof", "--log-key", "log.pub"];
const WITNESS: [&str; 11] = [
    "audit",
    "witness",
    "request",
    "--log-key",
    "log.pub",
    "--signer",
    "witness.key",
    "--name",
    "example.com/witness",
    "--seen",
    "seen",
];

fn name(name: &str) -> KeyName {
    name.parse().expect("a name")
}

/// A log of headers, its signer, and a folder with what somebody needs who checks it.
struct Log {
    folder: Folder,
    signer: AuditSigner,
    witness: WitnessSigner,
    headers: Vec<Vec<u8>>,
}

impl Log {
    fn new(records: u8) -> Self {
        let folder = Folder::new();
        let signer = AuditSigner::generate(name("example.com/audit")).expect("randomness");
        let witness = WitnessSigner::generate(name("example.com/witness")).expect("randomness");
        folder.write("log.pub", format!("{}\n", signer.verifier()));
        folder.write("witness.pub", format!("{}\n", witness.verifier()));
        let digits: String = witness.expose_secret().iter().map(|byte| format!("{byte:02x}")).collect();
        folder.write_private("witness.key", digits);
        Self { folder, signer, witness, headers: (0..records).map(|n| vec![b'h', n]).collect() }
    }

    fn leaves(&self) -> Vec<Leaf> {
        let leaf =
            |header: &Vec<u8>| Leaf(Sha256::new().chain_update([0]).chain_update(header).finalize().into());
        self.headers.iter().map(leaf).collect()
    }

    fn checkpoint(&self, size: usize) -> graft::audit::Checkpoint {
        let mut frontier = Frontier::new();
        self.leaves()[..size].iter().for_each(|leaf| frontier.push(*leaf));
        self.signer.sign(&frontier.head(), &[]).expect("signs")
    }

    fn request(&self, old: usize, size: usize) {
        let proof =
            prove_consistency(&mut self.leaves().as_slice(), old as u64, size as u64).expect("proves");
        let request = WitnessRequest::new(old as u64, &proof, &self.checkpoint(size)).expect("a request");
        self.folder.write("request", request.to_string());
    }

    /// Has the witness of the command cosign, and writes the proof of record `seq` with its cosignature.
    fn prove(&self, seq: u64) {
        let size = self.headers.len();
        self.request(0, size);
        let line = self.folder.succeeds(&WITNESS).out;
        let mut checkpoint = self.checkpoint(size);
        checkpoint.add_cosignatures(&line, &[self.witness.verifier()]).expect("is its own");
        let path = prove_inclusion(&mut self.leaves().as_slice(), seq, size as u64).expect("proves");
        let bundle = ProofBundle::new(&self.headers[seq as usize], seq, &path, &checkpoint).expect("holds");
        self.folder.write("proof", bundle.to_string());
    }
}

#[test]
fn a_proof_of_a_record_is_checked_with_public_keys_alone() {
    let log = Log::new(5);
    log.prove(3);
    let out = log.folder.succeeds(&CHECK).out;
    let leaf = log.leaves()[3];
    assert!(out.starts_with("record 3 is in the log example.com/audit, which had 5 records then\n"), "{out}");
    assert!(out.contains(&format!("leaf {leaf}")) && out.contains("no witness: "), "{out}");

    let with_witness = [&CHECK[..], &["--witness-key", "witness.pub"]].concat();
    assert!(log.folder.succeeds(&with_witness).out.contains("seen by example.com/witness at 2"));
    let out = log.folder.succeeds(&[&with_witness[..], &["--format", "json"]].concat()).out;
    let proved: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        (&proved["proved"], &proved["seq"], &proved["leaf"]),
        (&json!(true), &json!(3), &json!(leaf.to_string()))
    );
    assert_eq!(proved["checkpoint"]["size"], json!(5));
    assert_eq!(proved["witnesses"][0]["name"], json!("example.com/witness"));
}

#[test]
fn a_proof_between_checkpoints_is_checked_too() {
    let log = Log::new(9);
    let proof = prove_consistency(&mut log.leaves().as_slice(), 4, 9).expect("proves");
    let bundle = ConsistencyBundle::new(&proof, &log.checkpoint(4), &log.checkpoint(9)).expect("holds");
    log.folder.write("proof", bundle.to_string());
    let out = log.folder.succeeds(&CHECK).out;
    assert!(out.contains("with 9 records contains all of what it was with 4"), "{out}");
}

#[test]
fn what_proves_nothing_is_told_from_what_is_no_proof() {
    let log = Log::new(5);
    log.prove(3);
    let good = log.folder.read("proof");
    let fails = |proof: &str, arguments: &[&str], why: &str| {
        log.folder.write("proof", proof);
        let ended = log.folder.graft(arguments);
        assert_eq!((ended.status, ended.out.as_str()), (1, ""), "{why}: {}", ended.err);
        let sentence = ended.sentence();
        assert!(
            sentence.contains("proof: it proves nothing: ") && sentence.contains(why),
            "{why}: {sentence}"
        );
    };
    fails(&good.replace("\nindex 3\n", "\nindex 2\n"), &CHECK, "does not lead to the root");
    fails(&good.replace("\nextra aAM", "\nextra aAQ"), &CHECK, "does not lead to the root");
    fails(&good.replace("example.com/audit\n5\n", "example.com/audit\n6\n"), &CHECK, "is forged");
    fails(&good[..good.len() / 2], &CHECK, "cut or something was added");

    let other = Log::new(1);
    log.folder.write("log.pub", other.signer.verifier().to_string());
    fails(&good, &CHECK, "not signed with this key");
    log.folder.write("log.pub", log.signer.verifier().to_string());
    log.folder.write("other.pub", other.witness.verifier().to_string());
    fails(&good, &[&CHECK[..], &["--witness-key", "other.pub"]].concat(), "1 are asked for");
    let either =
        [&CHECK[..], &["--witness-key", "other.pub", "--witness-key", "witness.pub", "--quorum", "1"]]
            .concat();
    log.folder.write("proof", &good);
    log.folder.succeeds(&either);

    log.folder.write("proof", &good);
    for (file, text, named) in [
        ("proof", "plain text", "proof: the bundle does not begin with a line of a known proof"),
        ("proof", "", "proof: the bundle does not begin"),
        ("log.pub", "not a key", "log.pub: "),
        ("log.pub", "", "log.pub: "),
    ] {
        let before = log.folder.read(file);
        log.folder.write(file, text);
        log.folder.refuses(&CHECK, &[named]);
        log.folder.write(file, before);
    }
    log.folder.refuses(&[&CHECK[..], &["--quorum", "1"]].concat(), &["a quorum of 1", "--witness-key"]);
    std::fs::remove_file(log.folder.path().join("proof")).expect("removes");
    log.folder.refuses(&CHECK, &["proof: it cannot be read: it is not there"]);
}

#[test]
fn a_witness_cosigns_what_takes_nothing_back_and_nothing_else() {
    let log = Log::new(9);
    log.request(0, 4);
    log.folder.succeeds(&WITNESS);
    log.request(4, 9);
    log.folder.succeeds(&WITNESS);
    let refused = |why: &str| {
        let ended = log.folder.graft(&WITNESS);
        assert_eq!((ended.status, ended.out.as_str()), (1, ""), "{}", ended.err);
        assert!(
            ended.sentence().contains("not cosigned: ") && ended.err.contains(why),
            "{why}: {}",
            ended.err
        );
    };
    // An older copy of the log.
    log.request(4, 8);
    refused("the witness last saw 9 records");
    // Another history of it.
    let fork = Log { headers: (10..19).map(|n| vec![b'h', n]).collect(), ..Log::new(0) };
    let fork = Log {
        signer: AuditSigner::new(name("example.com/audit"), log.signer.expose_secret()).expect("strong"),
        ..fork
    };
    fork.request(9, 9);
    log.folder.write("request", fork.folder.read("request"));
    refused("two histories");
    log.request(9, 9);
    log.folder.succeeds(&WITNESS);
}

#[test]
fn a_witness_is_refused_what_it_cannot_use() {
    let log = Log::new(2);
    log.request(0, 2);
    log.folder.write("witness.key", "00");
    log.folder.refuses(&WITNESS, &["witness.key: it is not a key"]);
    let log = Log::new(2);
    log.folder.write("request", "plain text");
    log.folder.refuses(&WITNESS, &["request: the request is not a size, a proof and a checkpoint"]);
    let log = Log::new(2);
    log.request(0, 2);
    log.folder.write("seen", "not an anchor");
    log.folder.refuses(&WITNESS, &["seen: "]);
}
