//! The table of settings: a row names a setting, says when it may change, and reads and shows it.
//!
//! Invariant: a row's `show` gives a text that its `read` takes. Errors are Redis's words.
//! Not here: what a setting does; whoever goes by it looks at [`Config`].

use std::borrow::Cow;

use ferrite_engine::{Policy, limits, parse_memory};

use crate::checkpoint::saver::{parse_rules, show_rules};
use crate::config::{Config, OUTPUT_CLASSES, OutputLimit, Share};
use crate::ending::Ending;
use crate::limits::{BIND_ADDRESSES_MAX, DATABASES_MAX, IO_THREADS_MAX};
use crate::resp::inline;

/// When a setting may change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Changes {
    /// At any time, by CONFIG SET.
    Live,
    /// The same, by those whom `enable-protected-configs` allows it.
    Protected,
    /// Only before the server starts.
    AtStart,
}

/// Why a value is refused.
pub type Refusal = Cow<'static, str>;

/// One setting.
pub struct Setting {
    /// Its name in redis.conf.
    pub name: &'static str,
    /// When it may change.
    pub changes: Changes,
    /// The name it had in older versions of Redis, by which it is still known.
    pub former_name: Option<&'static str>,
    kind: Kind,
}

enum Kind {
    YesNo(fn(&mut Config) -> &mut bool),
    Number(fn(&mut Config) -> &mut i64, i64, i64),
    Memory(fn(&mut Config) -> &mut u64, u64, u64),
    Text(fn(&mut Config) -> &mut String),
    /// The name of a file in `dir`, or of a directory.
    FileName(fn(&mut Config) -> &mut String),
    OneOf(fn(&mut Config) -> &mut String, &'static [&'static str]),
    Other(fn(&Config) -> String, fn(&mut Config, &str) -> Result<(), Refusal>, InFile),
}

/// What a setting is in a file.
enum InFile {
    /// As it is shown.
    Plain,
    /// The same in quotes.
    Quoted,
    /// So many lines.
    Lines(fn(&Config) -> Vec<String>),
}

use Changes::{AtStart, Live, Protected};
use InFile::{Lines, Plain, Quoted};
use Kind::{FileName, Memory, Number, OneOf, Other, Text, YesNo};

const fn row(name: &'static str, changes: Changes, kind: Kind) -> Setting {
    Setting { name, changes, former_name: None, kind }
}

const BYTES_MAX: u64 = i64::MAX as u64;

