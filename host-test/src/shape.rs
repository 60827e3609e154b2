//! What a module imports and exports, read without compiling it.

use wasmparser::{CompositeInnerType, ExternalKind, FuncType, Parser, Payload, TypeRef, ValType};

use crate::abi::{ALLOCATORS, AbiVersion, CALLBACKS, Callback};
use crate::error::{Error, ErrorKind};
use crate::imports::is_provided;

/// The imports and exports of a module.
#[derive(Default)]
pub(crate) struct Shape {
    types: Vec<Option<FuncType>>,
    /// For each function, imported ones first, the number of its type.
    functions: Vec<u32>,
    imports: Vec<(String, String)>,
    exports: Vec<(String, ExternalKind, u32)>,
}

impl Shape {
    /// Reads the sections that say them.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Error> {
        Self::parse(bytes).map_err(|error| {
            let message = format!("it is not a WebAssembly module: {error}");
            ErrorKind::Compile { message }.into()
        })
    }

    fn parse(bytes: &[u8]) -> Result<Self, wasmparser::BinaryReaderError> {
        let mut shape = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::TypeSection(groups) => {
                    for group in groups {
                        shape.types.extend(group?.into_types().map(|ty| {
                            match ty.composite_type.inner {
                                CompositeInnerType::Func(function) => Some(function),
                                _ => None,
                            }
                        }));
                    }
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import?;
                        shape.imports.push((import.module.to_owned(), import.name.to_owned()));
                        if let TypeRef::Func(number) = import.ty {
                            shape.functions.push(number);
                        }
                    }
                }
                Payload::FunctionSection(functions) => {
                    for number in functions {
                        shape.functions.push(number?);
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export?;
                        shape.exports.push((export.name.to_owned(), export.kind, export.index));
                    }
                }
                // The code is what takes the time.
                Payload::CodeSectionStart { .. } => break,
                _ => {}
            }
        }
        Ok(shape)
    }

    /// Rejects a module that Envoy would reject, or that this host cannot run. Returns the version
    /// of its ABI.
    pub(crate) fn check(&self) -> Result<AbiVersion, Error> {
        let missing = |name: String| ErrorKind::MissingExport { name };
        let version = AbiVersion::ALL.into_iter().find(|version| self.has(version.export()));
        let version =
            version.ok_or_else(|| missing(AbiVersion::ALL.map(AbiVersion::export).join(" or ")))?;
        match self.export("memory") {
            Some((ExternalKind::Memory, _)) => {}
            Some(_) => {
                let expected = "a memory".to_owned();
                return Err(ErrorKind::BadExport { name: "memory", expected }.into());
            }
            None => return Err(missing("memory".to_owned()).into()),
        }
        if !ALLOCATORS.iter().any(|allocator| self.has(allocator.name)) {
            let names = ALLOCATORS.map(|allocator| allocator.name).join(" or ");
            return Err(missing(names).into());
        }
        for callback in ALLOCATORS.iter().chain(CALLBACKS) {
            self.check_signature(callback.of(version))?;
        }
        let unknown: Vec<String> = self
            .imports
            .iter()
            .filter(|(module, name)| !is_provided(version, module, name))
            .map(|(module, name)| format!("{module}.{name}"))
            .collect();
        if unknown.is_empty() {
            Ok(version)
        } else {
            Err(ErrorKind::UnknownImports(unknown).into())
        }
    }

    fn has(&self, name: &str) -> bool {
        self.export(name).is_some()
    }

    fn export(&self, name: &str) -> Option<(ExternalKind, u32)> {
        let (_, kind, index) = self.exports.iter().find(|(export, ..)| export == name)?;
        Some((*kind, *index))
    }

    fn check_signature(&self, callback: Callback) -> Result<(), Error> {
        let fits = match self.export(callback.name) {
            None => true,
            Some((ExternalKind::Func, index)) => {
                self.function(index).is_some_and(|function| has_signature(function, callback))
            }
            Some(_) => false,
        };
        if fits {
            return Ok(());
        }
        let result = if callback.returns { "one i32" } else { "nothing" };
        let expected = format!("a function from {} i32 to {result}", callback.parameters);
        Err(ErrorKind::BadExport { name: callback.name, expected }.into())
    }

    fn function(&self, index: u32) -> Option<&FuncType> {
        let number = self.functions.get(index as usize)?;
        self.types.get(*number as usize)?.as_ref()
    }
}

fn has_signature(function: &FuncType, callback: Callback) -> bool {
    function.params().len() == callback.parameters
        && function.results().len() == usize::from(callback.returns)
        && function.params().iter().chain(function.results()).all(|value| *value == ValType::I32)
}
