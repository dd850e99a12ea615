//! Recorded runs: one JSON object a line.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, Read};

use serde_json::Value;

use super::FileError;
use super::json::{Object, parse};
use super::registry::version;
use crate::dataflow::plan::Plan;

/// The most bytes of one line.
pub const MAX_LINE: usize = 16 << 20;

/// A recorded run: what a policy may see, and what only a score may.
#[derive(Clone, Debug)]
pub struct Run {
    /// Unique within a replay; for reports.
    pub id: String,
    /// What a policy may see.
    pub input: RunInput,
    /// What it may not.
    pub scoring: Scoring,
    /// Fields that this version does not know; they were ignored.
    pub unknown_fields: usize,
}

/// The part of a run that a policy may see.
#[derive(Clone, Debug, PartialEq)]
pub struct RunInput {
    /// What the user asked.
    pub user_prompt: String,
    /// What the operator said.
    pub system: Option<String>,
    /// The run's sealed plan, if it has one.
    pub plan: Option<Plan>,
    /// Name of the registry whose tools the run calls.
    pub registry: Option<String>,
    /// What happened, in order.
    pub events: Vec<RunEvent>,
}

/// One event of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum RunEvent {
    /// A tool was called.
    Call {
        /// Number of the call in its run.
        n: u64,
        /// The tool.
        tool: String,
        /// The arguments, an object.
        args: Value,
        /// The call whose refusal makes this one pointless.
        moot_if_blocked: Option<u64>,
    },
    /// A call returned.
    Result {
        /// The call.
        n: u64,
        /// What came back.
        text: String,
        /// How to read it.
        format: ResultFormat,
    },
}

/// How a result is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultFormat {
    /// As JSON.
    Json,
    /// As text, which may still be a printed structure.
    Text,
}

/// Who wanted a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// The user.
    User,
    /// An instruction that somebody planted.
    Attacker,
}

/// The part of a run that only a score may see.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scoring {
    /// The suite it is counted under.
    pub suite: Option<String>,
    /// Whether nobody attacks in it.
    pub benign: Option<bool>,
    /// Who wanted each call, by its number.
    pub drivers: BTreeMap<u64, Driver>,
}

impl Scoring {
    /// Who wanted call `n`, where the file says so.
    pub fn driver(&self, n: u64) -> Option<Driver> {
        self.drivers.get(&n).copied()
    }
}

/// The runs of one file, in order. Empty lines are passed over.
pub struct Runs<R> {
    file: String,
    reader: R,
    line: usize,
    seen: usize,
}

impl<R: BufRead> Runs<R> {
    /// Reads the file that the user knows as `file`.
    pub fn new(file: impl Into<String>, reader: R) -> Self {
        Self { file: file.into(), reader, line: 0, seen: 0 }
    }

    /// The line that was read last, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    fn next_line(&mut self, line: &mut Vec<u8>) -> Result<bool, FileError> {
        line.clear();
        let mut bounded = (&mut self.reader).take(MAX_LINE as u64 + 1);
        let read = bounded.read_until(b'\n', line).map_err(|error| {
            FileError::new(&self.file, format!("it cannot be read: {}", error.kind())).at_line(self.line + 1)
        })?;
        self.line += usize::from(read > 0);
        if line.len() > MAX_LINE && line.last() != Some(&b'\n') {
            let what = format!("the line is longer than {} MiB; split the run", MAX_LINE >> 20);
            return Err(FileError::new(&self.file, what).at_line(self.line));
        }
        Ok(read > 0)
    }

    fn fail(&mut self, error: FileError) -> Option<Result<Run, FileError>> {
        self.seen = usize::MAX; // nothing after a fault is read
        Some(Err(error))
    }
}

impl<R: BufRead> Iterator for Runs<R> {
    type Item = Result<Run, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.seen == usize::MAX {
            return None;
        }
        let mut line = Vec::new();
        loop {
            match self.next_line(&mut line) {
                Err(error) => return self.fail(error),
                Ok(false) if self.seen == 0 => {
                    let what = "the file has no runs; it holds one JSON object a line";
                    return self.fail(FileError::new(&self.file, what));
                }
                Ok(false) => return None,
                Ok(true) if line.iter().all(u8::is_ascii_whitespace) => {}
                Ok(true) => break,
            }
        }
        self.seen += 1;
        match run(&line) {
            Ok(run) => Some(Ok(run)),
            Err(what) => self.fail(FileError::new(&self.file, what).at_line(self.line)),
        }
    }
}

