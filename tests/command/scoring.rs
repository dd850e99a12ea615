//! Whatever the fields for scoring hold, or when they are absent, the verdicts are the same.

use std::path::Path;

use serde_json::{Value, json};

use crate::common::Folder;

const OF_RUNS: [&str; 12] = [
    "suite",
    "source",
    "user_task",
    "injection_task",
    "attack",
    "injection_goal",
    "attacker_script",
    "gt_edits",
    "model",
    "utility",
    "benign",
    "needs_person",
];
const OF_EVENTS: [&str; 2] = ["driven_by", "contains_injection"];

#[test]
fn verdicts_do_not_depend_on_fields_for_scoring() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    let runs = std::fs::read_to_string(data.join("runs.jsonl")).expect("reads");
    let runs: Vec<Value> = runs.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let folder = Folder::new();
    std::fs::copy(data.join("registry_home.json"), folder.path().join("registry_home.json")).expect("copies");
    let verdicts = |runs: &[Value]| {
        folder.write("runs.jsonl", runs.iter().map(|run| format!("{run}\n")).collect::<String>());
        folder.succeeds(&["replay", "runs.jsonl", "--verdicts", "v"]);
        folder.read("v")
    };
    let expected = verdicts(&runs);
    assert!(expected.contains(r#""verdict":"block""#) && expected.contains(r#""verdict":"allow""#));

    let mut random = Random(1);
    for _ in 0..20 {
        let rewritten = with_scoring(&runs, |_| random.chance(0.8).then(|| random.value()));
        assert_ne!(rewritten, runs);
        assert_eq!(verdicts(&rewritten), expected);
    }
    assert_eq!(verdicts(&with_scoring(&runs, |_| None)), expected, "absent");
    // As if an oracle had told the policy what is good and what is bad, and had lied.
    for (benign, driver) in [(true, "user"), (false, "attacker")] {
        let lie = |field: &str| match field {
            "benign" => Some(json!(benign)),
            "driven_by" => Some(json!(driver)),
            "contains_injection" => Some(json!(!benign)),
            _ => Some(json!("injected attack")),
        };
        assert_eq!(verdicts(&with_scoring(&runs, lie)), expected, "{driver}");
    }
}

/// The runs with every field for scoring as `field` says, or without it.
fn with_scoring(runs: &[Value], mut field: impl FnMut(&str) -> Option<Value>) -> Vec<Value> {
    let mut runs = runs.to_vec();
    let mut rewrite = |object: &mut Value, names: &[&str]| {
        let object = object.as_object_mut().expect("an object");
        for name in names {
            object.remove(*name);
            object.extend(field(name).map(|value| ((*name).to_owned(), value)));
        }
    };
    for run in &mut runs {
        rewrite(run, &OF_RUNS);
        for event in run["events"].as_array_mut().expect("a list") {
            rewrite(event, &OF_EVENTS);
        }
    }
    runs
}

/// SplitMix64: the same values in every run of the test.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn chance(&mut self, of: f64) -> bool {
        (self.next() % 1000) as f64 / 1000.0 < of
    }

    fn value(&mut self) -> Value {
        match self.next() % 9 {
            0 => Value::Null,
            1 => json!(self.chance(0.5)),
            2 => json!(self.next()),
            3 => json!("user"),
            4 => json!("attacker"),
            5 => json!(format!("{:x}", self.next())),
            6 => json!([self.value(), "FR7630006000011234567890189"]),
            7 => json!({ "to": self.value() }),
            _ => json!("dora.kim@harbor.example"),
        }
    }
}
