// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/RenderSection.h"

#include "ui/FileSection.h"
#include "ui/Look.h"

namespace lars {
namespace {

// The whole of what was captured, and how much is missing in it.
juce::String spanText(const std::vector<Span>& spans, double rate) {
    if (spans.empty())
        return {};
    std::int64_t heard = 0;
    for (const auto& span : spans)
        heard += span.end - span.begin;
    const auto clock = [rate](std::int64_t at) {
        return (at < 0 ? juce::String("-") : juce::String()) +
               clockText(std::abs(static_cast<double>(at)) / rate);
    };
    auto line = clock(spans.front().begin) + " to " + clock(spans.back().end);
    const auto missing = spans.back().end - spans.front().begin - heard;
    if (missing > 0)
        line << ", without " << juce::String(static_cast<double>(missing) / rate, 1) << " s of it";
    return line;
}

juce::String madeText(const RenderRecord& record) {
    auto line = spanText(record.onTimeline(), record.startRate);
    if (record.source.isNotEmpty())
        line << ", of " << record.source;
    line << ", by " << (record.model.isEmpty() ? juce::String("the engine's model") : record.model);
    if (record.preset.isNotEmpty())
        line << ", " << record.preset;
    return line;
}

juce::String workText(const RenderStatus& status) {
    using Work = RenderStatus::Work;
    switch (status.work) {
    case Work::writing:
        return "Writing the track";
    case Work::separating:
        return "Separating";
    case Work::copying:
        return "Copying the stems";
    case Work::loading:
        return "Loading the stems";
    case Work::converting:
        return "Converting the stems to the host's rate";
    case Work::none:
        break;
    }
    return {};
}

} // namespace

juce::String renderText(const RenderStatus& status) {
    if (status.capturing) {
        const auto heard = spanText(status.captured, status.rate);
        auto line = heard.isEmpty() ? juce::String("Waiting for the transport")
                                    : "Capturing, " + heard;
        if (status.lost > 0)
            line << "; " << juce::String(static_cast<double>(status.lost) / status.rate, 1)
                 << " s were lost: capture once more";
        return line;
    }
    if (auto line = workText(status); line.isNotEmpty()) {
        if (status.progress > 0.0)
            line << ", " << juce::roundToInt(status.progress * 100.0) << " %";
        if (status.remaining >= 0.0)
            line << ", " << Remaining::words(status.remaining);
        return line;
    }
    if (!status.captured.empty())
        return "Captured, not separated: " + spanText(status.captured, status.rate);
    if (status.record)
        return "Rendered: " + madeText(*status.record);
    return "Nothing is captured: switch Capture on and play the track, or use a file";
}

RenderSection::RenderSection(PluginProcessor& processor)
    : plugin(processor), session(processor.renderOnce()) {
    setTitle("Render once");
    for (auto* part : std::initializer_list<juce::Component*>{
             &title, &state, &message, &bar, &capture, &separate, &use, &folder, &erase})
        addAndMakeVisible(part);
    int order = 1;
    for (auto* part : {&capture, &separate, &use, &folder, &erase}) {
        part->setExplicitFocusOrder(order++);
        part->setMouseClickGrabsKeyboardFocus(false);
    }
    title.setText("Render once", juce::dontSendNotification);
    title.setFont(Look::font(16.0f, true));
    state.setFont(Look::font(14.0f));
    state.setMinimumHorizontalScale(0.8f);
    capture.setClickingTogglesState(true);
    capture.setColour(juce::TextButton::buttonOnColourId,
                      palette::bad.withMultipliedBrightness(0.7f));
    capture.setTooltip("While it is on, the track is captured wherever the transport plays; what "
                       "is heard last at a place counts. Off, it is separated");
    captureTie = std::make_unique<juce::AudioProcessorValueTreeState::ButtonAttachment>(
        plugin.parameters(), ids::capture, capture);
    separate.onClick = [this] {
        const auto now = session.status();
        if (now.work != RenderStatus::Work::none)
            session.cancel();
        else if (now.capturing)
            capture.setToggleState(false, juce::sendNotification); // which has it separated
        else
            session.separate(plugin.renderMeans());
    };
    use.setTooltip("The stems of the file above become this track's");
    use.onClick = [this] { askForPlace(); };
    folder.setTooltip("Where the track and its stems are kept");
    folder.onClick = [this] {
        session.keepAll();
        const auto now = session.status();
        const auto place = store::folderOf(now.render.isNotEmpty() ? now.render : now.take);
        (place.isDirectory() ? place : store::root()).revealToUser();
    };
    erase.setTitle("Delete this render");
    erase.onClick = [this] { askToDelete(); };
    bar.setTitle("Progress of the render");
    setVisible(false);
    update();
}

void RenderSection::useFile(bool atPlayhead) {
    auto& files = plugin.fileSession();
    std::vector<std::pair<juce::String, juce::File>> stems;
    for (const auto& stem : files.stems())
        stems.emplace_back(stem.name, stem.file);
    session.useFile(files.file().getFileName(), stems, files.now().madeBy,
                    atPlayhead ? session.player().hostPosition() : 0);
}

void RenderSection::askForPlace() {
    juce::PopupMenu menu;
    const auto at = static_cast<double>(session.player().hostPosition()) /
                    juce::jmax(1.0, plugin.getSampleRate());
    menu.addItem("It begins where the song begins",
                 [safe = SafePointer<RenderSection>(this)] {
                     if (safe != nullptr)
                         safe->useFile(false);
                 });
    menu.addItem("It begins where the transport is, " + clockText(juce::jmax(0.0, at)),
                 [safe = SafePointer<RenderSection>(this)] {
                     if (safe != nullptr)
                         safe->useFile(true);
                 });
    menu.setLookAndFeel(&getLookAndFeel());
    menu.showMenuAsync(juce::PopupMenu::Options().withTargetComponent(use));
}

void RenderSection::askToDelete() {
    juce::PopupMenu menu;
    menu.addItem("Delete these stems from the disk, for all sessions that use them",
                 [safe = SafePointer<RenderSection>(this)] {
                     if (safe != nullptr)
                         safe->session.remove();
                 });
    menu.setLookAndFeel(&getLookAndFeel());
    menu.showMenuAsync(juce::PopupMenu::Options().withTargetComponent(erase));
}

bool RenderSection::update() {
    const auto* mode = plugin.parameters().getRawParameterValue(ids::mode);
    const bool wanted = juce::roundToInt(mode->load()) == 2;
    const bool another = wanted != isVisible();
    if (another)
        setVisible(wanted);
    if (!wanted)
        return another;
    const auto now = session.status();
    const bool works = now.work != RenderStatus::Work::none;
    state.setText(renderText(now), juce::dontSendNotification);
    state.setTooltip(state.getText());
    progress = now.progress;
    bar.setVisible(works);
    message.setVisible(!works);
    message.say(now.message, now.failed ? palette::bad : palette::quiet);
    separate.setButtonText(works ? "Cancel" : "Separate");
    separate.setEnabled(works || (now.capturing && !now.captured.empty()) ||
                        (!now.capturing && (now.take.isNotEmpty() || now.render.isNotEmpty())));
    use.setEnabled(!works && !plugin.fileSession().stems().empty());
    erase.setEnabled(!works && now.render.isNotEmpty());
    return another;
}

void RenderSection::paint(juce::Graphics& g) {
    g.setColour(palette::card);
    g.fillRoundedRectangle(getLocalBounds().toFloat(), 8.0f);
}

void RenderSection::resized() {
    auto area = getLocalBounds().reduced(12, 8);
    auto top = area.removeFromTop(28);
    title.setBounds(top.removeFromLeft(120));
    for (auto* part : {&erase, &folder, &use, &separate, &capture}) {
        part->setBounds(top.removeFromRight(part == &folder ? 104 : 92));
        top.removeFromRight(8);
    }
    area.removeFromTop(4);
    state.setBounds(area.removeFromTop(24));
    bar.setBounds(area.withSizeKeepingCentre(area.getWidth(), 18));
    message.setBounds(area);
}

} // namespace lars
