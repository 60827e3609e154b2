//! A TCP connection, callback by callback.

use crate::abi::PeerType;
use crate::error::{Error, ErrorKind};
use crate::exchange::Outcome;
use crate::plugin::Plugin;
use crate::record::ConnectionRecord;
use crate::stream::Stream;
use crate::tcp::{DOWNSTREAM, TcpDirection, UPSTREAM};
use crate::vm::Vm;

/// A TCP connection in a plugin, as in Envoy's network filter.
///
/// The caller acts as the proxy: it delivers the bytes that arrive from the client and from the
/// upstream. Bytes that the module holds come again with the next ones.
///
/// ```
/// use proxy_wasm_test::{Module, Outcome, Plugin};
///
/// // Holds the client's bytes until there are at least four.
/// let module = Module::new(wat::parse_str(
///     r#"(module
///         (memory (export "memory") 1)
///         (func (export "proxy_abi_version_0_2_1"))
///         (func (export "malloc") (param i32) (result i32) i32.const 1024)
///         (func (export "proxy_on_downstream_data") (param i32 i32 i32) (result i32)
///             (i32.lt_u (local.get 1) (i32.const 4))))"#,
/// )?)?;
/// let plugin = Plugin::new(&module)?;
/// let mut connection = plugin.connection()?;
/// assert_eq!(connection.downstream_data("he", false)?, Outcome::Pause);
/// assert_eq!(connection.downstream_data("llo", false)?, Outcome::Continue);
/// assert_eq!(connection.finish()?.to_upstream, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Connection<'p> {
    plugin: &'p Plugin,
    id: u32,
}

impl<'p> Connection<'p> {
    pub(crate) fn new(plugin: &'p Plugin, id: u32) -> Self {
        Self { plugin, id }
    }

    /// The id of the stream's context.
    pub fn context_id(&self) -> u32 {
        self.id
    }

    /// Sets a property of the connection, by the parts of its path, such as `["source", "address"]`.
    /// It replaces an attribute of this name.
    pub fn set_property(&mut self, path: &[&str], value: impl Into<Vec<u8>>) {
        self.plugin.set_property(self.id, path, value.into());
    }

    /// Delivers bytes of the client (`proxy_on_downstream_data`).
    ///
    /// # Errors
    ///
    /// If the module fails, or the client has ended its direction before.
    pub fn downstream_data(
        &mut self,
        data: impl AsRef<[u8]>,
        end_of_stream: bool,
    ) -> Result<Outcome, Error> {
        self.data(DOWNSTREAM, data.as_ref(), end_of_stream)
    }

    /// Delivers bytes of the upstream (`proxy_on_upstream_data`). At the end of the stream, the
    /// module also gets `proxy_on_upstream_connection_close`, as in Envoy.
    ///
    /// # Errors
    ///
    /// If the module fails, or the upstream has ended its direction before.
    pub fn upstream_data(
        &mut self,
        data: impl AsRef<[u8]>,
        end_of_stream: bool,
    ) -> Result<Outcome, Error> {
        let outcome = self.data(UPSTREAM, data.as_ref(), end_of_stream)?;
        if end_of_stream {
            self.plugin.run_in_vm(|vm| vm.upstream_closed(self.id))?;
        }
        Ok(outcome)
    }

    /// The record of the connection so far.
    pub fn record(&self) -> ConnectionRecord {
        let vm = self.plugin.vm();
        let stream = vm.state().streams.get(&self.id);
        stream.and_then(Stream::connection_record).unwrap_or_default()
    }

    /// The client closes the connection; see [`finish_by`](Self::finish_by).
    ///
    /// # Errors
    ///
    /// If the module fails.
    pub fn finish(self) -> Result<ConnectionRecord, Error> {
        self.finish_by(PeerType::Remote)
    }

    /// Ends the connection (`proxy_on_downstream_connection_close`, `proxy_on_done`,
    /// `proxy_on_log`, `proxy_on_delete`), closed by the client ([`PeerType::Remote`]) or by the
    /// proxy ([`PeerType::Local`]). Returns its record.
    ///
    /// # Errors
    ///
    /// If the module fails.
    pub fn finish_by(self, peer: PeerType) -> Result<ConnectionRecord, Error> {
        self.plugin.run_in_vm(|vm| {
            vm.end_connection(self.id, peer)?;
            let stream = vm.state_mut().streams.remove(&self.id);
            Ok(stream.as_ref().and_then(Stream::connection_record).unwrap_or_default())
        })
    }

    fn data(
        &self,
        direction: &TcpDirection,
        data: &[u8],
        end_of_stream: bool,
    ) -> Result<Outcome, Error> {
        let tcp = |vm: &mut Vm| {
            let stream = vm.state_mut().streams.get_mut(&self.id)?;
            let is_closed = stream.closed;
            let pipe = (direction.pipe)(stream.tcp()?);
            Some((is_closed, pipe.is_ended, pipe.is_paused))
        };
        let outcome = |vm: &mut Vm| match tcp(vm) {
            Some((false, _, false)) => Outcome::Continue,
            Some((false, _, true)) => Outcome::Pause,
            _ => Outcome::Closed,
        };
        if matches!(tcp(&mut self.plugin.vm()), Some((false, true, _))) {
            let cause = "this direction of the connection has ended already; nothing can follow";
            return Err(ErrorKind::OutOfOrder(cause).into());
        }
        self.plugin.run_in_vm(|vm| vm.deliver_data(self.id, direction, data, end_of_stream))?;
        Ok(outcome(&mut self.plugin.vm()))
    }
}
