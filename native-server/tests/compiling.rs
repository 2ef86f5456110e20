//! What compiling takes: of the modules that are let through, none takes more memory than the
//! documents say.
//!
//! Each kind of bomb is as large as the limits allow, or is refused. The peak is that of the whole
//! process, which does nothing else: the kernel counts it.

use std::fs;

use cpu_time::ThreadTime;
use ferrite_server::functions::check::Shape;
use ferrite_server::functions::reset::{self, rewrite};
use ferrite_server::limits::functions::MODULE_BYTES_MAX;
use wasm_encoder::{
    BlockType, CodeSection, CustomSection, ExportKind, ExportSection, Function, FunctionSection,
    Instruction as I, InstructionSink, MemorySection, MemoryType, Module, TypeSection, ValType,
};
use wasmtime::{Config, Engine, OptLevel};

/// What a compilation may take. The documents name it.
const PEAK_BYTES_MAX: u64 = 512 << 20;

fn assembled(bodies: Vec<Function>, types: TypeSection) -> Vec<u8> {
    let mut functions = FunctionSection::new();
    for _ in &bodies {
        functions.function(0);
    }
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0).export("f", ExportKind::Func, 0);
    let mut code = CodeSection::new();
    for body in &bodies {
        code.function(body);
    }
    let record = br#"{"abi":1,"library":"l","name":"f","params":[],"result":"i64"}"#;
    let metadata = CustomSection { name: "ferrite.udf".into(), data: record.as_slice().into() };
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&memories).section(&exports);
    module.section(&code).section(&metadata);
    module.finish()
}

fn one_type() -> TypeSection {
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I64]);
    types
}

