//! A service that uses every shape of call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{StreamExt, stream};
use graft_ugm::{CallContext, Handle, Items, interface};

/// Counts those that are alive.
pub struct Alive(pub Arc<AtomicUsize>);

impl Alive {
    pub fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Default)]
pub struct Desk {
    /// Producers that nobody dropped.
    pub alive: Arc<AtomicUsize>,
    /// Items that were produced.
    pub made: Arc<AtomicUsize>,
}

#[interface(crate = "graft_ugm")]
impl Desk {
    /// Server stream.
    #[interface(effect = "read-only", trust = "trusted", idempotent)]
    pub fn count(&self, to: u32) -> Items<u32> {
        let (alive, made) = (Alive::new(&self.alive), self.made.clone());
        Items::new(stream::iter(0..to).inspect(move |_| {
            let _ = &alive;
            made.fetch_add(1, Ordering::SeqCst);
        }))
    }

    /// Client stream.
    #[interface(args(numbers = "destination"))]
    pub async fn sum(&self, start: u64, mut numbers: Items<u64>) -> Result<u64, String> {
        let mut sum = start;
        while let Some(number) = numbers.next().await {
            sum += number.map_err(|fault| fault.code().as_str().to_owned())?;
            if sum > 1_000_000 {
                return Err("too much".to_owned());
            }
        }
        Ok(sum)
    }

    /// Both ways.
    #[interface(idempotent)]
    pub fn double(&self, numbers: Items<u32>) -> Result<Items<u64>, String> {
        Ok(Items::try_new(numbers.map(|number| number.map(|number| u64::from(number) * 2))))
    }

    pub fn breaks(&self) -> Items<u32> {
        Items::new(stream::iter(0..).map(|n| if n == 2 { panic!("a producer of the user") } else { n }))
    }

    /// An object.
    #[interface(effect = "read-only", trust = "trusted", sensitivity = "secret")]
    pub async fn account(&self, name: &str) -> Result<Handle<Account>, String> {
        if name.is_empty() {
            return Err("no name".to_owned());
        }
        Ok(Handle::new(Arc::new(Account { name: name.to_owned(), alive: Alive::new(&self.alive) })))
    }

    /// A callback.
    pub async fn each(&self, to: u32, listener: Handle<Listener>) -> u32 {
        let mut heard = 0;
        let listener = listener.client();
        for n in 0..to {
            heard += listener.on(n).await.map_or(100, |answer| answer.release(super::WHY).0);
        }
        heard
    }

    /// Waits for ever while it holds on to its argument.
    pub async fn hangs(&self, mut numbers: Items<u64>) {
        while numbers.next().await.is_some() {}
        std::future::pending::<()>().await;
    }

    /// What it knows of the call.
    pub async fn context(&self, name: &str, context: &CallContext<'_>) -> Vec<String> {
        vec![
            context.header(name).unwrap_or_default().to_owned(),
            context.trace().to_string(),
            context.deadline().is_some().to_string(),
            context.credential().is_some().to_string(),
            context.peer().is_some().to_string(),
            context.call().to_string(),
        ]
    }
}

pub struct Account {
    name: String,
    alive: Alive,
}

#[interface(crate = "graft_ugm")]
impl Account {
    #[interface(effect = "read-only", trust = "trusted")]
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// A stream of an object that a call gave.
    pub fn lines(&self, count: u8) -> Items<String> {
        let name = self.name.clone();
        Items::new(stream::iter(0..count).map(move |n| format!("{name} {n}")))
    }

    /// An interface that speaks of itself.
    pub fn child(&self, name: String) -> Handle<Account> {
        Handle::new(Arc::new(Account {
            name: format!("{}/{name}", self.name),
            alive: Alive::new(&self.alive.0),
        }))
    }
}

pub struct Listener(pub std::sync::Mutex<Vec<u32>>);

#[interface(crate = "graft_ugm")]
impl Listener {
    #[interface(sensitivity = "internal")]
    pub fn on(&self, number: u32) -> u32 {
        let mut heard = self.0.lock().expect("no panic");
        heard.push(number);
        number
    }
}
