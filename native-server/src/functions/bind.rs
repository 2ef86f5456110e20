//! From keys and arguments to the parameters of an export.
//!
//! Invariant: numbers of keys and arguments are checked, then the arguments in their order, all
//! before the guest runs. What does not fit in a parameter stands in one block, whose addresses
//! count from its start until it is known where it will be.

use crate::functions::library::Function;
use crate::functions::metadata::{Parameter, Role, Signature, Type};
use crate::number;

/// A parameter as the export takes it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Flat {
    /// 32 bits.
    I32(u32),
    /// 32 bits that count from the start of the block.
    Address(u32),
    /// 64 bits.
    I64(i64),
    /// A number with decimals.
    F64(f64),
}

/// Parameters, and the block that they point into.
#[derive(Default, Debug)]
pub struct Binding {
    /// The parameters.
    pub flat: Vec<Flat>,
    /// The block.
    pub block: Vec<u8>,
    /// Where addresses stand in the block.
    relative: Vec<usize>,
}

/// What is wrong, as the line of an error.
type Bound<T> = Result<T, String>;

impl Binding {
    /// Binds keys and arguments to a function's parameters.
    ///
    /// # Errors
    /// What does not fit.
    pub fn bind(&mut self, function: &Function, keys: &[&[u8]], args: &[&[u8]]) -> Bound<()> {
        self.flat.clear();
        self.block.clear();
        self.relative.clear();
        match &function.signature {
            Signature::Typed(parameters, _) => {
                function.keys.check(function, "keys", keys.len())?;
                function.args.check(function, "arguments", args.len())?;
                self.bind_typed(&function.name, parameters, keys, args)
            }
            Signature::Generic => {
                self.bind_generic(keys, args);
                Ok(())
            }
        }
    }

    fn bind_typed(
        &mut self,
        function: &str,
        parameters: &[Parameter],
        mut keys: &[&[u8]],
        mut args: &[&[u8]],
    ) -> Bound<()> {
        for parameter in parameters {
            let name = &parameter.name;
            match parameter.role {
                Role::Key => {
                    let Some((key, rest)) = keys.split_first() else { continue };
                    keys = rest;
                    let what = Text { what: "key", name, function };
                    self.text(&what, parameter.kind, key)?;
                }
                Role::Keys => {
                    let what = Text { what: "key", name, function };
                    self.list(&what, parameter.kind, std::mem::take(&mut keys))?;
                }
                Role::Arg => {
                    let arg = args.split_first().map(|(arg, rest)| {
                        args = rest;
                        *arg
                    });
                    self.argument(function, parameter, arg)?;
                }
                Role::Args => {
                    let what = Text { what: "argument", name, function };
                    self.list(&what, parameter.kind, std::mem::take(&mut args))?;
                }
            }
        }
        Ok(())
    }

    fn argument(&mut self, function: &str, parameter: &Parameter, arg: Option<&[u8]>) -> Bound<()> {
        let name = &parameter.name;
        let is_number = matches!(parameter.kind, Type::I64 | Type::F64);
        if parameter.optional && is_number {
            self.flat.push(Flat::I32(arg.is_some().into()));
        }
        match (parameter.kind, arg) {
            (Type::I64, Some(arg)) => {
                let number = number::integer(arg).ok_or_else(|| {
                    format!(
                        "ERR argument '{name}' of '{function}' is not an integer or out of range"
                    )
                })?;
                self.flat.push(Flat::I64(number));
            }
            (Type::F64, Some(arg)) => {
                let number = float(arg).ok_or_else(|| {
                    format!("ERR argument '{name}' of '{function}' is not a valid float")
                })?;
                self.flat.push(Flat::F64(number));
            }
            (_, Some(arg)) => {
                let what = Text { what: "argument", name, function };
                self.text(&what, parameter.kind, arg)?;
            }
            (Type::I64, None) => self.flat.push(Flat::I64(0)),
            (Type::F64, None) => self.flat.push(Flat::F64(0.0)),
            (_, None) => self.flat.extend([Flat::I32(0), Flat::I32(0)]),
        }
        Ok(())
    }

    fn text(&mut self, what: &Text<'_>, kind: Type, bytes: &[u8]) -> Bound<()> {
        what.check(kind, bytes)?;
        let at = self.block.len() as u32;
        self.block.extend_from_slice(bytes);
        self.flat.extend([Flat::Address(at), Flat::I32(bytes.len() as u32)]);
        Ok(())
    }

