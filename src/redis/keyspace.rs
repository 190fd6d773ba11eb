//! The keys of one symbol or stream during one command: opened once, type-checked, closed at the end.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{c_int, c_long};
use std::ptr;
use std::rc::Rc;

use redis_module::raw::{self, RedisModuleKey, RedisModuleStreamID, RedisModuleString};
use tradebus_core::hash::hash;
use tradebus_core::key::{Key, KeyType, Scope};
use tradebus_core::log::journal::Journal;
use tradebus_core::refusal::{Code, Outcome};
use tradebus_core::store::{Direction, Entry, Flow, Slot, Span, Store};
use tradebus_core::stream_id::StreamId;

use super::api::api;
use super::call::{ReplyPart, EPERM};
use super::ctx::Ctx;
use super::scan;
use super::strings::{self, RString, ScopeStrings, OK};

/// What a command does with its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads them.
    Read,
    /// Reads them, and publishes what they say: nothing is written, but replicas are told.
    Publish,
    /// Reads and writes them.
    Write,
    /// The same, when the server is out of memory too: what it writes lets others go on.
    Relieve,
}

/// The keys of one symbol or stream during one command.
pub struct Keyspace<'a> {
    pub(super) ctx: &'a Ctx<'a>,
    pub(super) strings: Rc<ScopeStrings>,
    scope: Scope<'a>,
    access: Access,
    keys: RefCell<OpenKeys>,
    singles: [Cell<Option<Slot>>; Key::SINGLE.len()],
    name: RefCell<String>,
}

/// Keys that one event touches: the log, the entity, its index, its fills, a bucket or two.
const KEYS_USUAL: usize = 8;

/// The keys that a command has opened, by slot.
struct OpenKeys {
    list: Vec<OpenKey>,
    /// The places of all by the hash of their name, once there are too many to look through.
    places: BTreeMap<u64, usize>,
}

/// Up to so many keys comparing hashes in a row beats a map. A bar with many conditions has ten thousand.
const SCANNED_MAX: usize = 256;

impl OpenKeys {
    fn find(&self, name_hash: u64, name: &[u8]) -> Option<Slot> {
        let is_it = |key: &OpenKey| key.name_hash == name_hash && key.name.as_bytes() == name;
        let place = match self.list.len() > SCANNED_MAX {
            false => self.list.iter().position(is_it),
            // Two names with one hash: the second is not in the map, and found as before.
            true => match self.places.get(&name_hash) {
                Some(&place) if is_it(&self.list[place]) => Some(place),
                Some(_) => self.list.iter().position(is_it),
                None => None,
            },
        };
        place.map(|place| Slot(place as u32))
    }

    fn add(&mut self, key: OpenKey) -> Slot {
        let place = self.list.len();
        if place == SCANNED_MAX {
            self.places.extend(self.list.iter().enumerate().rev().map(|(place, key)| (key.name_hash, place)));
        }
        if place >= SCANNED_MAX {
            self.places.entry(key.name_hash).or_insert(place);
        }
        self.list.push(key);
        Slot(place as u32)
    }
}

/// A key that is open until the command ends.
#[derive(Clone)]
pub(super) struct OpenKey {
    /// Null when the key is open for reading and does not exist.
    pub handle: *mut RedisModuleKey,
    pub name: RString,
    name_hash: u64,
}

impl OpenKey {
    /// Whether the key exists now.
    pub fn exists(&self) -> bool {
        // SAFETY: null is allowed here; any other handle is open.
        unsafe { (api().key_type)(self.handle) as isize != raw::REDISMODULE_KEYTYPE_EMPTY }
    }

    /// Fields, members or entries now.
    pub fn len(&self) -> u64 {
        // SAFETY: null is allowed here; any other handle is open.
        unsafe { (api().value_length)(self.handle) as u64 }
    }
}

