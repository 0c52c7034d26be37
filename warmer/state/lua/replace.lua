-- KEYS: a record, the events of its id
-- ARGV: its old value, empty for none; its new value, empty to delete it; its TTL in s, empty for none; an event to
-- add, empty for none; the number of waiting events with which the last one is merged into it
-- Replaces the record unless another process wrote meanwhile. Returns 1 if it was written.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
  return 0
end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
elseif ARGV[3] == '' then
  redis.call('SET', KEYS[1], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
end
if ARGV[4] == '' then return 1 end
-- An event is its instant and its JSON. The instants of an id never run back, even if the clock does.
local time, event = redis.call('TIME'), ARGV[4]
local at, last = tonumber(time[1]) + tonumber(time[2]) / 1000000, redis.call('LINDEX', KEYS[2], -1)
if last then
  local before, json = string.match(last, '^(%S+) (.*)$')
  at = math.max(at, (tonumber(before) or 0) + 0.000001)
  local is_json, older = pcall(cjson.decode, json or '') -- another release may write another form
  if is_json and older.type == 'photo.changed' and redis.call('LLEN', KEYS[2]) >= tonumber(ARGV[5]) then
    local merged, known = cjson.decode(event), {}
    for _, file_id in ipairs(merged.stale) do known[file_id] = true end
    for _, file_id in ipairs(older.stale) do
      if not known[file_id] and file_id ~= merged.file_id then table.insert(merged.stale, file_id) end
    end
    if older.file_id ~= merged.file_id and not known[older.file_id] then table.insert(merged.stale, older.file_id) end
    event = cjson.encode(merged)
    redis.call('RPOP', KEYS[2])
  end
end
redis.call('RPUSH', KEYS[2], string.format('%.6f', at) .. ' ' .. event)
return 1
