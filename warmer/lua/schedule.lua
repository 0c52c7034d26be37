-- KEYS: due   ARGV: seconds from now, 1 to leave a subject that is already there alone, then subjects
local time = redis.call('TIME')
local at = tonumber(time[1]) + tonumber(time[2]) / 1000000 + tonumber(ARGV[1])
for i = 3, #ARGV do
  if ARGV[2] == '1' then
    redis.call('ZADD', KEYS[1], 'NX', at, ARGV[i])
  else
    redis.call('ZADD', KEYS[1], at, ARGV[i])
  end
end
return 1
