//! An executor: what makes orders of triggers.
//!
//! When a condition fires, the server leaves an entry for each subscribed bot in the queue of the bot's type,
//! `bots:{<symbol>}:<type>`. The executors of a type share its queue in a consumer group. One turn of one of them:
//!
//! 1. COND.CLAIM: takes over what an executor that is gone has left. If there is nothing,
//! 2. XREADGROUP: takes the next entry that nobody has got yet.
//! 3. Does the work: places the order, and publishes what becomes of it.
//! 4. XACK, now that all of it is done.
//!
//! It may be killed anywhere in between, and then the entry comes again, to itself or to another one. Nothing is
//! done twice all the same: the order and the ID of each event are made of the entry's `order_ref`, so the
//! server knows what it has. The process has nothing to remember, and nothing to do after a start.

mod dca;
mod grid;
mod paper;
mod trend;
mod work;

use std::num::NonZeroU64;
use std::thread;
use std::time::Duration;

use redis::{Connection, RedisError, RedisResult};

use paper::Desk;
use work::{Entry, Work};

/// The consumer group of the executors.
const GROUP: &str = "executors";

/// What an executor can do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Buys on each trigger.
    Dca,
    /// Buys and sells at levels.
    Grid,
    /// Enters and leaves a position.
    Trend,
}

impl Kind {
    /// All of them, with the type of their bots.
    pub const ALL: [(&'static str, Kind); 3] = [("dca", Kind::Dca), ("grid", Kind::Grid), ("trend", Kind::Trend)];

    /// The type of its bots: the `TYPE` of their subscriptions.
    pub fn bot_type(self) -> &'static str {
        match self {
            Kind::Dca => "dca",
            Kind::Grid => "grid",
            Kind::Trend => "trend",
        }
    }

    /// A buy is a buy whenever it comes, but an exit that is done before its entry leaves the position open.
    fn is_in_order(self) -> bool {
        self == Kind::Trend
    }
}

/// How long to wait, and how often to try.
#[derive(Clone, Copy)]
pub struct Pace {
    /// After so long an entry was left: longer than an executor ever works on one. In milliseconds.
    pub idle_ms: u64,
    /// What was delivered more often becomes a dead letter.
    pub max_deliveries: u64,
    /// How long a turn waits when there is nothing to do, at the least: the server looks at its clock some ten
    /// times a second. None: not at all.
    pub wait_ms: Option<NonZeroU64>,
}

/// Why work is not done.
enum Failure {
    /// The entry cannot be done, or its order is refused. Others may be fine.
    Work(String),
    /// The server does not answer.
    Connection(RedisError),
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Failure {
        match error.code() {
            Some(_) => Failure::Work(error.to_string()),
            None => Failure::Connection(error),
        }
    }
}

type Outcome<T> = Result<T, Failure>;

/// What came of a turn.
pub enum Turn {
    /// There was nothing to do.
    Idle,
    /// Some work is done and acknowledged: this.
    Done(String),
    /// Some work is not, for this reason. It stays pending and comes again.
    Left(String),
}

/// An executor of one type of bots, for one symbol.
pub struct Executor {
    connection: Connection,
    kind: Kind,
    symbol: String,
    queue: String,
    consumer: String,
    pace: Pace,
}

impl Executor {
    /// Joins the group, which is made if this is its first executor. The consumer's name may be that of an
    /// executor before it: nothing depends on it.
    ///
    /// # Errors
    /// The server does not answer, or lets nobody make groups.
    pub fn start(
        mut connection: Connection,
        kind: Kind,
        symbol: &str,
        consumer: &str,
        pace: Pace,
    ) -> RedisResult<Executor> {
        let queue = format!("bots:{{{symbol}}}:{}", kind.bot_type());
        let mut create = redis::cmd("XGROUP");
        // From 0: what was triggered before there was an executor is work, too. A queue that is made here has this group
        // only: others of tradebus.consumer-groups begin with a queue's first entry, if that makes it.
        create.arg("CREATE").arg(&queue).arg(GROUP).arg(0).arg("MKSTREAM");
        match create.query::<()>(&mut connection) {
            Err(error) if error.code() != Some("BUSYGROUP") => return Err(error),
            _ => {}
        }
        Ok(Executor { connection, kind, symbol: symbol.to_owned(), queue, consumer: consumer.to_owned(), pace })
    }