/// Every setting, by name.
pub const SETTINGS: &[Setting] = &[
    row(
        "acl-pubsub-default",
        Live,
        OneOf(|config| &mut config.acl_pubsub_default, &["resetchannels", "allchannels"]),
    ),
    row("aclfile", AtStart, Text(|config| &mut config.aclfile)),
    row("acllog-max-len", Live, Number(|config| &mut config.acllog_max_len, 0, 1 << 20)),
    row("aof-load-truncated", Live, YesNo(|config| &mut config.aof_load_truncated)),
    row("appenddirname", AtStart, FileName(|config| &mut config.appenddirname)),
    row("appendfilename", AtStart, FileName(|config| &mut config.appendfilename)),
    row(
        "appendfsync",
        Live,
        OneOf(|config| &mut config.appendfsync, &["always", "everysec", "no"]),
    ),
    row("appendonly", Live, YesNo(|config| &mut config.appendonly)),
    row(
        "auto-aof-rewrite-min-size",
        Live,
        Memory(|config| &mut config.auto_aof_rewrite_min_size, 0, BYTES_MAX),
    ),
    row(
        "auto-aof-rewrite-percentage",
        Live,
        Number(|config| &mut config.auto_aof_rewrite_percentage, 0, i32::MAX as i64),
    ),
    row("bind", Live, Other(|config| config.bind.clone(), read_bind, Lines(write_bind))),
    Setting {
        former_name: Some("lua-time-limit"),
        ..row(
            "busy-reply-threshold",
            Live,
            Number(|config| &mut config.busy_reply_threshold_ms, 0, i64::MAX),
        )
    },
    row(
        "client-output-buffer-limit",
        Live,
        Other(show_output_limits, read_output_limits, Lines(write_output_limits)),
    ),
    row(
        "client-query-buffer-limit",
        Live,
        Memory(|config| &mut config.client_query_buffer_limit, 1 << 20, BYTES_MAX),
    ),
    row("databases", AtStart, Number(|config| &mut config.databases, 1, DATABASES_MAX as i64)),
    row("dbfilename", AtStart, FileName(|config| &mut config.dbfilename)),
    row("dir", Protected, Text(|config| &mut config.dir)),
    row(
        "enable-debug-command",
        AtStart,
        OneOf(|config| &mut config.enable_debug_command, &["no", "yes", "local"]),
    ),
    row(
        "enable-protected-configs",
        AtStart,
        OneOf(|config| &mut config.enable_protected_configs, &["no", "yes", "local"]),
    ),
    row("function-cache-dir", AtStart, Text(|config| &mut config.function_cache_dir)),
    row(
        "function-cache-size",
        AtStart,
        Memory(|config| &mut config.function_cache_size, 0, BYTES_MAX),
    ),
    row(
        "function-deadline-ms",
        Live,
        Number(|config| &mut config.function_deadline_ms, 1, 3_600_000),
    ),
    row("function-module-dir", AtStart, Text(|config| &mut config.function_module_dir)),
    row(
        "hash-max-listpack-entries",
        Live,
        Number(|config| &mut config.encodings.hash_entries, 0, i64::MAX),
    )
    .formerly("hash-max-ziplist-entries"),
    row(
        "hash-max-listpack-value",
        Live,
        Memory(|config| &mut config.encodings.hash_value_bytes, 0, BYTES_MAX),
    )
    .formerly("hash-max-ziplist-value"),
    row(
        "hll-sparse-max-bytes",
        Live,
        Memory(
            |config| &mut config.forms.hll_sparse_max_bytes,
            0,
            limits::SPARSE_SKETCH_BYTES_MAX as u64,
        ),
    ),
    row("hz", Live, Other(|config| config.hz.to_string(), read_hz, Plain)),
    row("io-threads", AtStart, Number(|config| &mut config.io_threads, 1, IO_THREADS_MAX as i64)),
    row(
        "latency-monitor-threshold",
        Live,
        Number(|config| &mut config.latency_monitor_threshold_ms, 0, i64::MAX),
    ),
    row("latency-tracking", Live, YesNo(|config| &mut config.latency_tracking)),
    row(
        "latency-tracking-info-percentiles",
        Live,
        Other(show_percentiles, read_percentiles, Quoted),
    ),
    row(
        "list-compress-depth",
        Live,
        Number(|config| &mut config.encodings.list_compress_depth, 0, i32::MAX as i64),
    ),
    row(
        "list-max-listpack-size",
        Live,
        Number(|config| &mut config.encodings.list_size, i32::MIN as i64, i32::MAX as i64),
    )
    .formerly("list-max-ziplist-size"),
    row("logfile", AtStart, Text(|config| &mut config.logfile)),
    row(
        "loglevel",
        Live,
        OneOf(|config| &mut config.loglevel, &["debug", "verbose", "notice", "warning", "nothing"]),
    ),
    row("maxclients", Live, Number(|config| &mut config.maxclients, 1, u32::MAX as i64)),
    // Less than the engine needs is allowed: then whatever would take memory is refused.
    row("maxmemory", Live, Memory(|config| &mut config.maxmemory, 0, limits::MEMORY_BYTES_MAX)),
    row("maxmemory-clients", Live, Other(show_share, read_share, Plain)),
    row("maxmemory-policy", Live, Other(show_policy, read_policy, Plain)),
    row("notify-keyspace-events", Live, Other(show_events, read_events, Quoted)),
    row(
        "oom-score-adj",
        Live,
        OneOf(|config| &mut config.oom_score_adj, &["no", "yes", "relative", "absolute"]),
    ),
    row("oom-score-adj-values", Live, Other(show_scores, read_scores, Plain)),
    row("pidfile", AtStart, Text(|config| &mut config.pidfile)),
    row("port", Live, Number(|config| &mut config.port, 0, 65535)),
    row("protected-mode", Live, YesNo(|config| &mut config.protected_mode)),
    row(
        "proto-max-bulk-len",
        Live,
        Memory(|config| &mut config.proto_max_bulk_len, 1 << 20, limits::VALUE_BYTES_MAX as u64),
    ),
    row("rdbchecksum", AtStart, YesNo(|config| &mut config.rdbchecksum)),
    row("requirepass", Live, Text(|config| &mut config.requirepass)),
    row("save", Live, Other(|config| show_rules(&config.save), save, Lines(write_rules))),
    row(
        "set-max-intset-entries",
        Live,
        Number(|config| &mut config.encodings.intset_entries, 0, i64::MAX),
    ),
    row(
        "set-max-listpack-entries",
        Live,
        Number(|config| &mut config.encodings.set_entries, 0, i64::MAX),
    ),
    row(
        "set-max-listpack-value",
        Live,
        Memory(|config| &mut config.encodings.set_value_bytes, 0, BYTES_MAX),
    ),
    row(
        "shutdown-on-sigint",
        Live,
        Other(
            |config| config.shutdown_on_sigint.words(),
            |config, text| read_ending(&mut config.shutdown_on_sigint, text),
            Plain,
        ),
    ),
    row(
        "shutdown-on-sigterm",
        Live,
        Other(
            |config| config.shutdown_on_sigterm.words(),
            |config, text| read_ending(&mut config.shutdown_on_sigterm, text),
            Plain,
        ),
    ),
    row(
        "slowlog-log-slower-than",
        Live,
        Number(|config| &mut config.slowlog_slower_than_us, -1, i64::MAX),
    ),
    row("slowlog-max-len", Live, Number(|config| &mut config.slowlog_max_len, 0, 1 << 20)),
    row(
        "stop-writes-on-bgsave-error",
        Live,
        YesNo(|config| &mut config.stop_writes_on_bgsave_error),
    ),
    row(
        "stream-node-max-bytes",
        Live,
        Memory(
            |config| &mut config.forms.stream_node_max_bytes,
            0,
            limits::STREAM_NODE_BYTES_MAX as u64,
        ),
    ),
    row(
        "stream-node-max-entries",
        Live,
        Number(
            |config| &mut config.forms.stream_node_max_entries,
            0,
            limits::STREAM_NODE_ENTRIES_MAX as i64,
        ),
    ),
    row("tcp-backlog", AtStart, Number(|config| &mut config.tcp_backlog, 0, i32::MAX as i64)),
    row("tcp-keepalive", Live, Number(|config| &mut config.tcp_keepalive_s, 0, i32::MAX as i64)),
    row("timeout", Live, Number(|config| &mut config.timeout_s, 0, i32::MAX as i64)),
    row(
        "tls-auth-clients",
        Live,
        OneOf(|config| &mut config.tls.auth_clients, &["no", "yes", "optional"]),
    ),
    row("tls-ca-cert-dir", Live, Text(|config| &mut config.tls.ca_cert_dir)),
    row("tls-ca-cert-file", Live, Text(|config| &mut config.tls.ca_cert_file)),
    row("tls-cert-file", Live, Text(|config| &mut config.tls.cert_file)),
    row("tls-key-file", Live, Text(|config| &mut config.tls.key_file)),
    row("tls-port", Live, Number(|config| &mut config.tls.port, 0, 65535)),
    row("tls-protocols", Live, Text(|config| &mut config.tls.protocols)),
    row(
        "tracking-table-max-keys",
        Live,
        Number(|config| &mut config.tracking_table_max_keys, 1, i64::MAX),
    ),
    row("unixsocket", AtStart, Text(|config| &mut config.unixsocket)),
    row("unixsocketperm", AtStart, Other(show_perm, read_perm, Plain)),
    row(
        "zset-max-listpack-entries",
        Live,
        Number(|config| &mut config.encodings.zset_entries, 0, i64::MAX),
    )
    .formerly("zset-max-ziplist-entries"),
    row(
        "zset-max-listpack-value",
        Live,
        Memory(|config| &mut config.encodings.zset_value_bytes, 0, BYTES_MAX),
    )
    .formerly("zset-max-ziplist-value"),
];

