//! The runtimes that client and server run on; the order of contenders changes with them.

use std::future::Future;
use std::sync::Arc;
use std::thread::JoinHandle;

use futures::channel::oneshot;
use futures::executor::block_on;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::harness::Failure;

/// Where client and server run.
pub struct Threads {
    /// What it is called in titles.
    pub name: &'static str,
    client: Arc<Host>,
    server: Arc<Host>,
}

impl Threads {
    /// One runtime with two worker threads for both.
    pub fn two() -> Result<Self, Failure> {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let host = Arc::new(Host::Many(runtime));
        Ok(Self { name: "two worker threads", client: host.clone(), server: host })
    }

    /// One runtime with one thread for both.
    pub fn one() -> Result<Self, Failure> {
        let host = Arc::new(Host::one()?);
        Ok(Self { name: "one thread", client: host.clone(), server: host })
    }

    /// A runtime with one thread for each.
    pub fn apart() -> Result<Self, Failure> {
        Ok(Self {
            name: "client and server on a thread each",
            client: Arc::new(Host::one()?),
            server: Arc::new(Host::one()?),
        })
    }

    /// The ways to set them up.
    pub fn all() -> [fn() -> Result<Self, Failure>; 3] {
        [Self::two, Self::one, Self::apart]
    }

    /// Does `work` where the client runs, as a task like those of a service.
    pub fn client<F>(&self, work: F) -> Result<F::Output, Failure>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        Ok(block_on(self.client.handle().spawn(work))?)
    }

    /// Does `work` where the server runs.
    pub fn server<F>(&self, work: F) -> Result<F::Output, Failure>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        Ok(block_on(self.server.handle().spawn(work))?)
    }
}

enum Host {
    Many(Runtime),
    One { handle: Handle, stop: Option<oneshot::Sender<()>>, thread: Option<JoinHandle<()>> },
}

impl Host {
    fn one() -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("one".to_owned());
        // Dropped, `stop` ends it too.
        let thread = thread.spawn(move || runtime.block_on(stopped).unwrap_or_default())?;
        Ok(Self::One { handle, stop: Some(stop), thread: Some(thread) })
    }

    fn handle(&self) -> &Handle {
        match self {
            Self::Many(runtime) => runtime.handle(),
            Self::One { handle, .. } => handle,
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Self::One { stop, thread, .. } = self {
            drop(stop.take());
            // A thread that panicked has said so itself.
            drop(thread.take().map(JoinHandle::join));
        }
    }
}
