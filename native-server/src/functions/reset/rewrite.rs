//! A module that marks what it writes, and stops when it has to: each store first sets the card of
//! the place that it is going to write, one byte for each KiB, in a second memory; whatever may go
//! on for long looks at a byte there.
//!
//! Invariant: whatever byte of memory an instruction changes, unless it traps, is in the reach of a
//! marked card: in its own KiB, or in the `REACH` bytes behind that. The code of the module was
//! validated while it knew of one memory, so nothing but what is inserted here can name the cards.
//!
//! A store that traps may leave a wrong mark, or none, since an instance that trapped is not used
//! again. So addresses are counted in 32 bits: one that wraps around is that of a store that traps.
//!
//! Invariant: between two looks at the byte that says stop each instruction of a function is run at
//! most once, for a bounded time: a function looks when it begins and before each branch that leads
//! back to where a loop begins; a bulk operation looks if it is a long one. A look is an atomic
//! load. No compiler may take it out of a loop or merge it with another, as it may loads from
//! memory that nobody shares.
//!
//! Not here: everything that is about neither. Instructions are copied as the bytes they are,
//! and whatever is added comes behind what was there, so that no index changes. A function's body
//! becomes a block in another one; so branches that left the function leave its block.

use std::collections::HashMap;

use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    BlockType, CodeSection, ExportKind, ExportSection, Function, InstructionSink, MemArg,
    MemorySection, MemoryType, Module, TypeSection, ValType,
};
use wasmparser::{
    CodeSectionReader, ExportSectionReader, FrameKind, FuncToValidate, FuncValidator, FunctionBody,
    MemorySectionReader, Operator, Parser, TypeSectionReader, Validator, ValidatorResources,
    WasmFeatures, WasmModuleResources,
};

use super::bases::{Base, Bases};
use super::qualify::{PROPOSALS, Shape, Unfit, qualify};
use super::{
    CARD_BITS, CARDS_EXPORT, GLOBAL_PREFIX, MEMORY_PAGES_MAX, REACH, START_EXPORT, STOP_AT,
};

/// Where the cards are. The guest's memory is number 0.
const CARDS: MemArg = MemArg { offset: 0, align: 0, memory_index: CARDS_INDEX };
const CARDS_INDEX: u32 = 1;

/// Where the byte is that says stop.
const STOP: MemArg = MemArg { offset: STOP_AT as u64, align: 0, memory_index: CARDS_INDEX };

/// One page of wasm has a card for each KiB of 64 MiB.
const CARDS_PAGES: u64 = 1;

/// A bulk operation of at most this length touches two cards, which are marked without a loop.
const SHORT_BYTES: i32 = 1 << CARD_BITS;

/// The module whose instances can be reset; or why there is none.
pub fn rewrite(wasm: &[u8]) -> Result<Vec<u8>, Unfit> {
    let shape = qualify(wasm)?;
    // The host calls what would start by itself, when it can stop it.
    let cut =
        shape.start.as_ref().map(|(_, bytes)| [&wasm[..bytes.start], &wasm[bytes.end..]].concat());
    let wasm = cut.as_deref().unwrap_or(wasm);
    let mut module = Module::new();
    let mut rewriter = Rewriter { shape, tuples: HashMap::new() };
    let rewritten = rewriter.parse_core_module(&mut module, Parser::new(0), wasm);
    rewritten.map_err(|error| match error {
        reencode::Error::UserError(unfit) => unfit,
        reencode::Error::ParseError(error) => Unfit::from(error),
        other => Unfit::Rewriting(other.to_string()),
    })?;
    let rewritten = module.finish();
    Validator::new_with_features(PROPOSALS | WasmFeatures::MULTI_MEMORY | WasmFeatures::THREADS)
        .validate_all(&rewritten)
        .map_err(|error| Unfit::Rewriting(error.message().to_owned()))?;
    Ok(rewritten)
}

struct Rewriter {
    shape: Shape,
    /// The types of blocks that give several values, by these.
    tuples: HashMap<Vec<ValType>, u32>,
}

impl Rewriter {
    fn results(&mut self, function: &FuncToValidate<ValidatorResources>) -> Vec<ValType> {
        let of = function.resources.sub_type_at(function.ty);
        let results = of.map_or(&[][..], |of| of.unwrap_func().results());
        results.iter().filter_map(|kind| self.val_type(*kind).ok()).collect()
    }

    fn block_type(&mut self, function: &FuncToValidate<ValidatorResources>) -> BlockType {
        let results = self.results(function);
        match results[..] {
            [] => BlockType::Empty,
            [kind] => BlockType::Result(kind),
            _ => BlockType::FunctionType(self.tuples.get(&results).copied().unwrap_or_default()),
        }
    }
}

impl Reencode for Rewriter {
    type Error = Unfit;

