//! A stand-in for the signer in another language: `signer RUNTIME_DIR --secrets-fd N`.
//!
//! It signs and sends nothing. Orders that would rest it acknowledges as live and ends when they
//! are cancelled; those that would take it rejects as killed. To the supervisor, the core and the
//! tape it is the signer: it reads `orders`, reports on `exec`, beats in its counters, and stops
//! in order on SIGTERM.

mod counters;
mod ring;
mod wire;

use counters::Counters;
use ring::{Discipline, Record, Ring, Role, RECORD_WORDS};
use std::collections::BTreeMap;
use std::ffi::{c_int, c_ulong};
use std::fs::File;
use std::io::Read;
use std::os::fd::FromRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const COUNTERS: [&str; 11] = [
    "heartbeat_ns", "state", "pid", "rounds", "work", "errors", "round_ns_max", "collections",
    "dry_runs", "orders", "orders_open",
];
const HEARTBEAT_NS: usize = 0;
const STATE: usize = 1;
const PID: usize = 2;
const ROUNDS: usize = 3;
const WORK: usize = 4;
const ORDERS: usize = 9;
const ORDERS_OPEN: usize = 10;
const READY: i64 = 1;
const STOPPED: i64 = 3;

// engine/wire/codes.py
const SIGNER: u8 = 6;
const CONNECTED: u8 = 2;
const GTD: u8 = 1;
const LIVE: u8 = 1;
const VENUE_KILLED: u16 = 103;
const CANCELED: u16 = 160;

const CLOCK_MONOTONIC: c_int = 1;
const SIGTERM: c_int = 15;
const PR_SET_PDEATHSIG: c_int = 1;
const PAUSE: Duration = Duration::from_micros(200);

extern "C" {
    fn clock_gettime(clock: c_int, time: *mut [i64; 2]) -> c_int;
    fn signal(number: c_int, handler: extern "C" fn(c_int)) -> usize;
    fn prctl(option: c_int, ...) -> c_int;
}

static IS_STOPPING: AtomicBool = AtomicBool::new(false);

extern "C" fn on_stop(_: c_int) {
    IS_STOPPING.store(true, Ordering::Relaxed);
}

