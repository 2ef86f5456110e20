//! Reading checkpoints: a thread reads blocks and looks at their checksums, and the caller's makes
//! keyspaces of them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use ferrite_engine::{Image, Keyspace};

use crate::checkpoint::files::File as Name;
use crate::checkpoint::format::{
    BLOCK_HEAD_BYTES, BlockHead, Fault, HEADER_BYTES, Header, Kind, Last,
};
use crate::checkpoint::{CheckpointError, Link, Loaded, Result, io_error};
use crate::database::Databases;
use crate::limits::{
    CHECKPOINT_BLOCK_BYTES, CHECKPOINT_CHAIN_MAX, CHECKPOINT_READ_BLOCKS, DATABASES_MAX,
};

/// A block that was read and is as it was written. The buffer may be longer than it.
struct Arrived {
    head: BlockHead,
    buffer: Vec<u8>,
}

/// What the files have brought so far.
#[derive(Default)]
struct Gathered {
    images: Vec<Image>,
    extra: Vec<u8>,
    last: Last,
    bytes: u64,
}

impl Fault {
    /// Whether an older file may stand in for one with this fault.
    pub fn is_damage(&self) -> bool {
        !matches!(self, Fault::FormatVersion(_) | Fault::ImageVersion(_) | Fault::Databases(_))
    }
}

fn damaged(path: &Path) -> impl Fn(Fault) -> CheckpointError {
    let path = path.to_path_buf();
    move |fault| CheckpointError::Damaged { path: path.clone(), fault }
}

/// Loads a checkpoint, with those that it follows, into the databases.
pub fn read(newest: &Name, known: &[Name], databases: &Databases) -> Result<(Loaded, Link)> {
    let files = chain(newest, known)?;
    let (mut gathered, mut link) = (Gathered::default(), None);
    for (name, header) in &files {
        read_file(name, &mut gathered)?;
        link = Some(match link {
            None => Link {
                base: header.sequence,
                base_bytes: gathered.bytes,
                changes_bytes: 0,
                sequence: header.sequence,
                checksum: gathered.last.checksum,
                followers: 0,
            },
            Some(before) => {
                let Link { sequence, checksum, changes_bytes, .. } = before;
                if header.previous != (sequence, checksum) {
                    return Err(damaged(&name.path)(Fault::Chain));
                }
                Link {
                    changes_bytes: changes_bytes + gathered.bytes,
                    sequence: header.sequence,
                    checksum: gathered.last.checksum,
                    followers: before.followers + 1,
                    ..before
                }
            }
        });
    }
    let (Some(link), Some((_, header))) = (link, files.last()) else {
        return Err(damaged(&newest.path)(Fault::Chain));
    };
    open(databases, gathered.images).map_err(damaged(&newest.path))?;
    let loaded = Loaded {
        path: newest.path.clone(),
        log_position: gathered.last.log_position,
        extra: gathered.extra,
        begun_ms: header.begun_ms,
        damaged: Vec::new(),
    };
    Ok((loaded, link))
}

/// The files that a checkpoint is made of: the full one first.
fn chain<'n>(newest: &'n Name, known: &'n [Name]) -> Result<Vec<(&'n Name, Header)>> {
    let mut files = Vec::new();
    let mut name = newest;
    while files.len() < CHECKPOINT_CHAIN_MAX {
        let fail = damaged(&name.path);
        let mut file = File::open(&name.path).map_err(io_error(&name.path))?;
        let mut bytes = [0; HEADER_BYTES];
        read_exact(&mut file, &mut bytes, 0).map_err(|why| why.about(&name.path))?;
        let header = Header::read(&bytes).map_err(&fail)?;
        if header.sequence != name.sequence {
            return Err(fail(Fault::Name));
        }
        files.push((name, header));
        if header.is_full() {
            files.reverse();
            return Ok(files);
        }
        let before = known.iter().find(|file| file.is(header.previous.0));
        name = before.ok_or_else(|| fail(Fault::Chain))?;
    }
    Err(damaged(&newest.path)(Fault::Chain))
}

/// Makes keyspaces of the images, and gives them to the databases.
fn open(databases: &Databases, images: Vec<Image>) -> std::result::Result<(), Fault> {
    let mut keyspaces: Vec<Keyspace> = Vec::new();
    for (number, image) in images.into_iter().enumerate() {
        let mut held = databases.hold();
        // Those that are not configured any more must be empty; any options will do for that.
        let options = held.get(number.min(databases.count() - 1)).options();
        drop(held);
        let keys = image.open(&options).map_err(|why| Fault::Image { database: number, why })?;
        if number >= databases.count() && !keys.is_empty() {
            return Err(Fault::Databases(number));
        }
        keyspaces.push(keys);
    }
    // Only now that nothing can be wrong any more.
    let mut held = databases.hold();
    held.take_all();
    for (number, keys) in keyspaces.into_iter().take(databases.count()).enumerate() {
        held.get(number).install(keys);
    }
    Ok(())
}