    /// A function's body becomes a block, whose type is to be there if it gives several values.
    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: TypeSectionReader<'_>,
    ) -> Result<(), reencode::Error<Unfit>> {
        utils::parse_type_section(self, types, section)?;
        let functions = std::mem::take(&mut self.shape.functions);
        for function in &functions {
            let results = self.results(function);
            if results.len() > 1 && !self.tuples.contains_key(&results) {
                self.tuples.insert(results.clone(), types.len());
                types.ty().function([], results);
            }
        }
        self.shape.functions = functions;
        Ok(())
    }

    /// The guest's memory is bounded, and the cards come behind it.
    fn parse_memory_section(
        &mut self,
        memories: &mut MemorySection,
        section: MemorySectionReader<'_>,
    ) -> Result<(), reencode::Error<Unfit>> {
        for memory in section {
            let mut memory = self.memory_type(memory?)?;
            let bound = memory.maximum.map_or(MEMORY_PAGES_MAX, |own| own.min(MEMORY_PAGES_MAX));
            memory.maximum = Some(bound);
            memories.memory(memory);
        }
        memories.memory(MemoryType {
            minimum: CARDS_PAGES,
            maximum: Some(CARDS_PAGES),
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        Ok(())
    }

    /// What the host must find is exported, under names that no guest may use.
    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: ExportSectionReader<'_>,
    ) -> Result<(), reencode::Error<Unfit>> {
        utils::parse_export_section(self, exports, section)?;
        exports.export(CARDS_EXPORT, ExportKind::Memory, CARDS_INDEX);
        if let Some((start, _)) = self.shape.start {
            exports.export(START_EXPORT, ExportKind::Func, start);
        }
        for index in &self.shape.globals {
            exports.export(&format!("{GLOBAL_PREFIX}{index}"), ExportKind::Global, *index);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), reencode::Error<Unfit>> {
        let functions = std::mem::take(&mut self.shape.functions);
        for (function, original) in functions.into_iter().zip(section) {
            let original = original?;
            let block = self.block_type(&function);
            let mut body = Body::new(function, &original)?;
            body.copy(&original, block)?;
            let mut locals = Vec::new();
            for declared in original.get_locals_reader()? {
                let (count, kind) = declared?;
                locals.push((count, self.val_type(kind)?));
            }
            locals.extend(body.added.iter().map(|kind| (1, *kind)));
            code.function(Function::new(locals).raw(body.code));
        }
        Ok(())
    }
}

/// The body of one function while it is rewritten.
struct Body {
    validator: FuncValidator<ValidatorResources>,
    bases: Bases,
    own_locals: u32,
    added: Vec<ValType>,
    code: Vec<u8>,
}

impl Body {
    fn new(
        function: FuncToValidate<ValidatorResources>,
        original: &FunctionBody<'_>,
    ) -> Result<Self, wasmparser::Error> {
        let mut validator = function.into_validator(Default::default());
        validator.read_locals(&mut original.get_binary_reader())?;
        let own_locals = validator.len_locals();
        let code = Vec::with_capacity(original.as_bytes().len());
        let bases = Bases::new(original)?;
        Ok(Self { validator, bases, own_locals, added: Vec::new(), code })
    }

    fn copy(
        &mut self,
        original: &FunctionBody<'_>,
        block: BlockType,
    ) -> Result<(), wasmparser::Error> {
        let (bytes, start) = (original.as_bytes(), original.range().start);
        let mut operators = original.get_operators_reader()?;
        self.emit().block(BlockType::Empty).block(block);
        self.look();
        while !operators.eof() {
            let at = operators.original_position();
            let operator = operators.read()?;
            let arity = operator.operator_arity(&self.validator);
            self.validator.op(at, &operator)?;
            self.mark(&operator);
            self.turn(&operator);
            self.code.extend_from_slice(&bytes[at - start..operators.original_position() - start]);
            self.bases.step(&operator, arity, self.validator.operand_stack_height());
        }
        self.emit().return_().end().unreachable().end();
        operators.finish()
    }

    /// Looks before a branch that may be another turn of a loop. Where a loop begins there is
    /// nothing to look at: many are left before their first turn is over.
    fn turn(&mut self, operator: &Operator<'_>) {
        let is_turn = match operator {
            Operator::BrIf { relative_depth } | Operator::Br { relative_depth } => {
                self.is_loop(*relative_depth)
            }
            Operator::BrTable { targets } => {
                let mut depths = targets.targets().flatten().chain([targets.default()]);
                depths.any(|depth| self.is_loop(depth))
            }
            _ => false,
        };
        if is_turn {
            self.look();
        }
    }

    fn is_loop(&self, depth: u32) -> bool {
        let frame = self.validator.get_control_frame(depth as usize);
        frame.is_some_and(|frame| frame.kind == FrameKind::Loop)
    }

    /// Leaves the function if it has to stop. Around it are its blocks, the body's, and the one
    /// behind whose end is a trap.
    fn look(&mut self) {
        self.look_from(self.validator.control_stack_height());
    }

    fn look_from(&mut self, depth: u32) {
        self.emit().i32_const(0).i32_atomic_load8_u(STOP).br_if(depth);
    }

    /// Marks what the operator is going to write, if it writes.
    fn mark(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::MemoryFill { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryInit { .. } => self.mark_range(),
            _ => {
                if let Some(store) = Store::of(operator) {
                    self.mark_store(store);
                }
            }
        }
    }

    fn mark_store(&mut self, Store { offset, bytes, operand }: Store) {
        let Some((base, already)) = self.bases.address() else {
            let (address, value) = (self.local(ValType::I32, 0), self.local(operand, 1));
            self.emit().local_set(value).local_tee(address);
            self.mark_card(anchor(offset, bytes));
            self.emit().local_get(address).local_get(value);
            return;
        };
        let offset = already + offset;
        if self.bases.is_marked(base, offset, bytes) {
            return;
        }
        let anchor = anchor(offset, bytes);
        match base {
            Base::Zero => self.emit().i32_const(0),
            Base::Local { index, .. } => self.emit().local_get(index),
        };
        self.mark_card(anchor);
        self.bases.set_marked(base, anchor);
    }

    /// Marks what is written to the address below the source and the length.
    fn mark_range(&mut self) {
        let [to, from, length] = [0, 1, 2].map(|nth| self.local(ValType::I32, nth));
        self.emit().local_set(length).local_set(from).local_set(to);
        self.emit().local_get(length).i32_const(SHORT_BYTES).i32_le_u().if_(BlockType::Empty);
        self.emit().local_get(to);
        self.mark_card(0);
        self.emit().local_get(to).local_get(length).i32_add();
        self.mark_card(0);
        let bits = CARD_BITS as i32;
        self.emit().else_();
        self.look_from(self.validator.control_stack_height() + 1);
        self.emit().local_get(to).i32_const(bits).i32_shr_u().i32_const(1);
        self.emit().local_get(to).local_get(length).i32_add().i32_const(bits).i32_shr_u();
        self.emit().local_get(to).i32_const(bits).i32_shr_u().i32_sub().i32_const(1).i32_add();
        self.emit().memory_fill(CARDS_INDEX).end();
        self.emit().local_get(to).local_get(from).local_get(length);
    }

    /// Marks the card of the address that is on the stack.
    fn mark_card(&mut self, offset: u64) {
        if offset != 0 {
            // An address beyond 32 bits is one of a store that traps.
            self.emit().i32_const(offset as i32).i32_add();
        }
        self.emit().i32_const(CARD_BITS as i32).i32_shr_u().i32_const(1).i32_store8(CARDS);
    }

    /// The index of the nth of the added locals that is of this kind.
    fn local(&mut self, kind: ValType, nth: usize) -> u32 {
        let mut alike = (0..).zip(&self.added).filter(|(_, added)| **added == kind);
        let found = alike.nth(nth).map(|(index, _)| index);
        let index = found.unwrap_or_else(|| {
            self.added.push(kind);
            self.added.len() as u32 - 1
        });
        self.own_locals + index
    }

    fn emit(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.code)
    }
}

