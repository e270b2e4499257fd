// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/FileSection.h"

namespace lars {

juce::String clockText(double seconds) {
    const auto tenths = static_cast<int>(seconds * 10.0);
    return juce::String(tenths / 600) + ":" + juce::String(tenths / 10 % 60).paddedLeft('0', 2) +
           "." + juce::String(tenths % 10);
}

FileSection::FileSection(FileSession& fileSession, FilePlayer& filePlayer, WaveCache& cache)
    : session(fileSession), player(filePlayer), wave(filePlayer, cache) {
    setTitle("File");
    setFocusContainerType(FocusContainerType::none);
    for (auto* part : std::initializer_list<juce::Component*>{
             &name, &info, &loadButton, &separate, &wave, &play, &loop, &clock, &transport,
             &original, &stems, &bar, &message})
        addAndMakeVisible(part);
    for (auto* part : std::initializer_list<juce::Component*>{&loadButton, &separate, &transport,
                                                              &original, &stems})
        part->setMouseClickGrabsKeyboardFocus(false);
    int order = 1;
    for (auto* part : std::initializer_list<juce::Component*>{&loadButton, &separate, &play, &loop,
                                                              &transport, &original, &stems})
        part->setExplicitFocusOrder(order++);
    name.setFont(Look::font(16.0f, true));
    info.setFont(Look::font(13.0f));
    info.setColour(juce::Label::textColourId, palette::quiet);
    clock.setFont(Look::font(14.0f));
    message.setFont(Look::font(13.0f));
    message.setMinimumHorizontalScale(0.9f);

    loadButton.setTitle("Load an audio file");
    loadButton.onClick = [this] { chooseFile(); };
    separate.onClick = [this] {
        if (session.isSeparating())
            session.cancel();
        else if (onSeparate)
            onSeparate();
    };
    play.setTooltip("Play or stop (space)");
    play.onClick = [this] { togglePlay(); };
    loop.setTooltip("Go on from the beginning at the end");
    loop.setClickingTogglesState(true);
    loop.setToggleState(player.isLooping(), juce::dontSendNotification);
    loop.onClick = [this] { player.setLooping(loop.getToggleState()); };
    transport.setTitle("Position");
    transport.setSliderStyle(juce::Slider::LinearHorizontal);
    transport.setTextBoxStyle(juce::Slider::NoTextBox, true, 0, 0);
    transport.setWantsKeyboardFocus(true);
    transport.setDoubleClickReturnValue(true, 0.0);
    transport.textFromValueFunction = [](double value) { return clockText(value); };
    transport.onValueChange = [this] { player.setPosition(transport.getValue()); };
    original.setTitle("Hear the original");
    stems.setTitle("Hear the stems");
    original.setConnectedEdges(juce::Button::ConnectedOnRight);
    stems.setConnectedEdges(juce::Button::ConnectedOnLeft);
    original.onClick = [this] { player.hearStems(false); };
    stems.onClick = [this] { player.hearStems(true); };
    wave.setTitle("Waveform");
    bar.setTitle("Progress of the separation");
    update();
}

void FileSection::load(const juce::File& file) {
    session.load(file);
    update();
}

void FileSection::chooseFile() {
    const auto start = session.file() == juce::File()
                           ? juce::File::getSpecialLocation(juce::File::userMusicDirectory)
                           : session.file().getParentDirectory();
    chooser = std::make_unique<juce::FileChooser>("Load an audio file", start,
                                                  "*.wav;*.flac;*.aif;*.aiff;*.ogg");
    const auto flags =
        juce::FileBrowserComponent::openMode | juce::FileBrowserComponent::canSelectFiles;
    chooser->launchAsync(flags, [safe = SafePointer<FileSection>(this)](const auto& chosen) {
        if (safe != nullptr && chosen.getResult() != juce::File())
            safe->load(chosen.getResult());
    });
}

void FileSection::togglePlay() {
    if (player.isPlaying())
        player.stop();
    else
        player.play();
    update();
}

void FileSection::setDropping(bool is) {
    dropping = is;
    repaint();
}

// What changes seldom.
void FileSection::showChange() {
    const bool loaded = session.file() != juce::File();
    name.setText(loaded ? session.file().getFileName() : juce::String("No file"),
                 juce::dontSendNotification);
    info.setText(loaded ? clockText(player.length()) + ", " +
                              juce::String(player.sampleRate() / 1000.0) + " kHz"
                        : juce::String(),
                 juce::dontSendNotification);
    wave.show(session.file(), "Drop an audio file here, or load one");
    message.setText(session.message(), juce::dontSendNotification);
    message.setColour(juce::Label::textColourId, session.failed() ? palette::bad : palette::quiet);
    for (auto* part : std::initializer_list<juce::Component*>{&separate, &play, &transport})
        part->setEnabled(loaded);
    transport.setRange(0.0, juce::jmax(0.001, player.length()), 0.0);
    stems.setEnabled(!session.stems().empty());
    original.setEnabled(loaded);
}

void FileSection::update() {
    if (std::exchange(shown, session.version()) != session.version())
        showChange();
    const double now = player.position();
    play.setToggleState(player.isPlaying(), juce::dontSendNotification);
    clock.setText(clockText(now), juce::dontSendNotification);
    if (!transport.isMouseButtonDown())
        transport.setValue(now, juce::dontSendNotification);
    const bool stemsHeard = player.hearsStems();
    original.setToggleState(!stemsHeard && original.isEnabled(), juce::dontSendNotification);
    stems.setToggleState(stemsHeard, juce::dontSendNotification);
    wave.setHeard(!stemsHeard);
    wave.update();
    const bool running = session.isSeparating();
    progress = session.progress();
    bar.setVisible(running);
    message.setVisible(!running);
    separate.setButtonText(running ? "Cancel" : "Separate");
    separate.setColour(juce::TextButton::buttonColourId,
                       running ? palette::control
                               : palette::accent.withMultipliedBrightness(0.65f));
}

void FileSection::paint(juce::Graphics& g) {
    g.setColour(palette::card);
    g.fillRoundedRectangle(getLocalBounds().toFloat(), 8.0f);
    if (dropping) {
        g.setColour(palette::accent);
        g.drawRoundedRectangle(getLocalBounds().toFloat().reduced(1.0f), 8.0f, 2.0f);
    }
}

void FileSection::resized() {
    auto area = getLocalBounds().reduced(12, 10);
    auto top = area.removeFromTop(30);
    separate.setBounds(top.removeFromRight(104));
    top.removeFromRight(8);
    loadButton.setBounds(top.removeFromRight(84));
    top.removeFromRight(8);
    info.setBounds(top.removeFromRight(150));
    info.setJustificationType(juce::Justification::centredRight);
    name.setBounds(top);
    area.removeFromTop(8);
    auto bottom = area.removeFromBottom(22);
    bar.setBounds(bottom.reduced(0, 1));
    message.setBounds(bottom);
    area.removeFromBottom(4);
    auto row = area.removeFromBottom(30);
    play.setBounds(row.removeFromLeft(44));
    row.removeFromLeft(6);
    loop.setBounds(row.removeFromLeft(36));
    row.removeFromLeft(6);
    clock.setBounds(row.removeFromLeft(64));
    stems.setBounds(row.removeFromRight(74));
    original.setBounds(row.removeFromRight(80));
    row.removeFromRight(8);
    transport.setBounds(row);
    area.removeFromBottom(8);
    wave.setBounds(area);
}

} // namespace lars
