-- KEYS: schedule   ARGV: limit, seconds
-- Returns the subjects whose next run is due. Each is scheduled again after that many seconds, which its worker changes:
-- if the message is lost, the subject is not.
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local subjects = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, subject in ipairs(subjects) do
  redis.call('ZADD', KEYS[1], 'XX', now + tonumber(ARGV[2]), subject)
end
return subjects
