//! Random sequences of commands, on a server and on the model of it in memory. They must agree on every reply, word by
//! word, on every message, and after each command on the keys, values and expiries of its symbol; at the end, on all.
//!
//! The model takes the time as an argument, and the server has its own. So the server's time is asked before and behind
//! each command, in one go with it, and for one of the milliseconds in between, a few as a rule, the model must agree
//! with all that the server did. A command that runs while a key expires could rightly go either way: such a moment is
//! waited out beforehand.
//!
//! The model decides with the same core as the module, and so agrees with whatever the core decides, right or wrong: that it
//! is right is for the core's own tests. What is tried here is all around it: that arguments, replies and messages are
//! carried over as they are, that keys are read and written as the core says, and that what is remembered between commands
//! changes nothing.
//!
//! Seed and length are set as [`crate::fuzz`] says: `TRADEBUS_FUZZ_ROUNDS=5000 cargo test --release --test live model`.

mod hand;
mod keyspace;
mod market;
mod options;
mod said;
mod stream;
mod trade;
mod world;

use tradebus_core::memory::Published;

use crate::fuzz::beginning::begin_anew;
use crate::fuzz::budget::budget;
use crate::fuzz::generator::Generator;
use crate::fuzz::shrink::shrink;
use crate::fuzz::step::{line, origin, Step};
use crate::support::{unix_ms, Client, Options, Random, Server, Subscriber};
use keyspace::{difference, dump, Keys, Look};
use said::Said;
use world::{Answer, World};

/// Sequences that the usual run tries.
const ROUNDS: u64 = 16;

/// A key that expires this shortly before or behind a command, ms, might be there for it or not.
const UNSURE_MS: i64 = 25;

/// A server, and who looks at it.
struct Arena {
    server: Server,
    client: Client,
    messages: Subscriber,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    commands: u64,
    refused: u64,
    by_hand: u64,
    /// Sequences that met a key which expired under a command, and ended there.
    unsure: u64,
}

/// What a command met.
enum Met {
    Accepted,
    Refused,
    /// It was one by hand, which has no reply to compare.
    ByHand,
    /// A key that might have expired under it.
    Unsure,
}

impl Arena {
    fn start() -> Arena {
        // With one entry a node, trimming takes as many as it is told, as the model does.
        let options = Options::new().module_args("bar-grace 3600000").config("stream-node-max-entries 1");
        let server = Server::start(options);
        let (client, messages) = (server.client_resp3(), server.subscribe("PSUBSCRIBE *"));
        Arena { server, client, messages }
    }

    /// Runs a sequence; the error says where it went wrong, and how.
    fn run(&mut self, steps: &[Step], counts: &mut Counts) -> Result<(), String> {
        begin_anew(&mut self.client);
        self.messages.until_now();
        let mut world = World::new();
        let origin = origin(self.client.time_ms());
        for (place, step) in steps.iter().enumerate() {
            let words = step.words(origin);
            if let [config, set, name, value] = words.as_slice() {
                if (config.as_str(), set.as_str()) == ("CONFIG", "SET") {
                    self.client.run(&words);
                    world.configure(name.trim_start_matches("tradebus."), value);
                    continue;
                }
            }
            if words[0] == "DEBUG" {
                // What the data is loaded from is not data: nothing may have changed.
                self.settled(&world);
                self.client.run(&words);
                world.forget();
                continue;
            }
            let met = match hand::COMMANDS.contains(&words[0].as_str()) {
                true => self.by_hand(&mut world, &words),
                false => self.compare(&mut world, &words),
            };
            match met.map_err(|fault| format!("step {place}, {}\n{fault}", line(&words)))? {
                Met::Accepted => counts.commands += 1,
                Met::Refused => {
                    counts.commands += 1;
                    counts.refused += 1;
                }
                Met::ByHand => counts.by_hand += 1,
                Met::Unsure => {
                    counts.unsure += 1;
                    return Ok(());
                }
            }
        }
        self.holds(&world, None, Look::Whole).map_err(|fault| format!("at the end\n{fault}"))
    }

    /// Waits until no key is about to expire, and tells the time.
    fn settled(&mut self, world: &World) -> i64 {
        loop {
            let now = self.client.time_ms();
            if world.expiries(None).all(|at| !(now - UNSURE_MS..=now + UNSURE_MS).contains(&at)) {
                return now;
            }
        }
    }

    /// Does a plain command to a key of ours.
    fn by_hand(&mut self, world: &mut World, words: &[String]) -> Result<Met, String> {
        let before = self.settled(world);
        let words = world.by_hand(words, before);
        // For another type it is refused, and then it has changed nothing.
        self.client.text(&words);
        // A key that the command took away is gone, expired or not.
        if is_unsure(world, before, self.client.time_ms()) {
            return Ok(Met::Unsure);
        }
        self.holds(world, None, Look::Newest(hand::owner(&words[1]).1)).map(|()| Met::ByHand)
    }

