//! How long things are kept: the log by length and age, finished entities by their TTL.

use redis::Value;

use crate::support::{text, wait_until, Options, Server};
use crate::twin::{ms_of, shown, Pair};

#[test]
fn a_log_stays_within_its_length() {
    const MAXLEN: i64 = 150;
    const NODE: i64 = 20;
    let options = Options::new().module_args(&format!("stream-maxlen {MAXLEN}"));
    let mut pair = Pair::start(options.config(&format!("stream-node-max-entries {NODE}")));
    let mut published: Vec<String> = Vec::new();
    for batch in [1, 7, 30, 1, 100, 61, 1, 1_000, 1].repeat(2) {
        let before = pair.client.int("XLEN trade:{S}:events");
        let events = "trade.executed {} ".repeat(batch);
        let Value::Array(ids) = pair.client.run(format!("TRADE.MPUBLISH S {batch} {events}")) else {
            panic!("MPUBLISH replies an array")
        };
        published.extend(ids.iter().map(|id| text(id).trim_matches('"').to_owned()));
        let after = pair.client.int("XLEN trade:{S}:events");
        let added = before + i64::try_from(batch).expect("small");
        assert!((added.min(MAXLEN)..MAXLEN + NODE).contains(&after), "{batch}: {before} -> {after}");
        let trims: Vec<_> = pair.effects().into_iter().filter(|effect| effect[0] == "XTRIM").collect();
        let wanted = ["XTRIM", "trade:{S}:events", "MAXLEN", "=", &after.to_string()].map(str::to_owned);
        assert_eq!(trims, if after < added { vec![wanted.to_vec()] } else { vec![] }, "{batch}");
        let oldest = pair.client.text("XRANGE trade:{S}:events - + COUNT 1");
        let wanted = &published[published.len() - usize::try_from(after).expect("a length")];
        assert!(oldest.contains(wanted.as_str()), "the newest {after} begin with {wanted}, not {oldest}");
    }
}

#[test]
fn a_log_stays_within_its_age() {
    // Nodes of one entry: what may go is then what does go.
    let options = Options::new().module_args("stream-maxage 40").config("stream-node-max-entries 1");
    let mut pair = Pair::start(options);
    let id = pair.client.string("TRADE.PUBLISH S trade.executed {}");
    wait_until("the entry to be old", || pair.client.time_ms() > ms_of(&id) + 40);
    pair.effects();
    let newest = pair.client.string("TRADE.PUBLISH S trade.executed {}");
    let effects: Vec<String> = pair.effects().iter().map(|effect| shown(effect)).collect();
    let wanted = [
        format!("XADD trade:{{S}}:events {newest} type trade.executed data {{}} ts {}", ms_of(&newest)),
        "XTRIM trade:{S}:events MAXLEN = 1".to_owned(),
        // Before the entry that it counts can be gone.
        format!("HSET trade:{{S}}:last :log_id {newest} trade.executed {newest}+2"),
    ];
    assert_eq!(effects, wanted);
    let log = pair.client.text("XRANGE trade:{S}:events - +");
    assert!(log.contains(&newest) && !log.contains(&id), "{log}");
}

#[test]
fn finished_entities_are_kept_as_long_as_configured() {
    for (setting, value, event, ttl) in [
        ("closed-ttl", 5_000, r#"order.cancelled '{"order_id":"1"}'"#, Some(5_000)),
        ("closed-ttl", 0, r#"order.cancelled '{"order_id":"1"}'"#, None),
        ("closed-ttl", 5_000, r#"signal.validated '{"signal_id":"1"}'"#, Some(5_000)),
        ("signal-ttl", 5_000, r#"signal.generated '{"signal_id":"1"}'"#, Some(5_000)),
        ("signal-ttl", 0, r#"signal.generated '{"signal_id":"1"}'"#, None),
    ] {
        let server = Server::start(Options::new());
        let mut client = server.client();
        client.run(format!("CONFIG SET tradebus.{setting} {value}"));
        let id = client.string(format!("TRADE.PUBLISH S {event}"));
        let kind = event.split('.').next().expect("a type");
        let expires = client.int(format!("PEXPIRETIME trade:{{S}}:{kind}:1"));
        let wanted = ttl.map_or(-1, |ttl| ms_of(&id) + ttl);
        assert_eq!(expires, wanted, "{setting} {value}: {event}");
    }
}

/// Ids are forgotten a generation at a time, the oldest first. How many are left then depends on how evenly its
/// buckets were filled, which with so few is not very.
#[test]
fn only_so_many_ids_are_remembered() {
    const MAX: usize = 1_000;
    const BATCH: usize = 250;
    let mut pair = Pair::start(Options::new().module_args(&format!("dedupe-max {MAX}")));
    let mut dropped = 0;
    for batch in 0..16 {
        let ids = (0..BATCH).map(|n| format!("{batch}-{n} ")).collect::<String>();
        pair.client.run(format!("TRADE.MPUBLISH S {BATCH} {}IDS {ids}", "trade.executed {} ".repeat(BATCH)));
        let effects = pair.effects();
        dropped += effects.iter().filter(|effect| effect[0] == "UNLINK").count();
        let buckets = pair.client.text("KEYS trade:{S}:seen:*");
        let remembered: i64 = buckets
            .split('"')
            .filter(|key| key.contains(":seen:"))
            .map(|bucket| pair.client.int(["HLEN", bucket]))
            .sum();
        let remembered = usize::try_from(remembered).expect("a count");
        let told = (batch + 1) * BATCH;
        assert!((told.min(MAX / 4)..=MAX).contains(&remembered), "{remembered} of {told}");
        let length = pair.client.int("XLEN trade:{S}:events");
        pair.client.run(format!("TRADE.PUBLISH S trade.executed {{}} ID {batch}-0"));
        assert_eq!(pair.client.int("XLEN trade:{S}:events"), length, "the newest are remembered");
    }
    assert!(dropped > 1, "{dropped} effects drop buckets");
}

/// Trimming takes a hundred nodes of a stream at most, and one trigger can add more than these.
#[test]
fn a_queue_is_trimmed_as_far_as_it_grew() {
    const BOTS: usize = 500;
    let options = Options::new().module_args("queue-maxlen 10");
    let mut pair = Pair::start(options.config("stream-node-max-entries 1"));
    let mut run = |command: &str| {
        pair.client.run(command);
        pair.effects()
    };
    run("COND.REGISTER S 1m 'close > 0' ID a");
    for bot in 0..BOTS {
        run(&format!("COND.SUBSCRIBE S a b{bot} TYPE dca"));
    }
    for _ in 0..2 {
        let trims: Vec<_> = run("COND.TRIGGER S a").into_iter().filter(|effect| effect[0] == "XTRIM").collect();
        assert_eq!(trims, [["XTRIM", "bots:{S}:dca", "MAXLEN", "=", "10"]]);
    }
    assert_eq!(pair.client.int("XLEN bots:{S}:dca"), 10);
}
