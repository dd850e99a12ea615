//! tonic, with windows that a payload of 1 MiB fits in.

use std::net::SocketAddr;

use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

use crate::Failure;
use crate::calls::transport::AbortOnDrop;
use crate::calls::value::{self, Value};
use crate::calls::{Keep, Peer, Stack, ValueOf};

/// Bytes that may be under way on a stream and on a connection; the default of 64 KiB waits 16 times for 1 MiB.
const WINDOW: u32 = 4 << 20;

#[derive(Clone, PartialEq, prost::Message)]
pub struct Text {
    #[prost(string, tag = "1")]
    pub text: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Blob {
    #[prost(bytes = "bytes", tag = "1")]
    pub bytes: bytes::Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Order {
    #[prost(uint64, tag = "1")]
    pub id: u64,
    #[prost(string, tag = "2")]
    pub symbol: String,
    #[prost(double, tag = "3")]
    pub qty: f64,
    #[prost(string, repeated, tag = "4")]
    pub tags: Vec<String>,
}

mod service {
    #![allow(clippy::all)] // it is generated
    include!(concat!(env!("OUT_DIR"), "/peers.Echo.rs"));
}
use service::echo_client::EchoClient;
use service::echo_server::{Echo, EchoServer};

struct Service;

#[tonic::async_trait]
impl Echo for Service {
    async fn echo(&self, request: Request<Text>) -> Result<Response<Text>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn echo_bytes(&self, request: Request<Blob>) -> Result<Response<Blob>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn echo_order(&self, request: Request<Order>) -> Result<Response<Order>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

#[derive(Clone)]
pub struct Tonic;

impl Stack for Tonic {
    type Peer = EchoClient<Channel>;
    type Address = SocketAddr;

    fn name(&self) -> &'static str {
        "tonic"
    }

    async fn serve(self) -> Result<(SocketAddr, Keep), Failure> {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?.with_nodelay(Some(true));
        let address = incoming.local_addr()?;
        let server = Server::builder()
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .add_service(EchoServer::new(Service));
        let serving = tokio::spawn(async move { drop(server.serve_with_incoming(incoming).await) });
        Ok((address, Box::new(AbortOnDrop(serving))))
    }

    async fn connect(self, address: SocketAddr) -> Result<EchoClient<Channel>, Failure> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?
            .tcp_nodelay(true)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW);
        Ok(EchoClient::new(endpoint.connect().await?))
    }
}

impl Peer for EchoClient<Channel> {
    type Blob = bytes::Bytes;
    type Order = Order;

    async fn call(&self, value: ValueOf<Self>) -> Result<ValueOf<Self>, Failure> {
        // Its methods take `&mut self`; a clone is what its documentation says to use.
        let mut client = self.clone();
        Ok(match value {
            Value::Text(text) => Value::Text(client.echo(Text { text }).await?.into_inner().text),
            Value::Blob(bytes) => Value::Blob(client.echo_bytes(Blob { bytes }).await?.into_inner().bytes),
            Value::Order(order) => Value::Order(client.echo_order(order).await?.into_inner()),
        })
    }
}

impl From<value::Order> for Order {
    fn from(value::Order { id, symbol, qty, tags }: value::Order) -> Self {
        Self { id, symbol, qty, tags }
    }
}

impl From<Order> for value::Order {
    fn from(Order { id, symbol, qty, tags }: Order) -> Self {
        Self { id, symbol, qty, tags }
    }
}
