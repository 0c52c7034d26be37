-- KEYS: forgotten, refresh, refreshed   ARGV: token, seconds until the next refresh may start
-- The profile was looked up for this refresh. One that was requested meanwhile stays. Writes nothing for a forgotten subject.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
redis.call('SET', KEYS[3], '1', 'EX', ARGV[2])
return 1
