//! The Rust side of the conformance tests: `peer ROLE RING RUN_ID COUNT`, as peer.c.

mod ring;
mod wire;

use ring::{Discipline, Record, Ring, Role, RECORD_WORDS};
use std::io::Write;
use std::path::Path;
use std::process::exit;
use std::thread::yield_now;

// Defines kinds!(each), which calls each!(Structure, KIND, (field) (field) ...) for every kind.
include!("fields.rs");

const REFUSED: i32 = 3;
const BATCH_MAX: usize = 5;

fn mix(number: u64, field: u64) -> u64 {
    let mut z = (number * 1009 + field + 1).wrapping_mul(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30).wrapping_mul(0xBF58476D1CE4E5B9);
    z ^ z >> 31
}

/// Compares as the type of the field, whatever that is.
fn same<T: PartialEq>(found: T, wanted: T) -> bool {
    found == wanted
}

#[allow(unused_assignments)]
fn fill(record: &mut Record, number: u64) {
    let mut kind = 0;
    *record = [0; RECORD_WORDS];
    macro_rules! each {
        ($structure:ident, $name:ident, $(($($member:tt)+))*) => {
            if kind == number % KINDS {
                let r = unsafe { &mut *(record.as_mut_ptr() as *mut wire::$structure) };
                let mut field = 0;
                r.kind = wire::$name;
                r.trace = number;
                $(r.$($member)+ = mix(number, field) as _; field += 1;)*
            }
            kind += 1;
        };
    }
    kinds!(each);
}

#[allow(unused_assignments)]
fn wrong_field(record: &Record, number: u64) -> Option<&'static str> {
    let mut kind = 0;
    macro_rules! each {
        ($structure:ident, $name:ident, $(($($member:tt)+))*) => {
            if kind == number % KINDS {
                let r = unsafe { &*(record.as_ptr() as *const wire::$structure) };
                let mut field = 0;
                if r.kind != wire::$name || r.trace != number {
                    return Some(stringify!($name));
                }
                $(
                    if !same(r.$($member)+, mix(number, field) as _) {
                        return Some(stringify!($($member)+));
                    }
                    field += 1;
                )*
            }
            kind += 1;
        };
    }
    kinds!(each);
    None
}

fn write_records(ring: &mut Ring, count: i64, is_queue: bool) {
    let mut size = 1;
    while ring.position() < count {
        let first = ring.position();
        let mut batch = [[0; RECORD_WORDS]; BATCH_MAX];
        let n = size.min((count - first) as usize);
        for (i, record) in batch[..n].iter_mut().enumerate() {
            fill(record, first as u64 + i as u64);
        }
        if is_queue {
            while !ring.offer(&batch[..n]) {
                yield_now();
            }
        } else {
            ring.publish(&batch[..n]);
        }
        size = size % BATCH_MAX + 1;
    }
}

fn read_records(ring: &mut Ring, count: i64, is_queue: bool) -> Result<(), String> {
    let mut record = [0; RECORD_WORDS];
    while ring.position() < count {
        if !(if is_queue { ring.take(&mut record) } else { ring.follow(&mut record) }) {
            if ring.is_damaged {
                return Err("damaged".into());
            }
            yield_now();
            continue;
        }
        let number = ring.position() - 1;
        if let Some(field) = wrong_field(&record, number as u64) {
            return Err(format!("wrong field: record={number}, field={field}"));
        }
    }
    println!("{}", ring.lost);
    Ok(())
}

fn play(arguments: &[String]) -> Result<(), String> {
    let [_, role, path, run_id, count] = arguments else {
        return Err("usage: peer ROLE RING RUN_ID COUNT".into());
    };
    let run_id = run_id.parse().map_err(|_| "RUN_ID is a number")?;
    let count = count.parse().map_err(|_| "COUNT is a number")?;
    let is_queue = role == "offer" || role == "take";
    let is_reader = role == "take" || role == "follow";
    let discipline = if is_queue { Discipline::Queue } else { Discipline::Broadcast };
    let side = if is_reader { Role::Reader } else { Role::Writer };
    let mut ring = Ring::attach(Path::new(path), discipline, side, run_id)?;
    if is_reader {
        println!("attached");
        std::io::stdout().flush().map_err(|error| error.to_string())?;
        return read_records(&mut ring, count, is_queue);
    }
    write_records(&mut ring, count, is_queue);
    Ok(())
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Err(why) = play(&arguments) {
        println!("{why}");
        exit(REFUSED);
    }
}
