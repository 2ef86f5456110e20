//! Sockets of TCP, those that are a file, and encrypted ones: what they have in common.
//!
//! Invariant: only this file and entrance.rs, which opens them, ask which of them one is. A stream
//! is matched on: to read and to write what is not encrypted stays one call of the system each.

use std::io::{self, Read, Write};
use std::net::{TcpListener as StdTcpListener, TcpStream as StdTcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, ready};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::config::Config;
use crate::tls::{Certificates, Secure};

/// Something of TCP, or the same of a socket that is a file, or of one that is encrypted.
pub enum Socket<T, U, S> {
    /// Of TCP.
    Tcp(T),
    /// Of a file.
    Unix(U),
    /// Encrypted, over TCP.
    Tls(S),
}

use Socket::{Tcp, Tls, Unix};

/// What a visitor is told that the protected mode keeps out.
pub const PROTECTED: &str = "\
     -DENIED Ferrite is running in protected mode because no password is set. In this mode \
     connections are only accepted from the loopback interface. To connect from elsewhere set a \
     password with 'requirepass', or, if nobody else can reach this server, turn the mode off from \
     this machine with CONFIG SET protected-mode no.\r\n";

/// A connection on its way to the thread that will serve it.
pub type Visitor = Socket<StdTcpStream, StdUnixStream, Box<Secure<StdTcpStream>>>;

/// A connection that a thread serves.
pub type Stream = Socket<TcpStream, UnixStream, Box<Secure<TcpStream>>>;

/// Where connections come in, before somebody accepts them.
pub type StdListener = Socket<StdTcpListener, StdUnixListener, (StdTcpListener, Arc<Certificates>)>;

/// The same for who accepts them.
pub type Listener = Socket<TcpListener, UnixListener, (TcpListener, Arc<Certificates>)>;

/// How a client is called, and where it came in.
pub struct Names {
    /// The client's address.
    pub address: String,
    /// The address it connected to.
    pub local_address: String,
    /// Whether it is on this machine.
    pub is_local: bool,
}

impl Visitor {
    /// Its socket, if that is not a file.
    fn tcp(&self) -> Option<&StdTcpStream> {
        match self {
            Tcp(stream) => Some(stream),
            Tls(secure) => Some(secure.stream()),
            Unix(_) => None,
        }
    }

    /// What CLIENT LIST shows of it. As in Redis both addresses are the file's, where it is one.
    ///
    /// # Errors
    /// It has gone.
    pub fn names(&self, config: &Config) -> io::Result<Names> {
        Ok(match self.tcp() {
            Some(stream) => {
                let address = stream.peer_addr()?;
                Names {
                    address: address.to_string(),
                    local_address: stream.local_addr()?.to_string(),
                    is_local: address.ip().to_canonical().is_loopback(),
                }
            }
            None => {
                let address = format!("{}:0", config.unixsocket);
                Names { local_address: address.clone(), address, is_local: true }
            }
        })
    }

    /// Sets what every socket needs.
    ///
    /// # Errors
    /// The system's.
    pub fn prepare(&self, config: &Config) -> io::Result<()> {
        let stream = match self {
            Unix(stream) => return stream.set_nonblocking(true),
            Tcp(stream) => stream,
            Tls(secure) => secure.stream(),
        };
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        if let Ok(seconds @ 1..) = u64::try_from(config.tcp_keepalive_s) {
            let idle = Duration::from_secs(seconds);
            let interval = Duration::from_secs((seconds / 3).max(1));
            let keepalive = TcpKeepalive::new().with_time(idle).with_interval(interval);
            SockRef::from(stream).set_tcp_keepalive(&keepalive.with_retries(3))?;
        }
        Ok(())
    }

    /// Sends something. How much of it the system took: nothing where both sides have not agreed
    /// yet how to encrypt it.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Tcp(stream) => (&mut &*stream).write(bytes),
            Unix(stream) => (&mut &*stream).write(bytes),
            Tls(_) => Ok(0),
        }
    }

    /// Whether its socket is a file.
    pub fn is_file(&self) -> bool {
        matches!(self, Unix(_))
    }

    /// The number of its socket.
    pub fn descriptor(&self) -> RawFd {
        match self {
            Tcp(stream) => stream.as_raw_fd(),
            Unix(stream) => stream.as_raw_fd(),
            Tls(secure) => secure.stream().as_raw_fd(),
        }
    }

    /// Gives it to the event loop of this thread.
    ///
    /// # Errors
    /// The system's.
    pub fn into_stream(self) -> io::Result<Stream> {
        Ok(match self {
            Tcp(stream) => Tcp(TcpStream::from_std(stream)?),
            Unix(stream) => Unix(UnixStream::from_std(stream)?),
            Tls(secure) => Tls(secure.map(TcpStream::from_std)?),
        })
    }
}

