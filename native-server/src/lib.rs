//! The server `ferrite`: the engine behind Redis's protocol.
//!
//! It is a host of the engine like any other: commands on keys are the engine's, found in its
//! table. What it adds is the network ([`connection`]), what a connection is in the middle of
//! ([`session`]), the commands that concern the server itself ([`commands`]), and the figures.
//!
//! Not here: a second implementation of anything that the engine does.

pub mod acl;
pub mod allocator;
pub mod changes;
pub mod checkpoint;
pub mod client;
pub mod clock;
pub mod commands;
pub mod config;
pub mod connection;
pub mod context;
pub mod cron;
pub mod crowd;
pub mod database;
pub mod encoding;
pub mod ending;
pub mod entrance;
pub mod functions;
pub mod gate;
pub mod glob;
pub mod io_thread;
pub mod latency;
pub mod limits;
pub mod lobby;
pub mod log;
pub mod lounge;
pub mod meter;
pub mod news;
pub mod number;
pub mod oom;
pub mod open_files;
pub mod persist;
pub mod plain_file;
pub mod preload;
pub mod process;
pub mod pubsub;
pub mod random;
pub mod rdb;
pub mod resp;
pub mod scripting;
pub mod server;
pub mod session;
pub mod slowlog;
pub mod socket;
pub mod stats;
pub mod supply;
pub mod tls;
pub mod tool;
pub mod tracking;
pub mod waiting;
pub mod watch;
