//! Crashes and restarts in the middle of traffic: what was acknowledged is there, once, and hashes and indexes are
//! what the log comes to.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU16;
use std::sync::Arc;

use redis::Value;

use crate::support::{
    audit, text, Address, Client, Fault, Findings, Ledger, Load, Options, Safety, Server, Stop, ToMaster, KEEP_ALL,
};

/// Symbols that are published on at the same time. One has characters that are special elsewhere.
fn symbols() -> Vec<String> {
    ["XAUUSD", "BTC/USDT:USDT", "EURUSD"].map(str::to_owned).into()
}

fn with_module() -> Options {
    Options::new().module_args(KEEP_ALL)
}

/// How a server starts that syncs as this says, with the module and without.
fn synced(appendfsync: &str) -> (Options, Options) {
    let kept = |options: Options| options.config("appendonly yes").config(&format!("appendfsync {appendfsync}"));
    (kept(with_module()), kept(Options::plain()))
}

/// Publishers on this server.
fn load(server: &Server) -> Load {
    let address: Address = Arc::new(AtomicU16::new(server.port()));
    Load::start(&symbols(), Safety::Replied, || Box::new(ToMaster::new(&address)))
}

fn findings(server: &Server, ledger: &Ledger) -> Findings {
    let findings = audit(ledger, &mut [server.client()]);
    println!("{findings}; {} retries, {:?}, worst {:?}", ledger.retries, ledger.met, ledger.worst);
    findings
}

/// With `appendfsync always` a reply means that it is on the disk, whatever happens to the process.
#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_any_fault() {
    let (with, without) = synced("always");
    let mut server = Server::start(with.clone());
    let load = load(&server);
    for fault in Fault::ALL {
        load.await_more(300);
        server.strike(fault, &with, &without);
    }
    load.await_more(300);
    let ledger = load.stop();
    let findings = findings(&server, &ledger);
    assert!(findings.is_clean() && findings.acknowledged > 2_000, "{findings}");
}

/// With `everysec` the end of the process alone takes next to nothing with it, and what it takes is whole events.
#[test]
fn what_everysec_loses_is_whole() {
    let (with, without) = synced("everysec");
    let (always, _) = synced("always");
    let mut server = Server::start(always);
    let load = load(&server);
    // What the publishers have registered is on the disk. How much of the rest is lost is the disk's matter: behind a
    // sync that takes long, writes wait for two seconds.
    server.client().run("CONFIG SET appendfsync everysec");
    for _ in 0..4 {
        load.await_more(400);
        server.strike(Fault::Kill, &with, &without);
    }
    assert_whole(findings(&server, &load.stop()));
}

/// Nothing is written twice or halfway, whatever is lost.
#[track_caller]
fn assert_whole(findings: Findings) {
    assert_eq!(findings, Findings { acknowledged: findings.acknowledged, lost: findings.lost, ..Findings::default() });
}

/// A snapshot that is taken in mid-stream is of one moment, and publishers go on from it.
#[test]
fn a_snapshot_in_mid_stream_is_of_one_moment() {
    let mut server = Server::start(with_module());
    let load = load(&server);
    for _ in 0..3 {
        load.await_more(300);
        server.strike(Fault::Snapshot, &with_module(), &Options::plain());
        load.await_more(100);
        server.strike(Fault::Kill, &with_module(), &Options::plain());
    }
    load.await_more(100);
    let findings = findings(&server, &load.stop());
    assert_whole(findings);
    assert!(findings.lost > 0, "what came behind the snapshot cannot be there: {findings}");
}

