//! Scripts and requests whose replies redis-server's must equal, byte for byte.

use ferrite_server::resp::inline;
use ferrite_tests::oracle::Oracle;

use crate::common::{Connection, TestServer};

/// A request: the words of a line behind `>`, or a script.
fn words(line: &str) -> Vec<Vec<u8>> {
    let Some(request) = line.strip_prefix("> ") else {
        return ["EVAL", line, "0"].map(|word| word.as_bytes().to_vec()).to_vec();
    };
    let (bytes, ranges) = inline::split(request.as_bytes()).expect(line);
    ranges.into_iter().map(|range| bytes[range].to_vec()).collect()
}

fn compare(protocol: &str, differences: &mut Vec<String>) {
    let Some(oracle) = Oracle::start_or_skip() else { return };
    let server = TestServer::plain();
    let (mut theirs, mut ours) = (Connection::new(oracle.address), server.connect());
    for connection in [&mut theirs, &mut ours] {
        connection.ask(protocol);
    }
    let lines = include_str!("scripts.txt").lines();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let request = words(line);
        let (expected, given) = (theirs.ask_words(&request), ours.ask_words(&request));
        if expected != given {
            differences.push(format!("{line}\n  redis   {expected:?}\n  ferrite {given:?}"));
        }
    }
}

#[test]
fn scripts_answer_as_in_redis() {
    let mut differences = Vec::new();
    compare("HELLO 2", &mut differences);
    compare("HELLO 3", &mut differences);
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}
