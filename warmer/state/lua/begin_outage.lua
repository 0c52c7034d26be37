-- KEYS: budget   ARGV: seconds until the first probe, the instant in seconds (empty: Redis' own), the call that is ill
-- Begins an outage of one call. Returns 1, or 0 if it is under way. Each has its own probe.
local time = redis.call('TIME')
local now = tonumber(ARGV[2]) or tonumber(time[1]) + tonumber(time[2]) / 1000000
if redis.call('HSETNX', KEYS[1], 'ill:' .. ARGV[3], string.format('%.6f', now)) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'probe_at:' .. ARGV[3], string.format('%.6f', now + tonumber(ARGV[1])))
return 1
