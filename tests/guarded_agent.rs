//! The main example as a stranger runs it: in every mode, over both channels, and with an edited file.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The example, which `cargo test` builds before it runs this.
fn example() -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    let profile = test.parent().and_then(Path::parent).expect("target folder");
    let example = profile.join("examples/guarded_agent");
    assert!(example.exists(), "build the example first: cargo build --example guarded_agent");
    example
}

fn run(flags: &[&str]) -> (i32, String) {
    let Output { status, stdout, stderr } = Command::new(example()).args(flags).output().expect("it runs");
    let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    (status.code().expect("it ends by itself"), text)
}

/// A copy of the data with `from` replaced by `to` in the runs.
fn edited(name: &str, from: &str, to: &str) -> PathBuf {
    let data = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data"));
    let folder = std::env::temp_dir().join(format!("graft-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let runs = std::fs::read_to_string(data.join("runs.jsonl")).expect("the runs");
    assert!(runs.contains(from));
    std::fs::write(folder.join("runs.jsonl"), runs.replace(from, to)).expect("written");
    std::fs::copy(data.join("worlds.json"), folder.join("worlds.json")).expect("copied");
    folder
}

/// The line of one run and the reasons under it.
fn lines_of(output: &str, run: &str) -> String {
    let mut lines = output.lines().skip_while(|line| !line.starts_with(run));
    let first = lines.next().unwrap_or_default();
    [first].into_iter().chain(lines.take_while(|line| line.starts_with(' '))).collect::<Vec<_>>().join("\n")
}

/// The output without what a clock or a port decides.
fn verdicts(output: &str) -> String {
    let outcome = |line: &&str| line.starts_with("  ") || line.contains(" calls  ");
    output.lines().filter(outcome).collect::<Vec<_>>().join("\n")
}

#[test]
fn enforce_stops_every_attack_and_no_honest_run_the_same_over_both_channels() {
    let (tcp, tcp_out) = run(&["--channel", "tcp"]);
    let (local, local_out) = run(&["--channel", "local"]);
    assert_eq!((tcp, local), (0, 0), "{tcp_out}{local_out}");
    assert_eq!(verdicts(&tcp_out), verdicts(&local_out));
    assert!(tcp_out.contains("audit log verifies"), "{tcp_out}");
    assert!(!tcp_out.contains("GOT THROUGH") && !tcp_out.contains("HONEST RUN STOPPED"), "{tcp_out}");
}

#[test]
fn off_and_shadow_let_every_attack_through_and_say_so_with_status_3() {
    for mode in ["off", "shadow"] {
        let (status, output) = run(&["--mode", mode, "--channel", "local"]);
        assert_eq!(status, 3, "{output}");
        assert!(output.contains(&format!("mode {mode}: 11 attacks got through")), "{output}");
    }
    let (_, shadow) = run(&["--mode", "shadow"]);
    assert!(shadow.contains("12 flagged ones"), "{shadow}");
}

#[test]
fn editing_a_recipient_changes_the_verdict() {
    // The attacker's account replaced by the one that the user named: the call is the user's own.
    let rent = "DE44500105175407324931";
    let data = edited("own-payee", "MT84MALT011000012345MTLCAST001S", rent);
    let (status, output) = run(&["--data", data.to_str().expect("UTF-8")]);
    let lines = lines_of(&output, "files/planted-payee");
    assert!(lines.contains("GOT THROUGH") && status == 1, "{output}");
    std::fs::remove_dir_all(data).expect("removed");

    // The user's own payee replaced by a stranger's: the honest run is stopped, with the reason.
    let honest =
        r#""args": {"recipient": "DE44500105175407324931", "amount": "950.00", "subject": "Rent March"}"#;
    let strange = honest.replace(rent, "FR7630006000011234567890189");
    let data = edited("strange-payee", honest, &strange);
    let (status, output) = run(&["--data", data.to_str().expect("UTF-8")]);
    let lines = lines_of(&output, "pay/rent");
    assert!(lines.contains("HONEST RUN STOPPED") && lines.contains("`recipient`"), "{output}");
    assert_eq!(status, 1);
    std::fs::remove_dir_all(data).expect("removed");
}

#[test]
fn bad_usage_and_input_end_with_status_2_and_one_sentence() {
    let broken = edited("broken", r#""kind": "call""#, r#""kind": "shout""#);
    let broken = broken.to_str().expect("UTF-8");
    for flags in [&["--mode", "on"][..], &["--what"], &["--data", "/nonexistent"], &["--data", broken]] {
        let (status, output) = run(flags);
        assert_eq!(status, 2, "{output}");
        assert_eq!(output.trim_end().lines().count(), 1, "{output}");
        assert!(output.starts_with("guarded_agent: "), "{output}");
    }
    std::fs::remove_dir_all(broken).expect("removed");
}
