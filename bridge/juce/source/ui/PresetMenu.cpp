// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/PresetMenu.h"

namespace lars {
namespace {

// What the menu's entries are: a place in one of the lists, from the list's number on.
constexpr int saveId = 1, factoryId = 1000, userId = 2000, deleteId = 3000;

// Asks for a name and saves.
class NamePanel : public juce::Component {
public:
    explicit NamePanel(std::function<juce::Result(const juce::String&)> saveAs)
        : save(std::move(saveAs)) {
        setLookAndFeel(&look.get());
        for (auto* part : std::initializer_list<juce::Component*>{&title, &name, &button, &problem})
            addAndMakeVisible(part);
        title.setText("Name of the preset", juce::dontSendNotification);
        problem.setColour(juce::Label::textColourId, palette::bad);
        for (auto* label : {&title, &problem})
            label->setFont(Look::font(13.0f));
        problem.setMinimumHorizontalScale(0.7f);
        name.setTitle("Name of the preset");
        name.setFont(Look::font(14.0f));
        name.setIndents(6, 5);
        name.setInputRestrictions(presets::longestName);
        name.onReturnKey = button.onClick = [this] { done(); };
        name.onEscapeKey = [this] { close(); };
        setSize(320, 92);
    }
    ~NamePanel() override { setLookAndFeel(nullptr); }

    void parentHierarchyChanged() override {
        juce::MessageManager::callAsync([safe = SafePointer<NamePanel>(this)] {
            if (safe != nullptr && safe->isShowing())
                safe->name.grabKeyboardFocus();
        });
    }

    void resized() override {
        auto area = getLocalBounds().reduced(8, 4);
        title.setBounds(area.removeFromTop(22));
        auto row = area.removeFromTop(28);
        button.setBounds(row.removeFromRight(72));
        row.removeFromRight(8);
        name.setBounds(row);
        problem.setBounds(area);
    }

private:
    void done() {
        const auto result = save(name.getText());
        if (result.wasOk())
            close();
        else
            problem.setText(result.getErrorMessage(), juce::dontSendNotification);
    }
    void close() {
        if (auto* box = findParentComponentOfClass<juce::CallOutBox>())
            box->dismiss();
    }

    std::function<juce::Result(const juce::String&)> save;
    juce::SharedResourcePointer<Look> look;
    juce::Label title, problem;
    juce::TextEditor name;
    juce::TextButton button{"Save"};
};

} // namespace

PresetMenu::PresetMenu(PluginProcessor& processor) : TextButton("Presets"), plugin(processor) {
    setTitle("Presets of the mix");
    setTooltip("Presets of the mix: gains, pans, mutes, solos, dry/wet");
    setMouseClickGrabsKeyboardFocus(false);
    onClick = [this] { open(); };
}

void PresetMenu::open() {
    user = presets::user();
    juce::PopupMenu menu, removal;
    const auto list = [&](const std::vector<Preset>& all, int first) {
        for (std::size_t i = 0; i < all.size(); ++i)
            menu.addItem(first + static_cast<int>(i), all[i].name, true,
                         presets::isNow(all[i], plugin.parameters()));
    };
    menu.addSectionHeader("LARS");
    list(presets::factory(), factoryId);
    if (!user.empty()) {
        menu.addSectionHeader("Yours");
        list(user, userId);
        for (std::size_t i = 0; i < user.size(); ++i)
            removal.addItem(deleteId + static_cast<int>(i), user[i].name);
    }
    menu.addSeparator();
    menu.addItem(saveId, "Save the mix as a preset...");
    if (!user.empty())
        menu.addSubMenu("Delete", removal);
    menu.setLookAndFeel(&getLookAndFeel());
    menu.showMenuAsync(juce::PopupMenu::Options().withTargetComponent(this).withMinimumWidth(200),
                       [safe = SafePointer<PresetMenu>(this)](int id) {
                           if (safe != nullptr)
                               safe->chosen(id);
                       });
}

void PresetMenu::chosen(int id) {
    const auto& factory = presets::factory();
    const auto place = static_cast<std::size_t>(id % 1000);
    if (id == saveId)
        askName();
    else if (id >= deleteId && place < user.size())
        fail(presets::remove(user[place].name));
    else if (id >= userId && place < user.size())
        presets::apply(user[place], plugin.parameters(), plugin.history());
    else if (id >= factoryId && id < userId && place < factory.size())
        presets::apply(factory[place], plugin.parameters(), plugin.history());
}

void PresetMenu::askName() {
    auto panel =
        std::make_unique<NamePanel>([safe = SafePointer<PresetMenu>(this)](const auto& name) {
        return safe == nullptr ? juce::Result::ok()
                               : presets::save(presets::now(safe->plugin.parameters(), name));
    });
    juce::CallOutBox::launchAsynchronously(std::move(panel), getScreenBounds(), nullptr);
}

void PresetMenu::fail(const juce::Result& result) {
    if (result.failed() && onFailed)
        onFailed(result.getErrorMessage());
}

} // namespace lars
