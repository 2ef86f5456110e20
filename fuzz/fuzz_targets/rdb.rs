//! Any bytes as a value of an RDB file that comes in pieces: it is taken or refused as RESTORE does
//! with all of it at hand, and leaves the same.
#![no_main]

use ferrite_engine::{Loaded, Options, RdbInput, RdbReader};
use ferrite_fuzz::sealed;
use ferrite_tests::answer::Answer;
use ferrite_tests::engine::Engine;
use ferrite_tests::family::compare;
use ferrite_tests::subject::{START_MS, Subject};
use libfuzzer_sys::fuzz_target;

const BUDGET_BYTES: u64 = 16 << 20;
/// Bytes that come at once.
const PIECE_BYTES: usize = 7;

struct Pieces<'b>(&'b [u8]);

impl RdbInput for Pieces<'_> {
    fn read(&mut self, space: &mut [u8]) -> usize {
        let len = space.len().min(PIECE_BYTES).min(self.0.len());
        let (piece, rest) = self.0.split_at(len);
        space[..len].copy_from_slice(piece);
        self.0 = rest;
        len
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&form, body)) = bytes.split_first() else { return };
    let options = Options { max_memory_bytes: BUDGET_BYTES, ..Options::default() };
    let (mut whole, mut pieces) = (Engine::new(&options), Engine::new(&options));
    let request = [&b"RESTORE"[..], b"key", b"0", &sealed(bytes)].map(<[u8]>::to_vec);
    let restored = whole.ask(&request) == Answer::ok();
    let mut input = Pieces(body);
    let mut reader = RdbReader::new(&mut input);
    let loaded = pieces.keys.at(START_MS).load(b"key", form, &mut reader, None);
    let is_all = reader.position() == body.len() as u64;
    pieces.keys.validate().expect("a sound keyspace");
    match loaded {
        Ok(Loaded::Stored) => assert_eq!(restored, is_all, "all of it is a value, or more is"),
        Ok(_) | Err(_) => {
            assert!(pieces.keys.is_empty(), "refused, but something is there");
            assert!(!restored, "RESTORE takes what a file may not have");
        }
    }
    if restored {
        assert!(compare::contents(&mut whole) == compare::contents(&mut pieces), "another value");
    }
});
