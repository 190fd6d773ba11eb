//! What is done without a command: the server calls, ten times a second by default, and when its role or its data change.

use std::ffi::{c_int, c_void};
use std::time::{Duration, Instant};

use redis_module::raw::{self, RedisModuleCtx, RedisModuleEvent, RedisModuleEventCallback};
use tradebus_core::key::Key;
use tradebus_core::refusal::Code;

use super::api::api;
use super::cell::LockedCell;
use super::ctx::{Ctx, Server};
use super::load::{guarded, is_valkey};
use super::log::warn;
use super::strings::{self, RString, OK};
use crate::{closing, config, engines, rebuilds};

/// How long closing bars may take in one go, and for how many symbols at most.
const CLOSING_SLICE: Duration = Duration::from_millis(10);
const CLOSED_AT_ONCE: u32 = 200;

/// A symbol whose bars cannot be closed is tried again after this time, ms.
const CLOSE_AGAIN_MS: i64 = 60_000;

/// How long one look for forming bars takes: after a restart or a failover, when triggers wait for it, and else.
const URGENT_SLICE: Duration = Duration::from_millis(10);
const QUIET_SLICE: Duration = Duration::from_millis(2);

/// Keys that SCAN looks at in one go.
const SURVEY_STEP: i64 = 500;

/// In a cluster slots may come in ways that modules hear nothing of, and with them symbols whose bars nobody waits for.
const SURVEY_EVERY: Duration = Duration::from_secs(60);

/// After a bar could not be closed because its slot is not served: it is on its way, or the cluster is down, as it is for
/// each node that has just started.
const SURVEY_AGAIN: Duration = Duration::from_secs(1);

/// Who was not called for so long has hung, with all that it believes: while it did, another one may have been put in its
/// place. The server calls once a second at the least (`hz 1`).
const HUNG_MS: i64 = 1_500;

/// How long it closes no bars then, ms: what the others have to say is read within moments. A master that goes on at once
/// would trigger bots that the one in its place has triggered.
const STILL_MS: i64 = 3_000;

/// Valkey's event of an atomic slot migration, and the part of it that says that slots are ours now. Elsewhere the
/// numbers mean something else.
const VALKEY_EVENT_ATOMIC_SLOT_MIGRATION: u64 = 19;
const IMPORT_COMPLETED: u64 = 4;

/// The search of the keyspace for bars that ticks are building.
static SURVEY: LockedCell<Survey> = LockedCell::new(Survey::URGENT);

/// How long it took to close the bars of a symbol lately: what triggers many bots takes longer than what does not.
static CLOSING_COST: LockedCell<Duration> = LockedCell::new(Duration::ZERO);

/// When the server called last, and until when no bars are closed, Unix ms. By the time of day, because a machine that is
/// stopped does not count how long.
static PULSE: LockedCell<Pulse> = LockedCell::new(Pulse { last: 0, still_until: 0 });

struct Pulse {
    last: i64,
    still_until: i64,
}

impl Pulse {
    fn beat(&mut self, now: i64) {
        if self.last > 0 && now.saturating_sub(self.last) > HUNG_MS {
            self.still_until = now.saturating_add(STILL_MS);
        }
        self.last = now;
    }

    /// Whether it has gone on without a gap. One that has just woken up may come here before it is called.
    fn is_steady(&self, now: i64) -> bool {
        // A clock that was set back is no reason to wait for what it had been.
        let waits = (1..=STILL_MS).contains(&self.still_until.saturating_sub(now));
        now.saturating_sub(self.last) <= HUNG_MS && !waits
    }
}

struct Survey {
    /// The database, and the cursor in it; `None` while nothing is looked for.
    place: Option<(c_int, u64)>,
    slice: Duration,
    /// When a cluster node begins the next one.
    next: Option<Instant>,
}

impl Survey {
    const URGENT: Survey = Survey { place: Some((0, 0)), slice: URGENT_SLICE, next: None };
}

/// Has the server call.
///
/// # Errors
/// When it does not want to.
pub fn register(server: Server<'_>) -> Result<(), String> {
    begin_survey();
    let events: [(u64, RedisModuleEventCallback); 5] = [
        (raw::REDISMODULE_EVENT_CRON_LOOP, Some(run)),
        (raw::REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED, Some(data_changed)),
        (raw::REDISMODULE_EVENT_LOADING, Some(data_changed)),
        (raw::REDISMODULE_EVENT_SWAPDB, Some(data_changed)),
        (raw::REDISMODULE_EVENT_FLUSHDB, Some(flushed)),
    ];
    for (id, callback) in events {
        let event = RedisModuleEvent { id, dataver: 1 };
        // SAFETY: a live context; the server forgets the callback when it unloads the module.
        if unsafe { (api().subscribe_to_server_event)(server.as_ptr(), event, callback) } != OK {
            return Err(format!("the server did not accept a callback for its event {id}"));
        }
    }
    if is_valkey() {
        let event = RedisModuleEvent { id: VALKEY_EVENT_ATOMIC_SLOT_MIGRATION, dataver: 1 };
        // SAFETY: as above. Before Valkey 9 there is no such event, and this is refused.
        unsafe { (api().subscribe_to_server_event)(server.as_ptr(), event, Some(slots_migrated)) };
    }
    Ok(())
}