/// The setting of this name, in upper or lower case.
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.names().any(|own| own.eq_ignore_ascii_case(name)))
}

impl Setting {
    const fn formerly(self, name: &'static str) -> Setting {
        Setting { former_name: Some(name), ..self }
    }

    /// Its name, and the one that it had.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.former_name)
    }

    /// The value as text.
    pub fn show(&self, config: &Config) -> String {
        // The rows name a place once, to read and to write: so it is shown from a copy.
        let mut config = config.clone();
        match self.kind {
            YesNo(at) => if *at(&mut config) { "yes" } else { "no" }.into(),
            Number(at, ..) => at(&mut config).to_string(),
            Memory(at, ..) => at(&mut config).to_string(),
            Text(at) | FileName(at) | OneOf(at, _) => at(&mut config).clone(),
            Other(show, ..) => show(&config),
        }
    }

    /// The value as it stands in a file, of one line or several. What says nothing needs none.
    pub fn write(&self, config: &Config) -> Vec<String> {
        let shown = self.show(config);
        match self.kind {
            YesNo(_) | Number(..) | OneOf(..) | Other(_, _, Plain) => vec![shown],
            Memory(at, ..) => vec![memory(*at(&mut config.clone()))],
            Text(_) if shown.is_empty() && self.show(&Config::default()).is_empty() => Vec::new(),
            Text(_) | FileName(_) | Other(_, _, Quoted) => vec![quoted(&shown)],
            Other(_, _, Lines(lines)) => lines(config),
        }
    }

    /// Takes a value from a text.
    ///
    /// # Errors
    /// Why it is none.
    pub fn read(&self, config: &mut Config, text: &str) -> Result<(), Refusal> {
        match self.kind {
            YesNo(at) => {
                *at(config) = match text.to_ascii_lowercase().as_str() {
                    "yes" => true,
                    "no" => false,
                    _ => return Err("argument must be 'yes' or 'no'".into()),
                };
            }
            Number(at, least, most) => {
                let number = crate::number::integer(text.as_bytes());
                let number = number.ok_or("argument couldn't be parsed into an integer")?;
                if !(least..=most).contains(&number) {
                    return Err(between(least, most));
                }
                *at(config) = number;
            }
            Memory(at, least, most) => {
                // As in Redis nothing is nothing.
                let bytes = if text.is_empty() { Ok(0) } else { parse_memory(text.as_bytes()) };
                let bytes = bytes.map_err(|_| "argument must be a memory value")?;
                if !(least..=most).contains(&bytes) {
                    return Err(between(least, most));
                }
                *at(config) = bytes;
            }
            Text(at) => *at(config) = text.into(),
            FileName(_) if text.contains('/') || ["", ".", ".."].contains(&text) => {
                return Err(format!("{} can't be a path, just a filename", self.name).into());
            }
            FileName(at) => *at(config) = text.into(),
            OneOf(at, words) => {
                let word = words.iter().find(|word| word.eq_ignore_ascii_case(text));
                let word = word.ok_or_else(|| {
                    format!("argument(s) must be one of the following: {}", words.join(", "))
                })?;
                *at(config) = (*word).into();
            }
            Other(_, read, _) => read(config, text)?,
        }
        Ok(())
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    inline::quote(&mut quoted, text.as_bytes());
    quoted
}

