//! A second host of ABI 1, as small as docs/functions.md allows, around the engine.
//!
//! It exists to read that document once more: what the SDK makes has to run here as it does in the
//! server. Instances are fresh, a failed call's keys are put back from DUMP.
//!
//! Not here: limits, permissions, WASI beyond what links, and whatever the tests do not use.

use std::collections::HashMap;

use ferrite_engine::Options;
use ferrite_tests::answer::Answer;
use ferrite_tests::engine::Engine;
use ferrite_tests::subject::Subject;
use serde_json::{Deserializer, Value};
use wasmtime::{
    Caller, Extern, ExternType, Instance, Linker, Memory, Module, Result, Store, Val, bail,
};

pub const NOW_MS: i64 = ferrite_tests::subject::START_MS;

type Bytes = Vec<u8>;

/// What the host functions work on.
pub struct State {
    pub engine: Engine,
    pub log: Vec<String>,
    keys: Vec<Bytes>,
    /// What `ferrite_reply_read` gives.
    last: Bytes,
    /// Whether it is an error's line.
    failure: Option<String>,
}

pub struct Host {
    linker: Linker<State>,
    functions: HashMap<String, (Module, Value)>,
    pub store: Store<State>,
}

impl Host {
    pub fn new() -> Host {
        let wasm = wasmtime::Engine::default();
        let options = Options { max_memory_bytes: 64 << 20, ..Options::default() };
        let (keys, log, last) = Default::default();
        let state = State { engine: Engine::new(&options), log, keys, last, failure: None };
        let mut linker = Linker::new(&wasm);
        link(&mut linker).expect("every name once");
        Host { linker, functions: HashMap::new(), store: Store::new(&wasm, state) }
    }

    /// Loads a module; the records of its functions.
    pub fn load(&mut self, bytes: &[u8]) -> Vec<Value> {
        let module = Module::new(self.linker.engine(), bytes).expect("a valid module");
        for import in module.imports().filter(|import| import.module().starts_with("wasi")) {
            let ExternType::Func(ty) = import.ty() else { panic!("WASI has functions only") };
            let name = import.name().to_string();
            // A rate limit calls none of them; what is in the way of linking is all there is.
            let refuse =
                move |_: Caller<'_, State>, _: &[Val], _: &mut [Val]| bail!("{name} was called");
            let _ = self.linker.func_new(import.module(), import.name(), ty, refuse);
        }
        let section = custom_section(bytes, "ferrite.udf");
        let records: Vec<Value> = Deserializer::from_slice(&section)
            .into_iter()
            .collect::<std::result::Result<_, _>>()
            .expect("JSON objects");
        for record in &records {
            assert_eq!(record["abi"], 1, "{record}");
            let name = record["name"].as_str().expect("a name").to_string();
            self.functions.insert(name, (module.clone(), record.clone()));
        }
        records
    }

    pub fn ask(&mut self, words: &[&str]) -> Answer {
        let words: Vec<Bytes> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        self.store.data_mut().engine.ask(&words)
    }

    /// FCALL. The reply in RESP3.
    pub fn call(&mut self, name: &str, keys: &[&str], arguments: &[&str]) -> String {
        let state = self.store.data_mut();
        state.keys = keys.iter().map(|key| key.as_bytes().to_vec()).collect();
        (state.failure, state.last) = (None, Vec::new());
        let before: Vec<_> = keys.iter().map(|key| self.kept(key)).collect();
        let reply = match self.run(name, keys, arguments) {
            Ok(reply) => String::from_utf8(reply).expect("the tests have text only"),
            Err(error) => {
                let failure = self.store.data_mut().failure.take();
                let failed = error.downcast_ref::<Failed>().is_some();
                let line = failure.filter(|_| failed);
                format!("-{}\r\n", line.unwrap_or_else(|| format!("ERR trapped: {error:#}")))
            }
        };
        if reply.starts_with('-') {
            for (key, (dump, ttl_ms)) in keys.iter().zip(before) {
                self.ask(&["DEL", key]);
                if let Answer::Bulk(dump) = dump {
                    let ttl_ms = ttl_ms.max(0).to_string();
                    let words = [&b"RESTORE"[..], key.as_bytes(), ttl_ms.as_bytes(), &dump];
                    self.store.data_mut().engine.ask(&words.map(<[u8]>::to_vec));
                }
            }
        }
        reply
    }

    fn kept(&mut self, key: &str) -> (Answer, i64) {
        let Answer::Integer(ttl_ms) = self.ask(&["PTTL", key]) else { panic!("PTTL is a number") };
        (self.ask(&["DUMP", key]), ttl_ms)
    }

