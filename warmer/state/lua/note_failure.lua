-- KEYS: subjects that failed, by instant; their reasons   ARGV: subject, reason, how many to keep, their TTL in s
-- Records a failure in place of an earlier one of the subject. Those older than the TTL are dropped, and the oldest if
-- there are too many. If the list of subjects was evicted, their reasons go, too: nothing else would remove them. A full
-- Redis refuses ZADD, but not in a script that has written: hence ZREM.
local time = redis.call('TIME')
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('DEL', KEYS[2]) end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], time[1], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', tonumber(time[1]) - tonumber(ARGV[4]))) do
  redis.call('ZREM', KEYS[1], old)
  redis.call('HDEL', KEYS[2], old)
end
while redis.call('ZCARD', KEYS[1]) > tonumber(ARGV[3]) do
  redis.call('HDEL', KEYS[2], redis.call('ZPOPMIN', KEYS[1])[1])
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[4])
