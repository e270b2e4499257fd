-- SPDX-License-Identifier: GPL-3.0-or-later
-- route.lua <folder> <name>: the plugin on "Drums"; its snare to the track "Snare", its crash to the
-- track "Crash"; the left channel of the one and the right channel of the other to the master.
AudioEngine:set_backend("None (Dummy)", "", "")
local session = assert(load_session(arg[1] .. "/" .. arg[2], arg[2]), "no session")
local drums = session:route_by_name("Drums")
local plugin = ARDOUR.LuaAPI.new_plugin(session, "LARS", ARDOUR.PluginType.VST3, "")
assert(not plugin:isnil(), "Ardour does not know the plugin")
drums:set_strict_io(false)
assert(drums:add_processor_by_index(plugin, 0, nil, true) == 0, "the plugin cannot be inserted")
local audio = ARDOUR.DataType("audio")
local wide = ARDOUR.ChanCount(audio, 16)
assert(drums:customize_plugin_insert(plugin, 1, wide, wide), "no output per channel of each bus")
plugin:activate()
sleep(1) -- latency settles in another thread
local insert = plugin:to_insert()
print("outputs", insert:natural_output_streams():n_audio(), "latency", insert:signal_latency())

-- (index of the bus in the plugin, track, channel of the master)
local function disconnect(route)
  if not route:panner_shell():isnil() then route:panner_shell():set_bypassed(true) end
  for i = 0, route:n_outputs():n_audio() - 1 do route:output():audio(i):disconnect_all() end
end
disconnect(drums)
for _, wire in ipairs({ { 2, "Snare", 1 }, { 6, "Crash", 2 } }) do
  local track = session:route_by_name(wire[2])
  disconnect(track)
  for channel = 0, 1 do
    local from = drums:output():audio(2 * wire[1] + channel)
    track:input():audio(channel):disconnect_all()
    assert(from:connect(track:input():audio(channel):name()) == 0, "cannot connect " .. wire[2])
  end
  local out = track:output():audio(wire[3] - 1)
  assert(out:connect(string.format("Master/audio_in %d", wire[3])) == 0, "cannot connect master")
end
session:save_state("")
close_session()
quit()
