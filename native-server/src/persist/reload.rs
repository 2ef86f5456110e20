//! DEBUG LOADAOF: what a start would bring back takes the place of what is in memory.
//!
//! Invariant: the databases become what the checkpoint and the log say, or stay as they are. While
//! the log is on that is what they were.
//! Libraries of functions are a part of that.

use std::time::Duration;

use ferrite_engine::Keyspace;

use crate::config::Config;
use crate::persist::Persistence;
use crate::server::{self, Server};

/// How long the log may take to bring to the disk what has been appended.
const PATIENCE: Duration = Duration::from_secs(30);

impl Persistence {
    /// Recovers a second server from the files of this one, and takes its keys. Nobody is served
    /// meanwhile. Whoever calls holds no database.
    ///
    /// # Errors
    /// Why that cannot be.
    pub fn reload(&self, server: &Server) -> Result<(), String> {
        let _switching = self.switching();
        // A checkpoint that is being written is waited for.
        let mut chain = server.databases.chain();
        let mut held = server.databases.hold();
        held.take_all();
        let (is_on, position) = (self.log.is_on(), self.position());
        if is_on && !self.log.wait(position, PATIENCE) {
            return Err("the append-only log is not on the disk".into());
        }
        // One that only reads what is there.
        let config = Config { appendonly: false, ..(*server.config.snapshot().config).clone() };
        let other = server::prepare(config.clone(), server.clock.clone(), Default::default());
        let other = other.map_err(|why| why.to_string())?;
        let recovered = other.persistence.recover(&other, &config);
        if !recovered.map_err(|why| why.to_string())? {
            return Err("there is neither a checkpoint nor a log".into());
        }
        if is_on && other.persistence.position() != position {
            return Err("the append-only log is not whole: a checkpoint is needed first".into());
        }
        let mut recovered = Vec::new();
        for index in 0..server.databases.count() {
            let options = held.get(index).options();
            let mut keys = Keyspace::new(&options).map_err(|why| why.to_string())?;
            std::mem::swap(&mut keys, &mut other.databases.hold().get(index).keys);
            // It was given a part of the budget, as one of several.
            keys.set_max_memory(options.max_memory_bytes, 0).map_err(|why| why.to_string())?;
            recovered.push(keys);
        }
        let libraries = server.functions.replace_all(&other.functions.payload());
        libraries.map_err(|why| why.to_string())?;
        // What is in memory then follows what was read, not the last checkpoint.
        chain.forget();
        for (index, keys) in recovered.into_iter().enumerate() {
            held.get(index).install(keys);
        }
        Ok(())
    }
}