/// Bytes in the largest unit of which they are a multiple.
fn memory(bytes: u64) -> String {
    let units = [("gb", 30), ("mb", 20), ("kb", 10)];
    let unit = units.into_iter().find(|(_, bits)| bytes > 0 && bytes.is_multiple_of(1 << bits));
    unit.map_or_else(|| bytes.to_string(), |(name, bits)| format!("{}{name}", bytes >> bits))
}

fn between(least: impl ToString, most: impl ToString) -> Refusal {
    let (least, most) = (least.to_string(), most.to_string());
    format!("argument must be between {least} and {most} inclusive").into()
}

/// Redis takes any number of turns a second, and does no more and no fewer of them than it can.
fn read_hz(config: &mut Config, text: &str) -> Result<(), Refusal> {
    let number = crate::number::integer(text.as_bytes());
    let number = number.ok_or("argument couldn't be parsed into an integer")?;
    let most = i32::MAX.into();
    if !(0..=most).contains(&number) {
        return Err(between(0, most));
    }
    config.hz = number.clamp(1, 500);
    Ok(())
}

fn show_share(config: &Config) -> String {
    match config.maxmemory_clients {
        Share::Bytes(bytes) => bytes.to_string(),
        Share::Percent(percent) => format!("{percent}%"),
    }
}

