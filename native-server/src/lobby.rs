//! While a server loads what is on its disk, everybody who connects is told so.
//!
//! Every request is answered with Redis's `-LOADING`, which clients and health checks know how to
//! take; but only where loading takes a while, and else they wait for it. Whoever is not in the
//! middle of a request when all is loaded stays connected, and is served from then on.
//!
//! Invariant: nothing that is said here has any effect; so no password is asked for.
//! Invariant: so many connections at most, and so many bytes of a request; others wait to be
//! accepted, or are closed.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, watch};
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::io_thread;
use crate::limits::{LOBBY_CONNECTIONS_MAX, LOBBY_FAREWELL, LOBBY_GRACE, LOBBY_INPUT_BYTES_MAX};
use crate::resp::parser::{Allowed, Parsed, Parser};
use crate::socket::{StdListener, Stream, Visitor};

const LOADING: &[u8] = b"-LOADING Redis is loading the dataset in memory\r\n";

/// See the module.
pub struct Lobby {
    end: watch::Sender<bool>,
    thread: JoinHandle<io::Result<Vec<Visitor>>>,
}

impl Lobby {
    /// Answers those who connect, on a thread of its own.
    ///
    /// # Errors
    /// The system has none left.
    pub fn open<'l>(listeners: impl Iterator<Item = &'l StdListener>) -> io::Result<Lobby> {
        let listeners: io::Result<Vec<StdListener>> =
            listeners.map(StdListener::try_clone).collect();
        let (listeners, end) = (listeners?, watch::Sender::new(false));
        let ended = end.subscribe();
        let thread = std::thread::Builder::new().name("ferrite-lobby".into());
        let thread = thread.spawn(move || run(listeners, ended))?;
        Ok(Lobby { end, thread })
    }

    /// All is loaded: who is still connected, and in the middle of nothing.
    pub fn close(self) -> Vec<Visitor> {
        self.end.send_replace(true);
        // Without the lobby people merely waited longer.
        self.thread.join().ok().and_then(Result::ok).unwrap_or_default()
    }
}

fn run(listeners: Vec<StdListener>, ended: watch::Receiver<bool>) -> io::Result<Vec<Visitor>> {
    let runtime = io_thread::runtime()?;
    let (places, staying) = (Arc::new(Semaphore::new(LOBBY_CONNECTIONS_MAX)), Rc::default());
    let local = LocalSet::new();
    for listener in listeners {
        let accepting = accept(listener, ended.clone(), Arc::clone(&places), Rc::clone(&staying));
        local.spawn_local(accepting);
    }
    runtime.block_on(local);
    Ok(staying.take())
}

async fn accept(
    listener: StdListener,
    mut ended: watch::Receiver<bool>,
    places: Arc<Semaphore>,
    staying: Rc<RefCell<Vec<Visitor>>>,
) -> io::Result<()> {
    let listener = listener.into_listener()?;
    tokio::select! {
        _ = ended.wait_for(|is_over| *is_over) => return Ok(()),
        () = tokio::time::sleep(LOBBY_GRACE) => {}
    }
    loop {
        let next = async {
            // It is closed by nobody.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            poll_fn(|task| listener.poll_accept(task)).await.map(|stream| (stream, place))
        };
        let (stream, place) = tokio::select! {
            _ = ended.wait_for(|is_over| *is_over) => return Ok(()),
            accepted = next => accepted?,
        };
        let (ended, staying) = (ended.clone(), Rc::clone(&staying));
        tokio::task::spawn_local(async move {
            // Whoever cannot be answered has gone.
            if let Ok(Some(stream)) = Guest::new(stream).stay(ended).await {
                staying.borrow_mut().push(stream);
            }
            drop(place);
        });
    }
}

/// Somebody who is connected.
struct Guest {
    stream: Stream,
    parser: Parser,
    /// A request that is not complete.
    input: Vec<u8>,
    /// Answers that were not sent yet.
    output: Vec<u8>,
    is_closing: bool,
}

impl Guest {
    fn new(stream: Stream) -> Guest {
        let parser = Parser::default();
        Guest { stream, parser, input: Vec::new(), output: Vec::new(), is_closing: false }
    }

    /// Answers until the lobby closes. The connection, if it is in the middle of nothing then.
    async fn stay(mut self, mut ended: watch::Receiver<bool>) -> io::Result<Option<Visitor>> {
        while !self.is_closing || !self.output.is_empty() {
            tokio::select! {
                _ = ended.wait_for(|is_over| *is_over) => {
                    let telling = timeout(LOBBY_FAREWELL, self.stream.write_all(&self.output));
                    let is_told = telling.await.is_ok_and(|told| told.is_ok());
                    let is_idle = is_told && self.input.is_empty() && !self.is_closing;
                    return if is_idle { self.stream.into_visitor().map(Some) } else { Ok(None) };
                }
                outcome = self.step() => outcome?,
            }
        }
        Ok(None)
    }

    /// Sends some of what is to be sent, or reads more requests. Nothing is lost if it is broken
    /// off.
    async fn step(&mut self) -> io::Result<()> {
        if !self.output.is_empty() {
            let sent = self.stream.write(&self.output).await?;
            self.output.drain(..sent);
            return Ok(());
        }
        let count = self.stream.read_buf(&mut self.input).await?;
        self.answer();
        self.is_closing |= count == 0 || self.input.len() > LOBBY_INPUT_BYTES_MAX;
        Ok(())
    }

    fn answer(&mut self) {
        let allowed = Allowed { bulk_bytes_max: LOBBY_INPUT_BYTES_MAX, is_stranger: false };
        let mut consumed = 0;
        while let Some(rest) = self.input.get(consumed..).filter(|rest| !rest.is_empty()) {
            match self.parser.read(rest, &allowed) {
                Ok(Parsed::Incomplete(_)) => break,
                Ok(Parsed::Request(len)) => {
                    let mut arguments = Vec::new();
                    self.parser.arguments(rest, &mut arguments);
                    if !arguments.is_empty() {
                        self.output.extend_from_slice(LOADING);
                    }
                    consumed += len;
                }
                Err(malformed) => {
                    self.output.extend_from_slice(format!("-ERR {malformed}\r\n").as_bytes());
                    self.is_closing = true;
                    break;
                }
            }
        }
        self.input.drain(..consumed);
    }
}