    /// Sends a command and holds the model against what it did.
    fn compare(&mut self, world: &mut World, words: &[String]) -> Result<Met, String> {
        self.settled(world);
        self.client.send("TIME");
        self.client.send(words);
        self.client.send("TIME");
        let [before, reply, behind] = [(); 3].map(|()| self.client.receive().expect("a reply"));
        let (before, behind) = (unix_ms(&before), unix_ms(&behind));
        if is_unsure(world, before, behind) {
            return Ok(Met::Unsure);
        }
        let said = self.whole(words, known_part(Said::from(&reply)));
        let heard: Vec<_> = self.messages.until_now().into_iter().map(|m| (m.channel, m.payload)).collect();
        let mut faults = Vec::new();
        for now in before..=behind {
            let answer = world.answer(words, now);
            match self.agrees(world, &answer, &said, &heard, Look::Newest(&words[1])) {
                Ok(()) => {
                    world.take(answer);
                    return Ok(if matches!(said, Said::Error(_)) { Met::Refused } else { Met::Accepted });
                }
                Err(fault) => faults.push(format!("at {now}: {fault}")),
            }
        }
        Err(faults.join("\n"))
    }

    /// What a rebuild says in the end: on a busy machine, one slice is not always enough.
    fn whole(&mut self, words: &[String], mut said: Said) -> Said {
        while let (Some(next), "TRADE.REBUILD") = (said.field("next").filter(|next| *next != "0"), words[0].as_str()) {
            said = Said::from(&self.client.run(["TRADE.REBUILD", &words[1], "FROM", next, "DRYRUN"]));
        }
        said
    }

    fn agrees(
        &mut self,
        world: &World,
        answer: &Answer,
        said: &Said,
        heard: &[(String, String)],
        look: Look<'_>,
    ) -> Result<(), String> {
        if known_part(answer.said.clone()) != *said {
            return Err(format!("the server says {said:?}\n  the model {:?}", answer.said));
        }
        let expected: Vec<_> = answer.messages.iter().map(|Published { channel, body }| (channel, body)).collect();
        if !expected.iter().copied().eq(heard.iter().map(|(channel, body)| (channel, body))) {
            return Err(format!("the server tells {heard:#?}\n  the model {expected:#?}"));
        }
        self.holds(world, Some(answer), look)
    }

    /// Holds the server's keys against those of the model.
    fn holds(&mut self, world: &World, answer: Option<&Answer>, look: Look<'_>) -> Result<(), String> {
        let (now, server) = self.keys(world, answer, look);
        match difference(&server, &world.keys(answer, look, now)) {
            Some(difference) => Err(difference),
            None => Ok(()),
        }
    }

    /// The server's keys, at a time at which none expires.
    fn keys(&mut self, world: &World, answer: Option<&Answer>, look: Look<'_>) -> (i64, Keys) {
        loop {
            let (reading, keys) = dump(&mut self.client, look);
            let unsure = reading.start() - 2..=reading.end() + 2;
            if world.expiries(answer).all(|at| !unsure.contains(&at)) {
                return (*reading.start(), keys);
            }
        }
    }
}

/// What the model knows of a reply: not how many bytes a log takes.
fn known_part(said: Said) -> Said {
    said.without("log_bytes")
}

/// Whether a key of the model's might have expired between two times, and whatever ran there might have met it or not.
fn is_unsure(world: &World, before: i64, behind: i64) -> bool {
    world.expiries(None).any(|at| (before - 2..=behind + 2).contains(&at))
}

/// The sequence of a seed.
fn sequence(seed: u64) -> Vec<Step> {
    let mut random = Random::new(seed);
    let (length, is_hostile) = (30 + random.below(120), random.one_in(3));
    let mut generator = Generator::new(&mut random);
    let mut steps = generator.lifetimes();
    for _ in 0..generator.random.below(6) {
        steps.push(generator.setting());
    }
    for _ in 0..length {
        steps.push(match generator.random.below(30) {
            0 => generator.setting(),
            1 if generator.random.one_in(3) => Step::of("DEBUG RELOAD"),
            1..=4 if is_hostile => generator.by_hand(),
            _ => generator.command(),
        });
    }
    steps.retain(|Step(words)| !hand::COMMANDS.contains(&words[0].as_str()) || hand::is_followed(words));
    steps
}

#[test]
fn the_server_does_what_the_model_does() {
    let (first, rounds) = budget(ROUNDS);
    let mut arena = Arena::start();
    let mut counts = Counts::default();
    for seed in first..first + rounds {
        let steps = sequence(seed);
        let Err(fault) = arena.run(&steps, &mut counts) else { continue };
        let mut last = fault;
        let shortest = shrink(&steps, |part| match arena.run(part, &mut Counts::default()) {
            Ok(()) => false,
            Err(fault) => {
                last = fault;
                true
            }
        });
        let origin = origin(arena.client.time_ms());
        let lines: Vec<_> = shortest.iter().map(|step| line(&step.words(origin))).collect();
        panic!("TRADEBUS_FUZZ_SEED={seed} TRADEBUS_FUZZ_ROUNDS=1\n{}\n{last}", lines.join("\n"));
    }
    println!("{rounds} sequences: {counts:?}");
    // Neither all right nor all wrong, or it would not have tried much.
    let accepted = counts.commands - counts.refused;
    assert!(accepted > counts.refused && counts.refused > counts.commands / 50, "{counts:?}");
    assert!(counts.unsure <= rounds / 10 + 1, "{counts:?}");
    assert!(!arena.server.log().contains("internal error"), "{}", arena.server.log());
}
