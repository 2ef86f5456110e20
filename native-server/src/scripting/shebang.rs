//! The first line of a script, or of a library: `#!lua flags=no-writes` or `#!lua name=mylib`.

use std::ops::Range;

use crate::commands::Refusal;
use crate::functions::metadata::Flag;
use crate::resp::inline;

/// What a script says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Declared {
    /// Whether it says anything. One that does not goes by older rules.
    pub has_line: bool,
    /// Its flags.
    pub flags: Vec<Flag>,
}

impl Declared {
    /// Whether it has a flag.
    pub fn has(&self, flag: Flag) -> bool {
        self.flags.contains(&flag)
    }
}

/// A first line.
#[derive(Debug)]
pub struct Shebang {
    /// What it says.
    pub declared: Declared,
    /// How long it is, without its end.
    pub len: usize,
}

/// The flag of this name, as scripts and functions declare it.
pub fn flag(name: &str) -> Option<Flag> {
    const FLAGS: [Flag; 5] = [
        Flag::NoWrites,
        Flag::AllowOom,
        Flag::AllowStale,
        Flag::NoCluster,
        Flag::AllowCrossSlotKeys,
    ];
    FLAGS.into_iter().find(|flag| flag.name() == name)
}

impl Shebang {
    /// Of a script.
    ///
    /// # Errors
    /// Redis's, if it is wrong.
    pub fn of_script(text: &[u8]) -> Result<Shebang, Refusal> {
        let mut declared = Declared::default();
        if !text.starts_with(b"#!") {
            return Ok(Shebang { declared, len: 0 });
        }
        let end = text.iter().position(|&byte| byte == b'\n');
        let len = end.ok_or("ERR Invalid script shebang")?;
        let (bytes, ranges) = inline::split(text.get(..len).unwrap_or_default())
            .ok_or("ERR Invalid engine in script shebang")?;
        let word = |range: Range<usize>| bytes.get(range).unwrap_or_default();
        let mut words = ranges.into_iter().map(|range| String::from_utf8_lossy(word(range)));
        let engine = words.next().ok_or("ERR Invalid engine in script shebang")?;
        if engine != "#!lua" {
            return Err(format!("ERR Unexpected engine in script shebang: {engine}").into());
        }
        declared.has_line = true;
        for word in words {
            let Some(names) = word.strip_prefix("flags=") else {
                return Err(format!("ERR Unknown lua shebang option: {word}").into());
            };
            for name in names.split(',').filter(|_| !names.is_empty()) {
                let found = flag(name);
                declared.flags.push(found.ok_or_else(|| {
                    Refusal::from(format!("ERR Unexpected flag in script shebang: {name}"))
                })?);
            }
        }
        Ok(Shebang { declared, len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines_are_read() {
        let read = |text: &str| Shebang::of_script(text.as_bytes());
        let sound = |text: &str| read(text).expect(text);
        assert_eq!(sound("return 1").declared, Declared::default());
        let shebang = sound("#!lua flags=no-writes,allow-oom\nreturn 1");
        assert_eq!(shebang.declared.flags, [Flag::NoWrites, Flag::AllowOom]);
        assert_eq!(shebang.len, 31);
        assert!(sound("#!lua\nreturn 1").declared.has_line);
        let check = |text: &str, expected: &str| {
            assert_eq!(read(text).expect_err(text).to_string(), expected, "{text}");
        };
        check("#!lua", "ERR Invalid script shebang");
        check("#!python\n", "ERR Unexpected engine in script shebang: #!python");
        check("#!lua badger=data\n", "ERR Unknown lua shebang option: badger=data");
        check("#!lua flags=bad\n", "ERR Unexpected flag in script shebang: bad");
    }
}
