-- KEYS: lease, crashes, enqueued, wanted, forgotten   ARGV: token, 1 to keep the lease while variants are wanted,
-- 1 to keep the crash count
-- Returns {1, variant, ...} with the variants that clients asked for meanwhile (the lease is kept), {0} released, {-1} lost,
-- {-2} forgotten. One script, so that no request comes between the check and the release.
if redis.call('EXISTS', KEYS[5]) == 1 then return {-2} end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {-1} end
local wanted = redis.call('SMEMBERS', KEYS[4])
redis.call('DEL', KEYS[4])
if ARGV[2] == '1' and #wanted > 0 then
  table.insert(wanted, 1, 1)
  return wanted
end
redis.call('DEL', KEYS[1], KEYS[3])
if ARGV[3] ~= '1' then redis.call('DEL', KEYS[2]) end
return {0}
