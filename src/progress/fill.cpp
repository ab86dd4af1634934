#include "progress/fill.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <stdexcept>

#include "progress/text.hpp"

namespace brood::bars {
namespace {

constexpr std::string_view kColours[] = {"black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"};

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return result;
}

}  // namespace

Charset::Charset(std::string_view characters) : steps_(split_characters(characters)) {}

const Charset& Charset::blocks() {
  static const Charset* const charset = new Charset(" ▏▎▍▌▋▊▉█");  // never freed: bars may outlive static objects
  return *charset;
}

const Charset& Charset::ascii() {
  static const Charset* const charset = new Charset(" 123456789#");
  return *charset;
}

const Charset& Charset::blank() {
  static const Charset* const charset = new Charset("  ");
  return *charset;
}

Charset Charset::custom(std::string_view characters) {
  Charset charset(characters);
  const bool narrow = std::all_of(charset.steps_.begin(), charset.steps_.end(), [](const std::string& step) {
    return display_width(single_line(step, Colours::remove)) == 1;
  });
  if (charset.steps_.size() < 2 || !narrow) {
    throw std::invalid_argument("fill: at least two characters of one column each, from empty to full, not \"" +
                                std::string(characters) + "\"");
  }
  return charset;
}

std::string Charset::draw(double fraction, int columns) const {
  std::string bar;
  if (columns <= 0) return bar;
  const auto parts = static_cast<int>(steps_.size()) - 1;
  const int filled = static_cast<int>(std::clamp(fraction, 0.0, 1.0) * columns * parts);
  for (int i = 0; i < filled / parts; ++i) bar += steps_.back();
  if (filled / parts < columns) {
    bar += steps_[static_cast<std::size_t>(filled % parts)];
    for (int i = filled / parts + 1; i < columns; ++i) bar += steps_.front();
  }
  return bar;
}

std::string colour_sequence(std::string_view colour) {
  if (colour.empty()) return {};
  for (std::size_t i = 0; i < std::size(kColours); ++i) {
    if (lower(colour) == kColours[i]) return "\x1b[" + std::to_string(30 + i) + "m";
  }
  std::uint32_t rgb = 0;
  if (colour.size() == 7 && colour[0] == '#') {
    const char* const end = colour.data() + colour.size();
    if (const auto parsed = std::from_chars(colour.data() + 1, end, rgb, 16); parsed.ptr == end) {
      return "\x1b[38;2;" + std::to_string(rgb >> 16) + ";" + std::to_string((rgb >> 8) & 0xFF) + ";" +
             std::to_string(rgb & 0xFF) + "m";
    }
  }
  throw std::invalid_argument("colour: neither black, red, green, yellow, blue, magenta, cyan, white nor #rrggbb: \"" +
                              std::string(colour) + "\"");
}

}  // namespace brood::bars
