//! The functions of the server that we use: resolved once, while loading.
//!
//! A table of plain function pointers, and not the header's statics at each use: a missing function is found
//! before the first command instead of in the middle of one, and a call needs no check.

use std::ffi::{c_char, c_int, c_longlong, c_uint, c_ulonglong, c_void};
use std::sync::OnceLock;

use redis_module::raw::{self, *};

macro_rules! table {
    (
        required { $( $field:ident = $global:ident: fn $args:tt $(-> $ret:ty)?; )* }
        optional { $( $opt_field:ident = $opt_global:ident: fn $opt_args:tt $(-> $opt_ret:ty)?; )* }
    ) => {
        /// The functions; those after 7.0 are optional.
        #[derive(Clone, Copy)]
        pub struct Api {
            $( pub $field: unsafe extern "C" fn $args $(-> $ret)?, )*
            $( pub $opt_field: Option<unsafe extern "C" fn $opt_args $(-> $opt_ret)?>, )*
        }

        impl Api {
            /// Reads the pointers that the API's initialisation has filled in; the name of the first
            /// function that this server lacks otherwise.
            fn read() -> Result<Api, &'static str> {
                // SAFETY: the statics are written by `Export_RedisModule_Init` only, which has returned.
                unsafe {
                    Ok(Api {
                        $( $field: raw::$global.ok_or(stringify!($global))?, )*
                        $( $opt_field: raw::$opt_global, )*
                    })
                }
            }
        }
    };
}

type Ctx = *mut RedisModuleCtx;
type Str = *mut RedisModuleString;
type Key = *mut RedisModuleKey;
type Reply = *mut RedisModuleCallReply;
type Info = *mut RedisModuleInfoCtx;
type ServerInfo = *mut RedisModuleServerInfoData;
type Text = *const c_char;
type StreamId = *mut RedisModuleStreamID;
type Cursor = *mut RedisModuleScanCursor;
type User = *mut RedisModuleUser;
type Apply = RedisModuleConfigApplyFunc;

