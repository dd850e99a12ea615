//! A service before and after graft: `diff examples/existing_service/before.rs
//! examples/existing_service/after.rs` shows the added lines, at most 30. Both are built here.
//!
//! ```text
//! cargo run --example existing_service
//! ```

#![allow(unreachable_pub)] // the service stands as its author wrote it

mod after;
mod before;

use std::sync::Arc;

use graft::{Agent, CallError, Gateway, Name};

use after::{Shop, ShopClient};

const SHOW: Name = Name::from_static("show");

#[allow(clippy::panic)] // an example asserts its result
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let plain = before::Shop::default();
    plain.stock("kite", 3);
    assert!(plain.buy("kite", 2).is_ok_and(|left| left == 1));
    assert!(plain.buy("kite", 2).is_err_and(|refused| refused.left == 1));
    assert_eq!(
        plain.list().iter().map(|item| (item.name.as_str(), item.left)).collect::<Vec<_>>(),
        [("kite", 1)]
    );

    // The same, called as anyone would: typed, labelled, and here without a runtime.
    futures::executor::block_on(async {
        let gateway = Gateway::new().host(Arc::new(Shop::default()));
        let agent = Agent::over(gateway.local()).build();
        let run = agent.begin_run("buy two kites")?;
        let shop = ShopClient::new(run.caller());
        shop.stock("kite", 3).await?;
        let (left, _receipt) = shop.buy("kite", 2).await?.release(SHOW);
        let Err(CallError::Domain(refused)) = shop.buy("kite", 2).await else {
            panic!("one kite is not two")
        };
        let (refused, _receipt) = refused.release(SHOW);
        let (items, _receipt) = shop.list().await?.release(SHOW);
        assert_eq!((left, refused.left, items.len()), (1, 1, 1));
        println!("{left} {} left; {} is too few for another order", items[0].name, refused.left);
        Ok(())
    })
}
