// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/LiveSection.h"

#include "ui/Look.h"
#include "ui/MidiPanel.h"

namespace lars {
namespace {

void fill(juce::ComboBox& box, const juce::AudioProcessorValueTreeState& state, const char* id) {
    if (const auto* choice = dynamic_cast<juce::AudioParameterChoice*>(state.getParameter(id)))
        box.addItemList(choice->choices, 1);
}

juce::String text(const std::string& line) {
    return juce::String::fromUTF8(line.c_str());
}

double rateOf(const LinkStatus& now, const PluginProcessor& plugin) {
    return now.rate > 0.0 ? now.rate : juce::jmax(1.0, plugin.getSampleRate());
}

juce::String latencyText(const LinkStatus& now, const PluginProcessor& plugin) {
    return juce::String(1000.0 * now.latency / rateOf(now, plugin), 1) + " ms";
}

} // namespace

LiveSection::LiveSection(PluginProcessor& processor) : plugin(processor), dot(palette::quiet) {
    setTitle("Live");
    for (auto* part : std::initializer_list<juce::Component*>{
             &title, &state, &modeName, &mode, &qualityName, &quality, &awayName, &away, &mixName,
             &mix, &meter, &bypass, &midi, &notes, &message, &start, &retry, &commandName, &command,
             &automatic, &advanced}) {
        addAndMakeVisible(part);
        part->setMouseClickGrabsKeyboardFocus(part == &command);
    }
    int order = 1;
    for (auto* part : std::initializer_list<juce::Component*>{&mode, &quality, &away, &mix, &midi, &notes, &bypass,
                                                              &retry, &start, &advanced, &command,
                                                              &automatic})
        part->setExplicitFocusOrder(order++);
    title.setText("Live", juce::dontSendNotification);
    title.setFont(Look::font(16.0f, true));
    state.setFont(Look::font(14.0f));
    const std::pair<juce::Label*, const char*> names[] = {{&modeName, "Mode"},
                                                          {&qualityName, "Offline quality"},
                                                          {&awayName, "Without engine"},
                                                          {&mixName, "Dry/wet"},
                                                          {&commandName, "Engine command"}};
    for (const auto& [label, name] : names) {
        label->setText(name, juce::dontSendNotification);
        label->setFont(Look::font(13.0f));
        label->setColour(juce::Label::textColourId, palette::quiet);
    }
    const char* figureNames[] = {"Latency", "Real-time ratio", "Missed", "Connections"};
    for (std::size_t i = 0; i < figures.size(); ++i) {
        auto& figure = figures[i];
        addAndMakeVisible(figure.name);
        addAndMakeVisible(figure.value);
        figure.name.setText(figureNames[i], juce::dontSendNotification);
        figure.name.setFont(Look::font(13.0f));
        figure.name.setColour(juce::Label::textColourId, palette::quiet);
        figure.value.setFont(Look::font(17.0f));
        figure.value.setTitle(figureNames[i]);
        figure.value.setMinimumHorizontalScale(0.8f);
    }
    auto& parameters = plugin.parameters();
    fill(mode, parameters, ids::mode);
    fill(quality, parameters, ids::quality);
    fill(away, parameters, ids::fallback);
    mode.setTitle("Mode");
    quality.setTitle("Offline quality");
    away.setTitle("Without engine");
    mix.setTitle("Dry/wet");
    mix.setSliderStyle(juce::Slider::LinearHorizontal);
    mix.setTextBoxStyle(juce::Slider::TextBoxRight, false, 62, 20);
    meter.setTooltip("Level of the main output, peaks from -60 to +12 dB below full scale");
    mix.setWantsKeyboardFocus(true);
    modeTie = std::make_unique<State::ComboBoxAttachment>(parameters, ids::mode, mode);
    qualityTie = std::make_unique<State::ComboBoxAttachment>(parameters, ids::quality, quality);
    awayTie = std::make_unique<State::ComboBoxAttachment>(parameters, ids::fallback, away);
    mixTie = std::make_unique<State::SliderAttachment>(parameters, ids::mix, mix);
    mix.textFromValueFunction = [](double value) { return juce::String(value, 0) + " %"; };
    mix.valueFromTextFunction = [](const juce::String& line) { return line.getDoubleValue(); };
    mix.setDoubleClickReturnValue(true, 100.0);
    mix.updateText();
    midiTie = std::make_unique<State::ButtonAttachment>(parameters, ids::midi, midi);
    midi.setTooltip("Plays the hits in the input as notes on channel 10, in time with the stems; the "
                    "latency grows to what hearing takes");
    notes.setTitle("Notes and sensitivities of MIDI out");
    notes.onClick = [this] {
        juce::CallOutBox::launchAsynchronously(std::make_unique<MidiPanel>(plugin.parameters()),
                                               notes.getScreenBounds(), nullptr);
    };
    bypassTie = std::make_unique<State::ButtonAttachment>(parameters, ids::bypass, bypass);

    command.setTitle("Engine command");
    command.setFont(Look::font(14.0f));
    command.setIndents(6, 5);
    command.setTooltip("Starts an engine; kept for this user, for all sessions. \"lars\" alone is "
                       "looked for where it was installed");
    automatic.setTooltip("Kept for this user, for all sessions");
    const auto keep = [this] {
        const auto result = plugin.setEngineCommand(command.getText(), automatic.getToggleState());
        problem = result.getErrorMessage();
    };
    command.onReturnKey = command.onFocusLost = automatic.onClick = keep;
    start.onClick = [this, keep] {
        keep();
        plugin.engine().startEngine();
    };
    retry.onClick = [this] { plugin.engine().retry(); };
    command.onEscapeKey = [this] { unfocusAllComponents(); };
    advanced.setTitle("Advanced: the engine's figures and its command");
    advanced.onClick = [this] {
        auto values = plugin.userSettings().get();
        values.advanced = !unfolded;
        problem = plugin.userSettings().set(values).getErrorMessage();
        fold(values.advanced);
    };
    fold(plugin.userSettings().get().advanced);
    update();
}

void LiveSection::show(const LinkStatus& now) {
    const auto say = [](juce::Label& label, const juce::String& line) {
        label.setText(line, juce::dontSendNotification);
    };
    juce::String line;
    auto colour = palette::warn;
    switch (now.state) {
    case LinkState::away:
        line = "No engine";
        colour = palette::bad;
        break;
    case LinkState::starting:
        line = "The engine is starting";
        break;
    case LinkState::opening:
        line = "Loading the model";
        break;
    case LinkState::ready:
        line = "Connected to " + text(now.engine) + ", " + latencyText(now, plugin) + " late";
        colour = palette::good;
        break;
    case LinkState::refused:
        line = "The engine refuses";
        colour = palette::bad;
        break;
    }
    // What is rendered plays by itself.
    const bool unneeded = now.state == LinkState::away && mode.getSelectedItemIndex() == 2;
    if (unneeded) {
        line = "No engine, and none is needed to play";
        colour = palette::quiet;
    }
    if (std::exchange(dot, colour) != colour)
        repaint();
    say(state, line);
    message.say(now.message.empty() || unneeded ? problem : text(now.message),
                now.state == LinkState::ready ? palette::quiet : palette::warn);

    const bool idle = now.state == LinkState::away || now.state == LinkState::refused;
    start.setVisible(now.state == LinkState::away);
    retry.setVisible(idle);
    showFigures(now);
}

void LiveSection::showFigures(const LinkStatus& now) {
    const auto say = [](juce::Label& label, const juce::String& line) {
        label.setText(line, juce::dontSendNotification);
    };
    const double rate = rateOf(now, plugin);
    const bool ready = now.state == LinkState::ready;
    const auto all = now.missing + now.replaced + now.unsent;
    if (!ready || std::exchange(connections, now.connections) != now.connections)
        missedBefore = all;
    const auto missed = all - missedBefore;
    say(figures[0].value, juce::String(now.latency) + " samples, " + latencyText(now, plugin));
    say(figures[1].value,
        ready && now.realTimeRatio > 0.0 ? juce::String(now.realTimeRatio, 2) : "-");
    say(figures[2].value, missed == 0 ? juce::String("none")
                                      : juce::String(static_cast<double>(missed) / rate, 2) + " s");
    say(figures[3].value, juce::String(static_cast<juce::int64>(now.connections)));
    figures[2].value.setColour(juce::Label::textColourId,
                               missed == 0 ? palette::text : palette::warn);
    figures[0].value.setTooltip("Model " + juce::String(now.modelLatency) + ", resampling " +
                                juce::String(now.resamplingLatency) + ", buffering " +
                                juce::String(now.bufferingLatency) + " samples");
    figures[1].value.setTooltip(
        "Seconds of computation for a second of audio; above 1 is too slow");
    figures[2].value.setTooltip(
        "Here " + juce::String(static_cast<juce::int64>(now.missing)) + " samples, late " +
        juce::String(static_cast<juce::int64>(now.late)) + ", not sent " +
        juce::String(static_cast<juce::int64>(now.unsent)) + ", replaced by the engine " +
        juce::String(static_cast<juce::int64>(now.replaced)));
}

void LiveSection::fold(bool open) {
    unfolded = open;
    advanced.setButtonText(open ? "Less" : "Advanced");
    for (auto& figure : figures) {
        figure.name.setVisible(open);
        figure.value.setVisible(open);
    }
    for (auto* part : std::initializer_list<juce::Component*>{&commandName, &command, &automatic})
        part->setVisible(open);
    if (onFolded)
        onFolded();
}

void LiveSection::updateMeter() {
    auto& level = plugin.mainMeter();
    const float left = level.take(0), right = level.take(1);
    meter.update(left, plugin.getMainBusNumOutputChannels() > 1 ? right : left, 1.0 / 30.0);
}

void LiveSection::update() {
    show(plugin.engine().status());
    // Other windows change these too.
    const auto settings = plugin.userSettings().get();
    if (!command.hasKeyboardFocus(true) && command.getText() != settings.command)
        command.setText(settings.command, false);
    if (settings.advanced != unfolded)
        fold(settings.advanced);
    automatic.setToggleState(settings.automatic, juce::dontSendNotification);
    quality.setEnabled(mode.getSelectedItemIndex() >= 1);
}

void LiveSection::paint(juce::Graphics& g) {
    g.setColour(palette::card);
    g.fillRoundedRectangle(getLocalBounds().toFloat(), 8.0f);
    g.setColour(dot);
    g.fillEllipse(juce::Rectangle<float>(10.0f, 10.0f)
                      .withCentre({76.0f, static_cast<float>(title.getBounds().getCentreY())}));
}

void LiveSection::resized() {
    auto area = getLocalBounds().reduced(12, 10);
    auto top = area.removeFromTop(28);
    title.setBounds(top.removeFromLeft(56));
    top.removeFromLeft(18);
    bypass.setBounds(top.removeFromRight(92));
    top.removeFromRight(8);
    notes.setBounds(top.removeFromRight(84).withSizeKeepingCentre(84, 26));
    top.removeFromRight(4);
    midi.setBounds(top.removeFromRight(104));
    state.setBounds(top);
    area.removeFromTop(2);

    auto row = area.removeFromTop(46);
    const std::pair<juce::Label*, juce::Component*> boxes[] = {
        {&modeName, &mode}, {&qualityName, &quality}, {&awayName, &away}, {&mixName, &mix}};
    const int gap = 10, small = (row.getWidth() - 3 * gap) / 4 - 16;
    for (const auto& [label, box] : boxes) {
        auto cell = box == &mix ? row : row.removeFromLeft(small);
        row.removeFromLeft(gap);
        label->setBounds(cell.removeFromTop(18).withTrimmedLeft(-5));
        if (box == &mix)
            meter.setBounds(cell.removeFromBottom(5).withTrimmedRight(62).reduced(8, 0));
        box->setBounds(cell);
    }
    area.removeFromTop(8);

    if (unfolded) {
        auto lower = area.removeFromBottom(90);
        lower.removeFromTop(8);
        row = lower.removeFromTop(44);
        const int each = row.getWidth() / 4;
        for (std::size_t i = 0; i < figures.size(); ++i) {
            // The latency is the widest.
            auto cell = row.removeFromLeft(i == 0 ? each * 3 / 2 : each * 5 / 6);
            figures[i].name.setBounds(cell.removeFromTop(18));
            figures[i].value.setBounds(cell);
        }
        lower.removeFromTop(6);
        row = lower.removeFromTop(26);
        commandName.setBounds(row.removeFromLeft(104).withTrimmedLeft(-5));
        automatic.setBounds(row.removeFromRight(164));
        row.removeFromRight(8);
        command.setBounds(row);
    }
    row = area;
    auto buttons = row.removeFromRight(row.getWidth() * 2 / 5).removeFromTop(26);
    advanced.setBounds(buttons.removeFromRight(92));
    buttons.removeFromRight(8);
    start.setBounds(buttons.removeFromRight(104));
    buttons.removeFromRight(8);
    retry.setBounds(buttons);
    row.removeFromRight(8);
    message.setBounds(row);
}

} // namespace lars
