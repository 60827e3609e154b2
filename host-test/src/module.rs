//! A compiled module.

use std::path::Path;

use wasmtime::{
    Cache, CacheConfig, Config, Engine, ExternType, FuncType, InstancePre, Linker, OptLevel, Store,
    ValType,
};

use crate::abi::{ABI_VERSIONS, ALLOCATORS, CALLBACKS, Callback};
use crate::error::Error;
use crate::host_calls;
use crate::options::Options;
use crate::state::State;
use crate::wasi;

/// A Proxy-Wasm module, compiled and checked.
///
/// Compiling takes most of the time. A `Module` is cheap to clone and can be shared between
/// threads, so compile once and start as many [`Plugin`](crate::Plugin)s as there are tests.
///
/// ```
/// use proxy_wasm_test::{Error, Module};
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
/// assert!(matches!(error, Err(Error::MissingExport { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Module {
    pre: InstancePre<State>,
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
    /// Compiles a module from WebAssembly bytes, for a quick start.
    ///
    /// # Errors
    ///
    /// If the bytes are not WebAssembly, if the module lacks a required export, or if it has
    /// imports that the host does not provide ([`Error::UnknownImports`] lists them).
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, Error> {
        Self::with_optimization(bytes, Optimization::default())
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
        let cache = Cache::new(config).map_err(|error| Error::Cache {
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
            .map_err(|source| Error::Read { path: path.to_path_buf(), source })?;
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
        let mut config = Config::new();
        config.cache(cache).consume_fuel(true).cranelift_opt_level(match optimization {
            Optimization::None => OptLevel::None,
            Optimization::Speed => OptLevel::Speed,
        });
        let compile_error =
            |error: wasmtime::Error| Error::Compile { message: format!("{error:#}") };
        let engine = Engine::new(&config).map_err(compile_error)?;
        let module = wasmtime::Module::from_binary(&engine, bytes).map_err(compile_error)?;
        check_exports(&module)?;

        let link_error =
            |error: wasmtime::Error| Error::Instantiate { message: format!("{error:#}") };
        let mut linker = Linker::new(&engine);
        host_calls::link(&mut linker).map_err(link_error)?;
        wasi::link(&mut linker).map_err(link_error)?;
        // The linker needs a store to look up its functions, so it gets an unused one.
        let mut store = Store::new(&engine, State::new(Options::default()));
        let unknown: Vec<String> = module
            .imports()
            .filter(|import| linker.get(&mut store, import.module(), import.name()).is_err())
            .map(|import| format!("{}.{}", import.module(), import.name()))
            .collect();
        if !unknown.is_empty() {
            return Err(Error::UnknownImports(unknown));
        }
        Ok(Self { pre: linker.instantiate_pre(&module).map_err(link_error)? })
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

/// Rejects a module that this host cannot run.
fn check_exports(module: &wasmtime::Module) -> Result<(), Error> {
    let missing = |name: String| Err(Error::MissingExport { name });
    if !ABI_VERSIONS.iter().any(|name| module.get_export(name).is_some()) {
        return missing(ABI_VERSIONS.join(" or "));
    }
    match module.get_export("memory") {
        Some(ExternType::Memory(_)) => {}
        Some(_) => {
            return Err(Error::BadExport { name: "memory", expected: "a memory".to_owned() });
        }
        None => return missing("memory".to_owned()),
    }
    if !ALLOCATORS.iter().any(|allocator| module.get_export(allocator.name).is_some()) {
        return missing(ALLOCATORS.map(|allocator| allocator.name).join(" or "));
    }
    ALLOCATORS.iter().chain(&CALLBACKS).try_for_each(|callback| check_signature(module, *callback))
}

fn check_signature(module: &wasmtime::Module, callback: Callback) -> Result<(), Error> {
    let fits = match module.get_export(callback.name) {
        None => true,
        Some(ExternType::Func(function)) => has_signature(&function, callback),
        Some(_) => false,
    };
    if fits {
        return Ok(());
    }
    let result = if callback.returns { "one i32" } else { "nothing" };
    let expected = format!("a function from {} i32 to {result}", callback.parameters);
    Err(Error::BadExport { name: callback.name, expected })
}

fn has_signature(function: &FuncType, callback: Callback) -> bool {
    function.params().len() == callback.parameters
        && function.results().len() == usize::from(callback.returns)
        && function.params().chain(function.results()).all(|value| matches!(value, ValType::I32))
}
