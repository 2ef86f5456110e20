//! Any bytes as what a client sends: the parser finds the same requests, and the same fault, in
//! whatever pieces they come; and what it is told to expect next comes indeed.
#![no_main]

use ferrite_server::resp::ahead::Ahead;
use ferrite_server::resp::parser::{Allowed, Malformed, Parsed, Parser};
use libfuzzer_sys::fuzz_target;

/// Requests, and what ended them.
type Read = (Vec<Vec<Vec<u8>>>, Option<Malformed>);

/// Reads what comes in pieces of so many bytes, as a connection does.
fn read(input: &[u8], piece: usize, allowed: &Allowed) -> Read {
    let (mut parser, mut buffer, mut found) = (Parser::default(), Vec::new(), Vec::new());
    for piece in input.chunks(piece) {
        buffer.extend_from_slice(piece);
        loop {
            match parser.read(&buffer, allowed) {
                Ok(Parsed::Request(len)) => {
                    assert!((1..=buffer.len()).contains(&len), "a request has an end");
                    let mut arguments = Vec::new();
                    parser.arguments(&buffer, &mut arguments);
                    found.push(arguments.iter().map(|argument| argument.to_vec()).collect());
                    buffer.drain(..len);
                }
                Ok(Parsed::Incomplete(wanted)) => {
                    assert!(wanted <= allowed.bulk_bytes_max + 2, "no more than an argument");
                    break;
                }
                Err(malformed) => return (found, Some(malformed)),
            }
        }
    }
    (found, None)
}

fn owned(request: &[&[u8]]) -> Vec<Vec<u8>> {
    request.iter().map(|word| word.to_vec()).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, input)) = bytes.split_first() else { return };
    let allowed = Allowed { bulk_bytes_max: 1 << 10, is_stranger: first & 1 == 1 };
    let whole = read(input, input.len().max(1), &allowed);
    for piece in [1, 2, usize::from(first >> 1).max(3)] {
        assert_eq!(whole, read(input, piece, &allowed), "in pieces of {piece}");
    }
    // What is found several at once is found one by one as well.
    let mut arguments = Vec::new();
    let ahead = Ahead::read(input, &mut arguments);
    for number in 0..ahead.count() {
        let (request, end) = ahead.request(number, &arguments);
        assert!(end <= input.len(), "no more than there is");
        if !allowed.is_stranger && request.iter().all(|word| word.len() <= allowed.bulk_bytes_max) {
            assert_eq!(whole.0.get(number).map(Vec::as_slice), Some(&*owned(request)));
        } else {
            break;
        }
    }
});
