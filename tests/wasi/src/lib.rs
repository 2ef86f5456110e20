//! The files of the C ABI as subjects: requests go in through linear memory, replies come out.
//! Invariant: what the host does here is what `bindings-wasi/README.md` tells every host to do.
//! Not here: the tests themselves (`tests/*.rs`).

use std::path::Path;
use std::sync::OnceLock;

use ferrite_tests::answer::Answer;
use ferrite_tests::subject::{START_MS, Subject};
use wasmtime::{
    Engine, Instance, Memory, Module, Store, StoreLimits, StoreLimitsBuilder, WasmParams,
    WasmResults,
};

/// What the files are called that `scripts/build-wasm --wasi` makes.
pub const FULL: &str = "ferrite.wasm";
pub const LITE: &str = "ferrite-lite.wasm";

/// Bytes of the buffer through which requests go.
pub const BUFFER_BYTES: usize = 40 << 20;

/// The files, each compiled once.
static MODULES: OnceLock<(Engine, [Module; 2])> = OnceLock::new();

fn module(file: &str) -> &'static Module {
    let (_, [full, lite]) = MODULES.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/wasi");
        let engine = Engine::default();
        let compile = |file| {
            let path = folder.join(file);
            Module::from_file(&engine, &path).unwrap_or_else(|error| {
                panic!("{}: {error} (scripts/build-wasm --wasi)", path.display())
            })
        };
        let modules = [compile(FULL), compile(LITE)];
        (engine, modules)
    });
    if file == FULL { full } else { lite }
}

/// An instance of one of the files, with one buffer.
pub struct Host {
    module: &'static Module,
    store: Store<StoreLimits>,
    instance: Instance,
    memory: Memory,
    /// Where the buffer is.
    pub buffer: u32,
    now_ms: i64,
}

impl Host {
    /// The file of this name, opened with 64 MiB and no eviction.
    pub fn new(file: &str) -> Host {
        let mut host = Host::closed(file, usize::MAX, BUFFER_BYTES);
        assert_eq!(host.open(64 << 20, "noeviction"), 0);
        host
    }

    /// The same, not opened; its linear memory never grows beyond `memory_bytes`.
    pub fn closed(file: &str, memory_bytes: usize, buffer_bytes: usize) -> Host {
        let mut host = Host::of(module(file), memory_bytes);
        host.buffer = host.call("ferrite_alloc", buffer_bytes as u32);
        assert_ne!(host.buffer, 0, "a buffer");
        host
    }

    fn of(module: &'static Module, memory_bytes: usize) -> Host {
        let limits = StoreLimitsBuilder::new().memory_size(memory_bytes).build();
        let mut store = Store::new(module.engine(), limits);
        store.limiter(|limits| limits);
        // No import is offered, so a module that wanted one would fail here.
        let instance = Instance::new(&mut store, module, &[]).expect("an instance");
        let memory = instance.get_memory(&mut store, "memory").expect("a memory");
        Host { module, store, instance, memory, buffer: 0, now_ms: START_MS }
    }

    /// Calls an export, which must not trap.
    pub fn call<R: WasmResults>(&mut self, name: &str, parameters: impl WasmParams) -> R {
        self.try_call(name, parameters).unwrap_or_else(|trap| panic!("{name}: {trap}"))
    }

    /// Calls an export. The error is a trap.
    pub fn try_call<P: WasmParams, R: WasmResults>(
        &mut self,
        name: &str,
        parameters: P,
    ) -> wasmtime::Result<R> {
        let function = self.instance.get_typed_func::<P, R>(&mut self.store, name)?;
        function.call(&mut self.store, parameters)
    }

    /// What the module asks of its host.
    pub fn imports(&self) -> Vec<String> {
        self.module
            .imports()
            .map(|import| format!("{}.{}", import.module(), import.name()))
            .collect()
    }

    /// Writes to an address.
    pub fn write(&mut self, address: u32, bytes: &[u8]) {
        self.memory.write(&mut self.store, address as usize, bytes).expect("inside the memory");
    }

    /// Bytes of linear memory.
    pub fn memory_bytes(&self) -> usize {
        self.memory.data_size(&self.store)
    }

    /// The last result.
    pub fn result(&mut self) -> Vec<u8> {
        let address: u32 = self.call("ferrite_result", ());
        let len: u32 = self.call("ferrite_result_len", ());
        let mut bytes = vec![0; len as usize];
        self.memory.read(&self.store, address as usize, &mut bytes).expect("inside the memory");
        bytes
    }

    /// Opens the cache. Zero, or why not.
    pub fn open(&mut self, max_memory_bytes: u64, policy: &str) -> i32 {
        self.write(self.buffer, policy.as_bytes());
        self.call("ferrite_open", (max_memory_bytes, self.buffer, policy.len() as u32, 1_u64))
    }

    /// Runs a request. The length of the reply, or why there is none; or a trap.
    pub fn try_request(&mut self, words: &[&[u8]]) -> wasmtime::Result<i32> {
        let request = encode(words);
        assert!(request.len() <= BUFFER_BYTES, "a request of {} bytes", request.len());
        self.write(self.buffer, &request);
        self.try_call("ferrite_call", (self.now_ms, self.buffer, request.len() as u32))
    }

    /// The reply of a request, as bytes.
    pub fn request(&mut self, words: &[&[u8]]) -> Vec<u8> {
        let len = self.try_request(words).expect("no trap");
        let reply = self.result();
        assert_eq!(len as usize, reply.len(), "the length is that of the result");
        reply
    }
}

impl Subject for Host {
    fn reset(&mut self) {
        let now_ms = self.now_ms;
        *self = Host::of(self.module, usize::MAX);
        self.now_ms = now_ms;
        self.buffer = self.call("ferrite_alloc", BUFFER_BYTES as u32);
        assert_ne!(self.buffer, 0, "a buffer");
        assert_eq!(self.open(64 << 20, "noeviction"), 0);
    }

    fn set_clock(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
    }

    fn ask(&mut self, request: &[Vec<u8>]) -> Answer {
        let words: Vec<&[u8]> = request.iter().map(Vec::as_slice).collect();
        let reply = self.request(&words);
        let mut rest = &reply[..];
        let answer = decode(&mut rest);
        assert!(rest.is_empty(), "more than one reply");
        answer
    }
}

/// A request in RESP2.
pub fn encode(words: &[&[u8]]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        request.extend_from_slice(word);
        request.extend_from_slice(b"\r\n");
    }
    request
}

/// A reply in RESP2, off the front of what is left.
fn decode(rest: &mut &[u8]) -> Answer {
    let end = rest.windows(2).position(|pair| pair == b"\r\n").expect("an end of line");
    let line = String::from_utf8_lossy(&rest[1..end]).into_owned();
    let tag = rest[0];
    *rest = &rest[end + 2..];
    let number = || line.parse::<i64>().unwrap_or_else(|_| panic!("no number: {line:?}"));
    match tag {
        b'+' => Answer::Simple(line),
        b'-' => Answer::Error(line),
        b':' => Answer::Integer(number()),
        b'$' if number() < 0 => Answer::Null,
        b'$' => {
            let (bytes, behind) = rest.split_at(number() as usize);
            *rest = behind.strip_prefix(b"\r\n").expect("an end of the string");
            Answer::bulk(bytes)
        }
        b'*' => Answer::Array((0..number()).map(|_| decode(rest)).collect()),
        other => panic!("no reply begins with {:?}", other as char),
    }
}
