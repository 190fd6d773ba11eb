-- What always holds of the keys of one database, whatever commands of ours ran: what is wrong, where something is. The keys
-- of the symbols and streams in ARGV are left out.
local faults, spoiled = {}, {}
for _, name in ipairs(ARGV) do
    spoiled[name] = true
end
local function expect(holds, what)
    if not holds then faults[#faults + 1] = what end
end
local function expiry(key)
    return redis.call('PEXPIRETIME', key)
end
local function has(key, member)
    return redis.call('ZSCORE', key, member) ~= false
end
local open = {pending = true, partially_filled = true}
local active = {active = true}

-- An entity that is open is in its index and stays; its fills go when it goes.
local function entity(key, index, states, facts, id)
    local status = redis.call('HGET', key, 'status')
    local is_open = states[status] or false
    expect(status, key .. ' has no status')
    expect(is_open == has(index, id), key .. ' is ' .. tostring(status) .. ', and in its index or not')
    expect(not is_open or expiry(key) == -1, key .. ' is open and expires')
    if redis.call('EXISTS', facts) == 1 then
        expect(expiry(facts) == expiry(key), facts .. ' does not expire with ' .. key)
    end
end

local function check(key, family, name, rest)
    local prefix = family .. ':{' .. name .. '}:'
    local order, position = rest:match('^order:(.*)'), rest:match('^position:(.*)')
    local fills, slices = rest:match('^fills:(.*)'), rest:match('^slices:(.*)')
    if family == 'trade' and order then
        entity(key, prefix .. 'orders:open', open, prefix .. 'fills:' .. order, order)
    elseif family == 'trade' and position then
        entity(key, prefix .. 'positions:active', active, prefix .. 'slices:' .. position, position)
    elseif family == 'trade' and rest == 'orders:open' then
        for _, id in ipairs(redis.call('ZRANGE', key, 0, -1)) do
            expect(redis.call('EXISTS', prefix .. 'order:' .. id) == 1, key .. ' has ' .. id .. ', which is gone')
        end
    elseif family == 'trade' and rest == 'positions:active' then
        for _, id in ipairs(redis.call('ZRANGE', key, 0, -1)) do
            expect(redis.call('EXISTS', prefix .. 'position:' .. id) == 1, key .. ' has ' .. id .. ', which is gone')
        end
    elseif family == 'trade' and fills then
        expect(redis.call('EXISTS', prefix .. 'order:' .. fills) == 1, key .. ' is of no order')
    elseif family == 'trade' and slices then
        expect(redis.call('EXISTS', prefix .. 'position:' .. slices) == 1, key .. ' is of no position')
    elseif family == 'trade' and rest == 'events' then
        local last = redis.call('HGET', prefix .. 'last', ':log_id')
        expect(last or #redis.call('XRANGE', key, '-', '+', 'COUNT', 65) <= 64, prefix .. 'last lags too far')
        expect(expiry(key) == -1, key .. ' expires')
    elseif family == 'cond' and rest:match('^def:') then
        local timeframe = redis.call('HGET', key, 'timeframe')
        expect(timeframe and has(prefix .. 'index:' .. timeframe, rest:match('^def:(.*)')), key .. ' is in no index')
        expect(expiry(key) == -1, key .. ' expires')
    elseif family == 'cond' and rest:match('^index:') then
        for _, id in ipairs(redis.call('ZRANGE', key, 0, -1)) do
            local timeframe = redis.call('HGET', prefix .. 'def:' .. id, 'timeframe')
            expect(timeframe == rest:match('^index:(.*)'), key .. ' has ' .. id .. ', which is not of it')
        end
    elseif family == 'cond' and rest:match('^subs:') then
        local condition = prefix .. 'def:' .. rest:match('^subs:(.*)')
        expect(redis.call('EXISTS', condition) == 1, key .. ' is of no condition')
    end
end

for _, key in ipairs(redis.call('KEYS', '*')) do
    local family, name, rest = key:match('^(%a+):{(.-)}:?(.*)$')
    if not family then
        expect(#ARGV > 0, key .. ' is no key of ours')
    elseif not spoiled[name] then
        check(key, family, name, rest)
    end
end
return faults
