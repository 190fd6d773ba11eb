//! What subscribers hear of a cluster: on shard channels, which move with their slot, and on plain ones, at every node.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use redis::Value;

use crate::support::{
    entry_id, slot_of, text, wait_until, Client, Cluster, Id, Message, Moves, Options, Route, Subscriber, ToCluster,
    Words,
};

/// How many events are published.
const EVENTS: usize = 600;

/// How many events are published from one move to the next. A move takes place among the events behind it, and is over when
/// as many more have been published: however fast the machine is, nobody has heard all before the slot has moved.
const BETWEEN_MOVES: usize = 100;

/// What a channel begins with on which somebody says something last.
const LAST: &str = "test-last:";

/// The events that were published: symbols, and the ids that were replied.
type Published = Vec<(String, String)>;

/// How far both have come.
#[derive(Default)]
struct Progress {
    events: AtomicUsize,
    moves: AtomicUsize,
}

/// Publishes on the symbols in turns, and counts.
fn publish(cluster: &Cluster, symbols: &[String], progress: &Progress) -> Published {
    let mut route = ToCluster::new(&cluster.ports());
    let mut publish = |n: usize| {
        let due = (n / BETWEEN_MOVES).saturating_sub(1);
        wait_until("the moves so far", || progress.moves.load(Ordering::Relaxed) >= due);
        let symbol = &symbols[n % symbols.len()];
        let command = ["TRADE.PUBLISH", symbol, "trade.executed", "{}", "ID", &n.to_string()].words();
        let reply = route.ask(symbol, &command).expect("no node goes");
        progress.events.fetch_add(1, Ordering::Relaxed);
        (symbol.clone(), text(&reply).trim_matches('"').to_owned())
    };
    (0..EVENTS).map(&mut publish).collect()
}

/// Moves the slot of a symbol now and then, while it is published on.
fn keep_moving(cluster: &Cluster, symbol: &str, progress: &Progress) -> Moves {
    let (slot, mut moves) = (slot_of(symbol), Moves::default());
    for next in (BETWEEN_MOVES..EVENTS).step_by(BETWEEN_MOVES) {
        wait_until("some events", || progress.events.load(Ordering::Relaxed) >= next);
        moves.keys += cluster.reshard(slot, (cluster.owner(slot) + 1) % 3);
        moves.slots += 1;
        progress.moves.fetch_add(1, Ordering::Relaxed);
    }
    moves
}

/// Publishes on the symbols while the slot of the first one moves and others listen, as soon as they are `ready`.
fn with_moves<T: Send>(
    cluster: &Cluster,
    symbols: &[String],
    listen: impl FnOnce() -> T + Send,
    ready: impl FnMut() -> bool,
) -> (Published, Moves, T) {
    let progress = Progress::default();
    thread::scope(|scope| {
        let listening = scope.spawn(listen);
        wait_until("the listeners", ready);
        let moving = scope.spawn(|| keep_moving(cluster, &symbols[0], &progress));
        let published = publish(cluster, symbols, &progress);
        (published, moving.join().expect("moves"), listening.join().expect("a listener"))
    })
}

/// Who follows a shard channel as docs/consuming.md says: it listens where the slot is, and reads the log whenever it
/// begins to listen and when something is missing.
struct Follower<'c> {
    cluster: &'c Cluster,
    symbol: String,
    /// For the log.
    route: ToCluster,
    seen: Vec<String>,
    heard: BTreeSet<String>,
    subscriptions: u32,
    gaps: u32,
}

impl<'c> Follower<'c> {
    fn new(cluster: &'c Cluster, symbol: &str) -> Follower<'c> {
        let route = ToCluster::new(&cluster.ports());
        let (seen, heard) = (Vec::new(), BTreeSet::new());
        Follower { cluster, symbol: symbol.to_owned(), route, seen, heard, subscriptions: 0, gaps: 0 }
    }

    /// Follows until `count` events are known.
    fn follow(mut self, count: usize) -> Follower<'c> {
        while self.seen.len() < count {
            let mut client = self.cluster.client(self.cluster.owner(slot_of(&self.symbol)));
            client.send(format!("SSUBSCRIBE trades:{{{}}}:trade.executed", self.symbol));
            while self.take(&mut client) && self.seen.len() < count {}
        }
        self
    }

    /// Takes what comes next; `false` when it says that the channel is elsewhere.
    fn take(&mut self, client: &mut Client) -> bool {
        let parts = match client.receive().expect("a message in time") {
            Value::Array(parts) => parts,
            Value::ServerError(error) if error.code() == "MOVED" => return false,
            other => panic!("neither message nor confirmation: {}", text(&other)),
        };
        match text(&parts[0]).trim_matches('"') {
            "ssubscribe" => {
                self.subscriptions += 1;
                self.read_on();
            }
            "smessage" => self.hear(&parts[2]),
            "sunsubscribe" => return false,
            other => panic!("{other}"),
        }
        true
    }

