//! What stands in a module, looked at before anything of it is compiled.
//!
//! Invariant: a [`Shape`] is that of a valid module that the runtime can compile within its limits.
//! Not here: whether what it imports is there; the linker knows (link.rs).

use std::collections::HashMap;

use wasmparser::{
    BinaryReaderError, CompositeInnerType, ExportSectionReader, ExternalKind, FuncType,
    FuncValidator, FunctionBody, ImportSectionReader, Operator, Parser, Payload, TypeRef, ValType,
    Validator, ValidatorResources, WasmFeatures,
};

use crate::commands::Refusal;
use crate::functions::metadata::{
    Declaration, Metadata, Outcome, Parameter, Role, Signature, Type,
};
use crate::functions::source::MAGIC;
use crate::limits::functions::{
    COMPLEXITY_MAX, COMPLEXITY_SUM_MAX, DEFINED_MAX, INSTRUCTIONS_MAX, MEMORY_BYTES_MAX,
    TABLE_ELEMENTS_MAX,
};

/// A function's type as text, like `(i32, i32) -> (i64)`.
pub type TypeText = String;

/// Something that a module imports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Import {
    /// From which module.
    pub module: String,
    /// Its name there.
    pub name: String,
    /// As what.
    pub of: TypeText,
}

/// What is known of a module before it is compiled.
#[derive(Default, Debug)]
pub struct Shape {
    /// What it imports.
    pub imports: Vec<Import>,
    /// Its exports, each with its type.
    pub exports: HashMap<String, TypeText>,
    /// What it declares.
    pub metadata: Metadata,
}

/// The name of the section with the metadata.
const SECTION: &str = "ferrite.udf";

impl Shape {
    /// Looks at a module.
    ///
    /// # Errors
    /// Why it can be none of this server's.
    pub fn of(module: &[u8]) -> Result<Shape, Refusal> {
        if !module.starts_with(MAGIC) {
            return Err(invalid("magic header not detected (at offset 0x0)"));
        }
        if module.get(4..8) == Some(&[0x0d, 0, 1, 0]) {
            return Err("ERR Module is a component: ABI 1 is for core modules (targets \
                        wasm32-unknown-unknown and wasm32-wasip1)"
                .into());
        }
        let mut reader = Reader::default();
        let mut validator = Validator::new_with_features(WasmFeatures::WASM2);
        let mut allocations = wasmparser::FuncValidatorAllocations::default();
        for payload in Parser::new(0).parse_all(module) {
            let payload = payload.map_err(invalid)?;
            let valid = validator.payload(&payload).map_err(invalid)?;
            if let wasmparser::ValidPayload::Func(function, body) = valid {
                let mut function = function.into_validator(allocations);
                reader.read_body(&mut function, &body).map_err(invalid)??;
                allocations = function.into_allocations();
            }
            reader.read(payload).map_err(invalid)??;
        }
        reader.finish()
    }
}

fn invalid(why: impl ToString) -> Refusal {
    // One line, of bounded length: it may quote names.
    let why: String = why.to_string().chars().take(400).collect();
    format!("ERR Module is invalid: {why}").into()
}

#[derive(Default)]
struct Reader {
    shape: Shape,
    section: Vec<u8>,
    types: Vec<Option<FuncType>>,
    /// The type of each function, imported ones first.
    functions: Vec<u32>,
    globals: Vec<String>,
    complexity: u64,
    defined: usize,
}

type Read = Result<Result<(), Refusal>, BinaryReaderError>;

impl Reader {
    fn read(&mut self, payload: Payload<'_>) -> Read {
        match payload {
            Payload::TypeSection(reader) => {
                for group in reader {
                    for of in group?.into_types() {
                        self.types.push(match of.composite_type.inner {
                            CompositeInnerType::Func(of) => Some(of),
                            _ => None,
                        });
                    }
                }
            }
            Payload::ImportSection(reader) => self.read_imports(reader)?,
            Payload::FunctionSection(reader) => {
                for index in reader {
                    self.functions.push(index?);
                }
            }
            Payload::GlobalSection(reader) => {
                for global in reader {
                    let of = global?.ty;
                    let mutable = if of.mutable { "mutable " } else { "" };
                    self.globals.push(format!("global {mutable}{}", value_text(of.content_type)));
                }
            }
            Payload::TableSection(reader) => {
                for table in reader {
                    if table?.ty.initial > TABLE_ELEMENTS_MAX as u64 {
                        let limit = TABLE_ELEMENTS_MAX;
                        let line = format!("ERR Module needs a table beyond {limit} elements");
                        return Ok(Err(line.into()));
                    }
                }
            }
            Payload::MemorySection(reader) => {
                for memory in reader {
                    let bytes = memory?.initial.saturating_mul(64 << 10);
                    if bytes > MEMORY_BYTES_MAX as u64 {
                        let limit = MEMORY_BYTES_MAX;
                        let line = format!(
                            "ERR Module needs {bytes} bytes of memory, the limit is {limit}"
                        );
                        return Ok(Err(line.into()));
                    }
                }
            }
            Payload::ExportSection(reader) => self.read_exports(reader)?,
            Payload::CustomSection(reader) if reader.name() == SECTION => {
                self.section.extend_from_slice(reader.data());
            }
            _ => {}
        }
        Ok(Ok(()))
    }

