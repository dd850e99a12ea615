//! Plans as JSON: in a run, or in a file of their own.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::FileError;
use super::json::{Object, parse, shown};
use super::registry::version;
use crate::dataflow::plan::{
    Form, Kind, Literal, Origin, Pick, Plan, PlanError, Returned, Select, Source, Step,
};

/// Plans by the ids of their runs, out of files with one JSON object a line: `{"id":..,"plan":..}`.
///
/// ```
/// use graft_security::dataflow::files::Plans;
/// let mut plans = Plans::default();
/// plans.read("plans.jsonl", br#"{"id": "a", "plan": {"sinks": ["send_email"]}}"#)?;
/// assert!(plans.take("a").is_some_and(|plan| plan.names("send_email")));
/// assert_eq!(plans.left(), 0);
/// # Ok::<(), graft_security::dataflow::files::FileError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Plans(BTreeMap<String, Plan>);

impl Plans {
    /// Adds those of the file that the user knows as `file`. Empty lines are passed over.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line. An unknown field is, and so is an id for which there is a
    /// plan already, in whichever file.
    pub fn read(&mut self, file: &str, bytes: &[u8]) -> Result<(), FileError> {
        let before = self.0.len();
        for (at, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
            if !line.iter().all(u8::is_ascii_whitespace) {
                self.read_line(line).map_err(|what| FileError::new(file, what).at_line(at + 1))?;
            }
        }
        if self.0.len() == before {
            return Err(FileError::new(file, "the file has no plans; it holds one JSON object a line"));
        }
        Ok(())
    }

    fn read_line(&mut self, line: &[u8]) -> Result<(), String> {
        let mut top = Object::new(parse(line)?, "")?;
        version(&mut top)?;
        let id = top.need_text("id")?;
        let plan = top.take("plan").ok_or("`plan` is missing")?;
        let plan = read(plan)?;
        top.finish()?;
        match self.0.insert(id, plan) {
            None => Ok(()),
            Some(_) => Err("there is a plan for this `id` already; keep one".to_owned()),
        }
    }

    /// Takes the plan of the run `id` out.
    pub fn take(&mut self, id: &str) -> Option<Plan> {
        self.0.remove(id)
    }

    /// How many nobody took.
    pub fn left(&self) -> usize {
        self.0.len()
    }
}

/// A plan as it stands under the key `plan`.
pub(super) fn read(value: Value) -> Result<Plan, String> {
    let mut object = Object::new(value, "plan")?;
    let (sinks, steps) = (object.take("sinks"), object.take("steps"));
    let delegated = object.flag("delegated")?.unwrap_or(false);
    let reason = object.text("reason")?;
    object.finish()?;
    let plan = match (sinks, steps) {
        (Some(Value::Array(sinks)), None) => {
            let sinks = sinks
                .iter()
                .enumerate()
                .map(|(i, sink)| sink.as_str().ok_or_else(|| format!("`plan.sinks[{i}]` must be text")));
            Plan::sinks(sinks.collect::<Result<Vec<_>, _>>()?)
        }
        (None, Some(Value::Array(steps))) => {
            let mut plan = Plan::bound();
            for (i, step) in steps.into_iter().enumerate() {
                let (tool, args) = read_step(step, &format!("plan.steps[{i}]"))?;
                plan = plan.step(tool, |step| {
                    args.into_iter().fold(step, |step, (name, source)| step.arg(name, source))
                });
            }
            plan.build()
        }
        (Some(_), None) => return Err("`plan.sinks` must be a list".to_owned()),
        (None, Some(_)) => return Err("`plan.steps` must be a list".to_owned()),
        _ => return Err("a `plan` has either `sinks` or `steps`".to_owned()),
    };
    let plan = plan.map_err(|error| complaint(&error))?;
    Ok(Plan { delegated, reason, ..plan })
}

/// A complaint of the plan's own, as one of a file.
fn complaint(error: &PlanError) -> String {
    error.to_string().replacen('`', "`plan.", 1)
}

fn read_step(value: Value, at: &str) -> Result<(String, Vec<(String, Source)>), String> {
    let mut object = Object::new(value, at)?;
    let tool = object.need_text("tool")?;
    let args = object.members("args")?.into_iter();
    let args = args.map(|(name, source)| {
        let source = read_source(source, &format!("{at}.args.{}", shown(&name)))?;
        Ok((name, source))
    });
    let args = args.collect::<Result<_, String>>()?;
    object.finish()?;
    Ok((tool, args))
}