/// Why the next bytes of a file cannot be had.
enum Why {
    Io(io::Error),
    Fault(Fault),
}

impl Why {
    fn about(self, path: &Path) -> CheckpointError {
        match self {
            Why::Io(why) => io_error(path)(why),
            Why::Fault(fault) => damaged(path)(fault),
        }
    }
}

fn read_exact(file: &mut File, bytes: &mut [u8], at: u64) -> std::result::Result<(), Why> {
    file.read_exact(bytes).map_err(|why| match why.kind() {
        io::ErrorKind::UnexpectedEof => Why::Fault(Fault::CutOff { at }),
        _ => Why::Io(why),
    })
}

/// Reads a whole file.
fn read_file(name: &Name, gathered: &mut Gathered) -> Result<()> {
    let mut file = File::open(&name.path).map_err(io_error(&name.path))?;
    let (blocks, arriving) = sync_channel(CHECKPOINT_READ_BLOCKS);
    let (empty, buffers) = channel();
    gathered.extra.clear();
    let outcome = thread::scope(|scope| {
        let reader = scope.spawn(move || read_blocks(&mut file, &blocks, &buffers));
        let taken = take_blocks(arriving, &empty, gathered);
        // The reader ends when nobody takes its blocks.
        let read = reader.join().unwrap_or_else(|_| Err(Why::Io(io::ErrorKind::Other.into())));
        (read, taken)
    });
    match outcome {
        (_, Err(fault)) => Err(damaged(&name.path)(fault)),
        (Err(why), _) => Err(why.about(&name.path)),
        (Ok((last, bytes)), Ok(())) => {
            (gathered.last, gathered.bytes) = (last, bytes);
            Ok(())
        }
    }
}

/// Reads blocks up to the last, which tells whether they were all. It, and the length of the file.
fn read_blocks(
    file: &mut File,
    blocks: &SyncSender<Arrived>,
    buffers: &Receiver<Vec<u8>>,
) -> std::result::Result<(Last, u64), Why> {
    let mut header = [0; HEADER_BYTES];
    read_exact(file, &mut header, 0)?;
    let mut found = Last { checksum: crc32c::crc32c(&header), ..Last::default() };
    let mut at = HEADER_BYTES as u64;
    loop {
        let mut head = [0; BLOCK_HEAD_BYTES];
        read_exact(file, &mut head, at)?;
        let broken = Why::Fault(Fault::Checksum { at });
        let Some(head) = BlockHead::read(&head) else { return Err(broken) };
        let len = head.len as usize;
        if len > CHECKPOINT_BLOCK_BYTES {
            return Err(broken);
        }
        let mut buffer = buffers.try_recv().unwrap_or_default();
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        read_exact(file, &mut buffer[..len], at)?;
        if !head.fits(&buffer[..len]) {
            return Err(broken);
        }
        at += (BLOCK_HEAD_BYTES + len) as u64;
        if head.kind == Kind::Last {
            let last = Last::read(&buffer[..len]).ok_or(broken)?;
            let counted =
                Last { log_position: last.log_position, ended_ms: last.ended_ms, ..found };
            if counted != last {
                return Err(Why::Fault(Fault::Blocks));
            }
            return match file.read(&mut [0]).map_err(Why::Io)? {
                0 => Ok((last, at)),
                _ => Err(Why::Fault(Fault::TooLong { at })),
            };
        }
        found.count(&head);
        if blocks.send(Arrived { head, buffer }).is_err() {
            // What is wrong the other side knows.
            return Err(Why::Fault(Fault::Blocks));
        }
    }
}

/// Takes blocks as they come, until there are no more.
fn take_blocks(
    arriving: Receiver<Arrived>,
    empty: &Sender<Vec<u8>>,
    gathered: &mut Gathered,
) -> std::result::Result<(), Fault> {
    for Arrived { head, buffer } in arriving {
        let bytes = &buffer[..head.len as usize];
        let number = usize::from(head.database);
        if number >= DATABASES_MAX {
            return Err(Fault::Databases(number));
        }
        if gathered.images.len() <= number {
            gathered.images.resize_with(number + 1, Image::new);
        }
        match head.kind {
            Kind::Pieces => {
                let taken = gathered.images[number].take(bytes);
                taken.map_err(|why| Fault::Image { database: number, why })?;
            }
            Kind::Anew => gathered.images[number] = Image::new(),
            Kind::Extra => gathered.extra.extend_from_slice(bytes),
            Kind::Last => {}
        }
        // Nobody waits for it once the reader is done.
        let _ = empty.send(buffer);
    }
    Ok(())
}
