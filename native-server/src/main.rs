//! The program `ferrite`: reads the command line, starts the server, waits for its end.
//!
//! Not here: anything that a test could not do as well through the library.

use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use ferrite_server::clock::Clock;
use ferrite_server::config::Config;
use ferrite_server::config::file::{self, Fault};
use ferrite_server::persist::{repair, tools};
use ferrite_server::tool::{self, Asked};
use ferrite_server::{rdb, server};

const HELP: &str = "\
ferrite: a server that speaks Redis's protocol

    ferrite [run] [CONFIG-FILE | -] [--SETTING VALUE ...]
    ferrite check PATH            what is in a log: a directory, or one of its files
    ferrite repair FILE [--yes]   cuts a file of a log where it is damaged, after asking
    ferrite import DUMP.RDB | AOF [CONFIG-FILE | -] [--SETTING VALUE ...]
    ferrite export DUMP.RDB [--rdb-version 10|12] [CONFIG-FILE | -] [--SETTING VALUE ...]

A path that begins with a dash stands behind --, or is written with ./ before it.

The configuration file is in redis.conf's grammar; - reads it from the standard input. Every setting
of CONFIG GET * may be given on the command line, for example:

    ferrite --port 7000 --maxmemory 1gb --maxmemory-policy allkeys-lru

A server begins with what is in its directory (dir), be it of Redis: a dump.rdb, or with appendonly
yes an append-only file. import leaves such a file's keys there as a checkpoint; export writes what
is there into a dump.rdb that Redis loads.

    -c, --config FILE     the configuration file
    -p, --port PORT       0 for any free port, or for none with --unixsocket
    -b, --bind ADDRESS    one or several; also --host
    -l, --loglevel LEVEL  also --log-level: debug, verbose, notice, warning, nothing
    -h, --help            this text
    -v, --version         the version

FERRITE_PORT, FERRITE_BIND, FERRITE_LOG_LEVEL and FERRITE_DATABASES in the environment do the same.
";

/// Other names of settings on the command line.
const ALIASES: [(&str, &str); 5] = [
    ("-p", "port"),
    ("-b", "bind"),
    ("--host", "bind"),
    ("-l", "loglevel"),
    ("--log-level", "loglevel"),
];

const ENVIRONMENT: [(&str, &str); 4] = [
    ("FERRITE_PORT", "port"),
    ("FERRITE_BIND", "bind"),
    ("FERRITE_LOG_LEVEL", "loglevel"),
    ("FERRITE_DATABASES", "databases"),
];

fn main() -> ExitCode {
    ferrite_server::allocator::settle();
    let outcome = outlive_limits().and_then(|()| run(&arguments()?));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        // Something is not well, and was said.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ferrite: {error}");
            ExitCode::FAILURE
        }
    }
}

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// A file that may not grow (`ulimit -f`) is an error of its write from now on, as a full disk is,
/// and no end of the process.
fn outlive_limits() -> Outcome<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    // What is done about a signal stays so.
    runtime.block_on(async { signal(SignalKind::from_raw(libc::SIGXFSZ)).map(drop) })?;
    Ok(())
}

fn arguments() -> Outcome<Vec<String>> {
    let text = |word: OsString| word.into_string();
    let words = std::env::args_os().skip(1).map(text).collect::<Result<_, _>>();
    words.map_err(|word| format!("an argument is no text in UTF-8: {}", word.display()).into())
}

/// Does what the words say. Whether all is well.
fn run(arguments: &[String]) -> Outcome<bool> {
    let (command, rest) = arguments.split_first().map_or(("", arguments), |(c, r)| (c, r));
    match command {
        "-h" | "--help" | "help" => help(),
        "-v" | "--version" | "version" => {
            println!("Ferrite server v={}", env!("CARGO_PKG_VERSION"));
            Ok(true)
        }
        "check" | "repair" | "import" | "export" => run_tool(command, rest),
        "run" if matches!(rest.first().map(String::as_str), Some("-h" | "--help")) => help(),
        "run" => serve(rest),
        _ => serve(arguments),
    }
}

fn help() -> Outcome<bool> {
    print!("{HELP}");
    Ok(true)
}

fn run_tool(command: &str, words: &[String]) -> Outcome<bool> {
    let asked = match command {
        "check" => tool::read(command, &[], words),
        "repair" => tool::read(command, &["--yes"], words),
        _ => tool::read_before_settings(command, words),
    };
    let Asked::Work { path, mut options } = asked? else { return help() };
    match command {
        "check" => return Ok(tools::check(&path)?),
        "repair" => repair::repair(&path, !options.is_empty())?,
        "import" => rdb::tool::run_import(configure(&options)?, Path::new(&path))?,
        _ => {
            let version = rdb::tool::take_version(&mut options)?;
            rdb::tool::run_export(configure(&options)?, Path::new(&path), version)?;
        }
    }
    Ok(true)
}

