-- What publish.lua uses: of a script at every call, of a library once. MAXLEN, CLOSED_TTL, SIGNAL_TTL and DEDUPE_WINDOW
-- (ms) are put in front of this text by who loads it. A library that is being loaded has neither redis.call nor math.

local function hundredths(x)
    local rounded = x * 100 + 0.5
    return rounded - rounded % 1
end
