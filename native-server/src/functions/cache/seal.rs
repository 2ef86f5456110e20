//! Machine code under a seal, and the only place where such code comes from outside.
//!
//! A sealed module is a mark, a tag, and what Wasmtime writes of a compiled module. The tag is an
//! HMAC-SHA256, by a key that only this server's user can read, of the mark, the name that the
//! module is kept under, and the SHA-256 of what Wasmtime wrote.
//!
//! Invariant: [`Seal::seal`] is the only function that makes tags, and it takes a [`Module`]: so
//! whatever carries a sound one is what Wasmtime wrote of a module that this engine or an earlier
//! one compiled, and of the one whose name it carries.
//!
//! Not here: where sealed modules and the key are kept (folder.rs).

use hmac_sha256::HMAC;
use sha2::{Digest, Sha256};
use wasmtime::{Engine, Module};

/// How many bytes a key has.
pub const KEY_BYTES: usize = 32;

/// What a sealed module begins with. It changes with the form.
const MARK: &[u8; 8] = b"FERCODE1";

/// What a module is kept under: a digest of the module and of what compiled it.
pub type Name = [u8; 32];

/// The key.
pub struct Seal {
    key: [u8; KEY_BYTES],
}

impl Seal {
    /// With this key.
    pub fn new(key: [u8; KEY_BYTES]) -> Seal {
        Seal { key }
    }

    /// A module, sealed. `None` if Wasmtime cannot write it.
    pub fn seal(&self, name: &Name, module: &Module) -> Option<Vec<u8>> {
        let code = module.serialize().ok()?;
        let tag = self.over(name, &code).finalize();
        Some([MARK, &tag[..], &code].concat())
    }

    /// The module of this name, if the seal is whole and the engine is one that can run it.
    pub fn open(&self, engine: &Engine, name: &Name, sealed: &[u8]) -> Option<Module> {
        let (tag, code) = sealed.strip_prefix(MARK)?.split_first_chunk()?;
        // Compared in a time that does not depend on where they differ.
        if !self.over(name, code).finalize_verify(tag) {
            return None;
        }
        // SAFETY: `deserialize` asks for bytes that `Module::serialize` of some version of Wasmtime
        // gave, unmodified; it refuses those of another version or another configuration itself.
        // The tag was verified above over exactly these bytes, in memory that nobody else writes
        // to. Only who has the key can have made it: this server, in `seal`, from what `serialize`
        // gave. Others cannot read the key (cache/mod.rs refuses one that they could), and whoever
        // runs as the server's user needs no cache to run code in its name.
        unsafe { Module::deserialize(engine, code).ok() }
    }

    fn over(&self, name: &Name, code: &[u8]) -> HMAC {
        let mut mac = HMAC::new(self.key);
        mac.update(MARK);
        mac.update(name);
        mac.update(Sha256::digest(code));
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sealed_is_opened() {
        let engine = Engine::default();
        let module = Module::new(&engine, b"\0asm\x01\0\0\0").expect("a module");
        let (seal, other) = (Seal::new([1; 32]), Seal::new([2; 32]));
        let (name, another) = ([3; 32], [4; 32]);
        let sealed = seal.seal(&name, &module).expect("it can be written");
        assert!(seal.open(&engine, &name, &sealed).is_some());
        assert!(seal.open(&engine, &another, &sealed).is_none(), "under another name");
        assert!(other.open(&engine, &name, &sealed).is_none(), "by another key");
        assert!(seal.open(&engine, &name, &sealed[..sealed.len() - 1]).is_none(), "cut");
        for at in 0..sealed.len().min(400) {
            let mut broken = sealed.clone();
            broken[at] ^= 1;
            assert!(seal.open(&engine, &name, &broken).is_none(), "byte {at}");
        }
        for len in 0..48 {
            assert!(seal.open(&engine, &name, &sealed[..len]).is_none(), "{len} bytes");
        }
    }
}