    fn run(&mut self, name: &str, keys: &[&str], arguments: &[&str]) -> Result<Bytes> {
        let (module, record) = self.functions.get(name).expect("a function").clone();
        let instance = self.linker.instantiate(&mut self.store, &module)?;
        if let Ok(start) = instance.get_typed_func::<(), ()>(&mut self.store, "_initialize") {
            start.call(&mut self.store, ())?;
        }
        let parameters = place(&mut self.store, &instance, &record, keys, arguments)?;
        let export = record["export"].as_str().unwrap_or(name);
        let entry = instance.get_func(&mut self.store, export).expect("the export");
        let result_type = entry.ty(&self.store).results().next();
        let mut results = Vec::from_iter(result_type.map(|ty| Val::default_for_ty(&ty).unwrap()));
        entry.call(&mut self.store, &parameters, &mut results)?;
        let memory = instance.get_memory(&mut self.store, "memory").expect("a memory");
        Ok(match (record["result"].as_str().expect("a result"), results.first()) {
            ("none", None) => b"+OK\r\n".to_vec(),
            ("i64", Some(Val::I64(number))) => format!(":{number}\r\n").into(),
            ("f64", Some(Val::F64(bits))) => format!(",{}\r\n", f64::from_bits(*bits)).into(),
            ("reply", Some(Val::I64(packed))) => {
                let (address, length) = ((packed >> 32) as usize, *packed as u32 as usize);
                memory.data(&self.store)[address..][..length].to_vec()
            }
            other => panic!("a result of another type: {other:?}"),
        })
    }
}

/// The arguments, as the parameters of the export.
fn place(
    store: &mut Store<State>,
    instance: &Instance,
    record: &Value,
    keys: &[&str],
    arguments: &[&str],
) -> Result<Vec<Val>> {
    let (mut keys, mut arguments) = (keys.iter(), arguments.iter());
    let mut block = Block { bytes: Vec::new(), fixes: Vec::new() };
    let mut values = Vec::new();
    for parameter in record["params"].as_array().expect("parameters") {
        let role = parameter["role"].as_str().expect("a role");
        let from = if role.starts_with("key") { &mut keys } else { &mut arguments };
        if role.ends_with('s') {
            let texts: Vec<&str> = from.by_ref().copied().collect();
            values.extend(block.list(&texts, values.len()));
            continue;
        }
        let is_optional = parameter["optional"] == true;
        let text = from.next();
        assert!(text.is_some() || is_optional, "too few arguments for {record}");
        match parameter["type"].as_str().expect("a type") {
            "str" | "bytes" => values.extend(match text {
                Some(text) => block.text(text, values.len()),
                None => [Val::I32(0), Val::I32(0)],
            }),
            kind => {
                values.extend(is_optional.then_some(Val::I32(text.is_some().into())));
                let text = text.copied().unwrap_or("0");
                values.push(match kind {
                    "i64" => Val::I64(text.parse()?),
                    _ => Val::F64(text.parse::<f64>()?.to_bits()),
                });
            }
        }
    }
    assert!(keys.next().is_none() && arguments.next().is_none(), "too many for {record}");
    block.put(store, instance, &mut values)?;
    Ok(values)
}

/// Texts and lists in one block, with addresses that count from its start until it is placed.
struct Block {
    bytes: Bytes,
    /// Where in the block such addresses stand; and which of the parameters are some.
    fixes: Vec<Fix>,
}

enum Fix {
    InBlock(usize),
    Parameter(usize),
}

impl Block {
    fn text(&mut self, text: &str, parameter: usize) -> [Val; 2] {
        self.fixes.push(Fix::Parameter(parameter));
        let address = self.bytes.len();
        self.bytes.extend_from_slice(text.as_bytes());
        [Val::I32(address as i32), Val::I32(text.len() as i32)]
    }

