//! What crosses packages: transcripts and the two subjects that replay them, the engine and a
//! real redis-server.
//! Invariant: no reply depends on a real clock, and nothing sleeps for time to pass.
//! Not here: the tests themselves (`tests/*.rs`).

pub mod answer;
pub mod documents;
pub mod engine;
pub mod family;
pub mod functions;
pub mod model;
pub mod op;
pub mod oracle;
pub mod random;
pub mod simulation;
pub mod subject;
pub mod trace;
pub mod transcript;
