-- KEYS: events, sending   ARGV: token, 1 to remove the oldest event
-- Lets another worker send. Returns 1, or 0 if the token has expired: nothing is removed then.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
if ARGV[2] == '1' then redis.call('LPOP', KEYS[1]) end
redis.call('DEL', KEYS[2])
return 1