/// A module of so many functions with the same body, which leaves an i64.
fn module(count: usize, locals: u32, body: impl Fn(&mut InstructionSink<'_>)) -> Vec<u8> {
    let one = || {
        let mut function = Function::new([(locals, ValType::I64)]);
        body(&mut function.instructions());
        function.instruction(&I::End);
        function
    };
    assembled((0..count).map(|_| one()).collect(), one_type())
}

/// A figure that the kernel has of this process, in bytes.
fn figure(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// Compiles a module as the server does; the peak of the process meanwhile.
fn compiled(wasm: &[u8]) -> u64 {
    let rewritten = rewrite(wasm);
    let mut config = Config::new();
    config.epoch_interruption(rewritten.is_err()).cranelift_opt_level(OptLevel::Speed);
    reset::accept(&mut config);
    let engine = Engine::new(&config).expect("an engine");
    let wasm = rewritten.as_deref().unwrap_or(wasm);
    fs::write("/proc/self/clear_refs", "5").expect("the peak can be set back");
    if let Err(why) = wasmtime::Module::new(&engine, wasm) {
        // The compiler has limits of its own.
        println!("{why:#}");
    }
    figure("VmHWM:")
}

/// The largest of a kind that is let through, between one that is and one that is not.
fn largest(bomb: &dyn Fn(usize) -> Vec<u8>) -> Vec<u8> {
    let passes = |wasm: &[u8]| wasm.len() <= MODULE_BYTES_MAX && Shape::of(wasm).is_ok();
    let (mut size, mut step) = (256, 1 << 22);
    assert!(passes(&bomb(size)), "it is refused however small it is");
    while step > size / 32 {
        if passes(&bomb(size + step)) {
            size += step;
        }
        step /= 2;
    }
    bomb(size)
}

type Bomb = (&'static str, Box<dyn Fn(usize) -> Vec<u8>>);

fn straight(sink: &mut InstructionSink<'_>, count: usize) {
    sink.i64_const(1);
    for number in 0..count {
        sink.i64_const(number as i64).i64_add();
    }
}

fn loads(sink: &mut InstructionSink<'_>, count: usize) {
    sink.i64_const(1);
    let at = wasm_encoder::MemArg { offset: 0, align: 0, memory_index: 0 };
    for _ in 0..count {
        sink.i32_wrap_i64().i64_load(at);
    }
}

fn stores(sink: &mut InstructionSink<'_>, count: usize) {
    let at = wasm_encoder::MemArg { offset: 0, align: 0, memory_index: 0 };
    for number in 0..count {
        sink.i32_const(number as i32).i32_const(1).i32_store(at);
    }
    sink.i64_const(1);
}

fn ifs(sink: &mut InstructionSink<'_>, count: usize, locals: u32) {
    for number in 0..count as u32 {
        let (a, b) = (number % locals, number * 7 % locals);
        sink.local_get(a).i64_eqz().if_(BlockType::Empty);
        sink.i64_const(i64::from(number)).local_set(b).else_();
        sink.local_get(b).local_set(a).end();
    }
    sink.i64_const(0);
}

/// Values that stay on the stack while branches go by.
fn piled(sink: &mut InstructionSink<'_>, height: usize, branches: usize) {
    for number in 0..height {
        sink.local_get(number as u32 % 7);
    }
    for _ in 0..branches {
        sink.local_get(0).i64_eqz().if_(BlockType::Empty).i64_const(3).local_set(0).end();
    }
    for _ in 1..height {
        sink.i64_add();
    }
}

fn calls(sink: &mut InstructionSink<'_>, count: usize) {
    for _ in 0..count {
        sink.call(0).drop();
    }
    sink.i64_const(1);
}

fn loops(sink: &mut InstructionSink<'_>, count: usize) {
    for _ in 0..count {
        sink.loop_(BlockType::Empty).local_get(0).i64_eqz().br_if(0).end();
    }
    sink.i64_const(1);
}

fn fills(sink: &mut InstructionSink<'_>, count: usize) {
    for _ in 0..count {
        sink.i32_const(0).i32_const(1).i32_const(2000).memory_fill(0);
    }
    sink.i64_const(1);
}

fn table(sink: &mut InstructionSink<'_>, targets: usize) {
    sink.block(BlockType::Empty).block(BlockType::Empty).local_get(0).i32_wrap_i64();
    sink.br_table((0..targets).map(|number| number as u32 % 2), 0).end().end().i64_const(1);
}

fn bombs() -> Vec<Bomb> {
    vec![
        ("one long function", Box::new(|n| module(1, 0, |s| straight(s, n)))),
        ("one function of loads", Box::new(|n| module(1, 0, |s| loads(s, n)))),
        ("one function of stores", Box::new(|n| module(1, 0, |s| stores(s, n)))),
        ("one function of calls", Box::new(|n| module(1, 0, |s| calls(s, n)))),
        ("ifs over 30 locals", Box::new(|n| module(1, 30, |s| ifs(s, n, 30)))),
        ("ifs over 1000 locals", Box::new(|n| module(1, 1000, |s| ifs(s, n, 1000)))),
        ("values over branches", Box::new(|n| module(1, 7, |s| piled(s, n, n)))),
        ("one function of loops", Box::new(|n| module(1, 1, |s| loops(s, n)))),
        ("one function of fills", Box::new(|n| module(1, 0, |s| fills(s, n)))),
        ("a table of branches", Box::new(|n| module(1, 1, |s| table(s, n)))),
        ("many tiny functions", Box::new(|n| module(n, 0, |s| straight(s, 0)))),
        ("many functions of 100", Box::new(|n| module(n / 100, 0, |s| straight(s, 100)))),
    ]
}

#[test]
fn what_is_let_through_compiles_in_bounded_memory() {
    let (mut worst, before) = (0, figure("VmRSS:"));
    for (name, bomb) in bombs() {
        let wasm = largest(&*bomb);
        let started = ThreadTime::now();
        let peak = compiled(&wasm) - before;
        let ms = started.elapsed().as_millis();
        println!("{name}: {} KB of module, {} MB, {ms} ms of CPU", wasm.len() >> 10, peak >> 20);
        worst = worst.max(peak);
    }
    println!("{} MB at the worst", worst >> 20);
    assert!(worst <= PEAK_BYTES_MAX, "{} MB", worst >> 20);
}
