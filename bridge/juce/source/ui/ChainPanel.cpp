// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/ChainPanel.h"

namespace lars {
namespace {

constexpr int width = 520, topHeight = 34, infoHeight = 40, margin = 10, mostHeight = 420;
constexpr int ticksPerSecond = 10;

juce::String text(const std::string& line) {
    return juce::String::fromUTF8(line.c_str());
}

const EffectReport* reportOf(const ChainDesk::View& view, const std::string& stem,
                             const std::string& id) {
    const auto chain = view.report.find(stem);
    if (chain == view.report.end())
        return nullptr;
    for (const auto& one : chain->second)
        if (one.id == id)
            return &one;
    return nullptr;
}

const EffectOffer* offerOf(const ChainDesk::View& view, const std::string& effect) {
    for (const auto& one : view.effects)
        if (one.effect == effect)
            return &one;
    return nullptr;
}

// Also where no engine has told of it.
juce::String titleOf(const ChainEntry& entry, const EffectOffer* offer) {
    if (!entry.name.empty())
        return text(entry.name);
    if (offer != nullptr)
        return text(offer->title);
    return text(entry.effect).fromLastOccurrenceOf("/", false, false).upToLastOccurrenceOf(
        ".vst3", false, true);
}

} // namespace

ChainPanel::ChainPanel(PluginProcessor& processor, const juce::String& ofStem)
    : plugin(processor), stem(ofStem.toStdString()) {
    setLookAndFeel(&look.get());
    const auto name = stemTitle(ofStem);
    setTitle(name + " effects");
    for (auto* part : std::initializer_list<juce::Component*>{&title, &info, &addButton, &viewport})
        addAndMakeVisible(part);
    title.setText(name + " effects", juce::dontSendNotification);
    title.setFont(Look::font(16.0f, true));
    title.setColour(juce::Label::textColourId, stemColour(ofStem));
    info.setFont(Look::font(13.0f));
    info.setColour(juce::Label::textColourId, palette::quiet);
    info.setJustificationType(juce::Justification::topLeft);
    addButton.setExplicitFocusOrder(1);
    viewport.setExplicitFocusOrder(2);
    viewport.setViewedComponent(&list, false);
    viewport.setScrollBarsShown(true, false);
    viewport.setWantsKeyboardFocus(false);
    addButton.setTitle("Add effect to " + name);
    addButton.onClick = [this] { showAddMenu(); };
    plugin.engine().askForEffects();
    rebuild(chain());
    show();
    startTimerHz(ticksPerSecond);
}

ChainPanel::~ChainPanel() {
    stopTimer();
    setLookAndFeel(nullptr);
}

Chain ChainPanel::chain() const {
    const auto chains = plugin.engine().chains().wanted();
    const auto found = chains.find(stem);
    return found == chains.end() ? Chain() : found->second;
}

void ChainPanel::change(const juce::String& what, const std::function<void(Chain&)>& edit) {
    plugin.changeChains(what, [&](Chains& chains) { edit(chains[stem]); });
    show();
}

void ChainPanel::timerCallback() {
    if (plugin.engine().chains().news() != seen)
        show();
    info.setText(sayWhatIs(plugin.engine().chains().view()), juce::dontSendNotification);
}

juce::String ChainPanel::sayWhatIs(const ChainDesk::View& view) const {
    if (!view.problem.empty())
        return text(view.problem);
    const auto status = plugin.engine().status();
    if (status.state == LinkState::away || status.state == LinkState::starting)
        return "There is no engine now. The effects are kept, and are there again when it is.";
    if (view.effects.empty())
        return "The engine is asked for its effects.";
    juce::String says = "For the live stream, in the modes Live and Offline. Files, and stems that "
                        "were rendered, stay as they were separated.";
    if (const auto rate = status.rate; rate > 0.0 && status.boardLatency > 0)
        says << " The longest chain takes " << juce::String(1000.0 * status.boardLatency / rate, 1)
             << " ms, which are in the latency.";
    return says;
}

void ChainPanel::show() {
    const auto now = chain();
    const auto view = plugin.engine().chains().view();
    seen = view.news;
    if (!sameEffects({{stem, now}}, {{stem, built}}))
        rebuild(now);
    for (std::size_t i = 0; i < rows.size() && i < now.size(); ++i) {
        const auto* offer = offerOf(view, now[i].effect);
        rows[i]->update(now[i], reportOf(view, stem, now[i].id),
                        offer != nullptr ? offer->parameters : std::vector<EffectParameter>());
        rows[i]->setOpen(now[i].id == opened);
        rows[i]->setEnds(i == 0, i + 1 == now.size());
    }
    addButton.setEnabled(now.size() < mostEffects && !view.effects.empty());
    info.setText(sayWhatIs(view), juce::dontSendNotification);
    layOut();
}

void ChainPanel::rebuild(const Chain& now) {
    const auto view = plugin.engine().chains().view();
    rows.clear();
    built = now;
    int order = 1;
    for (const auto& entry : now) {
        auto row = std::make_unique<EffectRow>(entry, titleOf(entry, offerOf(view, entry.effect)),
                                               stemColour(text(stem)));
        const auto id = entry.id;
        const auto with = [id](Chain& chain, const std::function<void(ChainEntry&)>& edit) {
            for (auto& one : chain)
                if (one.id == id)
                    edit(one);
        };
        const auto name = row->getTitle();
        row->onBypass = [this, with, name](bool bypass) {
            change((bypass ? "Bypass " : "Switch on ") + name, [&](Chain& chain) {
                with(chain, [&](ChainEntry& one) { one.bypass = bypass; });
            });
        };
        row->onName = [this, with, name](const std::string& chosen) {
            juce::MessageManager::callAsync([safe = SafePointer<ChainPanel>(this), with, name,
                                             chosen] {
                if (safe != nullptr)
                    safe->change("Choose a plugin of " + name, [&](Chain& chain) {
                        with(chain, [&](ChainEntry& one) { one.name = chosen; });
                    });
            });
        };
        row->onOpen = [this, id] { open(id); };
        // These make the rows anew, and the button that was pressed with them.
        row->onMove = [this, id](int by) {
            juce::MessageManager::callAsync([safe = SafePointer<ChainPanel>(this), id, by] {
                if (safe != nullptr)
                    safe->move(id, by);
            });
        };
        row->onRemove = [this, id, name] {
            juce::MessageManager::callAsync([safe = SafePointer<ChainPanel>(this), id, name] {
                if (safe == nullptr)
                    return;
                safe->change("Remove " + name, [&](Chain& chain) {
                    chain.erase(std::remove_if(chain.begin(), chain.end(),
                                               [&](const auto& one) { return one.id == id; }),
                                chain.end());
                });
                safe->addButton.grabKeyboardFocus(); // what had the keyboard is gone
            });
        };
        row->onGesture = [this] { before = plugin.engine().chains().wanted(); };
        row->onValue = [this, with](const std::string& parameter, double value) {
            plugin.changeChains({}, [&](Chains& chains) {
                with(chains[stem], [&](ChainEntry& one) { one.values[parameter] = value; });
            });
        };
        row->onGestureEnd = [this, name] {
            if (before && !(*before == plugin.engine().chains().wanted()))
                plugin.changeChains(name, [](Chains&) {}, std::move(before));
            before.reset();
        };
        row->setExplicitFocusOrder(order++);
        list.addAndMakeVisible(*row);
        rows.push_back(std::move(row));
    }
}

void ChainPanel::open(const std::string& id) {
    opened = opened == id ? std::string() : id;
    show();
}

void ChainPanel::move(const std::string& id, int by) {
    change("Order of effects", [&](Chain& chain) {
        for (std::size_t i = 0; i < chain.size(); ++i) {
            const auto to = static_cast<std::ptrdiff_t>(i) + by;
            if (chain[i].id != id || to < 0 || to >= static_cast<std::ptrdiff_t>(chain.size()))
                continue;
            std::swap(chain[i], chain[static_cast<std::size_t>(to)]);
            return;
        }
    });
    for (auto& row : rows)
        if (row->id() == id)
            row->grabBypass();
}

void ChainPanel::add(const EffectOffer& offer) {
    ChainEntry entry;
    entry.id = juce::Uuid().toString().toStdString();
    entry.effect = offer.effect;
    opened = entry.id;
    change("Add " + text(offer.title), [&](Chain& chain) { chain.push_back(entry); });
    if (!rows.empty())
        rows.back()->grabBypass();
}

void ChainPanel::showAddMenu() {
    const auto offers = plugin.engine().chains().view().effects;
    juce::PopupMenu menu, onDisk;
    for (std::size_t i = 0; i < offers.size(); ++i)
        (offers[i].onDisk ? onDisk : menu)
            .addItem(static_cast<int>(i) + 1, text(offers[i].title));
    if (onDisk.getNumItems() > 0) {
        menu.addSeparator();
        menu.addSubMenu("Installed VST3 plugins", onDisk);
    }
    menu.setLookAndFeel(&look.get());
    menu.showMenuAsync(juce::PopupMenu::Options().withTargetComponent(addButton),
                       [safe = SafePointer<ChainPanel>(this), offers](int chosen) {
                           if (safe != nullptr && chosen > 0)
                               safe->add(offers[static_cast<std::size_t>(chosen) - 1]);
                       });
}

void ChainPanel::layOut() {
    int height = 0;
    for (const auto& row : rows)
        height += row->bestHeight() + 4;
    const int shown = juce::jmin(height, mostHeight);
    setSize(width, 2 * margin + topHeight + infoHeight + shown);
    const int wide = viewport.getWidth() - (height > shown ? viewport.getScrollBarThickness() : 0);
    list.setSize(wide, height);
    int y = 0;
    for (auto& row : rows) {
        row->setBounds(0, y, wide, row->bestHeight());
        row->resized();
        y += row->bestHeight() + 4;
    }
}

// As in the window, which has not the keyboard now.
bool ChainPanel::keyPressed(const juce::KeyPress& key) {
    const auto code = juce::CharacterFunctions::toLowerCase(
        static_cast<juce::juce_wchar>(key.getKeyCode()));
    if (!key.getModifiers().isCommandDown() || (code != 'z' && code != 'y'))
        return false;
    if (code == 'y' || key.getModifiers().isShiftDown())
        plugin.history().redo();
    else
        plugin.history().undo();
    show();
    return true;
}

void ChainPanel::resized() {
    auto area = getLocalBounds().reduced(margin);
    auto top = area.removeFromTop(topHeight);
    addButton.setBounds(top.removeFromRight(130).withSizeKeepingCentre(130, 28));
    title.setBounds(top);
    info.setBounds(area.removeFromTop(infoHeight));
    viewport.setBounds(area);
}

} // namespace lars
