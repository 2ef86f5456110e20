//! Any bytes as a whole session with a server of its own: whatever one client sends, another is
//! served meanwhile, every keyspace stays sound, and the server ends when it is told to.
//!
//! Not here: what the replies say (the transcripts), and DEBUG, which is off.
#![no_main]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use ferrite_server::clock::Clock;
use ferrite_server::config::Config;
use ferrite_server::server::start;
use libfuzzer_sys::fuzz_target;

/// Longer than this nobody waits for a reply, but by a fault.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks on a connection of its own, and reads to the end.
fn ask(address: std::net::SocketAddr, pieces: &[&[u8]]) -> Vec<u8> {
    let mut replies = Vec::new();
    let Ok(mut stream) = TcpStream::connect(address) else { return replies };
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    for piece in pieces {
        // It may have been closed for what was sent before.
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
    let ended = stream.read_to_end(&mut replies);
    let is_late = |error: &std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
    assert!(!ended.as_ref().is_err_and(is_late), "the connection does not end");
    replies
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, input)) = bytes.split_first() else { return };
    let dir = std::env::temp_dir().join(format!("ferrite-sessions-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let config = Config {
        port: 0,
        bind: "127.0.0.1".into(),
        save: Vec::new(),
        loglevel: "nothing".into(),
        maxmemory: 8 << 20,
        dir: dir.to_string_lossy().into_owned(),
        ..Config::default()
    };
    let running = start(config, Clock::System).expect("a server");
    let address = running.server.addresses()[0];
    let pieces: Vec<&[u8]> = input.chunks(usize::from(first).max(1)).collect();
    ask(address, &pieces);
    // A pause, a password, a full memory or SHUTDOWN may be the first one's doing: not silence.
    ask(address, &[b"CLIENT UNPAUSE\r\nPING\r\n"]);
    for index in 0..running.server.databases.count() {
        let mut held = running.server.databases.hold();
        held.get(index).keys.validate().expect("a sound keyspace");
    }
    running.stop();
    let _ = std::fs::remove_dir_all(&dir);
});