impl<'a> Keyspace<'a> {
    /// The keys of `scope`, whose name was checked.
    ///
    /// # Errors
    /// TRYAGAIN when its slot is on its way to another node.
    pub fn open_scope(ctx: &'a Ctx<'a>, scope: Scope<'a>, access: Access) -> Outcome<Keyspace<'a>> {
        let strings = ScopeStrings::of(scope);
        let keyspace = Keyspace {
            ctx,
            strings,
            scope,
            access,
            keys: RefCell::new(OpenKeys { list: Vec::with_capacity(KEYS_USUAL), places: BTreeMap::new() }),
            singles: Default::default(),
            name: RefCell::default(),
        };
        if ctx.server().is_cluster() {
            keyspace.check_slot()?;
        }
        Ok(keyspace)
    }

    /// Makes sure that the slot is all here. While one is being moved, a command that names two of its keys,
    /// one of which does not exist, is refused on both nodes; opening keys directly checks nothing.
    fn check_slot(&self) -> Outcome<()> {
        let never = RString::new(["trade:{", self.scope.name(), "}:"].concat().as_bytes());
        let keys = [never, self.single_name(0).clone()];
        let errno = match self.ctx.server().call(c"EXISTS", c"Ev", &keys) {
            Ok(reply) if !reply.whole().is_error() => return Ok(()),
            Ok(_) => std::io::Error::last_os_error(),
            Err(error) => error,
        };
        match errno.raw_os_error() {
            Some(EPERM) => {
                Err(Code::TryAgain.because(format!("the slot of {} is being moved to another node", self.scope.name())))
            }
            _ => Err(Code::TryAgain.because(format!("the cluster cannot serve the slot now ({errno})"))),
        }
    }

    /// Whose keys these are.
    pub fn scope(&self) -> Scope<'a> {
        self.scope
    }

    fn single_name(&self, place: usize) -> &RString {
        self.strings.key(self.scope, place)
    }

    /// Runs `read` with what the last command on the symbol remembered of its log.
    pub fn with_journal<T>(&self, read: impl FnOnce(Option<&Journal>) -> T) -> T {
        let remembered = self.strings.journal.borrow();
        let here = remembered.as_ref().filter(|(database, _)| *database == self.ctx.database());
        read(here.map(|(_, journal)| &**journal))
    }

    /// Forgets the log's state: the next command reads it.
    pub fn forget_journal(&self) {
        *self.strings.journal.borrow_mut() = None;
    }

    /// Remembers the log's state for the next command.
    pub fn remember_journal(&self, journal: Box<Journal>) {
        *self.strings.journal.borrow_mut() = Some((self.ctx.database(), journal));
    }

    /// The open key of a slot.
    pub(super) fn key(&self, slot: Slot) -> OpenKey {
        self.keys.borrow().list[slot.0 as usize].clone()
    }

    fn handle(&self, slot: Slot) -> *mut RedisModuleKey {
        self.keys.borrow().list[slot.0 as usize].handle
    }

    fn open_named(&self, name: RString, name_hash: u64, wanted: KeyType) -> Outcome<Slot> {
        let mode = match self.access {
            Access::Read | Access::Publish => raw::REDISMODULE_READ,
            Access::Write | Access::Relieve => raw::REDISMODULE_READ | raw::REDISMODULE_WRITE,
        };
        // SAFETY: a live context and name; the handle is closed by `drop`, before the context ends.
        let handle = unsafe { (api().open_key)(self.ctx.server().as_ptr(), name.as_ptr(), mode as c_int) };
        // SAFETY: null is allowed here.
        let found = unsafe { (api().key_type)(handle) } as isize;
        let wanted = match wanted {
            KeyType::Hash => raw::REDISMODULE_KEYTYPE_HASH,
            KeyType::SortedSet => raw::REDISMODULE_KEYTYPE_ZSET,
            KeyType::Stream => raw::REDISMODULE_KEYTYPE_STREAM,
            KeyType::String => raw::REDISMODULE_KEYTYPE_STRING,
        };
        if found != raw::REDISMODULE_KEYTYPE_EMPTY && found != wanted {
            // SAFETY: opened just above, known to nobody else.
            unsafe { (api().close_key)(handle) };
            return Err(Code::WrongType.because(format!(
                "Operation against a key holding the wrong kind of value: {}",
                String::from_utf8_lossy(name.as_bytes())
            )));
        }
        Ok(self.keys.borrow_mut().add(OpenKey { handle, name, name_hash }))
    }

    /// The last id that a stream gave out.
    #[cold]
    pub(super) fn last_id_of(&self, log: &OpenKey) -> Option<StreamId> {
        self.last_id_by_name(&log.name).ok()?
    }