    fn list(&mut self, what: &Text<'_>, kind: Type, texts: &[&[u8]]) -> Bound<()> {
        self.block.resize(self.block.len().next_multiple_of(4), 0);
        let start = self.block.len();
        self.block.resize(start + texts.len() * 8, 0);
        for (at, text) in (start..).step_by(8).zip(texts) {
            what.check(kind, text)?;
            let address = self.block.len() as u32;
            self.put(at, address);
            self.put(at + 4, text.len() as u32);
            self.relative.push(at);
            self.block.extend_from_slice(text);
        }
        self.flat.extend([Flat::Address(start as u32), Flat::I32(texts.len() as u32)]);
        Ok(())
    }

    fn put(&mut self, at: usize, number: u32) {
        if let Some(place) = self.block.get_mut(at..at + 4) {
            place.copy_from_slice(&number.to_le_bytes());
        }
    }

    fn bind_generic(&mut self, keys: &[&[u8]], args: &[&[u8]]) {
        self.block.extend_from_slice(&(keys.len() as u32).to_le_bytes());
        self.block.extend_from_slice(&(args.len() as u32).to_le_bytes());
        for text in keys.iter().chain(args) {
            self.block.extend_from_slice(&(text.len() as u32).to_le_bytes());
            self.block.extend_from_slice(text);
            self.block.resize(self.block.len().next_multiple_of(4), 0);
        }
        let len = self.block.len() as u32;
        self.flat.extend([Flat::Address(0), Flat::I32(len)]);
    }

    /// Whether there is anything that needs a place in the guest's memory.
    pub fn needs_place(&self) -> bool {
        self.flat.iter().any(|flat| matches!(flat, Flat::Address(_)))
    }

    /// The block is going to be at this address.
    pub fn place(&mut self, address: usize) {
        for flat in &mut self.flat {
            if let Flat::Address(at) = *flat {
                *flat = Flat::I32(at.wrapping_add(address as u32));
            }
        }
        for at in std::mem::take(&mut self.relative) {
            let bytes = self.block.get(at..).and_then(|bytes| bytes.first_chunk());
            let relative = bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes));
            self.put(at, relative.wrapping_add(address as u32));
        }
    }
}

/// Which text it is, for errors.
struct Text<'t> {
    what: &'t str,
    name: &'t str,
    function: &'t str,
}

impl Text<'_> {
    #[inline]
    fn check(&self, kind: Type, bytes: &[u8]) -> Bound<()> {
        // Most text is ASCII, which is found out many bytes at a time.
        if kind == Type::Str && !bytes.is_ascii() && std::str::from_utf8(bytes).is_err() {
            let Text { what, name, function } = self;
            return Err(format!("ERR {what} '{name}' of '{function}' is not valid UTF-8"));
        }
        Ok(())
    }
}

fn float(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok().filter(|number: &f64| !number.is_nan())
}

/// How many keys or arguments a function takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Count {
    least: usize,
    /// None if it takes any number.
    most: Option<usize>,
}

impl Count {
    /// Of those of `one` role, and of the role that takes all the rest.
    pub fn of(signature: &Signature, [one, rest]: [Role; 2]) -> Count {
        let Signature::Typed(parameters, _) = signature else {
            return Count { least: 0, most: None };
        };
        let (mut least, mut most, mut has_rest) = (0, 0, false);
        for parameter in parameters {
            if parameter.role == one {
                least += usize::from(!parameter.optional);
                most += 1;
            }
            has_rest |= parameter.role == rest;
        }
        Count { least, most: (!has_rest).then_some(most) }
    }

    #[inline]
    fn check(self, function: &Function, what: &str, given: usize) -> Bound<()> {
        match given >= self.least && self.most.is_none_or(|most| given <= most) {
            true => Ok(()),
            false => Err(self.refusal(&function.name, what, given)),
        }
    }

    #[cold]
    fn refusal(self, function: &str, what: &str, given: usize) -> String {
        let Count { least, most } = self;
        let expected = match most {
            None => format!("at least {least}"),
            Some(most) if least == most => least.to_string(),
            Some(most) => format!("{least} to {most}"),
        };
        format!("ERR wrong number of {what} for '{function}': expected {expected}, got {given}")
    }
}
