//! Both ends of both disciplines of a ring, with nothing but `std`, from engine/wire/PROTOCOL.md.

use crate::wire::{LAYOUT_HASH, RECORD_BYTES};
use std::ffi::{c_int, c_long, c_void};
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{fence, AtomicI64, Ordering};

pub type Record = [i64; RECORD_WORDS];
pub const RECORD_WORDS: usize = RECORD_BYTES / 8;

const MAGIC: i64 = i64::from_le_bytes(*b"HTRING01");
const HEAD: usize = 16;
const TAIL: usize = 32;
const WRITER_PID: usize = 48;
const READER_PID: usize = 64;
const WAITING: usize = 66;
const SLOTS: usize = 80;

const PROT_READ: c_int = 1;
const PROT_WRITE: c_int = 2;
const MAP_SHARED: c_int = 1;
const O_NOFOLLOW: c_int = if cfg!(target_arch = "aarch64") { 0o100000 } else { 0o400000 };
const F_OFD_SETLK: c_int = 37;
const F_WRLCK: i16 = 1;
const SYS_FUTEX: c_long = if cfg!(target_arch = "aarch64") { 98 } else { 202 };
const FUTEX_WAKE: c_int = 1;

#[repr(C)]
struct Flock {
    l_type: i16,
    l_whence: i16,
    l_start: i64,
    l_len: i64,
    l_pid: i32,
}

extern "C" {
    fn mmap(at: *mut c_void, bytes: usize, access: c_int, flags: c_int, fd: c_int, offset: i64)
        -> *mut c_void;
    fn munmap(at: *mut c_void, bytes: usize) -> c_int;
    fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
}

#[derive(Clone, Copy, PartialEq)]
pub enum Discipline {
    Broadcast = 1,
    Queue = 2,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Role {
    Writer = 0,
    Reader = 1,
}

/// Map a whole file; it stays mapped as long as the process, or its ring, lives.
pub fn map_shared(file: &File, bytes: usize, is_writable: bool)
    -> std::io::Result<*const AtomicI64> {
    let access = if is_writable { PROT_READ | PROT_WRITE } else { PROT_READ };
    let at = unsafe { mmap(ptr::null_mut(), bytes, access, MAP_SHARED, file.as_raw_fd(), 0) };
    if at as isize == -1 { Err(std::io::Error::last_os_error()) } else { Ok(at as *const AtomicI64) }
}

/// The seal of a queue's record `number`; an older lap's fits nothing new.
fn seal(record: &Record, number: i64) -> i64 {
    let mixed = |lane: u64, value: u64| {
        let lane = (lane ^ value).wrapping_mul(0xBF58476D1CE4E5B9);
        lane ^ lane >> 32
    };
    let start = (number as u64).wrapping_add(1).wrapping_mul(0x9E3779B97F4A7C15);
    let mut lanes = [0, 1, 2, 3].map(|lane| start.wrapping_add(lane));
    for (index, word) in record.iter().enumerate() {
        lanes[index % 4] = mixed(lanes[index % 4], *word as u64);
    }
    lanes.iter().fold(0, |found, lane| mixed(found, *lane)) as i64
}

/// One end of a ring. Broadcast readers map it read-only and leave no trace.
pub struct Ring {
    words: *const AtomicI64,
    bytes: usize,
    file: File,
    pid_word: Option<usize>,
    capacity: i64,
    position: i64,
    seen: i64,
    pub lost: i64,
    /// Queue: the next record is not what its writer wrote.
    pub is_damaged: bool,
}

impl Ring {
    pub fn attach(path: &Path, discipline: Discipline, role: Role, run_id: i64)
        -> Result<Ring, String> {
        let is_silent = discipline == Discipline::Broadcast && role == Role::Reader;
        let say = |why: &str| format!("{why}: ring={}", path.display());
        let file = OpenOptions::new()
            .read(true)
            .write(!is_silent)
            .custom_flags(O_NOFOLLOW)
            .open(path)
            .map_err(|error| say(&error.to_string()))?;
        let bytes = file.metadata().map_err(|error| say(&error.to_string()))?.len() as usize;
        if bytes < SLOTS * 8 {
            return Err(say("not a ring"));
        }
        let words = map_shared(&file, bytes, !is_silent).map_err(|error| say(&error.to_string()))?;
        let mut ring = Ring {
            words,
            bytes,
            file,
            pid_word: None,
            capacity: 0,
            position: 0,
            seen: 0,
            lost: 0,
            is_damaged: false,
        };
        ring.check(discipline, run_id).map_err(say)?;
        if !is_silent {
            ring.claim(role).map_err(say)?;
        }
        ring.capacity = ring.plain(3);
        let is_consumer = discipline == Discipline::Queue && role == Role::Reader;
        ring.position = ring.plain(if is_consumer { TAIL } else { HEAD });
        ring.seen = ring.plain(TAIL);
        Ok(ring)
    }

    fn check(&self, discipline: Discipline, run_id: i64) -> Result<(), &'static str> {
        let capacity = self.plain(3);
        for (is_right, what) in [
            (self.plain(0) == MAGIC, "not a ring"),
            (self.plain(1) == 2, "another version"),
            (self.plain(2) == discipline as i64, "another discipline"),
            ((2..=1 << 24).contains(&capacity) && capacity & (capacity - 1) == 0,
             "impossible capacity"),
            (self.plain(4) == RECORD_BYTES as i64, "another record size"),
            (self.plain(5) == run_id, "another run"),
            (self.plain(6) == LAYOUT_HASH, "another layout"),
        ] {
            if !is_right {
                return Err(what);
            }
        }
        let words = SLOTS + capacity as usize * (RECORD_WORDS + 1);
        if self.bytes == words * 8 { Ok(()) } else { Err("truncated or too long") }
    }

