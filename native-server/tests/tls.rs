//! Connections that are encrypted: with clients of both versions of the protocol, with and without
//! certificates of their own, and with certificates that change while the server works.

mod common;

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use common::{Connection, Raw, TestServer};
use ferrite_server::clock::Clock;
use ferrite_server::config::Config;
use ferrite_server::server::start;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, ConfigBuilder, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

/// A directory with an authority, and what it has signed: `ca.pem`, and for each name a
/// certificate and its key.
struct Papers {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Papers {
    fn new() -> Papers {
        let directory = tempfile::tempdir().expect("a directory");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Who signs and what is signed have different names, or OpenSSL takes them for one.
        params.distinguished_name.push(DnType::CommonName, "authority");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        fs::write(directory.path().join("ca.pem"), certificate.pem()).expect("a file");
        Papers { directory, issuer: Issuer::new(params, key) }
    }

    /// Signs a certificate for these addresses, and writes it down.
    fn sign(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(ToString::to_string).collect::<Vec<_>>();
        let params = CertificateParams::new(addresses).expect("parameters");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        fs::write(self.path(&format!("{name}.pem")), certificate.pem()).expect("a file");
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).expect("a file");
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().expect("a path").into()
    }

    fn chain(&self, name: &str) -> Vec<CertificateDer<'static>> {
        let file = CertificateDer::pem_file_iter(self.path(name)).expect("a file");
        file.map(|certificate| certificate.expect("a certificate")).collect()
    }

    /// How a client that trusts this authority is made.
    fn builder(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ConfigBuilder<ClientConfig, WantsClientCert> {
        let mut roots = RootCertStore::empty();
        self.chain("ca.pem").into_iter().for_each(|it| roots.add(it).expect("a root"));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots)
    }

    /// What a client needs that trusts this authority. `shown` is what it shows of itself.
    fn client(&self, shown: Option<(&Papers, &str)>) -> ClientConfig {
        let builder = self.builder(&[&TLS12, &TLS13]);
        let Some((papers, name)) = shown else { return builder.with_no_client_auth() };
        let key = PrivateKeyDer::from_pem_file(papers.path(&format!("{name}.key")));
        let chain = papers.chain(&format!("{name}.pem"));
        builder.with_client_auth_cert(chain, key.expect("a key")).expect("a certificate")
    }

    /// The settings of a server that shows the certificate `server`.
    fn settings(&self, config: &mut Config, address: SocketAddr) {
        config.bind = address.ip().to_string();
        // One that is not encrypted as well, at the same address.
        let listener = TcpListener::bind(SocketAddr::new(address.ip(), 0)).expect("a port");
        config.port = listener.local_addr().expect("an address").port().into();
        config.tls.port = address.port().into();
        config.tls.cert_file = self.path("server.pem");
        config.tls.key_file = self.path("server.key");
        config.tls.ca_cert_file = self.path("ca.pem");
        config.tls.auth_clients = "no".into();
    }
}

/// An address that only one test uses, with a port that nobody has.
fn free(test: u8) -> SocketAddr {
    let listener = TcpListener::bind(SocketAddr::from(([127, 78, test, 1], 0))).expect("a port");
    listener.local_addr().expect("an address")
}

struct Client(BufReader<StreamOwned<ClientConnection, TcpStream>>);

impl Client {
    fn new(address: SocketAddr, config: ClientConfig) -> io::Result<Client> {
        let name = ServerName::IpAddress(address.ip().into());
        let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut client = Client(BufReader::new(StreamOwned::new(session, stream)));
        // In version 1.3 only the first answer tells that the server has accepted us.
        match client.ask("PING")?.as_str() {
            "+PONG" => Ok(client),
            other => Err(io::Error::other(other.to_string())),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)?;
        self.0.get_mut().flush()
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        Ok(line.trim_end().into())
    }

    fn ask(&mut self, request: &str) -> io::Result<String> {
        self.send(format!("{request}\r\n").as_bytes())?;
        self.line()
    }

    fn certificate(&self) -> CertificateDer<'static> {
        let chain = self.0.get_ref().conn.peer_certificates().expect("a certificate");
        chain[0].clone().into_owned()
    }
}

#[test]
fn values_of_any_size_go_through_both_versions_beside_a_port_that_is_not_encrypted() {
    let papers = Papers::new();
    let address = free(1);
    papers.sign("server", &["127.78.1.1"]);
    let server = TestServer::start(|config| papers.settings(config, address));
    for version in [&TLS12, &TLS13] {
        let config = papers.builder(&[version]).with_no_client_auth();
        let mut client = Client::new(address, config).expect("a connection");
        let value: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8 | 1).collect();
        let head = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n", value.len());
        client.send(&[head.as_bytes(), &value, b"\r\n"].concat()).expect("it takes all");
        assert_eq!(client.line().expect("a reply"), "+OK");
        // More replies than any buffer holds, of which none is read before all was asked.
        client.send(&b"GET k\r\n".repeat(5)).expect("it takes all");
        for _ in 0..5 {
            assert_eq!(client.line().expect("a reply"), format!("${}", value.len()));
            let mut got = vec![0; value.len() + 2];
            client.0.read_exact(&mut got).expect("the value");
            assert!(got[..value.len()] == value);
        }
        assert_eq!(client.ask("STRLEN k").expect("a reply"), ":3000000");
    }
    assert_eq!(server.connect().ask("STRLEN k"), Raw::Integer(3_000_000));
}