/// The integer after `"name":` in run.json, which holds each name once.
fn number(text: &str, name: &str) -> Result<i64, String> {
    let key = format!("\"{name}\":");
    let rest = text.split_once(&key).ok_or(format!("run file lacks {name}"))?.1.trim_start();
    let end = rest.find(|c: char| c != '-' && !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().map_err(|_| format!("not a number: {name}"))
}

struct Signer {
    exec: Ring,
    offset_ns: i64,
    open: BTreeMap<u64, (u32, u64)>, // order id -> instrument, trace
}

impl Signer {
    fn now_ns(&self) -> i64 {
        let mut time = [0; 2];
        unsafe { clock_gettime(CLOCK_MONOTONIC, &mut time) };
        time[0] * 1_000_000_000 + time[1] + self.offset_ns
    }

    /// Fill the header and put the record on `exec`, waiting for room: a report is never lost.
    fn report(&mut self, kind: u16, instrument: u32, trace: u64, body: impl Fn(&mut Record)) {
        let mut record: Record = [0; RECORD_WORDS];
        body(&mut record);
        let header = unsafe { &mut *(record.as_mut_ptr() as *mut wire::Ack) };
        header.kind = kind;
        header.source = SIGNER;
        header.instrument = instrument;
        header.trace = trace;
        header.local_ns = self.now_ns();
        while !self.exec.offer(&[record]) && !IS_STOPPING.load(Ordering::Relaxed) {
            std::thread::sleep(PAUSE);
        }
    }

    fn handle(&mut self, record: &Record) -> usize {
        let at = record.as_ptr();
        match record[0] as u16 {
            wire::NEW_ORDER => {
                let order = unsafe { *(at as *const wire::NewOrder) };
                self.answer(&order, self.now_ns());
                return 1;
            }
            wire::CANCEL => {
                let cancel = unsafe { *(at as *const wire::Cancel) };
                self.end(cancel.order_id);
            }
            wire::CANCEL_ALL => {
                for order_id in self.open.keys().copied().collect::<Vec<_>>() {
                    self.end(order_id);
                }
            }
            _ => {} // INSTRUMENT, STATUS and ARM are of use to who signs
        }
        0
    }

    fn answer(&mut self, order: &wire::NewOrder, polled_ns: i64) {
        let (order_id, instrument) = (order.order_id, order.instrument);
        if order.tif > GTD {
            self.report(wire::REJECT, instrument, order.trace, |record| {
                let reject = unsafe { &mut *(record.as_mut_ptr() as *mut wire::Reject) };
                reject.order_id = order_id;
                reject.reason = VENUE_KILLED;
                reject.polled_ns = polled_ns;
            });
            return;
        }
        self.open.insert(order_id, (instrument, order.trace));
        self.report(wire::ACK, instrument, order.trace, |record| {
            let ack = unsafe { &mut *(record.as_mut_ptr() as *mut wire::Ack) };
            ack.order_id = order_id;
            ack.polled_ns = polled_ns;
            ack.status = LIVE;
        });
    }

    fn end(&mut self, order_id: u64) {
        if let Some((instrument, trace)) = self.open.remove(&order_id) {
            self.report(wire::DONE, instrument, trace, |record| {
                let done = unsafe { &mut *(record.as_mut_ptr() as *mut wire::Done) };
                done.order_id = order_id;
                done.reason = CANCELED;
            });
        }
    }
}

fn run(arguments: &[String]) -> Result<(), String> {
    let [_, runtime, option, descriptor] = arguments else {
        return Err("usage: signer RUNTIME_DIR --secrets-fd N".into());
    };
    let descriptor: c_int = descriptor.parse().map_err(|_| format!("{option} is a number"))?;
    let mut secrets = Vec::new();
    let mut pipe = unsafe { File::from_raw_fd(descriptor) };
    pipe.read_to_end(&mut secrets).map_err(|error| error.to_string())?;
    let runtime = Path::new(runtime);
    let text = std::fs::read_to_string(runtime.join("run.json")).map_err(|e| e.to_string())?;
    let run_id = number(&text, "run_id")?;
    let counters = Counters::create(&runtime.join("signer.counters"), &COUNTERS)
        .map_err(|error| error.to_string())?;
    counters.set(PID, std::process::id() as i64);
    let attach = |name: &str, role| {
        Ring::attach(&runtime.join(name), Discipline::Queue, role, run_id)
    };
    let mut orders = attach("orders.ring", Role::Reader)?;
    let exec = attach("exec.ring", Role::Writer)?;
    let offset_ns = number(&text, "clock_offset_ns")?;
    let mut signer = Signer { exec, offset_ns, open: BTreeMap::new() };
    // There is no order log, so no order of an earlier life: the list is complete at once.
    signer.report(wire::RECOVERED, 0, 0, |record| {
        let recovered = unsafe { &mut *(record.as_mut_ptr() as *mut wire::Recovered) };
        recovered.last = 1;
    });
    signer.report(wire::RAIL_STATUS, 0, 0, |record| {
        let rail = unsafe { &mut *(record.as_mut_ptr() as *mut wire::RailStatus) };
        rail.connection = CONNECTED;
        rail.connects = 1;
    });
    let mut record = [0; RECORD_WORDS];
    counters.set(HEARTBEAT_NS, signer.now_ns());
    counters.set(STATE, READY);
    while !IS_STOPPING.load(Ordering::Relaxed) {
        while orders.take(&mut record) {
            counters.add(ORDERS, signer.handle(&record) as i64);
            counters.add(WORK, 1);
        }
        if orders.is_damaged {
            return Err("a command is damaged: ring=orders".into()); // the supervisor cancels all
        }
        counters.set(ORDERS_OPEN, signer.open.len() as i64);
        counters.add(ROUNDS, 1);
        counters.set(HEARTBEAT_NS, signer.now_ns());
        std::thread::sleep(PAUSE);
    }
    counters.set(STATE, STOPPED);
    Ok(())
}

fn main() {
    unsafe {
        signal(SIGTERM, on_stop);
        prctl(PR_SET_PDEATHSIG, SIGTERM as c_ulong);
    }
    if let Err(why) = run(&std::env::args().collect::<Vec<_>>()) {
        eprintln!("signer: {why}");
        std::process::exit(1);
    }
}
