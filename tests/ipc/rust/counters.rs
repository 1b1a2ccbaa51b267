//! A process's counters: one file, written by it alone, from engine/wire/PROTOCOL.md.

use crate::ring::map_shared;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

const NAME_BYTES: usize = 64;
const VALUES: usize = 2;

pub struct Counters {
    words: *const AtomicI64,
    count: usize,
}

impl Counters {
    /// The file gets its name only when it is whole.
    pub fn create(path: &Path, names: &[&str]) -> std::io::Result<Counters> {
        let draft = path.with_extension("counters.new");
        let _ = std::fs::remove_file(&draft);
        let mut file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&draft)?;
        let mut content = b"HTCOUNT1".to_vec();
        content.extend((names.len() as i64).to_le_bytes());
        content.resize((VALUES + names.len()) * 8, 0);
        for name in names {
            let mut text = name.as_bytes().to_vec();
            text.resize(NAME_BYTES, 0);
            content.extend(text);
        }
        file.write_all(&content)?;
        let words = map_shared(&file, content.len(), true)?;
        std::fs::rename(&draft, path)?;
        Ok(Counters { words, count: names.len() })
    }

    fn word(&self, index: usize) -> &AtomicI64 {
        assert!(index < self.count);
        unsafe { &*self.words.add(VALUES + index) }
    }

    pub fn set(&self, index: usize, value: i64) {
        self.word(index).store(value, Ordering::Relaxed);
    }

    pub fn add(&self, index: usize, n: i64) {
        self.word(index).fetch_add(n, Ordering::Relaxed);
    }
}
