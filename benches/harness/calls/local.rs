//! Calls that stay in this process, beside a direct call of a trait object.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures::executor::block_on;
use tokio::runtime::Runtime;

use super::Peer;
use super::graft_peer::{Bare, Echo, Guarded, local_channel};
use super::value::{Value, What};
use crate::harness::{Bar, Case, Failure, Round};

/// The floor: what is left of a call when one calls the trait object oneself.
pub trait Direct: Send + Sync {
    fn echo(&self, text: String) -> Pin<Box<dyn Future<Output = String> + Send + '_>>;
}

impl Direct for Echo {
    fn echo(&self, text: String) -> Pin<Box<dyn Future<Output = String> + Send + '_>> {
        Box::pin(async move { Echo::echo(self, text) })
    }
}

/// What the floor is called.
pub const DIRECT: &str = "a direct call";

/// What polls the calls.
#[derive(Clone, Copy)]
pub enum Executor<'a> {
    /// A bare one, for what needs no runtime.
    Bare,
    Tokio(&'a Runtime),
}

impl Executor<'_> {
    fn block_on<F: Future>(self, work: F) -> F::Output {
        match self {
            Self::Bare => block_on(work),
            Self::Tokio(runtime) => runtime.block_on(work),
        }
    }
}

/// Calls, one after the other, together.
fn case<'a, C, R>(name: &'static str, call: C) -> Case<'a>
where
    C: AsyncFnMut(String) -> Result<R, Failure> + 'a,
{
    case_on(Executor::Bare, name, call)
}

/// Calls, one after the other, together.
pub fn case_on<'a, C, R>(executor: Executor<'a>, name: &'static str, mut call: C) -> Case<'a>
where
    C: AsyncFnMut(String) -> Result<R, Failure> + 'a,
{
    Case::new(name, move |round: &mut Round| {
        executor.block_on(async {
            let calls = round.iterations();
            let start = round.start();
            for _ in 0..calls {
                std::hint::black_box(call(small()).await?);
            }
            round.stop(start, calls);
            Ok(())
        })
    })
}

/// As many guarded runs as it takes; beginning one is not timed.
fn in_runs<'a>(name: &'static str, peer: Guarded, how: How) -> Case<'a> {
    Case::new(name, move |round: &mut Round| {
        let mut left = round.iterations();
        while left > 0 {
            let calls = left.min(What::SMALL.calls_a_run());
            let (run, again) = (peer.begin()?, small());
            block_on(async {
                let start = round.start();
                for _ in 0..calls {
                    match how {
                        How::Read => drop(run.read(small()).await?),
                        How::Send => drop(run.call(Value::Text(small())).await?),
                        How::SendAgain => drop(run.call(Value::Text(again.clone())).await?),
                    }
                }
                round.stop(start, calls);
                Ok::<_, Failure>(())
            })?;
            left -= calls;
        }
        Ok(())
    })
}

#[derive(Clone, Copy)]
enum How {
    Read,
    Send,
    SendAgain,
}

/// The next 32 bytes.
pub fn small() -> String {
    match What::SMALL.make::<Bare>() {
        Value::Text(text) => text,
        _ => String::new(),
    }
}

/// The floor, bare, and guarded in three ways.
pub fn cases<'a>() -> Result<Vec<Case<'a>>, Failure> {
    let direct: Arc<dyn Direct> = Arc::new(Echo);
    let bare = Bare::over(local_channel());
    let guarded = Guarded::over(local_channel())?;
    let again = "graft, guarded, the same text each time";
    Ok(vec![
        case(DIRECT, async move |text| Ok(direct.echo(text).await)),
        case("graft, bare", async move |text| bare.call(Value::Text(text)).await)
            .bars([Bar::Over(100.0, DIRECT)]),
        in_runs("graft, guarded, pure: recorded", guarded.clone(), How::Read).bars([Bar::Ns(600.0)]),
        in_runs("graft, guarded: judged and recorded", guarded.clone(), How::Send).bars([Bar::Ns(600.0)]),
        in_runs(again, guarded, How::SendAgain).bars([Bar::Ns(600.0)]),
    ])
}
