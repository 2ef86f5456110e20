//! Values that certainly fit into a state's memory.
//!
//! Under a limit mlua makes each step that may ask for memory a protected call, which takes longer
//! than the step. So where what is made of a text certainly fits, there is no limit meanwhile.
//!
//! Invariant: no code of a script runs while there is no limit.

use mlua::Lua;

use crate::limits::scripting::{MEMORY_BYTES_MAX, VALUE_BYTES_MAX};

/// Calls `make`, which makes values of a text of so many bytes: each of its bytes at most one
/// table with an entry.
pub fn with_room<T>(lua: &Lua, text_bytes: usize, make: impl FnOnce() -> T) -> T {
    let bytes = text_bytes.saturating_mul(VALUE_BYTES_MAX);
    let fits = lua.used_memory().saturating_add(bytes) <= MEMORY_BYTES_MAX;
    let _lifted = fits.then(|| Lifted::new(lua));
    make()
}

/// While it lives there is no limit.
struct Lifted<'l>(&'l Lua);

impl Lifted<'_> {
    fn new(lua: &Lua) -> Lifted<'_> {
        // Every state that mlua makes has a limit to set.
        let _ = lua.set_memory_limit(0);
        Lifted(lua)
    }
}

impl Drop for Lifted<'_> {
    fn drop(&mut self) {
        let _ = self.0.set_memory_limit(MEMORY_BYTES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_back_whatever_happens() {
        let lua = Lua::new();
        lua.set_memory_limit(MEMORY_BYTES_MAX).expect("a limit");
        let limit = || lua.set_memory_limit(MEMORY_BYTES_MAX).expect("a limit");
        assert_eq!(with_room(&lua, 100, limit), 0, "none while what fits is made");
        lua.set_memory_limit(MEMORY_BYTES_MAX).expect("a limit");
        assert_eq!(with_room(&lua, 100, || 5), 5);
        assert_eq!(limit(), MEMORY_BYTES_MAX);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            with_room(&lua, 100, || panic!("as mlua does without references"))
        }));
        assert!(caught.is_err());
        assert_eq!(limit(), MEMORY_BYTES_MAX);
        assert_eq!(with_room(&lua, MEMORY_BYTES_MAX, limit), MEMORY_BYTES_MAX, "what may not fit");
    }
}
