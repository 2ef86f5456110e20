//! TLS: the certificates that the server shows, and connections that are encrypted.
//!
//! Invariant: what a caller was told is written is with the session, and leaves before anything
//! that is written later. What the session could not send is sent by `poll_push`, which
//! whoever has nothing more to write calls until nothing is left.
//! Not here: which sockets are encrypted (entrance.rs).

use std::cell::RefCell;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as Task, Poll, ready};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};
use socket2::SockRef;
use thiserror::Error;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;

use crate::config::Config;
use crate::limits::{TLS_OUTPUT_BYTES_MAX, TLS_RECORD_BYTES_MAX, TLS_SESSIONS_MAX};

/// Why there can be no TLS.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A setting is needed.
    #[error("'tls-port' needs '{0}'")]
    Missing(&'static str),
    /// A file cannot be read, or has something else in it.
    #[error("'{setting}' {file}: {why}")]
    File {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// No version of the protocol that is known.
    #[error("'tls-protocols': '{0}' is none of TLSv1.2 and TLSv1.3")]
    Protocol(String),
    /// They do not go together.
    #[error("'tls-cert-file' and 'tls-key-file': {0}")]
    Unusable(rustls::Error),
}

/// What the server shows to who connects, which may change while it runs.
#[derive(Default)]
pub struct Certificates(Mutex<Option<Arc<ServerConfig>>>);

impl Certificates {
    /// Reads what a configuration names, if it wants TLS at all. Connections that are open stay as
    /// they are.
    ///
    /// # Errors
    /// Why that cannot be used. All is as it was then.
    pub fn load(&self, config: &Config) -> Result<(), TlsError> {
        let new = match config.tls.port {
            0 => None,
            _ => Some(Arc::new(server_config(config)?)),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    fn session(&self) -> io::Result<ServerConnection> {
        let current = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let config = current.ok_or_else(|| io::Error::other("there is no certificate"))?;
        let mut session = ServerConnection::new(config).map_err(io::Error::other)?;
        session.set_buffer_limit(Some(TLS_OUTPUT_BYTES_MAX));
        Ok(session)
    }
}

fn server_config(config: &Config) -> Result<ServerConfig, TlsError> {
    let named = |setting: &'static str, file: &str| match file.is_empty() {
        true => Err(TlsError::Missing(setting)),
        false => Ok(Path::new(&config.dir).join(file)),
    };
    let chain = certificates("tls-cert-file", &named("tls-cert-file", &config.tls.cert_file)?)?;
    let key_file = named("tls-key-file", &config.tls.key_file)?;
    let key = PrivateKeyDer::from_pem_file(&key_file)
        .map_err(|why| file_fault("tls-key-file", &key_file, &why))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(&config.tls.protocols)?)
        .map_err(TlsError::Unusable)?;
    let builder = if config.tls.auth_clients == "no" {
        builder.with_no_client_auth()
    } else {
        let verifier = WebPkiClientVerifier::builder_with_provider(roots(config)?, provider);
        let verifier = match config.tls.auth_clients.as_str() {
            "optional" => verifier.allow_unauthenticated(),
            _ => verifier,
        };
        let file = config.tls.ca_cert_file.clone();
        let verifier = verifier.build().map_err(|why| TlsError::File {
            setting: "tls-ca-cert-file",
            file,
            why: why.to_string(),
        })?;
        builder.with_client_cert_verifier(verifier)
    };
    let mut built = builder.with_single_cert(chain, key).map_err(TlsError::Unusable)?;
    built.session_storage = ServerSessionMemoryCache::new(TLS_SESSIONS_MAX);
    Ok(built)
}

/// Who may sign what clients show.
fn roots(config: &Config) -> Result<Arc<RootCertStore>, TlsError> {
    let mut files = Vec::new();
    if !config.tls.ca_cert_file.is_empty() {
        files.push(("tls-ca-cert-file", Path::new(&config.dir).join(&config.tls.ca_cert_file)));
    }
    if !config.tls.ca_cert_dir.is_empty() {
        let directory = Path::new(&config.dir).join(&config.tls.ca_cert_dir);
        let fault = |why: io::Error| file_fault("tls-ca-cert-dir", &directory, &why);
        for entry in fs::read_dir(&directory).map_err(fault)? {
            let path = entry.map_err(fault)?.path();
            if path.is_file() {
                files.push(("tls-ca-cert-dir", path));
            }
        }
    }
    if files.is_empty() {
        return Err(TlsError::Missing("tls-ca-cert-file' or 'tls-auth-clients no"));
    }
    let mut roots = RootCertStore::empty();
    for (setting, file) in files {
        for certificate in certificates(setting, &file)? {
            roots.add(certificate).map_err(|why| file_fault(setting, &file, &why))?;
        }
    }
    Ok(Arc::new(roots))
}

fn certificates(
    setting: &'static str,
    file: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|why| file_fault(setting, file, &why))?;
    match found.is_empty() {
        true => Err(file_fault(setting, file, &"there is no certificate in it")),
        false => Ok(found),
    }
}

fn file_fault(setting: &'static str, file: &Path, why: &dyn std::fmt::Display) -> TlsError {
    TlsError::File { setting, file: file.display().to_string(), why: why.to_string() }
}

