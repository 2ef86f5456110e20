//! Reading checkpoints: one thread reads blocks, several compare checksums and make the blocks'
//! pieces ready, which is most of the work, and the caller's puts them in their places.
//!
//! Invariant: blocks take effect in the order in which they stand in the file: they go round among
//! the threads, and are waited for in the same turn.

use std::fs::File;
use std::io::{self, Read};
use std::num::NonZero;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use ferrite_engine::{Image, Keyspace, Prepared};

use crate::checkpoint::files::File as Name;
use crate::checkpoint::format::{
    BLOCK_HEAD_BYTES, BlockHead, Fault, HEADER_BYTES, Header, Kind, Last,
};
use crate::checkpoint::{CheckpointError, Link, Loaded, Result, io_error};
use crate::database::Databases;
use crate::limits::{
    CHECKPOINT_BLOCK_BYTES, CHECKPOINT_CHAIN_MAX, CHECKPOINT_READ_BLOCKS,
    CHECKPOINT_READ_THREADS_MAX, DATABASES_MAX,
};
use crate::plain_file;

/// A block that was read. The buffer may be longer than it.
struct Arrived {
    /// Where in the file it begins.
    at: u64,
    head: BlockHead,
    buffer: Vec<u8>,
}

/// A block that is as it was written, and what it has.
enum Ready {
    /// Pieces of a database.
    Pieces(usize, Prepared),
    /// What came of a database before is void.
    Anew(usize),
    /// A part of what is kept beside keys.
    Extra(Vec<u8>),
}

/// What the files have brought so far.
#[derive(Default)]
struct Gathered {
    images: Vec<Image>,
    extra: Vec<u8>,
    last: Last,
    bytes: u64,
}

impl Gathered {
    fn image(&mut self, number: usize) -> &mut Image {
        if self.images.len() <= number {
            self.images.resize_with(number + 1, Image::new);
        }
        &mut self.images[number]
    }
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
        let mut file = plain_file::open(&name.path).map_err(io_error(&name.path))?;
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

/// How many threads make blocks ready.
fn thread_count() -> usize {
    let count = thread::available_parallelism().map_or(1, NonZero::get);
    count.min(CHECKPOINT_READ_THREADS_MAX)
}

/// Reads a whole file.
fn read_file(name: &Name, gathered: &mut Gathered) -> Result<()> {
    let mut file = plain_file::open(&name.path).map_err(io_error(&name.path))?;
    gathered.extra.clear();
    let outcome = thread::scope(|scope| {
        let (empty, buffers) = channel();
        let (mut blocks, mut ready) = (Vec::new(), Vec::new());
        for _ in 0..thread_count() {
            let (to_prepare, arriving) = sync_channel::<Arrived>(CHECKPOINT_READ_BLOCKS);
            let (prepared, to_place) = sync_channel(CHECKPOINT_READ_BLOCKS);
            blocks.push(to_prepare);
            ready.push(to_place);
            let empty = empty.clone();
            scope.spawn(move || {
                for block in arriving {
                    let outcome = prepare(&block);
                    // Neither is waited for any more where something went wrong.
                    let _ = empty.send(block.buffer);
                    if prepared.send(outcome).is_err() {
                        return;
                    }
                }
            });
        }
        let reader = scope.spawn(move || read_blocks(&mut file, &blocks, &buffers));
        let taken = place_blocks(&ready, gathered);
        // The threads end when nobody takes what they have.
        drop(ready);
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
    blocks: &[SyncSender<Arrived>],
    buffers: &Receiver<Vec<u8>>,
) -> std::result::Result<(Last, u64), Why> {
    let mut header = [0; HEADER_BYTES];
    read_exact(file, &mut header, 0)?;
    let mut found = Last { checksum: crc32c::crc32c(&header), ..Last::default() };
    let mut at = HEADER_BYTES as u64;
    for thread in blocks.iter().cycle() {
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
        let behind = at + (BLOCK_HEAD_BYTES + len) as u64;
        if head.kind == Kind::Last {
            let bytes = &buffer[..len];
            let last = Last::read(bytes).filter(|_| head.fits(bytes)).ok_or(broken)?;
            let counted =
                Last { log_position: last.log_position, ended_ms: last.ended_ms, ..found };
            if counted != last {
                return Err(Why::Fault(Fault::Blocks));
            }
            return match file.read(&mut [0]).map_err(Why::Io)? {
                0 => Ok((last, behind)),
                _ => Err(Why::Fault(Fault::TooLong { at: behind })),
            };
        }
        found.count(&head);
        if thread.send(Arrived { at, head, buffer }).is_err() {
            break;
        }
        at = behind;
    }
    // Nobody takes them any more: what is wrong the other side knows.
    Err(Why::Fault(Fault::Blocks))
}

/// Looks whether a block is as it was written, and makes ready what it has.
fn prepare(block: &Arrived) -> std::result::Result<Ready, Fault> {
    let Arrived { at, head, buffer } = block;
    let bytes = &buffer[..head.len as usize];
    if !head.fits(bytes) {
        return Err(Fault::Checksum { at: *at });
    }
    let number = usize::from(head.database);
    if number >= DATABASES_MAX {
        return Err(Fault::Databases(number));
    }
    Ok(match head.kind {
        Kind::Pieces => {
            let prepared = Prepared::of(bytes);
            Ready::Pieces(number, prepared.map_err(|why| Fault::Image { database: number, why })?)
        }
        Kind::Anew => Ready::Anew(number),
        Kind::Extra | Kind::Last => Ready::Extra(bytes.into()),
    })
}

/// Puts blocks in their places as they come, until there are no more.
fn place_blocks(
    ready: &[Receiver<std::result::Result<Ready, Fault>>],
    gathered: &mut Gathered,
) -> std::result::Result<(), Fault> {
    for thread in ready.iter().cycle() {
        let Ok(block) = thread.recv() else { break };
        match block? {
            Ready::Pieces(number, prepared) => {
                let placed = gathered.image(number).place(prepared);
                placed.map_err(|why| Fault::Image { database: number, why })?;
            }
            Ready::Anew(number) => *gathered.image(number) = Image::new(),
            Ready::Extra(bytes) => gathered.extra.extend_from_slice(&bytes),
        }
    }
    Ok(())
}
