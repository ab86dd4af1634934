#include "progress/text.hpp"

#include <cstdlib>

namespace brood::bars {
namespace {

constexpr std::string_view kReset = "\x1b[0m";

bool is_colour(std::string_view sequence) noexcept { return sequence.back() == 'm'; }

bool is_reset(std::string_view sequence) noexcept { return sequence == kReset || sequence == "\x1b[m"; }

}  // namespace

Character first_character(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  const std::size_t length = lead < 0x80   ? 1
                             : lead < 0xC2 ? 0
                             : lead < 0xE0 ? 2
                             : lead < 0xF0 ? 3
                             : lead < 0xF5 ? 4
                                           : 0;
  if (length == 1) return {1, lead};
  if (length == 0 || length > text.size()) return {1, 0xFFFD};
  char32_t value = lead & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0u) != 0x80u) return {1, 0xFFFD};
    value = (value << 6) | (byte(i) & 0x3Fu);
  }
  return {length, value};
}

std::vector<std::string> split_characters(std::string_view text) {
  std::vector<std::string> characters;
  while (!text.empty()) {
    const std::size_t bytes = first_character(text).bytes;
    characters.emplace_back(text.substr(0, bytes));
    text.remove_prefix(bytes);
  }
  return characters;
}

std::size_t control_sequence(std::string_view text) noexcept {
  if (text.size() < 3 || text[0] != '\x1b' || text[1] != '[') return 0;
  std::size_t end = 2;
  while (end < text.size() && (text[end] == ';' || (text[end] >= '0' && text[end] <= '9'))) ++end;
  if (end == text.size()) return 0;
  const char last = text[end];
  return (last >= 'A' && last <= 'Z') || (last >= 'a' && last <= 'z') ? end + 1 : 0;
}

int display_width(std::string_view text) noexcept {
  int columns = 0;
  while (!text.empty()) {
    if (const std::size_t bytes = control_sequence(text); bytes > 0) {
      text.remove_prefix(bytes);
      continue;
    }
    const Character character = first_character(text);
    columns += character_width(character.value);
    text.remove_prefix(character.bytes);
  }
  return columns;
}

std::string cut_to_width(std::string_view text, int columns) {
  std::string_view rest = text;
  bool coloured = false;
  while (!rest.empty()) {
    if (const std::size_t bytes = control_sequence(rest); bytes > 0) {
      const std::string_view sequence = rest.substr(0, bytes);
      if (is_colour(sequence)) coloured = !is_reset(sequence);
      rest.remove_prefix(bytes);
      continue;
    }
    const Character character = first_character(rest);
    columns -= character_width(character.value);
    if (columns < 0) break;
    rest.remove_prefix(character.bytes);
  }
  std::string cut(text.substr(0, text.size() - rest.size()));
  if (coloured && !rest.empty()) cut += kReset;
  return cut;
}

std::string single_line(std::string_view text, Colours colours) {
  std::string line;
  line.reserve(text.size());
  while (!text.empty()) {
    std::size_t bytes = control_sequence(text);
    if (bytes > 0) {
      if (colours == Colours::keep && is_colour(text.substr(0, bytes))) line += text.substr(0, bytes);
    } else {
      const Character character = first_character(text);
      bytes = character.bytes;
      // A lone byte from 0x80 to 0x9F is a control character where the terminal does not read UTF-8.
      const char32_t value = bytes == 1 ? static_cast<unsigned char>(text.front()) : character.value;
      const bool control = value < 0x20 || (value >= 0x7F && value < 0xA0);
      line += control ? std::string_view(" ") : text.substr(0, bytes);
    }
    text.remove_prefix(bytes);
  }
  return line;
}

bool locale_is_utf8() noexcept {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* const value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    std::string_view rest(value);
    // "UTF-8" or "utf8", whatever the case.
    for (; rest.size() >= 4; rest.remove_prefix(1)) {
      const auto same = [](char c, char lower) { return c == lower || c == lower - 'a' + 'A'; };
      if (!same(rest[0], 'u') || !same(rest[1], 't') || !same(rest[2], 'f')) continue;
      if (rest[3] == '8' || (rest.size() >= 5 && rest[3] == '-' && rest[4] == '8')) return true;
    }
    return false;
  }
  return false;
}

}  // namespace brood::bars
