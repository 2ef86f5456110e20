//! What stands in the parentheses of `#[ferrite_udf(...)]`.

use proc_macro2::TokenStream;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::{Error, LitInt, LitStr, Result};

/// The flags, as they are written in Rust and as the server knows them.
const FLAGS: [(&str, &str); 6] = [
    ("no_writes", "no-writes"),
    ("allow_oom", "allow-oom"),
    ("allow_stale", "allow-stale"),
    ("no_cluster", "no-cluster"),
    ("allow_cross_slot_keys", "allow-cross-slot-keys"),
    ("fresh", "fresh"),
];

#[derive(Default)]
pub struct Options {
    pub name: Option<String>,
    pub library: Option<String>,
    pub deadline_ms: Option<u64>,
    pub fuel: Option<u64>,
    pub flags: Vec<&'static str>,
}

impl Options {
    pub fn parse(tokens: TokenStream) -> Result<Options> {
        let mut options = Options::default();
        syn::meta::parser(|meta| options.take(&meta)).parse2(tokens)?;
        Ok(options)
    }

    fn take(&mut self, meta: &ParseNestedMeta) -> Result<()> {
        let word = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        match word.as_str() {
            "name" => set(&mut self.name, meta, name(meta)?),
            "library" => set(&mut self.library, meta, name(meta)?),
            "deadline_ms" => set(&mut self.deadline_ms, meta, positive(meta)?),
            "fuel" => set(&mut self.fuel, meta, positive(meta)?),
            _ => {
                let known = FLAGS.iter().find(|(known, _)| *known == word);
                let (_, flag) = known.ok_or_else(|| {
                    let flags = FLAGS.map(|(flag, _)| flag).join(", ");
                    meta.error(format!(
                        "unknown option: it is name, library, deadline_ms, fuel, or one of {flags}"
                    ))
                })?;
                if self.flags.contains(flag) {
                    return Err(meta.error("given twice"));
                }
                self.flags.push(flag);
                Ok(())
            }
        }
    }
}

fn set<T>(option: &mut Option<T>, meta: &ParseNestedMeta, value: T) -> Result<()> {
    if option.replace(value).is_some() {
        return Err(meta.error("given twice"));
    }
    Ok(())
}

fn positive(meta: &ParseNestedMeta) -> Result<u64> {
    let number: LitInt = meta.value()?.parse()?;
    let value = number.base10_parse()?;
    if value == 0 {
        return Err(Error::new(number.span(), "must be above 0"));
    }
    Ok(value)
}

const NAME_BYTES_MAX: usize = 64;

/// Why a name is none: what ABI 1 says of the names of libraries, functions and parameters.
pub fn fault_of_name(name: &str) -> Option<&'static str> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len());
    (!fits || !name.chars().all(is_fine))
        .then_some("a name is 1 to 64 letters, digits and underscores")
}

fn name(meta: &ParseNestedMeta) -> Result<String> {
    let text: LitStr = meta.value()?.parse()?;
    match fault_of_name(&text.value()) {
        Some(fault) => Err(Error::new(text.span(), fault)),
        None => Ok(text.value()),
    }
}
