//! Random modules whose functions write memory in every way there is: all stores, through pointers
//! that change in between, in blocks, loops and branches; bulk operations; globals; the host.
//!
//! They end, since loops count down. Mostly they stay inside of memory, near the ends of blocks.
//! Not here: where the choices come from.

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataCountSection, DataSection, EntityType, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, GlobalType, ImportSection,
    InstructionSink, MemArg, MemorySection, MemoryType, Module, TypeSection, ValType,
};

const PAGES: u64 = 2;
const FUNCTIONS: u32 = 3;
/// The functions follow the host's.
const FIRST_FUNCTION: u32 = 1;
/// What a loop may run, inside of all others that run.
const TURNS_MAX: i32 = 6;

/// Each function's locals: its parameters, pointers, one of each type to store, and the turns that
/// are left of the loops.
const POINTERS: u32 = 4;
const LONG: u32 = 4;
const SINGLE: u32 = 5;
const DOUBLE: u32 = 6;
const VECTOR: u32 = 7;
const TURNS: u32 = 8;

/// A number below the bound. When choices run out it is 0, which ends what is being made.
pub type Choose<'a> = &'a mut dyn FnMut(u32) -> u32;

/// A module that qualifies. Its functions `0`, `1`, `2` take two `i32`.
pub fn program(choose: Choose<'_>) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32, ValType::I32], []);
    let mut imports = ImportSection::new();
    imports.import("ferrite", "fill", EntityType::Function(0));
    let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    for (index, kind) in (0..).zip(["g0", "g1"]) {
        exports.export(kind, ExportKind::Global, index);
    }
    for index in 0..FUNCTIONS {
        functions.function(0);
        exports.export(&index.to_string(), ExportKind::Func, FIRST_FUNCTION + index);
        code.function(&function(choose, index));
    }
    let mut memories = MemorySection::new();
    let (memory64, shared, page_size_log2) = (false, false, None);
    memories.memory(MemoryType {
        minimum: PAGES,
        maximum: Some(4),
        memory64,
        shared,
        page_size_log2,
    });
    let mut globals = GlobalSection::new();
    let mut global = |val_type, value: &ConstExpr| {
        globals.global(GlobalType { val_type, mutable: true, shared: false }, value);
    };
    global(ValType::I32, &ConstExpr::i32_const(choose(1 << 17) as i32));
    global(ValType::I64, &ConstExpr::i64_const(-1));
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(1000), *b"initial bytes, over the end of a block");
    data.passive(*b"bytes from elsewhere");
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&memories);
    module.section(&globals).section(&exports).section(&DataCountSection { count: 2 });
    module.section(&code).section(&data);
    module.finish()
}

fn function(choose: Choose<'_>, index: u32) -> Function {
    let locals = [
        (POINTERS - 2, ValType::I32),
        (1, ValType::I64),
        (1, ValType::F32),
        (1, ValType::F64),
        (1, ValType::V128),
        (1, ValType::I32),
    ];
    let mut code = Vec::new();
    let mut writer = Writer { choose, code: &mut code, callable: index };
    writer.emit().i32_const(TURNS_MAX).local_set(TURNS);
    writer.statements(4);
    writer.emit().end();
    let mut function = Function::new(locals);
    function.raw(code);
    function
}

struct Writer<'a, 'b> {
    choose: Choose<'a>,
    code: &'b mut Vec<u8>,
    /// The functions before this one may be called, so that no call comes back to it.
    callable: u32,
}

impl Writer<'_, '_> {
    fn emit(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(self.code)
    }

    fn choose(&mut self, bound: u32) -> u32 {
        (self.choose)(bound)
    }

    fn statements(&mut self, depth: u32) {
        for _ in 0..self.choose(7) {
            self.statement(depth);
        }
    }

    fn statement(&mut self, depth: u32) {
        match self.choose(if depth == 0 { 20 } else { 24 }) {
            0..12 => self.store(),
            12 | 13 => {
                let pointer = self.choose(POINTERS);
                self.address(0);
                self.emit().local_set(pointer);
            }
            14 => self.bulk(),
            15 => {
                self.address(0);
                self.emit().global_set(0);
            }
            16 => {
                self.address(0);
                self.length();
                self.emit().call(0);
            }
            17 if self.callable > 0 => {
                let callee = FIRST_FUNCTION + self.choose(self.callable);
                self.address(0);
                self.emit().local_get(1).call(callee);
            }
            18 => {
                self.emit().local_get(LONG).global_get(1).i64_add().local_tee(LONG).global_set(1);
            }
            19 if self.choose(20) == 19 => {
                self.emit().i32_const(1).memory_grow(0).drop();
            }
            20 | 21 => self.branch(depth - 1),
            22 => self.repeat(depth - 1),
            23 => self.leave(depth - 1),
            _ => {}
        }
    }