    fn list(&mut self, texts: &[&str], parameter: usize) -> [Val; 2] {
        let mut pairs = Vec::new();
        for text in texts {
            pairs.push((self.bytes.len() as u32, text.len() as u32));
            self.bytes.extend_from_slice(text.as_bytes());
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.fixes.push(Fix::Parameter(parameter));
        let start = self.bytes.len();
        for (address, length) in pairs {
            self.fixes.push(Fix::InBlock(self.bytes.len()));
            self.bytes.extend([address.to_le_bytes(), length.to_le_bytes()].concat());
        }
        [Val::I32(start as i32), Val::I32(texts.len() as i32)]
    }

    fn put(
        mut self,
        store: &mut Store<State>,
        instance: &Instance,
        values: &mut [Val],
    ) -> Result<()> {
        if self.fixes.is_empty() {
            return Ok(());
        }
        let memory = instance.get_memory(&mut *store, "memory").expect("a memory");
        let input = instance.get_global(&mut *store, "ferrite_input");
        let input = input.map(|global| global.get(&mut *store).unwrap_i32() as usize);
        let room = |input: usize| {
            let size = memory.data(&*store)[input..].first_chunk().expect("a size");
            u32::from_le_bytes(*size) as usize - 8
        };
        let start = match input.filter(|input| self.bytes.len() <= room(*input)) {
            Some(input) => input + 8,
            None => {
                let alloc = instance.get_typed_func::<i32, i32>(&mut *store, "ferrite_alloc")?;
                let start = alloc.call(&mut *store, self.bytes.len().max(1) as i32)? as usize;
                assert!(start != 0 && start.is_multiple_of(8), "ferrite_alloc gave {start}");
                start
            }
        };
        for fix in &self.fixes {
            match *fix {
                Fix::InBlock(at) => {
                    let address: &mut [u8; 4] = self.bytes[at..].first_chunk_mut().expect("a pair");
                    *address = (u32::from_le_bytes(*address) + start as u32).to_le_bytes();
                }
                Fix::Parameter(number) => {
                    values[number] = Val::I32(values[number].unwrap_i32() + start as i32);
                }
            }
        }
        memory.write(store, start, &self.bytes)?;
        Ok(())
    }
}

fn custom_section(mut bytes: &[u8], name: &str) -> Bytes {
    let number = |bytes: &mut &[u8]| {
        let (mut value, mut shift) = (0, 0);
        loop {
            let (first, rest) = bytes.split_first().expect("a number");
            *bytes = rest;
            value |= usize::from(first & 127) << shift;
            shift += 7;
            if first & 128 == 0 {
                return value;
            }
        }
    };
    let mut content = Vec::new();
    bytes = &bytes[8..];
    while let Some((id, rest)) = bytes.split_first() {
        bytes = rest;
        let size = number(&mut bytes);
        let (mut section, rest) = bytes.split_at(size);
        bytes = rest;
        if *id == 0 {
            let length = number(&mut section);
            let (found, rest) = section.split_at(length);
            content.extend_from_slice(if found == name.as_bytes() { rest } else { b"" });
        }
    }
    content
}

/// The call ended with an error that the state has.
#[derive(Debug)]
struct Failed;

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failed")
    }
}

impl std::error::Error for Failed {}

type At<'a> = Caller<'a, State>;

fn memory(at: &mut At<'_>) -> Memory {
    at.get_export("memory").and_then(Extern::into_memory).expect("a memory")
}

fn text(at: &mut At<'_>, address: i32, length: i32) -> Result<Bytes> {
    let mut bytes = vec![0; length as u32 as usize];
    memory(at).read(at, address as u32 as usize, &mut bytes)?;
    Ok(bytes)
}

fn into(at: &mut At<'_>, bytes: &[u8], address: i32, capacity: i32) -> Result<i64> {
    if bytes.len() <= capacity as u32 as usize {
        memory(at).write(at, address as u32 as usize, bytes)?;
    }
    Ok(bytes.len() as i64)
}

/// Runs a command on declared keys. `Err` is a result code.
fn ask(at: &mut At<'_>, words: &[&[u8]]) -> std::result::Result<Answer, i64> {
    let state = at.data_mut();
    if !state.keys.iter().any(|key| words.get(1) == Some(&key.as_slice())) {
        state.last = b"ERR this key was not declared with the call".to_vec();
        return Err(-5);
    }
    let words: Vec<Bytes> = words.iter().map(|word| word.to_vec()).collect();
    match state.engine.ask(&words) {
        Answer::Error(line) => {
            let code = if line.starts_with("WRONGTYPE") { -2 } else { -11 };
            state.last = line.into();
            Err(code)
        }
        answer => Ok(answer),
    }
}

fn number(answer: std::result::Result<Answer, i64>) -> i64 {
    match answer {
        Ok(Answer::Integer(number)) => number,
        Ok(_) => 0,
        Err(code) => code,
    }
}

fn bytes_into(
    at: &mut At<'_>,
    answer: std::result::Result<Answer, i64>,
    (dst, capacity): (i32, i32),
) -> Result<i64> {
    match answer {
        Ok(Answer::Bulk(bytes)) => into(at, &bytes, dst, capacity),
        Ok(_) => Ok(-1),
        Err(code) => Ok(code),
    }
}

fn resp3(answer: &Answer) -> String {
    match answer {
        Answer::Simple(text) => format!("+{text}\r\n"),
        Answer::Integer(number) => format!(":{number}\r\n"),
        Answer::Bulk(bytes) => {
            format!("${}\r\n{}\r\n", bytes.len(), String::from_utf8_lossy(bytes))
        }
        Answer::Null => "_\r\n".into(),
        Answer::Array(items) => {
            let items: Vec<String> = items.iter().map(resp3).collect();
            format!("*{}\r\n{}", items.len(), items.concat())
        }
        other => panic!("the engine never gives {other}"),
    }
}

