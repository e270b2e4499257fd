// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/ModelMenu.h"

namespace lars {
namespace {

juce::String text(const std::string& line) {
    return juce::String::fromUTF8(line.c_str());
}

juce::String sizeText(std::uint64_t bytes) {
    return bytes == 0 ? juce::String()
                      : juce::String(static_cast<double>(bytes) / 1e6, bytes < 10000000 ? 1 : 0) + " MB";
}

// Two lines: the name, and what it is for.
class OfferItem : public juce::PopupMenu::CustomComponent {
public:
    OfferItem(const ModelOffer& offer, Task task)
        : name(text(offer.name)), purpose(text(offer.purpose)), line(offerText(offer, task)),
          here(offer.weights) {
        setTitle(name + ", " + purpose + ", " + line);
    }

    void getIdealSize(int& width, int& height) override {
        width = 520;
        height = 60;
    }

    void paint(juce::Graphics& g) override {
        auto area = getLocalBounds().reduced(10, 4);
        if (isItemHighlighted()) {
            g.setColour(palette::line);
            g.fillRoundedRectangle(getLocalBounds().reduced(2).toFloat(), 4.0f);
        }
        g.setColour(here ? palette::text : palette::quiet);
        g.setFont(Look::font(14.0f, true));
        g.drawText(name, area.removeFromTop(18), juce::Justification::centredLeft);
        g.setFont(Look::font(12.5f));
        g.setColour(palette::text);
        g.drawFittedText(purpose, area.removeFromTop(17), juce::Justification::centredLeft, 1, 0.8f);
        g.setColour(here ? palette::quiet : palette::warn);
        g.drawFittedText(line, area, juce::Justification::centredLeft, 1, 0.8f);
    }

private:
    const juce::String name, purpose, line;
    const bool here;
};

} // namespace

juce::String offerText(const ModelOffer& offer, Task task) {
    juce::StringArray parts;
    if (task == Task::live && offer.liveMs > 0.0)
        parts.add(juce::String(offer.liveMs, offer.liveMs < 1000.0 ? 0 : -2) + " ms late");
    else if (task == Task::files && offer.live)
        parts.add("made for live");
    juce::StringArray stems;
    for (const auto& stem : offer.stems)
        stems.add(text(stem));
    if (!stems.isEmpty())
        parts.add(stems.joinIntoString(", "));
    if (!offer.weights) {
        const auto size = sizeText(offer.bytes);
        parts.add(size.isEmpty() ? juce::String("not downloaded")
                                 : "not downloaded (" + size + ")");
    }
    return parts.joinIntoString("  |  ");
}

ModelMenu::ModelMenu(PluginProcessor& processor, Task ofTask) : plugin(processor), task(ofTask) {
    const juce::String name =
        task == Task::live ? "Model, live" : "Model, files and offline mode";
    setTitle(name);
    for (auto* part : std::initializer_list<juce::Component*>{&title, &box, &button, &details})
        addAndMakeVisible(part);
    button.setVisible(false);
    title.setText(name, juce::dontSendNotification);
    title.setFont(Look::font(13.0f));
    title.setColour(juce::Label::textColourId, palette::quiet);
    details.setFont(Look::font(13.0f));
    details.setColour(juce::Label::textColourId, palette::quiet);
    details.setMinimumHorizontalScale(0.75f);
    box.setTitle(name);
    box.setTextWhenNoChoicesAvailable("No engine, no models");
    box.setTextWhenNothingSelected("Engine's choice");
    box.setMouseClickGrabsKeyboardFocus(false);
    button.setMouseClickGrabsKeyboardFocus(false);
    box.onChange = [this] {
        if (box.getSelectedId() > 0 && box.getText() != plugin.modelName(task)) {
            failure = {};
            plugin.setModel(task, box.getText());
        }
    };
    button.onClick = [this] {
        if (fetching.empty())
            download();
        else
            plugin.modelFetch().cancel();
    };
    box.setExplicitFocusOrder(1);
    button.setExplicitFocusOrder(2);
}

// What is made for this task first, and what is not there last, in the engine's order.
void ModelMenu::fill() {
    box.clear(juce::dontSendNotification);
    std::vector<ModelOffer> known = offers;
    if (known.empty())
        for (const auto& name : names) {
            ModelOffer offer;
            offer.name = name;
            known.push_back(offer);
        }
    const auto group = [this](const ModelOffer& offer) {
        return (offer.weights ? 0 : 2) + (offer.live == (task == Task::live) ? 0 : 1);
    };
    std::stable_sort(known.begin(), known.end(), [&](const auto& one, const auto& other) {
        return group(one) < group(other);
    });
    auto* menu = box.getRootMenu();
    int before = -1;
    for (const auto& offer : known) {
        const auto place = std::find(names.begin(), names.end(), offer.name);
        if (place == names.end())
            continue;
        if (const int now = offer.weights ? 0 : 1; std::exchange(before, now) != now && !offers.empty())
            menu->addSectionHeader(now == 0 ? "On this machine" : "To be downloaded");
        juce::PopupMenu::Item item(text(offer.name));
        item.itemID = static_cast<int>(place - names.begin()) + 1;
        if (!offers.empty())
            item.customComponent = new OfferItem(offer, task);
        menu->addItem(item);
    }
}

const ModelOffer* ModelMenu::chosen() const {
    const auto name = box.getText().toStdString();
    const auto found = std::find_if(offers.begin(), offers.end(),
                                    [&](const auto& offer) { return offer.name == name; });
    return found == offers.end() ? nullptr : &*found;
}

void ModelMenu::download() {
    const auto* offer = chosen();
    if (offer == nullptr || plugin.modelFetch().status().state == FileJobStatus::State::running)
        return;
    failure = {};
    fetching = offer->name;
    plugin.modelFetch().start(FetchRequest{fetching});
}

void ModelMenu::update(const LinkStatus& status) {
    if (names != status.models || offers != status.offers) {
        names = status.models;
        offers = status.offers;
        fill();
    }
    auto wanted = plugin.modelName(task).toStdString();
    if (wanted.empty())
        wanted = defaultModel(names, task == Task::live);
    const auto place = std::find(names.begin(), names.end(), wanted);
    box.setSelectedId(place == names.end() ? 0 : static_cast<int>(place - names.begin()) + 1,
                      juce::dontSendNotification);
    if (place == names.end() && !wanted.empty())
        box.setText(text(wanted), juce::dontSendNotification);

    const auto job = plugin.modelFetch().status();
    const bool running = job.state == FileJobStatus::State::running;
    if (!fetching.empty() && !running) {
        failure = job.state == FileJobStatus::State::failed ? text(job.message) : juce::String();
        fetching.clear();
        plugin.engine().modelsChanged();
    }
    const auto* offer = chosen();
    auto line = offer == nullptr ? juce::String() : offerText(*offer, task);
    if (!fetching.empty())
        line = "Downloading " + text(fetching) + ": " + juce::String(100.0 * job.progress, 0) +
               " % of " + sizeText(job.total);
    else if (failure.isNotEmpty())
        line = failure;
    details.setText(line, juce::dontSendNotification);
    details.setTooltip(offer == nullptr || failure.isNotEmpty() || !fetching.empty()
                           ? line
                           : text(offer->purpose) + "\n" + line);
    details.setColour(juce::Label::textColourId,
                      failure.isNotEmpty() || (offer != nullptr && !offer->weights)
                          ? palette::warn
                          : palette::quiet);
    const bool missing = offer != nullptr && !offer->weights && status.protocol >= 2;
    if (std::exchange(shownButton, missing || !fetching.empty()) != shownButton) {
        button.setVisible(shownButton);
        resized();
    }
    button.setButtonText(fetching.empty() ? "Download" : "Cancel");
    button.setEnabled(!fetching.empty() || !running);
}

void ModelMenu::resized() {
    auto area = getLocalBounds();
    title.setBounds(area.removeFromTop(18).withTrimmedLeft(-5));
    auto row = area.removeFromTop(28);
    if (shownButton) {
        button.setBounds(row.removeFromRight(96));
        row.removeFromRight(8);
    }
    box.setBounds(row);
    details.setBounds(area.withTrimmedLeft(-5));
}

} // namespace lars