#[test]
fn messages_come_unasked_and_a_connection_that_ends_says_so() {
    let papers = Papers::new();
    let address = free(2);
    papers.sign("server", &["127.78.2.1"]);
    let server = TestServer::start(|config| papers.settings(config, address));
    let mut client = Client::new(address, papers.client(None)).expect("a connection");
    assert_eq!(client.ask("SUBSCRIBE news").expect("a reply"), "*3");
    (0..5).for_each(|_| drop(client.line().expect("the rest")));
    assert_eq!(server.connect().ask("PUBLISH news hello"), Raw::Integer(1));
    let message: Vec<String> = (0..7).map(|_| client.line().expect("a line")).collect();
    assert_eq!(message, ["*3", "$7", "message", "$4", "news", "$5", "hello"]);
    let mut other = Client::new(address, papers.client(None)).expect("a connection");
    assert_eq!(other.ask("QUIT").expect("a reply"), "+OK");
    // Without a word the end would be an error: something could be missing.
    assert_eq!(other.0.read(&mut [0; 1]).expect("an end"), 0);
    assert_eq!(server.connect().ask("CLIENT KILL TYPE pubsub"), Raw::Integer(1));
    assert_eq!(client.0.read(&mut [0; 1]).expect("an end"), 0);
}

#[test]
fn who_is_to_show_a_certificate_and_has_none_is_refused() {
    let papers = Papers::new();
    let strangers = Papers::new();
    let address = free(3);
    papers.sign("server", &["127.78.3.1"]);
    papers.sign("client", &["somebody"]);
    strangers.sign("client", &["somebody"]);
    let server = TestServer::start(|config| {
        papers.settings(config, address);
        config.tls.auth_clients = "yes".into();
    });
    let connects = |config: ClientConfig| Client::new(address, config).is_ok();
    let of_strangers = || papers.client(Some((&strangers, "client")));
    assert!(connects(papers.client(Some((&papers, "client")))));
    assert!(!connects(papers.client(None)));
    assert!(!connects(of_strangers()));
    let mut plain = server.connect();
    let mut set = |value: &str| {
        assert_eq!(plain.ask(&format!("CONFIG SET tls-auth-clients {value}")).text(), "OK");
    };
    set("optional");
    assert!(connects(papers.client(None)));
    assert!(!connects(of_strangers()));
    set("no");
    assert!(connects(papers.client(None)));
    // Who trusts another authority does not take this server for whom it looks for.
    assert!(!connects(strangers.client(None)));
}

#[test]
fn whoever_speaks_no_tls_is_turned_away_and_nobody_else() {
    let papers = Papers::new();
    let address = free(4);
    papers.sign("server", &["127.78.4.1"]);
    let _server = TestServer::start(|config| papers.settings(config, address));
    let mut client = Client::new(address, papers.client(None)).expect("a connection");
    let mut plain = Connection::new(address);
    plain.send_bytes(b"PING\r\n");
    let mut answer = Vec::new();
    let outcome = plain.stream.read_to_end(&mut answer);
    assert!(!answer.windows(4).any(|bytes| bytes == b"PONG"), "{outcome:?}");
    // In the middle of an introduction, and gone.
    Connection::new(address).send_bytes(b"\x16\x03\x01\x02\x00\x01");
    assert_eq!(client.ask("PING").expect("a reply"), "+PONG");
    assert_eq!(client.ask("INFO clients").expect("a reply").chars().next(), Some('$'));
}