fn read_source(value: Value, at: &str) -> Result<Source, String> {
    let mut object = Object::new(value, at)?;
    let flags = [("prompt", Source::prompt()), ("self", Source::own_id()), ("any", Source::any())];
    let mut sources = Vec::new();
    if let Some(value) = object.take("literal") {
        sources.push(Source::literal(literal(value, &object.path("literal"))?));
    }
    for (word, source) in flags {
        match object.flag(word)? {
            None => {}
            Some(true) => sources.push(source),
            Some(false) => return Err(format!("`{}` must be true, or left out", object.path(word))),
        }
    }
    if let Some(tool) = object.text("from")? {
        sources.push(read_returned(tool, &mut object)?.into());
    }
    object.finish()?;
    match (sources.pop(), sources.is_empty()) {
        (Some(source), true) => Ok(source),
        _ => Err(format!("`{at}` must have one of `literal`, `prompt`, `self`, `from`, `any`")),
    }
}

fn read_returned(tool: String, object: &mut Object) -> Result<Returned, String> {
    let mut source = Source::from(tool);
    let with = object.path("with");
    for (name, value) in object.members("with")? {
        let value = literal(value, &format!("{with}.{}", shown(&name)))?;
        source = source.with(name, value);
    }
    if let Some(path) = object.text("path")? {
        source = source.path(&path);
    }
    let kinds = "`email`, `url`, `iban`, `phone`, `number`, `date`, `id`, `name`, `text`";
    if let Some(kind) = object.word::<Kind>("kind", kinds)? {
        source = source.kind(kind);
    }
    if let Some(pick) = object.text("pick")? {
        let pick = pick.parse::<Pick>().map_err(|()| {
            let picks = "`only`, `any`, `first`, `last`, `max:FIELD`, `min:FIELD`, `where:FIELD=VALUE`";
            format!("`{}` must be one of {picks}", object.path("pick"))
        })?;
        source = source.pick(pick);
    }
    Ok(source)
}

fn literal(value: Value, at: &str) -> Result<Literal, String> {
    match value {
        Value::String(text) => Ok(Literal::Text(text)),
        Value::Bool(flag) => Ok(Literal::Flag(flag)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(Literal::Int(whole)),
            (None, Some(number)) => Ok(Literal::Float(number)),
            (None, None) => Err(format!("`{at}` is a number out of bounds")),
        },
        Value::Array(all) => {
            let all = all.into_iter().enumerate().map(|(i, one)| literal(one, &format!("{at}[{i}]")));
            all.collect::<Result<_, _>>().map(Literal::List)
        }
        Value::Null | Value::Object(_) => {
            Err(format!("`{at}` must be text, a number, true or false, or a list of these"))
        }
    }
}

impl Plan {
    /// The plan as a file holds it. Reading that gives the same plan.
    pub fn to_json(&self) -> Value {
        let mut plan = match &self.form {
            Form::Sinks(sinks) => json!({ "sinks": sinks }),
            Form::Bound(steps) => json!({ "steps": steps.iter().map(printed_step).collect::<Vec<_>>() }),
        };
        if self.delegated {
            plan["delegated"] = true.into();
        }
        if let Some(reason) = &self.reason {
            plan["reason"] = reason.as_str().into();
        }
        plan
    }
}

fn printed_step(step: &Step) -> Value {
    let args: Map<String, Value> =
        step.args.iter().map(|(name, source)| (name.clone(), printed_source(source))).collect();
    json!({ "tool": step.tool, "args": args })
}

fn printed_source(source: &Source) -> Value {
    match &source.0 {
        Origin::Literal(literal) => json!({ "literal": printed(literal) }),
        Origin::Prompt => json!({ "prompt": true }),
        Origin::OwnId => json!({ "self": true }),
        Origin::Any => json!({ "any": true }),
        Origin::Returned(Returned { tool, with, path, kind, pick, .. }) => {
            let mut source = json!({ "from": tool });
            if !with.is_empty() {
                let with = with.iter().map(|(name, value)| (name.clone(), printed(value)));
                source["with"] = with.collect::<Map<_, _>>().into();
            }
            if let Some(path) = path.as_ref().map(Select::to_string) {
                source["path"] = path.into();
            }
            if let Some(kind) = kind {
                source["kind"] = kind.as_str().into();
            }
            if *pick != Pick::Only {
                source["pick"] = pick.to_string().into();
            }
            source
        }
    }
}