fn versions(protocols: &str) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let version = |word: &str| match word.to_ascii_lowercase().as_str() {
        "tlsv1.2" => Ok(&TLS12),
        "tlsv1.3" => Ok(&TLS13),
        _ => Err(TlsError::Protocol(word.into())),
    };
    match protocols.trim().is_empty() {
        true => Ok(vec![&TLS13, &TLS12]),
        false => protocols.split_ascii_whitespace().map(version).collect(),
    }
}

/// An encrypted connection.
pub struct Secure<T> {
    stream: T,
    session: RefCell<ServerConnection>,
}

impl<T> Secure<T> {
    /// One that was just accepted.
    ///
    /// # Errors
    /// There is no certificate any more.
    pub fn new(stream: T, certificates: &Certificates) -> io::Result<Box<Secure<T>>> {
        let session = RefCell::new(certificates.session()?);
        Ok(Box::new(Secure { stream, session }))
    }

    /// The socket.
    pub fn stream(&self) -> &T {
        &self.stream
    }

    /// The same of another kind of socket.
    ///
    /// # Errors
    /// Those of the change.
    pub fn map<U>(self, change: impl FnOnce(T) -> io::Result<U>) -> io::Result<Box<Secure<U>>> {
        Ok(Box::new(Secure { stream: change(self.stream)?, session: self.session }))
    }
}

/// The socket below a session.
struct Below<'s> {
    stream: &'s TcpStream,
    /// Whether the system is asked whatever the event loop knows.
    is_now: bool,
}

impl Read for Below<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.is_now {
            true => (&*SockRef::from(self.stream)).read(buffer),
            false => self.stream.try_read(buffer),
        }
    }
}

impl Write for Below<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.is_now {
            true => (&*SockRef::from(self.stream)).write(bytes),
            false => self.stream.try_write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Secure<TcpStream> {
    fn below(&self, is_now: bool) -> Below<'_> {
        Below { stream: &self.stream, is_now }
    }

    /// Reads what there is. Zero at the end.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing yet; what is wrong with the connection.
    pub fn read(&self, buffer: &mut [u8], is_now: bool) -> io::Result<usize> {
        let mut below = self.below(is_now);
        let mut session = self.session.borrow_mut();
        loop {
            match session.reader().read(buffer) {
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return outcome,
            }
            // Where the socket takes nothing of a handshake now, `push` is called again.
            push(&mut session, &mut below).or_else(unless_blocked)?;
            if session.read_tls(&mut below)? == 0 {
                return Ok(0);
            }
            if let Err(why) = session.process_new_packets() {
                // The other side is told what was wrong, if it still listens.
                let _ = push(&mut session, &mut below);
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
        }
    }

    /// Sends something, as much of it as goes.
    ///
    /// # Errors
    /// `WouldBlock` if nothing goes; what is wrong with the connection.
    pub fn write(&self, bytes: &[u8], is_now: bool) -> io::Result<usize> {
        let mut below = self.below(is_now);
        let mut session = self.session.borrow_mut();
        push(&mut session, &mut below)?;
        if session.is_handshaking() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = session.writer().write(bytes)?;
        push(&mut session, &mut below).or_else(unless_blocked)?;
        Ok(count)
    }

    /// Sends what the session has kept back. Ready when there is nothing left.
    pub fn poll_push(&self, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        loop {
            match push(&mut self.session.borrow_mut(), &mut self.below(false)) {
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
            ready!(self.stream.poll_write_ready(task))?;
        }
    }

    /// See [`read`](Self::read).
    pub fn poll_read(&self, task: &mut Task<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            // No more than comes at once: it has to be zeroed first.
            let len = buffer.remaining().min(TLS_RECORD_BYTES_MAX);
            match self.read(buffer.initialize_unfilled_to(len), false) {
                Ok(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                Err(why) => return Poll::Ready(Err(why)),
            }
            if self.session.borrow().wants_write()
                && let Poll::Ready(Err(why)) = self.poll_push(task)
            {
                return Poll::Ready(Err(why));
            }
            ready!(self.stream.poll_read_ready(task))?;
        }
    }

    /// See [`write`](Self::write).
    pub fn poll_write(&self, task: &mut Task<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.write(bytes, false) {
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
            if self.session.borrow().is_handshaking() && !self.session.borrow().wants_write() {
                // It goes on when the other side has said something, which wakes who reads.
                return Poll::Pending;
            }
            ready!(self.stream.poll_write_ready(task))?;
        }
    }

    /// Tells the other side that nothing comes any more, as far as it listens.
    pub fn say_goodbye(&self) {
        let mut session = self.session.borrow_mut();
        session.send_close_notify();
        let _ = push(&mut session, &mut self.below(true));
    }
}

fn push(session: &mut ServerConnection, below: &mut Below<'_>) -> io::Result<()> {
    while session.wants_write() {
        if session.write_tls(below)? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    Ok(())
}

fn unless_blocked(why: io::Error) -> io::Result<()> {
    match why.kind() {
        io::ErrorKind::WouldBlock => Ok(()),
        _ => Err(why),
    }
}
