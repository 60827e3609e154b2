//! A compiled module.

use std::path::Path;

use wasmtime::{
    Cache, CacheConfig, Config, Engine, InstancePre, Linker, OptLevel, WasmBacktraceDetails,
};

use crate::abi::AbiVersion;
use crate::error::{Error, ErrorKind};
use crate::host_calls;
use crate::shape::Shape;
use crate::state::State;
use crate::wasi;

/// The size in bytes above which compiled code is cached by default. Below, compiling is faster.
const WORTH_CACHING: usize = 64 << 10;

/// A Proxy-Wasm module, compiled and checked.
///
/// Compiling takes most of the time. A `Module` is cheap to clone and can be shared between
/// threads, so compile once and start as many [`Plugin`](crate::Plugin)s as there are tests.
///
/// ```
/// use proxy_wasm_test::{ErrorKind, Module};
///
/// // The smallest valid module: memory, an ABI version and an allocator.
/// let module = Module::new(wat::parse_str(
///     r#"(module
///         (memory (export "memory") 1)
///         (func (export "proxy_abi_version_0_2_1"))
///         (func (export "malloc") (param i32) (result i32) i32.const 1024))"#,
/// )?)?;
/// assert!(module.imports().is_empty());
/// assert!(module.exports().contains(&"malloc".to_owned()));
///
/// let error = Module::new(wat::parse_str(r#"(module (memory (export "memory") 1))"#)?);
/// assert!(matches!(error.err().expect("an error").kind(), ErrorKind::MissingExport { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Module {
    pre: InstancePre<State>,
    version: AbiVersion,
}

/// The effort of the compiler.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Optimization {
    /// Compiles fastest, in about three quarters of the time. For tests and single requests.
    #[default]
    None,
    /// Runs fastest. For benchmarks and many requests.
    Speed,
}

/// An import of a module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Import {
    /// The module that it is from, such as `env`.
    pub module: String,
    /// Its name, such as `proxy_log`.
    pub name: String,
}

impl Module {
    /// Compiles a module from WebAssembly bytes, for a quick start. The compiled code of a large
    /// module is kept in the user's cache folder, and loaded from there the next time.
    ///
    /// # Errors
    ///
    /// If the bytes are not WebAssembly, if the module lacks a required export, or if it has
    /// imports that Envoy does not provide ([`ErrorKind::UnknownImports`] lists them). All of this
    /// is checked before the code is compiled.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, Error> {
        let bytes = bytes.as_ref();
        // A user without a cache folder can still run modules.
        let cache = (bytes.len() > WORTH_CACHING).then(|| Cache::from_file(None).ok()).flatten();
        Self::compile(bytes, Optimization::default(), cache)
    }

    /// Same as [`Module::new`], but stores the compiled code in `folder` and loads it from there
    /// the next time, which takes some milliseconds. The folder is created if it does not exist.
    /// Code that has not been used for a long time is removed.
    ///
    /// Only trusted users may have write access to the folder, because this process runs the code
    /// that it finds there.
    ///
    /// ```
    /// use proxy_wasm_test::Module;
    ///
    /// let wasm = wat::parse_str(
    ///     r#"(module
    ///         (memory (export "memory") 1)
    ///         (func (export "proxy_abi_version_0_2_1"))
    ///         (func (export "malloc") (param i32) (result i32) i32.const 1024))"#,
    /// )?;
    /// let folder = std::env::temp_dir().join("host-test-doc");
    /// let module = Module::cached(&wasm, &folder)?;
    /// assert_eq!(Module::cached(&wasm, &folder)?.exports(), module.exports());
    /// # // The cache may still be writing its statistics.
    /// # let _ = std::fs::remove_dir_all(folder);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the folder cannot be used or is not an absolute path, and the errors of [`Module::new`].
    pub fn cached(bytes: impl AsRef<[u8]>, folder: impl AsRef<Path>) -> Result<Self, Error> {
        let folder = folder.as_ref();
        let mut config = CacheConfig::new();
        config.with_directory(folder);
        let cache = Cache::new(config).map_err(|error| ErrorKind::Cache {
            folder: folder.to_path_buf(),
            message: format!("{error:#}"),
        })?;
        Self::compile(bytes.as_ref(), Optimization::default(), Some(cache))
    }

    /// Compiles a module from a file, for a quick start.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, and the errors of [`Module::new`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes = std::fs::read(path)
            .map_err(|source| ErrorKind::Read { path: path.to_path_buf(), source })?;
        Self::new(bytes)
    }

    /// Compiles a module with the given effort.
    ///
    /// # Errors
    ///
    /// Same as [`Module::new`].
    pub fn with_optimization(
        bytes: impl AsRef<[u8]>,
        optimization: Optimization,
    ) -> Result<Self, Error> {
        Self::compile(bytes.as_ref(), optimization, None)
    }

    fn compile(
        bytes: &[u8],
        optimization: Optimization,
        cache: Option<Cache>,
    ) -> Result<Self, Error> {
        // Compiling takes a thousand times as long as these checks.
        let version = Shape::read(bytes)?.check()?;
        let mut config = Config::new();
        config
            .cache(cache)
            .consume_fuel(true)
            .wasm_backtrace_details(WasmBacktraceDetails::Disable)
            .cranelift_opt_level(match optimization {
                Optimization::None => OptLevel::None,
                Optimization::Speed => OptLevel::Speed,
            });
        let compile_error =
            |error: wasmtime::Error| ErrorKind::Compile { message: format!("{error:#}") };
        let engine = Engine::new(&config).map_err(compile_error)?;
        let module = wasmtime::Module::from_binary(&engine, bytes).map_err(compile_error)?;
        let link_error =
            |error: wasmtime::Error| ErrorKind::Instantiate { message: format!("{error:#}") };
        let mut linker = Linker::new(&engine);
        host_calls::link(&mut linker).map_err(link_error)?;
        wasi::link(&mut linker).map_err(link_error)?;
        let pre = linker.instantiate_pre(&module).map_err(link_error)?;
        Ok(Self { pre, version })
    }

    /// The version of the ABI that the module is for: the newest that it names.
    pub fn abi_version(&self) -> AbiVersion {
        self.version
    }

    /// The imports of the module.
    pub fn imports(&self) -> Vec<Import> {
        self.pre
            .module()
            .imports()
            .map(|import| Import { module: import.module().into(), name: import.name().into() })
            .collect()
    }

    /// The names of the module's exports.
    pub fn exports(&self) -> Vec<String> {
        self.pre.module().exports().map(|export| export.name().to_owned()).collect()
    }

    pub(crate) fn instance_pre(&self) -> &InstancePre<State> {
        &self.pre
    }
}
