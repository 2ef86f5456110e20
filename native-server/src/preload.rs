//! Showing the keyspace what is about to be asked for, so that memory delivers it side by side: the
//! keys of requests that came together, and the keys or members of one that names many.
//!
//! Not here: how it is looked at, which is the engine's (`Keyspace::preload`).

use ferrite_engine::{Keys, Keyspace};

use crate::commands::{Command, keys_of};
use crate::limits::PRELOADED_ARGUMENTS_MAX;
use crate::resp::ahead::AHEAD_MAX;

/// Looks at what requests that came together ask for.
pub fn preload_requests(keys: &Keyspace, requests: &mut [&[&[u8]]]) {
    requests.iter_mut().for_each(|request| *request = from_keys(request));
    keys.preload(requests);
}

/// A request from the argument on that its keys follow: in place of the command's name, for a
/// function, the number of its keys.
fn from_keys<'r, 'a>(request: &'r [&'a [u8]]) -> &'r [&'a [u8]] {
    match request {
        [name, _, from_keys @ ..]
            if matches!(name.len(), 5 | 8)
                && (name.eq_ignore_ascii_case(b"FCALL")
                    || name.eq_ignore_ascii_case(b"FCALL_RO")) =>
        {
            from_keys
        }
        _ => request,
    }
}

/// Looks at what one request with many arguments asks for.
#[inline(never)]
pub fn preload_one(keys: &Keyspace, command: &Command, request: &[&[u8]]) {
    let Some(&name) = request.first() else { return };
    if command.keys == Keys::FIRST {
        // What of them is no member is looked for in vain.
        let [_, key, members @ ..] = request else { return };
        show(keys, members.iter().map(|&member| [name, *key, member]));
    } else {
        let text = |at: usize| request.get(at).copied().unwrap_or_default();
        let positions = keys_of(command.name, command.keys, request.len(), text);
        show(keys, positions.map(|at| [name, text(at)]));
    }
}

/// Shows requests of one key each, and at most one member.
fn show<'a, const N: usize>(keys: &Keyspace, requests: impl Iterator<Item = [&'a [u8]; N]>) {
    let mut requests = requests.take(PRELOADED_ARGUMENTS_MAX);
    loop {
        let mut some = [[&[][..]; N]; AHEAD_MAX];
        let count = some.iter_mut().zip(&mut requests).map(|(at, request)| *at = request).count();
        if count == 0 {
            return;
        }
        keys.preload(&some.each_ref().map(|request| &request[..])[..count]);
    }
}