unsafe extern "C" fn run(ctx: *mut RedisModuleCtx, _event: RedisModuleEvent, _sub: u64, _data: *mut c_void) {
    guarded("cron", (), || {
        rebuilds::clean_up();
        // SAFETY: the context of this very callback.
        let Some(server) = (unsafe { Server::new(ctx) }) else { return };
        PULSE.borrow().beat(server.now());
        if server.may_write() {
            survey(server);
            arm_timers(server);
        }
    });
}

/// A change of roles, the begin or end of loading, or SWAPDB: whose bars are forming is to be found out.
unsafe extern "C" fn data_changed(_ctx: *mut RedisModuleCtx, _event: RedisModuleEvent, _sub: u64, _data: *mut c_void) {
    guarded("a change of the data", (), || {
        begin_survey();
        forget();
    });
}

/// Slots have come at once. (Those that come key by key: see `arrivals`.) Their bars are this node's to close now; and a
/// log may end with the entry that is remembered, while another node has mended the sums beside it.
unsafe extern "C" fn slots_migrated(_ctx: *mut RedisModuleCtx, _event: RedisModuleEvent, sub: u64, _data: *mut c_void) {
    if sub == IMPORT_COMPLETED {
        guarded("migrated slots", (), || {
            begin_survey();
            strings::forget_journals();
        });
    }
}

/// The memory of engines that judge nothing any more is wanted back at once, and nobody waits for bars that are gone. Those
/// in a database that was left alone are found again.
unsafe extern "C" fn flushed(_ctx: *mut RedisModuleCtx, _event: RedisModuleEvent, _sub: u64, _data: *mut c_void) {
    guarded("FLUSHALL", (), || {
        forget();
        closing::clear();
        begin_survey();
    });
}

/// Forgets what is believed by an id. The data may have another history now: a master that was cut off has lost its own
/// when it leads again, and the newest entry or candle may have the id that another one had in that. A rebuild would
/// write what it has folded of it.
fn forget() {
    engines::clear();
    rebuilds::end_all();
    strings::forget_journals();
}

fn begin_survey() {
    let mut survey = SURVEY.borrow();
    (survey.place, survey.slice) = (Some((0, 0)), URGENT_SLICE);
}

/// Forgets how far the survey has come.
pub fn clear() {
    *SURVEY.borrow() = Survey::URGENT;
}

/// Goes on looking for the symbols of which ticks are building bars. The clock closes these after a restart too.
fn survey(server: Server<'_>) {
    let begun = Instant::now();
    // Taken out meanwhile: what SCAN calls may begin the survey anew.
    let (place, slice) = {
        let mut survey = SURVEY.borrow();
        let begin = |_| server.is_cluster().then_some((0, 0));
        let place = survey.place.take().or_else(|| survey.next.take_if(|next| *next <= begun).and_then(begin));
        (place, survey.slice)
    };
    let Some(mut place) = place else { return };
    while begun.elapsed() < slice {
        match look(server, place) {
            Some(next) => place = next,
            None => {
                SURVEY.borrow().slice = QUIET_SLICE;
                survey_within(SURVEY_EVERY);
                return;
            }
        }
    }
    SURVEY.borrow().place.get_or_insert(place);
}

/// Has the next survey of a cluster node begin after this time at the latest.
fn survey_within(time: Duration) {
    let latest = Instant::now() + time;
    let mut survey = SURVEY.borrow();
    survey.next = Some(survey.next.map_or(latest, |next| next.min(latest)));
}

/// Looks at some keys; gives where to go on, `None` at the end.
fn look(server: Server<'_>, (database, cursor): (c_int, u64)) -> Option<(c_int, u64)> {
    let is_searched = database == 0 || config::any_db();
    if !is_searched || !server.select(database) {
        return None;
    }
    let found = Ctx::new(server, &[]).scan_symbols(cursor, Key::Forming, SURVEY_STEP).ok()?;
    for symbol in &found.symbols {
        closing::note_found(database, symbol, server.now());
    }
    Some(match found.cursor {
        0 => (database + 1, 0),
        cursor => (database, cursor),
    })
}

