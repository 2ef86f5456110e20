//! The transcripts on both files: the full one passes all that the engine passes; the lite one has
//! exactly the commands that it says it has, and passes what is about them alone.

use std::collections::BTreeSet;

use ferrite_engine::Group;
use ferrite_tests::answer::Answer;
use ferrite_tests::subject::Subject;
use ferrite_tests::transcript::{self, Step, Transcript};
use ferrite_wasi_tests::{FULL, Host, LITE};

/// The commands of its groups that the lite file leaves out.
const LITE_LACKS: &[&str] =
    &["copy", "dump", "incrbyfloat", "lcs", "object", "restore", "sort", "sort_ro"];

/// At least so many transcripts are about nothing but what the lite file has.
const LITE_TRANSCRIPTS_MIN: usize = 12;

#[test]
fn every_transcript_holds_in_the_full_file() {
    let mut host = Host::new(FULL);
    let failures = replay(&mut host, transcript::all().iter());
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn the_lite_file_has_strings_and_keys() {
    let mut host = Host::new(LITE);
    let has = |host: &mut Host, name: &str| {
        let unknown = format!("ERR unknown command '{name}'");
        !matches!(host.ask(&[name.into()]), Answer::Error(line) if line.starts_with(&unknown))
    };
    let groups = [Group::Connection, Group::Generic, Group::Server, Group::String];
    for spec in ferrite_engine::all() {
        let expected = groups.contains(&spec.group) && !LITE_LACKS.contains(&spec.name);
        assert_eq!(has(&mut host, spec.name), expected, "{}", spec.name);
    }
}

#[test]
fn transcripts_about_strings_and_keys_hold_in_the_lite_file() {
    let mut host = Host::new(LITE);
    let all = transcript::all();
    let mut is_known = |name: &String| {
        let answer = host.ask(&[name.as_bytes().to_vec()]);
        !matches!(answer, Answer::Error(line) if line.starts_with("ERR unknown command"))
    };
    // What no command is called by is unknown to both.
    let names = all.iter().flat_map(commands);
    let lite: BTreeSet<String> = names
        .filter(|name| ferrite_engine::find(name.as_bytes()).is_none() || is_known(name))
        .collect();
    let about_lite = all.iter().filter(|transcript| commands(transcript).is_subset(&lite));
    let about_lite: Vec<&Transcript> = about_lite.collect();
    assert!(about_lite.len() >= LITE_TRANSCRIPTS_MIN, "only {} transcripts", about_lite.len());
    let failures = replay(&mut host, about_lite.into_iter());
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// OBJECT HELP is documentation, of which the files have none.
fn is_about_documentation(failure: &str) -> bool {
    failure.to_ascii_uppercase().contains("> \"OBJECT\" \"HELP\"")
}

fn replay<'t>(host: &mut Host, transcripts: impl Iterator<Item = &'t Transcript>) -> Vec<String> {
    let failures = transcripts.flat_map(|one| transcript::replay(one, host, false));
    failures.filter(|failure| !is_about_documentation(failure)).collect()
}

fn commands(transcript: &Transcript) -> BTreeSet<String> {
    let names = transcript.steps.iter().filter_map(|step| match step {
        Step::Request { words, .. } => Some(String::from_utf8_lossy(&words[0]).to_lowercase()),
        Step::Advance(_) => None,
    });
    names.collect()
}
