#include "progress/layout.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "progress/text.hpp"

namespace brood::bars {
namespace {

struct Name {
  std::string_view name;
  Field field;
};

constexpr Name kNames[] = {
    {"bar", Field::bar},
    {"colour", Field::colour},
    {"desc", Field::desc},
    {"elapsed", Field::elapsed},
    {"elapsed_s", Field::elapsed_s},
    {"eta", Field::eta},
    {"l_bar", Field::l_bar},
    {"n", Field::n},
    {"n_fmt", Field::n_fmt},
    {"ncols", Field::ncols},
    {"nrows", Field::nrows},
    {"percentage", Field::percentage},
    {"postfix", Field::postfix},
    {"r_bar", Field::r_bar},
    {"rate", Field::rate},
    {"rate_fmt", Field::rate_fmt},
    {"rate_inv", Field::rate_inv},
    {"rate_inv_fmt", Field::rate_inv_fmt},
    {"rate_noinv", Field::rate_noinv},
    {"rate_noinv_fmt", Field::rate_noinv_fmt},
    {"remaining", Field::remaining},
    {"remaining_s", Field::remaining_s},
    {"total", Field::total},
    {"total_fmt", Field::total_fmt},
    {"unit", Field::unit},
    {"unit_divisor", Field::unit_divisor},
};

[[noreturn]] void refuse(const std::string& why) { throw std::invalid_argument("bar_format: " + why); }

std::string braced(std::string_view text) { return "{" + std::string(text) + "}"; }

Field field_named(std::string_view name, std::string_view whole) {
  for (const Name& known : kNames) {
    if (known.name == name) return known.field;
  }
  std::string list;
  for (const Name& known : kNames) list += (list.empty() ? "" : ", ") + std::string(known.name);
  refuse("unknown field \"" + std::string(name) + "\" in " + braced(whole) + "; the fields are " + list);
}

FieldKind kind_of(Field field) {
  if (field >= Field::elapsed_s) return FieldKind::real;
  return field >= Field::n ? FieldKind::integer : FieldKind::text;
}

// What stands between two braces: name[!s][:specification].
Piece parse_field(std::string_view whole) {
  const std::size_t colon = std::min(whole.find(':'), whole.size());
  const std::string_view spec = whole.substr(std::min(colon + 1, whole.size()));
  std::string_view name = whole.substr(0, colon);
  Piece piece;
  if (const std::size_t mark = name.find('!'); mark != std::string_view::npos) {
    if (name.substr(mark) != "!s") refuse("the only conversion is !s, not in " + braced(whole));
    piece.number_as_text = true;
    name = name.substr(0, mark);
  }
  piece.field = field_named(name, whole);
  if (spec.find('{') != std::string_view::npos) refuse("a specification cannot hold a field: " + braced(whole));
  const auto wrong = [&]() { refuse("bad specification \"" + std::string(spec) + "\" in " + braced(whole)); };
  if (piece.field == Field::bar) {
    const std::optional<BarSpec> bar = BarSpec::parse(spec);
    if (!bar) wrong();
    piece.bar = *bar;
  } else if (piece.field == Field::eta) {
    piece.text = spec.empty() ? "%Y-%m-%d %H:%M:%S" : std::string(spec);
  } else {
    const FieldKind kind = piece.number_as_text ? FieldKind::text : kind_of(piece.field);
    const std::optional<FormatSpec> parsed = FormatSpec::parse(spec, kind);
    if (!parsed) wrong();
    piece.spec = *parsed;
  }
  return piece;
}

Piece literal(std::string_view text) {
  Piece piece;
  piece.text = single_line(text, Colours::keep);
  return piece;
}

}  // namespace

std::optional<BarSpec> BarSpec::parse(std::string_view text) {
  BarSpec spec;
  if (!text.empty()) {
    const char last = text.back();
    const char lower = last >= 'A' && last <= 'Z' ? static_cast<char>(last - 'A' + 'a') : last;
    if (lower == 'a' || lower == 'u' || lower == 'b') {
      spec.charset = lower;
      text.remove_suffix(1);
    }
  }
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  if (text.empty()) return spec;
  int width = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), width);
  constexpr int kWidest = 4096;
  if (error != std::errc() || end != text.data() + text.size() || width > kWidest || width < -kWidest) {
    return std::nullopt;
  }
  spec.width = width;
  return spec;
}

Layout Layout::parse(std::string_view bar_format) {
  Layout layout;
  std::string plain;
  const auto end_literal = [&] {
    if (plain.empty()) return;
    const bool after_desc = !layout.pieces_.empty() && layout.pieces_.back().field == Field::desc;
    std::string_view text = plain;
    if (after_desc && text.starts_with(": ")) {
      layout.pieces_.emplace_back().field = Field::colon;
      text.remove_prefix(2);
    }
    if (!text.empty()) layout.pieces_.push_back(literal(text));
    plain.clear();
  };
  while (!bar_format.empty()) {
    const char c = bar_format.front();
    if (bar_format.starts_with("{{") || bar_format.starts_with("}}")) {
      plain += c;
      bar_format.remove_prefix(2);
    } else if (c == '}') {
      refuse("a single \"}\"; write \"}}\" to show one");
    } else if (c == '{') {
      const std::size_t end = bar_format.find('}');
      if (end == std::string_view::npos) refuse("no \"}\" after \"" + std::string(bar_format) + "\"");
      end_literal();
      layout.pieces_.push_back(parse_field(bar_format.substr(1, end - 1)));
      bar_format.remove_prefix(end + 1);
    } else {
      plain += c;
      bar_format.remove_prefix(1);
    }
  }
  end_literal();
  return layout;
}

}  // namespace brood::bars
