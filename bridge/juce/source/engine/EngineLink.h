// SPDX-License-Identifier: GPL-3.0-or-later
// The engine, as the rest of the plugin sees it. Owns the parts and wakes the engine's thread:
//
//   LinkBoard      which stream is ordered, what came of it   any thread
//   ChainDesk      which effects are wanted, what they are     any thread
//   LaunchPolicy   when an engine is started and awaited      asked by any, decides on the engine's
//   Connector      finds the engine, connects, comes back     the engine's thread
//   StreamSession  the stream in one connection               the engine's thread
//   Exchange       queues to and from the audio thread        both; its table says what is counted
#pragma once

#include "engine/ChainDesk.h"
#include "engine/Connector.h"

namespace lars {

// Any thread but the audio thread.
class EngineLink {
public:
    explicit EngineLink(std::string clientName);

    Exchange& exchange() { return shared; }

    // The stream that is wanted from now on. There is a plan at once, dry if need be.
    void configure(const StreamSettings& settings);
    // Waits until the configured stream is open or cannot be, at most so long. Whether it is open.
    bool waitUntilReady(int milliseconds);
    // The latency of the newest plan, in samples.
    int latency() const { return board.latency(); }
    LinkStatus status() const { return board.status(); }

    // The effects behind the stems. `restored`: by a session, so that a host can wait until they
    // are there as for a stream.
    ChainDesk& chains() { return desk; }
    void setChains(Chains wanted, bool restored = false);
    void askForEffects();

    // The command that starts an engine, and whether to do so without being asked.
    void setCommand(const std::string& command, bool automatic);
    // Starts an engine now if there is none, or just looks again.
    void startEngine();
    void retry();
    // Weights have come: the models are told of anew, and a stream that was refused is tried again.
    void modelsChanged();

    // Latencies that earlier streams had, so that a session keeps its delay compensation while the
    // engine is away; kept with the plugin's state.
    std::map<std::string, int> latencies() const { return board.latencies(); }
    void addLatencies(const std::map<std::string, int>& known) { board.addLatencies(known); }

private:
    Exchange shared;
    LinkBoard board{shared};
    LaunchPolicy launch;
    ChainDesk desk;
    Connector connector; // the last: its thread uses the others
};

} // namespace lars
