//! A function that takes 50 ms, called again and again by one client, and what another client's
//! GETs take meanwhile: beside the same while nobody calls it, and beside redis-server, where a
//! function in Lua holds up everybody.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::report::row;
use crate::server::Server;

/// How long the function is to take, and how long others are watched.
const CALL: Duration = Duration::from_millis(50);
const WATCHED: Duration = Duration::from_secs(2);

/// Turns of the loop by which its speed is found out.
const TRIAL_TURNS: u64 = 2_000_000;

const WASM: &str = r#"(module
  (memory (export "memory") 1)
  (func (export "spin") (param $turns i64) (result i64)
    (local $x i64)
    (loop $turn
      (local.set $x (i64.add (i64.mul (local.get $x) (i64.const 6364136223846793005))
        (i64.const 1442695040888963407)))
      (local.set $turns (i64.sub (local.get $turns) (i64.const 1)))
      (br_if $turn (i64.gt_s (local.get $turns) (i64.const 0))))
    (i64.shr_u (local.get $x) (i64.const 1)))
  (@custom "ferrite.udf" "{\22abi\22:1,\22library\22:\22spin\22,\22name\22:\22spin\22,")
  (@custom "ferrite.udf" "\22params\22:[{\22name\22:\22turns\22,\22role\22:\22arg\22,")
  (@custom "ferrite.udf" "\22type\22:\22i64\22}],\22result\22:\22i64\22}"))"#;

const LUA: &str = "#!lua name=spin
redis.register_function('spin', function(keys, args)
  local x = 1
  for turn = 1, tonumber(args[1]) do x = (x * 1103515245 + 12345) % 4294967296 end
  return x
end)
";

/// Rows of so many rounds.
pub fn compare(rounds: usize) -> Vec<String> {
    let servers = Server::pair("0-1");
    let module = wat::parse_str(WASM).expect("a module");
    servers[0].cli(&["-x", "FUNCTION", "LOAD", "WASM"], &module);
    servers[1].cli(&["-x", "FUNCTION", "LOAD"], LUA.as_bytes());
    let turns = servers.each_ref().map(turns_of);
    let (mut beside_itself, mut beside_redis) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let alone = p99_us(&servers[0], None);
        let [ours, theirs] = [0, 1].map(|at| p99_us(&servers[at], Some(turns[at])));
        beside_itself.push((ours, alone));
        beside_redis.push((ours, theirs));
    }
    let case = "GET beside a function of 50 ms";
    vec![row(case, "p99_us", "alone", &beside_itself), row(case, "p99_us", "redis", &beside_redis)]
}

/// How often its function has to turn to take so long.
fn turns_of(server: &Server) -> u64 {
    let mut client = Client::new(server);
    let call = |client: &mut Client| client.ask(&format!("FCALL spin 0 {TRIAL_TURNS}"));
    let least = (0..5).map(|_| call(&mut client)).min().expect("some");
    (TRIAL_TURNS as f64 * CALL.as_secs_f64() / least.as_secs_f64()) as u64
}

/// The 99th percentile of what GETs take, while a client calls the function, or none does.
fn p99_us(server: &Server, turns: Option<u64>) -> f64 {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        if let Some(turns) = turns {
            let (mut client, is_over) = (Client::new(server), &is_over);
            scope.spawn(move || {
                while !is_over.load(Relaxed) {
                    client.ask(&format!("FCALL spin 0 {turns}"));
                }
            });
        }
        let mut client = Client::new(server);
        let started = Instant::now();
        let mut took = Vec::new();
        while started.elapsed() < WATCHED {
            took.push(client.ask("GET key"));
        }
        is_over.store(true, Relaxed);
        took.sort_unstable();
        took[took.len() * 99 / 100].as_secs_f64() * 1e6
    })
}

struct Client {
    stream: TcpStream,
    reply: Vec<u8>,
}

impl Client {
    fn new(server: &Server) -> Client {
        let stream = TcpStream::connect(server.address()).expect("the server runs");
        stream.set_nodelay(true).expect("a socket");
        Client { stream, reply: vec![0; 4096] }
    }

    /// How long an answer takes, which is a line.
    fn ask(&mut self, request: &str) -> Duration {
        let started = Instant::now();
        self.stream.write_all(format!("{request}\r\n").as_bytes()).expect("it reads");
        let mut len = 0;
        while !self.reply[..len].ends_with(b"\r\n") {
            let read = self.stream.read(&mut self.reply[len..]).expect("it answers");
            assert!(read > 0, "the server is gone");
            len += read;
        }
        assert_ne!(self.reply[0], b'-', "{}", String::from_utf8_lossy(&self.reply[..len]));
        started.elapsed()
    }
}
