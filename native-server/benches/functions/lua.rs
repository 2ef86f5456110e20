//! The same functions in Lua 5.1, which is what Redis embeds, and in LuaJIT, on a table.
//!
//! Each is a program of its own that measures its CPU time; where it is not installed, its rows
//! are missing, and a line says so.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::{Candidate, KEYS};

/// What both programs begin with: the store, and a clock around so many calls.
const COMMON: &str = "
local values, deadlines = {}, {}
local function measured(calls, call)
  local start = os.clock()
  for number = 0, calls - 1 do call(number) end
  print((os.clock() - start) / calls * 1e9)
end
";

const RATE_LIMIT: &str = "
local function rate_limit(key, limit, window_secs)
  limit, window_secs = tonumber(limit), tonumber(window_secs)
  local current = tonumber(values[key]) or 0
  if current >= limit then return {err = 'ERR rate limit exceeded'} end
  values[key] = tostring(current + 1)
  if current == 0 then deadlines[key] = window_secs * 1000 end
  return current + 1
end
local keys = {}
for number = 0, KEYS - 1 do keys[number] = string.format('api:user:%06d', number) end
measured(CALLS, function(number) rate_limit(keys[number % KEYS], '1000000000', '60') end)
";

const JSON_SUM: &str = "
local cjson = require 'cjson'
local function json_sum(document, total)
  local sum = 0
  for _, item in ipairs(cjson.decode(values[document]).items) do sum = sum + item.value end
  values[total] = tostring(sum)
  return sum
end
values.doc = [==[DOCUMENT]==]
measured(CALLS, function() assert(json_sum('doc', 'total') == EXPECTED) end)
";

pub struct Lua {
    program: &'static str,
}

impl Lua {
    /// The ones that are installed.
    pub fn found() -> Vec<Lua> {
        let found = |program: &&'static str| {
            let is_there = Command::new(program).arg("-v").output().is_ok();
            if !is_there {
                eprintln!("{program} is not installed: no rows for it");
            }
            is_there
        };
        ["lua5.1", "luajit"].into_iter().filter(found).map(|program| Lua { program }).collect()
    }

    pub fn rate_limit(self) -> Candidate {
        self.candidate(RATE_LIMIT.replace("KEYS", &KEYS.to_string()))
    }

    pub fn json_sum(self, document: &str, expected: f64) -> Candidate {
        let program = JSON_SUM.replace("DOCUMENT", document);
        self.candidate(program.replace("EXPECTED", &expected.to_string()))
    }

    fn candidate(self, program: String) -> Candidate {
        let name = self.program.to_string();
        let run = move |calls: usize| {
            let program = format!("{COMMON}{}", program.replace("CALLS", &calls.to_string()));
            let child = Command::new(self.program)
                .arg("-")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn();
            let mut child = child.expect("it was there before");
            child.stdin.take().expect("a pipe").write_all(program.as_bytes()).expect("it reads");
            let output = child.wait_with_output().expect("it ends");
            let text = String::from_utf8_lossy(&output.stdout);
            text.trim().parse().unwrap_or_else(|_| panic!("{}: {text}", self.program))
        };
        (name, Box::new(run))
    }
}
