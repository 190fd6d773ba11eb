//! Scripts, functions, transactions and replicas: no way around what a user may do, and what only reads may be run where
//! nothing may be written.

use crate::commands::{on, COMMANDS, OF_THE_NODE};
use crate::security::{prepared, use_of_key, verdict, Verdict, FOREIGN, SYMBOL};
use crate::support::{Client, Options, Server};

/// Runs whatever command it is given, whose key is the first one.
const RUN: &str = "return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))";

/// The command line of a script that runs a sample.
fn scripted<'w>(head: &[&'w str], name: &'w str, sample: (&'w str, &[&'w str])) -> Vec<&'w str> {
    [head, &["1", name, sample.0], sample.1].concat()
}

/// A library with three functions like [`RUN`], that differ in their flags.
fn load_functions(client: &mut Client) {
    let library = "#!lua name=library\n\
        local function run(keys, args) return redis.call(args[1], keys[1], unpack(args, 2)) end\n\
        redis.register_function('plain', run)\n\
        redis.register_function{function_name='reading', callback=run, flags={'no-writes'}}\n\
        redis.register_function{function_name='unbounded', callback=run, flags={'allow-oom'}}";
    client.run(["FUNCTION", "LOAD", library]);
}

#[test]
fn a_script_has_the_rights_of_its_caller() {
    let server = prepared();
    let mut client = server.client();
    load_functions(&mut client);
    client.run("ACL SETUSER bot reset on >pw resetchannels ~* -@all +eval +fcall");
    for sample in COMMANDS {
        // Of the script's key itself, the user has all rights on both symbols.
        client.run(format!("ACL SETUSER bot resetkeys ~{SYMBOL} +{} (~* +eval +fcall)", sample.0));
        let mut bot = server.client_as("bot", "pw");
        for head in [&["EVAL", RUN][..], &["FCALL", "plain"]] {
            bot.run(scripted(head, SYMBOL, sample));
            let before = server.digest();
            let error = bot.error(scripted(head, FOREIGN, sample));
            assert!(error.contains("key"), "{sample:?}: {error}");
            assert_eq!(server.digest(), before, "{sample:?}");
        }
        client.run(format!("ACL SETUSER bot -{}", sample.0));
        let error = bot.error(scripted(&["EVAL", RUN], SYMBOL, sample));
        assert!(error.contains("command"), "{sample:?}: {error}");
        client.run("ACL SETUSER bot clearselectors");
    }
}

#[test]
fn what_only_reads_may_be_run_where_nothing_is_written() {
    let server = prepared();
    load_functions(&mut server.client());
    // No ping is to move the offset.
    server.client().run("CONFIG SET repl-ping-replica-period 3600");
    let replica = Server::start(Options::new().replica_of(&server));
    let (mut client, mut on_replica) = (server.client(), replica.client());
    let shebang = format!("#!lua flags=no-writes\n{RUN}");
    for sample in COMMANDS {
        let reads = use_of_key(sample.0) == "read";
        // As PUBLISH, a replay is no command for a script that must leave no trace.
        let is_silent = reads && !sample.0.ends_with(".REPLAY");
        let before = server.digest();
        for head in [&["EVAL_RO", RUN][..], &["EVAL", &shebang], &["FCALL", "reading"], &["FCALL_RO", "reading"]] {
            let reply = client.text(scripted(head, SYMBOL, sample));
            assert_eq!(!reply.starts_with("(error)"), is_silent, "{head:?} {sample:?}: {reply}");
            assert!(is_silent || reply.contains("Write commands are not allowed"), "{head:?} {sample:?}: {reply}");
        }
        assert_eq!(server.digest(), before, "{sample:?}");
        let reply = on_replica.text(on(SYMBOL, sample));
        assert_eq!(!reply.starts_with("(error)"), reads, "{sample:?}: {reply}");
        assert!(reads || reply.starts_with("(error) READONLY"), "{sample:?}: {reply}");
        let offset = |server: &Server| server.info("replication", "master_repl_offset");
        if is_silent {
            replica.catch_up_with(&server);
            let before = offset(&server);
            client.run(on(SYMBOL, sample));
            assert_eq!(offset(&server), before, "{sample:?} is told to replicas");
        }
    }
    for client in [&mut client, &mut on_replica] {
        client.run([OF_THE_NODE.0, "0"]);
        client.run(["EVAL_RO", "return redis.call('TRADE.SYMBOLS', '0')", "0"]);
    }
    assert_eq!(replica.digest(), server.digest());
}

#[test]
fn a_right_that_is_taken_before_exec_is_taken() {
    let server = prepared();
    let mut client = server.client();
    client.run("ACL SETUSER bot reset on >pw resetchannels ~* +@all");
    let mut bot = server.client_as("bot", "pw");
    let before = server.digest();
    bot.run("MULTI");
    for sample in COMMANDS {
        assert_eq!(bot.text(on(SYMBOL, sample)), "QUEUED", "{sample:?}");
    }
    client.run(format!("ACL SETUSER bot resetkeys ~{FOREIGN}"));
    let replies = bot.text("EXEC");
    assert_eq!(replies.matches("(error) NOPERM").count(), COMMANDS.len(), "{replies}");
    assert_eq!(server.digest(), before);
    bot.run("MULTI");
    assert_eq!(verdict(&mut bot, format!("TRADE.PUBLISH {SYMBOL} trade.executed {{}}")), Verdict::NoKey);
    assert!(bot.error("EXEC").starts_with("EXECABORT"));
    assert_eq!(server.digest(), before);
}

#[test]
fn a_function_that_may_exceed_memory_publishes_all_or_nothing() {
    let server = prepared();
    let mut client = server.client();
    load_functions(&mut client);
    client.run("CONFIG SET maxmemory 1");
    let sample = ("TRADE.PUBLISH", &["trade.executed", "{}"][..]);
    let before = server.digest();
    for head in [&["EVAL", RUN][..], &["FCALL", "plain"]] {
        let error = client.error(scripted(head, SYMBOL, sample));
        assert!(error.contains("OOM") || error.contains("maxmemory"), "{error}");
    }
    assert_eq!(server.digest(), before);
    let mut subscriber = server.subscribe("PSUBSCRIBE trades:*");
    let length = client.int("XLEN trade:{BTCUSDT}:events");
    client.run(scripted(&["FCALL", "unbounded"], SYMBOL, sample));
    assert_eq!(client.int("XLEN trade:{BTCUSDT}:events"), length + 1);
    assert_eq!(subscriber.until_now().len(), 1);
}
