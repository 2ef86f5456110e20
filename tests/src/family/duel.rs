//! Two subjects under one clock, asked the same random requests: the second is to answer as the
//! first does, and to hold the same.
//! Not here: which requests, and what is equal (`compare.rs`).

use std::collections::VecDeque;

use crate::answer::{Answer, request_text};
use crate::family::{Requests, compare};
use crate::subject::{START_MS, Subject};

/// How often the whole keyspace is compared, and the engine's invariants are checked.
const CONTENTS_EVERY: usize = 1_000;
const PROGRESS_EVERY: usize = 20_000;
const REMEMBERED: usize = 30;

/// How long a comparison goes on.
pub struct Duel {
    /// Where its requests come from.
    pub seed: u64,
    /// How many there are.
    pub commands: usize,
    /// How often the subject is looked at for whether it is sound.
    pub validate_every: usize,
}

/// Asks both the requests of one family, and compares.
///
/// # Panics
/// At the first difference, with the requests before it.
pub fn run<S: Subject>(
    name: &str,
    mut requests: Requests,
    duel: &Duel,
    oracle: &mut dyn Subject,
    subject: &mut S,
    validate: &mut dyn FnMut(&mut S) -> Result<(), &'static str>,
) {
    let Duel { seed, commands, validate_every } = *duel;
    println!("{name}: {commands} requests, {} forms of commands", requests.commands());
    oracle.reset();
    subject.reset();
    let mut now_ms = START_MS;
    let mut history: VecDeque<String> = VecDeque::new();
    let (mut errors, mut longest) = (0, 0);
    for step in 0..commands {
        if step == 0 || requests.random().one_in(20) {
            now_ms += requests.random().pick(&[1, 10, 100, 5_000]);
            oracle.set_clock(now_ms);
            subject.set_clock(now_ms);
            history.push_back(format!("the clock says {now_ms}"));
        }
        let request = requests.request(now_ms);
        history.push_back(shortened(&request_text(&request)));
        history.drain(..history.len().saturating_sub(REMEMBERED));
        let (expected, given) = compare::answers(oracle, subject, &request);
        let fail = |what: &str| -> ! {
            let before = Vec::from(history.clone()).join("\n  > ");
            panic!("{name}, seed {seed}, step {step}:\n  > {before}\n  {what}");
        };
        let differ = |expected: &Answer, given: &Answer| -> ! {
            let texts = [expected, given].map(|answer| shortened(&answer.to_string()));
            fail(&format!("redis-server {}\n  given        {}", texts[0], texts[1]));
        };
        errors += usize::from(matches!(expected, Answer::Error(_)));
        if let Answer::Array(items) = &expected {
            longest = longest.max(items.len());
        }
        if expected != given {
            differ(&expected, &given);
        }
        if step % validate_every == 0
            && let Err(broken) = validate(subject)
        {
            fail(&format!("a keyspace that is not sound: {broken}"));
        }
        if step % CONTENTS_EVERY == 0 {
            let (expected, given) = (compare::contents(oracle), compare::contents(subject));
            if let Some((expected, given)) = expected.iter().zip(&given).find(|(a, b)| a != b) {
                differ(expected, given);
            }
            assert_eq!(expected.len(), given.len(), "{name}, step {step}: a key too many");
        }
        if step > 0 && step % PROGRESS_EVERY == 0 {
            println!("{name}: {step} requests");
        }
    }
    println!(
        "{name}: {commands} requests, no difference; {errors} answered by an error, the longest \
         answer has {longest} items"
    );
}

/// What fits a terminal of a text of any length.
fn shortened(text: &str) -> String {
    const CHARACTERS_MAX: usize = 400;
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{} ... ({} bytes)", &text[..end], text.len()),
        None => text.into(),
    }
}
