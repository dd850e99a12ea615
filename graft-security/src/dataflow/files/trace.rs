//! Live runs written in the format that `graft replay` reads.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard};

use graft_core::{Call, Done, Fault, Interceptor, Leaf, Leaves, Outcome, Path, Reply, RunId, Segment};
use serde_json::{Map, Value, json};

use super::run::MAX_LINE;
use crate::dataflow::plan::Plan;

/// Writes one line for each run. **The lines hold arguments and results**: nothing else in the family
/// does, so whoever makes one says so, and keeps the file as private as the data.
///
/// ```
/// use graft_core::RunId;
/// use graft_security::dataflow::files::TraceWriter;
/// let writer = TraceWriter::danger_holds_values(Vec::new(), "tools");
/// let run = writer.begin(RunId([7; 16]), "what does the page say?");
/// // Put `run` among the interceptors of the run's calls, then:
/// run.finish()?;
/// # Ok::<(), graft_security::dataflow::files::TraceError>(())
/// ```
pub struct TraceWriter {
    writer: Mutex<Box<dyn Write + Send>>,
    registry: String,
}

/// The run was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// It is longer than a line may be.
    #[error("the run is longer than 16 MiB, so its trace was not written; begin a new run for each task")]
    TooLong,
    /// The writer failed.
    #[error("the trace could not be written; look at its disk")]
    Write,
}

impl TraceWriter {
    /// Writes to `writer`; the runs name `registry` as the labels of their tools.
    pub fn danger_holds_values(
        writer: impl Write + Send + 'static,
        registry: impl Into<String>,
    ) -> Arc<Self> {
        Arc::new(Self { writer: Mutex::new(Box::new(writer)), registry: registry.into() })
    }

    /// Begins the trace of a run. The result is an interceptor for its calls.
    pub fn begin(self: &Arc<Self>, run: RunId, prompt: &str) -> Arc<TraceRun> {
        let events = Mutex::new(Events {
            list: Some(Vec::new()),
            plan: None,
            items: BTreeMap::new(),
            bytes: prompt.len(),
        });
        Arc::new(TraceRun { writer: self.clone(), id: run.to_string(), prompt: prompt.to_owned(), events })
    }
}

/// The trace of one run, as it grows.
pub struct TraceRun {
    writer: Arc<TraceWriter>,
    id: String,
    prompt: String,
    events: Mutex<Events>,
}

struct Events {
    /// `None` once the trace is too long, or written.
    list: Option<Vec<Value>>,
    plan: Option<Value>,
    /// What came back of calls that have not ended, by their number.
    items: BTreeMap<u64, Vec<Value>>,
    bytes: usize,
}

impl TraceRun {
    /// Notes the plan that was sealed for the run.
    pub fn sealed(&self, plan: &Plan) {
        lock(&self.events).plan = Some(plan.to_json());
    }

    /// Writes the run's line. What is called after it is not in it.
    ///
    /// # Errors
    /// [`TraceError`] if nothing, or not all of it, was written. A second call is one too.
    pub fn finish(&self) -> Result<(), TraceError> {
        let (events, plan) = {
            let mut events = lock(&self.events);
            (events.list.take().ok_or(TraceError::TooLong)?, events.plan.take())
        };
        let mut line = json!({
            "version": 1,
            "id": self.id,
            "user_prompt": self.prompt,
            "registry": self.writer.registry,
            "events": events,
        });
        if let Some(plan) = plan {
            line["plan"] = plan;
        }
        let line = format!("{line}\n");
        if line.len() > MAX_LINE {
            return Err(TraceError::TooLong);
        }
        let mut writer = lock(&self.writer.writer);
        writer.write_all(line.as_bytes()).and_then(|()| writer.flush()).map_err(|_| TraceError::Write)
    }

    fn push(&self, event: Value, bytes: usize) {
        if let Some(list) = &mut lock(&self.events).grown(bytes).list {
            list.push(event);
        }
    }
}

impl Events {
    /// These, with room for `bytes` more; or empty for good, once they are too long.
    fn grown(&mut self, bytes: usize) -> &mut Self {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_LINE {
            (self.list, self.items) = (None, BTreeMap::new());
        }
        self
    }
}

impl Interceptor for TraceRun {
    fn before(&self, call: &mut Call<'_>) -> Result<(), Fault> {
        let mut args = to_json(call.args);
        if !args.is_object() {
            args = json!({}); // a call without arguments
        }
        let bytes = args.to_string().len();
        let event = json!({ "kind": "call", "n": call.meta.call.0, "tool": call.tool.name, "args": args });
        self.push(event, bytes);
        Ok(())
    }

