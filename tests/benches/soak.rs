//! `scripts/bench soak`: what others feel while many connections misbehave, beside redis-server.
//!
//! There are connections that say nothing, clients that ask for much and do not read, listeners
//! that do not read either, connections that were closed from one side amid a request, and clients
//! that send a byte a second. Meanwhile, before and after, redis-benchmark asks for GET and SET.
//! Then all of them go, and what is left of them in the server is looked at.
//!
//! Not here: what is answered to whom (native-server/tests/abuse.rs).

#[expect(dead_code, reason = "not every bench needs all of it")]
mod process;
#[expect(dead_code, reason = "not every bench needs all of it")]
mod report;

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use process::{Process, ask, figure};
use report::{row, save, title};

/// How many there are of each, and how much they ask for.
struct Crowd {
    idle: usize,
    slow_readers: usize,
    deaf_listeners: usize,
    half_closed: usize,
    trickling: usize,
    seconds: u64,
    requests: usize,
}

const FULL: Crowd = Crowd {
    idle: 10_000,
    slow_readers: 100,
    deaf_listeners: 50,
    half_closed: 100,
    trickling: 100,
    seconds: 20,
    requests: 100_000,
};

const QUICK: Crowd = Crowd { idle: 500, seconds: 3, requests: 10_000, ..FULL };

/// A value that fills the socket's buffers many times over, and what may wait for a client.
const VALUE_BYTES: usize = 4 << 20;
const LIMIT: &str = "normal 16mb 0 0 pubsub 8mb 2mb 5";

/// Nobody waits longer for a crowd to come or to go.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let (crowd, rounds) = if is_quick { (QUICK, 1) } else { (FULL, 3) };
    title();
    let servers = [process::ferrite(), "redis-server".into()];
    let measured: Vec<[Figures; 2]> =
        (0..rounds).map(|_| servers.each_ref().map(|program| measure(program, &crowd))).collect();
    let mut rows = Vec::new();
    for (at, (case, metric)) in NAMES.iter().enumerate() {
        let pairs: Vec<(f64, f64)> =
            measured.iter().map(|[ferrite, peer]| (ferrite[at], peer[at])).collect();
        rows.push(row(case, metric, "redis-server", &pairs));
    }
    save(&arguments, &rows);
}

const NAMES: [(&str, &str); 11] = [
    ("soak before GET", "p99_us"),
    ("soak before SET", "p99_us"),
    ("soak during GET", "p99_us"),
    ("soak during SET", "p99_us"),
    ("soak after GET", "p99_us"),
    ("soak after SET", "p99_us"),
    ("soak before", "rss_bytes"),
    ("soak during", "rss_bytes"),
    ("soak after", "rss_bytes"),
    ("soak during", "buffer_bytes"),
    ("soak after", "clients"),
];

type Figures = [f64; NAMES.len()];

fn measure(program: &str, crowd: &Crowd) -> Figures {
    let options = ["--save", "", "--maxclients", "15000", "--client-output-buffer-limit", LIMIT];
    let server = Process::start(program, "0", &options);
    let mut control = server.connect();
    ask(&mut control, &["SET", "big", &"x".repeat(VALUE_BYTES)]);
    let normal = |server: &Process| {
        ["get", "set"].map(|command| {
            let words = ["-r", "100000", "-t", command];
            process::bear("127.0.0.1", server.port, 1, crowd.requests, &words).percentile_us(99.0)
        })
    };
    let resident = || process::resident_bytes(server.id());
    let [get_before, set_before] = normal(&server);
    let before = resident();
    let pest = Pest::begin(server.port, crowd, &mut control);
    let started = Instant::now();
    let mut during = Vec::new();
    while during.is_empty() || started.elapsed() < Duration::from_secs(crowd.seconds) {
        during.push(normal(&server));
    }
    let (rss_during, buffers) = (resident(), waiting_bytes(&mut control));
    pest.end();
    await_clients(&mut control, 1.0);
    let left = figure(&mut control, "clients", "connected_clients");
    let [get_after, set_after] = normal(&server);
    let worst = |at: usize| during.iter().map(|pair| pair[at]).fold(0.0, f64::max);
    [
        get_before,
        set_before,
        worst(0),
        worst(1),
        get_after,
        set_after,
        before,
        rss_during,
        resident(),
        buffers,
        left,
    ]
}

/// What waits in the server to be sent or to be run, of all clients.
fn waiting_bytes(control: &mut redis::Connection) -> f64 {
    let redis::Value::VerbatimString { text, .. } = ask(control, &["CLIENT", "LIST"]) else {
        let list: String =
            redis::cmd("CLIENT").arg("LIST").query(control).expect("CLIENT LIST answers a text");
        return sum_of_waiting(&list);
    };
    sum_of_waiting(&text)
}

fn sum_of_waiting(list: &str) -> f64 {
    let words = list.split_ascii_whitespace();
    let numbers = words.filter_map(|word| {
        let bytes = word.strip_prefix("omem=").or_else(|| word.strip_prefix("qbuf="))?;
        bytes.parse::<f64>().ok()
    });
    numbers.sum()
}

fn await_clients(control: &mut redis::Connection, most: f64) {
    let started = Instant::now();
    while figure(control, "clients", "connected_clients") > most {
        assert!(started.elapsed() < PATIENCE, "clients that have gone are still counted");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Everyone who misbehaves.
struct Pest {
    connections: Vec<TcpStream>,
    is_over: Arc<AtomicBool>,
    trickle: JoinHandle<()>,
}

impl Pest {
    fn begin(port: u16, crowd: &Crowd, control: &mut redis::Connection) -> Pest {
        let connect = || TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        let send = |mut stream: TcpStream, bytes: &[u8]| {
            stream.write_all(bytes).expect("the server takes what is sent");
            stream
        };
        let mut connections: Vec<TcpStream> = (0..crowd.idle).map(|_| connect()).collect();
        // Three replies are within the limit, a fourth is not.
        let much = b"GET big\r\nGET big\r\nGET big\r\n";
        connections.extend((0..crowd.slow_readers).map(|_| send(connect(), much)));
        let listen = b"SUBSCRIBE noise\r\n";
        connections.extend((0..crowd.deaf_listeners).map(|_| send(connect(), listen)));
        let half = b"*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$1000000\r\nabc";
        connections.extend((0..crowd.half_closed).map(|_| {
            let stream = send(connect(), half);
            stream.shutdown(Shutdown::Write).expect("a socket");
            stream
        }));
        // Until those who listen and do not read are dropped.
        let noise = "n".repeat(1 << 20);
        for _ in 0..16 {
            ask(control, &["PUBLISH", "noise", &noise]);
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let mut trickling: Vec<TcpStream> = (0..crowd.trickling).map(|_| connect()).collect();
        let end = Arc::clone(&is_over);
        let trickle = thread::spawn(move || {
            let request = b"*2\r\n$3\r\nGET\r\n$300\r\n";
            for byte in request.iter().chain(std::iter::repeat(&b'k')) {
                if end.load(Relaxed) {
                    break;
                }
                for stream in &mut trickling {
                    // One that was dropped is no trouble any more.
                    let _ = stream.write_all(&[*byte]);
                }
                thread::sleep(Duration::from_secs(1));
            }
        });
        Pest { connections, is_over, trickle }
    }

    fn end(self) {
        self.is_over.store(true, Relaxed);
        self.trickle.join().expect("the thread that trickles");
        drop(self.connections);
    }
}
