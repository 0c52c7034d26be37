-- KEYS: events, sending   ARGV: token, the event to remove or ''
-- Lets another worker send. Returns 1, or 0 if another worker sends already: nothing is removed then. A token that has
-- expired, or that a full Redis has evicted, does not matter while the event is still the oldest.
local token = redis.call('GET', KEYS[2])
if token and token ~= ARGV[1] then return 0 end
if ARGV[2] ~= '' and redis.call('LINDEX', KEYS[1], 0) == ARGV[2] then redis.call('LPOP', KEYS[1]) end
redis.call('DEL', KEYS[2])
return 1