fn run(line: &[u8]) -> Result<Run, String> {
    let mut top = Object::new(parse(line)?, "")?;
    version(&mut top)?;
    let id = top.need_text("id")?;
    if id.is_empty() {
        return Err("`id` is empty; each run has its own".to_owned());
    }
    let user_prompt = top.need_text("user_prompt")?;
    let system = top.text("system")?;
    let registry = top.text("registry")?;
    let plan = top.take("plan").map(super::plan::read).transpose()?;
    let events = match top.take("events") {
        Some(Value::Array(events)) => events,
        Some(_) => return Err("`events` must be a list".to_owned()),
        None => return Err("`events` is missing".to_owned()),
    };
    let mut reader = Events::default();
    for (i, value) in events.into_iter().enumerate() {
        reader.read(Object::new(value, &format!("events[{i}]"))?)?;
    }
    // Whatever the fields for scoring hold, the verdicts are the same; so none of them is an error.
    let scoring = Scoring {
        suite: top.take("suite").and_then(|suite| suite.as_str().map(str::to_owned)),
        benign: top.take("benign").and_then(|benign| benign.as_bool()),
        drivers: reader.drivers,
    };
    for known in SCORING_FIELDS {
        top.take(known);
    }
    let unknown_fields = reader.unknown + top.rest();
    Ok(Run {
        id,
        input: RunInput { user_prompt, system, plan, registry, events: reader.events },
        scoring,
        unknown_fields,
    })
}

/// Fields that score runs, or describe them to people, and that nothing here reads.
const SCORING_FIELDS: [&str; 11] = [
    "needs_person",
    "source",
    "user_task",
    "injection_task",
    "attack",
    "injection_goal",
    "attacker_script",
    "gt_edits",
    "model",
    "utility",
    "attack_type",
];

#[derive(Default)]
struct Events {
    events: Vec<RunEvent>,
    drivers: BTreeMap<u64, Driver>,
    calls: HashSet<u64>,
    returned: HashSet<u64>,
    unknown: usize,
}

impl Events {
    fn read(&mut self, mut event: Object) -> Result<(), String> {
        let path = event.path("kind");
        match event.need_text("kind")?.as_str() {
            "call" => self.call(&mut event)?,
            "result" => self.result(&mut event)?,
            "say" => drop(event.need_text("text")?),
            _ => return Err(format!("`{path}` must be one of `call`, `result`, `say`")),
        }
        self.unknown += event.rest();
        Ok(())
    }

    fn call(&mut self, event: &mut Object) -> Result<(), String> {
        let n = self.number(event)?;
        if !self.calls.insert(n) {
            return Err(format!(
                "`{}` is the number of an earlier call; each call has its own",
                event.path("n")
            ));
        }
        let tool = event.need_text("tool")?;
        let args = Value::Object(event.members("args")?);
        let moot_if_blocked = event.number("moot_if_blocked")?;
        match event.take("driven_by").as_ref().and_then(Value::as_str) {
            Some("user") => drop(self.drivers.insert(n, Driver::User)),
            Some("attacker") => drop(self.drivers.insert(n, Driver::Attacker)),
            _ => {}
        }
        self.events.push(RunEvent::Call { n, tool, args, moot_if_blocked });
        Ok(())
    }

    fn result(&mut self, event: &mut Object) -> Result<(), String> {
        let n = self.number(event)?;
        if !self.calls.contains(&n) {
            return Err(format!("`{}` is the number of no earlier call", event.path("n")));
        }
        if !self.returned.insert(n) {
            return Err(format!("`{}` is the number of a call that has returned already", event.path("n")));
        }
        event.text("tool")?;
        let text = event.need_text("text")?;
        let path = event.path("format");
        let format = match event.text("format")?.as_deref() {
            Some("json") => ResultFormat::Json,
            Some("text") | None => ResultFormat::Text,
            Some(_) => return Err(format!("`{path}` must be one of `json`, `text`")),
        };
        event.take("contains_injection");
        self.events.push(RunEvent::Result { n, text, format });
        Ok(())
    }

