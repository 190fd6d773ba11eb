//! Strings of the server: owned ones, and the caches that save making the same one again and again.

use std::cell::{OnceCell, RefCell};
use std::ffi::c_int;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::rc::Rc;

use redis_module::raw::RedisModuleString;
use tradebus_core::channel::{self, Topic};
use tradebus_core::event_name::EventName;
use tradebus_core::event_type::EVENT_TYPES;
use tradebus_core::hash::hash;
use tradebus_core::key::{Key, Scope};
use tradebus_core::log::journal::Journal;

use super::api::api;
use super::cell::LockedCell;

/// A string of the server, one reference of which is ours. Made without a context, so it may outlive the
/// command; never changed once made, so its bytes stay where they are as long as it lives.
///
/// As large as the pointer: a slice of these is what the API calls a vector of strings.
#[repr(transparent)]
pub struct RString(NonNull<RedisModuleString>);

impl RString {
    /// A copy of `bytes`.
    pub fn new(bytes: &[u8]) -> RString {
        // SAFETY: the server copies `len` bytes; it aborts rather than return null.
        unsafe {
            RString::from_owned((api().create_string)(ptr::null_mut(), bytes.as_ptr().cast(), bytes.len()))
                .expect("the server's allocator does not return null")
        }
    }

    /// A number's decimal text.
    pub fn from_number(number: i64) -> RString {
        // SAFETY: as in `new`.
        unsafe {
            RString::from_owned((api().create_string_from_long_long)(ptr::null_mut(), number))
                .expect("the server's allocator does not return null")
        }
    }

    /// Takes over a reference that is the caller's; `None` for null.
    ///
    /// # Safety
    /// `raw` is null, or a string made without automatic memory, a reference of which is given away here.
    pub unsafe fn from_owned(raw: *mut RedisModuleString) -> Option<RString> {
        NonNull::new(raw).map(RString)
    }

    /// The pointer, for a call that does not keep it or takes its own reference.
    pub fn as_ptr(&self) -> *mut RedisModuleString {
        self.0.as_ptr()
    }

    /// The pointer, for a call that takes over the reference.
    pub fn into_owned(self) -> *mut RedisModuleString {
        ManuallyDrop::new(self).as_ptr()
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: the string lives as long as `self`, and is not changed.
        unsafe { bytes_of(self.as_ptr()) }
    }
}

impl Clone for RString {
    fn clone(&self) -> Self {
        // SAFETY: a live string; the count is not atomic, and we are alone (see `redis`).
        unsafe { (api().retain_string)(ptr::null_mut(), self.as_ptr()) };
        RString(self.0)
    }
}

impl Drop for RString {
    fn drop(&mut self) {
        // SAFETY: gives back the reference that is ours.
        unsafe { (api().free_string)(ptr::null_mut(), self.as_ptr()) };
    }
}

/// The bytes of a string of the server.
///
/// # Safety
/// The string is live and unchanged for `'s`.
pub unsafe fn bytes_of<'s>(string: *const RedisModuleString) -> &'s [u8] {
    let mut len = 0;
    // SAFETY: by the caller's promise.
    unsafe {
        let start = (api().string_ptr_len)(string, &mut len);
        std::slice::from_raw_parts(start.cast(), len)
    }
}

/// A slice of strings as the API's vector.
pub fn as_vector(strings: &[RString]) -> *mut *mut RedisModuleString {
    strings.as_ptr().cast_mut().cast()
}

/// A bounded cache: the place of a value follows from its key's hash, two values share a place, the newer one
/// in front. A newcomer drops whoever was longer unused of the two, so there is no list to keep and nothing a
/// caller can make grow.
struct TwoWayCache<V> {
    sets: Vec<[Option<(u64, V)>; 2]>,
    sets_wanted: usize,
}

impl<V> TwoWayCache<V> {
    /// `sets` is a power of two; the memory is taken at the first use.
    const fn new(sets: usize) -> Self {
        TwoWayCache { sets: Vec::new(), sets_wanted: sets }
    }

    fn get_or_insert(&mut self, key: &[u8], is_it: impl Fn(&V) -> bool, make: impl FnOnce() -> V) -> &V {
        if self.sets.is_empty() {
            self.sets.resize_with(self.sets_wanted, || [None, None]);
        }
        let hash = hash(key);
        let place = hash as usize & (self.sets.len() - 1);
        let set = &mut self.sets[place];
        let found = |entry: &Option<(u64, V)>| matches!(entry, Some((h, value)) if *h == hash && is_it(value));
        if !found(&set[0]) {
            set.swap(0, 1);
            if !found(&set[0]) {
                set[0] = Some((hash, make()));
            }
        }
        match &set[0] {
            Some((_, value)) => value,
            None => unreachable!("found or made just above"),
        }
    }

    fn len(&self) -> usize {
        self.sets.iter().flatten().filter(|entry| entry.is_some()).count()
    }

    fn clear(&mut self) {
        self.sets = Vec::new();
    }
}

/// Names are few and come at every event; values are many and mostly come once, so they have a cache of their
/// own in which they cannot push the names out.
static NAMES: LockedCell<TwoWayCache<Interned>> = LockedCell::new(TwoWayCache::new(1 << 10));
static VALUES: LockedCell<TwoWayCache<Interned>> = LockedCell::new(TwoWayCache::new(1 << 10));
static SYMBOLS: LockedCell<TwoWayCache<Rc<ScopeStrings>>> = LockedCell::new(TwoWayCache::new(1 << 14));
static STREAMS: LockedCell<TwoWayCache<Rc<ScopeStrings>>> = LockedCell::new(TwoWayCache::new(1 << 10));