fn read_share(config: &mut Config, text: &str) -> Result<(), Refusal> {
    let wrong = "argument must be a memory or percent value";
    config.maxmemory_clients = match text.strip_suffix('%') {
        Some(percent) => match percent.parse().map_err(|_| wrong)? {
            percent @ 0..=100 => Share::Percent(percent),
            _ => return Err("percentage argument must be less or equal to 100".into()),
        },
        None => Share::Bytes(parse_memory(text.as_bytes()).map_err(|_| wrong)?),
    };
    Ok(())
}

fn show_scores(config: &Config) -> String {
    config.oom_score_adj_values.map(|score| score.to_string()).join(" ")
}

fn read_scores(config: &mut Config, text: &str) -> Result<(), Refusal> {
    let scores = text.split_ascii_whitespace().map(|word| {
        let score = word.parse().ok();
        score
            .filter(|score| (-2000..=2000).contains(score))
            .ok_or("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")
    });
    let scores: Vec<i64> = scores.collect::<Result<_, _>>()?;
    config.oom_score_adj_values = scores.try_into().map_err(|_| "wrong number of arguments")?;
    Ok(())
}

fn read_ending(ending: &mut Ending, text: &str) -> Result<(), Refusal> {
    let words: Vec<&[u8]> =
        text.split_ascii_whitespace().map(str::as_bytes).filter(|word| !is_default(word)).collect();
    let has = |wanted: &[u8]| words.iter().any(|word| word.eq_ignore_ascii_case(wanted));
    if has(b"save") && has(b"nosave") {
        return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
    }
    *ending = Ending::read(words.into_iter())
        .ok_or("argument(s) must be one of the following: default, save, nosave, now, force")?;
    Ok(())
}

fn is_default(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"default")
}

fn read_bind(config: &mut Config, text: &str) -> Result<(), Refusal> {
    if text.split_ascii_whitespace().count() > BIND_ADDRESSES_MAX {
        return Err("Too many bind addresses specified.".into());
    }
    config.bind = text.into();
    Ok(())
}

fn write_bind(config: &Config) -> Vec<String> {
    let words: Vec<&str> = config.bind.split_ascii_whitespace().collect();
    vec![if words.is_empty() { "\"\"".into() } else { words.join(" ") }]
}

fn show_perm(config: &Config) -> String {
    format!("{:o}", config.unixsocketperm)
}

