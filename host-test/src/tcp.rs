//! TCP connections: what Envoy does around the callbacks of a network filter.

use crate::abi::{self, Callback, PeerType};
use crate::error::Error;
use crate::plugin::size_argument;
use crate::stream::{Phase, Pipe, Stream, Tcp};
use crate::vm::Vm;

/// One direction of a connection.
pub(crate) struct TcpDirection {
    pub(crate) pipe: fn(&mut Tcp) -> &mut Pipe,
    on_data: Callback,
}

pub(crate) const DOWNSTREAM: &TcpDirection =
    &TcpDirection { pipe: |tcp| &mut tcp.downstream, on_data: abi::ON_DOWNSTREAM_DATA };
pub(crate) const UPSTREAM: &TcpDirection =
    &TcpDirection { pipe: |tcp| &mut tcp.upstream, on_data: abi::ON_UPSTREAM_DATA };

impl Vm {
    fn pipe(&mut self, id: u32, direction: &TcpDirection) -> Option<&mut Pipe> {
        let stream = self.state_mut().streams.get_mut(&id).filter(|stream| !stream.closed)?;
        stream.tcp().map(direction.pipe)
    }

    pub(crate) fn new_connection(&mut self, id: u32) -> Result<(), Error> {
        let result = self.call(id, abi::ON_NEW_CONNECTION, &[id])?;
        let goes_on = result.is_none_or(|result| result == 0);
        if let Some(tcp) = self.state_mut().streams.get_mut(&id).and_then(Stream::tcp) {
            tcp.is_connected = goes_on;
            tcp.downstream.is_paused = !goes_on;
        }
        Ok(())
    }

    /// Lets the connection go on, and what the client has sent meanwhile come.
    pub(crate) fn resume_connection(&mut self, id: u32) -> Result<(), Error> {
        let stream = self.state_mut().streams.get_mut(&id).filter(|stream| !stream.closed);
        let Some(tcp) = stream.and_then(Stream::tcp) else { return Ok(()) };
        if tcp.is_connected {
            tcp.downstream.pass();
            return Ok(());
        }
        tcp.is_connected = true;
        tcp.downstream.is_paused = false;
        match (tcp.downstream.held.take(), tcp.downstream.is_ended) {
            (None, _) => Ok(()),
            (Some(data), ends) => self.deliver_data(id, DOWNSTREAM, &data, ends),
        }
    }

    pub(crate) fn deliver_data(
        &mut self,
        id: u32,
        direction: &TcpDirection,
        data: &[u8],
        ends: bool,
    ) -> Result<(), Error> {
        let is_connected = |stream: &mut Stream| stream.tcp().is_some_and(|tcp| tcp.is_connected);
        let is_connected = self.state_mut().streams.get_mut(&id).is_some_and(is_connected);
        let Some(pipe) = self.pipe(id, direction) else { return Ok(()) };
        if !is_connected {
            // Envoy does not read before it has connected to the upstream.
            pipe.held.get_or_insert_default().extend_from_slice(data);
            pipe.is_ended = ends;
            return Ok(());
        }
        // Bytes that the module has held come again, before the new ones.
        let held = pipe.held.get_or_insert_default();
        held.extend_from_slice(data);
        let size = size_argument(held);
        pipe.received += i64::from(size_argument(data));
        pipe.is_ended = ends;
        let result = self.call(id, direction.on_data, &[id, size, u32::from(ends)])?;
        if let Some(pipe) = self.pipe(id, direction) {
            if result.is_none_or(|result| result == 0) {
                pipe.pass();
            } else {
                pipe.is_paused = true;
            }
        }
        Ok(())
    }

    /// The upstream has ended its direction. Envoy does not know who closed the connection.
    pub(crate) fn upstream_closed(&mut self, id: u32) -> Result<(), Error> {
        self.call(id, abi::ON_UPSTREAM_CLOSE, &[id, PeerType::Unknown.into()])?;
        Ok(())
    }

    pub(crate) fn end_connection(&mut self, id: u32, peer: PeerType) -> Result<(), Error> {
        self.call(id, abi::ON_DOWNSTREAM_CLOSE, &[id, peer.into()])?;
        self.call(id, abi::ON_DONE, &[id])?;
        self.enter_phase(id, Phase::Ending);
        self.call(id, abi::ON_LOG, &[id])?;
        self.call(id, abi::ON_DELETE, &[id])?;
        Ok(())
    }
}

impl Pipe {
    /// Lets the held bytes pass.
    pub(crate) fn pass(&mut self) {
        self.passed.append(&mut self.held.take().unwrap_or_default());
        self.is_paused = false;
    }
}
