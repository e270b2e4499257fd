-- SPDX-License-Identifier: GPL-3.0-or-later
-- lv2.lua <folder> <name> <uri>: the LV2 plugin on "Drums", with all its outputs, the kick to the left
-- channel of the master and the crash to the right one.
AudioEngine:set_backend("None (Dummy)", "", "")
local session = assert(load_session(arg[1] .. "/" .. arg[2], arg[2]), "no session")
local drums = session:route_by_name("Drums")
local plugin = ARDOUR.LuaAPI.new_plugin(session, arg[3], ARDOUR.PluginType.LV2, "")
assert(not plugin:isnil(), "Ardour does not know the plugin")
drums:set_strict_io(false)
assert(drums:add_processor_by_index(plugin, 0, nil, true) == 0, "the plugin cannot be inserted")
local wide = ARDOUR.ChanCount(ARDOUR.DataType("audio"), 16)
assert(drums:customize_plugin_insert(plugin, 1, wide, wide), "no output per channel of each bus")
plugin:activate()
sleep(1) -- latency settles in another thread
local insert = plugin:to_insert()
print("outputs", insert:natural_output_streams():n_audio(), "notes",
  insert:natural_output_streams():n_midi(), "latency", insert:signal_latency())
if not drums:panner_shell():isnil() then drums:panner_shell():set_bypassed(true) end
for i = 0, drums:n_outputs():n_audio() - 1 do drums:output():audio(i):disconnect_all() end
for channel, from in ipairs({ 2, 12 }) do
  local into = string.format("Master/audio_in %d", channel)
  assert(drums:output():audio(from):connect(into) == 0, "cannot connect master")
end
session:save_state("")
close_session()
quit()
