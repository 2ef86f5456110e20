//! What the server writes to its log, and where.

mod common;

use common::{Raw, TestServer};

#[test]
fn connections_stand_in_the_log_while_its_level_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ferrite.log");
    let server = TestServer::start(|config| {
        config.logfile = path.to_str().expect("a name").into();
        config.loglevel = "verbose".into();
    });
    let text = || std::fs::read_to_string(&path).expect("the log");
    let mut first = server.connect();
    let address = first.stream.local_addr().expect("an address");
    assert_eq!(first.ask("CONFIG SET loglevel warning"), Raw::Simple("OK".into()));
    let line = format!("- client 1 connects from {address}\n");
    assert!(text().ends_with(&line), "{}", text());
    let mut second = server.connect();
    assert_eq!(second.ask("PING"), Raw::Simple("PONG".into()));
    assert!(text().ends_with(&line), "{}", text());
    assert_eq!(
        first.ask("CONFIG SET logfile other.log"),
        Raw::Error(
            "ERR CONFIG SET failed (possibly related to argument 'logfile') - can't set immutable \
             config"
                .into()
        )
    );
}

#[test]
fn a_log_that_cannot_be_written_stops_the_start() {
    let config = ferrite_server::config::Config {
        port: 0,
        logfile: "/no/such/folder/ferrite.log".into(),
        ..ferrite_server::config::Config::default()
    };
    let fault = ferrite_server::server::start(config, ferrite_server::clock::Clock::System);
    let fault = fault.err().expect("no server").to_string();
    assert!(
        fault.starts_with("cannot write the log file /no/such/folder/ferrite.log: "),
        "{fault}"
    );
}
