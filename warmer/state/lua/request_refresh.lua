-- KEYS: forgotten, refresh, refreshed, negative count   ARGV: token, seconds for which the refresh stays wanted
-- Notes that the profile is to be looked up. If it shows no picture again, its negative cache entry starts short again.
-- Returns the ms until the look-up may start, 0 for now, or -2 if the subject was forgotten: nothing is written then.
if redis.call('EXISTS', KEYS[1]) == 1 then return -2 end
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
redis.call('DEL', KEYS[4])
return math.max(0, redis.call('PTTL', KEYS[3]))
