//! Which modules can be reset, decided from their bytes.
//!
//! A module qualifies if all state that a call can leave behind is its memory, whose stores can be
//! marked, and its mutable globals, which can be set back. Whatever is not on the lists here is
//! refused with its reason: the module then gets a fresh instance a call, and works the same.
//!
//! Not here: whether the host can link the module, and what it calls itself.

use std::fmt;
use std::ops::Range;

use wasmparser::{
    Export, ExternalKind, FuncToValidate, GlobalType, MemoryType, Operator, Parser, Payload,
    RefType, TableType, TypeRef, ValType, ValidPayload, Validator, ValidatorResources,
    WasmFeatures,
};

use super::{MEMORY_EXPORT, MEMORY_PAGES_MAX, PRIVATE_PREFIX};

/// What an instance may be made of. Each of these was looked at for state that would survive a
/// reset; one that is not in the list has not been.
pub(super) const PROPOSALS: WasmFeatures = WasmFeatures::FLOATS
    .union(WasmFeatures::MUTABLE_GLOBAL)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::SIMD);

/// The modules whose functions the host provides. None of them keeps anything of a call.
const IMPORTED_MODULES: &[&str] = &["ferrite", "env", "wasi_snapshot_preview1"];

/// Why a module is given a fresh instance a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// It is a component: several modules, whose memories nobody outside can name.
    Component,
    /// It is invalid, or uses a proposal that is not on the list.
    Proposal(String),
    /// It imports something that is not a function of the host.
    Import(String),
    /// It has no memory, or does not export it under the name that the host looks for.
    NoMemory,
    /// Its memory is larger from the start than what is kept an instance.
    Memory(u64),
    /// It has a mutable global that holds a reference.
    Global(u32),
    /// It has a table of other references than functions, or one that others can write.
    Table,
    /// It exports a name that is the host's.
    Export(String),
    /// It has an instruction that changes what cannot be set back.
    Instruction(&'static str),
    /// It is at the edge of what a module may have, so that nothing can be added.
    Rewriting(String),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Component => write!(f, "it is a component"),
            Self::Proposal(message) => write!(f, "{message}"),
            Self::Import(name) => write!(f, "it imports {name}"),
            Self::NoMemory => write!(f, "it exports no memory of its own as '{MEMORY_EXPORT}'"),
            Self::Memory(pages) => {
                write!(f, "its memory starts with {pages} pages, more than {MEMORY_PAGES_MAX}")
            }
            Self::Global(index) => write!(f, "the mutable global {index} holds a reference"),
            Self::Table => write!(f, "a table is exported or holds other than functions"),
            Self::Export(name) => write!(f, "it exports '{name}', a name that is reserved"),
            Self::Instruction(name) => write!(f, "it uses {name}"),
            Self::Rewriting(message) => write!(f, "it cannot be rewritten: {message}"),
        }
    }
}

impl std::error::Error for Unfit {}

impl From<wasmparser::Error> for Unfit {
    fn from(error: wasmparser::Error) -> Self {
        Self::Proposal(error.message().to_owned())
    }
}

/// What the rewriting needs to know of a module that qualifies.
#[derive(Default)]
pub(super) struct Shape {
    /// The indices of the mutable globals. None is imported.
    pub globals: Vec<u32>,
    /// What types the operands of each function, in the order of the code section.
    pub functions: Vec<FuncToValidate<ValidatorResources>>,
    /// The function that runs when an instance is made, and the bytes that say so.
    pub start: Option<(u32, Range<usize>)>,
    /// Where the section ends that was looked at last.
    end: usize,
    memories: u32,
    has_memory_export: bool,
}

/// Looks at everything but whether the bodies of functions are valid: that is found out while they
/// are rewritten.
pub(super) fn qualify(wasm: &[u8]) -> Result<Shape, Unfit> {
    let mut shape = Shape::default();
    let mut validator = Validator::new_with_features(PROPOSALS);
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        if matches!(payload, Payload::Version { encoding: wasmparser::Encoding::Component, .. }) {
            return Err(Unfit::Component);
        }
        if let ValidPayload::Func(function, body) = validator.payload(&payload)? {
            shape.functions.push(function);
            for operator in body.get_operators_reader()? {
                check_operator(&operator?)?;
            }
        }
        shape.check(payload)?;
    }
    if shape.memories == 1 && shape.has_memory_export { Ok(shape) } else { Err(Unfit::NoMemory) }
}

impl Shape {
    fn check(&mut self, payload: Payload<'_>) -> Result<(), Unfit> {
        let end = match &payload {
            Payload::Version { range, .. } => range.end,
            other => other.as_section().map_or(self.end, |(_, range)| range.end),
        };
        let before = std::mem::replace(&mut self.end, end);
        match payload {
            Payload::StartSection { func, .. } => self.start = Some((func, before..end)),
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    check_import(import.module, import.name, import.ty)?;
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    check_table(&table?.ty)?;
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    self.add_memory(&memory?)?;
                }
            }
            Payload::GlobalSection(section) => {
                for (index, global) in (0..).zip(section) {
                    self.add_global(index, global?.ty)?;
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    self.check_export(&export?)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add_memory(&mut self, memory: &MemoryType) -> Result<(), Unfit> {
        self.memories += 1;
        if memory.initial > MEMORY_PAGES_MAX {
            return Err(Unfit::Memory(memory.initial));
        }
        Ok(())
    }

    fn add_global(&mut self, index: u32, global: GlobalType) -> Result<(), Unfit> {
        match global.content_type {
            _ if !global.mutable => Ok(()),
            ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 | ValType::V128 => {
                self.globals.push(index);
                Ok(())
            }
            ValType::Ref(_) => Err(Unfit::Global(index)),
        }
    }

    fn check_export(&mut self, export: &Export<'_>) -> Result<(), Unfit> {
        if export.name.starts_with(PRIVATE_PREFIX) {
            return Err(Unfit::Export(export.name.to_owned()));
        }
        match export.kind {
            ExternalKind::Table => Err(Unfit::Table),
            ExternalKind::Memory => {
                self.has_memory_export |= export.name == MEMORY_EXPORT;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn check_import(module: &str, name: &str, kind: TypeRef) -> Result<(), Unfit> {
    let is_host_function = matches!(kind, TypeRef::Func(_)) && IMPORTED_MODULES.contains(&module);
    if is_host_function { Ok(()) } else { Err(Unfit::Import(format!("{module}.{name}"))) }
}

fn check_table(table: &TableType) -> Result<(), Unfit> {
    if table.element_type == RefType::FUNCREF { Ok(()) } else { Err(Unfit::Table) }
}

/// Everything that changes a table, or drops a segment, leaves a trace that nothing sets back.
/// What changes memory or a global is not here: it is marked, or set back.
fn check_operator(operator: &Operator<'_>) -> Result<(), Unfit> {
    let name = match operator {
        Operator::DataDrop { .. } => "data.drop",
        Operator::ElemDrop { .. } => "elem.drop",
        Operator::TableSet { .. } => "table.set",
        Operator::TableGrow { .. } => "table.grow",
        Operator::TableFill { .. } => "table.fill",
        Operator::TableCopy { .. } => "table.copy",
        Operator::TableInit { .. } => "table.init",
        _ => return Ok(()),
    };
    Err(Unfit::Instruction(name))
}
