//! Settings of Redis that are none here, so that a server starts with a redis.conf that was written
//! for Redis.
//!
//! Some say how something works inside Redis: whatever they say, nothing that a client sees depends
//! on it, and they are named in the log. Others ask for something that is not there, unless they
//! have one value. All others are refused, like what Redis does not know either.
//!
//! Not here: settings that have an effect (table.rs). CONFIG GET and CONFIG SET know only those.

use crate::config::Config;
use crate::config::table::Refusal;

/// What a setting may say.
enum Says {
    /// Anything: there is nothing here that it is about.
    Anything,
    /// One value, which is how things are here.
    Only(&'static str),
}

use Says::{Anything, Only};

/// The settings, and the beginnings of names that many have in common, which end with a `-`.
const SETTINGS: &[(&str, Says)] = &[
    ("active-defrag-", Anything),
    ("active-expire-effort", Anything),
    ("activedefrag", Only("no")),
    ("activerehashing", Anything),
    ("always-show-logo", Anything),
    ("aof-rewrite-incremental-fsync", Anything),
    ("aof-timestamp-enabled", Only("no")),
    ("aof-use-rdb-preamble", Anything),
    ("cluster-enabled", Only("no")),
    ("cluster-", Anything),
    ("crash-log-enabled", Anything),
    ("crash-memcheck-enabled", Anything),
    ("daemonize", Only("no")),
    ("disable-thp", Anything),
    ("dynamic-hz", Anything),
    ("enable-module-command", Anything),
    ("ignore-warnings", Anything),
    ("io-threads-do-reads", Anything),
    ("jemalloc-bg-thread", Anything),
    ("lazyfree-", Anything),
    ("lfu-decay-time", Anything),
    ("lfu-log-factor", Anything),
    ("maxmemory-eviction-tenacity", Anything),
    ("maxmemory-samples", Anything),
    ("min-replicas-max-lag", Anything),
    ("min-replicas-to-write", Only("0")),
    ("min-slaves-max-lag", Anything),
    ("min-slaves-to-write", Only("0")),
    ("no-appendfsync-on-rewrite", Anything),
    ("proc-title-template", Anything),
    ("rdb-del-sync-files", Anything),
    ("propagation-error-behavior", Anything),
    ("rdb-save-incremental-fsync", Anything),
    ("rdbcompression", Anything),
    ("repl-", Anything),
    ("replica-", Anything),
    ("sanitize-dump-payload", Anything),
    ("set-proc-title", Anything),
    ("shutdown-timeout", Anything),
    ("slave-", Anything),
    ("supervised", Only("no")),
    ("syslog-enabled", Only("no")),
    ("syslog-facility", Anything),
    ("syslog-ident", Anything),
    ("tls-ciphers", Only("")),
    ("tls-ciphersuites", Only("")),
    ("tls-client-", Anything),
    ("tls-cluster", Only("no")),
    ("tls-dh-params-file", Anything),
    ("tls-key-file-pass", Only("")),
    ("tls-prefer-server-ciphers", Anything),
    ("tls-replication", Only("no")),
    ("tls-session-", Anything),
    ("use-exit-on-panic", Anything),
];

/// Takes note of a setting that is none here.
///
/// # Errors
/// Why it is refused.
pub fn read(config: &mut Config, name: &str, values: &[String]) -> Result<(), Refusal> {
    let name = name.to_ascii_lowercase();
    let is_it = |&&(known, _): &&(&str, Says)| {
        known == name || known.ends_with('-') && name.starts_with(known)
    };
    let (_, says) = SETTINGS.iter().find(is_it).ok_or("there is no such setting")?;
    match says {
        Only(value) if !values.join(" ").eq_ignore_ascii_case(value) => {
            Err(format!("this is not supported: it can only be '{value}'").into())
        }
        Only(_) => Ok(()),
        Anything => {
            config.without_effect.push(name);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table::find;

    fn read_one(name: &str, value: &str) -> Result<Config, String> {
        let mut config = Config::default();
        read(&mut config, name, &[value.into()]).map(|()| config).map_err(|why| why.to_string())
    }

    #[test]
    fn what_has_no_effect_is_noted_and_what_is_not_there_refused() {
        let noted = |name: &str| read_one(name, "5").expect("a setting").without_effect;
        assert_eq!(noted("Maxmemory-Samples"), ["maxmemory-samples"]);
        assert_eq!(noted("lazyfree-lazy-eviction"), ["lazyfree-lazy-eviction"]);
        assert_eq!(noted("cluster-node-timeout"), ["cluster-node-timeout"]);
        assert!(read_one("daemonize", "NO").expect("no").without_effect.is_empty());
        let refused = |name: &str, value: &str| read_one(name, value).expect_err("a refusal");
        assert_eq!(refused("daemonize", "yes"), "this is not supported: it can only be 'no'");
        assert_eq!(refused("cluster-enabled", "yes"), "this is not supported: it can only be 'no'");
        assert_eq!(refused("replicaof", "a 1"), "there is no such setting");
        assert_eq!(refused("replic", "a"), "there is no such setting");
    }

    #[test]
    fn none_has_an_effect() {
        for (name, _) in SETTINGS {
            assert!(find(name).is_none(), "{name}");
        }
    }
}
