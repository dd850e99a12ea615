//! Objects that a guarded caller hands out: what the other side sends to them passes the guards too.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::ports::{Member, Ongoing};
use crate::{
    Body, Clearance, Fault, FaultCode, InterfaceId, Invoke, Label, Leaves, Method, MethodId, Outcome,
    OutputTrust, Reply, Request, ToolMetadata, Watch,
};

/// An object among the arguments, as the other side calls it.
pub(super) struct Callback {
    object: Arc<dyn Invoke>,
    clearance: Clearance,
    watch: Arc<dyn Watch>,
}

impl Callback {
    pub(super) fn new(call: Arc<Ongoing>, object: Arc<dyn Invoke>) -> Self {
        Self { object, clearance: call.clearance, watch: Arc::new(Inward::of(call)) }
    }
}

impl Invoke for Callback {
    fn interface(&self) -> InterfaceId {
        self.object.interface()
    }

    fn hosts(&self, interface: InterfaceId) -> bool {
        self.object.hosts(interface)
    }

    fn method(&self, id: MethodId) -> Option<&Method> {
        self.object.method(id)
    }

    fn invoke<'a>(&'a self, request: Request<'a>, body: Body<'a>) -> BoxFuture<'a, Result<Label, Fault>> {
        let trace = request.meta.trace.trace;
        let call = self.object.invoke(Request { watch: Some(&self.watch), ..request }, body);
        Box::pin(async move {
            let label = call.await?;
            // What it returns goes out where the call went.
            match self.clearance.admits(&label) {
                true => Ok(label),
                false => Err(Fault::new(FaultCode::ClearanceExceeded, trace)),
            }
        })
    }
}

/// What comes in through an object that was among the arguments: it is seen as output of the call.
struct Inward {
    ongoing: Arc<Ongoing>,
    /// The method with the labels of what strangers send: nothing declares the trust of what comes in this way.
    tool: ToolMetadata,
}

impl Inward {
    fn of(ongoing: Arc<Ongoing>) -> Self {
        let tool = ToolMetadata {
            trust: OutputTrust::Untrusted,
            sensitivity: ongoing.declared.sensitivity(),
            fields: Default::default(),
            vouches: Default::default(),
            records: Vec::new(),
            resources: Vec::new(),
            ..ongoing.method.tool.clone()
        };
        Self { ongoing, tool }
    }

    fn came(&self, value: &(dyn Leaves + Sync), label: &Label) -> Result<(), Fault> {
        let mut state = self.ongoing.state();
        state.raise(label);
        state.resource = None;
        let reply = Reply::new(Outcome::Value(value), self.tool.output_label().join(label));
        self.ongoing.came(&self.tool, &state, reply).map(drop)
    }
}

impl Watch for Inward {
    fn item(&self, name: &'static str, item: &(dyn Leaves + Sync)) -> Result<(), Fault> {
        self.came(&Member { name, value: item }, &Label::bottom())
    }

    fn object(self: Arc<Self>, object: Arc<dyn Invoke>) -> Arc<dyn Invoke> {
        object
    }

    fn arguments(&self, args: &(dyn Leaves + Sync), label: &Label) -> Result<(), Fault> {
        self.came(args, label)
    }
}
