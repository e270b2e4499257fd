-- SPDX-License-Identifier: GPL-3.0-or-later
-- tempo.lua <folder> <name>: another tempo, and the session saved anew, as Ardour has restored it.
AudioEngine:set_backend("None (Dummy)", "", "")
local session = assert(load_session(arg[1] .. "/" .. arg[2], arg[2]), "no session")
local map = Temporal.TempoMap.fetch_writable()
map:set_tempo(Temporal.Tempo(140, 90, 4), Temporal.timepos_t(0))
Temporal.TempoMap.update(map)
map = nil
sleep(1)
session:save_state("")
close_session()
quit()
