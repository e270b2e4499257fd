// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/StemLane.h"

#include "ui/ChainPanel.h"

namespace lars {
namespace {
constexpr int textWidth = 62, meterHeight = 5;
constexpr double frameSeconds = 1.0 / 30.0; // between updates
} // namespace

juce::String decibelText(double decibels) {
    if (!(decibels > static_cast<double>(leastGainDb)))
        return "-inf dB";
    return (decibels > 0.049 ? "+" : "") + juce::String(decibels, 1) + " dB";
}

double decibelsOf(const juce::String& text) {
    const auto trimmed = text.trim().toLowerCase();
    return trimmed.startsWith("-inf") || trimmed.startsWith("inf")
               ? static_cast<double>(leastGainDb)
               : trimmed.retainCharacters("+-.0123456789").getDoubleValue();
}

StemLane::StemLane(const juce::String& ofStem, int place, PluginProcessor& processor,
                   TimeView& view, WaveCache& cache)
    : plugin(processor), index(place), bus(Plan::busOf(ofStem.toStdString())),
      stem(ofStem), colour(stemColour(stem)), select(stemTitle(stem)), wave(view, cache) {
    const auto name = stemTitle(stem);
    setTitle(name);
    addAndMakeVisible(wave);
    addAndMakeVisible(meter);
    addAndMakeVisible(midi);
    int order = 1;
    for (auto* part :
         std::initializer_list<juce::Component*>{&select, &mute, &solo, &pan, &gain, &effects}) {
        addAndMakeVisible(part);
        part->setMouseClickGrabsKeyboardFocus(false);
        part->setExplicitFocusOrder(order++);
    }
    select.setTitle("Select " + name);
    select.setColour(juce::ToggleButton::tickColourId, colour);
    select.setTooltip("Select for saving and dragging");
    select.onClick = [this] {
        if (onSelect)
            onSelect();
    };
    mute.setTitle("Mute " + name);
    mute.setTooltip("Mute");
    mute.setColour(juce::TextButton::buttonOnColourId, palette::bad);
    solo.setTitle("Solo " + name);
    solo.setTooltip("Solo");
    solo.setColour(juce::TextButton::buttonOnColourId, palette::warn);
    for (auto* button : {&mute, &solo})
        button->setClickingTogglesState(true);
    effects.setTitle(name + " effects");
    effects.setTooltip("Effects on this stem of the live stream");
    effects.setColour(juce::TextButton::buttonOnColourId, colour);
    effects.onClick = [this] {
        juce::CallOutBox::launchAsynchronously(std::make_unique<ChainPanel>(plugin, stem),
                                               effects.getScreenBounds(), nullptr);
    };
    pan.setTitle(name + " pan");
    pan.setSliderStyle(juce::Slider::RotaryHorizontalVerticalDrag);
    pan.setTextBoxStyle(juce::Slider::NoTextBox, true, 0, 0);
    pan.setTooltip("Pan: turns the other side down; double-click for the centre");
    pan.setPopupDisplayEnabled(true, false, nullptr);
    gain.setTitle(name + " gain");
    gain.setSliderStyle(juce::Slider::LinearHorizontal);
    gain.setTextBoxStyle(juce::Slider::TextBoxRight, false, textWidth, 20);
    gain.setColour(juce::Slider::trackColourId, colour);
    for (auto* slider : {&pan, &gain})
        slider->setWantsKeyboardFocus(true);
    meter.setColour(colour);
    meter.setTooltip(name + " level behind its fader, peaks in dB below full scale");
    meter.place = [this](float decibels) {
        return (static_cast<float>(gain.getPositionOfValue(decibels)) +
                static_cast<float>(gain.getX()) -
                static_cast<float>(meter.getX())) /
               static_cast<float>(juce::jmax(1, meter.getWidth()));
    };
    wave.setTitle(name + " waveform");
    wave.setColour(colour);
    wave.onDragOut = [this] {
        if (onDragOut)
            onDragOut();
    };
    if (bus >= 0) {
        const juce::String id = busStems[static_cast<std::size_t>(bus)];
        auto& state = plugin.parameters();
        gainTie = std::make_unique<State::SliderAttachment>(state, ids::gain(id), gain);
        panTie = std::make_unique<State::SliderAttachment>(state, ids::pan(id), pan);
        muteTie = std::make_unique<State::ButtonAttachment>(state, ids::mute(id), mute);
        soloTie = std::make_unique<State::ButtonAttachment>(state, ids::solo(id), solo);
    } else {
        tieToOwnFader(plugin.filePlayer().ownFader(index));
    }
    // After the ties, which bring texts of their own.
    gain.textFromValueFunction = decibelText;
    gain.valueFromTextFunction = decibelsOf;
    pan.textFromValueFunction = [](double value) { return panText(static_cast<float>(value)); };
    pan.valueFromTextFunction = [](const juce::String& text) { return panOf(text); };
    for (auto* slider : {&pan, &gain}) {
        slider->setDoubleClickReturnValue(true, 0.0);
        slider->updateText();
    }
}

// Of no bus: the fader is the file player's alone.
void StemLane::tieToOwnFader(FilePlayer::OwnFader& fader) {
    gain.setRange(leastGainDb, mostGainDb, 0.1);
    pan.setRange(-100.0, 100.0, 1.0);
    gain.setValue(fader.gain.load(), juce::dontSendNotification);
    pan.setValue(fader.pan.load(), juce::dontSendNotification);
    mute.setToggleState(fader.mute.load() > 0.5f, juce::dontSendNotification);
    solo.setToggleState(fader.solo.load() > 0.5f, juce::dontSendNotification);
    gain.onValueChange = [this, &fader] { fader.gain.store(static_cast<float>(gain.getValue())); };
    pan.onValueChange = [this, &fader] { fader.pan.store(static_cast<float>(pan.getValue())); };
    mute.onClick = [this, &fader] { fader.mute.store(mute.getToggleState() ? 1.0f : 0.0f); };
    solo.onClick = [this, &fader] { fader.solo.store(solo.getToggleState() ? 1.0f : 0.0f); };
}

void StemLane::show(const juce::File& file) {
    const bool there = file != juce::File();
    wave.show(file, {});
    wave.setTooltip(there ? "Drag this stem into your DAW or onto the desktop; click to jump"
                          : juce::String());
    select.setEnabled(there);
    if (!there)
        select.setToggleState(false, juce::dontSendNotification);
}

void StemLane::setSelected(bool selected) {
    select.setToggleState(selected, juce::dontSendNotification);
}

void StemLane::setGrey(bool is) {
    if (std::exchange(grey, is) == is)
        return;
    const auto shade = grey ? palette::line.brighter(0.2f) : colour;
    gain.setColour(juce::Slider::trackColourId, shade);
    pan.setColour(juce::Slider::rotarySliderFillColourId, shade);
    select.setColour(juce::ToggleButton::textColourId, grey ? palette::quiet.darker(0.4f)
                                                            : palette::text);
    meter.setColour(shade);
    repaint();
}

void StemLane::update(bool heardFromFile, bool anySolo) {
    const bool silent = mute.getToggleState() || (anySolo && !solo.getToggleState());
    setGrey(silent);
    auto& file = plugin.filePlayer().meter(index);
    float peaks[2];
    for (int side = 0; side < 2; ++side) {
        peaks[side] = file.take(side);
        if (bus >= 0)
            peaks[side] = juce::jmax(peaks[side], plugin.busMeter(bus).take(side));
    }
    meter.update(peaks[0], peaks[1], frameSeconds);
    if (const auto news = plugin.engine().chains().news(); news != chainsSeen) {
        chainsSeen = news;
        effects.setToggleState(plugin.engine().chains().wanted().count(stem.toStdString()) > 0,
                               juce::dontSendNotification);
    }
    wave.setHeard(heardFromFile && !silent);
    wave.update();
}

void StemLane::paint(juce::Graphics& g) {
    g.setColour(grey ? colour.withMultipliedAlpha(0.35f) : colour);
    g.fillRoundedRectangle(0.0f, 4.0f, 4.0f, static_cast<float>(getHeight()) - 8.0f, 2.0f);
}

int StemLane::xOf(float decibels) const {
    return gain.getX() + juce::roundToInt(gain.getPositionOfValue(decibels));
}

std::vector<StemLane::Cell> StemLane::cells() {
    return {{&select, 88, 30, 4},
            {&mute, 28, 28, 3},
            {&solo, 28, 28, 6},
            {&pan, 30, 30, 4},
            {&gain, juce::jlimit(190, 280, getWidth() / 4), 0, 10}};
}

void StemLane::resized() {
    auto area = getLocalBounds().reduced(0, 3);
    area.removeFromLeft(10);
    for (const auto& cell : cells()) {
        auto place = area.removeFromLeft(cell.width);
        area.removeFromLeft(cell.gap);
        if (cell.part != &gain) {
            cell.part->setBounds(place.withSizeKeepingCentre(cell.width, cell.height));
            continue;
        }
        place = place.withSizeKeepingCentre(place.getWidth(), 22 + meterHeight + 2);
        gain.setBounds(place.removeFromTop(22));
        meter.setBounds(place.removeFromBottom(meterHeight).withTrimmedRight(textWidth));
    }
    midi.setBounds(area.removeFromRight(MidiHandle::width)
                       .withSizeKeepingCentre(MidiHandle::width, 24));
    area.removeFromRight(6);
    effects.setBounds(area.removeFromRight(34).withSizeKeepingCentre(34, 24));
    area.removeFromRight(8);
    wave.setBounds(area);
}

} // namespace lars