    /// Takes one entry, does its work and acknowledges it. One, because what is taken together with an entry
    /// that kills its executor counts as delivered with it.
    ///
    /// # Errors
    /// The server does not answer. To end the program and start it again is all that there is to do.
    pub fn turn(&mut self) -> RedisResult<Turn> {
        let (left, dead) = self.take_left()?;
        if dead > 0 {
            return Ok(Turn::Left(format!("{dead} dead letters in trade:{{{}}}:dead", self.symbol)));
        }
        let taken = match left {
            Some(work) => Some(work),
            None if self.kind.is_in_order() && self.oldest_pending()?.is_some() => {
                // Somebody is at it, or was: then it is left to us soon.
                thread::sleep(Duration::from_millis(self.pace.wait_ms.map_or(0, NonZeroU64::get)));
                None
            }
            None => self.take_new()?,
        };
        match taken {
            Some(work) => self.attempt(&work),
            None => Ok(Turn::Idle),
        }
    }

    fn take_left(&mut self) -> RedisResult<(Option<Work>, u64)> {
        let mut command = redis::cmd("COND.CLAIM");
        command.arg(&self.symbol).arg(format!("QUEUE:{}", self.kind.bot_type())).arg(GROUP).arg(&self.consumer);
        command.arg(self.pace.idle_ms).arg(self.pace.max_deliveries).arg("COUNT").arg(1);
        let (entries, dead): (Vec<Entry>, u64) = command.query(&mut self.connection)?;
        Ok((entries.into_iter().next().map(Work::from), dead))
    }

    fn take_new(&mut self) -> RedisResult<Option<Work>> {
        let mut command = redis::cmd("XREADGROUP");
        command.arg("GROUP").arg(GROUP).arg(&self.consumer).arg("COUNT").arg(1);
        if let Some(wait_ms) = self.pace.wait_ms {
            command.arg("BLOCK").arg(wait_ms.get());
        }
        command.arg("STREAMS").arg(&self.queue).arg(">");
        let streams: Option<Vec<(String, Vec<Entry>)>> = command.query(&mut self.connection)?;
        Ok(streams.into_iter().flatten().flat_map(|(_, entries)| entries).next().map(Work::from))
    }

    /// The id of the entry that waits longest for its XACK, whoever has it.
    fn oldest_pending(&mut self) -> RedisResult<Option<String>> {
        let mut command = redis::cmd("XPENDING");
        command.arg(&self.queue).arg(GROUP).arg("-").arg("+").arg(1);
        let pending: Vec<(String, String, u64, u64)> = command.query(&mut self.connection)?;
        Ok(pending.into_iter().next().map(|(id, ..)| id))
    }

    fn attempt(&mut self, work: &Work) -> RedisResult<Turn> {
        if self.kind.is_in_order() && self.oldest_pending()?.is_some_and(|oldest| oldest != work.id) {
            return Ok(Turn::Left(format!("{} waits for the work before it", work.id)));
        }
        let mut desk = Desk::new(&mut self.connection, &self.symbol, self.kind.bot_type());
        let done = match self.kind {
            Kind::Dca => dca::act(&mut desk, work),
            Kind::Grid => grid::act(&mut desk, work),
            Kind::Trend => trend::act(&mut desk, work),
        };
        match done {
            Ok(what) => {
                redis::cmd("XACK").arg(&self.queue).arg(GROUP).arg(&work.id).query::<()>(&mut self.connection)?;
                Ok(Turn::Done(format!("{} {what}", work.bot_id)))
            }
            Err(Failure::Work(reason)) => Ok(Turn::Left(format!("{} stays pending: {reason}", work.id))),
            Err(Failure::Connection(error)) => Err(error),
        }
    }
}
