-- KEYS: budget   ARGV: seconds until the first probe, the instant in seconds (empty: Redis' own)
-- Begins an outage, unless one is under way. Returns 1 if it begins.
if redis.call('HEXISTS', KEYS[1], 'probe_at') == 1 then return 0 end
local time = redis.call('TIME')
local now = tonumber(ARGV[2]) or tonumber(time[1]) + tonumber(time[2]) / 1000000
redis.call('HSET', KEYS[1], 'probe_at', string.format('%.6f', now + tonumber(ARGV[1])))
return 1