table! {
    required {
        create_command = RedisModule_CreateCommand: fn(Ctx, Text, RedisModuleCmdFunc, Text, c_int, c_int, c_int) -> c_int;
        get_command = RedisModule_GetCommand: fn(Ctx, Text) -> *mut RedisModuleCommand;
        set_command_info = RedisModule_SetCommandInfo: fn(*mut RedisModuleCommand, *const RedisModuleCommandInfo) -> c_int;
        set_module_options = RedisModule_SetModuleOptions: fn(Ctx, c_int);
        get_api = RedisModule_GetApi: fn(Text, *mut c_void) -> c_int;
        get_context_flags = RedisModule_GetContextFlags: fn(Ctx) -> c_int;
        subscribe_to_server_event = RedisModule_SubscribeToServerEvent: fn(Ctx, RedisModuleEvent, RedisModuleEventCallback) -> c_int;
        get_selected_db = RedisModule_GetSelectedDb: fn(Ctx) -> c_int;
        select_db = RedisModule_SelectDb: fn(Ctx, c_int) -> c_int;
        avoid_replica_traffic = RedisModule_AvoidReplicaTraffic: fn() -> c_int;
        create_timer = RedisModule_CreateTimer: fn(Ctx, mstime_t, RedisModuleTimerProc, *mut c_void) -> RedisModuleTimerID;
        milliseconds = RedisModule_Milliseconds: fn() -> mstime_t;

        create_string = RedisModule_CreateString: fn(Ctx, Text, usize) -> Str;
        create_string_from_long_long = RedisModule_CreateStringFromLongLong: fn(Ctx, c_longlong) -> Str;
        retain_string = RedisModule_RetainString: fn(Ctx, Str);
        free_string = RedisModule_FreeString: fn(Ctx, Str);
        string_ptr_len = RedisModule_StringPtrLen: fn(*const RedisModuleString, *mut usize) -> Text;

        reply_with_error = RedisModule_ReplyWithError: fn(Ctx, Text) -> c_int;
        reply_with_simple_string = RedisModule_ReplyWithSimpleString: fn(Ctx, Text) -> c_int;
        reply_with_long_long = RedisModule_ReplyWithLongLong: fn(Ctx, c_longlong) -> c_int;
        reply_with_string_buffer = RedisModule_ReplyWithStringBuffer: fn(Ctx, Text, usize) -> c_int;
        reply_with_null = RedisModule_ReplyWithNull: fn(Ctx) -> c_int;
        reply_with_array = RedisModule_ReplyWithArray: fn(Ctx, std::ffi::c_long) -> c_int;
        reply_with_map = RedisModule_ReplyWithMap: fn(Ctx, std::ffi::c_long) -> c_int;
        reply_with_call_reply = RedisModule_ReplyWithCallReply: fn(Ctx, Reply) -> c_int;

        call = RedisModule_Call: fn(Ctx, Text, Text, ...) -> Reply;
        free_call_reply = RedisModule_FreeCallReply: fn(Reply);
        call_reply_type = RedisModule_CallReplyType: fn(Reply) -> c_int;
        call_reply_length = RedisModule_CallReplyLength: fn(Reply) -> usize;
        call_reply_array_element = RedisModule_CallReplyArrayElement: fn(Reply, usize) -> Reply;
        call_reply_string_ptr = RedisModule_CallReplyStringPtr: fn(Reply, *mut usize) -> Text;
        call_reply_integer = RedisModule_CallReplyInteger: fn(Reply) -> c_longlong;
        call_reply_proto = RedisModule_CallReplyProto: fn(Reply, *mut usize) -> Text;

        open_key = RedisModule_OpenKey: fn(Ctx, Str, c_int) -> Key;
        close_key = RedisModule_CloseKey: fn(Key);
        key_type = RedisModule_KeyType: fn(Key) -> c_int;
        value_length = RedisModule_ValueLength: fn(Key) -> usize;
        unlink_key = RedisModule_UnlinkKey: fn(Key) -> c_int;
        get_abs_expire = RedisModule_GetAbsExpire: fn(Key) -> mstime_t;
        set_abs_expire = RedisModule_SetAbsExpire: fn(Key, mstime_t) -> c_int;
        hash_get = RedisModule_HashGet: fn(Key, c_int, ...) -> c_int;
        hash_set = RedisModule_HashSet: fn(Key, c_int, ...) -> c_int;
        scan_key = RedisModule_ScanKey: fn(Key, Cursor, RedisModuleScanKeyCB, *mut c_void) -> c_int;
        scan_cursor_create = RedisModule_ScanCursorCreate: fn() -> Cursor;
        scan_cursor_destroy = RedisModule_ScanCursorDestroy: fn(Cursor);
        zset_add = RedisModule_ZsetAdd: fn(Key, f64, Str, *mut c_int) -> c_int;
        zset_score = RedisModule_ZsetScore: fn(Key, Str, *mut f64) -> c_int;
        zset_first_in_score_range = RedisModule_ZsetFirstInScoreRange: fn(Key, f64, f64, c_int, c_int) -> c_int;
        zset_last_in_score_range = RedisModule_ZsetLastInScoreRange: fn(Key, f64, f64, c_int, c_int) -> c_int;
        zset_range_current_element = RedisModule_ZsetRangeCurrentElement: fn(Key, *mut f64) -> Str;
        zset_range_next = RedisModule_ZsetRangeNext: fn(Key) -> c_int;
        zset_range_stop = RedisModule_ZsetRangeStop: fn(Key);
        string_set = RedisModule_StringSet: fn(Key, Str) -> c_int;
        string_dma = RedisModule_StringDMA: fn(Key, *mut usize, c_int) -> *mut c_char;
        zset_rem = RedisModule_ZsetRem: fn(Key, Str, *mut c_int) -> c_int;
        stream_add = RedisModule_StreamAdd: fn(Key, c_int, StreamId, *mut Str, i64) -> c_int;
        stream_trim_by_length = RedisModule_StreamTrimByLength: fn(Key, c_int, c_longlong) -> c_longlong;
        stream_trim_by_id = RedisModule_StreamTrimByID: fn(Key, c_int, StreamId) -> c_longlong;
        stream_iterator_start = RedisModule_StreamIteratorStart: fn(Key, c_int, StreamId, StreamId) -> c_int;
        stream_iterator_stop = RedisModule_StreamIteratorStop: fn(Key) -> c_int;
        stream_iterator_next_id = RedisModule_StreamIteratorNextID: fn(Key, StreamId, *mut std::ffi::c_long) -> c_int;
        stream_iterator_next_field = RedisModule_StreamIteratorNextField: fn(Key, *mut Str, *mut Str) -> c_int;

        get_client_id = RedisModule_GetClientId: fn(Ctx) -> c_ulonglong;
        get_client_user_name_by_id = RedisModule_GetClientUserNameById: fn(Ctx, u64) -> Str;
        get_current_user_name = RedisModule_GetCurrentUserName: fn(Ctx) -> Str;
        get_module_user_from_user_name = RedisModule_GetModuleUserFromUserName: fn(Str) -> User;
        free_module_user = RedisModule_FreeModuleUser: fn(User);
        acl_check_key_permissions = RedisModule_ACLCheckKeyPermissions: fn(User, Str, c_int) -> c_int;
        acl_check_channel_permissions = RedisModule_ACLCheckChannelPermissions: fn(User, Str, c_int) -> c_int;
        acl_add_log_entry = RedisModule_ACLAddLogEntry: fn(Ctx, User, Str, RedisModuleACLLogEntryReason);

        replicate = RedisModule_Replicate: fn(Ctx, Text, Text, ...) -> c_int;
        publish_message = RedisModule_PublishMessage: fn(Ctx, Str, Str) -> c_int;
        publish_message_shard = RedisModule_PublishMessageShard: fn(Ctx, Str, Str) -> c_int;
        subscribe_to_keyspace_events = RedisModule_SubscribeToKeyspaceEvents: fn(Ctx, c_int, RedisModuleNotificationFunc) -> c_int;
        notify_keyspace_event = RedisModule_NotifyKeyspaceEvent: fn(Ctx, c_int, Text, Str) -> c_int;
        signal_modified_key = RedisModule_SignalModifiedKey: fn(Ctx, Str) -> c_int;

        register_bool_config = RedisModule_RegisterBoolConfig: fn(Ctx, Text, c_int, c_uint, RedisModuleConfigGetBoolFunc, RedisModuleConfigSetBoolFunc, Apply, *mut c_void) -> c_int;
        register_numeric_config = RedisModule_RegisterNumericConfig: fn(Ctx, Text, c_longlong, c_uint, c_longlong, c_longlong, RedisModuleConfigGetNumericFunc, RedisModuleConfigSetNumericFunc, Apply, *mut c_void) -> c_int;
        register_enum_config = RedisModule_RegisterEnumConfig: fn(Ctx, Text, c_int, c_uint, *mut Text, *const c_int, c_int, RedisModuleConfigGetEnumFunc, RedisModuleConfigSetEnumFunc, Apply, *mut c_void) -> c_int;
        register_string_config = RedisModule_RegisterStringConfig: fn(Ctx, Text, Text, c_uint, RedisModuleConfigGetStringFunc, RedisModuleConfigSetStringFunc, Apply, *mut c_void) -> c_int;
        load_configs = RedisModule_LoadConfigs: fn(Ctx) -> c_int;

        register_info_func = RedisModule_RegisterInfoFunc: fn(Ctx, RedisModuleInfoFunc) -> c_int;
        info_add_section = RedisModule_InfoAddSection: fn(Info, Text) -> c_int;
        info_add_field_cstring = RedisModule_InfoAddFieldCString: fn(Info, Text, Text) -> c_int;
        info_add_field_u_long_long = RedisModule_InfoAddFieldULongLong: fn(Info, Text, c_ulonglong) -> c_int;
        get_server_info = RedisModule_GetServerInfo: fn(Ctx, Text) -> ServerInfo;
        free_server_info = RedisModule_FreeServerInfo: fn(Ctx, ServerInfo);
        server_info_get_field_c = RedisModule_ServerInfoGetFieldC: fn(ServerInfo, Text) -> Text;
    }
    optional {
        add_acl_category = RedisModule_AddACLCategory: fn(Ctx, Text) -> c_int;
        set_command_acl_categories = RedisModule_SetCommandACLCategories: fn(*mut RedisModuleCommand, Text) -> c_int;
    }
}

static TABLE: OnceLock<Api> = OnceLock::new();

/// Resolves the table.
///
/// # Errors
/// The name of a function that this server does not have.
pub fn resolve() -> Result<(), &'static str> {
    let table = Api::read()?;
    // Loaded again into the same process: the server, and so its functions, are the same.
    let _ = TABLE.set(table);
    Ok(())
}

/// Whether [`resolve`] has succeeded.
pub fn is_resolved() -> bool {
    TABLE.get().is_some()
}

/// The table.
///
/// # Panics
/// Before [`resolve`], which is the first thing that loading does.
#[inline]
pub fn api() -> &'static Api {
    TABLE.get().expect("the module API is resolved while loading")
}
