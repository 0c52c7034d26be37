-- KEYS: schedule   ARGV: seconds from now, '' for whatever there is, NX for no turn yet, LT for none that early, then subjects
-- Returns {how many of them had no turn before, the instant as it was written}.
local time = redis.call('TIME')
local at = string.format('%.6f', tonumber(time[1]) + tonumber(time[2]) / 1000000 + tonumber(ARGV[1]))
local new = 0
for i = 3, #ARGV do
  if ARGV[2] == '' then
    new = new + redis.call('ZADD', KEYS[1], at, ARGV[i])
  else
    new = new + redis.call('ZADD', KEYS[1], ARGV[2], at, ARGV[i])
  end
end
return {new, at}