fn read_perm(config: &mut Config, text: &str) -> Result<(), Refusal> {
    let mode = u32::from_str_radix(text, 8);
    let mode = mode.map_err(|_| "argument couldn't be parsed as an octal number")?;
    if mode > 0o777 {
        return Err("argument must be between 0 and 777 inclusive".into());
    }
    config.unixsocketperm = mode;
    Ok(())
}

fn save(config: &mut Config, text: &str) -> Result<(), Refusal> {
    config.save = parse_rules(text)?;
    Ok(())
}

fn write_rules(config: &Config) -> Vec<String> {
    match config.save.is_empty() {
        true => vec!["\"\"".into()],
        false => config.save.iter().map(|rule| show_rules(&[*rule])).collect(),
    }
}

fn show_policy(config: &Config) -> String {
    let named = Policy::ALL.iter().find(|(_, policy)| *policy == config.maxmemory_policy);
    named.map_or_else(String::new, |(name, _)| (*name).into())
}

fn read_policy(config: &mut Config, text: &str) -> Result<(), Refusal> {
    let policy = Policy::parse(text.as_bytes()).map_err(|error| {
        let line = error.to_string();
        line.strip_prefix("ERR ").map(String::from).unwrap_or(line)
    })?;
    config.maxmemory_policy = policy;
    Ok(())
}

/// The letters of `notify-keyspace-events`, in the order in which Redis shows them.
const EVENT_LETTERS: &str = "g$lshzxetd";

fn show_events(config: &Config) -> String {
    config.notify_keyspace_events.clone()
}

fn read_events(config: &mut Config, text: &str) -> Result<(), Refusal> {
    if text.chars().any(|letter| !"AKEnm".contains(letter) && !EVENT_LETTERS.contains(letter)) {
        return Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into());
    }
    let has = |letter: char| text.contains(letter);
    let has_all = has('A') || EVENT_LETTERS.chars().all(has);
    let mut shown = String::from(if has_all { "A" } else { "" });
    shown.extend(EVENT_LETTERS.chars().filter(|&letter| !has_all && has(letter)));
    shown.extend("KEmn".chars().filter(|&letter| has(letter)));
    config.notify_keyspace_events = shown;
    Ok(())
}

fn show_percentiles(config: &Config) -> String {
    let shown: Vec<String> = config.latency_percentiles.iter().map(f64::to_string).collect();
    shown.join(" ")
}

fn read_percentiles(config: &mut Config, text: &str) -> Result<(), Refusal> {
    let read = |word: &str| word.parse().ok().filter(|share| (0.0..=100.0).contains(share));
    let shares: Option<Vec<f64>> = text.split_ascii_whitespace().map(read).collect();
    config.latency_percentiles =
        shares.ok_or("latency-tracking-info-percentiles are numbers from 0.0 to 100.0")?;
    Ok(())
}

fn show_output_limits(config: &Config) -> String {
    let limit = |(class, limit): (&&str, &OutputLimit)| {
        format!("{class} {} {} {}", limit.hard_bytes, limit.soft_bytes, limit.soft_seconds)
    };
    let classes = OUTPUT_CLASSES.iter().zip(&config.output_limits);
    classes.map(limit).collect::<Vec<_>>().join(" ")
}

fn write_output_limits(config: &Config) -> Vec<String> {
    let limit = |(class, limit): (&&str, &OutputLimit)| {
        let class = if *class == "slave" { "replica" } else { class };
        let (hard, soft) = (memory(limit.hard_bytes), memory(limit.soft_bytes));
        format!("{class} {hard} {soft} {}", limit.soft_seconds)
    };
    OUTPUT_CLASSES.iter().zip(&config.output_limits).map(limit).collect()
}