fn printed(literal: &Literal) -> Value {
    match literal {
        Literal::Text(text) => text.as_str().into(),
        Literal::Int(number) => (*number).into(),
        Literal::Float(number) => (*number).into(),
        Literal::Flag(flag) => (*flag).into(),
        Literal::List(all) => all.iter().map(printed).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: &str = r#"{"version":1,"id":"a","plan":{"steps":[{"tool":"send","args":{"to":{"from":"find","with":{"name":"Dora","n":[1,2.5,true]},"path":"$..email","kind":"email","pick":"where:a=b=c"},"id":{"literal":7},"by":{"self":true},"about":{"prompt":true},"text":{"any":true}}}],"delegated":true,"reason":"r"}}"#;
    const SINKS: &str = r#"{"id":"b","plan":{"sinks":["send","pay"]}}"#;

    fn complaint(text: &str) -> String {
        let complaint = Plans::default().read("p.jsonl", text.as_bytes()).expect_err(text).to_string();
        assert!(complaint.chars().count() < 400 && !complaint.contains(char::is_control), "{complaint}");
        complaint
    }

    #[test]
    fn a_plan_reads_as_the_builder_says_it() {
        let mut plans = Plans::default();
        plans.read("p.jsonl", format!("\n{BOUND}\n{SINKS}\n").as_bytes()).expect("reads");
        let bound = Plan::bound().delegated().step("send", |step| {
            let found = Source::from("find").with("name", "Dora").path("$..email").kind(Kind::Email);
            let n = Literal::List(vec![1.into(), 2.5.into(), true.into()]);
            step.arg("to", found.with("n", n).whose("a", "b=c"))
                .arg("id", Source::literal(7))
                .arg("by", Source::own_id())
                .arg("about", Source::prompt())
                .arg("text", Source::any())
        });
        let bound = Plan { reason: Some("r".to_owned()), ..bound.build().expect("good") };
        assert_eq!(plans.take("a"), Some(bound));
        assert_eq!(plans.take("b"), Some(Plan::sinks(["pay", "send"]).expect("good")));
        assert_eq!((plans.take("a"), plans.left()), (None, 0));
    }

    #[test]
    fn a_plan_prints_as_what_it_was_read_from() {
        for text in [BOUND, SINKS] {
            let line: Value = serde_json::from_str(text).expect("JSON");
            let plan = read(line["plan"].clone()).expect("reads");
            assert_eq!(read(plan.to_json()), Ok(plan));
        }
        for pick in ["only", "any", "first", "last", "max:size", "min:a:b", "where:a="] {
            assert_eq!(pick.parse::<Pick>().map(|pick| pick.to_string()), Ok(pick.to_owned()));
        }
    }

    #[test]
    fn every_field_that_is_wrong_is_named() {
        for (from, to, named) in [
            (r#""version":1"#, r#""version":2"#, "version 2"),
            (r#""id":"a""#, r#""id":1"#, "`id` must be text"),
            (r#""id":"a","#, "", "`id` is missing"),
            (r#""plan":{"#, r#""plan":[],"x":{"#, "`plan` must be an object"),
            (r#""plan":"#, r#""plans":"#, "`plan` is missing"),
            (r#""version":1"#, r#""version":1,"note":"""#, "`note` is not a field of this format"),
            (r#""steps":["#, r#""sinks":[],"steps":["#, "either `sinks` or `steps`"),
            (r#""steps":["#, r#""stepps":["#, "`plan.stepps` is not a field of this format"),
            (r#""reason":"r""#, r#""reason":[]"#, "`plan.reason` must be text"),
            (r#""delegated":true"#, r#""delegated":"yes""#, "`plan.delegated` must be true or false"),
            (r#"{"tool":"send","args""#, r#"{"args""#, "`plan.steps[0].tool` is missing"),
            (r#""tool":"send""#, r#""tool":"se nd""#, "`plan.steps[0].tool` is not the name of a tool"),
            (r#""tool":"send""#, r#""tool":"send","to":1"#, "`plan.steps[0].to` is not a field"),
            (r#""args":{"to""#, r#""args":[{"to""#, "JSON"),
            (r#"{"self":true}"#, "7", "`plan.steps[0].args.by` must be an object"),
            (r#"{"self":true}"#, "{}", "`plan.steps[0].args.by` must have one of"),
            (r#"{"self":true}"#, r#"{"self":true,"any":true}"#, "`plan.steps[0].args.by` must have one of"),
            (r#"{"self":true}"#, r#"{"self":false}"#, "`plan.steps[0].args.by.self` must be true"),
            (
                r#"{"self":true}"#,
                r#"{"self":true,"pick":"any"}"#,
                "`plan.steps[0].args.by.pick` is not a field",
            ),
            (
                r#"{"literal":7}"#,
                r#"{"literal":{"a":1}}"#,
                "`plan.steps[0].args.id.literal` must be text, a number",
            ),
            (r#"{"literal":7}"#, r#"{"literal":[null]}"#, "`plan.steps[0].args.id.literal[0]` must be text"),
            (r#""from":"find""#, r#""from":7"#, "`plan.steps[0].args.to.from` must be text"),
            (r#""from":"find""#, r#""from":"""#, "`plan.steps[0].args.to.from` is not the name of a tool"),
            (r#""name":"Dora""#, r#""name":{}"#, "`plan.steps[0].args.to.with.name` must be text"),
            (r#""with":{"#, r#""with":[],"what":{"#, "`plan.steps[0].args.to.with` must be an object"),
            ("$..email", "email", "`plan.steps[0].args.to.path` is not a path into a result"),
            (r#""kind":"email""#, r#""kind":"fax""#, "`plan.steps[0].args.to.kind` must be one of `email`"),
            ("where:a=b=c", "where:a", "`plan.steps[0].args.to.pick` must be one of `only`"),
            ("where:a=b=c", "max:", "`plan.steps[0].args.to.pick` must be one of `only`"),
            (r#""to":{"#, r#""t\u001b[2Jo":{"at":1,"#, "`plan.steps[0].args.t\\u{1b}[2Jo.at` is not a field"),
            (r#""id":{"#, r#""to":{"#, "same key twice"),
        ] {
            assert!(BOUND.contains(from), "{from}");
            let complaint = complaint(&format!("{SINKS}\n{}", BOUND.replacen(from, to, 1)));
            assert!(
                complaint.contains(named) && complaint.starts_with("p.jsonl, line 2: "),
                "{from} -> {to}: {complaint}"
            );
        }
        assert!(complaint(r#"{"id":"a","plan":{"sinks":["a",1]}}"#).contains("`plan.sinks[1]` must be text"));
        assert!(
            complaint(r#"{"id":"a","plan":{"sinks":["a b"]}}"#).contains("`plan.sinks[0]` is not the name")
        );
        assert!(complaint(r#"{"id":"a","plan":{"sinks":{}}}"#).contains("`plan.sinks` must be a list"));
        assert!(complaint(r#"{"id":"a","plan":{"steps":1}}"#).contains("`plan.steps` must be a list"));
    }

    #[test]
    fn a_second_plan_for_a_run_is_refused_in_whichever_file() {
        assert!(
            complaint(&format!("{SINKS}\n\n{SINKS}"))
                .contains("line 3: there is a plan for this `id` already")
        );
        let mut plans = Plans::default();
        plans.read("p", SINKS.as_bytes()).expect("reads");
        let again = plans.read("q", SINKS.as_bytes()).expect_err("refused").to_string();
        assert_eq!(again, "q, line 1: there is a plan for this `id` already; keep one");
    }

    #[test]
    fn empty_cut_and_hostile_files_are_refused() {
        assert!(complaint("").contains("no plans") && complaint("\n \n").contains("no plans"));
        for end in 1..BOUND.len() {
            assert!(complaint(&BOUND[..end]).starts_with("p.jsonl, line 1: "));
        }
        assert!(complaint(&format!("{{\"plan\":{}", "[".repeat(400_000))).contains("nested"));
        let literal = format!(
            r#"{{"id":"a","plan":{{"steps":[{{"tool":"t","args":{{"a":{{"literal":{}7{}}}}}}}]}}}}"#,
            "[".repeat(99),
            "]".repeat(99)
        );
        Plans::default().read("p", literal.as_bytes()).expect("deep, and within the bounds");
        let steps = r#"{"tool":"t"},"#.repeat(256);
        let many = format!(r#"{{"id":"a","plan":{{"steps":[{steps}{{"tool":"t"}}]}}}}"#);
        assert!(complaint(&many).contains("`plan.steps` has more than 256 parts"));
        assert!(Plans::default().read("p", b"{\"id\":\"\xff\"}").is_err());
    }

    proptest::proptest! {
        #[test]
        fn a_damaged_plan_is_read_or_refused(at in 0..BOUND.len(), with in "\\PC{0,3}") {
            if let Some((before, after)) = BOUND.split_at_checked(at) {
                let _ = Plans::default().read("p", format!("{before}{with}{}", after.get(1..).unwrap_or("")).as_bytes());
            }
        }
    }
}
