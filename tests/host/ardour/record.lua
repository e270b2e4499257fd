-- SPDX-License-Identifier: GPL-3.0-or-later
-- record.lua <folder> <name> <seconds>: plays the session from its start at half speed, until so
-- much of it is played, and records what is armed.
local backend = AudioEngine:set_backend("None (Dummy)", "", "")
backend:set_driver("Half Speed")
local session = assert(load_session(arg[1] .. "/" .. arg[2], arg[2]), "no session")
sleep(3) -- the plugin's stream opens
session:goto_start(false)
sleep(1)
session:maybe_enable_record(false)
session:request_roll(ARDOUR.TransportRequestSource.TRS_UI)
for _ = 1, 60 do
  sleep(1)
  if session:transport_sample() > tonumber(arg[3]) * 44100 then break end
end
print("played", session:transport_sample(), "recording", session:actively_recording())
session:request_stop(false, false, ARDOUR.TransportRequestSource.TRS_UI)
sleep(2)
session:save_state("")
close_session()
quit()
