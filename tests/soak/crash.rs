//! One server that is killed, restarted, reloaded, left without its module and given another one, under load.

use std::sync::atomic::AtomicU16;
use std::sync::Arc;

use crate::report::{Progress, Promise, Row};
use crate::support::{audit, Address, Fault, Load, Options, Random, Safety, Server, ToMaster, KEEP_ALL};
use crate::Terms;

/// Commands between two faults.
const BETWEEN: u64 = 400;

/// Nothing that was acknowledged may be lost.
pub fn always(terms: Terms, progress: Progress) -> Row {
    run(terms, progress, "always", Promise::Everything)
}

/// The end of the machine could take a second with it, and that of the process next to nothing.
pub fn everysec(terms: Terms, progress: Progress) -> Row {
    run(terms, progress, "everysec", Promise::WholeEvents)
}

fn run(terms: Terms, progress: Progress, appendfsync: &str, promise: Promise) -> Row {
    let kept = |options: Options| options.config("appendonly yes").config(&format!("appendfsync {appendfsync}"));
    let (with, without) = (kept(Options::new().module_args(KEEP_ALL)), kept(Options::plain()));
    // What the publishers register at the beginning is on the disk, whatever is lost behind it.
    let mut server = Server::start(with.clone().config("appendfsync always"));
    let address: Address = Arc::new(AtomicU16::new(server.port()));
    let symbols = ["XAUUSD", "BTC/USDT:USDT", "EURUSD"].map(str::to_owned);
    let load = Load::start(&symbols, Safety::Replied, || Box::new(ToMaster::new(&address)));
    server.client().run(format!("CONFIG SET appendfsync {appendfsync}"));
    let strike = |fault, _: &mut Random| server.strike(fault, &with, &without);
    let faults = terms.strike(progress, &load, BETWEEN, &Fault::ALL, strike);
    let ledger = load.stop();
    progress.row(promise, faults, &ledger, audit(&ledger, &mut [server.client()]))
}
