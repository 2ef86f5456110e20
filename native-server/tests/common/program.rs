//! The program, as a process of its own: for what a server inside of a test cannot show.
//!
//! Invariant: no process outlives its test.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use super::{Connection, PATIENCE};

/// The program, without arguments.
pub fn ferrite() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ferrite"))
}

/// What comes of the program with these arguments and this input, and all that it says.
pub fn run<S: AsRef<OsStr>>(arguments: &[S], input: &[u8]) -> (Output, String) {
    let mut command = ferrite();
    command.args(arguments);
    finish(&mut command, input)
}

/// The same for a command.
pub fn finish(command: &mut Command, input: &[u8]) -> (Output, String) {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the program");
    // One that does not ask closes its end.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    let output = child.wait_with_output().expect("it ends");
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    (output, text)
}

/// A server that is ready, and is killed with the test if it runs then.
pub struct Program {
    process: Child,
    /// Where it is ready.
    pub place: String,
    /// What it said before.
    pub said: String,
}

impl Program {
    /// On a port of its own, with its files in a directory.
    pub fn start(directory: &Path, settings: &[&str]) -> Program {
        let mut command = ferrite();
        command.args(["--port", "0", "--bind", "127.0.0.1", "--dir"]).arg(directory);
        Program::begin(command.args(settings)).expect("a server that starts")
    }

    /// By a command; `None` if it ends before it is ready.
    pub fn begin(command: &mut Command) -> Option<Program> {
        let mut process = command.stdout(Stdio::piped()).spawn().ok()?;
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let mut said = String::new();
        let ready = lines.by_ref().map_while(Result::ok).find_map(|line| {
            said = format!("{said}{line}\n");
            line.split_once("ready on ").map(|(_, place)| place.to_string())
        });
        let Some(place) = ready else {
            process.wait().expect("a process that ends");
            return None;
        };
        // It may go on to say something.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Program { process, place, said })
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// A connection that understands replies.
    pub fn connect(&self) -> Connection {
        Connection::new(self.place.parse().expect("an address"))
    }

    /// A connection that is bytes.
    pub fn connect_raw(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.place).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.id().to_string()]).status();
        assert!(sent.expect("kill").success(), "a process that takes {signal}");
    }

    /// Waits for its end.
    pub fn wait(mut self) -> ExitStatus {
        self.process.wait().expect("a process that ends")
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.process.kill().expect("a process that runs");
        self.process.wait().expect("a process that ends");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