    fn hear(&mut self, message: &Value) {
        let Value::BulkString(message) = message else { panic!("a message, not {}", text(message)) };
        let message: serde_json::Value = serde_json::from_slice(message).expect("JSON");
        let [id, prev_id] = ["id", "prev_id"].map(|name| message[name].as_str().expect("an id").to_owned());
        assert!(self.heard.insert(id.clone()), "{id} came twice");
        if entry_id(&prev_id) > self.last() {
            self.gaps += 1;
            self.read_on();
        }
        if entry_id(&id) > self.last() {
            self.seen.push(id);
        }
    }

    fn last(&self) -> Id {
        self.seen.last().map_or((0, 0), |id| entry_id(id))
    }

    fn read_on(&mut self) {
        let (ms, sequence) = self.last();
        let (log, from) = (format!("trade:{{{}}}:events", self.symbol), format!("({ms}-{sequence}"));
        let reply = self.route.ask(&self.symbol, &["XRANGE", &log, &from, "+"].words()).expect("no node goes");
        let Value::Array(entries) = reply else { panic!("XRANGE: {}", text(&reply)) };
        for entry in entries {
            let Value::Array(parts) = entry else { panic!("an entry, not {}", text(&entry)) };
            self.seen.push(text(&parts[0]).trim_matches('"').to_owned());
        }
    }
}

#[test]
fn a_subscriber_of_a_shard_channel_follows_its_slot() {
    let cluster = Cluster::start(3, 1, &Options::new().module_args("pubsub sharded"));
    let symbols = cluster.symbols_on(0, 2);
    let listen = || {
        thread::scope(|scope| {
            let each = EVENTS / symbols.len();
            let followers = symbols.iter().map(|symbol| Follower::new(&cluster, symbol));
            let following: Vec<_> = followers.map(|follower| scope.spawn(move || follower.follow(each))).collect();
            following.into_iter().map(|follower| follower.join().expect("a follower")).collect::<Vec<_>>()
        })
    };
    let mut node = cluster.client(0);
    let listened = || {
        let Value::Array(channels) = node.run("PUBSUB SHARDCHANNELS") else { panic!("an array") };
        channels.len() == symbols.len()
    };
    let (published, moves, followers) = with_moves(&cluster, &symbols, listen, listened);
    for follower in &followers {
        let of_symbol = published.iter().filter(|(symbol, _)| *symbol == follower.symbol);
        let wanted: Vec<_> = of_symbol.map(|(_, id)| id.clone()).collect();
        assert_eq!(follower.seen, wanted, "each once, in order");
        let Follower { symbol, heard, subscriptions, gaps, .. } = follower;
        println!(
            "{symbol}: {} of {} heard, {gaps} gaps, {subscriptions} subscriptions; {moves}",
            heard.len(),
            wanted.len()
        );
    }
    let [moved, stayed] = followers.as_slice() else { panic!("two followers") };
    assert!(moved.subscriptions > 1, "its slot has moved");
    assert_eq!((stayed.subscriptions, stayed.gaps), (1, 0), "nothing is missed where nothing moves");
}

/// All that a node tells of what was published before this call. A link between two nodes tells things in their order, so
/// that what a master says last comes last; said while the link is broken it is lost, and is said again.
fn until_the_last(cluster: &Cluster, subscriber: &mut Subscriber) -> Vec<Message> {
    let mut told = Vec::new();
    for master in cluster.masters() {
        let last = format!("{LAST}{master}");
        let mut client = cluster.client(master);
        wait_until("what a master says last", || {
            client.run(["PUBLISH", &last, ""]);
            told.extend(subscriber.until_now());
            told.iter().any(|message| message.channel == last)
        });
    }
    told.retain(|message| !message.channel.starts_with(LAST));
    told
}

/// No message comes twice. None is lost either, as long as the nodes are connected: they send without waiting for an
/// answer, and what a link had not sent when it broke they do not send again.
#[test]
fn every_node_tells_each_message_once() {
    let cluster = Cluster::start(3, 1, &Options::new());
    let symbols = vec![cluster.symbols_on(0, 1).remove(0), cluster.symbols_on(1, 1).remove(0)];
    let patterns = format!("PSUBSCRIBE trades:* {LAST}*");
    let mut subscribers: Vec<_> = (0..6).map(|node| cluster.server(node).subscribe(&patterns)).collect();
    let links = cluster.links();
    let (published, moves, ()) = with_moves(&cluster, &symbols, || (), || true);
    let published: BTreeSet<_> = published.into_iter().collect();
    assert_eq!(published.len(), EVENTS);
    let mut lost = 0;
    for (node, subscriber) in subscribers.iter_mut().enumerate() {
        let told = until_the_last(&cluster, subscriber);
        let id_of = |message: &Message| {
            let json = message.json();
            let [symbol, id] = ["symbol", "id"].map(|name| json[name].as_str().expect("a text").to_owned());
            (symbol, id)
        };
        let ids: BTreeSet<_> = told.iter().map(id_of).collect();
        assert_eq!(ids.len(), told.len(), "node {node} tells something twice");
        assert!(ids.is_subset(&published), "node {node}: {:?}", ids.difference(&published));
        lost += EVENTS - ids.len();
    }
    println!("{EVENTS} events at 6 nodes, {lost} messages lost; {moves}");
    assert!(lost == 0 || cluster.links() != links, "{lost} messages lost, and no link");
}