impl Stream {
    /// Sends what the system takes at once, whatever the event loop knows of that.
    ///
    /// # Errors
    /// The system's.
    pub fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Tcp(stream) => (&mut &*SockRef::from(stream)).write(bytes),
            Unix(stream) => (&mut &*SockRef::from(stream)).write(bytes),
            Tls(secure) => secure.write(bytes, true),
        }
    }

    /// Reads what is there, whatever the event loop knows of it.
    ///
    /// # Errors
    /// The system's.
    pub fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Tcp(stream) => (&mut &*SockRef::from(stream)).read(buffer),
            Unix(stream) => (&mut &*SockRef::from(stream)).read(buffer),
            Tls(secure) => secure.read(buffer, true),
        }
    }

    /// Takes it from the event loop.
    ///
    /// # Errors
    /// The system's.
    pub fn into_visitor(self) -> io::Result<Visitor> {
        Ok(match self {
            Tcp(stream) => Tcp(stream.into_std()?),
            Unix(stream) => Unix(stream.into_std()?),
            Tls(secure) => Tls(secure.map(TcpStream::into_std)?),
        })
    }

    /// Sends something, as much of it as the system takes at once.
    ///
    /// # Errors
    /// The system's.
    #[inline]
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Tcp(stream) => stream.try_write(bytes),
            Unix(stream) => stream.try_write(bytes),
            Tls(secure) => secure.write(bytes, false),
        }
    }

    /// Sends what was taken and kept back, which only encrypted ones do. Ready when there is
    /// nothing left.
    #[inline]
    pub fn poll_push(&self, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        match self {
            Tcp(_) | Unix(_) => Poll::Ready(Ok(())),
            Tls(secure) => secure.poll_push(task),
        }
    }

    /// Before it is closed: says so, where the other side is to know that nothing is missing.
    pub fn say_goodbye(&self) {
        if let Tls(secure) = self {
            secure.say_goodbye();
        }
    }
}

impl AsyncRead for Stream {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Task<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Tcp(stream) => Pin::new(stream).poll_read(task, buffer),
            Unix(stream) => Pin::new(stream).poll_read(task, buffer),
            Tls(secure) => secure.poll_read(task, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        task: &mut Task<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Tcp(stream) => Pin::new(stream).poll_write(task, bytes),
            Unix(stream) => Pin::new(stream).poll_write(task, bytes),
            Tls(secure) => secure.poll_write(task, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        self.poll_push(task)
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Tcp(stream) => Pin::new(stream).poll_shutdown(task),
            Unix(stream) => Pin::new(stream).poll_shutdown(task),
            Tls(secure) => {
                secure.say_goodbye();
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl StdListener {
    /// Another of the same socket.
    ///
    /// # Errors
    /// The system's.
    pub fn try_clone(&self) -> io::Result<StdListener> {
        Ok(match self {
            Tcp(listener) => Tcp(listener.try_clone()?),
            Unix(listener) => Unix(listener.try_clone()?),
            Tls((listener, certificates)) => Tls((listener.try_clone()?, Arc::clone(certificates))),
        })
    }

    /// Gives it to the event loop of this thread.
    ///
    /// # Errors
    /// The system's.
    pub fn into_listener(self) -> io::Result<Listener> {
        Ok(match self {
            Tcp(listener) => Tcp(TcpListener::from_std(listener)?),
            Unix(listener) => Unix(UnixListener::from_std(listener)?),
            Tls((listener, certificates)) => Tls((TcpListener::from_std(listener)?, certificates)),
        })
    }
}

impl Listener {
    /// The next one who connects.
    pub fn poll_accept(&self, task: &mut Task<'_>) -> Poll<io::Result<Stream>> {
        Poll::Ready(match self {
            Tcp(listener) => ready!(listener.poll_accept(task)).map(|(stream, _)| Tcp(stream)),
            Unix(listener) => ready!(listener.poll_accept(task)).map(|(stream, _)| Unix(stream)),
            Tls((listener, certificates)) => ready!(listener.poll_accept(task))
                .and_then(|(stream, _)| Secure::new(stream, certificates).map(Tls)),
        })
    }
}
