-- KEYS: lease, forgotten, unavailable, failures, negative count, retries, failing
-- ARGV: token, cause, seconds of the first entry, seconds of the longest, seconds for which an expired entry counts
-- Adds a negative cache entry, twice as long as the one before. Returns its seconds, 0 if the lease is lost, -2 if the
-- subject was forgotten: nothing is written then.
if redis.call('EXISTS', KEYS[2]) == 1 then return -2 end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local count = redis.call('INCR', KEYS[5])
local seconds = math.min(tonumber(ARGV[3]) * 2 ^ (count - 1), tonumber(ARGV[4]))
redis.call('SET', KEYS[3], ARGV[2], 'EX', seconds)
redis.call('DEL', KEYS[4], KEYS[6], KEYS[7])
redis.call('EXPIRE', KEYS[5], seconds + tonumber(ARGV[5]))
return seconds
