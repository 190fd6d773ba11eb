-- One event, by the rules of TRADE.PUBLISH, as a script: the peer of the module that is just as atomic. What it comes to
-- is compared with the core's model: every field of every hash, the log, the messages, the answers to repeats.
--
-- KEYS   1 log   trade:{S}:events          stream
--        2 last  trade:{S}:last            hash: by event type "id count"; log: the log's last id
--        3 the order, position or signal; the risk hash for risk.*; absent for other records
--        4 the index of open orders or active positions; absent for signals and records
--        5 the order's fills: fill_id -> "side|volume|price id"; absent for everything else
--        and behind these, with an event id, its record: "id digest"
-- ARGV   1 event type   2 data (JSON)   3 symbol   4 event time, ms   5 event id, if there is one
-- Output the stream id; that of the first time when an event or a fill is told again; or an error, with nothing written.
--
-- This is the body of a function: of the script, or of one of a library. library.lua is put in front of it.
--
-- Numbers are doubles here, so quantities and prices are turned into integers (hundredths; their products,
-- ten-thousandths) to keep the sums exact within 2^53. A number of more places would be rounded: the module
-- does better. To the script's advantage are left out as well: the types stop_loss.hit, take_profit.hit, trade.failed and
-- position.modified, shells, cumulative reports, netting, slices of positions with a fill_id, the symbol's sums of profit,
-- the check of every stored value, retries whose JSON is written another way, RFC 3339 for published_at, and the text of
-- numbers as it was sent.