    fn read_imports(&mut self, reader: ImportSectionReader<'_>) -> Result<(), BinaryReaderError> {
        for import in reader.into_imports() {
            let import = import?;
            let of = match import.ty {
                TypeRef::Func(index) => {
                    self.functions.push(index);
                    self.type_text(index)
                }
                TypeRef::Global(global) => {
                    self.globals.push(String::new());
                    format!("global {}", value_text(global.content_type))
                }
                TypeRef::Memory(_) => "memory".into(),
                TypeRef::Table(_) => "table".into(),
                _ => "tag".into(),
            };
            let (module, name) = (import.module.into(), import.name.into());
            self.shape.imports.push(Import { module, name, of });
        }
        Ok(())
    }

    fn read_exports(&mut self, reader: ExportSectionReader<'_>) -> Result<(), BinaryReaderError> {
        for export in reader {
            let export = export?;
            let of = match export.kind {
                ExternalKind::Func | ExternalKind::FuncExact => {
                    let of = self.functions.get(export.index as usize).copied();
                    self.type_text(of.unwrap_or(u32::MAX))
                }
                ExternalKind::Global => {
                    let of = self.globals.get(export.index as usize).cloned();
                    of.unwrap_or_default()
                }
                ExternalKind::Memory => "memory".into(),
                ExternalKind::Table => "table".into(),
                ExternalKind::Tag => "tag".into(),
            };
            self.shape.exports.insert(export.name.into(), of);
        }
        Ok(())
    }

    /// Validates a function, and looks how much work its compilation is going to be. Memory is
    /// taken by instruction; what keeps track of where each value lives takes time by branches
    /// times the values that there are at each, be they local variables or operands.
    fn read_body(
        &mut self,
        validator: &mut FuncValidator<ValidatorResources>,
        body: &FunctionBody<'_>,
    ) -> Read {
        validator.read_locals(&mut body.get_binary_reader())?;
        let locals = u64::from(validator.len_locals()).max(1);
        let (mut instructions, mut branches, mut complexity) = (0, 1_u64, locals);
        let mut repeats = 0_u64;
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let at = operators.original_position();
            let operator = operators.read()?;
            let more = match &operator {
                Operator::Block { .. } => 1,
                Operator::Loop { .. } | Operator::If { .. } | Operator::Else => 1,
                // With what is put before them when the module is rewritten: a look, and marks.
                Operator::Br { .. } | Operator::BrIf { .. } => 2,
                Operator::BrTable { targets } => u64::from(targets.len()) + 1,
                Operator::MemoryFill { .. }
                | Operator::MemoryCopy { .. }
                | Operator::MemoryInit { .. } => 4,
                _ => 0,
            };
            let values = locals + u64::from(validator.operand_stack_height());
            validator.op(at, &operator)?;
            repeats += u64::from(matches!(
                operator,
                Operator::Loop { .. }
                    | Operator::MemoryFill { .. }
                    | Operator::MemoryCopy { .. }
                    | Operator::MemoryInit { .. }
            ));
            branches += more;
            complexity = complexity.saturating_add(more.saturating_mul(values));
            instructions += 1;
        }
        operators.finish()?;
        // Time grows with their square: 8000 of them take about as long as what is allowed
        // otherwise.
        complexity = complexity.saturating_add(repeats.saturating_mul(repeats) / 8);
        Ok(self.note_body(instructions, branches, complexity))
    }

    fn note_body(
        &mut self,
        instructions: usize,
        branches: u64,
        complexity: u64,
    ) -> Result<(), Refusal> {
        let number = self.defined;
        self.defined += 1;
        self.complexity = self.complexity.saturating_add(complexity);
        let what = if self.defined > DEFINED_MAX {
            format!("more than {DEFINED_MAX} functions")
        } else if instructions > INSTRUCTIONS_MAX {
            format!(
                "function {number} of those it defines has {instructions} instructions, the limit \
                 is {INSTRUCTIONS_MAX}"
            )
        } else if complexity > COMPLEXITY_MAX || self.complexity > COMPLEXITY_SUM_MAX {
            format!(
                "function {number} of those it defines has {branches} branches, at which there are \
                 {} values on average, which take too long to compile",
                complexity / branches
            )
        } else {
            return Ok(());
        };
        Err(format!("ERR Module is too complex: {what}").into())
    }

    fn type_text(&self, index: u32) -> TypeText {
        match self.types.get(index as usize) {
            Some(Some(of)) => type_text(of.params(), of.results()),
            _ => String::new(),
        }
    }

    fn finish(mut self) -> Result<Shape, Refusal> {
        let metadata = Metadata::read(&self.section)?;
        let shape = &mut self.shape;
        if shape.exports.get("memory").is_none_or(|of| of != "memory") {
            return Err("ERR Module exports no memory named 'memory'".into());
        }
        if shape.exports.contains_key("_start") {
            return Err("ERR Module is a program (it exports _start): build it as a library".into());
        }
        shape.metadata = metadata;
        if shape.metadata.functions.is_empty() {
            shape.find_functions()?;
        }
        shape.check_exports()?;
        Ok(self.shape)
    }
}

