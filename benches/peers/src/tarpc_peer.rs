//! tarpc, with the codec that it recommends for speed.

use futures::StreamExt;
use tarpc::server::{BaseChannel, Channel};
use tarpc::{client, context, serde_transport};
use tokio::net::{TcpListener, TcpStream};
use tokio_serde::formats::Bincode;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use crate::{Failure, Peer};

#[tarpc::service]
pub trait Echo {
    async fn echo(text: String) -> String;
}

#[derive(Clone)]
struct Server;

impl Echo for Server {
    async fn echo(self, _: context::Context, text: String) -> String {
        text
    }
}

pub async fn connect() -> Result<EchoClient, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let near = TcpStream::connect(listener.local_addr()?).await?;
    let (far, _) = listener.accept().await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let framed = |stream| Framed::new(stream, LengthDelimitedCodec::new());
    let served = BaseChannel::with_defaults(serde_transport::new(framed(far), Bincode::default()));
    tokio::spawn(served.execute(Server.serve()).for_each(|answer| async move {
        tokio::spawn(answer);
    }));
    let transport = serde_transport::new(framed(near), Bincode::default());
    Ok(EchoClient::new(client::Config::default(), transport).spawn())
}

impl Peer for EchoClient {
    async fn echo(&self, text: String) -> Result<String, Failure> {
        Ok(EchoClient::echo(self, context::current(), text).await?)
    }
}
