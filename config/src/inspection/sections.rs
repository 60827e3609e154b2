//! The sections of a module, and what an inspection needs of them.

use wasmparser::{
    CompositeInnerType, Export, FuncType, Import, KnownCustom, MemoryType, Parser, Payload,
    ProducersSectionReader, TypeRef, TypeSectionReader, ValType,
};

use super::abi::Signature;
use super::{Memory, NotAModule, Producer, Section};

#[derive(Default)]
pub(super) struct Sections<'a> {
    pub(super) imports: Vec<Import<'a>>,
    pub(super) exports: Vec<Export<'a>>,
    pub(super) sizes: Vec<Section>,
    pub(super) producers: Vec<Producer>,
    memories: Vec<MemoryType>,
    /// The types, of which some are not of functions.
    types: Vec<Option<FuncType>>,
    /// The types of the functions, imported ones first.
    functions: Vec<u32>,
}

impl<'a> Sections<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, NotAModule> {
        let mut sections = Self::default();
        let mut end = 0;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload?;
            if let Payload::Version { range, .. } = &payload {
                sections.sizes.push(Section { name: "header".to_owned(), size: range.end });
                end = range.end;
            }
            if let Some((_, range)) = payload.as_section() {
                // From the end of the last one, so that the sizes add up to that of the file.
                let size = range.end.saturating_sub(end);
                sections.sizes.push(Section { name: name_of(&payload), size });
                end = range.end;
            }
            sections.take(payload)?;
        }
        Ok(sections)
    }

    fn take(&mut self, payload: Payload<'a>) -> Result<(), NotAModule> {
        match payload {
            Payload::TypeSection(reader) => self.types = function_types(reader)?,
            Payload::ImportSection(reader) => {
                self.imports = reader.into_imports().collect::<Result<_, _>>()?;
                for import in &self.imports {
                    match import.ty {
                        TypeRef::Func(index) | TypeRef::FuncExact(index) => {
                            self.functions.push(index);
                        }
                        TypeRef::Memory(memory) => self.memories.push(memory),
                        _ => {}
                    }
                }
            }
            Payload::FunctionSection(reader) => {
                for index in reader {
                    self.functions.push(index?);
                }
            }
            Payload::MemorySection(reader) => {
                for memory in reader {
                    self.memories.push(memory?);
                }
            }
            Payload::ExportSection(reader) => {
                self.exports = reader.into_iter().collect::<Result<_, _>>()?;
            }
            Payload::CustomSection(custom) => {
                if let KnownCustom::Producers(reader) = custom.as_known() {
                    // Custom sections may contain anything.
                    self.producers = producers(reader).unwrap_or_default();
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The signature of the type with this index.
    pub(super) fn signature(&self, index: u32) -> Option<Signature> {
        let function = self.types.get(usize::try_from(index).ok()?)?.as_ref()?;
        let (parameters, results) = (letters(function.params()), letters(function.results()));
        Some(Signature { parameters, results })
    }

    /// The signature of the function with this index.
    pub(super) fn function(&self, index: u32) -> Option<Signature> {
        self.signature(*self.functions.get(usize::try_from(index).ok()?)?)
    }

    pub(super) fn memory(&self) -> Option<Memory> {
        let memory = self.memories.first()?;
        Some(Memory { pages: memory.initial, maximum_pages: memory.maximum })
    }
}

fn function_types(reader: TypeSectionReader<'_>) -> Result<Vec<Option<FuncType>>, NotAModule> {
    let mut types = Vec::new();
    for group in reader {
        for subtype in group?.into_types() {
            types.push(match subtype.composite_type.inner {
                CompositeInnerType::Func(function) => Some(function),
                _ => None,
            });
        }
    }
    Ok(types)
}

fn producers(reader: ProducersSectionReader<'_>) -> Result<Vec<Producer>, NotAModule> {
    let mut producers = Vec::new();
    for field in reader {
        let field = field?;
        for value in field.values {
            let value = value?;
            producers.push(Producer {
                role: field.name.to_owned(),
                name: value.name.to_owned(),
                version: value.version.to_owned(),
            });
        }
    }
    Ok(producers)
}

fn letters(types: &[ValType]) -> String {
    let letter = |value: &ValType| match value {
        ValType::I32 => 'i',
        ValType::I64 => 'I',
        ValType::F32 => 'f',
        ValType::F64 => 'F',
        ValType::V128 | ValType::Ref(_) => '?',
    };
    types.iter().map(letter).collect()
}

fn name_of(payload: &Payload<'_>) -> String {
    match payload {
        Payload::TypeSection(_) => "type",
        Payload::ImportSection(_) => "import",
        Payload::FunctionSection(_) => "function",
        Payload::TableSection(_) => "table",
        Payload::MemorySection(_) => "memory",
        Payload::TagSection(_) => "tag",
        Payload::GlobalSection(_) => "global",
        Payload::ExportSection(_) => "export",
        Payload::StartSection { .. } => "start",
        Payload::ElementSection(_) => "element",
        Payload::DataCountSection { .. } => "data count",
        Payload::DataSection(_) => "data",
        Payload::CodeSectionStart { .. } => "code",
        Payload::CustomSection(custom) => return format!("custom {}", custom.name()),
        _ => "unknown",
    }
    .to_owned()
}
