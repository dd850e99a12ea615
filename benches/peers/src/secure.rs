//! TLS and WebSocket as transports: bare bytes go over the library that others use for them, calls over graft.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use graft::core::{Channel, Router};
use graft::transport::net::tls::{TlsClientConfig, TlsIdentity, TlsRoots, TlsServerConfig};
use graft::transport::net::websocket::WebSocketOptions;
use graft::{RemoteChannel, Server};
use rcgen::{CertifiedKey, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector, client};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::calls::Keep;
use crate::calls::transport::{AbortOnDrop, Raw, Tcp, Transport, answer_raw};
use crate::harness::Failure;

/// The name in the certificate.
const NAME: &str = "localhost";

/// TLS 1.3 over TCP on loopback, with ring on both sides.
#[derive(Clone, Copy)]
pub struct Tls;

/// Where a TLS server is, and the certificate that it shows.
#[derive(Clone)]
pub struct Shown {
    address: SocketAddr,
    certificate: Vec<u8>,
}

impl Transport for Tls {
    type Address = Shown;
    type Raw = client::TlsStream<TcpStream>;

    const NAME: &'static str = "TLS";

    async fn serve(self, router: Router) -> Result<(Shown, Keep), Failure> {
        let (certificate, key) = certificate()?;
        let identity = TlsIdentity::from_der([certificate.clone()], key)?;
        let server = Server::tls("127.0.0.1:0", TlsServerConfig::new(&identity), router, Tcp::options())?;
        let address = server.local_addr().ok_or("a TLS server has an address")?;
        Ok((Shown { address, certificate }, Box::new(server)))
    }

    async fn connect(self, at: Shown) -> Result<Arc<dyn Channel>, Failure> {
        let config = TlsClientConfig::new(&TlsRoots::from_der([at.certificate])?);
        Ok(Arc::new(RemoteChannel::tls(at.address, NAME, &config, Tcp::options()).await?))
    }

    async fn serve_raw(self, request: usize, reply: usize) -> Result<(Shown, Keep), Failure> {
        let (certificate, key) = certificate()?;
        let chain = vec![CertificateDer::from(certificate.clone())];
        let key = PrivateKeyDer::try_from(key)?;
        let config = ServerConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (address, listening) = listen(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    answer_raw(stream, request, reply).await;
                }
            }
        })
        .await?;
        Ok((Shown { address, certificate }, listening))
    }

    async fn connect_raw(self, at: Shown) -> Result<Self::Raw, Failure> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(at.certificate))?;
        let config = ClientConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(at.address).await?;
        stream.set_nodelay(true)?;
        Ok(TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(NAME)?, stream).await?)
    }
}

/// A certificate for [`NAME`] that vouches for itself, and its key.
fn certificate() -> Result<(Vec<u8>, Vec<u8>), Failure> {
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
    Ok((cert.der().to_vec(), KeyPair::serialize_der(&signing_key)))
}

/// WebSocket over TCP on loopback, binary messages; the bare one is tungstenite's.
#[derive(Clone, Copy)]
pub struct WebSocket;

impl Transport for WebSocket {
    type Address = SocketAddr;
    type Raw = Messages;

    const NAME: &'static str = "WebSocket";

    async fn serve(self, router: Router) -> Result<(SocketAddr, Keep), Failure> {
        let server = Server::websocket("127.0.0.1:0", WebSocketOptions::default(), router, Tcp::options())?;
        Ok((server.local_addr().ok_or("a WebSocket server has an address")?, Box::new(server)))
    }

    async fn connect(self, at: SocketAddr) -> Result<Arc<dyn Channel>, Failure> {
        let web = WebSocketOptions::default();
        let url = format!("ws://{at}{}", web.path());
        Ok(Arc::new(RemoteChannel::websocket(&url, &web, Tcp::options()).await?))
    }

    async fn serve_raw(self, _request: usize, reply: usize) -> Result<(SocketAddr, Keep), Failure> {
        let outgoing = Bytes::from(vec![2; reply]);
        listen(move |stream| {
            let outgoing = outgoing.clone();
            async move {
                let Ok(mut messages) = tokio_tungstenite::accept_async(stream).await else { return };
                while let Some(Ok(message)) = messages.next().await {
                    if message.is_binary() && messages.send(Message::Binary(outgoing.clone())).await.is_err()
                    {
                        break;
                    }
                }
            }
        })
        .await
    }

    async fn connect_raw(self, at: SocketAddr) -> Result<Messages, Failure> {
        let stream = TcpStream::connect(at).await?;
        stream.set_nodelay(true)?;
        Ok(Messages(tokio_tungstenite::client_async(format!("ws://{at}/"), stream).await?.0))
    }
}

/// A connection that carries binary messages.
pub struct Messages(WebSocketStream<TcpStream>);

impl Raw for Messages {
    async fn exchange(&mut self, request: &[u8], reply: &mut [u8]) -> Result<(), Failure> {
        self.0.send(Message::Binary(Bytes::copy_from_slice(request))).await?;
        let message = self.0.next().await.ok_or("the connection ended")??.into_data();
        reply.copy_from_slice(&message);
        Ok(())
    }
}

/// Listens on loopback and gives each connection to `answer`.
async fn listen<F>(answer: impl Fn(TcpStream) -> F + Send + 'static) -> Result<(SocketAddr, Keep), Failure>
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let listening = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream.set_nodelay(true));
            tokio::spawn(answer(stream));
        }
    });
    Ok((address, Box::new(AbortOnDrop(listening))))
}
