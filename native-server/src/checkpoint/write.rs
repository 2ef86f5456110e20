//! Writing a checkpoint: the moment, the walk, and the thread that writes the file.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{io, thread};

use crate::checkpoint::files::{self, File as Name};
use crate::checkpoint::format::{BlockHead, HEADER_BYTES, Header, Kind, Last};
use crate::checkpoint::queue::{Block, Queue, Sink};
use crate::checkpoint::{CheckpointError, Link, Result, Saved, io_error};
use crate::database::Databases;
use crate::limits::{CHECKPOINT_BLOCK_BYTES, CHECKPOINT_STEP_BYTES, CHECKPOINT_SYNC_BYTES};

/// Writes the checkpoint of a number, which follows another one if that is possible.
pub fn write(
    databases: &Databases,
    directory: &Path,
    sequence: u64,
    follows: Option<Link>,
    at: impl FnOnce() -> u64,
    extra: impl FnOnce() -> Vec<u8>,
) -> Result<(Saved, Link)> {
    let name = Name::temporary(directory, sequence);
    let outcome = write_file(databases, directory, &name, follows, at, extra);
    if outcome.is_err() {
        databases.each(|_, database| database.keys.give_up_snapshot());
        // What cannot be removed is removed before the next one is written.
        let _ = std::fs::remove_file(&name.path);
    }
    outcome
}

fn write_file(
    databases: &Databases,
    directory: &Path,
    name: &Name,
    follows: Option<Link>,
    at: impl FnOnce() -> u64,
    extra: impl FnOnce() -> Vec<u8>,
) -> Result<(Saved, Link)> {
    let sequence = name.sequence;
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&name.path)
        .map_err(io_error(&name.path))?;
    let queue = Arc::new(Queue::default());
    let header = Header {
        sequence,
        base: follows.map_or(sequence, |link| link.base),
        previous: follows.map_or((0, 0), |link| (link.sequence, link.checksum)),
        begun_ms: now_ms(),
    };
    let (moment, last) = thread::scope(|scope| {
        let writer = scope.spawn(|| write_blocks(&mut file, &header, &queue));
        let moment = begin(databases, &queue, header.is_full(), at);
        let is_whole = walk(databases, &queue);
        put_extra(&queue, extra());
        queue.complete();
        let written = writer.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
        let last = written.map_err(io_error(&name.path))?;
        if !is_whole {
            return Err(CheckpointError::GivenUp);
        }
        Ok((moment, last))
    })?;
    let last = Last { log_position: moment.log_position, ended_ms: now_ms(), ..last };
    put_last(&mut file, &last).map_err(io_error(&name.path))?;
    if databases.gives_up_checkpoint() {
        // The directory may be another server's soon.
        return Err(CheckpointError::GivenUp);
    }
    let whole = Name::whole(directory, sequence);
    std::fs::rename(&name.path, &whole.path).map_err(io_error(&whole.path))?;
    files::sync(directory)?;
    let file_bytes = file.metadata().map_err(io_error(&whole.path))?.len();
    let (base_bytes, changes_bytes) = match follows {
        Some(link) => (link.base_bytes, link.changes_bytes + file_bytes),
        None => (file_bytes, 0),
    };
    let link = Link {
        base: header.base,
        base_bytes,
        changes_bytes,
        sequence,
        checksum: last.checksum,
        followers: follows.map_or(0, |link| link.followers + 1),
    };
    let saved = Saved {
        path: whole.path,
        sequence,
        is_full: header.is_full(),
        bytes: file_bytes,
        log_position: moment.log_position,
        changes: moment.changes,
        locked: moment.locked,
        waits: queue.waits(),
    };
    Ok((saved, link))
}

/// The moment that a checkpoint is of.
struct Moment {
    log_position: u64,
    changes: u64,
    locked: Duration,
}

/// Begins snapshots of all databases at one moment: nothing changes while all databases are locked.
fn begin(
    databases: &Databases,
    queue: &Arc<Queue>,
    is_full: bool,
    at: impl FnOnce() -> u64,
) -> Moment {
    let mut held = databases.hold();
    held.take_all();
    let (begun, mut changes) = (Instant::now(), 0);
    for index in 0..databases.count() {
        let keys = &mut held.get(index).keys;
        changes += keys.changes();
        let number = index as u16;
        if !is_full && !keys.has_base() {
            let block = Block { kind: Kind::Anew, database: number, bytes: Vec::new() };
            queue.give_back(queue.put(block));
        }
        keys.begin_snapshot(is_full, &mut || Box::new(Sink::new(queue, number)));
    }
    Moment { log_position: at(), changes, locked: begun.elapsed() }
}

/// Walks through the pages of all databases, in steps between which others have their turn. Whether
/// all of them were written.
fn walk(databases: &Databases, queue: &Queue) -> bool {
    loop {
        let mut is_running = false;
        for index in 0..databases.count() {
            loop {
                queue.wait_for_room();
                if databases.gives_up_checkpoint() {
                    queue.close();
                }
                if queue.is_closed() {
                    return false;
                }
                let mut held = databases.hold();
                let keys = &mut held.get(index).keys;
                let begun = Instant::now();
                is_running |= keys.is_snapshot_running();
                if !keys.write_snapshot(CHECKPOINT_STEP_BYTES) {
                    break;
                }
                let held_for = begun.elapsed();
                drop(held);
                // A lock goes to whoever asks first. Without a pause that would be us again.
                thread::sleep(held_for);
            }
        }
        if !is_running {
            // Databases may have been swapped behind our back.
            let mut held = databases.hold();
            held.take_all();
            let is_over = |index| !held.get(index).keys.is_snapshot_running();
            if (0..databases.count()).all(is_over) {
                return true;
            }
        }
    }
}

fn put_extra(queue: &Queue, extra: Vec<u8>) {
    for part in extra.chunks(CHECKPOINT_BLOCK_BYTES) {
        queue.put(Block { kind: Kind::Extra, database: 0, bytes: part.into() });
    }
}

fn put_last(file: &mut File, last: &Last) -> io::Result<()> {
    let bytes = last.to_bytes();
    let head = BlockHead::of(Kind::Last, 0, &bytes).to_bytes();
    file.write_all(&[&head[..], &bytes].concat())?;
    file.sync_all()
}

/// Writes blocks as they come. One that cannot be written closes the queue.
fn write_blocks(file: &mut File, header: &Header, queue: &Queue) -> io::Result<Last> {
    let outcome = write_all_blocks(file, header, queue);
    if outcome.is_err() {
        queue.close();
    }
    outcome
}

fn write_all_blocks(file: &mut File, header: &Header, queue: &Queue) -> io::Result<Last> {
    let bytes: [u8; HEADER_BYTES] = header.to_bytes();
    file.write_all(&bytes)?;
    let mut last = Last { checksum: crc32c::crc32c(&bytes), ..Last::default() };
    let mut unsynced_bytes = 0;
    while let Some(Block { kind, database, bytes }) = queue.take() {
        let head = BlockHead::of(kind, database, &bytes);
        file.write_all(&head.to_bytes())?;
        file.write_all(&bytes)?;
        last.count(&head);
        unsynced_bytes += bytes.len();
        queue.give_back(bytes);
        if unsynced_bytes >= CHECKPOINT_SYNC_BYTES {
            // Bit by bit, so that the end does not keep the disk from others for long.
            file.sync_data()?;
            unsynced_bytes = 0;
        }
    }
    Ok(last)
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
