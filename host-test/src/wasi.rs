//! The functions of WASI preview 1 that toolchains link into a module, in a
//! minimal implementation. There are no files, arguments or environment variables.
//! Standard output and standard error go to the log, as in Envoy.

use wasmtime::{Caller, Linker};

use crate::abi::LogLevel;
use crate::error::Abort;
use crate::host_calls::call::{Call, Fault, OutOfBounds};
use crate::host_calls::control::write_log;
use crate::host_calls::{define, define_answers};
use crate::state::State;

/// The `errno` that a WASI function returns.
#[derive(Clone, Copy)]
enum Errno {
    Success = 0,
    BadFileDescriptor = 8,
    Fault = 21,
    NotSupported = 58,
    NotSeekable = 70,
}

impl From<Errno> for u32 {
    fn from(errno: Errno) -> u32 {
        errno as u32
    }
}

impl From<OutOfBounds> for Errno {
    fn from(OutOfBounds: OutOfBounds) -> Self {
        Self::Fault
    }
}

impl From<Errno> for Fault<Errno> {
    fn from(errno: Errno) -> Self {
        Self::Answer(errno)
    }
}

type WasiResult = Result<(), Fault<Errno>>;

/// The right to write, `__WASI_RIGHTS_FD_WRITE`.
const RIGHT_TO_WRITE: u64 = 1 << 6;

/// The most bytes of one write; WASI allows short writes. The pieces of a write may overlap, and
/// would otherwise add up to more than the module's memory.
const WRITE_LIMIT: usize = 64 << 10;

pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    for module in ["wasi_snapshot_preview1", "wasi_unstable"] {
        define!(linker, module, {
            args_sizes_get(to_count: u32, to_size: u32) => sizes_get;
            environ_sizes_get(to_count: u32, to_size: u32) => sizes_get;
            clock_time_get(_clock: u32, _precision: u64, to: u32) => clock_time_get;
            random_get(to: u32, size: u32) => random_get;
            fd_write(fd: u32, pieces: u32, count: u32, to_written: u32) => fd_write;
            fd_fdstat_get(fd: u32, to: u32) => fd_fdstat_get;
        });
        define_answers!(linker, module, {
            args_get(u32, u32) => Errno::Success;
            environ_get(u32, u32) => Errno::Success;
            sched_yield() => Errno::Success;
            fd_close(u32) => Errno::Success;
            fd_seek(u32, u64, u32, u32) => Errno::NotSeekable;
            fd_read(u32, u32, u32, u32) => Errno::NotSupported;
            fd_prestat_get(u32, u32) => Errno::BadFileDescriptor;
            fd_prestat_dir_name(u32, u32, u32) => Errno::BadFileDescriptor;
            poll_oneoff(u32, u32, u32, u32) => Errno::NotSupported;
        });
        linker.func_wrap(module, "proc_exit", |caller: Caller<'_, State>, code: u32| {
            let exit = |_: &mut Call<'_>| Err(Fault::<Errno>::from(Abort::ProcExit(code)));
            Call::run(caller, "proc_exit", exit).map(|_never| ())
        })?;
    }
    Ok(())
}

fn sizes_get(call: &mut Call<'_>, to_count: u32, to_size: u32) -> WasiResult {
    call.write_u32(to_count, 0)?;
    Ok(call.write_u32(to_size, 0)?)
}

fn clock_time_get(call: &mut Call<'_>, _clock: u32, _precision: u64, to: u32) -> WasiResult {
    let now = call.state().now();
    Ok(call.write_u64(to, now)?)
}

fn random_get(call: &mut Call<'_>, to: u32, size: u32) -> WasiResult {
    let (bytes, state) = call.bytes_and_state_mut(to, size)?;
    bytes.fill_with(|| state.random_byte());
    Ok(())
}

fn fd_write(call: &mut Call<'_>, fd: u32, pieces: u32, count: u32, to_written: u32) -> WasiResult {
    let level = match fd {
        1 => LogLevel::Info,
        2 => LogLevel::Error,
        _ => return Err(Errno::BadFileDescriptor.into()),
    };
    let mut text = Vec::new();
    let pieces = call.read(pieces, count.checked_mul(8).ok_or(OutOfBounds)?)?;
    for piece in pieces.as_chunks::<8>().0 {
        let [p0, p1, p2, p3, s0, s1, s2, s3] = *piece;
        let (pointer, size) = ([p0, p1, p2, p3], [s0, s1, s2, s3]);
        text.extend(call.read(u32::from_le_bytes(pointer), u32::from_le_bytes(size))?);
        if text.len() > WRITE_LIMIT {
            break;
        }
    }
    let written = u32::try_from(text.len()).map_err(|_| Errno::Fault)?;
    if text.last() == Some(&b'\n') {
        text.pop();
    }
    if written > 0 {
        write_log(call, level, text);
    }
    Ok(call.write_u32(to_written, written)?)
}

fn fd_fdstat_get(call: &mut Call<'_>, fd: u32, to: u32) -> WasiResult {
    if !matches!(fd, 1 | 2) {
        return Err(Errno::BadFileDescriptor.into());
    }
    let stat = call.bytes_mut(to, 24)?;
    stat.fill(0);
    stat[8..16].copy_from_slice(&RIGHT_TO_WRITE.to_le_bytes());
    Ok(())
}
