-- KEYS: lease, forgotten, counter, kind of the failures   ARGV: token, how long a failure counts in s, kind or ''
-- Counts one more failure in a row. Returns the count, 0 if the lease is lost, -2 if the subject was forgotten.
if redis.call('EXISTS', KEYS[2]) == 1 then return -2 end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] ~= '' and redis.call('SET', KEYS[4], ARGV[3], 'EX', ARGV[2], 'GET') ~= ARGV[3] then
  redis.call('DEL', KEYS[3])
end
local count = redis.call('INCR', KEYS[3])
redis.call('EXPIRE', KEYS[3], ARGV[2])
return count
