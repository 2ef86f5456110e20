//! Every transcript on a real redis-server: the vectors say what Redis does, not what we believe.

use ferrite_tests::{oracle::Oracle, transcript};

#[test]
fn every_transcript_holds_on_redis_server() {
    let Some(mut oracle) = Oracle::start_or_skip() else {
        return;
    };
    let failures: Vec<String> = transcript::all()
        .iter()
        .flat_map(|transcript| transcript::replay(transcript, &mut oracle, true))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
