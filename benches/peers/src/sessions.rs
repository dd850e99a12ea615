//! All of a remote call but sockets and tasks: two sessions that hand each other their bytes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use futures::FutureExt;
use futures::future::BoxFuture;
use graft::Label;
use graft::core::{
    Body, Channel, Clearance, EncodedBody, Fault, FaultCode, Incoming, Outgoing, ReplyKind, Request, Router,
    TypedBody,
};
use graft::transport::Limits;
use graft::transport::session::{Answer, Event, Role, Session, Transmit};
use graft::transport::wire::RequestHead;

use crate::calls::graft_peer::router;
use crate::harness::Failure;

/// A channel over two sessions in this process.
pub struct Sessions {
    router: Router,
    ends: Mutex<Ends>,
}

struct Ends {
    client: Session<(), ()>,
    server: Session<(), ()>,
    /// What the one wrote and what the other reads.
    written: Transmit,
    input: BytesMut,
    args: Outgoing,
    reply: Outgoing,
}

impl Sessions {
    pub fn open() -> Result<Self, Failure> {
        let session = |role| Session::new(role, Limits::default(), Duration::ZERO);
        let mut ends = Ends {
            client: session(Role::Client),
            server: session(Role::Server),
            written: Transmit::default(),
            input: BytesMut::new(),
            args: Outgoing::default(),
            reply: Outgoing::default(),
        };
        ends.server_reads();
        ends.client_reads();
        while ends.client.poll_event().is_some() || ends.server.poll_event().is_some() {}
        if !ends.client.is_open() || !ends.server.is_open() {
            return Err("the sessions did not greet".into());
        }
        Ok(Self { router: router(), ends: Mutex::new(ends) })
    }
}

impl Ends {
    fn server_reads(&mut self) {
        self.client.poll_transmit(&mut self.written);
        shuttle(&mut self.written, &mut self.input);
        self.server.handle(Duration::ZERO, &mut self.input);
    }

    fn client_reads(&mut self) {
        self.server.poll_transmit(&mut self.written);
        shuttle(&mut self.written, &mut self.input);
        self.client.handle(Duration::ZERO, &mut self.input);
    }

    fn call(
        &mut self,
        router: &Router,
        request: &Request<'_>,
        body: &mut dyn TypedBody,
    ) -> Result<Label, FaultCode> {
        self.args.clear();
        body.encode_args(&mut self.args)?;
        let head = RequestHead { request, remaining: None };
        self.client.request(Duration::ZERO, head, &mut self.args, &[], ())?;
        self.server_reads();
        let asked = loop {
            match self.server.poll_event().ok_or(FaultCode::Internal)? {
                Event::Request(asked) => break asked,
                Event::Bind(interface) => self.server.bound(interface, true),
                _ => {}
            }
        };
        self.reply.clear();
        let (frame, mut kind) = (asked.frame, ReplyKind::Ok);
        let args = Incoming::new(frame.body.0.clone());
        let invoked = router.invoke(
            Request::new(asked.interface, frame.method, &frame.meta, &frame.label),
            Body::Encoded(EncodedBody { args, reply: &mut self.reply, kind: &mut kind }),
        );
        // The echo never waits.
        let invoked = invoked.now_or_never().ok_or(FaultCode::Internal)?;
        let label = invoked.map_err(|fault| fault.code())?;
        self.server.reply(frame.number, kind, &label, &mut self.reply, &[]);
        self.client_reads();
        loop {
            match self.client.poll_event().ok_or(FaultCode::Internal)? {
                Event::Answer((), Answer::Reply { kind, label, body: reply, .. }) => {
                    body.decode_reply(kind, Incoming::new(reply.0))?;
                    return Ok(label);
                }
                Event::Answer((), Answer::Fault { code, .. }) => return Err(code),
                _ => {}
            }
        }
    }
}

/// Carries what was written to where it is read.
fn shuttle(written: &mut Transmit, input: &mut BytesMut) {
    written.pieces().for_each(|piece| input.extend_from_slice(piece));
    written.advance(written.len());
}

impl Channel for Sessions {
    fn clearance(&self) -> Clearance {
        Clearance::CHANNEL
    }

    fn call<'a>(
        &'a self,
        request: Request<'a>,
        body: &'a mut dyn TypedBody,
    ) -> BoxFuture<'a, Result<Label, Fault>> {
        Box::pin(async move {
            let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
            ends.call(&self.router, &request, body).map_err(|code| Fault::new(code, request.meta.trace.trace))
        })
    }

    fn health(&self) -> BoxFuture<'_, Result<bool, FaultCode>> {
        Box::pin(std::future::ready(Ok(true)))
    }
}
