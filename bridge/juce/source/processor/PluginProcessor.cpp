// SPDX-License-Identifier: GPL-3.0-or-later
#include "processor/PluginProcessor.h"

namespace lars {
namespace {

// How long a host may be kept waiting: for a latency before the first prepare, for a stream before
// live playing, and before rendering, when a model may have to be loaded first.
constexpr int firstLookMilliseconds = 500;
constexpr int liveMilliseconds = 3000;
constexpr int renderMilliseconds = 120000;
constexpr int timerMilliseconds = 50;
constexpr int ticksPerRefresh = 20; // of the user's settings

} // namespace

juce::AudioProcessor::BusesProperties PluginProcessor::buses() {
    BusesProperties result;
    result.addBus(true, "Input", juce::AudioChannelSet::stereo(), true);
    result.addBus(false, "Main", juce::AudioChannelSet::stereo(), true);
    for (const auto* stem : busStems)
        result.addBus(false, stemTitle(stem), juce::AudioChannelSet::stereo(), false);
    result.addBus(false, stemTitle(residualName), juce::AudioChannelSet::stereo(), false);
    return result;
}

PluginProcessor::PluginProcessor()
    : AudioProcessor(buses()), state(*this, nullptr, "lars", makeParameters(modelNames)),
      bypass(state.getParameter(ids::bypass)), bypassValue(state.getRawParameterValue(ids::bypass)),
      fallbackValue(state.getRawParameterValue(ids::fallback)),
      captureValue(state.getRawParameterValue(ids::capture)), choices(state),
      past(*this, {ids::capture}), mixer(state), midiOut(state),
      link("lars plugin " LARS_VERSION), player(link.exchange()), files(state),
      session(files, job, conversion),
      fileMidi(session, transcription, [this] { return hostTempo.load(); }) {
    settings->refresh();
    for (auto* one : {&job, &conversion, &fetch, &transcription})
        one->whyNoEngine = [this](int tries) { return whyNoEngine(tries); };
    once.whyNoEngine = job.whyNoEngine;
    applyUserSettings();
    configure();
    // Hosts ask for the latency before they prepare.
    if (runtimeFileExists())
        link.waitUntilReady(firstLookMilliseconds);
    showLatency();
    showModels();
    startTimer(timerMilliseconds);
}

PluginProcessor::~PluginProcessor() {
    stopTimer();
    once.stop();
    for (auto* one : {&job, &conversion, &fetch, &transcription})
        one->stop(); // their threads look at what goes before they do
}

bool PluginProcessor::isBusesLayoutSupported(const BusesLayout& layout) const {
    // JUCE's own hosts, pedalboard among them, say the rate, ask this, and then for the latency,
    // all before they prepare.
    if (getSampleRate() > 0.0 && getBlockSize() > 0)
        const_cast<PluginProcessor*>(this)->expect(getSampleRate(), getBlockSize());
    const auto mono = juce::AudioChannelSet::mono();
    const auto stereo = juce::AudioChannelSet::stereo();
    const auto in = layout.getMainInputChannelSet();
    const auto out = layout.getMainOutputChannelSet();
    if (!(in == mono || in == stereo) || !(out == stereo || out == in))
        return false;
    for (int i = 1; i < layout.outputBuses.size(); ++i) {
        const auto& stem = layout.outputBuses.getReference(i);
        if (!(stem.isDisabled() || stem == mono || stem == stereo))
            return false;
    }
    return true;
}

// The stream.

StreamSettings PluginProcessor::streamSettings() const {
    StreamSettings result;
    const auto chosen = choices.now();
    result.offline = chosen.mode == 1;
    result.idle = chosen.mode == 2;
    result.model = modelName(result.offline ? Task::files : Task::live).toStdString();
    result.preset = result.offline ? presetOf(chosen.quality) : "";
    result.hears = chosen.midi == 1;
    result.silence = chosen.fallback == 1;
    result.waits = renders.load();
    result.channels = currentChannels.load();
    result.block = currentBlock.load();
    result.rate = currentRate.load();
    return result;
}

// Configures, and waits for the stream, at most so long; not on the audio thread of a live host.
void PluginProcessor::settle(int milliseconds) {
    configure();
    link.waitUntilReady(milliseconds);
    if (canName()) {
        configure();
        link.waitUntilReady(milliseconds);
    }
}

// Not on the audio thread: hosts are told, and may do anything.
void PluginProcessor::showLatency() {
    if (getLatencySamples() != link.latency())
        setLatencySamples(link.latency());
}

void PluginProcessor::timerCallback() {
    if (choicesChanged() || canName())
        configure();
    showLatency();
    showModels();
    followCapture();
    if (++ticks % ticksPerRefresh == 0)
        settings->refresh();
    applyUserSettings();
}

// Audio.

// Brings the stream, and with it the latency, to what the host will want.
void PluginProcessor::expect(double rate, int block) {
    block = juce::jlimit(1, 65536, block);
    if (juce::approximatelyEqual(rate, currentRate.load()) && block == currentBlock.load() &&
        renders.load() == isNonRealtime())
        return;
    currentRate.store(rate);
    currentBlock.store(block);
    // Some hosts say so before they render, and not while they do.
    renders.store(isNonRealtime());
    prepared.store(true);
    applyUserSettings();
    files.prepare(rate);
    settle(isNonRealtime() ? renderMilliseconds : liveMilliseconds);
    showLatency();
}

void PluginProcessor::prepareToPlay(double rate, int block) {
    prepared.store(true);
    applyUserSettings();
    expect(rate, block);
    currentChannels.store(juce::jlimit(1, 2, getMainBusNumInputChannels()));
    settle(isNonRealtime() ? renderMilliseconds : liveMilliseconds);
    if (!player.adopt())
        player.restart();
    restartAsked.store(false);
    mixer.snap();
    midiOut.prepare(rate);
    once.prepare(rate, currentChannels.load());
    if (isNonRealtime() && streamSettings().idle)
        once.waitUntilDone(renderMilliseconds);
    showLatency();

    const auto longest = static_cast<std::size_t>(currentBlock.load());
    constexpr std::size_t mostLines = 2 * protocol::maxNames;
    stemSamples.assign(mostLines * longest, 0.0f);
    mixtureSamples.assign(2 * longest, 0.0f);
    residualSamples.assign(2 * longest, 0.0f);
    stemLines.resize(mostLines);
    for (std::size_t line = 0; line < mostLines; ++line)
        stemLines[line] = stemSamples.data() + line * longest;
    for (std::size_t line = 0; line < 2; ++line) {
        mixtureLines[line] = mixtureSamples.data() + line * longest;
        residualLines[line] = residualSamples.data() + line * longest;
    }
}

// Hosts may call this on the audio thread.
void PluginProcessor::reset() {
    restartAsked.store(true);
}

void PluginProcessor::processBlock(juce::AudioBuffer<float>& buffer, juce::MidiBuffer& midi) {
    process(buffer, midi, bypassValue->load() > 0.5f);
    if (!isNonRealtime() && !renders.load()) // auditioned files are not part of a bounce
        files.add(buffer, juce::jmin(2, getMainBusNumOutputChannels()));
    for (int side = 0; side < juce::jmin(2, getMainBusNumOutputChannels()); ++side)
        mainLevel.tell(side, buffer.getReadPointer(side), buffer.getNumSamples(), 1.0f);
}

void PluginProcessor::processBlockBypassed(juce::AudioBuffer<float>& buffer,
                                           juce::MidiBuffer& midi) {
    process(buffer, midi, true);
}

void PluginProcessor::process(juce::AudioBuffer<float>& buffer, juce::MidiBuffer& midi,
                              bool bypassed) {
    const juce::ScopedNoDenormals noDenormals;
    midi.clear(); // what comes in is nobody's here
    if (const auto* head = getPlayHead())
        if (const auto place = head->getPosition())
            hostTempo.store(place->getBpm().orFallback(0.0));
    const bool wait = isNonRealtime() || renders.load();
    if (wait && choicesChanged())
        settle(renderMilliseconds); // a renderer can wait for what was changed since the last block
    if (player.adopt() || restartAsked.exchange(false)) {
        player.restart();
        mixer.snap();
        midiOut.stop(midi);
    }
    const auto* plan = player.plan();
    if (plan != nullptr && plan->idle) {
        if (wait) {
            followCapture();
            once.waitUntilDone(-1); // a renderer waits for stems that are on their way
        }
        once.player().adopt();
        blockPosition = hostPosition();
    }
    if (plan == nullptr || stemLines.empty() ||
        plan->aligner.channels() != juce::jlimit(1, 2, getMainBusNumInputChannels())) {
        buffer.clear(); // not prepared for this
        return;
    }
    const int largest =
        juce::jmin(plan->aligner.largest(), static_cast<int>(mixtureSamples.size() / 2));
    for (int start = 0; start < buffer.getNumSamples(); start += largest)
        processPart(buffer, midi, start, juce::jmin(largest, buffer.getNumSamples() - start),
                    bypassed, wait);
    midiOut.endBlock(buffer.getNumSamples());
}

void PluginProcessor::processPart(juce::AudioBuffer<float>& buffer, juce::MidiBuffer& midi,
                                  int start, int count, bool bypassed, bool wait) {
    const auto* plan = player.plan();
    const int channels = plan->aligner.channels();
    const float* in[2] = {};
    for (int channel = 0; channel < channels; ++channel) {
        // One bad sample would make the engine refuse the block.
        auto* samples = buffer.getWritePointer(channel, start);
        for (int i = 0; i < count; ++i)
            if (!std::isfinite(samples[i]))
                samples[i] = 0.0f;
        in[channel] = samples;
    }
    const bool dry = fallbackValue->load() < 0.5f && !link.exchange().refused.load();
    if (plan->idle) {
        processRendered(in, channels, start, count, dry, wait);
        // Offline, the stems add up at every rate.
        for (auto* line : residualLines)
            juce::FloatVectorOperations::clear(line, count);
    } else {
        player.process(in, count, stemLines.data(), mixtureLines.data(), dry, wait);
        plan->aligner.residual(stemLines.data(), mixtureLines.data(), count, dry,
                               residualLines.data());
    }
    const auto& stemBus = plan->idle ? once.player().bus() : plan->bus;
    player.hits(plan->idle ? 0 : count, [&](const HitPiece& hit, int sample) {
        if (!bypassed)
            midiOut.hit(hit, start + sample, midi);
    });
    midiOut.finish(start, count, midi);

    float* main[2] = {};
    const int mainChannels = juce::jmin(2, getMainBusNumOutputChannels());
    for (int channel = 0; channel < mainChannels; ++channel)
        main[channel] = buffer.getWritePointer(channel, start);
    if (bypassed) {
        for (int channel = 0; channel < mainChannels; ++channel)
            juce::FloatVectorOperations::copy(
                main[channel],
                mixtureLines[static_cast<std::size_t>(juce::jmin(channel, channels - 1))], count);
        mixer.snap();
    } else {
        mixer.process(stemLines.data(), stemBus, channels, residualLines.data(),
                      mixtureLines.data(), main, mainChannels, count);
    }

    int line = mainChannels;
    for (int bus = 1; bus < getBusCount(false); ++bus) {
        const int wide = getChannelCountOfBus(false, bus);
        const float* const* source = nullptr;
        for (std::size_t i = 0; i < stemBus.size() && !bypassed; ++i)
            if (stemBus[i] == bus - 1)
                source = stemLines.data() + static_cast<int>(i) * channels;
        if (bus - 1 == busCount && !bypassed)
            source = residualLines.data();
        for (int channel = 0; channel < wide; ++channel, ++line) {
            if (line >= buffer.getNumChannels())
                return;
            auto* target = buffer.getWritePointer(line, start);
            if (source == nullptr) {
                juce::FloatVectorOperations::clear(target, count);
                continue;
            }
            if (wide == 1 && channels == 2) {
                juce::FloatVectorOperations::copyWithMultiply(target, source[0], 0.5f, count);
                juce::FloatVectorOperations::addWithMultiply(target, source[1], 0.5f, count);
            } else {
                juce::FloatVectorOperations::copy(target, source[juce::jmin(channel, channels - 1)],
                                                  count);
            }
        }
    }
}

} // namespace lars
