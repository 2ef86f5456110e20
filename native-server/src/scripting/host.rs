//! What prelude.lua is given of the libraries, and of what the base library needs.

use std::cell::RefCell;
use std::ffi::c_void;
use std::rc::Rc;

use cpu_time::ProcessTime;
use mlua::{Function, LightUserData, Lua, MultiValue, Table, Value};

use crate::scripting::arguments::{Arguments, Refused};
use crate::scripting::lib::cjson::decode::Decoder;
use crate::scripting::lib::cjson::encode::Encoder;
use crate::scripting::lib::cjson::{self, Settings};
use crate::scripting::lib::{bit, cmsgpack, packing, pattern, random};
use crate::scripting::machine::{Shared, compile};
use crate::scripting::room::with_room;
use crate::scripting::thrown::{Thrown, is_end, value_of};

/// The outcome of a function of the host.
type Outcome = Result<MultiValue, Refused>;

/// What stands in front of a command that gives its error instead of raising it. Scripts never get
/// hold of it.
pub fn protected() -> Value {
    Value::LightUserData(LightUserData(std::ptr::without_provenance_mut::<c_void>(1)))
}

/// Adds all functions.
///
/// # Errors
/// Lua's, if there is no memory.
pub fn add(lua: &Lua, host: &Table, shared: &Rc<Shared>) -> mlua::Result<()> {
    host.raw_set("protected", protected())?;
    add_base(lua, host)?;
    add_random(lua, host, shared)?;
    add_patterns(lua, host, shared)?;
    host.raw_set("cjson", json(lua, Some(Rc::clone(&shared.json)))?)?;
    let libraries = [("cmsgpack", CMSGPACK), ("struct", STRUCT), ("bit", BIT)];
    for (name, functions) in libraries {
        let library = lua.create_table()?;
        for (name, function) in functions {
            library.raw_set(*name, make(lua, name, *function)?)?;
        }
        if name == "cmsgpack" {
            library.raw_set("_NAME", "cmsgpack")?;
            library.raw_set("_VERSION", "lua-cmsgpack 0.4.0")?;
            library.raw_set("_DESCRIPTION", "MessagePack for Lua")?;
            library.raw_set("_COPYRIGHT", "Copyright (C) Ferrite")?;
        }
        host.raw_set(name, library)?;
    }
    Ok(())
}