fn read_output_limits(config: &mut Config, text: &str) -> Result<(), Refusal> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (groups, []) = words.as_chunks::<4>() else {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    };
    for [class, hard, soft, seconds] in groups {
        let class = if class.eq_ignore_ascii_case("replica") { "slave" } else { class };
        let at = OUTPUT_CLASSES.iter().position(|name| name.eq_ignore_ascii_case(class));
        let limit = at.and_then(|at| config.output_limits.get_mut(at));
        let limit = limit.ok_or("Invalid client class specified in buffer limit configuration.")?;
        let bytes = |text: &str| parse_memory(text.as_bytes()).ok();
        match (bytes(hard), bytes(soft), seconds.parse()) {
            (Some(hard_bytes), Some(soft_bytes), Ok(soft_seconds)) => {
                *limit = OutputLimit { hard_bytes, soft_bytes, soft_seconds };
            }
            _ => {
                return Err("Error in hard, soft or soft_seconds setting in buffer limit \
                            configuration."
                    .into());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_back() {
        let mut config = Config::default();
        for setting in SETTINGS {
            let shown = setting.show(&config);
            setting
                .read(&mut config, &shown)
                .unwrap_or_else(|why| panic!("{}: {why}", setting.name));
            assert_eq!(setting.show(&config), shown, "{}", setting.name);
        }
        let names: Vec<_> = SETTINGS.iter().map(|setting| setting.name).collect();
        assert!(names.is_sorted(), "{names:?}");
    }

    fn check(name: &str, text: &str, expected: Result<&str, &str>) {
        let mut config = Config::default();
        let setting = find(name).expect(name);
        let given = setting.read(&mut config, text).map(|()| setting.show(&config));
        let expected = expected.map(String::from).map_err(|why| Refusal::from(String::from(why)));
        assert_eq!(given, expected, "{name} {text}");
    }

    #[test]
    fn values_are_checked() {
        check("MAXMEMORY", "100mb", Ok("104857600"));
        check("maxmemory", "0", Ok("0"));
        check("maxmemory", "lots", Err("argument must be a memory value"));
        check("maxmemory-policy", "ALLKEYS-LRU", Ok("allkeys-lru"));
        check("timeout", "-1", Err("argument must be between 0 and 2147483647 inclusive"));
        check("timeout", "x", Err("argument couldn't be parsed into an integer"));
        check("protected-mode", "maybe", Err("argument must be 'yes' or 'no'"));
        check("notify-keyspace-events", "KEA", Ok("AKE"));
        check("notify-keyspace-events", "Elg", Ok("glE"));
        check("dbfilename", "other.rdb", Ok("other.rdb"));
        check("dbfilename", "../x", Err("dbfilename can't be a path, just a filename"));
        check("save", "", Ok(""));
        check("save", "900 1  300 10", Ok("900 1 300 10"));
        check("save", "900", Err("Invalid save parameters"));
        check("appendonly", "yes", Ok("yes"));
        check("unixsocketperm", "0700", Ok("700"));
        check("unixsocketperm", "8", Err("argument couldn't be parsed as an octal number"));
        check("unixsocketperm", "1000", Err("argument must be between 0 and 777 inclusive"));
        check("bind", &"::1 ".repeat(17), Err("Too many bind addresses specified."));
        check("appendfsync", "Always", Ok("always"));
        check("maxmemory-clients", "3mb", Ok("3145728"));
        check("maxmemory-clients", "7%", Ok("7%"));
        let too_much = "percentage argument must be less or equal to 100";
        check("maxmemory-clients", "200%", Err(too_much));
        check("maxmemory-clients", "x%", Err("argument must be a memory or percent value"));
        check("shutdown-on-sigterm", "Force NOSAVE now", Ok("nosave now force"));
        check("shutdown-on-sigterm", "default", Ok("default"));
        let both = "shutdown options SAVE and NOSAVE can't be used simultaneously";
        check("shutdown-on-sigint", "save nosave", Err(both));
        check("oom-score-adj-values", "1 2  3", Ok("1 2 3"));
        let wide = "Invalid oom-score-adj-values, elements must be between -2000 and 2000.";
        check("oom-score-adj-values", "1 2 2001", Err(wide));
    }
}
