-- KEYS: claim, forgotten, failures   ARGV: token, memory in s
-- Counts one more failure in a row, only while the claim is ours. Returns the count, 0 if it is not.
if redis.call('EXISTS', KEYS[2]) == 1 or redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local count = redis.call('INCR', KEYS[3])
redis.call('EXPIRE', KEYS[3], ARGV[2])
return count
