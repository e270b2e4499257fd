-- SPDX-License-Identifier: GPL-3.0-or-later
-- record.lua <folder> <name>: plays the session from its start for some seconds in real time, and
-- records what is armed.
local backend = AudioEngine:set_backend("None (Dummy)", "", "")
for d in backend:enumerate_drivers():iter() do print("driver", d) end
print("set", backend:set_driver("Half Speed"), backend:driver_name())
local session = assert(load_session(arg[1] .. "/" .. arg[2], arg[2]), "no session")
sleep(3) -- the plugin's stream opens
local insert = session:route_by_name("Drums"):nth_plugin(0):to_insert()
print("latency", insert:signal_latency())
session:goto_start(false)
sleep(1)
session:maybe_enable_record(false)
session:request_roll(ARDOUR.TransportRequestSource.TRS_UI)
for _ = 1, 8 do sleep(1); print("rolling", session:transport_rolling(), session:actively_recording(), session:transport_sample(), session:route_by_name("Hits"):to_track():rec_enable_control():get_value()) end
session:request_stop(false, false, ARDOUR.TransportRequestSource.TRS_UI)
sleep(2)
session:save_state("")
close_session()
quit()