/// Runs a server until it ends.
fn serve(arguments: &[String]) -> Outcome<bool> {
    let config = configure(arguments)?;
    let without_effect = config.without_effect.join(", ");
    let running = server::start(config, Clock::System)?;
    let server = std::sync::Arc::clone(&running.server);
    if !without_effect.is_empty() {
        server
            .log
            .notice(format_args!("settings of Redis without an effect here: {without_effect}"));
    }
    end_on_signal(&running)?;
    running.wait();
    server.log.notice("Ferrite ends, bye");
    Ok(true)
}

/// Says that the server is ready. A signal that asks the process to end ends it from then on, as
/// SHUTDOWN does with what the configuration says of it: where a checkpoint was to be taken and
/// cannot, the server goes on.
fn end_on_signal(running: &server::Running) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let server = std::sync::Arc::clone(&running.server);
    runtime.block_on(async move {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        for place in server.entrances.places() {
            server.log.notice(format_args!("ready on {place}"));
        }
        loop {
            let is_interrupted = tokio::select! {
                _ = terminate.recv() => false,
                _ = interrupt.recv() => true,
                () = server.ended() => return Ok(()),
            };
            let config = server.config.snapshot().config;
            let ending = match is_interrupted {
                true => config.shutdown_on_sigint,
                false => config.shutdown_on_sigterm,
            };
            if ending.carry_out(&server).is_ok() {
                return Ok(());
            }
            server.log.warning("asked to end, but there is no checkpoint: the server goes on");
        }
    })
}

/// The defaults, then the environment, then the file, then the command line.
fn configure(arguments: &[String]) -> Result<Config, Fault> {
    let mut config = Config::default();
    for (variable, setting) in ENVIRONMENT {
        if let Ok(value) = std::env::var(variable) {
            let fault = |why| Fault::Option { name: variable.into(), why };
            file::set(&mut config, setting, &[value]).map_err(fault)?;
        }
    }
    let options = match arguments {
        [flag, name, rest @ ..] if flag == "-c" || flag == "--config" => {
            read_file(&mut config, name)?;
            rest
        }
        [name, rest @ ..] if name == "-" || !name.starts_with('-') => {
            read_file(&mut config, name)?;
            rest
        }
        all => all,
    };
    read_options(&mut config, options)?;
    Ok(config)
}

fn read_file(config: &mut Config, name: &str) -> Result<(), Fault> {
    let mut text = String::new();
    let outcome = match name {
        "-" => std::io::stdin().read_to_string(&mut text).map(|_| ()),
        name => std::fs::read_to_string(name).map(|read| text = read),
    };
    let unreadable = |why| Fault::Unreadable { file: name.into(), why };
    outcome.map_err(unreadable)?;
    if name != "-" {
        config.file = Some(std::path::absolute(name).map_err(unreadable)?);
    }
    file::read(config, name, &text)
}

/// Each option begins with dashes; what follows, up to the next, is its value. As in Redis both may
/// stand in one word, a value may begin with dashes where an option needs one, and `--save` needs
/// none.
fn read_options(config: &mut Config, mut options: &[String]) -> Result<(), Fault> {
    let is_option =
        |word: &String| word.starts_with("--") || ALIASES.iter().any(|(alias, _)| alias == word);
    while let Some((option, rest)) = options.split_first() {
        let fault = |why: &'static str| Fault::Option { name: option.clone(), why: why.into() };
        let alias = ALIASES.iter().find(|(alias, _)| alias == option).map(|(_, name)| *name);
        let name = alias.or_else(|| option.strip_prefix("--"));
        let name = name.ok_or_else(|| fault("there is no such option (--help)"))?;
        let mut words = file::words(name).ok_or_else(|| fault("unbalanced quotes"))?;
        let needs_value = words.len() < 2 && !name.trim().eq_ignore_ascii_case("save");
        let least = usize::from(needs_value);
        let count = least + rest.iter().skip(least).take_while(|word| !is_option(word)).count();
        let (values, behind) =
            rest.split_at_checked(count).ok_or_else(|| fault("it needs a value"))?;
        words.extend_from_slice(values);
        let (name, values) = words.split_first().ok_or_else(|| fault("it has no name"))?;
        let fault = |why| Fault::Option { name: option.clone(), why };
        file::set(config, name, values).map_err(fault)?;
        options = behind;
    }
    Ok(())
}
