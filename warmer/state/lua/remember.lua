-- KEYS: lease, forgotten, unavailable, failures, negative count
-- ARGV: token, cause, the first memory in s, the longest one in s, how long a memory that has passed counts in s
-- Remembers the cause, twice as long as the memory before. Returns the seconds of this memory, 0 if the lease is lost,
-- -2 if the subject was forgotten: nothing is written then.
if redis.call('EXISTS', KEYS[2]) == 1 then return -2 end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local count = redis.call('INCR', KEYS[5])
local seconds = math.min(tonumber(ARGV[3]) * 2 ^ (count - 1), tonumber(ARGV[4]))
redis.call('SET', KEYS[3], ARGV[2], 'EX', seconds)
redis.call('DEL', KEYS[4])
redis.call('EXPIRE', KEYS[5], seconds + tonumber(ARGV[5]))
return seconds
