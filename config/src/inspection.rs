//! What a Wasm module is, without compiling it: its ABI, imports, exports and size, and whether
//! Envoy loads it.

mod abi;
mod sections;
mod text;

use proxy_wasm_test::AbiVersion;
use serde::Serialize;
use wasmparser::{ExternalKind, TypeRef};

use abi::Signature;
use sections::Sections;

pub(crate) use text::text;

/// A module as seen from outside.
#[derive(Debug, Serialize)]
pub(crate) struct Inspection {
    /// The size of the file in bytes.
    pub(crate) size: usize,
    /// The version of the ABI that Envoy uses.
    pub(crate) abi_version: Option<String>,
    /// What prevents Envoy from loading the module.
    pub(crate) problems: Vec<String>,
    pub(crate) imports: Vec<Import>,
    pub(crate) exports: Vec<Export>,
    pub(crate) sections: Vec<Section>,
    pub(crate) memory: Option<Memory>,
    pub(crate) producers: Vec<Producer>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Import {
    pub(crate) module: String,
    pub(crate) name: String,
    /// Its type, such as `(i32) -> i32`, or its kind.
    pub(crate) r#type: String,
    /// Whether Envoy links it.
    pub(crate) linked: bool,
    /// Why Envoy does not link it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Export {
    pub(crate) name: String,
    pub(crate) r#type: String,
    /// Whether Envoy uses it.
    pub(crate) used: bool,
    /// Why Envoy cannot use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Section {
    /// Such as `code`, or `custom name`.
    pub(crate) name: String,
    /// In bytes, with its header.
    pub(crate) size: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct Memory {
    /// The size at the start, in pages of 64 KiB.
    pub(crate) pages: u64,
    pub(crate) maximum_pages: Option<u64>,
}

/// A compiler or tool, from the section `producers`.
#[derive(Debug, Serialize)]
pub(crate) struct Producer {
    /// `language`, `processed-by` or `sdk`.
    pub(crate) role: String,
    pub(crate) name: String,
    pub(crate) version: String,
}

/// A file that is not a WebAssembly module.
#[derive(Debug, thiserror::Error)]
#[error("is not a WebAssembly module: {0}")]
pub(crate) struct NotAModule(#[from] wasmparser::BinaryReaderError);

impl Inspection {
    /// Inspects the bytes of a module.
    ///
    /// # Errors
    /// If they are not a WebAssembly module.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, NotAModule> {
        let sections = Sections::read(bytes)?;
        let version = sections.exports.iter().find_map(declared_version);
        // Without a version, Envoy stops before it looks at anything else.
        let assumed = version.unwrap_or(AbiVersion::V0_2_1);
        let imports = sections.imports.iter().map(|import| read_import(import, &sections, assumed));
        let imports: Vec<Import> = imports.collect();
        let exports = sections.exports.iter().map(|export| read_export(export, &sections, assumed));
        let exports: Vec<Export> = exports.collect();
        let problems = problems(version, &imports, &exports);
        Ok(Self {
            size: bytes.len(),
            abi_version: version.map(|version| version.to_string()),
            problems,
            imports,
            exports,
            memory: sections.memory(),
            sections: sections.sizes,
            producers: sections.producers,
        })
    }
}

/// The version that an export declares. Of several, Envoy uses the first.
fn declared_version(export: &wasmparser::Export<'_>) -> Option<AbiVersion> {
    let is_function = matches!(export.kind, ExternalKind::Func | ExternalKind::FuncExact);
    abi::VERSIONS
        .into_iter()
        .find(|version| is_function && abi::declaration(*version) == export.name)
}

fn read_import(
    import: &wasmparser::Import<'_>,
    sections: &Sections<'_>,
    abi: AbiVersion,
) -> Import {
    let (kind, problem) = match import.ty {
        TypeRef::Func(index) | TypeRef::FuncExact(index) => {
            let actual = sections.signature(index);
            let problem = match abi::linked(abi, import.module, import.name) {
                None => Some(format!("Envoy has no such function in ABI {abi}")),
                Some(linked) => mismatch(actual.as_ref(), &linked),
            };
            (shown(actual.as_ref()), problem)
        }
        // Envoy creates them.
        TypeRef::Memory(_) => ("memory".to_owned(), None),
        TypeRef::Table(_) => ("table".to_owned(), None),
        TypeRef::Global(_) => ("global".to_owned(), Some("Envoy links no globals".to_owned())),
        TypeRef::Tag(_) => ("tag".to_owned(), Some("Envoy links no tags".to_owned())),
    };
    let (module, name) = (import.module.to_owned(), import.name.to_owned());
    Import { module, name, r#type: kind, linked: problem.is_none(), problem }
}

fn read_export(
    export: &wasmparser::Export<'_>,
    sections: &Sections<'_>,
    abi: AbiVersion,
) -> Export {
    let called = abi::called(abi, export.name);
    let (kind, problem) = match export.kind {
        ExternalKind::Func | ExternalKind::FuncExact => {
            let actual = sections.function(export.index);
            let problem = called.as_ref().and_then(|called| mismatch(actual.as_ref(), called));
            (shown(actual.as_ref()), problem)
        }
        kind => {
            let kind = match kind {
                ExternalKind::Table => "table",
                ExternalKind::Memory => "memory",
                ExternalKind::Global => "global",
                _ => "tag",
            };
            (kind.to_owned(), called.as_ref().map(|called| format!("Envoy calls it as {called}")))
        }
    };
    let is_version = declared_version(export).is_some();
    let used = called.is_some() || is_version || export.kind == ExternalKind::Memory;
    Export { name: export.name.to_owned(), r#type: kind, used, problem }
}

fn mismatch(actual: Option<&Signature>, wanted: &Signature) -> Option<String> {
    (actual != Some(wanted)).then(|| format!("in Envoy, its type is {wanted}"))
}

fn shown(signature: Option<&Signature>) -> String {
    signature.map_or_else(|| "function".to_owned(), ToString::to_string)
}

fn problems(version: Option<AbiVersion>, imports: &[Import], exports: &[Export]) -> Vec<String> {
    let mut problems = Vec::new();
    if version.is_none() {
        let names = abi::VERSIONS.map(abi::declaration).join(", ");
        problems.push(format!(
            "it exports no function that declares its ABI ({names}): build it with an SDK for Proxy-Wasm"
        ));
    }
    for Import { module, name, problem, .. } in imports {
        problems.extend(problem.iter().map(|why| format!("import {module}.{name}: {why}")));
    }
    for Export { name, problem, .. } in exports {
        problems.extend(problem.iter().map(|why| format!("export {name}: {why}")));
    }
    let has = |name: &str| exports.iter().any(|export| export.name == name);
    if !abi::ALLOCATORS.into_iter().any(has) {
        problems.push(format!("it exports no allocator ({})", abi::ALLOCATORS.join(" or ")));
    }
    problems
}