/// What every import is linked under.
const FERRITE: &str = "ferrite";

fn link(linker: &mut Linker<State>) -> Result<()> {
    link_keys(linker)?;
    link_hashes(linker)?;
    link_rest(linker)
}

fn link_keys(linker: &mut Linker<State>) -> Result<()> {
    let f = FERRITE;
    linker.func_wrap(f, "ferrite_get_into", |mut at: At<'_>, k, kl, dst, capacity| {
        let key = text(&mut at, k, kl)?;
        let answer = ask(&mut at, &[b"GET", &key]);
        bytes_into(&mut at, answer, (dst, capacity))
    })?;
    linker.func_wrap(f, "ferrite_set", |mut at: At<'_>, k, kl, v, vl| {
        let (key, value) = (text(&mut at, k, kl)?, text(&mut at, v, vl)?);
        Ok(number(ask(&mut at, &[b"SET", &key, &value, b"KEEPTTL"])) as i32)
    })?;
    linker.func_wrap(f, "ferrite_set_ttl", |mut at: At<'_>, k, kl, v, vl, ttl_ms: i64| {
        let (key, value) = (text(&mut at, k, kl)?, text(&mut at, v, vl)?);
        let ttl_ms = ttl_ms.to_string();
        Ok(number(ask(&mut at, &[b"SET", &key, &value, b"PX", ttl_ms.as_bytes()])) as i32)
    })?;
    linker.func_wrap(f, "ferrite_expire", |mut at: At<'_>, k, kl, ttl_ms: i64| {
        let key = text(&mut at, k, kl)?;
        Ok(number(ask(&mut at, &[b"PEXPIRE", &key, ttl_ms.to_string().as_bytes()])) as i32)
    })?;
    Ok(())
}

fn link_hashes(linker: &mut Linker<State>) -> Result<()> {
    let f = FERRITE;
    linker.func_wrap(f, "ferrite_hget", |mut at: At<'_>, k, kl, n, nl, dst, capacity| {
        let (key, field) = (text(&mut at, k, kl)?, text(&mut at, n, nl)?);
        let answer = ask(&mut at, &[b"HGET", &key, &field]);
        bytes_into(&mut at, answer, (dst, capacity))
    })?;
    linker.func_wrap(f, "ferrite_hset", |mut at: At<'_>, k, kl, n, nl, v, vl| {
        let (key, field) = (text(&mut at, k, kl)?, text(&mut at, n, nl)?);
        let value = text(&mut at, v, vl)?;
        Ok(number(ask(&mut at, &[b"HSET", &key, &field, &value])) as i32)
    })?;
    Ok(())
}

fn link_rest(linker: &mut Linker<State>) -> Result<()> {
    let f = FERRITE;
    linker.func_wrap(
        f,
        "ferrite_call",
        |mut at: At<'_>, argv, argc: i32, _: i32, dst, capacity| {
            let pairs = text(&mut at, argv, argc * 8)?;
            let word = |at: &mut At<'_>, pair: &[u8]| {
                let half = |range: std::ops::Range<usize>| {
                    i32::from_le_bytes(pair[range].try_into().expect("4 bytes"))
                };
                text(at, half(0..4), half(4..8))
            };
            let words: Result<Vec<Bytes>> =
                pairs.chunks(8).map(|pair| word(&mut at, pair)).collect();
            let words = words?;
            match ask(&mut at, &words.iter().map(Vec::as_slice).collect::<Vec<_>>()) {
                Ok(answer) => {
                    at.data_mut().last = resp3(&answer).into();
                    let reply = at.data().last.clone();
                    into(&mut at, &reply, dst, capacity)
                }
                Err(code) => Ok(code),
            }
        },
    )?;
    linker.func_wrap(
        f,
        "ferrite_reply_read",
        |mut at: At<'_>, offset: i32, dst, capacity: i32| {
            let last = at.data().last.clone();
            let rest = last.get(offset as usize..).unwrap_or_default();
            let part = &rest[..rest.len().min(capacity as usize)];
            Ok(into(&mut at, part, dst, capacity)? as i32)
        },
    )?;
    linker.func_wrap(f, "ferrite_fail", |mut at: At<'_>, t, l| -> Result<()> {
        let line = if l == 0 { at.data().last.clone() } else { text(&mut at, t, l)? };
        at.data_mut().failure = Some(String::from_utf8_lossy(&line).into_owned());
        Err(Failed.into())
    })?;
    linker.func_wrap(f, "ferrite_log", |mut at: At<'_>, level: i32, t, l| {
        let text = text(&mut at, t, l)?;
        at.data_mut().log.push(format!("{level} {}", String::from_utf8_lossy(&text)));
        Ok(())
    })?;
    linker.func_wrap(f, "ferrite_now_ms", || NOW_MS)?;
    Ok(())
}