impl Shape {
    /// Without metadata every export that could be a generic function is one.
    fn find_functions(&mut self) -> Result<(), Refusal> {
        let none = "ERR Module has no functions: no section ferrite.udf, no export ferrite_abi_1";
        if !self.exports.get("ferrite_abi_1").is_some_and(|of| of.starts_with('(')) {
            return Err(none.into());
        }
        let is_own = |name: &str| !["_", "ferrite_", "cabi_"].iter().any(|p| name.starts_with(p));
        let functions = self.exports.iter().filter(|(name, of)| *of == GENERIC && is_own(name));
        let mut names: Vec<&String> = functions.map(|(name, _)| name).collect();
        names.sort_unstable();
        for name in names {
            if !crate::functions::metadata::is_name(name) {
                let rule = "a name is 1 to 64 letters, digits and underscores";
                return Err(format!("ERR Metadata: function '{name}': {rule}").into());
            }
            self.metadata.functions.push(Declaration::generic(name));
        }
        if self.metadata.functions.is_empty() {
            Err("ERR No functions registered".into())
        } else {
            Ok(())
        }
    }

    fn check_exports(&self) -> Result<(), Refusal> {
        for (name, wanted) in [
            ("ferrite_alloc", "(i32) -> (i32)"),
            ("_initialize", "() -> ()"),
            ("ferrite_input", "global i32"),
        ] {
            if let Some(of) = self.exports.get(name).filter(|of| *of != wanted) {
                let line = format!("ERR Module exports '{name}' as {of}, it must be {wanted}");
                return Err(line.into());
            }
        }
        for function in &self.metadata.functions {
            let (name, export) = (&function.name, &function.export);
            let wanted = wasm_type(&function.signature);
            match self.exports.get(export) {
                Some(of) if *of == wanted => {}
                Some(of) => {
                    return Err(format!(
                        "ERR Metadata: function '{name}': export '{export}' is {of}, its \
                         parameters and result need {wanted}"
                    )
                    .into());
                }
                None => {
                    let what = format!("export '{export}' is missing");
                    return Err(format!("ERR Metadata: function '{name}': {what}").into());
                }
            }
        }
        let takes_text = self.metadata.functions.iter().any(|function| match &function.signature {
            Signature::Generic => true,
            Signature::Typed(parameters, _) => {
                parameters.iter().any(|p| matches!(p.kind, Type::Str | Type::Bytes))
            }
        });
        let gets = self.imports.iter().any(|import| import.name == "ferrite_get");
        if (takes_text || gets) && !self.exports.contains_key("ferrite_alloc") {
            return Err("ERR Module lacks export 'ferrite_alloc'".into());
        }
        Ok(())
    }
}

const GENERIC: &str = "(i32, i32) -> (i64)";

/// The type that an export needs for its parameters and its result.
pub fn wasm_type(signature: &Signature) -> TypeText {
    let Signature::Typed(parameters, outcome) = signature else { return GENERIC.into() };
    let mut params = Vec::new();
    for parameter in parameters {
        params.extend_from_slice(wasm_params(parameter));
    }
    let results: &[ValType] = match outcome {
        Outcome::I64 | Outcome::Bytes | Outcome::Reply => &[ValType::I64],
        Outcome::F64 => &[ValType::F64],
        Outcome::None => &[],
    };
    type_text(&params, results)
}

fn wasm_params(parameter: &Parameter) -> &'static [ValType] {
    match (parameter.role, parameter.kind, parameter.optional) {
        (Role::Arg, Type::I64, false) => &[ValType::I64],
        (Role::Arg, Type::I64, true) => &[ValType::I32, ValType::I64],
        (Role::Arg, Type::F64, false) => &[ValType::F64],
        (Role::Arg, Type::F64, true) => &[ValType::I32, ValType::F64],
        _ => &[ValType::I32, ValType::I32],
    }
}

fn type_text(params: &[ValType], results: &[ValType]) -> TypeText {
    let list =
        |types: &[ValType]| types.iter().map(|of| value_text(*of)).collect::<Vec<_>>().join(", ");
    format!("({}) -> ({})", list(params), list(results))
}

fn value_text(of: ValType) -> String {
    of.to_string()
}
