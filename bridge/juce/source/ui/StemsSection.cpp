// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/StemsSection.h"

#include "ui/Look.h"

namespace lars {
namespace {

constexpr int laneHeight = 40, headHeight = 30, scaleHeight = Ruler::height + 4, padding = 10;

juce::StringArray busNames() {
    juce::StringArray names;
    for (const auto* stem : busStems)
        names.add(stem);
    return names;
}

} // namespace

StemsSection::StemsSection(PluginProcessor& processor, TimeView& timeView, WaveCache& waves)
    : plugin(processor), session(processor.fileSession()), midi(processor.midiFiles()),
      player(processor.filePlayer()), view(timeView), cache(waves), ruler(timeView),
      residual(processor.parameters()) {
    setTitle("Stems");
    for (auto* part : std::initializer_list<juce::Component*>{&title, &info, &format, &saveSelected,
                                                              &saveAll, &saveMidiButton, &ruler})
        addAndMakeVisible(part);
    addChildComponent(openFolder);
    addAndMakeVisible(residual, 0); // behind the button at its end
    residual.setExplicitFocusOrder(FilePlayer::mostStems + 1);
    for (std::size_t i = 0; i < saveFormatNames.size(); ++i)
        format.addItem(saveFormatNames[i], static_cast<int>(i) + 1);
    format.setSelectedId(1, juce::dontSendNotification);
    format.setTitle("Format of saved stems");
    format.setTooltip("How stems are saved");
    format.setMouseClickGrabsKeyboardFocus(false);
    openFolder.setMouseClickGrabsKeyboardFocus(false);
    openFolder.setTooltip("Shows the stems that were saved last");
    openFolder.onClick = [this] { session.savedFolder().startAsProcess(); };
    title.setText("Stems", juce::dontSendNotification);
    title.setFont(Look::font(16.0f, true));
    info.setFont(Look::font(13.0f));
    info.setColour(juce::Label::textColourId, palette::quiet);
    for (auto* button : {&saveSelected, &saveAll, &saveMidiButton})
        button->setMouseClickGrabsKeyboardFocus(false);
    saveSelected.onClick = [this] { save(selected()); };
    saveAll.onClick = [this] {
        std::vector<std::size_t> all(session.stems().size());
        std::iota(all.begin(), all.end(), std::size_t{0});
        save(all);
    };
    // In the order they are heard of: the lanes, then what is done with them.
    format.setExplicitFocusOrder(FilePlayer::mostStems + 2);
    saveSelected.setExplicitFocusOrder(FilePlayer::mostStems + 3);
    saveAll.setExplicitFocusOrder(FilePlayer::mostStems + 4);
    openFolder.setExplicitFocusOrder(FilePlayer::mostStems + 5);
    saveMidiButton.setExplicitFocusOrder(FilePlayer::mostStems + 6);
    saveMidiButton.onClick = [this] { saveMidi(); };
    showChange();
}

int StemsSection::bestHeight() const {
    return 2 * padding + headHeight + scaleHeight + laneHeight * static_cast<int>(lanes.size()) +
           ResidualLane::height;
}

void StemsSection::makeLanes(const juce::StringArray& wanted) {
    names = wanted;
    lanes.clear();
    for (int i = 0; i < names.size(); ++i) {
        auto lane = std::make_unique<StemLane>(names[i], i, plugin, view, cache);
        lane->onSelect = [this] { saveSelected.setEnabled(!selected().empty()); };
        lane->onDragOut = [this, i] { dragOut(static_cast<std::size_t>(i)); };
        lane->midi.onDragOut = [this, i] { dragMidi(static_cast<std::size_t>(i)); };
        lane->midi.onClick = [this] { midi.retry(); };
        lane->setExplicitFocusOrder(i + 1);
        addAndMakeVisible(*lane);
        lanes.push_back(std::move(lane));
    }
    resized();
    if (onLanesChanged)
        onLanesChanged();
}

void StemsSection::showChange() {
    shown = session.version();
    const auto& stems = session.stems();
    juce::StringArray wanted;
    for (const auto& stem : stems)
        wanted.add(stem.name);
    // Without a file's stems the faders are those of the plugin's buses.
    if (wanted.isEmpty())
        wanted = busNames();
    const bool relaid = wanted != names;
    if (relaid)
        makeLanes(wanted);
    for (std::size_t i = 0; i < lanes.size(); ++i)
        lanes[i]->show(i < stems.size() ? stems[i].file : juce::File());
    info.setText(stems.empty() ? "The faders are for the live stems. Separate a file to see its "
                                 "stems here."
                               : "Drag a waveform into your DAW or onto the desktop.",
                 juce::dontSendNotification);
    saveAll.setEnabled(!stems.empty());
    saveSelected.setEnabled(!selected().empty());
}

void StemsSection::update() {
    if (shown != session.version())
        showChange();
    const bool anySolo = residual.isSoloed() ||
                         std::any_of(lanes.begin(), lanes.end(),
                                     [](const auto& lane) { return lane->isSoloed(); });
    for (auto& lane : lanes)
        lane->update(player.hearsStems(), anySolo);
    residual.update(anySolo);
    updateMidi();
    ruler.update();
    saveAll.setEnabled(!session.stems().empty() && !session.isSaving());
    if (const bool saved = session.savedFolder() != juce::File() && !session.isSaving();
        saved != openFolder.isVisible()) {
        openFolder.setVisible(saved);
        resized();
    }
}

std::vector<std::size_t> StemsSection::selected() const {
    std::vector<std::size_t> which;
    for (std::size_t i = 0; i < lanes.size(); ++i)
        if (lanes[i]->isSelected() && i < session.stems().size())
            which.push_back(i);
    return which;
}

void StemsSection::save(const std::vector<std::size_t>& which) {
    if (which.empty())
        return;
    chooser = std::make_unique<juce::FileChooser>("Save the stems in this folder",
                                                  session.file().getParentDirectory(), "", false);
    // In the mode for saving, the dialog can make folders.
    const auto flags =
        juce::FileBrowserComponent::saveMode | juce::FileBrowserComponent::canSelectDirectories;
    const auto chosenFormat = static_cast<SaveFormat>(format.getSelectedId() - 1);
    chooser->launchAsync(flags,
                         [safe = SafePointer<StemsSection>(this), which,
                          chosenFormat](const auto& chosen) {
                             if (safe != nullptr && chosen.getResult() != juce::File())
                                 safe->session.save(which, chosen.getResult(), chosenFormat);
                         });
}

// All that are selected where the lane is one of them, else the lane alone.
void StemsSection::dragOut(std::size_t lane) {
    if (lane >= session.stems().size())
        return;
    const auto paths = session.copiesForDragging(dragged(lane));
    if (!paths.isEmpty())
        dragFilesOut(paths, *lanes[lane]);
}

std::vector<std::size_t> StemsSection::dragged(std::size_t lane) const {
    return lanes[lane]->isSelected() ? selected() : std::vector<std::size_t>{lane};
}

void StemsSection::dragMidi(std::size_t lane) {
    if (lane >= session.stems().size())
        return;
    juce::StringArray which;
    for (const auto i : dragged(lane))
        which.add(session.stems()[i].name);
    const auto paths = midi.copiesForDragging(which);
    if (!paths.isEmpty())
        dragFilesOut(paths, *lanes[lane]);
}

void StemsSection::updateMidi() {
    midi.update();
    saveMidiButton.setEnabled(midi.isReady());
    const auto& problem = midi.problem();
    for (std::size_t i = 0; i < lanes.size(); ++i) {
        const bool there = i < session.stems().size();
        const bool hits = there && midi.has(session.stems()[i].name);
        juce::String tip;
        if (hits)
            tip = "Drag this stem's hits into your DAW as MIDI";
        else if (there && midi.isReady())
            tip = "No hits";
        else if (there && problem.isNotEmpty())
            tip = "No MIDI: " + problem + "; click to try again";
        else if (there)
            tip = "The hits are being heard";
        lanes[i]->midi.show(hits, tip);
    }
}

void StemsSection::saveMidi() {
    const auto name = session.file().getFileNameWithoutExtension() + ".mid";
    chooser = std::make_unique<juce::FileChooser>(
        "Save the hits as MIDI", session.file().getSiblingFile(name), "*.mid", false);
    const auto flags = juce::FileBrowserComponent::saveMode |
                       juce::FileBrowserComponent::canSelectFiles |
                       juce::FileBrowserComponent::warnAboutOverwriting;
    chooser->launchAsync(flags, [safe = SafePointer<StemsSection>(this)](const auto& chosen) {
        if (safe == nullptr || chosen.getResult() == juce::File())
            return;
        const auto target = chosen.getResult().withFileExtension("mid");
        const auto result = safe->midi.save(target);
        safe->info.setText(result.wasOk() ? "Saved " + target.getFileName()
                                          : result.getErrorMessage(),
                           juce::dontSendNotification);
    });
}

void StemsSection::paint(juce::Graphics& g) {
    g.setColour(palette::card);
    g.fillRoundedRectangle(getLocalBounds().toFloat(), 8.0f);
    if (lanes.empty())
        return;
    // The scale of the faders, which is that of the meters below them.
    g.setFont(Look::font(11.5f));
    g.setColour(palette::quiet);
    const auto row = scale.withHeight(Ruler::height);
    for (const int mark : {-60, -40, -20, 0, 12}) {
        const int x = row.getX() + lanes.front()->xOf(static_cast<float>(mark));
        g.drawText(mark > 0 ? "+" + juce::String(mark) : juce::String(mark), x - 20, row.getY(), 40,
                   row.getHeight(), juce::Justification::centred);
    }
    g.drawText("dB", row.getX() + lanes.front()->xOf(mostGainDb) + 14, row.getY(), 30,
               row.getHeight(), juce::Justification::centredLeft);
    const auto pan = lanes.front()->panBounds();
    g.drawText("L  R",
               pan.withX(pan.getX() + row.getX()).withY(row.getY()).withHeight(row.getHeight()),
               juce::Justification::centred);
}

void StemsSection::resized() {
    auto area = getLocalBounds().reduced(12, padding);
    auto top = area.removeFromTop(headHeight);
    saveAll.setBounds(top.removeFromRight(136));
    top.removeFromRight(8);
    saveSelected.setBounds(top.removeFromRight(124));
    top.removeFromRight(8);
    if (openFolder.isVisible()) {
        openFolder.setBounds(top.removeFromRight(100));
        top.removeFromRight(8);
    }
    format.setBounds(top.removeFromRight(150).withSizeKeepingCentre(150, 28));
    top.removeFromRight(8);
    title.setBounds(top.removeFromLeft(64));
    info.setBounds(top);
    scale = area.removeFromTop(scaleHeight);
    auto low = area.removeFromBottom(ResidualLane::height);
    saveMidiButton.setBounds(low.removeFromRight(110).withSizeKeepingCentre(110, 28));
    residual.setBounds(area.withY(area.getBottom()).withHeight(ResidualLane::height));
    if (lanes.empty())
        return;
    const int each = area.getHeight() / static_cast<int>(lanes.size());
    for (auto& lane : lanes)
        lane->setBounds(area.removeFromTop(each));
    const auto wave = lanes.front()->waveBounds();
    ruler.setBounds(scale.getX() + wave.getX(), scale.getY(), wave.getWidth(), Ruler::height);
    repaint();
}

} // namespace lars