    fn after(&self, done: &Done<'_>, reply: &mut Reply<'_>) -> Result<(), Fault> {
        let output = match reply.outcome {
            Outcome::Value(output) | Outcome::DomainError(output) => Some(to_json(output)),
            Outcome::Fault(_) => None,
        };
        let mut items = lock(&self.events).items.remove(&done.meta.call.0).unwrap_or_default();
        let result = match (items.is_empty(), output) {
            (true, None) => return Ok(()),
            (true, Some(output)) => output,
            (false, output) => {
                items.extend(output.filter(|output| !output.is_null()));
                Value::Array(items)
            }
        };
        let text = result.to_string();
        let bytes = text.len();
        let (n, tool) = (done.meta.call.0, &done.tool.name);
        self.push(json!({ "kind": "result", "n": n, "tool": tool, "text": text, "format": "json" }), bytes);
        Ok(())
    }

    /// Puts it with the others of its stream into the call's arguments.
    fn before_item(&self, call: &mut Call<'_>) -> Result<(), Fault> {
        let item = to_json(call.args);
        let mut events = lock(&self.events);
        let Some(list) = &mut events.grown(item.to_string().len()).list else { return Ok(()) };
        let is_it = |event: &&mut Value| event["kind"] == "call" && event["n"] == call.meta.call.0;
        if let (Some(event), Value::Object(item)) = (list.iter_mut().rev().find(is_it), item) {
            for (name, value) in item {
                match &mut event["args"][name] {
                    Value::Array(items) => items.push(value),
                    place => *place = Value::Array(vec![value]),
                }
            }
        }
        Ok(())
    }

    /// Keeps it: all of them are the call's result, once it has ended.
    fn after_item(&self, done: &Done<'_>, reply: &mut Reply<'_>) -> Result<(), Fault> {
        if let Outcome::Value(item) = reply.outcome {
            let item = to_json(item);
            let mut events = lock(&self.events);
            let events = events.grown(item.to_string().len());
            if events.list.is_some() {
                events.items.entry(done.meta.call.0).or_default().push(item);
            }
        }
        Ok(())
    }
}

/// The value as JSON. Bytes become text, and what is not UTF-8 in them is replaced; a variant with fields
/// keeps its name under `$variant`.
fn to_json(value: &dyn Leaves) -> Value {
    let mut root = Value::Null;
    value.visit(&Path::ROOT, &mut |path, leaf| {
        let place = place(&mut root, path);
        *place = match leaf {
            Leaf::Str(text) | Leaf::Variant(text) => text.into(),
            Leaf::Int(number) => {
                i64::try_from(number).map_or_else(|_| number.to_string().into(), Value::from)
            }
            Leaf::Uint(number) => {
                u64::try_from(number).map_or_else(|_| number.to_string().into(), Value::from)
            }
            Leaf::Float(number) => number.into(),
            Leaf::Bool(flag) => flag.into(),
            Leaf::Bytes(bytes) => String::from_utf8_lossy(bytes).into(),
            Leaf::Key(_) | Leaf::Empty => Value::Null,
            Leaf::EmptyList => Value::Array(Vec::new()),
            Leaf::EmptyMap => Value::Object(serde_json::Map::new()),
        };
    });
    root
}

fn place<'v>(root: &'v mut Value, path: &Path<'_>) -> &'v mut Value {
    let Some((parent, segment)) = path.split_last() else { return root };
    let parent = place(root, parent);
    match segment {
        Segment::Index(index) => {
            if !parent.is_array() {
                *parent = Value::Array(Vec::new());
            }
            let Value::Array(items) = parent else { unreachable!("it was made one") };
            // Leaves come in order, so a list grows by one at a time.
            if items.len() <= index {
                items.push(Value::Null);
            }
            let last = items.len() - 1;
            &mut items[index.min(last)]
        }
        Segment::Field(name) | Segment::Key(name) => {
            if !parent.is_object() {
                let mut members = Map::new();
                if let Value::String(variant) = parent {
                    members.insert("$variant".to_owned(), std::mem::take(variant).into());
                }
                *parent = Value::Object(members);
            }
            let Value::Object(members) = parent else { unreachable!("it was made one") };
            members.entry(name).or_insert(Value::Null)
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_comes_back_as_it_was() {
        for text in [
            r#"{"a":[{"b":1},[true,-2.5],null],"c":"x"}"#,
            "[]",
            r#"{"a":[],"b":{},"c":null}"#,
            "7",
            r#"[[["deep"]]]"#,
            r#"{"k":{"k":{"k":"v"}}}"#,
        ] {
            let value: Value = serde_json::from_str(text).expect("JSON");
            assert_eq!(to_json(&value), value, "{text}");
        }
        assert_eq!(to_json(&b"ab".to_vec()), json!("ab"));
    }

    #[test]
    fn a_run_that_is_too_long_or_cannot_be_written_says_so() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let run = TraceWriter::danger_holds_values(Full, "r").begin(RunId([0; 16]), "p");
        assert_eq!(run.finish(), Err(TraceError::Write));
        let run = TraceWriter::danger_holds_values(Vec::new(), "r").begin(RunId([0; 16]), "p");
        run.push(json!({}), MAX_LINE);
        run.push(json!({}), 0);
        assert_eq!(run.finish(), Err(TraceError::TooLong));
    }
}