type Plain = fn(&Arguments<'_>) -> Outcome;

const CMSGPACK: &[(&str, Plain)] = &[
    ("pack", cmsgpack::pack),
    ("unpack", cmsgpack::unpack),
    ("unpack_one", |arguments| cmsgpack::unpack_limit(arguments, false)),
    ("unpack_limit", |arguments| cmsgpack::unpack_limit(arguments, true)),
];

const STRUCT: &[(&str, Plain)] =
    &[("pack", packing::pack), ("unpack", packing::unpack), ("size", packing::size)];

const BIT: &[(&str, Plain)] = &[
    ("tobit", |arguments| bit::unary(arguments, |bits| bits)),
    ("bnot", |arguments| bit::unary(arguments, |bits| !bits)),
    ("bswap", |arguments| bit::unary(arguments, u32::swap_bytes)),
    ("band", |arguments| bit::fold(arguments, |one, other| one & other)),
    ("bor", |arguments| bit::fold(arguments, |one, other| one | other)),
    ("bxor", |arguments| bit::fold(arguments, |one, other| one ^ other)),
    ("lshift", |arguments| bit::shift(arguments, |bits, by| bits << by)),
    ("rshift", |arguments| bit::shift(arguments, |bits, by| bits >> by)),
    ("arshift", |arguments| bit::shift(arguments, |bits, by| (bits as i32 >> by) as u32)),
    ("rol", |arguments| bit::shift(arguments, u32::rotate_left)),
    ("ror", |arguments| bit::shift(arguments, u32::rotate_right)),
    ("tohex", bit::tohex),
];

/// A function of Lua's that raises what the function refuses.
fn make(
    lua: &Lua,
    name: &'static str,
    function: impl Fn(&Arguments<'_>) -> Outcome + 'static,
) -> mlua::Result<Function> {
    lua.create_function(move |lua, values: MultiValue| {
        let outcome = function(&Arguments::new(lua, name, values));
        outcome.map_err(|why| Thrown::at_caller(lua, &why))
    })
}

fn add_base(lua: &Lua, host: &Table) -> mlua::Result<()> {
    host.raw_set("value_of", lua.create_function(|lua, thrown: Value| value_of(lua, thrown))?)?;
    host.raw_set("is_end", lua.create_function(|_, thrown: Value| Ok(is_end(&thrown)))?)?;
    let fail = make(lua, "fail", |arguments| {
        Err(String::from_utf8_lossy(&arguments.string(0)?.as_bytes()).into_owned())
    });
    host.raw_set("fail", fail?)?;
    let refuse = make(lua, "refuse", |_| Err("Attempt to modify a readonly table".into()));
    host.raw_set("refuse", refuse?)?;
    let compile = lua.create_function(|lua, (text, name): (mlua::String, mlua::String)| {
        let name = String::from_utf8_lossy(&name.as_bytes()).into_owned();
        match compile(lua, &text.as_bytes(), &name) {
            Ok(function) => Ok((Value::Function(function), Value::Nil)),
            Err(why) => Ok((Value::Nil, Value::String(lua.create_string(why)?))),
        }
    });
    host.raw_set("compile", compile?)?;
    let clock = lua.create_function(|_, ()| Ok(ProcessTime::now().as_duration().as_secs_f64()))?;
    host.raw_set("clock", clock)
}

fn add_random(lua: &Lua, host: &Table, shared: &Rc<Shared>) -> mlua::Result<()> {
    type Random = fn(&Arguments<'_>, &mut u64) -> Outcome;
    let functions: [(&str, Random); 2] = [("random", random::random), ("randomseed", random::seed)];
    for (name, function) in functions {
        let state = Rc::clone(shared);
        let function = make(lua, name, move |arguments| {
            if !state.is_running.get() {
                return Err(format!("math.{name} can only be called inside a script invocation"));
            }
            let mut random = state.random.get();
            let outcome = function(arguments, &mut random);
            state.random.set(random);
            outcome
        });
        host.raw_set(name, function?)?;
    }
    let told = Rc::clone(shared);
    let note = lua.create_function(move |_, ()| {
        told.is_collector_told.set(true);
        Ok(())
    });
    host.raw_set("note_collect", note?)
}

fn add_patterns(lua: &Lua, host: &Table, shared: &Rc<Shared>) -> mlua::Result<()> {
    type Matching = fn(&Arguments<'_>, pattern::Ask<'_>) -> Outcome;
    let functions: [(&str, Matching); 6] = [
        ("find", |arguments, ask| pattern::find(arguments, true, ask)),
        ("match", |arguments, ask| pattern::find(arguments, false, ask)),
        ("next", pattern::next),
        ("first", pattern::first),
        ("gsub", pattern::replace),
        // Looks at what gmatch was given before it walks.
        ("gmatch", |arguments, _| {
            arguments.string(0)?;
            arguments.string(1)?;
            Ok(MultiValue::new())
        }),
    ];
    for (name, function) in functions {
        let shared = Rc::clone(shared);
        let function =
            make(lua, name, move |arguments| function(arguments, &|| shared.watch.ask()));
        host.raw_set(name, function?)?;
    }
    Ok(())
}

/// The library `cjson`: the one that every script has, or one that a script makes.
fn json(lua: &Lua, settings: Option<Rc<RefCell<Settings>>>) -> mlua::Result<Table> {
    let settings = settings.unwrap_or_default();
    let library = lua.create_table()?;
    let array_mark = lua.create_table()?;
    library.raw_set("null", Value::NULL)?;
    library.raw_set("_NAME", "cjson")?;
    library.raw_set("_VERSION", "2.1.0")?;
    library.raw_set("new", lua.create_function(|lua, ()| json(lua, None))?)?;
    let (mark, own) = (array_mark.clone(), Rc::clone(&settings));
    let encode = make(lua, "encode", move |arguments| {
        if arguments.count() != 1 {
            return Err(arguments.refuse(0, "expected 1 argument"));
        }
        let settings = own.borrow().clone();
        let mut encoder = Encoder { settings: &settings, array_mark: &mark, out: Vec::new() };
        encoder.value(arguments.get(0), 0)?;
        let text = arguments.lua.create_string(encoder.out).map_err(|why| why.to_string())?;
        Ok(MultiValue::from_iter([Value::String(text)]))
    });
    library.raw_set("encode", encode?)?;
    let own = Rc::clone(&settings);
    let decode = make(lua, "decode", move |arguments| {
        if arguments.count() != 1 {
            return Err(arguments.refuse(0, "expected 1 argument"));
        }
        let settings = own.borrow().clone();
        let text = arguments.string(0)?;
        let text = text.as_bytes();
        let decoder = Decoder::new(arguments.lua, &settings, &array_mark, &text);
        let value = with_room(arguments.lua, text.len(), || decoder.read())?;
        Ok(MultiValue::from_iter([value]))
    });
    library.raw_set("decode", decode?)?;
    for name in cjson::SETTERS {
        let own = Rc::clone(&settings);
        let set =
            make(lua, name, move |arguments| cjson::set(name, &mut own.borrow_mut(), arguments));
        library.raw_set(*name, set?)?;
    }
    Ok(library)
}