#[test]
fn certificates_and_ports_change_while_the_server_works() {
    let papers = Papers::new();
    let (address, other) = (free(5), free(5));
    papers.sign("server", &["127.78.5.1"]);
    papers.sign("next", &["127.78.5.1"]);
    let server = TestServer::start(|config| papers.settings(config, address));
    let mut plain = server.connect();
    let mut set = |words: &[&str]| plain.ask_words(&[&["CONFIG", "SET"], words].concat()).text();
    let mut early = Client::new(address, papers.client(None)).expect("a connection");
    let first = early.certificate();
    let (certificate, key) = (papers.path("next.pem"), papers.path("next.key"));
    assert_eq!(set(&["tls-cert-file", &certificate, "tls-key-file", &key]), "OK");
    let mut late = Client::new(address, papers.client(None)).expect("a connection");
    assert!(late.certificate() != first, "another certificate");
    assert_eq!(early.ask("PING").expect("a reply"), "+PONG");
    // One without its key cannot be used; nothing has changed then.
    let refused = set(&["tls-cert-file", &papers.path("server.pem")]);
    assert_eq!(
        refused,
        "ERR CONFIG SET failed (possibly related to argument 'tls-cert-file') - Unable to update \
         TLS configuration. Check server logs."
    );
    let again = Client::new(address, papers.client(None)).expect("a connection");
    assert!(again.certificate() == late.certificate());
    let port = other.port().to_string();
    assert_eq!(set(&["tls-port", &port]), "OK");
    Client::new(other, papers.client(None)).expect("a connection");
    assert!(TcpStream::connect(address).is_err(), "the old port is closed");
    assert_eq!(set(&["tls-port", "0"]), "OK");
    assert!(TcpStream::connect(other).is_err(), "no port is open");
    assert_eq!(late.ask("PING").expect("a reply"), "+PONG");
    // The port of the one may become that of the other.
    assert_eq!(set(&["port", "0", "tls-port", &port]), "OK");
    Client::new(other, papers.client(None)).expect("a connection");
    assert_eq!(late.ask(&format!("CONFIG SET tls-port 0 port {port}")).expect("a reply"), "+OK");
    assert_eq!(Connection::new(other).ask("PING").text(), "PONG");
}

#[test]
fn what_cannot_be_used_stops_the_start_and_is_named() {
    let papers = Papers::new();
    let address = free(6);
    papers.sign("server", &["127.78.6.1"]);
    papers.sign("other", &["127.78.6.1"]);
    fs::write(papers.path("empty.pem"), "nothing").expect("a file");
    let refused = |change: &dyn Fn(&mut Config)| {
        let mut config = Config { port: 0, save: Vec::new(), ..Config::default() };
        papers.settings(&mut config, address);
        change(&mut config);
        let outcome = start(config, Clock::System);
        outcome.err().expect("no start").to_string().replace(&papers.path(""), "/")
    };
    let missing = refused(&|config| config.tls.cert_file.clear());
    assert_eq!(missing, "cannot use TLS: 'tls-port' needs 'tls-cert-file'");
    let missing = refused(&|config| config.tls.key_file.clear());
    assert_eq!(missing, "cannot use TLS: 'tls-port' needs 'tls-key-file'");
    let absent = refused(&|config| config.tls.cert_file = papers.path("absent.pem"));
    assert!(absent.starts_with("cannot use TLS: 'tls-cert-file' /absent.pem: "), "{absent}");
    let empty = refused(&|config| config.tls.cert_file = papers.path("empty.pem"));
    assert!(empty.starts_with("cannot use TLS: 'tls-cert-file' /empty.pem: "), "{empty}");
    let foreign = refused(&|config| config.tls.key_file = papers.path("other.key"));
    assert!(foreign.starts_with("cannot use TLS: 'tls-cert-file' and "), "{foreign}");
    let version = refused(&|config| config.tls.protocols = "TLSv1.1".into());
    assert_eq!(
        version,
        "cannot use TLS: 'tls-protocols': 'TLSv1.1' is none of TLSv1.2 and TLSv1.3"
    );
    let nobody = refused(&|config| {
        config.tls.auth_clients = "yes".into();
        config.tls.ca_cert_file.clear();
    });
    assert_eq!(
        nobody,
        "cannot use TLS: 'tls-port' needs 'tls-ca-cert-file' or 'tls-auth-clients no'"
    );
}

#[test]
fn the_clients_of_redis_connect() {
    let papers = Papers::new();
    let address = free(7);
    papers.sign("server", &["127.78.7.1"]);
    papers.sign("client", &["somebody"]);
    let _server = TestServer::start(|config| {
        papers.settings(config, address);
        config.tls.auth_clients = "yes".into();
    });
    let run = |program: &str, options: &[&str]| {
        let output = Command::new(program)
            .args(["-h", "127.78.7.1", "-p", &address.port().to_string(), "--tls"])
            .args(["--cacert", &papers.path("ca.pem"), "--cert", &papers.path("client.pem")])
            .args(["--key", &papers.path("client.key")])
            .args(options)
            .output()
            .expect("the program");
        let said = String::from_utf8_lossy(&output.stdout);
        format!("{said}{}", String::from_utf8_lossy(&output.stderr)).trim().to_string()
    };
    assert_eq!(run("redis-cli", &["SET", "key", "value"]), "OK");
    assert_eq!(run("redis-cli", &["GET", "key"]), "value");
    let options = ["-t", "set", "-n", "20000", "-c", "20", "-P", "16", "-d", "2000", "-q"];
    let benchmark = run("redis-benchmark", &options);
    assert!(benchmark.contains("requests per second"), "{benchmark}");
}
