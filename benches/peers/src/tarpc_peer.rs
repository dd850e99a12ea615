//! tarpc, with the codec that it recommends for speed, over TCP and in memory.

use std::net::SocketAddr;

use futures::StreamExt;
use tarpc::server::{BaseChannel, Channel};
use tarpc::{ClientMessage, Response, Transport, client, context, serde_transport, transport};
use tokio::net::{TcpListener, TcpStream};
use tokio_serde::formats::Bincode;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use crate::Failure;
use crate::calls::transport::AbortOnDrop;
use crate::calls::value::{Order, Value};
use crate::calls::{Keep, Peer, Stack, ValueOf};

#[tarpc::service]
pub trait Echo {
    async fn echo(text: String) -> String;
    async fn echo_bytes(bytes: bytes::Bytes) -> bytes::Bytes;
    async fn echo_order(order: Order) -> Order;
}

#[derive(Clone)]
struct Server;

impl Echo for Server {
    async fn echo(self, _: context::Context, text: String) -> String {
        text
    }

    async fn echo_bytes(self, _: context::Context, bytes: bytes::Bytes) -> bytes::Bytes {
        bytes
    }

    async fn echo_order(self, _: context::Context, order: Order) -> Order {
        order
    }
}

#[derive(Clone)]
pub struct Tarpc;

impl Stack for Tarpc {
    type Peer = EchoClient;
    type Address = SocketAddr;

    fn name(&self) -> &'static str {
        "tarpc"
    }

    async fn serve(self) -> Result<(SocketAddr, Keep), Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                drop(stream.set_nodelay(true));
                tokio::spawn(serve(serde_transport::new(framed(stream), Bincode::default())));
            }
        });
        Ok((address, Box::new(AbortOnDrop(listening))))
    }

    async fn connect(self, address: SocketAddr) -> Result<EchoClient, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let transport = serde_transport::new(framed(stream), Bincode::default());
        Ok(EchoClient::new(client::Config::default(), transport).spawn())
    }
}

/// A client in the process of its server; nothing is encoded.
pub async fn in_memory() -> Result<EchoClient, Failure> {
    let (near, far) = transport::channel::unbounded();
    tokio::spawn(serve(far));
    Ok(EchoClient::new(client::Config::default(), near).spawn())
}

fn framed(stream: TcpStream) -> Framed<TcpStream, LengthDelimitedCodec> {
    Framed::new(stream, LengthDelimitedCodec::new())
}

async fn serve<T>(transport: T)
where
    T: Transport<Response<EchoResponse>, ClientMessage<EchoRequest>> + Send + 'static,
    T::Error: Send + Sync,
{
    let served = BaseChannel::with_defaults(transport);
    served.execute(Server.serve()).for_each(|answer| async move { drop(tokio::spawn(answer)) }).await;
}

impl Peer for EchoClient {
    type Blob = bytes::Bytes;
    type Order = Order;

    async fn call(&self, value: ValueOf<Self>) -> Result<ValueOf<Self>, Failure> {
        let context = context::current();
        Ok(match value {
            Value::Text(text) => Value::Text(self.echo(context, text).await?),
            Value::Blob(bytes) => Value::Blob(self.echo_bytes(context, bytes).await?),
            Value::Order(order) => Value::Order(self.echo_order(context, order).await?),
        })
    }
}
