//! Every transcript on the engine, and the transcripts against the command table: no row without
//! a request, no request without a row.

use std::collections::BTreeSet;

use ferrite_engine::Options;
use ferrite_tests::answer::Answer;
use ferrite_tests::engine::Engine;
use ferrite_tests::transcript::{self, Step};

#[test]
fn every_transcript_holds_on_the_engine() {
    let options = Options { max_memory_bytes: 64 << 20, seed: 1, ..Options::default() };
    let mut failures = Vec::new();
    for transcript in transcript::all() {
        let mut engine = Engine::new(&options);
        failures.extend(transcript::replay(&transcript, &mut engine, false));
        if let Err(broken) = engine.keys.validate() {
            failures.push(format!("{}: {broken}", transcript.name));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn rows_and_transcripts_know_each_other() {
    let rows: BTreeSet<String> =
        ferrite_engine::all().map(|spec| spec.name.to_ascii_lowercase()).collect();
    let mut exercised = BTreeSet::new();
    for transcript in transcript::all() {
        for step in transcript.steps {
            let Step::Request { line, words, expected, .. } = step else { continue };
            let name = String::from_utf8_lossy(&words[0]).to_ascii_lowercase();
            let unknown = matches!(&expected, Answer::Error(text)
                if text.starts_with("ERR unknown command "));
            assert!(
                unknown || rows.contains(&name),
                "{}:{line}: the table has no {name:?}",
                transcript.name
            );
            if !matches!(expected, Answer::Error(_)) {
                exercised.insert(name);
            }
        }
    }
    let forgotten: Vec<_> = rows.difference(&exercised).collect();
    assert!(forgotten.is_empty(), "no transcript shows these at work: {forgotten:?}");
}

#[test]
fn every_row_is_documented_once() {
    let mut names = BTreeSet::new();
    for spec in ferrite_engine::all() {
        assert!(names.insert(spec.name), "{} stands in the table twice", spec.name);
        assert!(spec.summary.ends_with('.'), "{} lacks its summary", spec.name);
        assert!(spec.since.split('.').count() == 3, "{}: since {:?}", spec.name, spec.since);
    }
}