local log, last, entity, index, fills = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local call, refuse, floor, match = redis.call, redis.error_reply, math.floor, string.match
local event_type, data, symbol, ts, event_id = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local seen, digest
if event_id then
    seen, digest = KEYS[#KEYS], redis.sha1hex(event_type .. data)
    local known = call('GET', seen)
    if known then
        local first_id, first_digest = match(known, '^(%S+) (%S+)$')
        if first_digest == digest then
            return first_id
        end
        return refuse('IDCONFLICT another event has this id')
    end
end

local d = cjson.decode(data)
local subject = match(event_type, '^%l+')
-- `own`: fields and values that the rules derive. `fill`: the content of a fill that has an id.
local status, version, own, ttl, fill
local enters, leaves, late, has_fills = false, false, false, false

if subject == 'order' then
    local f = call('HMGET', entity, 'status', 'version', 'volume', 'price', 'filled_volume', 'filled_value',
        'fill_id')
    local was = f[1]
    version = (f[2] or 0) + 1
    if event_type == 'order.created' then
        if was then
            return refuse('INVALIDSTATE the order exists')
        end
        if type(d.volume) ~= 'number' or d.volume <= 0 then
            return refuse('BADFIELD volume must be positive')
        end
        status, enters = 'pending', true
        local volume = tostring(d.volume)
        own = {'filled_volume', '0', 'remaining_volume', volume, 'volume', volume}
        if d.price then
            own[7], own[8] = 'price', tostring(d.price)
        end
        own[#own + 1], own[#own + 2] = 'created_at', ts
        d.volume, d.price = nil, nil
    elseif not was then
        return refuse('NOTFOUND no such order')
    else
        local volume, filled = hundredths(f[3]), hundredths(f[5])
        local open = was == 'pending' or was == 'partially_filled'
        if event_type == 'order.partially_filled' or event_type == 'order.filled' then
            local quantity = volume - filled
            if d.fill_volume or d.volume then
                quantity = hundredths(d.fill_volume or d.volume)
            end
            local price = hundredths(d.fill_price or d.price or f[4])
            if d.fill_id then
                fill = (d.side or '') .. '|' .. quantity .. '|' .. price
                local known = call('HGET', fills, d.fill_id)
                if known then
                    local content, first_id = match(known, '^(.*) (%S+)$')
                    if content == fill then
                        return first_id
                    end
                    return refuse('IDCONFLICT another fill has this fill_id')
                end
            elseif filled + quantity > volume then
                return refuse('OVERFILL more than remains')
            end
            filled = filled + quantity
            local notional = floor((f[6] or 0) * 10000 + 0.5) + quantity * price
            if filled >= volume then
                status = 'filled'
            elseif event_type == 'order.filled' then
                return refuse('INVALIDSTATE a part of the order is not filled')
            elseif was == 'cancelled' then
                status = was
            else
                status = 'partially_filled'
            end
            late = not open
            leaves = open and status == 'filled'
            enters = was == 'rejected' and status == 'partially_filled'
            -- The volume and the price of an order are those that were ordered.
            d.volume, d.price = nil, nil
            own = {
                'filled_volume', tostring(filled / 100),
                'filled_value', tostring(notional / 10000),
                'remaining_volume', tostring(status == 'cancelled' and 0 or math.max(volume - filled, 0) / 100),
                'avg_fill_price', tostring(notional / filled / 100),
                'last_fill_volume', tostring(quantity / 100),
                'last_fill_price', tostring(price / 100),
            }
        elseif event_type == 'order.cancelled' then
            if was == 'filled' then
                return refuse('TOOLATE the order is filled')
            elseif was == 'rejected' then
                return refuse('INVALIDSTATE the order is rejected')
            end
            status, late, leaves = 'cancelled', not open, open
            own = {'remaining_volume', '0', 'cancelled_at', ts}
        elseif event_type == 'order.rejected' then
            if was ~= 'pending' and was ~= 'rejected' then
                return refuse('INVALIDSTATE the order is ' .. was)
            end
            status, late, leaves = 'rejected', not open, open
            own = {'remaining_volume', '0'}
        elseif event_type == 'order.modified' then
            if not open then
                return refuse('TOOLATE the order is ' .. was)
            end
            if d.volume then
                volume = math.max(hundredths(d.volume), filled)
                d.volume = nil
            end
            status = filled > 0 and (filled >= volume and 'filled' or 'partially_filled') or 'pending'
            leaves = status == 'filled'
            own = {'volume', tostring(volume / 100), 'remaining_volume', tostring((volume - filled) / 100),
                'modified_at', ts}
        else
            return refuse('BADEVENT unknown event type')
        end
        if status ~= 'pending' and status ~= 'partially_filled' then
            ttl = CLOSED_TTL
        end
        has_fills = f[7] or d.fill_id
    end
elseif subject == 'position' then
    local f = call('HMGET', entity, 'status', 'version', 'volume', 'entry_price', 'direction', 'closed_volume',
        'realized_pnl', 'fees')
    local was = f[1]
    version = (f[2] or 0) + 1
    if event_type == 'position.opened' then
        if was then
            return refuse('INVALIDSTATE the position exists')
        end
        if type(d.volume) ~= 'number' or d.volume <= 0 or not d.entry_price or not d.direction then
            return refuse('BADFIELD direction, entry_price and a positive volume are needed')
        end
        status, enters = 'active', true
        local volume = tostring(d.volume)
        own = {
            'volume', volume, 'entry_price', tostring(d.entry_price), 'direction', d.direction, 'created_at', ts,
            'initial_volume', volume,
        }
        d.volume, d.entry_price, d.direction = nil, nil, nil
    elseif not was then
        return refuse('NOTFOUND no such position')
    elseif was == 'closed' then
        return refuse('TOOLATE the position is closed')
    else
        local open = hundredths(f[3])
        local slice = open
        if event_type == 'position.partially_closed' then
            slice = hundredths(d.closed_volume or d.volume)
        elseif event_type ~= 'position.closed' then
            return refuse('BADEVENT unknown event type')
        end
        if slice <= 0 or slice > open then
            return refuse('OVERFILL more than is left')
        end
        local sign = (f[5] == 'LONG' or f[5] == 'BUY') and 1 or -1
        local realized = floor((f[7] or 0) * 10000 + 0.5)
            + sign * (hundredths(d.exit_price) - hundredths(f[4])) * slice
        d.volume, d.closed_volume = nil, nil
        own = {
            'volume', tostring((open - slice) / 100),
            'closed_volume', tostring((hundredths(f[6] or 0) + slice) / 100),
            'realized_pnl', tostring(realized / 10000),
            'fees', tostring((hundredths(f[8] or 0) + hundredths(d.commission or 0)) / 100),
        }
        if slice == open then
            status, leaves, ttl = 'closed', true, CLOSED_TTL
            own[9], own[10] = d.reason and 'close_reason', d.reason
        else
            status = 'active'
        end
    end
elseif subject == 'signal' then
    local f = call('HMGET', entity, 'status', 'version')
    local was = f[1]
    version = (f[2] or 0) + 1
    if event_type == 'signal.generated' then
        if was then
            return refuse('INVALIDSTATE the signal exists')
        end
        status, ttl, own = 'generated', SIGNAL_TTL, {'created_at', ts}
    elseif event_type ~= 'signal.validated' and event_type ~= 'signal.rejected' then
        return refuse('BADEVENT unknown event type')
    elseif was == 'generated' or was == 'validated' and event_type == 'signal.rejected' then
        status, ttl, own = string.sub(event_type, 8), CLOSED_TTL, {}
    else
        return refuse('INVALIDSTATE the signal is ' .. (was or 'unknown'))
    end
elseif subject == 'risk' then
    local known = call('HGET', entity, d.limit)
    late = known and cjson.decode(known).ts > tonumber(ts) or false
elseif subject ~= 'trade' then
    return refuse('BADEVENT unknown event type')
end

-- Nothing is refused from here on.
local before = call('HMGET', last, event_type, 'log')
local prev_id, count = '0-0', 0
if before[1] then
    prev_id, count = match(before[1], '^(%S+) (%d+)$')
end
local entry = {log, 'MAXLEN', '~', MAXLEN, '*', 'type', event_type, 'data', data, 'ts', ts}
if event_id then
    entry[12], entry[13] = 'event_id', event_id
end
if late then
    entry[#entry + 1], entry[#entry + 2] = 'outcome', 'late'
end
local id = call('XADD', unpack(entry))
local now = match(id, '^%d+')
call('HSET', last, event_type, id .. ' ' .. (count + 1), 'log', id)
if event_id then
    call('SET', seen, id .. ' ' .. digest, 'PX', DEDUPE_WINDOW)
end

local tail = '}'
if status then
    tail = ',"status":"' .. status .. '","version":' .. version .. '}'
    d.status, d.version = nil, nil
    -- The fields that are read at every event go first: a listpack is searched from its head.
    local args = {entity, 'status', status, 'version', version, 'updated_at', now, 'last_event_id', id}
    local n = #args
    for i = 1, #own do
        args[n + i] = own[i]
    end
    n = n + #own
    for name, value in pairs(d) do
        args[n + 1] = name
        args[n + 2] = type(value) == 'table' and cjson.encode(value) or tostring(value)
        n = n + 2
    end
    call('HSET', unpack(args))
    if enters then
        call('ZADD', index, ts, d.order_id or d.position_id)
    elseif leaves then
        call('ZREM', index, d.order_id or d.position_id)
    end
    if fill then
        call('HSET', fills, d.fill_id, fill .. ' ' .. id)
    end
    if ttl then
        call('PEXPIREAT', entity, now + ttl)
        if has_fills then
            call('PEXPIREAT', fills, now + ttl)
        end
    elseif enters and late then
        call('PERSIST', entity)
        call('PERSIST', fills)
    end
elseif subject == 'risk' and not late then
    call('HSET', entity, d.limit, cjson.encode({value = d.value, threshold = d.threshold, ts = tonumber(ts), id = id}))
end
if late then
    tail = ',"late":true' .. tail
end
if event_id then
    tail = ',"event_id":"' .. event_id .. '"' .. tail
end

call('PUBLISH', 'trades:' .. symbol .. ':' .. event_type,
    '{"id":"' .. id .. '","prev_id":"' .. prev_id .. '","prev_log_id":"' .. (before[2] or '0-0')
    .. '","event_type":"' .. event_type .. '","symbol":"' .. symbol .. '","timestamp":"' .. d.timestamp
    .. '","published_at":' .. now .. ',"data":' .. data .. tail)
return id