    /// The same of a stream that need not be open, nor exist.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub(super) fn last_id_by_name(&self, stream: &RString) -> Outcome<Option<StreamId>> {
        let mut last = None;
        let mut visit = |name: &[u8], value: ReplyPart<'_>| {
            if name == b"last-generated-id" {
                last = value.bytes().and_then(StreamId::from_bytes);
            }
        };
        match self.stream_info(stream, &mut visit) {
            Err(refusal) if refusal.text.contains("no such key") => Ok(None),
            Err(refusal) if refusal.text.starts_with("WRONGTYPE ") => {
                let text = refusal.text.trim_start_matches("WRONGTYPE ");
                Err(Code::WrongType.because(format!("{text}: {}", String::from_utf8_lossy(stream.as_bytes()))))
            }
            told => told.map(|()| last),
        }
    }

    /// What the server tells of a stream that exists, by name.
    ///
    /// # Errors
    /// ERR when it does not tell.
    pub(super) fn stream_info(&self, stream: &RString, visit: &mut dyn FnMut(&[u8], ReplyPart<'_>)) -> Outcome<()> {
        let reply = self.plain(c"XINFO", c"v", &[RString::new(b"STREAM"), stream.clone()])?;
        let mut fields = reply.whole().elements();
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            visit(name.bytes().unwrap_or_default(), value);
        }
        Ok(())
    }
}

impl<'a> Store<'a> for Keyspace<'a> {
    fn open(&self, key: Key<'_>) -> Outcome<Slot> {
        if let Some(place) = strings::single_key(&key) {
            if let Some(slot) = self.singles[place].get() {
                return Ok(slot);
            }
            let slot = self.open_named(self.single_name(place).clone(), 0, key.key_type())?;
            self.singles[place].set(Some(slot));
            return Ok(slot);
        }
        let mut name = self.name.borrow_mut();
        name.clear();
        key.push_name(self.scope, &mut name);
        let name_hash = hash(name.as_bytes());
        if let Some(slot) = self.keys.borrow().find(name_hash, name.as_bytes()) {
            return Ok(slot);
        }
        self.open_named(RString::new(name.as_bytes()), name_hash, key.key_type())
    }

    fn exists(&self, slot: Slot) -> bool {
        self.keys.borrow().list[slot.0 as usize].exists()
    }

    fn len(&self, slot: Slot) -> u64 {
        self.keys.borrow().list[slot.0 as usize].len()
    }

    fn hash_get(&self, slot: Slot, fields: &[&str], values: &mut Vec<Option<&'a [u8]>>) {
        values.clear();
        if !self.exists(slot) {
            values.resize(fields.len(), None);
            return;
        }
        let handle = self.handle(slot);
        for batch in fields.chunks(HASH_GET_BATCH) {
            let mut names = [const { None }; HASH_GET_BATCH];
            for (name, field) in names.iter_mut().zip(batch) {
                *name = Some(strings::name(field.as_bytes()));
            }
            let mut found = [ptr::null_mut(); HASH_GET_BATCH];
            // SAFETY: an open handle of a hash.
            unsafe { hash_get_batch(handle, &names, &mut found) };
            values.extend(found[..batch.len()].iter().map(|&value| {
                // SAFETY: HashGet leaves null or a string that is ours, automatic memory being off.
                unsafe { RString::from_owned(value) }.map(|value| self.ctx.keep(value))
            }));
        }
    }

    fn hash_all(&self, slot: Slot, visit: &mut dyn FnMut(&'a str, &'a [u8])) -> bool {
        scan::small_hash(self.ctx, &self.key(slot), visit)
    }

    fn newest_id(&self, slot: Slot) -> Option<StreamId> {
        StreamIterator::start(self.handle(slot), Span::BACKWARD)?.next_id().map(|(id, _)| id)
    }

    fn last_id(&self, slot: Slot) -> Option<StreamId> {
        self.last_id_of(&self.key(slot))
    }

    fn entries(&self, slot: Slot, span: Span, visit: &mut dyn FnMut(StreamId, &Entry<'_>) -> Flow) {
        let Some(iterator) = StreamIterator::start(self.handle(slot), span) else {
            return;
        };
        let mut fields = Vec::new();
        while let Some(id) = iterator.next(&mut fields) {
            let entry: Vec<(&[u8], &[u8])> = fields.iter().map(|(f, v)| (f.as_bytes(), v.as_bytes())).collect();
            if visit(id, &entry) == Flow::Stop {
                break;
            }
        }
    }

    fn hash_each(&self, slot: Slot, visit: &mut dyn FnMut(&[u8], &[u8])) {
        scan::each_field(&self.key(slot), visit);
    }
}

