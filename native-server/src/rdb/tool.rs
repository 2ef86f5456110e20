//! `ferrite import PATH` and `ferrite export PATH`: from one of Redis's files into the directory of
//! a server, and from there into a `dump.rdb`.

use std::path::Path;

use thiserror::Error;

use super::start::{has_own_files, load_saying};
use super::write::VERSIONS;
use super::{Fault, Written, export};
use crate::checkpoint::{CheckpointError, saver};
use crate::clock::Clock;
use crate::config::Config;
use crate::server::{self, Server, StartError};

/// Why a tool fails.
#[derive(Debug, Error)]
pub enum ToolFault {
    /// A file is not as it should be.
    #[error(transparent)]
    File(#[from] Fault),
    /// A server cannot be had.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Checkpoints cannot be listed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The command line is not as it should be, or there is no checkpoint.
    #[error("{0}")]
    Told(String),
}

/// Takes `--rdb-version N` out of a command line.
///
/// # Errors
/// If it is none that is written.
pub fn take_version(options: &mut Vec<String>) -> Result<Option<u16>, ToolFault> {
    let Some(at) = options.iter().position(|option| option == "--rdb-version") else {
        return Ok(None);
    };
    let word = options.get(at + 1).map_or("", String::as_str);
    let version = word.parse().ok().filter(|version| VERSIONS.contains(version));
    let version = version.ok_or_else(|| {
        let [first, last] = VERSIONS;
        ToolFault::Told(format!("--rdb-version must be {first} or {last}, not '{word}'"))
    })?;
    options.drain(at..at + 2);
    Ok(Some(version))
}

/// Writes what is in the directory of a server into a `dump.rdb`.
///
/// # Errors
/// What is wrong with what is there, or with the file.
pub fn run_export(config: Config, path: &Path, version: Option<u16>) -> Result<(), ToolFault> {
    let running = server::open(config, Clock::System)?;
    let written = server::recover(&running.server).map_err(ToolFault::from).and_then(|_| {
        let now_ms = running.server.clock.now_ms();
        let registry = running.server.functions.loaded.now();
        for name in registry.libraries.keys() {
            println!("the library {name} is left out: Redis has no functions in WebAssembly");
        }
        let scripted = registry.scripted.values();
        let libraries: Vec<&[u8]> = scripted.map(|library| &*library.text).collect();
        Ok(export(path, &running.server.databases, now_ms, version, &libraries)?)
    });
    running.stop();
    let Written { version, keys, bytes } = written?;
    let (name, megabytes) = (path.display(), bytes as f64 / 1e6);
    println!("wrote {name}: {keys} keys, {megabytes:.1} MB, RDB version {version}");
    if version > VERSIONS[0] {
        println!("some fields of hashes expire: only Redis 7.4 and later read this file");
    }
    Ok(())
}

/// Leaves what one of Redis's files has in the directory of a server, as a checkpoint.
///
/// # Errors
/// What is wrong with the file, or with the directory: it must have no files of a server.
pub fn run_import(config: Config, path: &Path) -> Result<(), ToolFault> {
    let running = server::open(config, Clock::System)?;
    let server = &running.server;
    let config = server.config.snapshot().config;
    let outcome = import(server, &config, path);
    running.stop();
    outcome
}

fn import(server: &Server, config: &Config, path: &Path) -> Result<(), ToolFault> {
    let directory = Path::new(&config.dir);
    if has_own_files(directory)? {
        let full = "it has files of Ferrite already, which would be lost: name another 'dir'";
        return Err(Fault::whole(directory, full).into());
    }
    load_saying(path, config, server, &mut |line| println!("{line}"))?;
    saver::save_now(server).map_err(ToolFault::Told)?;
    println!("{} has a checkpoint of it", directory.display());
    Ok(())
}