    fn number(&self, event: &mut Object) -> Result<u64, String> {
        let path = event.path("n");
        event.number("n")?.ok_or_else(|| format!("`{path}` is missing"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"version":1,"id":"a","user_prompt":"p","system":"s","registry":"r","suite":"x","benign":true,"events":[{"kind":"call","n":0,"tool":"t","args":{"to":1},"driven_by":"user","moot_if_blocked":9},{"kind":"result","n":0,"tool":"t","text":"x","format":"json","contains_injection":true},{"kind":"say","text":"w"}]}"#;

    fn first(text: &[u8]) -> Result<Run, FileError> {
        Runs::new("runs.jsonl", text).next().expect("one answer")
    }

    fn complaint(text: &str) -> String {
        first(text.as_bytes()).expect_err(text).to_string()
    }

    #[test]
    fn every_field_that_a_policy_sees_is_checked_and_named() {
        first(GOOD.as_bytes()).expect("the good one");
        for (from, to, named) in [
            (r#""version":1"#, r#""version":9"#, "version 9"),
            (r#""id":"a""#, r#""id":1"#, "`id`"),
            (r#""id":"a","#, "", "`id` is missing"),
            (r#""user_prompt":"p""#, r#""user_prompt":[]"#, "user_prompt"),
            (r#""system":"s""#, r#""system":1"#, "system"),
            (r#""registry":"r""#, r#""registry":{}"#, "registry"),
            (r#""events":["#, r#""events":7,"x":["#, "`events` must be a list"),
            (r#"{"kind":"say","text":"w"}"#, "3", "events[2]"),
            (r#""kind":"say""#, r#""kind":"sing""#, "events[2].kind"),
            (r#""n":0,"tool":"t","args""#, r#""n":-1,"tool":"t","args""#, "events[0].n"),
            (r#""tool":"t","args""#, r#""tool":null,"args""#, "events[0].tool"),
            (r#"{"to":1}"#, "[1]", "events[0].args"),
            (r#""moot_if_blocked":9"#, r#""moot_if_blocked":"9""#, "moot_if_blocked"),
            (r#""result","n":0"#, r#""result","n":1"#, "no earlier call"),
            (r#""text":"x""#, r#""text":5"#, "events[1].text"),
            (r#""format":"json""#, r#""format":"xml""#, "events[1].format"),
            (r#"{"kind":"say","text":"w"}"#, r#"{"kind":"call","n":0,"tool":"t"}"#, "earlier call"),
            (r#"{"kind":"say","text":"w"}"#, r#"{"kind":"result","n":0,"text":""}"#, "returned already"),
            (r#""suite":"x""#, r#""plan":{"sinks":[7]}"#, "`plan.sinks[0]` must be text"),
        ] {
            let bad = GOOD.replacen(from, to, 1);
            assert_ne!(bad, GOOD, "{from}");
            let complaint = complaint(&bad);
            assert!(complaint.contains(named), "{from} -> {to}: {complaint}");
            assert!(complaint.starts_with("runs.jsonl, line 1: "), "{complaint}");
        }
    }

    #[test]
    fn fields_for_scoring_hold_what_they_like() {
        let good = first(GOOD.as_bytes()).expect("parses");
        for (from, to) in [
            (r#""benign":true"#, r#""benign":"maybe","attack":{}"#),
            (r#""driven_by":"user","#, r#""driven_by":5,"#),
            (r#""contains_injection":true"#, r#""contains_injection":[]"#),
            (r#""suite":"x","#, ""),
        ] {
            let other = first(GOOD.replacen(from, to, 1).as_bytes()).expect("parses");
            assert_eq!(other.input, good.input, "{from}");
        }
    }

    #[test]
    fn unknown_fields_are_counted() {
        let run = first(
            GOOD.replacen(r#""suite""#, r#""sweet""#, 1).replacen("\"w\"", "\"w\",\"tone\":1", 1).as_bytes(),
        );
        assert_eq!(run.expect("parses").unknown_fields, 2);
    }

    #[test]
    fn empty_cut_long_and_hostile_files_are_refused() {
        assert!(complaint("").contains("no runs") && complaint("\n \n").contains("no runs"));
        for end in 1..GOOD.len() {
            assert!(complaint(&GOOD[..end]).starts_with("runs.jsonl, line 1: "));
        }
        assert!(first(b"{\"id\":\"\xff\"}").expect_err("refused").to_string().contains("UTF-8"));
        assert!(complaint(&format!("{{\"events\":{}", "[".repeat(400_000))).contains("nested"));
        let long = format!("\n\n{}\n", "x".repeat(MAX_LINE + 1));
        let error = first(long.as_bytes()).expect_err("refused");
        assert_eq!((error.line(), error.to_string().contains("16 MiB")), (Some(3), true));
    }

    #[test]
    fn nothing_after_a_fault_is_read() {
        let text = format!("{GOOD}\n{{}}\n{GOOD}\n");
        let all: Vec<_> = Runs::new("r", text.as_bytes()).collect();
        assert_eq!((all.len(), all[1].is_err()), (2, true));
    }
}