/// Has a timer fire at once for each symbol with a bar that is over. A timer is a callback of its own, and so each
/// symbol's effects are a transaction of their own: in a cluster, one must not have keys of several slots.
fn arm_timers(server: Server<'_>) {
    let now = server.now();
    if !closing::is_due(now)
        || !PULSE.borrow().is_steady(now)
        || !server.has_its_replicas()
        || !server.has_its_cluster()
    {
        return;
    }
    let cost = CLOSING_COST.borrow().max(CLOSING_SLICE / CLOSED_AT_ONCE);
    let count = (CLOSING_SLICE.as_nanos() / cost.as_nanos()).max(1);
    for (database, symbol) in closing::take_due(now, usize::try_from(count).unwrap_or(1)) {
        if server.select(database) {
            let symbol = Box::into_raw(Box::new(symbol));
            // SAFETY: a live context; the callback frees what it is given. It finds the database selected as it is now.
            unsafe { (api().create_timer)(server.as_ptr(), 0, Some(close), symbol.cast()) };
        }
    }
}

unsafe extern "C" fn close(ctx: *mut RedisModuleCtx, symbol: *mut c_void) {
    guarded("closing bars", (), || {
        // SAFETY: made by `arm_timers` for this very call.
        let symbol = unsafe { Box::from_raw(symbol.cast::<Box<str>>()) };
        // SAFETY: the context of this very callback.
        let Some(server) = (unsafe { Server::new(ctx) }) else { return };
        let ctx = Ctx::new(server, &[]);
        if !server.may_write() || !PULSE.borrow().is_steady(server.now()) {
            closing::note_found(ctx.database(), &symbol, server.now());
            return;
        }
        let begun = Instant::now();
        match closing::close_due(&ctx, &symbol) {
            Ok(()) => {}
            // A symbol that has left this node is not found again.
            Err(refusal) if refusal.code == Code::TryAgain => survey_within(SURVEY_AGAIN),
            Err(refusal) => {
                let seconds = CLOSE_AGAIN_MS / 1_000;
                warn(&format!("the bars of {symbol} cannot be closed, and are tried again in {seconds} s: {refusal}"));
                closing::note_found(ctx.database(), &symbol, server.now().saturating_add(CLOSE_AGAIN_MS));
            }
        }
        let mut cost = CLOSING_COST.borrow();
        *cost = (*cost * 3 + begun.elapsed()) / 4;
    });
}

impl Server<'_> {
    /// Whether this node decides: it is no replica, has its data, and is not told to keep still, as it is while a
    /// failover or CLIENT PAUSE waits for the replicas. Writing then would end the server.
    pub(super) fn may_write(self) -> bool {
        // SAFETY: a live context.
        let flags = unsafe { (api().get_context_flags)(self.as_ptr()) };
        let is = |flag: u32| flags & flag as c_int != 0;
        // SAFETY: no argument, no precondition.
        let must_be_still = unsafe { (api().avoid_replica_traffic)() } != 0;
        is(raw::REDISMODULE_CTX_FLAGS_MASTER) && !is(raw::REDISMODULE_CTX_FLAGS_LOADING) && !must_be_still
    }

    /// Whether `min-replicas-to-write` allows writes. The server asks that for commands only; but a master that is cut
    /// off must not trigger bots, which the master in its place does too.
    fn has_its_replicas(self) -> bool {
        let config = [RString::new(b"GET"), RString::new(b"min-replicas-to-write")];
        let wanted = self.call(c"CONFIG", c"v", &config).ok().and_then(|reply| {
            let value = reply.whole().elements().nth(1)?;
            std::str::from_utf8(value.bytes()?).ok()?.parse::<u64>().ok()
        });
        // Not to be read, if CONFIG was renamed: then there is nothing to go by.
        let wanted = wanted.unwrap_or(0);
        wanted == 0 || self.good_replicas() >= wanted
    }

    /// Whether the cluster serves: when it fell apart, another master may be in this one's place. The server refuses
    /// commands that write then; to look at the slot does not tell, since a cluster may allow reads
    /// (`cluster-allow-reads-when-down`).
    fn has_its_cluster(self) -> bool {
        if !self.is_cluster() {
            return true;
        }
        let info = self.call(c"CLUSTER", c"v", &[RString::new(b"INFO")]);
        let state = info.ok().and_then(|reply| {
            let told = String::from_utf8_lossy(reply.whole().bytes()?).into_owned();
            Some(told.split_once("cluster_state:")?.1.starts_with("ok"))
        });
        // Not to be read, if CLUSTER was renamed: then there is nothing to go by.
        state.unwrap_or(true)
    }

    /// Selects a database; `false` when there is none of the number.
    fn select(self, database: c_int) -> bool {
        // SAFETY: a live context.
        unsafe { (api().select_db)(self.as_ptr(), database) == OK }
    }
}
