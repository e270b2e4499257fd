-- SPDX-License-Identifier: GPL-3.0-or-later
-- render.lua <folder> <name> <renders> <samples>: the plugin on "Drums", which is in the session and
-- routed already, captures the track while the transport plays and loops, and has it separated. Ends
-- when a render in this folder has stems.
AudioEngine:set_backend("None (Dummy)", "", "")
local session = assert(load_session(arg[1] .. "/" .. arg[2], arg[2]), "no session")
local insert
local drums = session:route_by_name("Drums")
for at = 0, 20 do
  local processor = drums:nth_plugin(at)
  if processor:isnil() then break end
  if processor:to_insert():plugin(0):name() == "LARS" then insert = processor:to_insert() end
end
assert(insert, "the plugin is not there")

local function set(name, value)
  local plugin = insert:plugin(0)
  local input = 0
  for at = 0, plugin:parameter_count() - 1 do
    if plugin:parameter_is_input(at) then
      if plugin:parameter_label(at) == name then
        assert(ARDOUR.LuaAPI.set_plugin_insert_param(insert, input, value), name)
        return
      end
      input = input + 1
    end
  end
  error("no parameter " .. name)
end

set("Mode", 1.0) -- Rendered
set("Model for files", 1 / 31) -- tiny
sleep(2)
print("latency", insert:signal_latency())
set("Capture", 1.0)
sleep(1)
local samples = tonumber(arg[4])
session:request_locate(0, false, ARDOUR.LocateTransportDisposition.MustStop, ARDOUR.TransportRequestSource.TRS_UI)
sleep(1)
-- All of it; then again from its middle, so that this is captured twice.
for _, from in ipairs({ 0, math.floor(samples / 2) }) do
  session:request_locate(from, false, ARDOUR.LocateTransportDisposition.MustStop, ARDOUR.TransportRequestSource.TRS_UI)
  sleep(1)
  session:request_roll(ARDOUR.TransportRequestSource.TRS_UI)
  for _ = 1, 200 do
    if session:transport_sample() > samples + 4096 then break end
    ARDOUR.LuaAPI.usleep(50000)
  end
  session:request_stop(false, false, ARDOUR.TransportRequestSource.TRS_UI)
  sleep(1)
end
set("Capture", 0.0)
for _ = 1, 90 do
  local found = io.popen("cat '" .. arg[3] .. "'/*/render.json 2>/dev/null | grep -c checksum")
  local count = tonumber(found:read("*a")) or 0
  found:close()
  if count >= 6 then break end
  sleep(1)
end
sleep(1)
session:save_state("")
close_session()
quit()
