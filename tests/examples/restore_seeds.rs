//! Writes the first inputs of the fuzz target `restore` into a folder: the payloads of the
//! transcripts, without their frames. For `scripts/fuzz`.

use std::path::PathBuf;
use std::{env, fs};

use ferrite_tests::transcript::{self, Step};

/// Version and checksum, which stand behind the value.
const FRAME_BYTES: usize = 10;

fn main() {
    let folder = PathBuf::from(env::args().nth(1).expect("a folder to write into"));
    fs::create_dir_all(&folder).expect("a folder that can be made");
    let mut written = 0;
    for transcript in transcript::all() {
        for step in transcript.steps {
            let Step::Request { words, line, .. } = step else { continue };
            let is_restore = words[0].eq_ignore_ascii_case(b"RESTORE") && words.len() > 3;
            let value = words.get(3).and_then(|payload| payload.len().checked_sub(FRAME_BYTES));
            let Some(len) = value.filter(|_| is_restore) else { continue };
            let name = format!("{}-{line}", transcript.name);
            fs::write(folder.join(name), &words[3][..len]).expect("a file that can be written");
            written += 1;
        }
    }
    assert!(written > 0, "no transcript restores anything");
}