impl Drop for Keyspace<'_> {
    fn drop(&mut self) {
        for key in self.keys.get_mut().list.drain(..) {
            // SAFETY: null is allowed here; any other handle is open and closed only here. The context is
            // live, because `self` borrows it.
            unsafe { (api().close_key)(key.handle) };
        }
    }
}

/// Fields in one variadic call.
const HASH_GET_BATCH: usize = 16;

/// Reads fields of a hash. The call ends at the first null name, so a shorter batch needs no call of its own;
/// there are two only because most reads are short.
///
/// # Safety
/// `handle` is open and a hash; `names` without a gap.
unsafe fn hash_get_batch(
    handle: *mut RedisModuleKey,
    names: &[Option<RString>; HASH_GET_BATCH],
    found: &mut [*mut RedisModuleString; HASH_GET_BATCH],
) {
    let name = |place: usize| names[place].as_ref().map_or(ptr::null_mut(), RString::as_ptr);
    let found = found.as_mut_ptr();
    let none = raw::REDISMODULE_HASH_NONE as c_int;
    macro_rules! get {
        ($($place:literal)*) => {
            // SAFETY: pairs of a name and a place within `found`, ended by a null of a pointer's size.
            unsafe {
                (api().hash_get)(handle, none, $( name($place), found.add($place), )* ptr::null_mut::<RedisModuleString>())
            }
        };
    }
    match names[4] {
        None => get!(0 1 2 3),
        Some(_) => get!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15),
    };
}

/// A started iterator of an open stream.
struct StreamIterator {
    handle: *mut RedisModuleKey,
}

impl StreamIterator {
    /// Begins to read; `None` when there is nothing to be read.
    fn start(handle: *mut RedisModuleKey, span: Span) -> Option<StreamIterator> {
        if handle.is_null() || span.is_empty() {
            return None;
        }
        let flags = match span.direction {
            Direction::Forward => 0,
            Direction::Backward => raw::REDISMODULE_STREAM_ITERATOR_REVERSE as c_int,
        };
        let raw_id = |id: StreamId| RedisModuleStreamID { ms: id.ms, seq: id.seq };
        let (mut lowest, mut highest) = (raw_id(span.lowest), raw_id(span.highest));
        // SAFETY: an open handle and two ids; a key without a value is answered with an error.
        let started = unsafe { (api().stream_iterator_start)(handle, flags, &mut lowest, &mut highest) };
        (started == OK).then_some(StreamIterator { handle })
    }

    /// The next entry's id and number of fields.
    fn next_id(&self) -> Option<(StreamId, c_long)> {
        let mut id = RedisModuleStreamID { ms: 0, seq: 0 };
        let mut fields = 0;
        // SAFETY: an open handle, on which an iterator was started.
        let result = unsafe { (api().stream_iterator_next_id)(self.handle, &mut id, &mut fields) };
        (result == OK).then_some((StreamId { ms: id.ms, seq: id.seq }, fields))
    }

    /// The next entry, its fields into `fields`.
    fn next(&self, fields: &mut Vec<(RString, RString)>) -> Option<StreamId> {
        fields.clear();
        let (id, count) = self.next_id()?;
        for _ in 0..count {
            let (mut field, mut value) = (ptr::null_mut(), ptr::null_mut());
            // SAFETY: as in `next_id`; both strings are ours, automatic memory being off.
            unsafe {
                if (api().stream_iterator_next_field)(self.handle, &mut field, &mut value) != OK {
                    break;
                }
                fields.extend(RString::from_owned(field).zip(RString::from_owned(value)));
            }
        }
        Some(id)
    }
}

impl Drop for StreamIterator {
    fn drop(&mut self) {
        // SAFETY: an open handle; stopping frees the iterator, so the next one can be started.
        unsafe { (api().stream_iterator_stop)(self.handle) };
    }
}