    fn branch(&mut self, depth: u32) {
        let pointer = self.choose(POINTERS);
        self.emit().local_get(pointer).i32_const(1).i32_and().if_(BlockType::Empty);
        self.statements(depth);
        if self.choose(2) == 1 {
            self.emit().else_();
            self.statements(depth);
        }
        self.emit().end();
    }

    fn repeat(&mut self, depth: u32) {
        self.emit().loop_(BlockType::Empty);
        self.statements(depth);
        self.emit().local_get(TURNS).i32_const(1).i32_sub().local_tee(TURNS);
        self.emit().i32_const(0).i32_gt_s().br_if(0).end();
    }

    /// A block that is left in its middle, perhaps always.
    fn leave(&mut self, depth: u32) {
        self.emit().block(BlockType::Empty);
        self.statements(depth);
        if self.choose(4) == 0 {
            self.emit().br(0);
        } else {
            let pointer = self.choose(POINTERS);
            self.emit().local_get(pointer).i32_const(3).i32_and().br_if(0);
        }
        self.statements(depth);
        self.emit().end();
    }

    /// An address, nearly always inside of memory, often where a block or a mark's reach ends.
    fn address(&mut self, depth: u32) {
        match self.choose(12) {
            0..5 => {
                let pointer = self.choose(POINTERS);
                self.emit().local_get(pointer);
            }
            5 | 6 => {
                let near = [0, 1024, 2048, 65_536, 131_072][self.choose(5) as usize];
                let distance = self.choose(140) as i32 - 134;
                self.emit().i32_const((near + distance).max(0));
            }
            7 => {
                let anywhere = self.choose(1 << 17) as i32;
                self.emit().i32_const(anywhere);
            }
            8 => {
                let (pointer, by) = (self.choose(POINTERS), self.choose(300) as i32 - 40);
                self.emit().local_get(pointer).i32_const(by).i32_add();
                self.emit().i32_const(0x1_ffff).i32_and();
            }
            9 => {
                self.emit().global_get(0).i32_const(0x1_fff8).i32_and();
            }
            10 if depth < 2 => {
                let pointer = self.choose(POINTERS);
                self.address(depth + 1);
                self.emit().local_tee(pointer);
            }
            _ => {
                let pointer = self.choose(POINTERS);
                self.emit().local_get(pointer).i32_load(argument(0, 2));
                self.emit().i32_const(0x1_ffff).i32_and();
            }
        }
    }

    fn length(&mut self) {
        let length = match self.choose(4) {
            0 => self.choose(40),
            1 => 1000 + self.choose(50),
            2 => self.choose(5000),
            _ => 0,
        };
        self.emit().i32_const(length as i32);
    }

    fn bulk(&mut self) {
        self.address(0);
        match self.choose(3) {
            0 => {
                self.address(0);
                self.length();
                self.emit().memory_fill(0);
            }
            1 => {
                self.address(0);
                self.length();
                self.emit().memory_copy(0, 0);
            }
            _ => {
                let (from, length) = (self.choose(10) as i32, self.choose(12) as i32);
                self.emit().i32_const(from).i32_const(length).memory_init(0, 1);
            }
        }
    }

    fn store(&mut self) {
        self.address(0);
        let choice = self.choose(14);
        let local = match choice {
            0..3 => self.choose(POINTERS),
            3..7 => LONG,
            7 => SINGLE,
            8 => DOUBLE,
            _ => VECTOR,
        };
        // What is stored may be calculated by what changes the pointer that is on the stack.
        if self.choose(4) == 1 {
            let pointer = self.choose(POINTERS);
            self.address(0);
            self.emit().local_set(pointer);
        }
        self.emit().local_get(local);
        let offset = match self.choose(8) {
            0..4 => self.choose(64),
            4 | 5 => 100 + self.choose(200),
            6 => 1000 + self.choose(100),
            _ => self.choose(70_000),
        };
        let (any, lane) = (argument(offset, 0), self.choose(2) as u8);
        match choice {
            0 => self.emit().i32_store(any),
            1 => self.emit().i32_store8(any),
            2 => self.emit().i32_store16(any),
            3 => self.emit().i64_store(any),
            4 => self.emit().i64_store8(any),
            5 => self.emit().i64_store16(any),
            6 => self.emit().i64_store32(any),
            7 => self.emit().f32_store(any),
            8 => self.emit().f64_store(any),
            9 => self.emit().v128_store(any),
            10 => self.emit().v128_store8_lane(any, lane),
            11 => self.emit().v128_store16_lane(any, lane),
            12 => self.emit().v128_store32_lane(any, lane),
            _ => self.emit().v128_store64_lane(any, lane),
        };
    }
}

fn argument(offset: u32, align: u32) -> MemArg {
    MemArg { offset: offset.into(), align, memory_index: 0 }
}
