-- KEYS: schedule
-- ARGV: seconds from now; '' to replace any next run, NX to add one only, LT to make it earlier only; subjects
-- Returns {number of subjects that had no next run, the instant as it was written}.
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