    fn claim(&mut self, role: Role) -> Result<(), &'static str> {
        let lock = Flock { l_type: F_WRLCK, l_whence: 0, l_start: role as i64, l_len: 1, l_pid: 0 };
        if unsafe { fcntl(self.file.as_raw_fd(), F_OFD_SETLK, &lock) } != 0 {
            return Err("another one is attached");
        }
        let word = if role == Role::Writer { WRITER_PID } else { READER_PID };
        self.word(word).store(std::process::id() as i64, Ordering::Relaxed);
        self.word(word + 1).fetch_add(1, Ordering::Relaxed);
        self.pid_word = Some(word);
        Ok(())
    }

    fn word(&self, index: usize) -> &AtomicI64 {
        assert!(index < self.bytes / 8);
        unsafe { &*self.words.add(index) }
    }

    fn plain(&self, index: usize) -> i64 {
        self.word(index).load(Ordering::Relaxed)
    }

    fn slot(&self, position: i64) -> usize {
        SLOTS + (position & (self.capacity - 1)) as usize * RECORD_WORDS
    }

    fn stamp(&self, position: i64) -> &AtomicI64 {
        let index = (position & (self.capacity - 1)) as usize;
        self.word(SLOTS + self.capacity as usize * RECORD_WORDS + index)
    }

    fn write_slot(&self, record: &Record) {
        let slot = self.slot(self.position);
        for (index, value) in record.iter().enumerate() {
            self.word(slot + index).store(*value, Ordering::Relaxed);
        }
    }

    fn read_slot(&self, record: &mut Record) {
        let slot = self.slot(self.position);
        for (index, value) in record.iter_mut().enumerate() {
            *value = self.plain(slot + index);
        }
    }

    pub fn position(&self) -> i64 {
        self.position
    }

    /// Publish all records; never waits for a reader.
    pub fn publish(&mut self, records: &[Record]) {
        let is_anyone_asleep = self.take_back_waiting();
        for batch in records.chunks(self.capacity as usize / 2) {
            for record in batch {
                self.stamp(self.position).store(0, Ordering::Release);
                fence(Ordering::Release); // StoreStore: no new word under the old stamp
                self.write_slot(record);
                self.position += 1;
                self.stamp(self.position - 1).store(self.position, Ordering::Release);
            }
            self.word(HEAD).store(self.position, Ordering::Release);
        }
        self.wake(is_anyone_asleep);
    }

    /// Read one record; false: nothing new, or lapped (then `lost` has grown).
    pub fn follow(&mut self, record: &mut Record) -> bool {
        if self.position >= self.word(HEAD).load(Ordering::Acquire) {
            return false;
        }
        if self.stamp(self.position).load(Ordering::Acquire) == self.position + 1 {
            self.read_slot(record);
            fence(Ordering::Acquire); // LoadLoad: the copy is done before the second look
            if self.stamp(self.position).load(Ordering::Acquire) == self.position + 1 {
                self.position += 1;
                return true;
            }
        }
        let firm = self.word(HEAD).load(Ordering::Acquire) - self.capacity / 2;
        self.lost += firm - self.position;
        self.position = firm;
        false
    }

    /// Put all records in, or none when they do not fit now.
    pub fn offer(&mut self, records: &[Record]) -> bool {
        let count = records.len() as i64;
        if count > self.capacity - (self.position - self.seen) {
            self.seen = self.word(TAIL).load(Ordering::Acquire);
            if count > self.capacity - (self.position - self.seen) {
                return false;
            }
        }
        let is_anyone_asleep = self.take_back_waiting();
        for record in records {
            self.write_slot(record);
            self.stamp(self.position).store(seal(record, self.position), Ordering::Relaxed);
            self.position += 1;
        }
        self.word(HEAD).store(self.position, Ordering::Release);
        self.wake(is_anyone_asleep);
        true
    }

    /// Take one record; false: the queue is empty, or `is_damaged` and nothing more is taken.
    pub fn take(&mut self, record: &mut Record) -> bool {
        if self.seen == self.position {
            self.seen = self.word(HEAD).load(Ordering::Acquire);
            if self.seen == self.position {
                return false;
            }
        }
        let is_possible = (1..=self.capacity).contains(&(self.seen - self.position));
        self.is_damaged |= !is_possible;
        if self.is_damaged {
            return false;
        }
        self.read_slot(record);
        self.is_damaged =
            self.stamp(self.position).load(Ordering::Relaxed) != seal(record, self.position);
        if self.is_damaged {
            return false;
        }
        self.position += 1;
        self.word(TAIL).store(self.position, Ordering::Release);
        true
    }

    /// Whether a reader may be asleep. Before head moves, never after: it could be the word of one
    /// that lies down again. The release of head orders the store.
    fn take_back_waiting(&self) -> bool {
        let is_anyone_asleep = self.word(WAITING).load(Ordering::Relaxed) != 0;
        if is_anyone_asleep {
            self.word(WAITING).store(0, Ordering::Relaxed);
        }
        is_anyone_asleep
    }

    /// Wake a reader that sleeps. Full fence: else head could become visible only after the look.
    fn wake(&self, is_anyone_asleep: bool) {
        fence(Ordering::SeqCst);
        if is_anyone_asleep || self.word(WAITING).load(Ordering::Relaxed) != 0 {
            let nobody = ptr::null::<c_void>();
            unsafe {
                syscall(SYS_FUTEX, self.words.add(HEAD), FUTEX_WAKE, i32::MAX, nobody, nobody, 0);
            }
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if let Some(word) = self.pid_word {
            self.word(word).store(0, Ordering::Relaxed);
        }
        unsafe { munmap(self.words as *mut c_void, self.bytes) };
    }
}