/// The place, counted from the base, whose card is marked for a store: the same one for many
/// stores, and one that needs no addition, if the store is within its reach.
fn anchor(offset: u64, bytes: u64) -> u64 {
    let shared = offset - offset % REACH;
    if offset + bytes <= shared + REACH { shared } else { offset }
}

/// A store of so many bytes, at an offset from its address, of an operand of this type.
#[derive(Debug, PartialEq)]
pub(super) struct Store {
    pub offset: u64,
    pub bytes: u64,
    pub operand: ValType,
}

impl Store {
    /// The store that the operator is, if it is one of those that the accepted proposals have.
    pub fn of(operator: &Operator<'_>) -> Option<Self> {
        use Operator as Op;
        let (argument, bytes, operand) = match operator {
            Op::I32Store { memarg } => (memarg, 4, ValType::I32),
            Op::I32Store8 { memarg } => (memarg, 1, ValType::I32),
            Op::I32Store16 { memarg } => (memarg, 2, ValType::I32),
            Op::I64Store { memarg } => (memarg, 8, ValType::I64),
            Op::I64Store8 { memarg } => (memarg, 1, ValType::I64),
            Op::I64Store16 { memarg } => (memarg, 2, ValType::I64),
            Op::I64Store32 { memarg } => (memarg, 4, ValType::I64),
            Op::F32Store { memarg } => (memarg, 4, ValType::F32),
            Op::F64Store { memarg } => (memarg, 8, ValType::F64),
            Op::V128Store { memarg } => (memarg, 16, ValType::V128),
            Op::V128Store8Lane { memarg, .. } => (memarg, 1, ValType::V128),
            Op::V128Store16Lane { memarg, .. } => (memarg, 2, ValType::V128),
            Op::V128Store32Lane { memarg, .. } => (memarg, 4, ValType::V128),
            Op::V128Store64Lane { memarg, .. } => (memarg, 8, ValType::V128),
            _ => return None,
        };
        Some(Self { offset: argument.offset, bytes, operand })
    }
}
