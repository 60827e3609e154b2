//! The functions of WASI preview 1 that Envoy provides. There are no files, sockets or arguments,
//! so most of them only say that. Standard output and standard error go to the log.

use wasmtime::{Caller, Linker};

use crate::abi::LogLevel;
use crate::host_calls::call::{Call, Fault, OutOfBounds};
use crate::host_calls::control::write_log;
use crate::host_calls::{define, define_answers};
use crate::state::State;

/// The `errno` that a WASI function returns.
#[derive(Clone, Copy)]
enum Errno {
    Success = 0,
    BadFileDescriptor = 8,
    NotDirectory = 20,
    Fault = 21,
    Invalid = 28,
    NoEntry = 44,
    NoFunction = 52,
    NotSupported = 58,
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

/// The most random bytes of one call.
const RANDOM_LIMIT: u32 = 64 << 10;

pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    for module in ["wasi_snapshot_preview1", "wasi_unstable"] {
        define!(linker, module, {
            args_sizes_get(to_count: u32, to_size: u32) => args_sizes_get;
            environ_sizes_get(to_count: u32, to_size: u32) => environ_sizes_get;
            environ_get(to_pointers: u32, to_text: u32) => environ_get;
            clock_time_get(clock: u32, _precision: u64, to: u32) => clock_time_get;
            clock_res_get(clock: u32, to: u32) => clock_res_get;
            random_get(to: u32, size: u32) => random_get;
            poll_oneoff(_subscriptions: u32, _events: u32, _count: u32, to_count: u32)
                => poll_oneoff;
            fd_write(fd: u32, pieces: u32, count: u32, to_written: u32) => fd_write;
            fd_pwrite(fd: u32, pieces: u32, count: u32, _offset: u64, to_written: u32)
                => fd_pwrite;
            fd_fdstat_get(fd: u32, to: u32) => fd_fdstat_get;
            fd_allocate(fd: u32, _offset: u64, _length: u64) => fd_allocate;
            fd_datasync(fd: u32) => only_output;
            fd_sync(fd: u32) => only_output;
            fd_fdstat_set_rights(fd: u32, _rights: u64, _inherited: u64) => fd_set_rights;
            fd_filestat_set_size(fd: u32, _size: u64) => fd_set_size;
            fd_filestat_set_times(fd: u32, _access: u64, _change: u64, _flags: u32)
                => fd_set_times;
            fd_readdir(_fd: u32, _to: u32, _size: u32, _cookie: u64, to_read: u32) => fd_readdir;
            fd_renumber(fd: u32, to: u32) => fd_renumber;
            fd_tell(fd: u32, to: u32) => fd_tell;
            path_readlink(
                _fd: u32, _path: u32, _path_size: u32, _to: u32, _size: u32, to_read: u32
            ) => path_readlink;
            sock_accept(_fd: u32, _flags: u32, to_fd: u32) => sock_accept;
            sock_recv(
                _fd: u32, _pieces: u32, _count: u32, _flags: u32, to_read: u32, to_flags: u32
            ) => sock_recv;
            sock_send(_fd: u32, _pieces: u32, _count: u32, _flags: u32, to_written: u32)
                => sock_send;
        });
        define_answers!(linker, module, {
            args_get(u32, u32) => Errno::Success;
            sched_yield() => Errno::Success;
            fd_advise(u32, u64, u64, u32) => Errno::Success;
            fd_close(u32) => Errno::Success;
            fd_seek(u32, u64, u32, u32) => Errno::Success;
            fd_fdstat_set_flags(u32, u32) => Errno::NoFunction;
            fd_filestat_get(u32, u32) => Errno::BadFileDescriptor;
            fd_pread(u32, u32, u32, u64, u32) => Errno::NoFunction;
            fd_prestat_get(u32, u32) => Errno::BadFileDescriptor;
            fd_prestat_dir_name(u32, u32, u32) => Errno::NoFunction;
            fd_read(u32, u32, u32, u32) => Errno::NoFunction;
            path_create_directory(u32, u32, u32) => Errno::NotSupported;
            path_filestat_get(u32, u32, u32, u32, u32) => Errno::NotSupported;
            path_filestat_set_times(u32, u32, u32, u32, u64, u64, u32) => Errno::NotSupported;
            path_link(u32, u32, u32, u32, u32, u32) => Errno::NotSupported;
            path_open(u32, u32, u32, u32, u32, u64, u64, u32, u32) => Errno::NoEntry;
            path_remove_directory(u32, u32, u32) => Errno::NotSupported;
            path_rename(u32, u32, u32, u32, u32, u32) => Errno::NotSupported;
            path_symlink(u32, u32, u32, u32) => Errno::NotSupported;
            path_unlink_file(u32, u32, u32) => Errno::NotSupported;
            sock_shutdown(u32, u32) => Errno::NotSupported;
        });
        // Envoy logs it, and lets the module run on. Compilers put a trap behind the call.
        linker.func_wrap(
            module,
            "proc_exit",
            |caller: Caller<'_, State>, code: u32| -> wasmtime::Result<()> {
                let exit = |call: &mut Call<'_>| {
                    call.note_key(code.to_string().as_bytes());
                    WasiResult::Ok(())
                };
                Call::run(caller, "proc_exit", exit).map(|_| ())
            },
        )?;
    }
    Ok(())
}

fn args_sizes_get(call: &mut Call<'_>, to_count: u32, to_size: u32) -> WasiResult {
    call.write_u32(to_count, 0)?;
    Ok(call.write_u32(to_size, 0)?)
}

/// Each variable as `NAME=VALUE`, terminated by NUL.
fn variables(call: &mut Call<'_>) -> Vec<Vec<u8>> {
    let environment = call.state().options.environment.iter();
    environment.map(|(name, value)| [&name[..], b"=", value, b"\0"].concat()).collect()
}