/// Wherever the file ends, an event is there with all that follows from it, or not at all.
#[test]
fn a_torn_tail_ends_between_two_commands() {
    const TEARS: usize = 25;
    let options = || Options::new().append_only();
    let mut server = Server::start(options());
    let load = load(&server);
    load.await_more(200);
    let ledger = load.stop();
    server.stop(Stop::Kill);
    let file = incremental(server.dir());
    let whole = fs::read(&file).expect("an append-only file");
    let mut before = BTreeMap::new();
    // From the end backwards, in steps that fall on every part of a transaction.
    for tear in 0..TEARS {
        let kept = whole.len() - tear * 397;
        fs::write(&file, &whole[..kept]).expect("our own directory");
        server.start_again(options());
        let nothing_promised = Ledger {
            promised: ledger.promised.keys().map(|symbol| (symbol.clone(), Default::default())).collect(),
            ..Ledger::default()
        };
        let mut client = server.client();
        assert!(audit(&nothing_promised, &mut [server.client()]).is_clean(), "{kept} bytes of {}", whole.len());
        for symbol in symbols() {
            let ids = event_ids(&mut client, &symbol);
            for event_id in ids.iter().filter(|id| id.ends_with("order.filled")) {
                let batch = event_id.trim_end_matches("order.filled");
                let others = ["position.opened", "signal.generated"].map(|name| format!("{batch}{name}"));
                assert!(others.iter().all(|other| ids.contains(other)), "{kept}: half a batch of {symbol}: {ids:?}");
            }
            let longer = before.insert(symbol, ids.clone()).unwrap_or_else(|| ids.clone());
            assert_eq!(ids, longer[..ids.len()], "{kept}");
        }
        // The retry of what was torn off is an event like any other.
        client.run("TRADE.PUBLISH XAUUSD trade.executed {} ID again");
        server.stop(Stop::Kill);
    }
    let left: usize = before.values().map(Vec::len).sum();
    let promised: usize = ledger.promised.values().map(|promised| promised.trades.len()).sum();
    assert!(left > 0 && left < promised, "{left} of {promised}");
    server.start_again(options());
}

/// The part of the append-only file that is written to.
fn incremental(dir: &Path) -> PathBuf {
    let files = fs::read_dir(dir.join("appendonlydir")).expect("a directory of its own");
    let mut files = files.map(|file| file.expect("readable").path());
    files.find(|path| path.to_string_lossy().ends_with(".incr.aof")).expect("a file that grows")
}

/// The event ids of a symbol's log, oldest first.
fn event_ids(client: &mut Client, symbol: &str) -> Vec<String> {
    let Value::Array(entries) = client.run(format!("XRANGE trade:{{{symbol}}}:events - +")) else {
        panic!("XRANGE replies an array")
    };
    let id_of = |entry: &Value| {
        let shown = text(entry);
        let (_, rest) = shown.split_once("\"event_id\", \"").expect("every event of the load has an id");
        rest.split('"').next().expect("a first part").to_owned()
    };
    entries.iter().map(id_of).collect()
}

/// The script that writes a stream again as it is, but for the data of the newest entry.
const NEWEST_ALTERED: &str = "local all = redis.call('XRANGE', KEYS[1], '-', '+') redis.call('DEL', KEYS[1]) \
    for at, entry in ipairs(all) do local fields = entry[2] for i = 1, #fields, 2 do \
    if at == #all and fields[i] == 'data' then fields[i + 1] = 'other' end end \
    redis.call('XADD', KEYS[1], entry[1], unpack(fields)) end";

/// The audit itself: it sees what it looks for.
#[test]
fn an_audit_finds_what_is_wrong() {
    let (server, elsewhere) = (Server::start(Options::new()), Server::start(Options::plain()));
    let load = load(&server);
    // A candle and an event of the stream, of each symbol, and more than one of each.
    load.await_of_each(20);
    let ledger = load.stop();
    let mut client = server.client();
    let clean = findings(&server, &ledger);
    assert!(clean.is_clean(), "{clean}");
    let mut wanted = clean;
    let mut check = |client: &mut Client, command: &str, change: &dyn Fn(&mut Findings)| {
        client.run(command);
        change(&mut wanted);
        assert_eq!(audit(&ledger, &mut [server.client(), elsewhere.client()]), wanted, "{command}");
    };
    let streamed = ledger.promised["EURUSD"].events.len();
    check(&mut client, "HSET trade:{XAUUSD}:order:0 side SELL", &|found| found.differing += 1);
    check(&mut client, "XADD events:{XAUUSD} * event_id 0-beat", &|found| found.doubled += 1);
    check(&mut client, "XADD bots:{XAUUSD}:load * bar_time 1", &|found| found.doubled += 1);
    check(&mut client, "XTRIM cond:{EURUSD}:triggers MAXLEN 1", &|found| {
        found.lost += ledger.promised["EURUSD"].candles.len() - 1;
    });
    // As many as there were, but not the same.
    check(&mut client, "XADD cond:{EURUSD}:triggers * bar_time 1", &|found| found.doubled += 1);
    check(&mut client, &format!("EVAL \"{NEWEST_ALTERED}\" 1 events:{{EURUSD}}"), &|found| found.lost += 1);
    check(&mut client, "DEL events:{EURUSD}", &|found| found.lost += streamed - 1);
    check(&mut elsewhere.client(), "SET trade:{EURUSD}:last x", &|found| found.split += 1);
}
