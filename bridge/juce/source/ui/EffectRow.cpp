// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/EffectRow.h"

namespace lars {
namespace {

constexpr int headHeight = 34, lineHeight = 28, titleWidth = 130, problemHeight = 22;

juce::String text(const std::string& line) {
    return juce::String::fromUTF8(line.c_str());
}

} // namespace

EffectRow::EffectRow(const ChainEntry& entry, const juce::String& title, juce::Colour ofStem)
    : key(entry.id), colour(ofStem), on(title), fold("Settings"), up("Up"), down("Down"),
      remove("Remove") {
    setTitle(title);
    int order = 1;
    for (auto* part : std::initializer_list<juce::Component*>{&on, &fold, &up, &down, &remove}) {
        addAndMakeVisible(part);
        part->setExplicitFocusOrder(order++);
    }
    addChildComponent(problem);
    addChildComponent(names);
    names.setExplicitFocusOrder(order);
    on.setTitle(title + " on");
    on.setTooltip("On, or bypassed");
    on.setColour(juce::ToggleButton::tickColourId, colour);
    on.onClick = [this] { onBypass(!on.getToggleState()); };
    fold.setTitle(title + " settings");
    fold.onClick = [this] { onOpen(); };
    up.setTitle(title + " up");
    up.setTooltip("Earlier in the chain");
    up.onClick = [this] { onMove(-1); };
    down.setTitle(title + " down");
    down.setTooltip("Later in the chain");
    down.onClick = [this] { onMove(1); };
    remove.setTitle("Remove " + title);
    remove.onClick = [this] { onRemove(); };
    problem.setFont(Look::font(13.0f));
    problem.setColour(juce::Label::textColourId, palette::bad);
    problem.setMinimumHorizontalScale(0.7f);
    names.setTitle("Plugin of " + title);
    names.setTextWhenNothingSelected("Choose a plugin of this file");
    names.onChange = [this] {
        if (names.getSelectedId() > 0)
            onName(names.getText().toStdString());
    };
}

void EffectRow::setEnds(bool first, bool last) {
    up.setEnabled(!first);
    down.setEnabled(!last);
}

void EffectRow::setOpen(bool open) {
    isOpen = open;
    fold.setToggleState(open, juce::dontSendNotification);
    for (auto& setting : settings) {
        setting->title.setVisible(open);
        setting->slider.setVisible(open && !setting->chosen);
        setting->choice.setVisible(open && setting->chosen);
    }
}

void EffectRow::makeSlider(Setting& setting, const EffectParameter& parameter) {
    auto& slider = setting.slider;
    slider.setSliderStyle(juce::Slider::LinearHorizontal);
    slider.setTextBoxStyle(juce::Slider::TextBoxRight, false, 90, 22);
    slider.setColour(juce::Slider::trackColourId, colour);
    slider.setRange(parameter.low, parameter.high, 0.0);
    if (parameter.logarithmic)
        slider.setSkewFactorFromMidPoint(std::sqrt(parameter.low * parameter.high));
    slider.setDoubleClickReturnValue(true, parameter.standard);
    slider.setWantsKeyboardFocus(true);
    slider.setTitle(text(parameter.title));
    const auto unit = text(parameter.unit);
    const bool hasText = !parameter.text.empty();
    slider.textFromValueFunction = [&setting, unit, hasText](double value) {
        if (hasText)
            return setting.text;
        const int places = std::abs(value) < 1.0 ? 3 : std::abs(value) < 100.0 ? 2 : 0;
        return (juce::String(value, places) + " " + unit).trim();
    };
    slider.valueFromTextFunction = [](const juce::String& typed) {
        return typed.retainCharacters("+-.0123456789").getDoubleValue();
    };
    slider.onDragStart = [this] { onGesture(); };
    slider.onDragEnd = [this] { onGestureEnd(); };
    slider.onValueChange = [this, &setting] {
        const bool alone = setting.slider.getThumbBeingDragged() < 0; // wheel, keys or typed
        if (alone)
            onGesture();
        onValue(setting.name, setting.slider.getValue());
        if (alone)
            onGestureEnd();
    };
}

void EffectRow::build(const std::vector<EffectParameter>& parameters) {
    settings.clear();
    int order = 10;
    for (const auto& parameter : parameters) {
        auto setting = std::make_unique<Setting>();
        setting->name = parameter.name;
        setting->text = text(parameter.text);
        setting->title.setText(text(parameter.title), juce::dontSendNotification);
        setting->title.setFont(Look::font(13.5f));
        setting->title.setColour(juce::Label::textColourId, palette::quiet);
        setting->chosen = !parameter.choices.empty();
        if (setting->chosen) {
            for (std::size_t i = 0; i < parameter.choices.size(); ++i)
                setting->choice.addItem(text(parameter.choices[i]), static_cast<int>(i) + 1);
            setting->choice.setTitle(text(parameter.title));
            setting->choice.onChange = [this, one = setting.get()] {
                onGesture();
                onValue(one->name, one->choice.getSelectedId() - 1);
                onGestureEnd();
            };
        } else {
            makeSlider(*setting, parameter);
        }
        for (auto* part :
             std::initializer_list<juce::Component*>{&setting->title, &setting->slider,
                                                     &setting->choice}) {
            addChildComponent(part);
            part->setExplicitFocusOrder(order++);
        }
        settings.push_back(std::move(setting));
    }
    setOpen(isOpen);
}

void EffectRow::update(const ChainEntry& entry, const EffectReport* report,
                       const std::vector<EffectParameter>& known) {
    on.setToggleState(!entry.bypass, juce::dontSendNotification);
    const auto why = report != nullptr ? text(report->error) : juce::String();
    problem.setText(why, juce::dontSendNotification);
    problem.setTooltip(why);
    problem.setVisible(why.isNotEmpty());
    const bool choose = report != nullptr && !report->names.empty();
    if (choose && names.getNumItems() == 0)
        for (const auto& name : report->names)
            names.addItem(text(name), names.getNumItems() + 1);
    names.setVisible(choose);
    const auto& parameters =
        report != nullptr && !report->parameters.empty() ? report->parameters : known;
    const bool same = settings.size() == parameters.size() &&
                      std::equal(settings.begin(), settings.end(), parameters.begin(),
                                 [](const auto& a, const auto& b) { return a->name == b.name; });
    if (!same)
        build(parameters);
    fold.setEnabled(!parameters.empty());
    for (std::size_t i = 0; i < settings.size(); ++i) {
        auto& one = *settings[i];
        const auto wanted = entry.values.find(one.name);
        const double value = wanted != entry.values.end() ? wanted->second : parameters[i].value;
        one.text = text(parameters[i].text);
        if (one.chosen)
            one.choice.setSelectedId(juce::roundToInt(value) + 1, juce::dontSendNotification);
        else if (one.slider.getThumbBeingDragged() < 0)
            one.slider.setValue(value, juce::dontSendNotification);
        one.slider.updateText();
    }
}

int EffectRow::bestHeight() const {
    return headHeight + (problem.isVisible() ? problemHeight : 0) +
           (names.isVisible() ? lineHeight : 0) +
           (isOpen ? lineHeight * static_cast<int>(settings.size()) + 6 : 0);
}

void EffectRow::paint(juce::Graphics& g) {
    g.setColour(palette::well);
    g.fillRoundedRectangle(getLocalBounds().toFloat().reduced(0.0f, 2.0f), 6.0f);
}

void EffectRow::resized() {
    auto area = getLocalBounds().reduced(8, 2);
    auto head = area.removeFromTop(headHeight - 4).withSizeKeepingCentre(area.getWidth(), 26);
    remove.setBounds(head.removeFromRight(72));
    head.removeFromRight(4);
    down.setBounds(head.removeFromRight(54));
    head.removeFromRight(4);
    up.setBounds(head.removeFromRight(40));
    head.removeFromRight(4);
    fold.setBounds(head.removeFromRight(76));
    head.removeFromRight(4);
    on.setBounds(head);
    if (problem.isVisible())
        problem.setBounds(area.removeFromTop(problemHeight));
    if (names.isVisible())
        names.setBounds(area.removeFromTop(lineHeight).reduced(0, 2));
    for (auto& setting : settings) {
        if (!isOpen)
            break;
        auto line = area.removeFromTop(lineHeight).reduced(0, 2);
        setting->title.setBounds(line.removeFromLeft(titleWidth));
        setting->slider.setBounds(line);
        setting->choice.setBounds(line);
    }
}

} // namespace lars
