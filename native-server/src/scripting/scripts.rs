//! The scripts that EVALSHA finds.
//!
//! Invariant: whoever holds a script may go on using it, but once it is gone nobody finds it: who
//! keeps one compiled looks at that first.
//! Invariant: what EVAL brings is bounded by dropping what was not used for longest; what SCRIPT
//! LOAD brings stays, and is bounded by an error.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha1::{Digest, Sha1};

use crate::commands::Refusal;
use crate::functions::host::Kind;
use crate::limits::scripting::{
    CACHED_SCRIPTS_MAX, LOADED_BYTES_MAX, LOADED_SCRIPTS_MAX, SCRIPT_BYTES_MAX,
};
use crate::scripting::shebang::{Declared, Shebang};

/// What a script is known by.
pub type Sha = [u8; 20];

/// The digest of a text.
pub fn digest(text: &[u8]) -> Sha {
    Sha1::digest(text).into()
}

/// Its hexadecimal digits.
pub fn hex(sha: &Sha) -> String {
    sha.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The digest that digits stand for, in capitals or not.
pub fn parse(digits: &[u8]) -> Option<Sha> {
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    if pairs.len() != 20 {
        return None;
    }
    let mut sha = Sha::default();
    for (byte, [high, low]) in sha.iter_mut().zip(pairs) {
        let digit = |digit: &u8| char::from(*digit).to_digit(16);
        *byte = (digit(high)? << 4 | digit(low)?) as u8;
    }
    Some(sha)
}

/// A script.
pub struct Script {
    /// What it is known by.
    pub sha: Sha,
    /// The same in digits, which errors name.
    pub name: Arc<str>,
    /// What was sent.
    pub text: Arc<[u8]>,
    /// What its first line says.
    pub declared: Declared,
    /// Where its code begins: behind the first line, if that is no code.
    pub code_at: usize,
    /// Whether its text has a word that reaches beyond one database.
    pub may_roam: bool,
    is_gone: AtomicBool,
    is_kept: AtomicBool,
    used_ms: AtomicI64,
}

impl Script {
    /// Of a text.
    ///
    /// # Errors
    /// It is too long, or its first line is wrong.
    pub fn new(text: &[u8]) -> Result<Script, Refusal> {
        if text.len() > SCRIPT_BYTES_MAX {
            let limit = SCRIPT_BYTES_MAX;
            return Err(format!("ERR the script is too long: the limit is {limit} bytes").into());
        }
        let Shebang { declared, len } = Shebang::of_script(text)?;
        let sha = digest(text);
        Ok(Script {
            sha,
            name: hex(&sha).into(),
            text: text.into(),
            declared,
            code_at: len,
            may_roam: may_roam(text),
            is_gone: AtomicBool::new(false),
            is_kept: AtomicBool::new(false),
            used_ms: AtomicI64::new(0),
        })
    }

    /// Whether it is in the cache no more.
    pub fn is_gone(&self) -> bool {
        self.is_gone.load(Relaxed)
    }

    /// Somebody uses it now.
    pub fn note_use(&self, now_ms: i64) {
        self.used_ms.store(now_ms, Relaxed);
    }
}

/// Whether a text has the name of a command that reaches beyond one database.
pub fn may_roam(text: &[u8]) -> bool {
    const NAMES: [&[u8]; 5] = [b"select", b"swapdb", b"flushall", b"move", b"copy"];
    text.iter().enumerate().any(|(at, byte)| {
        matches!(byte | 0x20, b's' | b'f' | b'm' | b'c')
            && NAMES.iter().any(|name| {
                text.get(at..at + name.len()).is_some_and(|word| word.eq_ignore_ascii_case(name))
            })
    })
}

#[derive(Default)]
struct Held {
    scripts: HashMap<Sha, Arc<Script>>,
    kept: usize,
    kept_bytes: usize,
    bytes: usize,
}

/// All scripts.
#[derive(Default)]
pub struct Cache {
    held: Mutex<Held>,
    /// Scripts that made room for others.
    pub evicted: AtomicU64,
}

impl Cache {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The script of this digest.
    pub fn find(&self, sha: &Sha) -> Option<Arc<Script>> {
        self.lock().scripts.get(sha).cloned()
    }

    /// Adds a script, unless it is there; gives the one that is.
    pub fn add(&self, script: &Arc<Script>, now_ms: i64) -> Arc<Script> {
        script.note_use(now_ms);
        let mut cache = self.lock();
        if let Some(there) = cache.scripts.get(&script.sha) {
            return Arc::clone(there);
        }
        while cache.scripts.len() - cache.kept >= CACHED_SCRIPTS_MAX {
            let loose = cache.scripts.values().filter(|script| !script.is_kept.load(Relaxed));
            let Some(oldest) = loose.min_by_key(|script| script.used_ms.load(Relaxed)) else {
                break;
            };
            let sha = oldest.sha;
            cache.remove(&sha);
            self.evicted.fetch_add(1, Relaxed);
        }
        cache.bytes += script.text.len();
        cache.scripts.insert(script.sha, Arc::clone(script));
        Arc::clone(script)
    }

    /// Has a script stay.
    ///
    /// # Errors
    /// There are too many.
    pub fn keep(&self, script: &Arc<Script>) -> Result<(), Refusal> {
        let mut cache = self.lock();
        if script.is_kept.load(Relaxed) {
            return Ok(());
        }
        let len = script.text.len();
        if cache.kept >= LOADED_SCRIPTS_MAX || cache.kept_bytes + len > LOADED_BYTES_MAX {
            return Err(format!(
                "ERR too many scripts are loaded: the limit is {LOADED_SCRIPTS_MAX}, and 256 MiB \
                 of text. SCRIPT FLUSH drops them"
            )
            .into());
        }
        script.is_kept.store(true, Relaxed);
        cache.kept += 1;
        cache.kept_bytes += len;
        Ok(())
    }

    /// Drops all.
    pub fn flush(&self) {
        let cache = std::mem::take(&mut *self.lock());
        cache.scripts.values().for_each(|script| script.is_gone.store(true, Relaxed));
    }

    /// How many there are, and the bytes of their texts.
    pub fn figures(&self) -> (usize, usize) {
        let cache = self.lock();
        (cache.scripts.len(), cache.bytes)
    }
}

impl Held {
    fn remove(&mut self, sha: &Sha) {
        if let Some(script) = self.scripts.remove(sha) {
            script.is_gone.store(true, Relaxed);
            self.bytes -= script.text.len();
        }
    }
}

/// What all threads share of scripts.
#[derive(Default)]
pub struct Scripts {
    /// The scripts.
    pub cache: Cache,
    /// Memory of the states for scripts, and of those for functions.
    memory_bytes: [AtomicI64; 2],
}

impl Scripts {
    /// A state has grown, or become smaller.
    pub fn note_memory(&self, kind: Kind, growth_bytes: i64) {
        let [scripts, functions] = &self.memory_bytes;
        let bytes = if kind == Kind::Script { scripts } else { functions };
        if growth_bytes != 0 {
            bytes.fetch_add(growth_bytes, Relaxed);
        }
    }

    /// Memory of the states for scripts, and of those for functions.
    pub fn memory_bytes(&self) -> [i64; 2] {
        self.memory_bytes.each_ref().map(|bytes| bytes.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_back() {
        let sha = digest(b"return 1");
        assert_eq!(hex(&sha), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
        assert_eq!(parse(hex(&sha).to_ascii_uppercase().as_bytes()), Some(sha));
        assert_eq!(parse(b"e0e1"), None);
        assert_eq!(parse(&[b'g'; 40]), None);
    }

    #[test]
    fn what_is_loose_makes_room_and_what_is_kept_stays() {
        let scripts = Cache::default();
        let add = |number: usize| {
            let script = Script::new(format!("return {number}").as_bytes()).expect("sound");
            scripts.add(&Arc::new(script), number as i64)
        };
        let kept = add(0);
        scripts.keep(&kept).expect("room");
        let first = add(1);
        (2..CACHED_SCRIPTS_MAX + 2).for_each(|number| drop(add(number)));
        assert!(first.is_gone() && scripts.find(&first.sha).is_none());
        assert!(!kept.is_gone() && scripts.find(&kept.sha).is_some());
        assert_eq!(scripts.figures().0, CACHED_SCRIPTS_MAX + 1);
        scripts.flush();
        assert!(kept.is_gone() && scripts.find(&kept.sha).is_none());
    }

    #[test]
    fn who_may_roam_is_found() {
        assert!(may_roam(b"redis.call('Select', 1)"));
        assert!(!may_roam(b"redis.call('get', KEYS[1])"));
    }
}
