//! Random bytes as scripts, and for the libraries that read bytes: whatever they are, an answer
//! comes and the server goes on.

use crate::common::{Connection, Raw, TestServer};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn bytes(&mut self, alphabet: &[u8], len_max: u64) -> Vec<u8> {
        let len = self.next() % len_max;
        let mut byte = || match self.next() {
            number if alphabet.is_empty() => number as u8,
            number => alphabet[(number % alphabet.len() as u64) as usize],
        };
        (0..len).map(|_| byte()).collect()
    }
}

fn rounds() -> u64 {
    let factor = std::env::var("FERRITE_MODEL_ROUNDS").ok().and_then(|text| text.parse().ok());
    1000 * factor.unwrap_or(1)
}

fn ask(client: &mut Connection, script: &[u8], argument: &[u8]) -> Raw {
    client.ask_words(&[b"EVAL", script, b"0", argument])
}

#[test]
fn bytes_are_no_danger() {
    let server = TestServer::plain();
    let mut client = server.connect();
    let mut random = Random(11);
    for script in [
        &b"return {pcall(cjson.decode, ARGV[1])}"[..],
        b"return {pcall(cmsgpack.unpack, ARGV[1])}",
        b"return {pcall(struct.unpack, ARGV[1], ARGV[1])}",
        b"return {pcall(struct.pack, ARGV[1], 1, 2, 'abc', 4)}",
        b"return {pcall(struct.size, ARGV[1])}",
        b"return {pcall(loadstring, ARGV[1])}",
        b"return {pcall(string.find, ARGV[1], ARGV[1])}",
        b"return {pcall(string.gsub, ARGV[1], ARGV[1], ARGV[1])}",
        b"return {pcall(string.format, ARGV[1], 1, 2, 3)}",
    ] {
        for alphabet in [
            &b""[..],
            b"[]{}:,\"0123456789.eE+-tfn\\u \n",
            b"bBhHlLTiIfdscx<>=!0123456789 ",
            b"%abc.*+-?^$()[]=~ 01",
            b"\x81\x91\xa1\xc0\xca\xcb\xcc\xd9\xdc\xdd\xde\xdf\x00\x01\xff",
        ] {
            for _ in 0..rounds() / 40 {
                let bytes = random.bytes(alphabet, 40);
                let answer = ask(&mut client, script, &bytes);
                assert!(matches!(answer, Raw::Array(_) | Raw::Error(_)), "{bytes:?}: {answer:?}");
            }
        }
    }
    for _ in 0..rounds() {
        let words = [
            "return", "redis", ".call", "(", ")", "{", "}", "'get'", "x", "=", "1", "end",
            "function", "local", "for", "in", "pairs", "string", ":", ",", "..", "...",
        ];
        let count = random.next() % 20;
        let script: Vec<&str> =
            (0..count).map(|_| words[(random.next() % words.len() as u64) as usize]).collect();
        ask(&mut client, script.join(" ").as_bytes(), b"");
        let bytes = random.bytes(b"", 60);
        ask(&mut client, &bytes, b"");
    }
    assert_eq!(client.ask("PING").text(), "PONG");
}
