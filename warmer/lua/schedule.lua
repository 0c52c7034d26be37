-- KEYS: due   ARGV: seconds from now, '' for whatever there is, NX for no turn yet, LT for none that early, then subjects
local time = redis.call('TIME')
local at = tonumber(time[1]) + tonumber(time[2]) / 1000000 + tonumber(ARGV[1])
for i = 3, #ARGV do
  if ARGV[2] == '' then
    redis.call('ZADD', KEYS[1], at, ARGV[i])
  else
    redis.call('ZADD', KEYS[1], ARGV[2], at, ARGV[i])
  end
end
return 1