fn environ_sizes_get(call: &mut Call<'_>, to_count: u32, to_size: u32) -> WasiResult {
    let variables = variables(call);
    let size: usize = variables.iter().map(Vec::len).sum();
    call.write_u32(to_count, u32::try_from(variables.len()).map_err(|_| Errno::Fault)?)?;
    Ok(call.write_u32(to_size, u32::try_from(size).map_err(|_| Errno::Fault)?)?)
}

fn environ_get(call: &mut Call<'_>, to_pointers: u32, to_text: u32) -> WasiResult {
    let (mut to_pointer, mut to_text) = (to_pointers, to_text);
    for variable in variables(call) {
        let size = u32::try_from(variable.len()).map_err(|_| Errno::Fault)?;
        call.write_u32(to_pointer, to_text)?;
        call.bytes_mut(to_text, size)?.copy_from_slice(&variable);
        to_pointer = to_pointer.checked_add(4).ok_or(Errno::Fault)?;
        to_text = to_text.checked_add(size).ok_or(Errno::Fault)?;
    }
    Ok(())
}

fn clock_time_get(call: &mut Call<'_>, clock: u32, _precision: u64, to: u32) -> WasiResult {
    let time = match clock {
        0 => call.state().now(),
        1 => call.state().monotonic(),
        _ => return Err(Errno::NotSupported.into()),
    };
    Ok(call.write_u64(to, time)?)
}

fn clock_res_get(call: &mut Call<'_>, clock: u32, to: u32) -> WasiResult {
    if clock > 1 {
        return Err(Errno::NotSupported.into());
    }
    Ok(call.write_u64(to, 1)?)
}

fn random_get(call: &mut Call<'_>, to: u32, size: u32) -> WasiResult {
    if size > RANDOM_LIMIT {
        return Err(Errno::Invalid.into());
    }
    if size == 0 {
        return Ok(());
    }
    let (bytes, state) = call.bytes_and_state_mut(to, size)?;
    bytes.fill_with(|| state.random_byte());
    Ok(())
}

/// No events. Go's runtime needs it to succeed.
fn poll_oneoff(call: &mut Call<'_>, _: u32, _: u32, _: u32, to_count: u32) -> WasiResult {
    Ok(call.write_u32(to_count, 0)?)
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
        if size != [0; 4] {
            text.extend(call.read(u32::from_le_bytes(pointer), u32::from_le_bytes(size))?);
        }
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

fn fd_pwrite(
    call: &mut Call<'_>,
    fd: u32,
    pieces: u32,
    count: u32,
    _offset: u64,
    to_written: u32,
) -> WasiResult {
    fd_write(call, fd, pieces, count, to_written)
}

fn fd_fdstat_get(call: &mut Call<'_>, fd: u32, to: u32) -> WasiResult {
    only_output(call, fd)?;
    // Envoy takes a place out of bounds for success.
    let Ok(stat) = call.bytes_mut(to, 24) else { return Ok(()) };
    stat.fill(0);
    stat[8..16].copy_from_slice(&RIGHT_TO_WRITE.to_le_bytes());
    Ok(())
}

/// Succeeds for standard output and standard error.
fn only_output(_: &mut Call<'_>, fd: u32) -> WasiResult {
    if matches!(fd, 1 | 2) { Ok(()) } else { Err(Errno::BadFileDescriptor.into()) }
}

fn fd_allocate(call: &mut Call<'_>, fd: u32, _: u64, _: u64) -> WasiResult {
    only_output(call, fd)
}

fn fd_set_rights(call: &mut Call<'_>, fd: u32, _: u64, _: u64) -> WasiResult {
    only_output(call, fd)
}

fn fd_set_size(call: &mut Call<'_>, fd: u32, _: u64) -> WasiResult {
    only_output(call, fd)
}

fn fd_set_times(call: &mut Call<'_>, fd: u32, _: u64, _: u64, _: u32) -> WasiResult {
    only_output(call, fd)
}

fn fd_readdir(call: &mut Call<'_>, _: u32, _: u32, _: u32, _: u64, to_read: u32) -> WasiResult {
    call.write_u32(to_read, 0)?;
    Err(Errno::NotDirectory.into())
}

fn fd_renumber(call: &mut Call<'_>, fd: u32, to: u32) -> WasiResult {
    only_output(call, fd)?;
    only_output(call, to)?;
    Err(Errno::NotSupported.into())
}

fn fd_tell(call: &mut Call<'_>, fd: u32, to: u32) -> WasiResult {
    only_output(call, fd)?;
    Ok(call.write_u64(to, 0)?)
}

fn path_readlink(
    call: &mut Call<'_>,
    _: u32,
    _: u32,
    _: u32,
    _: u32,
    _: u32,
    to_read: u32,
) -> WasiResult {
    call.write_u32(to_read, 0)?;
    Err(Errno::NotSupported.into())
}

fn sock_accept(call: &mut Call<'_>, _: u32, _: u32, to_fd: u32) -> WasiResult {
    call.write_u64(to_fd, 0)?;
    Err(Errno::NotSupported.into())
}

fn sock_recv(
    call: &mut Call<'_>,
    _: u32,
    _: u32,
    _: u32,
    _: u32,
    to_read: u32,
    to_flags: u32,
) -> WasiResult {
    call.write_u32(to_read, 0)?;
    call.bytes_mut(to_flags, 2)?.fill(0);
    Err(Errno::NotSupported.into())
}

fn sock_send(call: &mut Call<'_>, _: u32, _: u32, _: u32, _: u32, to_written: u32) -> WasiResult {
    call.write_u32(to_written, 0)?;
    Err(Errno::NotSupported.into())
}