/// The longest name that is kept.
const NAME_MAX: usize = 64;
/// The longest value that is kept.
const VALUE_MAX: usize = 24;
/// The longest value starting with a digit that is kept: `0`, `1`, `0.01` come again, prices and times do not.
const NUMBER_MAX: usize = 4;

/// A string, and a copy of its bytes: to ask the server for them costs more than to compare them.
struct Interned {
    bytes: Box<[u8]>,
    string: RString,
}

fn interned(cache: &LockedCell<TwoWayCache<Interned>>, bytes: &[u8]) -> RString {
    let make = || Interned { bytes: bytes.into(), string: RString::new(bytes) };
    cache.borrow().get_or_insert(bytes, |known| *known.bytes == *bytes, make).string.clone()
}

/// The string of a field's name.
pub fn name(bytes: &[u8]) -> RString {
    match bytes.len() <= NAME_MAX {
        true => interned(&NAMES, bytes),
        false => RString::new(bytes),
    }
}

/// The string of a field's value.
pub fn value(bytes: &[u8]) -> RString {
    let longest = match bytes.first() {
        Some(b'0'..=b'9' | b'-' | b'{' | b'[') => NUMBER_MAX,
        _ => VALUE_MAX,
    };
    match bytes.len() <= longest {
        true => interned(&VALUES, bytes),
        false => RString::new(bytes),
    }
}

/// The place of a key in [`Key::SINGLE`].
pub fn single_key(key: &Key<'_>) -> Option<usize> {
    match key {
        Key::Log => Some(0),
        Key::OpenOrders => Some(1),
        Key::ActivePositions => Some(2),
        Key::Last => Some(3),
        Key::Risk => Some(4),
        Key::Instrument => Some(5),
        Key::Dead => Some(6),
        Key::Schema => Some(7),
        Key::Forming => Some(8),
        Key::Triggers => Some(9),
        Key::Order(_) | Key::Position(_) | Key::Signal(_) | Key::Fills(_) | Key::Slices(_) | Key::Seen(_) => None,
        Key::Candles(_) | Key::State(_) | Key::Conditions(_) => None,
        Key::Condition(_) | Key::Subscriptions(_) | Key::TriggerSeen(_) | Key::Work(_) => None,
    }
}

/// The strings of a symbol or a stream that every command needs, made as they are needed.
pub struct ScopeStrings {
    name: RString,
    keys: [OnceCell<RString>; Key::SINGLE.len()],
    classic: [OnceCell<RString>; EVENT_TYPES],
    sharded: [OnceCell<RString>; EVENT_TYPES],
    /// What the last command on the symbol left, with its database: believed only while it names the log's
    /// newest entry, so it need be told of nothing but another history, whose entries may have the same ids.
    pub(super) journal: RefCell<Option<(c_int, Box<Journal>)>>,
}

impl ScopeStrings {
    /// Those of a symbol or a stream.
    pub fn of(scope: Scope<'_>) -> Rc<ScopeStrings> {
        let cache = match scope {
            Scope::Symbol(_) => &SYMBOLS,
            Scope::Stream(_) => &STREAMS,
        };
        let name = scope.name().as_bytes();
        let make = || {
            Rc::new(ScopeStrings {
                name: RString::new(name),
                keys: [const { OnceCell::new() }; Key::SINGLE.len()],
                classic: [const { OnceCell::new() }; EVENT_TYPES],
                sharded: [const { OnceCell::new() }; EVENT_TYPES],
                journal: RefCell::new(None),
            })
        };
        cache.borrow().get_or_insert(name, |known| known.name.as_bytes() == name, make).clone()
    }

    /// The symbol or stream itself, as a key.
    pub fn name(&self) -> &RString {
        &self.name
    }

    /// The name of one of [`Key::SINGLE`] of `scope`, whose strings these are.
    pub fn key(&self, scope: Scope<'_>, place: usize) -> &RString {
        self.keys[place].get_or_init(|| RString::new(Key::SINGLE[place].name(scope).as_bytes()))
    }

    /// The channel for `PUBLISH`.
    pub fn classic_channel(&self, scope: Scope<'_>, topic: &Topic<'_>) -> RString {
        let make = || RString::new(channel::classic(scope, topic).as_bytes());
        match topic {
            Topic::Event(EventName::Trade(event_type)) => self.classic[*event_type as usize].get_or_init(make).clone(),
            _ => make(),
        }
    }

    /// The channel for `SPUBLISH`.
    pub fn sharded_channel(&self, scope: Scope<'_>, topic: &Topic<'_>) -> RString {
        let make = || RString::new(channel::sharded(scope, topic).as_bytes());
        match topic {
            Topic::Event(EventName::Trade(event_type)) => self.sharded[*event_type as usize].get_or_init(make).clone(),
            _ => make(),
        }
    }
}

/// How many symbols are in the cache.
pub fn symbols_cached() -> usize {
    SYMBOLS.borrow().len()
}

/// Forgets the state of all symbols' logs: each is read again by the next command on it. Nothing is remembered of streams.
pub fn forget_journals() {
    // With the names that are beside them: it is rare, and they are made again as they are needed.
    SYMBOLS.borrow().clear();
}

/// Gives everything back to the server, before the module is unloaded.
pub fn clear() {
    NAMES.borrow().clear();
    VALUES.borrow().clear();
    SYMBOLS.borrow().clear();
    STREAMS.borrow().clear();
}

/// `REDISMODULE_OK` as the functions return it.
pub const OK: c_int = redis_module::raw::REDISMODULE_OK as c_int;
